"""Two sweeps, or two trainings, side by side: what was set, and what came out."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import stdtr

from denram.analysis.grid import Axis, Grid
from denram.analysis.metrics import half_width, holm, over, welch, wilson
from denram.analysis.schema import DONE, DRAW, SEED, STATUS, TEST
from denram.analysis.sweep_store import STORE, open_sweep
from denram.errors import InputError

REPLICATES = (SEED, "chip_seed")  # axes that repeat a point of a sweep
POINT, REPLICATE = "point", "replicate"
UNDONE = "n_not_done"  # attribute: points of both grids without a value on a side
RUN = "run.zarr"
LEVEL = 0.05  # of significance, after Holm's correction
_SAME = 1e-12  # a spread below this share of the value is rounding
_MOST_SHOWN = 12  # labels in one line


@dataclass(frozen=True)
class Comparison:
    """What differs between A and B.

    Attributes:
        kind: `sweeps` or `runs`.
        variable: whose values are compared.
        changes: settings, versions and labels that differ, as `key: A -> B`.
        table: dimension point, with the point's labels as coordinates; variables a, b
            (means), n_a, n_b (replicates), difference (b - a), ci95 (half width), p,
            p_holm and paired; of runs also Wilson's a_low, a_high, b_low, b_high.
            Its attribute n_not_done counts common points without a value on a side.
        verdict: sentences.
    """

    kind: str
    variable: str
    changes: list[str]
    table: xr.Dataset
    verdict: list[str]

    def rows(self) -> list[dict[str, Any]]:
        """The table as plain values, in one order of columns."""
        names = [str(name) for name in (*self.table.coords, *self.table.data_vars)]
        columns = [self.table[name].values.tolist() for name in names]
        return [dict(zip(names, x, strict=True)) for x in zip(*columns, strict=True)]


def compare_paths(a: Path, b: Path, variable: str = TEST) -> Comparison:
    """Compare what lies at two paths.

    Args:
        a: a sweep's or a run's folder, or its store.
        b: another of the same kind.
        variable: of every cell or run; its mean over the dimensions within a cell.

    Raises:
        InputError: not two sweeps or two runs, no common point, or no such variable.
    """
    one, other = (_load(path, name) for path, name in ((a, "A"), (b, "B")))
    kinds = ["run" if "config" in side.attrs else "sweep" for side in (one, other)]
    if kinds[0] != kinds[1]:
        raise InputError(
            f"A and B must be of one kind, got a {kinds[0]} {a} and a {kinds[1]} {b}"
        )
    return compare_datasets(one, other, variable)


def _load(path: Path, name: str) -> xr.Dataset:
    for candidate in (path, path / STORE, path / RUN):
        file = candidate / "zarr.json"
        if file.is_file():
            try:
                attrs = json.loads(file.read_text(encoding="utf-8"))["attributes"]
                is_run = "config" in attrs
            except (ValueError, KeyError, TypeError, OSError):
                raise InputError(f"{name} {candidate} cannot be read") from None
            return _open_run(candidate) if is_run else open_sweep(candidate)
    raise InputError(f"{name} must be a sweep or a finished run, got {path}")


def _open_run(path: Path) -> xr.Dataset:
    from denram.train import open_run

    return open_run(path)


def compare_datasets(
    one: xr.Dataset, other: xr.Dataset, variable: str = TEST
) -> Comparison:
    """Compare two sweeps, or two runs, in memory.

    Points are matched by their labels on all axes but the replicates'. Where the same
    replicates are done on both sides, their differences are tested (Student's t);
    elsewhere, and between runs, the means are (Welch's t). Runs have noise draws for
    replicates.

    Args:
        one: A, as `open_sweep` or `open_run` returns it.
        other: B, likewise.
        variable: as for `compare_paths`.

    Raises:
        InputError: no common point, or no such variable on both sides.
    """
    is_run = STATUS not in one
    axes = (DRAW,) if is_run else REPLICATES
    known = [name for name in _variables(one) if name in _variables(other)]
    if variable not in known:
        names = ", ".join(known) or "none that both have"
        raise InputError(f"variable must be one of {names}, got {variable!r}")
    sides = _matched(_values(one, variable), _values(other, variable), axes)
    table = _tested(*sides, may_pair=not is_run)
    if is_run:
        for name, side in (("a", one), ("b", other)):
            low, high = wilson(table[name], int(side.attrs["n_test"]))
            table = table.assign({f"{name}_low": low, f"{name}_high": high})
    changed = changes(one, other)
    if _plain(one).equals(_plain(other)):
        settings = "" if changed else ", and so are their settings"
        verdict = [f"The results of A and B are identical{settings}."]
    elif is_run:
        n_test = [int(side.attrs["n_test"]) for side in (one, other)]
        verdict = _run_verdict(table, variable, n_test)
    else:
        dims = {*one[STATUS].dims, *other[STATUS].dims}
        verdict = _verdict(table, variable, [d for d in REPLICATES if d in dims])
    return Comparison("runs" if is_run else "sweeps", variable, changed, table, verdict)


def _plain(data: xr.Dataset) -> xr.Dataset:
    """Texts as Python's, which can be compared and looked up."""
    texts = [name for name, x in data.variables.items() if x.dtype.kind == "T"]
    plain = {name: data.variables[name].astype(object) for name in texts}
    coords = {name: plain[name] for name in texts if name in data.coords}
    return data.assign_coords(coords).assign(
        {name: plain[name] for name in texts if name not in coords}
    )


def _variables(data: xr.Dataset) -> list[str]:
    """Numbers that every cell, or every noise draw of a run, has."""
    needed = set(data[STATUS].dims) if STATUS in data else {DRAW}
    return sorted(
        str(name)
        for name, found in data.data_vars.items()
        if name != STATUS and needed <= set(found.dims) and found.dtype.kind in "biuf"
    )


def _values(data: xr.Dataset, variable: str) -> xr.DataArray:
    """One number per cell of a sweep, NaN where not done; all of a run's."""
    data = _plain(data)
    found = data[variable].astype(float).reset_coords(drop=True)
    if STATUS not in data:
        return found
    inner = [dim for dim in found.dims if dim not in data[STATUS].dims]
    found = over(found, inner)["mean"] if inner else found
    return found.where(data[STATUS] == DONE).reset_coords(drop=True)


def _matched(
    one: xr.DataArray, other: xr.DataArray, replicates: Sequence[str]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Both with dimensions point and replicate, of the points that both have."""
    names = [[str(d) for d in x.dims if d not in replicates] for x in (one, other)]
    if set(names[0]) != set(names[1]):
        raise InputError(
            f"A and B must have the same axes but for {', '.join(replicates)}, "
            f"got {', '.join(names[0]) or 'none'} and {', '.join(names[1]) or 'none'}"
        )
    for dim in names[0]:
        if not set(one[dim].values.tolist()) & set(other[dim].values.tolist()):
            raise InputError(
                f"A and B must share a point, got {dim} {_shown(one[dim].values)} in A"
                f" and {_shown(other[dim].values)} in B"
            )
    pair = xr.align(one, other, join="inner", exclude=list(replicates))
    rows = [_rows(side, names[0], replicates) for side in pair]
    first, second = xr.align(*rows, join="outer", exclude=[POINT])
    both = first.notnull().any(REPLICATE) & second.notnull().any(REPLICATE)
    if not both.any():
        raise InputError("A and B must share a point that is done on both sides")
    found = [side.isel({POINT: both.values}) for side in (first, second)]
    found[0].attrs[UNDONE] = int((~both).sum())
    return found[0], found[1]


def _rows(
    side: xr.DataArray, points: Sequence[str], replicates: Sequence[str]
) -> xr.DataArray:
    repeats = [name for name in replicates if name in side.dims]
    side = side.transpose(*points, *repeats)
    labels = itertools.product(*(side[name].values.tolist() for name in points))
    columns = list(zip(*labels, strict=True))
    coords = {name: (POINT, list(x)) for name, x in zip(points, columns, strict=True)}
    each = itertools.product(*(side[name].values.tolist() for name in repeats))
    named = [
        ",".join(map("=".join, zip(repeats, map(str, x), strict=True))) for x in each
    ]
    values = side.values.reshape(-1, len(named))
    return xr.DataArray(values, {**coords, REPLICATE: named}, (POINT, REPLICATE))


def _tested(one: xr.DataArray, other: xr.DataArray, *, may_pair: bool) -> xr.Dataset:
    a, b, gap = (over(x, REPLICATE) for x in (one, other, other - one))
    paired = (one.notnull() == other.notnull()).all(REPLICATE) & (gap["n"] > 1)
    paired &= may_pair
    apart = welch(a, b)
    error = apart["error"].where(~paired, gap["sd"] / np.sqrt(gap["n"].where(paired)))
    degrees = apart["degrees"].where(~paired, gap["n"] - 1)
    difference = b["mean"] - a["mean"]
    rounding = _SAME * np.maximum(abs(a["mean"]), abs(b["mean"]))
    varies = error > rounding
    t = difference / error.where(varies)
    p = 2 * xr.apply_ufunc(stdtr, degrees, -abs(t))
    equal = error.notnull() & ~varies & (abs(difference) <= rounding)
    p = p.where(~equal, 1.0)
    return xr.Dataset(
        {
            "a": a["mean"],
            "b": b["mean"],
            "n_a": a["n"],
            "n_b": b["n"],
            "difference": difference,
            "ci95": half_width(error.where(varies), degrees),
            "p": p,
            "p_holm": (POINT, holm(p.values)),
            "paired": paired,
        },
        attrs={UNDONE: one.attrs[UNDONE]},
    )


def _verdict(table: xr.Dataset, variable: str, repeats: Sequence[str]) -> list[str]:
    n, tested = table.sizes[POINT], int(table["p"].notnull().sum())
    single = int((np.minimum(table["n_a"], table["n_b"]) < 2).sum())
    what = "replicate" if not repeats else " and ".join(repeats)
    says = []
    if tested:
        paired = int((table["paired"] & table["p"].notnull()).sum())
        says.append(_outcome(table, variable))
        says.append(
            f"Tests: paired t at {paired} of {tested} points, where the same labels of"
            f" {what} are done on both sides; Welch's t elsewhere."
        )
    if single:
        where = "" if single == n else f" at {single} of {n} points"
        says.append(
            f"No statement about significance is possible{where}: a side has one"
            f" {what}, which says nothing about how much another would differ."
        )
    if n - tested - single:
        says.append(
            f"At {n - tested - single} of {n} points no value varies over {what}, so"
            " that there is no test."
        )
    if table.attrs[UNDONE]:
        says.append(f"Points not done on both sides: {table.attrs[UNDONE]}.")
    if tested and len(repeats) > 1:
        says.append(f"Every combination of {what} counts as a replicate of its own.")
    return says


def _outcome(table: xr.Dataset, variable: str) -> str:
    """What the tests found, in one sentence."""
    up, down = ("better", "worse") if "accuracy" in variable else ("higher", "lower")
    tested = int(table["p"].notnull().sum())
    found, sign = table["p_holm"] < LEVEL, table["difference"] > 0
    more, less = int((found & sign).sum()), int((found & ~sign).sum())
    if tested == 1:
        p = f"p = {float(table['p'].max()):.3g}"
        if more or less:
            return f"B is {up if more else down} than A ({p})."
        return f"No difference between A and B was shown ({p})."
    return (
        f"B is {up} than A at {more} of {tested} points (Holm-corrected p < {LEVEL:g}),"
        f" {down} at {less}; elsewhere no difference was shown."
    )


def _run_verdict(table: xr.Dataset, variable: str, n_test: Sequence[int]) -> list[str]:
    says = ["No statement about significance is possible from one noise draw."]
    if table["p"].notnull().any():
        says = [f"By Welch's t over noise draws: {_outcome(table, variable)}"]
    elif (np.minimum(table["n_a"], table["n_b"]) > 1).all():
        says = ["Nothing varies over noise draws, so that there is no test."]
    tests = str(n_test[0]) if n_test[0] == n_test[1] else f"{n_test[0]} and {n_test[1]}"
    return [
        *says,
        "This holds for the chips (noise draws) of these two trained networks alone:"
        " one training on each side says nothing about other seeds.",
        f"The intervals of A and B are Wilson's, for {tests} test samples.",
    ]


def changes(one: xr.Dataset, other: xr.Dataset) -> list[str]:
    """Settings, versions and axes' labels that differ, one line each.

    Args:
        one: A, a run or a sweep.
        other: B, likewise.
    """
    a, b = _described(one), _described(other)
    lines = [
        f"{key}: {a.get(key, '-')} -> {b.get(key, '-')}"
        for key in sorted({*a, *b})
        if a.get(key, "-") != b.get(key, "-")
    ]
    axes = [{axis.name: axis for axis in _axes(side)} for side in (one, other)]
    shared = [name for name in axes[0] if name in axes[1]]
    return lines + [
        line for name in shared for line in _labels(axes[0][name], axes[1][name])
    ]


def _axes(data: xr.Dataset) -> tuple[Axis, ...]:
    text = data.attrs.get("definition")
    return Grid.from_dict(json.loads(text)).axes if text else ()


def _described(data: xr.Dataset) -> dict[str, Any]:
    """Everything that was set, by a flat name."""
    attrs = data.attrs
    base: dict[str, Any] = json.loads(attrs.get("config", "{}"))
    if "definition" in attrs:
        base = Grid.from_dict(json.loads(attrs["definition"])).base
    found = dict(_flat(base))
    found.pop("data.data_dir", None)  # where the data lie decides nothing
    names = ("dataset", "map_seed", "map_fingerprint")
    found |= {name: attrs[name] for name in names if name in attrs}
    versions = json.loads(attrs.get("versions", attrs.get("built_by", "{}")))
    return found | {f"version of {name}": text for name, text in versions.items()}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _labels(one: Axis, other: Axis) -> Iterator[str]:
    """Labels of an axis that only one side has, or that mean something else."""
    for name, side, rest in (("A", one, other), ("B", other, one)):
        only = [label for label in side.labels if label not in rest.labels]
        if only:
            yield f"{one.name} only in {name}: {_shown(only)}"
    for place, label in enumerate(one.labels):
        if label in other.labels:
            a, b = one.at(place), other.at(other.labels.index(label))
            if a != b:
                yield f"{one.name} {label}: {a} -> {b}"


def _shown(labels: Iterable[Any]) -> str:
    texts = [str(label) for label in labels]
    more = f" and {len(texts) - _MOST_SHOWN} more" if len(texts) > _MOST_SHOWN else ""
    return ", ".join(texts[:_MOST_SHOWN]) + more
