"""Figures: a labelled dataset in, a figure out; nothing is computed or written."""

from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED = "#1f2933", "#7b8794"
SAMPLE, LAW, LOST, WINDOW = "#a9c1d9", "#12436d", "#c8553d", "#f3efe4"
_MARK: dict[str, Any] = {"color": INK, "lw": 1.0, "ls": (0, (4, 3))}
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
}


def map_figure(dataset: xr.Dataset) -> Figure:
    """Draw a map: its resistances, its delays, and the synapses per whole step.

    Args:
        dataset: as `denram.mapping.map_histograms` returns it.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.0, 4.2), layout="constrained")
        resistance, delay, steps = figure.subplots(1, 3)
        _resistance_panel(resistance, dataset)
        _delay_panel(delay, dataset)
        _step_panel(steps, dataset)
        figure.suptitle(_map_title(dataset), x=0.01, ha="left", fontsize=11)
    return figure


def _map_title(dataset: xr.Dataset) -> str:
    attrs = dataset.attrs
    post, pre, tap = attrs["shape"]
    size = rf"{pre} inputs $\times$ {post} neurons $\times$ {tap} delays"
    law = f"{attrs['distribution']} delays"
    if attrs["distribution"] == "lognormal":
        mean, prefix = _prefixed(attrs["r_mu_ohm"])
        spread = rf"$\sigma$(ln $R$) = {attrs['r_std']:g}"
        law = f"$R$ lognormal, mean {mean:.4g} {prefix}Ω, {spread}"
    farad, prefix = _prefixed(attrs["cap_farad"])
    clock = f"{attrs['max_delay']} steps of {1e3 * attrs['timestep_s']:g} ms"
    capacitor = f"$C$ = {farad:.4g} {prefix}F"
    return "     ".join((size, law, capacitor, clock, f"seed {attrs['seed']}"))


def _resistance_panel(axes: Axes, dataset: xr.Dataset) -> None:
    mean, prefix = _prefixed(dataset.attrs["mean_ohm"])
    _distribution(axes, dataset, "resistance", dataset.attrs["mean_ohm"] / mean)
    axes.axvline(mean, label=f"mean {mean:.4g} {prefix}Ω", **_MARK)
    axes.set_xlabel(f"resistance ({prefix}Ω)")
    axes.set_ylabel("devices per bin (%)")
    axes.set_title("Resistance of the delay devices")
    _legend_below(axes)


def _delay_panel(axes: Axes, dataset: xr.Dataset) -> None:
    milli, attrs = 1e-3, dataset.attrs
    _distribution(axes, dataset, "delay", milli)
    median = attrs["median_delay_s"] / milli
    axes.axvline(median, label=f"median {median:.4g} ms", **_MARK)
    longest = attrs["max_delay"] * attrs["timestep_s"] / milli
    right = axes.get_xlim()[1]
    if attrs["saturated_share"] > 0 and longest < right:
        label = f"over max_delay {100 * attrs['saturated_share']:.2f} %"
        axes.axvspan(longest, right, color=LOST, alpha=0.18, lw=0, label=label)
        axes.set_xlim(right=right)
    axes.set_xlabel("delay $kRC$ before rounding (ms)")
    axes.set_ylabel("devices per bin (%)")
    axes.set_title("Delay of the RC elements")
    _legend_below(axes)


def _step_panel(axes: Axes, dataset: xr.Dataset) -> None:
    attrs, share = dataset.attrs, 100 * dataset["step_share"].values
    edges, n_steps = dataset["step_edge"].values, attrs["n_steps"]
    axes.axvspan(-0.5, n_steps - 0.5, color=WINDOW, lw=0, zorder=0)
    axes.stairs(share, edges, fill=True, color=SAMPLE)
    mean = attrs["mean_steps"]
    axes.axvline(mean, label=f"mean {mean:.2f} steps", **_MARK)
    label = f"beyond window {100 * attrs['beyond_share']:.2f} %"
    axes.axvline(n_steps - 0.5, color=MUTED, lw=1, label=label)
    axes.set_xlim(edges[0] - 0.03 * edges[-1], 1.03 * edges[-1])
    # the last bin may be far higher than the others: it is cut, and says its value
    tallest = share[-1] if share[-1] > 50 else share[:-1].max(initial=0.0)
    top = 1.15 * tallest
    axes.set_ylim(0, top)
    if attrs["saturated_share"] > 0:
        label = f"saturated {100 * attrs['saturated_share']:.2f} %"
        width = max(1.0, edges[-1] / 80)
        axes.bar(edges[-1], share[-1], -width, align="edge", color=LOST, label=label)
        if share[-1] > top:
            where = edges[-1] - 1.5 * width, 0.97 * top
            text = f"step {attrs['max_delay']}: {share[-1]:.2f} % ↑"
            axes.annotate(text, where, ha="right", va="top", color=LOST, fontsize=8)
    axes.set_xlabel(f"delay (steps of {1e3 * attrs['timestep_s']:g} ms)")
    axes.set_ylabel(f"synapses per {'bin' if edges[1] > 0.5 else 'step'} (%)")
    axes.set_title(f"Whole steps (shaded: input window, {n_steps})")
    _legend_below(axes)


def _distribution(axes: Axes, dataset: xr.Dataset, name: str, factor: float) -> None:
    """Histogram and law of one quantity, on the scale the dataset asks for."""
    edges = dataset[f"{name}_edge"].values / factor
    share = 100 * dataset[f"{name}_share"].values
    log = dataset[f"{name}_edge"].attrs["scale"] == "log"
    axes.stairs(share, edges, fill=True, color=SAMPLE, label="this chip")
    if f"{name}_theory" in dataset:
        low, high = edges[:-1], edges[1:]
        middle = np.sqrt(low * high) if log else (low + high) / 2
        law = 100 * dataset[f"{name}_theory"].values
        axes.plot(middle, law, color=LAW, lw=1.6, label="theory")
    axes.set_xscale("log" if log else "linear")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.12 * share.max())


def _legend_below(axes: Axes) -> None:
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17), ncols=2)


def _prefixed(value: float) -> tuple[float, str]:
    """A value in units of its SI prefix, without one outside atto to exa."""
    for exponent, prefix in zip(range(18, -21, -3), "EPTGMk mµnpfa", strict=True):
        if value >= 10.0**exponent:
            return value / 10.0**exponent, prefix.strip()
    return value, ""
