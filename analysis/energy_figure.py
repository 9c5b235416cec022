"""Figure of an energy report: a labelled dataset in, a figure out."""

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from denram.analysis.figures import INK, LAW, LOST, MUTED, SAMPLE, STYLE


def energy_figure(dataset: xr.Dataset) -> Figure:
    """Energy by term on a log axis, unknown terms said; and spikes by sample.

    Args:
        dataset: as `denram.analysis.energy_inputs.energy_dataset` returns it.
    """
    n_rows = dataset.sizes["term"] + len(np.unique(dataset["group"].values))
    with mpl.rc_context(STYLE):
        height = max(4.0, 1.1 + 0.22 * n_rows)
        figure = Figure(figsize=(12.0, height), layout="constrained")
        energy, side = figure.subplots(1, 2, width_ratios=(2.2, 1))
        _energy_panel(energy, dataset)
        _spike_panel(side, dataset)
    return figure


def _energy_panel(axes: Axes, dataset: xr.Dataset) -> None:
    energy = dataset["energy_joule"].values
    shown = energy[np.isfinite(energy) & (energy > 0)]
    low = 10 ** np.floor(np.log10(shown.min()) - 0.5) if shown.size else 1e-12
    high = shown.max() * 1e3 if shown.size else 1.0
    places, names, y, before = [], [], 0.0, ""
    for term in range(dataset.sizes["term"]):
        group = str(dataset["group"].values[term])
        if group != before:
            y += 1.0
            axes.text(low, y, f" {group}", fontweight="bold", va="center", fontsize=9)
            before = group
        y += 1.0
        places.append(y)
        names.append(str(dataset["quantity"].values[term]))
        _mark(axes, y, energy[term], str(dataset["kind"].values[term]), low)
    axes.set_yticks(places, names)
    axes.set_ylim(y + 0.7, 0.3)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("energy per inference (J)")
    axes.set_title("Energy per inference")


def _mark(axes: Axes, y: float, joule: float, kind: str, low: float) -> None:
    """One term; what is partial or unknown says so and looks so."""
    if not np.isfinite(joule):
        axes.text(low, y, "  unknown", va="center", color=MUTED, fontsize=8)
        return
    partial = kind.startswith("partial")
    place = max(joule, low)
    axes.hlines(y, low, place, color=SAMPLE, lw=1.5, ls=":" if partial else "-")
    fill, edge = ("white", LOST) if partial else (LAW, LAW)
    axes.plot(place, y, "o", ms=6, mfc=fill, mec=edge, mew=1.4)
    told = kind.removeprefix("computed").strip()
    note = f"   {joule:.3g} J" + (f" ({told})" if told else "")
    axes.text(place, y, note, va="center", color=INK, fontsize=8)


def _spike_panel(axes: Axes, dataset: xr.Dataset) -> None:
    spikes = dataset["spikes"].values
    bins = min(40, max(1, int(np.ptp(spikes)) + 1))
    axes.hist(spikes, bins=bins, color=SAMPLE)
    mean = float(spikes.mean())
    axes.axvline(mean, color=INK, lw=1, ls=(0, (4, 3)), label=f"mean {mean:.1f}")
    live = int(np.count_nonzero(dataset["channel_spikes"].values))
    axes.plot([], [], " ", label=f"{live} of {dataset.sizes['pre']} channels live")
    axes.set_xlabel("input spikes of an inference")
    axes.set_ylabel("samples")
    axes.set_title(str(dataset.attrs["dataset"]))
    axes.legend(loc="upper right")
