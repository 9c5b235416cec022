"""Figures of hierarchical networks: a labelled dataset in, a figure out."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from denram.analysis.figures import INK, LAW, STYLE
from denram.analysis.hsnn_sweep import Plot, Reading

COLOURS = (LAW, "#d98f2b", "#7a3b69", "#2e7d32", "#4f8a8b", "#8d8a1f")
_STYLES: tuple[dict[str, Any], ...] = (
    {"ls": "-", "marker": "o"},
    {"ls": "--", "marker": "s", "mfc": "white"},
    {"ls": ":", "marker": "^"},
)
_GREY = "#a0a8b0"
_MOST_TICKS = 14
_ASIDE = 4  # legend entries that a panel holds; more stand beside it


def curves_figure(summary: xr.Dataset, plot: Plot, title: str, data: str) -> Figure:
    """Accuracy over an axis, a line per other label, bars from 15 to 85 % of seeds.

    Published values are in their line's colour where they are of the same data, else
    grey; horizontal lines mark the reference, by the same statistic as the points.

    Args:
        summary: as `hsnn_metrics.point_summary` gives it.
        plot: how the sweep is drawn.
        title: what it is.
        data: name of the data that were published.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.6, 4.8), layout="constrained")
        axes = figure.subplots()
        x = _places(summary, plot)
        names = [name for name in plot.lines if summary.sizes[name]]
        series = list(np.ndindex(*(summary.sizes[name] for name in names)))
        for i, place in enumerate(series):
            at = summary.isel(dict(zip(names, place, strict=True)))
            look = {"color": COLOURS[place[0] % len(COLOURS)] if place else LAW}
            look |= (
                _style(summary, names[1], place[1]) if len(place) > 1 else _STYLES[0]
            )
            shift = (i - (len(series) - 1) / 2) * 0.25 / max(3, len(series))
            _curve(axes, _aside(x, shift, log=plot.log), at, plot, look)
            _published(axes, x, at, look)
        _legend(axes, summary, plot, data)
        _across(axes, x, summary, plot)
        axes.set_ylabel("test accuracy (%)")
        n = summary.attrs["n_seeds"]
        bars = ", bars 15 to 85 % of them" if n > 1 else ""
        seeds = f"{plot.statistic} of {n} seeds" if n > 1 else "one seed"
        axes.set_title(f"{seeds}{bars}, {summary.attrs['dataset']}", fontsize=8.5)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _places(summary: xr.Dataset, plot: Plot) -> np.ndarray:
    """Where the labels of the axis across stand; words stand side by side."""
    if not plot.x:
        return np.zeros(1)
    labels, reading = summary[plot.x].values, plot.reading(plot.x)
    if labels.dtype.kind not in "iuf":
        return np.arange(labels.size, dtype=float)
    return np.array([reading.value(float(label)) for label in labels])


def _aside(x: np.ndarray, shift: float, *, log: bool) -> np.ndarray:
    """Sideways by a share of the pitch, so that bars do not cover one another."""
    if log:
        return x * np.exp(0.35 * shift)
    pitch = np.diff(np.sort(x)).min() if x.size > 1 else 1.0
    return x + shift * pitch


def _curve(
    axes: Axes, x: np.ndarray, at: xr.Dataset, plot: Plot, look: dict[str, Any]
) -> None:
    y = 100 * np.atleast_1d(at[plot.statistic].values)
    joined = x.size > 1 and plot.x and at[plot.x].dtype.kind in "iuf"
    axes.plot(x, y, **{**look, "ls": look["ls"] if joined else ""}, ms=5, zorder=3)
    if at.attrs["n_seeds"] > 1:
        _bars(axes, x, at, look["color"])
    if "reference" in at and np.isfinite(at["reference"]).any():
        level = 100 * float(np.nanmax(at["reference"].values))
        axes.axhline(level, color=look["color"], lw=0.8, ls=(0, (1, 2)), zorder=1)


def _style(summary: xr.Dataset, name: str, place: int) -> dict[str, Any]:
    """Of a label of the second axis of lines: its last one is drawn through."""
    return _STYLES[(summary.sizes[name] - 1 - place) % len(_STYLES)]


def _published(axes: Axes, x: np.ndarray, at: xr.Dataset, look: dict[str, Any]) -> None:
    """Published values: hollow diamonds, and crosses for a second source."""
    colour = look["color"] if at.attrs["comparable"] else _greyed(look["color"])
    for name, marker in (("published", "D"), ("also_published", "x")):
        if name not in at:
            continue
        y = 100 * np.atleast_1d(at[name].values)
        there = np.isfinite(y)
        valid = at[name].attrs["kind"] != "invalid"
        style = {"marker": marker if valid else "x", "mfc": "white", "ms": 4.5}
        joined = valid and marker == "D" and at[name].dtype.kind == "f" and x.size > 2
        style |= {"ls": look["ls"] if joined else "", "lw": 0.6, "color": colour}
        axes.plot(x[there], y[there], **style, zorder=2)
        if name == "published" and "published_sd" in at:
            spread = 100 * np.atleast_1d(at["published_sd"].values)
            bars = {"fmt": "none", "ecolor": colour, "elinewidth": 0.6, "alpha": 0.7}
            axes.errorbar(x[there], y[there], spread[there], **bars)


def _greyed(colour: str) -> Any:
    """A colour that still tells the line, but no more than that."""
    return tuple(0.75 * np.array(to_rgb(_GREY)) + 0.25 * np.array(to_rgb(colour)))


def _legend(axes: Axes, summary: xr.Dataset, plot: Plot, data: str) -> None:
    """A key per label of each axis of lines, and what marks mean."""
    keys: list[tuple[dict[str, Any], str]] = []
    for depth, name in enumerate(plot.lines[:2]):
        for i, label in enumerate(summary[name].values.tolist()):
            look: dict[str, Any] = {"color": COLOURS[i % len(COLOURS)], "lw": 2}
            if depth:
                look = {"color": INK, "lw": 1, "ms": 5, **_style(summary, name, i)}
            keys.append((look, plot.reading(name).named(label)))
    one = {"color": INK if plot.lines else LAW}
    if not summary.attrs["comparable"]:
        marks = {"color": _GREY, "ls": "", "ms": 4.5, "mfc": "white"}
    else:
        marks = {**one, "ls": "", "ms": 4.5, "mfc": "white"}
    for name, marker in (("published", "D"), ("also_published", "x")):
        if name in summary and summary[name].notnull().any():
            told, cross = _source(summary, name, data)
            keys.append(({**marks, "marker": "x" if cross else marker}, told))
    if "reference" in summary and summary["reference"].notnull().any():
        assert plot.reference is not None
        axis, label = plot.reference
        text = f"{plot.reading(axis).named(label)} (reference)"
        keys.append(({**one, "lw": 0.8, "ls": (0, (1, 2))}, text))
    if not keys:
        return
    handles = [axes.plot([], [], **look)[0] for look, _ in keys]
    names = [text for _, text in keys]
    if len(keys) > _ASIDE:
        figure = axes.get_figure()
        assert isinstance(figure, Figure)
        figure.legend(handles, names, loc="outside right upper", fontsize=7.5)
    else:
        axes.legend(handles, names, fontsize=7.5)


def _source(summary: xr.Dataset, name: str, data: str) -> tuple[str, bool]:
    """A name of published values, and whether they are to be crossed out."""
    attrs = summary[name].attrs
    if attrs["kind"] == "invalid":
        return f"published on {data}, invalid", True
    told = "published" if name == "published" else "also published"
    if attrs["kind"] == "plot":
        told += " (off a plot)"
    if not summary.attrs["comparable"]:
        told = f"{told}, on {data}"
    return told, False


def _across(axes: Axes, x: np.ndarray, summary: xr.Dataset, plot: Plot) -> None:
    if not plot.x:
        axes.set_xticks([])
        axes.set_xlim(-1, 1)
        return
    labels, reading = summary[plot.x].values.tolist(), plot.reading(plot.x)
    if plot.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    elif x.size == 1 or summary[plot.x].dtype.kind not in "iuf":
        axes.set_xlim(x.min() - 0.6, x.max() + 0.6)
    if len(labels) <= _MOST_TICKS:
        axes.set_xticks(x, _ticks(labels, x, plot, reading))
    axes.set_xlabel(reading.title)


def _ticks(
    labels: Sequence[Any], x: np.ndarray, plot: Plot, reading: Reading
) -> list[str]:
    """Values, or words for what is no number; the plot's own text beneath."""
    found = []
    for label, place in zip(labels, x, strict=True):
        words = isinstance(label, str | bool)
        text = reading.named(label) if words else f"{round(float(place), 6):g}"
        beneath = plot.ticks.get(label)
        found.append(text if beneath is None else f"{text}\n{beneath}")
    return found


def boost_figure(boost: xr.Dataset, title: str, data: str) -> Figure:
    """Gain of each shape of a hierarchy as a map, published gains in brackets.

    Args:
        boost: as `hsnn_metrics.boost_map` gives it.
        title: what it is.
        data: name of the data that were published.
    """
    gain = 100 * boost["boost"].transpose("tanh_coef", "tanh_center").values
    theirs = 100 * boost["published"].values if "published" in boost else gain * np.nan
    most = max(1.0, float(np.nanmax(np.abs(gain), initial=0.0)))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.6, 4.4), layout="constrained")
        axes = figure.subplots()
        colours = mpl.colormaps["RdBu"].with_extremes(bad="#ececec")
        image = axes.imshow(gain, colours, vmin=-most, vmax=most, aspect="auto")
        for (i, j), value in np.ndenumerate(gain):
            dark = "white" if abs(value) > 0.6 * most else INK
            own = f"{value:+.1f}" if np.isfinite(value) else "-"
            axes.text(j, i - 0.1, own, ha="center", va="center", color=dark)
            if np.isfinite(theirs[i, j]):
                told = f"({theirs[i, j]:+.1f})"
                place = {"ha": "center", "va": "center", "fontsize": 7}
                axes.text(j, i + 0.22, told, color=dark, **place)
        for axis, name in ((axes.xaxis, "tanh_center"), (axes.yaxis, "tanh_coef")):
            labels = [f"{label:g}" for label in boost[name].values]
            axis.set_ticks(range(len(labels)), labels)
        axes.set_xlabel("centre of the tanh")
        axes.set_ylabel("coefficient of the tanh")
        axes.spines[:].set_visible(False)
        figure.colorbar(image, ax=axes, label="gain (percentage points)")
        n = boost.attrs["n_seeds"]
        note = f"median of {n} seeds minus that with one time constant"
        if "published" in boost:
            where = "" if boost.attrs["comparable"] else f", on {data}"
            note += f"; (published{where})"
        axes.set_title(f"{note}\n{boost.attrs['dataset']}", fontsize=8.5)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def hardware_figure(summary: xr.Dataset, title: str) -> Figure:
    """Accuracy under weight noise and under a spread of time constants, per network.

    Args:
        summary: as `hsnn_metrics.hardware_summary` gives it.
        title: what it is.
    """
    n = int(summary["n"].max())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.6), layout="constrained")
        noise, spread = figure.subplots(1, 2, sharey=True)
        _effect_panel(noise, summary, "noise_std", without="tau_sigma")
        _effect_panel(spread, summary, "tau_sigma", without="noise_std")
        noise.set_xlabel("weight noise (sd over max|w|)")
        spread.set_xlabel("spread of time constants (sd of the logarithm)")
        noise.set_ylabel("test accuracy (%)")
        noise.legend()
        note = f"mean of {n} seeds, bars 15 to 85 % of them" if n > 1 else "one seed"
        noise.set_title(f"{note}, {summary.attrs['dataset']}", fontsize=8.5)
        spread.set_title("every batch and test draw is another chip", fontsize=8.5)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _effect_panel(axes: Axes, summary: xr.Dataset, key: str, *, without: str) -> None:
    """Accuracy against one error where there is none of the other."""
    part = summary.isel(effect=(summary[without] == 0).values)
    level = part[key].values
    for i, network in enumerate(part["network"].values):
        at = part.sel(network=network)
        look = {"color": COLOURS[i % len(COLOURS)], **_STYLES[i % len(_STYLES)]}
        x = _aside(level, 0.04 * (i - 1), log=False)
        axes.plot(x, 100 * at["mean"].values, **look, label=str(network), ms=5)
        if int(summary["n"].max()) > 1:
            _bars(axes, x, at, look["color"])
    axes.set_xticks(level, [f"{x:g}" for x in level])


def _bars(axes: Axes, x: np.ndarray, at: xr.Dataset, colour: str) -> None:
    """From the 15 % to the 85 % quantile; a mean may lie outside."""
    low, high = (100 * np.atleast_1d(at[name].values) for name in ("q15", "q85"))
    style = {"fmt": "none", "ecolor": colour, "elinewidth": 1, "capsize": 3}
    axes.errorbar(x, (low + high) / 2, (high - low) / 2, **style)
