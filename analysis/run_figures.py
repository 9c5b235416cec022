"""Figures of runs and sweeps: a labelled dataset in, a figure out."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from denram.analysis.figures import INK, LAW, LOST, MUTED, STYLE
from denram.analysis.schema import NETWORK, NOISE

# the paper's colours: D1 green, D2 olive
_COLOURS = {"D1": "#2e7d32", "D2": "#8d8a1f"}
_OTHERS = (LAW, "#d98f2b", "#7a3b69", "#4f8a8b")


def training_figure(run: xr.Dataset) -> Figure:
    """Loss and accuracies by epoch, the kept epoch marked, and the test confusion.

    Args:
        run: as `denram.train.run_dataset` returns it.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11.5, 3.9), layout="constrained")
        loss, accuracy, confusion = figure.subplots(1, 3)
        _loss_panel(loss, run)
        _accuracy_panel(accuracy, run)
        _confusion_panel(figure, confusion, run)
        title = f"{run.attrs['dataset']}: {run.attrs['protocol']}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=8.5)
    return figure


def _loss_panel(axes: Axes, run: xr.Dataset) -> None:
    axes.plot(run["epoch"], run["train_loss"], color=LAW, marker=".", ms=4)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (nat)")
    axes.set_title("Loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _accuracy_panel(axes: Axes, run: xr.Dataset) -> None:
    axes.plot(
        run["epoch"], 100 * run["train_accuracy"], color=MUTED, lw=1, label="training"
    )
    axes.plot(run["epoch"], 100 * run["valid_accuracy"], color=LAW, label="validation")
    test, best = 100 * run["test_accuracy"].values, run.attrs["best_epoch"]
    if best >= 0:
        spread = test.std(ddof=1) if test.size > 1 else 0.0
        label = f"test {test.mean():.1f} %"
        axes.errorbar(
            best, test.mean(), spread, color=LOST, fmt="o", capsize=3, label=label
        )
        axes.axvline(best, color=MUTED, lw=0.8, ls=":", label=f"kept: epoch {best}")
    axes.set_ylim(0, 102)
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy (%)")
    axes.set_title("Accuracy under noise")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="lower right")


def _confusion_panel(figure: Figure, axes: Axes, run: xr.Dataset) -> None:
    counts = run["confusion"].values.astype(float)
    share = 100 * counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title("Test samples by class")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    for side in axes.spines.values():
        side.set_visible(False)
    figure.colorbar(image, ax=axes, label="% of the true class", shrink=0.85)


def fig4d_figure(summary: xr.Dataset) -> Figure:
    """Test accuracy against weight noise: mean and standard deviation over seeds.

    Args:
        summary: as `fig4d_summary` returns it; published values, where it has them,
            are drawn as open markers beside.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.4), layout="constrained")
        axes = figure.subplots()
        for i, name in enumerate(summary[NETWORK].values):
            colour = _COLOURS.get(str(name), _OTHERS[i % len(_OTHERS)])
            _curve(axes, summary.sel({NETWORK: name}), str(name), colour)
        lowest = 100 * float((summary["mean"] - summary["sd"].fillna(0)).min())
        axes.set_ylim(20 if lowest > 22 else 0, 102)  # the paper's range, if it fits
        axes.set_xlabel("weight noise, training and test (% of max|w|)")
        axes.set_ylabel("test accuracy (%)")
        axes.legend(loc="lower left")
        axes.set_title(f"Accuracy against weight noise, {summary.attrs['dataset']}")
        n_seeds = int(summary["n_seeds"].max())
        note = f"mean ± sd over {n_seeds} seeds" if n_seeds > 1 else "one seed"
        axes.text(0.99, 0.01, note, transform=axes.transAxes, ha="right", color=INK)
    return figure


def _curve(axes: Axes, line: xr.Dataset, name: str, colour: str) -> None:
    style = {"color": colour, "capsize": 3}
    noise, spread = 100 * line[NOISE], 100 * line["sd"].fillna(0.0)
    axes.errorbar(noise, 100 * line["mean"], spread, fmt="o-", label=name, **style)
    if "published_mean" in line:
        axes.errorbar(
            noise + 0.35,
            100 * line["published_mean"],
            100 * line["published_sd"],
            fmt="s",
            mfc="white",
            label=f"{name} published",
            **style,
        )


def save_figure(figure: Figure, path: Path, ending: str = "png") -> None:
    """Write a figure at 160 dots per inch, without a date, so that equal is equal."""
    dated = {"pdf": {"CreationDate": None}}
    figure.savefig(path, dpi=160, format=ending, metadata=dated.get(ending))
