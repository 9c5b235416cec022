"""Figures over chips and time: a labelled dataset in, a figure out."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from denram.analysis import schema
from denram.analysis.figures import INK, LAW, LOST, MUTED, SAMPLE, STYLE

_COLOURS = (LAW, "#d98f2b", "#7a3b69", "#4f8a8b", "#2e7d32")
_MARKS = {1.0: "1 s", 60.0: "1 min", 3600.0: "1 h", 86_400.0: "1 d"}
_MARKS |= {2.592e6: "30 d", 3.156e7: "1 y", 3.156e8: "10 y"}
_TOLD = {
    "none": "as it is",
    "time_scale": "one global time scale",
    "readout": "time scale and readout",
}


def yield_figure(accuracy: xr.DataArray, yields: xr.Dataset, title: str) -> Figure:
    """Yield against an effect, and the accuracies of all chips beneath it.

    Args:
        accuracy: as `chip_metrics.chip_accuracies` gives it.
        yields: as `chip_metrics.yields` gives them.
        title: data set and protocol.
    """
    across = next(str(d) for d in accuracy.dims if d != "chip")
    x = accuracy[across].values.astype(float)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 6.4), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True)
        for i, spec in enumerate(yields["spec"].values):
            at = yields.sel(spec=spec)
            y = 100 * at["yield_"].values
            # an interval of Wilson's holds its share but for rounding
            reach = np.clip(
                [y - 100 * at["low"].values, 100 * at["high"].values - y], 0, None
            )
            shift = (i - (yields.sizes["spec"] - 1) / 2) * 0.008 * np.ptp(x)
            above.errorbar(
                x + shift,
                y,
                reach,
                fmt="o-",
                capsize=3,
                ms=4,
                color=_COLOURS[i % len(_COLOURS)],
                label=f"at least {100 * spec:g} %",
            )
            below.axhline(100 * spec, color=_COLOURS[i % len(_COLOURS)], lw=0.8, ls=":")
        above.set_ylim(-4, 104)
        above.set_ylabel("chips that reach it (%)")
        n = yields["n"].values
        told = f"{n.min()}" if n.min() == n.max() else f"{n.min()} to {n.max()}"
        above.set_title(f"Yield, {told} chips per point, Wilson 95 %")
        above.legend()
        _clouds(below, accuracy.transpose(across, "chip"), x)
        below.set_xlabel(across)
        below.set_ylabel("test accuracy (%)")
        figure.suptitle(title, x=0.01, ha="left", fontsize=8)
    return figure


def _clouds(axes: Axes, accuracy: xr.DataArray, x: np.ndarray) -> None:
    """A point per chip, spread sideways in their order, and the median."""
    pitch = np.diff(np.sort(x)).min() if x.size > 1 else 1.0
    for at, row in zip(x, 100 * accuracy.values, strict=True):
        values = np.sort(row[np.isfinite(row)])
        if not values.size:
            continue
        aside = np.linspace(-0.12, 0.12, values.size) if values.size > 1 else [0.0]
        axes.scatter(
            at + pitch * np.asarray(aside), values, s=14, color=SAMPLE, edgecolor=LAW
        )
        axes.plot(
            at + pitch * np.array([-0.18, 0.18]), [np.median(values)] * 2, color=LOST
        )
    axes.set_title("Every chip, and their median")


def drift_figure(summary: xr.Dataset, title: str) -> Figure:
    """Accuracy since programming on a log axis, a line per compensation.

    Args:
        summary: as `chip_metrics.over_time` gives it.
        title: data set and protocol.
    """
    every = summary[schema.TIME].values.astype(float)
    later = summary.isel({schema.TIME: every > 0})  # 0 is on no log axis
    time_s = every[every > 0]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 4.6), layout="constrained")
        axes = figure.subplots()
        for i, name in enumerate(summary[schema.COMPENSATION].values):
            at = later.sel({schema.COMPENSATION: name})
            mean, half = 100 * at["mean"].values, 100 * at["ci95"].values
            colour = _COLOURS[i % len(_COLOURS)]
            axes.plot(
                time_s, mean, "o-", ms=4, color=colour, label=_TOLD.get(name, str(name))
            )
            fresh = summary["mean"].sel({schema.COMPENSATION: name}).values[every == 0]
            for value in 100 * fresh:  # none or one
                axes.axhline(value, color=colour, lw=0.8, ls=":")
            axes.fill_between(
                time_s, mean - half, mean + half, color=colour, alpha=0.15, lw=0
            )
        axes.set_xscale("log")
        axes.set_xlabel("time since programming")
        axes.set_ylabel("test accuracy (%)")
        axes.set_ylim(0, 102)
        marks = {t: s for t, s in _MARKS.items() if time_s.min() <= t <= time_s.max()}
        if len(marks) > 1:
            axes.set_xticks(list(marks), labels=list(marks.values()))
            axes.minorticks_off()
        else:
            axes.set_xlabel("time since programming (s)")
        n = int(summary["n"].max())
        band = ", 95 % CI of the mean" if n > 1 else ""
        band += "; dotted: when programmed" if (every == 0).any() else ""
        axes.set_title(f"Mean over {n} chip{'s' if n > 1 else ''}{band}")
        axes.legend()
        figure.suptitle(title, x=0.01, ha="left", fontsize=8)
    return figure


def coprogram_figure(summary: xr.Dataset, title: str) -> Figure:
    """Accuracy against the delays' programming error, by what was trained against.

    Args:
        summary: as `chip_metrics.coprogrammed` gives it.
        title: data set and protocol.
    """
    key = "delay_programming_sigma"
    x = summary[key].values
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 4.4), layout="constrained")
        axes = figure.subplots()
        for name, label, colour in (
            ("on_outcomes", "weights trained against measured delays", LAW),
            ("on_targets", "weights trained against the targets", LOST),
        ):
            axes.errorbar(
                x,
                100 * summary[name].values,
                np.nan_to_num(100 * summary[f"{name}_ci95"].values),
                fmt="o-",
                capsize=3,
                ms=4,
                color=colour,
                label=label,
            )
        reference = 100 * float(summary["on_outcomes"].sel({key: 0.0}))
        axes.axhline(reference, color=MUTED, lw=0.8, ls=":", label="no error")
        axes.set_ylim(0, 102)
        axes.set_xlabel("programming error of the delays (sigma of ln R)")
        axes.set_ylabel("test accuracy (%)")
        n = int(summary["n"].max())
        band = ", 95 % CI" if n > 1 else ""
        axes.set_title(f"Co-programming, mean over {n} chips{band}", color=INK)
        axes.legend()
        figure.suptitle(title, x=0.01, ha="left", fontsize=8)
    return figure
