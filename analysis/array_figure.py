"""The figure of a chip's arrays: first targets by place, and how full each array is."""

import math
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from denram.analysis.figures import INK, MUTED, STYLE

_EMPTY = "#e7ebef"
_MOST_NUMBERS = 60  # arrays that are labelled with their utilisation


def array_figure(dataset: xr.Dataset) -> Figure:
    """Draw one array of each kind and the utilisation of all of them.

    Args:
        dataset: as `denram.mapping.array_data.array_dataset` returns it.
    """
    kinds = [str(kind) for kind in dataset["kind"].values]
    n = len(kinds)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.4 * n, 8.2), layout="constrained")
        grid = figure.subplots(2, n, squeeze=False, height_ratios=[1.5, 1.0])
        for column, kind in enumerate(kinds):
            _targets_panel(grid[0, column], dataset[f"{kind}_ohm"], kind)
            _utilisation_panel(grid[1, column], dataset, kind)
        figure.suptitle(_title(dataset), x=0.01, ha="left", fontsize=10)
    return figure


def _title(dataset: xr.Dataset) -> str:
    post, pre, tap = dataset.attrs["shape"]
    fan_in = dataset.attrs.get("fan_in")
    size = rf"{dataset.attrs['rows']} $\times$ {dataset.attrs['columns']} cells"
    limit = "" if fan_in is None else f", fan-in {fan_in}"
    clipped = dataset.attrs["clipped"]
    moved = f"     {clipped} targets clipped" if clipped else ""
    network = rf"{pre} inputs $\times$ {post} neurons $\times$ {tap} delays"
    return f"{network}     arrays of {size}{limit}{moved}"


def _targets_panel(axes: Axes, ohm: xr.DataArray, kind: str) -> None:
    values = ohm.values
    known = values[np.isfinite(values)]
    n_rows, n_columns = ohm.shape
    corner = f", first {n_rows} rows and {n_columns} columns"
    corner = "" if ohm.attrs["whole"] else corner
    axes.set_title(f"{kind.capitalize()} devices, array {ohm.attrs['array']}{corner}")
    axes.set_xlabel("column")
    axes.set_ylabel("row (input line)")
    axes.set_facecolor(_EMPTY)
    axes.set_xlim(-0.5, n_columns - 0.5)
    axes.set_ylim(n_rows - 0.5, -0.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if not known.size:
        axes.text(0.5, 0.5, "no device", transform=axes.transAxes, ha="center")
        return
    scale, unit = _unit(float(np.median(known)))
    low, high = known.min() / scale, known.max() / scale
    if low == high:  # a colour scale needs a span
        low, high = 0.9 * low, 1.1 * high
    colours: dict[str, Any] = {"cmap": "viridis", "norm": LogNorm(low, high)}
    image = axes.imshow(
        values / scale, aspect="auto", interpolation="nearest", **colours
    )
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
    bar.ax.minorticks_off()
    ticks = np.geomspace(low, high, 5)
    bar.set_ticks(ticks.tolist(), labels=[_rounded(x) for x in ticks.tolist()])
    bar.set_label(f"target resistance ({unit})  grey: empty cell")


def _utilisation_panel(axes: Axes, dataset: xr.Dataset, kind: str) -> None:
    used = dataset["utilisation"].sel(kind=kind).values
    used = used[np.isfinite(used).any(axis=1)][:, np.isfinite(used).any(axis=0)]
    image = axes.imshow(100 * used, aspect="auto", cmap="cividis", vmin=0, vmax=100)
    if used.size <= _MOST_NUMBERS:
        for (row, column), share in np.ndenumerate(used):
            ink = INK if share > 0.5 else "white"
            text = f"{100 * share:.0f} %"
            axes.text(column, row, text, ha="center", va="center", color=ink)
        for place in np.arange(1, max(used.shape)) - 0.5:
            axes.axvline(place, color="white", lw=2)
            axes.axhline(place, color="white", lw=2)
        axes.set_xlim(-0.5, used.shape[1] - 0.5)
        axes.set_ylim(used.shape[0] - 0.5, -0.5)
    mean = 100 * float(np.mean(used))
    arrays = "1 array" if used.size == 1 else f"{used.size} arrays"
    axes.set_title(f"{arrays}, {mean:.1f} % of the cells used")
    axes.set_xlabel("array across the synapses")
    axes.set_ylabel("array down the inputs")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    bar = axes.figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("cells used (%)")


def _rounded(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"


def _unit(ohm: float) -> tuple[float, str]:
    """Factor and name of the unit that a resistance is told in."""
    step = min(max(math.floor(math.log10(ohm) / 3), 0), 6)
    return 1000.0**step, f"{' kMGTPE'[step]}Ω".strip()
