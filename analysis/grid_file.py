"""Grids from TOML files and from flags."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from denram.analysis.grid import Axis, Grid
from denram.config import Count, Section, convert, load_toml
from denram.errors import InputError

_COUNTED = ("chip_seed",)  # `chips = 5` is five virtual chips
_RESERVED = ("name", "labels")


class GridSpec(Section, frozen=True):
    """A grid as a TOML file spells it.

    Attributes:
        name: of the sweep.
        study: what is done with each configuration.
        preset: shipped preset beneath the settings.
        together: most cells of one program.
        settings: flat settings that all cells share.
        zip: tables of keys that move together, each one axis; `name` and `labels` are
            those of the axis.
        axes: key to values; every combination is run.
        chips: virtual chips, as seeds or as a number of them.
        seeds: seeds.
    """

    name: str = "sweep"
    study: Literal["train", "map"] = "train"
    preset: str | None = None
    together: Count = 16
    settings: dict[str, Any] = {}  # noqa: RUF012  msgspec copies an empty default
    zip: list[dict[str, Any]] = []  # noqa: RUF012
    axes: dict[str, Any] = {}  # noqa: RUF012
    chips: int | list[Any] | None = None
    seeds: list[Any] | None = None


def load_grid(file: Path, over: GridSpec | None = None) -> Grid:
    """The grid of a TOML file.

    Args:
        file: path of the file.
        over: what flags say; its axes and settings win over the file's.

    Raises:
        InputError: unreadable, an unknown key, or a value that breaks a rule.
    """
    spec = convert(GridSpec, load_toml(file), where=f"{file}: ")
    return grid_of(spec if over is None else _overlaid(spec, over))


def _overlaid(spec: GridSpec, over: GridSpec) -> GridSpec:
    settings = {k: v for k, v in spec.settings.items() if k not in over.axes}
    axes = {k: v for k, v in spec.axes.items() if k not in over.settings}
    return GridSpec(
        name=spec.name if over.name == "sweep" else over.name,
        study=spec.study if over.study == "train" else over.study,
        preset=over.preset or spec.preset,
        together=spec.together if over.together == 16 else over.together,
        settings={**settings, **over.settings},
        zip=[*spec.zip, *over.zip],
        axes={**axes, **over.axes},
        chips=spec.chips if over.chips is None else over.chips,
        seeds=spec.seeds if over.seeds is None else over.seeds,
    )


def grid_of(spec: GridSpec) -> Grid:
    """Zipped axes first, then crossed ones, then chips and seeds.

    Raises:
        InputError: an axis that is empty, doubled or ragged.
    """
    axes = [_zipped(table) for table in spec.zip]
    axes += [Axis.of(key, _listed(key, values)) for key, values in spec.axes.items()]
    if spec.chips is not None:
        axes.append(Axis.of("chip_seed", _chips(spec.chips)))
    if spec.seeds is not None:
        axes.append(Axis.of("seed", _listed("seeds", spec.seeds)))
    return Grid(
        name=spec.name,
        axes=tuple(axes),
        settings=spec.settings,
        preset=spec.preset,
        study=spec.study,
        together=spec.together,
    )


def _chips(chips: int | Sequence[Any]) -> Sequence[Any]:
    if isinstance(chips, int):
        if not 1 <= chips <= 100_000:
            raise InputError(f"chips must be in [1, 100000], got {chips}")
        return range(chips)
    return chips


def _listed(key: str, values: Any) -> Sequence[Any]:
    if not isinstance(values, list):
        raise InputError(f"{key} must be a list of values, got {values!r}")
    return values


def _zipped(table: Mapping[str, Any]) -> Axis:
    keys = {k: _listed(k, v) for k, v in table.items() if k not in _RESERVED}
    name, labels = table.get("name"), table.get("labels")
    if name is not None and not isinstance(name, str):
        raise InputError(f"name must be text, got {name!r}")
    labels = None if labels is None else _listed("labels", labels)
    return Axis.zipped(keys, name=name, labels=labels)


def spec_of_flags(texts: Iterable[str], zips: Iterable[str], **rest: Any) -> GridSpec:
    """What `--set KEY=V,V,...` and `--zip KEY=V,V,...` say.

    A single value is a setting, several are an axis; all `--zip` share one axis.

    Args:
        texts: of `--set`.
        zips: of `--zip`.
        rest: other fields of the specification.

    Raises:
        InputError: a text of another form, or a key given twice.
    """
    settings: dict[str, Any] = {}
    axes: dict[str, Any] = {}
    for text in texts:
        key, values = _key_and_values("--set", text)
        if key in settings or key in axes:
            raise InputError(f"--set must name {key} once")
        if len(values) == 1:
            settings[key] = values[0]
        else:
            axes[key] = values
    together: dict[str, Any] = {}
    for text in zips:
        key, values = _key_and_values("--zip", text)
        if key in together:
            raise InputError(f"--zip must name {key} once")
        together[key] = values
    return GridSpec(
        settings=settings, axes=axes, zip=[together] if together else [], **rest
    )


def _key_and_values(flag: str, text: str) -> tuple[str, list[Any]]:
    key, equals, values = text.partition("=")
    if not (key.isidentifier() and equals):
        raise InputError(f"{flag} must be KEY=VALUE[,VALUE...], got {text[:80]!r}")
    return key, toml_values(values)


def toml_values(text: str) -> list[Any]:
    """Values between commas; what is no TOML value is taken as text."""
    if not text.strip():
        raise InputError("a list of values must not be empty")
    try:
        return tomllib.loads(f"values = [{text}]")["values"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return [_toml_value(part) for part in text.split(",")]


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text.strip()
