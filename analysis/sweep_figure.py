"""Any sweep as a table and a figure: its main result over its axes."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from denram.analysis import schema
from denram.analysis.figures import LAW, STYLE
from denram.analysis.grid import Axis as GridAxis
from denram.analysis.grid import Grid, spelt
from denram.errors import InputError

REPLICATES = (schema.SEED, "chip_seed")  # axes that repeat, and are averaged over
_MAIN = (schema.TEST, "mean_delay_s")  # the first that a sweep has is drawn
_COLOURS = (LAW, "#d98f2b", "#7a3b69", "#4f8a8b", "#8d8a1f", "#2e7d32")
_MOST_LINES = 12


def results(data: xr.Dataset, grid: Grid) -> xr.Dataset:
    """Numeric results of finished cells, averaged over what a cell holds of them."""
    done = data[schema.STATUS] == schema.DONE
    found = {}
    for name, variable in data.data_vars.items():
        curve = str(name).startswith(schema.PER_EPOCH)
        if name == schema.STATUS or curve or name == schema.CONFUSION:
            continue
        if not np.issubdtype(variable.dtype, np.number):
            continue
        inner = [d for d in variable.dims if d not in grid.dims]
        labelled = {*inner} & {*data.coords} - {schema.DRAW}
        if labelled:  # such as noise levels: no mere repeats
            continue
        mean = variable.mean(inner) if inner else variable
        found[name] = mean.where(done)
    order = [n for n in (*_MAIN, *sorted(map(str, found))) if n in found]
    return xr.Dataset({name: found[name] for name in dict.fromkeys(order)})


def sweep_table(data: xr.Dataset, grid: Grid) -> pd.DataFrame:
    """One row per point of the axes that are not replicates: mean, sd, cells.

    The sd is over replicates (ddof = 1) of the main result; other results are means.
    """
    values = results(data, grid)
    over = [dim for dim in grid.dims if dim in REPLICATES]
    kept = [dim for dim in grid.dims if dim not in REPLICATES]
    if not kept:  # nothing but replicates: a row each
        over, kept = [], list(grid.dims)
    main = _main(values)
    table = values.mean(over)
    n = values[main].notnull().astype(int).sum(over)
    if over:
        squares = ((values[main] - table[main]) ** 2).sum(over)
        table[f"{main}_sd"] = np.sqrt(squares / (n - 1).where(n > 1))
    table["n_cells"] = n
    frame = table.to_dataframe(dim_order=kept).reset_index()
    first = [*kept, main, *([f"{main}_sd"] if over else []), "n_cells"]
    rest = [str(name) for name in values.data_vars if name != main]
    frame = frame.loc[frame["n_cells"] > 0, [*first, *rest]]
    return frame.reset_index(drop=True)


def _main(values: xr.Dataset) -> str:
    for name in values.data_vars:
        return str(name)
    raise InputError("a sweep must have a numeric result to be tabled")


def sweep_figure(data: xr.Dataset, grid: Grid) -> Figure:
    """The main result against the longest numeric axis, a line per other label.

    Args:
        data: the whole sweep.
        grid: its axes.
    """
    table = sweep_table(data, grid)
    main = _main(results(data, grid))
    axes_left = [axis for axis in grid.axes if axis.name in table.columns]
    numeric = [axis for axis in axes_left if _is_numeric(axis)]
    across = max(numeric or axes_left, key=lambda axis: len(axis.labels)).name
    lines = [axis.name for axis in axes_left if axis.name != across]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 4.4), layout="constrained")
        axes = figure.subplots()
        groups = list(table.groupby(lines, sort=False)) if lines else [("", table)]
        for i, (label, part) in enumerate(groups[:_MOST_LINES]):
            style = {
                "label": _label(lines, label),
                "color": _COLOURS[i % len(_COLOURS)],
            }
            _line(axes, part, across, main, style=style)
        units = data[main].attrs.get("units", "1")
        axes.set_xlabel(_with_units(across, schema.UNITS.get(across, "1")))
        axes.set_ylabel(_with_units(main, units))
        note = "mean, sd over seeds and chips" if f"{main}_sd" in table else ""
        if len(groups) > _MOST_LINES:
            note += f"; {_MOST_LINES} of {len(groups)} lines shown"
        axes.set_title(f"{grid.name}: {note}" if note else grid.name)
        if lines:
            axes.legend(fontsize=7)
    return figure


def _is_numeric(axis: GridAxis) -> bool:
    return all(type(label) in (int, float) for label in axis.labels)


def _with_units(name: str, units: str) -> str:
    return name if units == "1" else f"{name} ({units})"


def _label(names: list[str], values: object) -> str:
    values = values if isinstance(values, tuple) else (values,)
    pairs = zip(names, values, strict=False)
    return _plain(", ".join(f"{name}={spelt(value)}" for name, value in pairs))


def _plain(text: str) -> str:
    """A text that is not taken for a formula."""
    return text.replace("$", r"\$")


def _line(
    axes: Axes, part: pd.DataFrame, across: str, main: str, *, style: dict[str, str]
) -> None:
    x = part[across].to_numpy()
    if x.dtype.kind not in "iuf":
        x = np.array([_plain(str(label)) for label in x])
    order = np.argsort(x, kind="stable")
    y = part[main].to_numpy()[order]
    known = f"{main}_sd" in part
    spread = part[f"{main}_sd"].fillna(0.0).to_numpy()[order] if known else None
    axes.errorbar(
        x[order],
        y,
        spread,
        fmt="o-",
        capsize=3,
        ms=4,
        label=style["label"],
        color=style["color"],
    )
