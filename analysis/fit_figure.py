"""Figure of a fit: quantiles against quantiles, drift, and the half split."""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from denram.analysis.figures import INK, LAW, LOST, MUTED, SAMPLE, STYLE

_OTHERS = ("#d98f2b", "#7a3b69", "#4f8a8b")
_FORETOLD = {
    "normal": ("the law", LOST, "o-"),
    "by_state": ("the law, per state", "#d98f2b", "s-"),
    "shape": ("per state, tabulated shape", "#4f8a8b", "^-"),
    "table": ("tabulated by state and time", LAW, "D-"),
    "left_out": ("tabulated without this time", "#7a3b69", "v:"),
}


def fit_figure(dataset: xr.Dataset) -> Figure:
    """Draw a fit: one panel of quantiles, and of drift and halves where there are any.

    Args:
        dataset: as `denram.devices.fit_data.fit_dataset` returns it: `law_ohm` (law,
            rank), `measured_ohm` (rank), `low_ohm` and `high_ohm` (rank); perhaps
            `mean_change`, `sigma_change` (time), `mean_law`, `sigma_law` (fine_time),
            and `distance` (quantity, foretold, time), `floor` (quantity, time).
    """
    panels: list[Any] = [_quantile_panel]
    if "mean_change" in dataset:
        panels.append(_drift_panel)
    quantities = list(dataset["quantity"].values) if "distance" in dataset else []
    n = len(panels) + len(quantities)
    columns = {1: 1, 2: 2, 4: 2}.get(n, 3)
    rows = -(-n // columns)
    with mpl.rc_context(STYLE):
        size = (5.4 * columns, 4.7 * rows + 0.3)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, draw in zip(grid, panels, strict=False):
            draw(axes, dataset)
        for axes, name in zip(grid[len(panels) :], quantities, strict=False):
            _halves_panel(axes, dataset.sel(quantity=name), str(name))
        for axes in grid[n:]:
            axes.remove()
        figure.suptitle(dataset.attrs["title"], x=0.01, ha="left", fontsize=9)
    return figure


def _quantile_panel(axes: Axes, dataset: xr.Dataset) -> None:
    chosen = dataset.attrs["chosen_law"]
    measured = dataset["measured_ohm"].values
    own = dataset["law_ohm"].sel(law=chosen).values
    low, high = (dataset[name].values for name in ("low_ohm", "high_ohm"))
    there = np.isfinite(low) & np.isfinite(high) & np.isfinite(own)
    label = "95 % of each rank, if the law holds"
    axes.fill_between(
        own[there], low[there], high[there], color=SAMPLE, alpha=0.6, lw=0, label=label
    )
    names = [str(name) for name in dataset["law"].values if name != chosen]
    for name, colour in zip(names, _OTHERS, strict=False):
        law = dataset["law_ohm"].sel(law=name).values
        axes.plot(law, measured, color=colour, lw=1, label=name)
    axes.plot(own, measured, ".", color=LAW, ms=3.5, label=f"{chosen} (chosen)")
    ends = np.array([measured.min(), measured.max()])
    axes.plot(ends, ends, color=INK, lw=0.9, ls=(0, (4, 3)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    margin = (ends[1] / ends[0]) ** 0.06
    for limit in (axes.set_xlim, axes.set_ylim):
        limit(ends[0] / margin, ends[1] * margin)
    axes.set_xlabel("quantile of the law (Ω)")
    axes.set_ylabel("measured quantile (Ω)")
    axes.set_title(dataset.attrs["verdict"])
    axes.legend(loc="upper left")


def _drift_panel(axes: Axes, dataset: xr.Dataset) -> None:
    time = dataset["time"].values
    for name, colour, marker in (("mean", LAW, "o"), ("sigma", LOST, "s")):
        told = "mean" if name == "mean" else "standard deviation"
        values = dataset[f"{name}_change"].values
        axes.plot(time, values, marker, color=colour, ms=5, label=f"{told}, measured")
        if f"{name}_law" in dataset:
            law = dataset[f"{name}_law"].values
            fine = dataset["fine_time"].values
            axes.plot(fine, law, color=colour, lw=1.2, label=f"{told}, law")
    axes.axhline(0, color=MUTED, lw=0.8)
    _time_axis(axes, time)
    axes.set_ylabel(r"ln $R(t)/R(0)$")
    axes.set_title("Change since the first reading")
    axes.legend(loc="upper left")


def _halves_panel(axes: Axes, part: xr.Dataset, name: str) -> None:
    time = part["time"].values
    for foretold in part["foretold"].values:
        distance = part["distance"].sel(foretold=foretold).values
        if np.isfinite(distance).any():
            label, colour, style = _FORETOLD[str(foretold)]
            axes.plot(time, distance, style, color=colour, ms=4, lw=1.1, label=label)
    look: dict[str, Any] = {"color": INK, "ls": "--", "lw": 1, "marker": "_", "ms": 9}
    axes.plot(time, part["floor"], label="between the halves themselves", **look)
    axes.set_ylim(bottom=0)
    _time_axis(axes, time)
    axes.set_ylabel("Kolmogorov-Smirnov distance")
    what = r"$R(t)$ of the array" if name == "R" else r"ln $R(t)/R(0)$ of each cell"
    axes.set_title(f"One half of the cells foretells the other: {what}")
    top = axes.get_ylim()[1]
    axes.set_ylim(0, 1.55 * top)
    title = f"the law: {part.attrs['drift_law']}"
    axes.legend(
        loc="upper left", fontsize=7, title=title, title_fontsize=7, alignment="left"
    )


def _time_axis(axes: Axes, time: np.ndarray) -> None:
    if time[0] > 0:
        axes.set_xscale("log")
        margin = 3.0 if time.size == 1 else (time[-1] / time[0]) ** 0.05
        axes.set_xlim(time[0] / margin, time[-1] * margin)
    axes.set_xlabel("time since programming (s)")
