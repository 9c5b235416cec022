"""A grid: which configurations a sweep runs, as labelled axes that are crossed.

An axis is one dimension of the results. Most set one key of the configuration; keys
that move together ("zipped") share one axis. Seeds and virtual chips are axes too.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from denram.config import fingerprint
from denram.errors import InputError
from denram.storage import safe_name

MAX_CELLS = 1_000_000
MAX_AXES = 12
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
        for i, label in enumerate(self.labels):
            if label in self.labels[:i]:
                raise InputError(f"{self.name} must not name a value twice: {label!r}")

    @classmethod
    def of(cls, key: str, values: Sequence[Any]) -> "Axis":
        """The axis of one key, labelled by its values."""
        values = tuple(_like(values))
        return cls(key, values, {key: values})

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
            InputError: no keys, or not equally many values.
        """
        if not keys:
            raise InputError("a zipped axis must have at least one key, got none")
        first = next(iter(keys))
        plain = {key: tuple(_like(values)) for key, values in keys.items()}
        return cls(name or first, tuple(labels or plain[first]), plain)

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


def _like(values: Sequence[Any]) -> list[Any]:
    """Whole numbers among real ones become real, so that a coordinate has one type.

    Raises:
        InputError: a value that no coordinate can hold.
    """
    for value in values:
        _require_plain(value)
    numbers = all(type(v) in (int, float) for v in values)
    if numbers and any(isinstance(v, float) for v in values):
        return [float(v) for v in values]
    return list(values)


def _require_plain(value: Any) -> None:
    if isinstance(value, list):
        for part in value:
            _require_plain(part)
    elif not isinstance(value, bool | int | float | str):
        raise InputError(
            f"a value of an axis must be a number, text, true, false or a list,"
            f" got {value!r}"[:200]
        )
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"a value of an axis must be finite, got {value}")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError("a whole number of an axis must fit in 64 bits")


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
        """A cell by its coordinates, such as `network=D2,noise_std=0.1,seed=42`."""
        pairs = zip(self.axes, cell, strict=True)
        return ",".join(f"{axis.name}={spelt(axis.labels[i])}" for axis, i in pairs)

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
                known = ", ".join(map(spelt, axis.labels[:20]))
                raise InputError(f"{name} must be one of {known}, got {label!r}")
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
    labels = list(held.labels)
    keys = {key: list(values) for key, values in held.keys.items()}
    for position, label in enumerate(asked.labels):
        settings = asked.at(position)
        if label not in held.labels:
            labels.append(label)
            for key, value in settings.items():
                keys[key].append(value)
        elif held.at(held.labels.index(label)) != settings:
            raise InputError(
                f"{held.name}={label} must mean what it means in the store"
                f" ({held.at(held.labels.index(label))}), got {settings}"
            )
    united_keys = {key: tuple(values) for key, values in keys.items()}
    return Axis(held.name, tuple(labels), united_keys)
