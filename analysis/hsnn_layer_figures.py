"""Figures of the layers of hierarchical networks: time constants and spectra."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from denram.analysis import schema
from denram.analysis.figures import LAW, LOST, MUTED, SAMPLE, STYLE
from denram.analysis.hsnn_figures import COLOURS
from denram.analysis.hsnn_sweep import Plot


def time_constant_figure(layers: xr.Dataset, title: str, data: str) -> Figure:
    """Histograms of the time constants, a row per layer, medians and 35 to 85 %.

    Args:
        layers: as `hsnn_metrics.time_constants` gives them.
        title: what it is.
        data: name of the data that were published.
    """
    n = layers.sizes[schema.HIDDEN_LAYER]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.8, 1.4 + 1.15 * n), layout="constrained")
        rows = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
        top = 100 * float(layers["share"].max())
        for i, axes in enumerate(rows):
            at = layers.isel({schema.HIDDEN_LAYER: i})
            _histogram(axes, at, data if "published" in layers else "")
            axes.set_ylim(0, 1.15 * top)
            axes.set_ylabel(f"layer {i + 1}\n(%)")
        rows[-1].set_xlabel("time constant (ms)")
        seeds = layers.attrs["n_seeds"]
        told = f"{seeds} seeds" if seeds > 1 else "one seed"
        note = f"all neurons of {told}, {layers.attrs['dataset']}"
        rows[0].set_title(note, fontsize=8.5)
        handles, names = rows[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names))
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _histogram(axes: Axes, at: xr.Dataset, data: str) -> None:
    edges = 1e3 * at["edge"].values
    axes.axvspan(
        1e3 * float(at["low"]),
        1e3 * float(at["high"]),
        color=SAMPLE,
        alpha=0.35,
        lw=0,
        label="35 to 85 % of neurons",
    )
    axes.stairs(100 * at["share"].values, edges, fill=True, color=LAW, alpha=0.75)
    median = 1e3 * float(at["median"])
    axes.axvline(median, color=LOST, lw=1.4, label="median")
    axes.text(
        0.99, 0.9, f"median {median:.0f} ms", ha="right", va="top", fontsize=8,
        transform=axes.transAxes,
    )  # fmt: skip
    if data:
        theirs = 1e3 * float(at["published"])
        told = f"published median, on {data}"
        axes.axvline(theirs, color=MUTED, lw=1.2, ls="--", label=told)
    axes.set_xscale("log")
    low, high = edges[0], edges[-1]
    marks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)]
    marks = [t for t in marks if low <= t <= high]
    if len(marks) > 1:
        axes.set_xticks(marks, [str(t) for t in marks])
        axes.minorticks_off()


def spectra_figure(spectra: xr.Dataset, plot: Plot, title: str) -> Figure:
    """Sorted absolute eigenvalues per layer; a column per start, a row per width.

    Args:
        spectra: as `hsnn_metrics.spectra` gives them.
        plot: its axis across makes columns, the first of its lines rows.
        title: what it is.
    """
    rows = [None] if not plot.lines else list(range(spectra.sizes[plot.lines[0]]))
    columns = range(spectra.sizes[plot.x])
    with mpl.rc_context(STYLE):
        size = (1.2 + 3.6 * len(columns), 1.2 + 2.8 * len(rows))
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(rows), len(columns), squeeze=False, sharey="row")
        for i, row in enumerate(rows):
            for j in columns:
                axes, at = grid[i, j], spectra.isel({plot.x: j})
                told = [plot.reading(plot.x).named(str(at[plot.x].values))]
                if row is not None:
                    at = at.isel({plot.lines[0]: row})
                    name = plot.lines[0]
                    told.append(plot.reading(name).named(at[name].item()))
                _spectrum(axes, at)
                axes.set_title(", ".join(told), fontsize=8.5)
                if i == len(rows) - 1:
                    axes.set_xlabel("rank")
                if j == 0:
                    axes.set_ylabel("|eigenvalue|")
        grid[0, 0].legend()
        n = spectra.attrs["n_seeds"]
        note = f"mean and 25 to 75 % of {n} seeds" if n > 1 else "one seed"
        text = f"{title}\n{note}, {spectra.attrs['dataset']}"
        figure.suptitle(text, x=0.01, ha="left", fontsize=9)
    return figure


def _spectrum(axes: Axes, at: xr.Dataset) -> None:
    for layer in range(at.sizes[schema.HIDDEN_LAYER]):
        one = at.isel({schema.HIDDEN_LAYER: layer})
        mean = one["mean"].values
        rank = np.arange(1, mean.size + 1)[np.isfinite(mean)]
        if not rank.size:
            continue
        low, mean, high = (one[n].values[rank - 1] for n in ("low", "mean", "high"))
        colour = COLOURS[layer % len(COLOURS)]
        axes.plot(rank, mean, color=colour, label=f"hidden layer {layer + 1}")
        axes.fill_between(rank, low, high, color=colour, alpha=0.2, lw=0)
    axes.set_ylim(bottom=0)
