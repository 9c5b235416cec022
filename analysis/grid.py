"""A grid: which configurations a sweep runs, as labelled axes that are crossed.

An axis is one dimension of the results. Most set one key of the configuration; keys
that move together ("zipped") share one axis. Seeds and virtual chips are axes too.
"""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from denram.config import fingerprint
from denram.errors import InputError
from denram.storage import safe_name

MAX_CELLS = 1_000_000
MAX_AXES = 12
_MOST_DEEP = 8  # lists within lists
_MOST_SHOWN = 80  # characters of a value in a message
_ELSEWHERE = {"data_dir"}  # where the data lie does not make another grid

Index = tuple[int, ...]  # of a cell along the axes


@dataclass(frozen=True)
class Axis:
    """One dimension of a grid.

    Attributes:
        name: of the dimension.
        labels: its coordinate, one value per position.
        keys: configuration key to its values, one per position.
    """

    name: str
    labels: tuple[Any, ...]
    keys: Mapping[str, tuple[Any, ...]]

    def __post_init__(self) -> None:
        safe_name(self.name, "name of an axis")
        if not self.labels:
            raise InputError(f"{self.name} must have at least one value, got none")
        for key, values in self.keys.items():
            if len(values) != len(self.labels):
                raise InputError(
                    f"{key} must have as many values as {self.name}"
                    f" ({len(self.labels)}), got {len(values)}"
                )
        require_distinct(self.name, self.labels)

    @classmethod
    def of(cls, key: str, values: Sequence[Any]) -> "Axis":
        """The axis of one key, labelled by its values.

        Raises:
            InputError: no values, or some that no coordinate can hold.
        """
        return cls.zipped({key: values})

    @classmethod
    def zipped(
        cls,
        keys: Mapping[str, Sequence[Any]],
        *,
        name: str | None = None,
        labels: Sequence[Any] | None = None,
    ) -> "Axis":
        """Keys that move together; named and labelled by the first of them if not told.

        Raises:
            InputError: no keys, not equally many values, a name that the store needs,
                or values or labels that no coordinate can hold.
        """
        if not keys:
            raise InputError("a zipped axis must have at least one key, got none")
        first = next(iter(keys))
        for own in (name or first, *keys):
            if own.lower() == "zarr.json" or own.startswith((".", "__")):
                raise InputError(
                    f"name of an axis must not be zarr.json or start with . or __,"
                    f" got {own[:80]!r}"
                )
        plain = {key: tuple(_like(key, values)) for key, values in keys.items()}
        named = name or first
        told = plain[first] if labels is None else tuple(_like(named, labels))
        # as the coordinate holds them, and as --only takes them
        require_distinct(named, told)
        require_distinct(named, [x if type(x) is str else json.dumps(x) for x in told])
        require_distinct(named, list(map(spelt, told)))
        return cls(named, told, plain)

    def at(self, position: int) -> dict[str, Any]:
        """What one position sets."""
        return {key: values[position] for key, values in self.keys.items()}

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        keys = {key: list(values) for key, values in self.keys.items()}
        return {"name": self.name, "labels": list(self.labels), "keys": keys}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Axis":
        """The axis of `as_dict`."""
        keys = {key: tuple(v) for key, v in values["keys"].items()}
        return cls(values["name"], tuple(values["labels"]), keys)


def positions(labels: Sequence[Any]) -> dict[Any, int]:
    """Position of each label, by a key that is equal where labels are."""
    return {_key(label): i for i, label in enumerate(labels)}


def _key(label: Any) -> Any:
    return tuple(map(_key, label)) if isinstance(label, list) else label


def require_distinct(name: str, labels: Sequence[Any]) -> None:
    """Refuse labels of which two are equal.

    Raises:
        InputError: the first label that was there before.
    """
    seen: set[Any] = set()
    for label in labels:
        if _key(label) in seen:
            raise InputError(f"{name} must not name a value twice: {_short(label)}")
        seen.add(_key(label))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 3]}..."


def _like(name: str, values: Sequence[Any]) -> list[Any]:
    """Whole numbers among real ones become real, so that a coordinate has one type.

    Raises:
        InputError: a value that no coordinate can hold, or truths among numbers.
    """
    for value in values:
        _require_plain(name, value)
    kinds = {type(value) for value in values}
    if bool in kinds and kinds & {int, float}:
        raise InputError(f"{name} must not mix numbers with true or false")
    if kinds == {int, float}:
        return [float(v) for v in values]
    return list(values)


def _require_plain(name: str, value: Any, depth: int = 0) -> None:
    if isinstance(value, list):
        if depth == _MOST_DEEP:
            raise InputError(f"a value of {name} must be at most {depth} lists deep")
        for part in value:
            _require_plain(name, part, depth + 1)
    elif not isinstance(value, bool | int | float | str):
        raise InputError(
            f"a value of {name} must be a number, text, true, false or a list,"
            f" got {_short(value)}"
        )
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"a value of {name} must be finite, got {value}")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"a whole number of {name} must fit in 64 bits")


@dataclass(frozen=True)
class Grid:
    """Configurations to run: every combination of the axes' positions.

    Attributes:
        name: of the sweep, such as `fig4d`.
        axes: dimensions of the results, in this order.
        settings: flat settings that all cells share.
        preset: shipped preset beneath the settings, or None.
        study: what is done with a configuration: a key of `STUDIES`.
        together: most cells that one program computes; it belongs to the grid, because
            the last bits of a result depend on who shares its program.
    """

    name: str
    axes: tuple[Axis, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    study: str = "train"
    together: int = 16

    def __post_init__(self) -> None:
        safe_name(self.name, "name")
        if not 1 <= len(self.axes) <= MAX_AXES:
            raise InputError(
                f"a sweep must have 1 to {MAX_AXES} axes, got {len(self.axes)}"
            )
        seen: set[str] = set()
        for axis in self.axes:
            for key in {axis.name, *axis.keys}:
                if key in seen:
                    raise InputError(f"{key} must belong to one axis only")
            seen |= {axis.name, *axis.keys}
            for key in axis.keys:
                if key in self.settings:
                    raise InputError(f"{key} is an axis and must not be set as well")
        if self.n_cells > MAX_CELLS:
            raise InputError(
                f"a sweep must have at most {MAX_CELLS} cells, got {self.n_cells}"
            )

    @property
    def shape(self) -> Index:
        """Length of each axis."""
        return tuple(len(axis.labels) for axis in self.axes)

    @property
    def dims(self) -> tuple[str, ...]:
        """Name of each axis."""
        return tuple(axis.name for axis in self.axes)

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return math.prod(self.shape)

    def cells(self) -> Iterator[Index]:
        """Every cell, the last axis fastest."""
        return itertools.product(*(range(n) for n in self.shape))

    def flags(self, cell: Index) -> dict[str, Any]:
        """Flat settings of one cell."""
        flags = dict(self.settings)
        for axis, position in zip(self.axes, cell, strict=True):
            flags |= axis.at(position)
        return flags

    def label(self, cell: Index) -> str:
        """A cell by its coordinates, such as `network=D2,noise_std=0.1,seed=42`.

        A label with a comma or a quote is quoted, as `--only` takes it.
        """
        pairs = zip(self.axes, cell, strict=True)
        return ",".join(f"{axis.name}={quoted(axis.labels[i])}" for axis, i in pairs)

    def select(self, wanted: Mapping[str, Any]) -> Iterator[Index]:
        """Cells whose coordinates are the wanted ones.

        Args:
            wanted: axis name to label; axes that are not named may have any.

        Raises:
            InputError: no such axis or label.
        """
        positions = [range(n) for n in self.shape]
        for name, label in wanted.items():
            if name not in self.dims:
                raise InputError(
                    f"axis must be one of {', '.join(self.dims)}, got {name!r}"
                )
            axis = self.axes[self.dims.index(name)]
            found = [i for i, x in enumerate(axis.labels) if _means(label, x)]
            if not found:
                known = ", ".join(spelt(x)[:_MOST_SHOWN] for x in axis.labels[:20])
                raise InputError(f"{name} must be one of {known}, got {_short(label)}")
            positions[self.dims.index(name)] = range(found[0], found[0] + 1)
        return itertools.product(*positions)

    @property
    def base(self) -> dict[str, Any]:
        """All but the axes' values: what cannot change while a sweep grows."""
        shared = {k: v for k, v in self.settings.items() if k not in _ELSEWHERE}
        return {
            "name": self.name,
            "study": self.study,
            "preset": self.preset,
            "together": self.together,
            "axes": {axis.name: sorted(axis.keys) for axis in self.axes},
            **shared,
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the base and every axis."""
        axes = [axis.as_dict() for axis in self.axes]
        return fingerprint({"base": self.base, "axes": axes})

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "name": self.name,
            "study": self.study,
            "preset": self.preset,
            "together": self.together,
            "settings": dict(self.settings),
            "axes": [axis.as_dict() for axis in self.axes],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Grid":
        """The grid of `as_dict`."""
        axes = tuple(Axis.from_dict(axis) for axis in values["axes"])
        return cls(**{**values, "axes": axes})


def spelt(label: Any) -> str:
    """A label as a person writes it; a number keeps its value."""
    if type(label) is float:
        short = f"{label:.6g}"
        return short if float(short) == label else repr(label)
    return str(label)


def quoted(label: Any) -> str:
    """A label as `spelt`; as a JSON string where a comma, quote or blank misleads."""
    text = spelt(label)
    plain = text and text == text.strip() and not {",", '"'} & {*text}
    return text if plain and text.isprintable() else json.dumps(text)


def _means(text: Any, label: Any) -> bool:
    """Whether a text, perhaps another spelling of a number, means a label."""
    if text == label or str(text) == spelt(label):
        return True
    if type(label) not in (int, float):
        return False
    try:
        return float(text) == label
    except (TypeError, ValueError):
        return False


def differences(one: Grid, other: Grid) -> list[str]:
    """What in their bases differs, as `key: one -> other`."""
    a, b = one.base, other.base
    keys = sorted({*a, *b})
    return [f"{k}: {a.get(k)} -> {b.get(k)}" for k in keys if a.get(k) != b.get(k)]


def united(held: Grid, asked: Grid) -> Grid:
    """The held grid with the asked one's new labels after its own.

    Raises:
        InputError: the grids differ in more than labels.
    """
    changed = differences(held, asked)
    if changed:
        raise InputError(
            "the grid must be the same but for its axes' values; "
            + "; ".join(changed[:5])
        )
    axes = [_grown(*pair) for pair in zip(held.axes, asked.axes, strict=True)]
    return replace(held, axes=tuple(axes), settings=asked.settings)


def _grown(held: Axis, asked: Axis) -> Axis:
    labels, known = list(held.labels), positions(held.labels)
    keys = {key: list(values) for key, values in held.keys.items()}
    for position, label in enumerate(asked.labels):
        settings, at = asked.at(position), known.get(_key(label))
        if at is None:
            labels.append(label)
            for key, value in settings.items():
                keys[key].append(value)
        elif held.at(at) != settings:
            raise InputError(
                f"{held.name}={spelt(label)} must mean what it means in the store"
                f" ({held.at(at)}), got {settings}"
            )
    united_keys = {key: tuple(values) for key, values in keys.items()}
    return Axis(held.name, tuple(labels), united_keys)
