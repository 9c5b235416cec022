"""Figures of runs and sweeps: a labelled dataset in, a figure out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from denram.analysis.figures import INK, LAW, LOST, MUTED, STYLE
from denram.analysis.schema import NETWORK, NOISE, TEST_LEVEL

# the paper's colours: D1 green, D2 olive
_COLOURS = {"D1": "#2e7d32", "D2": "#8d8a1f"}
_OTHERS = (LAW, "#d98f2b", "#7a3b69", "#4f8a8b")
_PADDED: dict[Any, Any] = {
    f"figure.constrained_layout.{side}_pad": 0.1 for side in "wh"
}
_MOST_LABELS = 12  # noise levels that are named one by one


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


def fig4d_figure(summary: xr.Dataset, matrix: xr.Dataset | None = None) -> Figure:
    """Test accuracy against weight noise, its distance to the published, and transfer.

    The first panel has means and their 95 % confidence intervals over seeds; the second
    the differences to the published values, where there are any; then one per network
    with the accuracy at every noise level of the test.

    Args:
        summary: as `fig4d_summary` returns it.
        matrix: as `noise_matrix` returns it, or None.
    """
    panels: list[Callable[[Axes], None]] = [partial(_curves_panel, summary=summary)]
    if "difference" in summary and summary["difference"].notnull().any():
        panels.append(partial(_difference_panel, summary=summary))
    if matrix is not None and matrix["mean"].notnull().any():
        scale = _colour_scale(matrix)
        for name in matrix[NETWORK].values:
            part = matrix.sel({NETWORK: name})
            panels.append(partial(_matrix_panel, part=part, name=name, scale=scale))
    columns = {1: 1, 2: 2, 4: 2}.get(len(panels), 3)
    rows = -(-len(panels) // columns)
    with mpl.rc_context(STYLE | _PADDED):
        size = (5.6 * columns + 0.8 * (columns == 1), 4.4 * rows)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, draw in zip(grid, panels, strict=False):
            draw(axes)
        for axes in grid[len(panels) :]:
            axes.remove()
    return figure


def _curves_panel(axes: Axes, summary: xr.Dataset) -> None:
    shown = ["", "published_"] if "published_mean" in summary else [""]
    series = [(name, kind) for name in summary[NETWORK].values for kind in shown]
    lowest = 100.0
    for (name, kind), shift in zip(series, _shifts(summary, len(series)), strict=True):
        line = summary.sel({NETWORK: name})
        mean, half = 100 * line[f"{kind}mean"], 100 * line[f"{kind}ci95"].fillna(0)
        if mean.notnull().any():
            lowest = min(lowest, float((mean - half).min()))
            look: dict[str, Any] = (
                {"fmt": "s", "mfc": "white"} if kind else {"fmt": "o-"}
            )
            label = f"{name} published" if kind else str(name)
            look |= {"color": _colour(summary, name), "label": label}
            _points(axes, 100 * line[NOISE] + shift, mean, half, look)
    axes.set_ylim(20 if lowest > 22 else 0, 102)  # the paper's range, if it fits
    axes.set_ylabel("test accuracy (%)")
    data = summary.attrs.get("dataset") or "no cell done"
    axes.set_title(f"Accuracy against weight noise, {data}")
    _noise_axis(axes, summary)
    if axes.has_data():
        _legend(axes, _interval_note(summary), "lower left" if lowest > 55 else "best")


def _difference_panel(axes: Axes, summary: xr.Dataset) -> None:
    there = summary["difference"].notnull().any(NOISE)
    names = summary[NETWORK].values[there.values]
    axes.axhline(0, color=MUTED, lw=0.8)
    for name, shift in zip(names, _shifts(summary, len(names)), strict=True):
        line = summary.sel({NETWORK: name})
        height, half = 100 * line["difference"], 100 * line["difference_ci95"]
        look = {"fmt": "o", "color": _colour(summary, name), "label": str(name)}
        _points(axes, 100 * line[NOISE] + shift, height, half.fillna(0), look)
    axes.set_ylabel("difference (percentage points)")
    axes.set_title("Difference to the published means")
    _noise_axis(axes, summary)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -1), max(high, 1))
    several = bool(summary["difference_ci95"].notnull().any())
    _legend(axes, "95 % CI (Welch)" if several else "one seed: no interval")


def _points(
    axes: Axes,
    at: xr.DataArray,
    height: xr.DataArray,
    half: xr.DataArray,
    look: dict[str, Any],
) -> None:
    """Points with bars, in %; no bar where there is no interval."""
    bars = np.where(half > 0, half, np.nan) if (half > 0).any() else None
    style = {"capsize": 3, "ms": 5, "elinewidth": 1, **look}
    axes.errorbar(at.values, height.values, bars, **style)


def _legend(axes: Axes, title: str, loc: Any = "best") -> None:
    legend = axes.legend(title=title, alignment="left", title_fontsize=8, loc=loc)
    legend.get_title().set_color(INK)


def _interval_note(summary: xr.Dataset) -> str:
    n_seeds = summary["n_seeds"].values
    most, least = int(n_seeds.max()), int(n_seeds[n_seeds > 0].min(initial=10**9))
    if most <= 1:
        theirs = "; published: 95 % CI" if "published_mean" in summary else ""
        return ("one seed: no interval" if most else "no cell done") + theirs
    count = str(most) if least == most else f"{least} to {most}"
    return f"mean and its 95 % CI over {count} seeds"


def _shifts(summary: xr.Dataset, n: int) -> np.ndarray:
    """Sideways, in %, so that the bars of n series do not cover one another."""
    level = 100 * summary[NOISE].values
    step = np.diff(level).min() if level.size > 1 else 1.0
    return (np.arange(n) - (n - 1) / 2) * min(0.08, 0.5 / n) * step


def _noise_axis(axes: Axes, summary: xr.Dataset) -> None:
    level = 100 * summary[NOISE].values
    if level.size <= _MOST_LABELS:
        axes.set_xticks(level, [f"{x:.3g}" for x in level])
    margin = 0.06 * (level[-1] - level[0]) or 1.0
    axes.set_xlim(level[0] - margin, level[-1] + margin)
    axes.set_xlabel("weight noise, training and test (% of max|w|)")


def _colour(summary: xr.Dataset, name: Any) -> str:
    place = list(summary[NETWORK].values).index(name)
    return _COLOURS.get(str(name), _OTHERS[place % len(_OTHERS)])


def _colour_scale(matrix: xr.Dataset) -> tuple[float, float]:
    """In %, the same for all networks; wide enough that little differs little."""
    low, high = (float(x) for x in (matrix["mean"].min(), matrix["mean"].max()))
    middle, half = 50 * (low + high), max(50 * (high - low), 5.0)
    return middle - half, middle + half


def _matrix_panel(
    axes: Axes, part: xr.Dataset, name: Any, scale: tuple[float, float]
) -> None:
    share = 100 * part["mean"].transpose(NOISE, TEST_LEVEL).values
    levels = [100 * part[dim].values for dim in (NOISE, TEST_LEVEL)]
    colours = mpl.colormaps["Blues"].with_extremes(bad="#ececec")
    image = axes.imshow(share, colours, vmin=scale[0], vmax=scale[1], aspect="auto")
    written = max(share.shape) <= _MOST_LABELS
    for (i, j), value in np.ndenumerate(share):
        if written and np.isfinite(value):
            dark = value > scale[0] + 0.6 * (scale[1] - scale[0])
            colour, text = "white" if dark else INK, f"{value:.1f}"
            axes.text(j, i, text, fontsize=8, ha="center", va="center", color=colour)
        if np.isclose(levels[0][i], levels[1][j]):
            frame = Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, ec=LOST, lw=1.4)
            axes.add_patch(frame).set_clip_on(False)
    for axis, level in zip((axes.yaxis, axes.xaxis), levels, strict=True):
        every = -(-level.size // _MOST_LABELS)
        axis.set_ticks(
            range(0, level.size, every), [f"{x:.3g}" for x in level[::every]]
        )
    if not written:
        axes.figure.colorbar(image, ax=axes)
    axes.set_xlabel("weight noise in the test (% of max|w|)")
    axes.set_ylabel("weight noise in training (% of max|w|)")
    axes.set_title(f"{name}: test accuracy (%), framed: equal noise in both")
    axes.spines[:].set_visible(False)


def save_figure(figure: Figure, path: Path, ending: str = "png") -> None:
    """Write a figure at 160 dots per inch, without a date, so that equal is equal."""
    dated = {"pdf": {"CreationDate": None}}
    figure.savefig(path, dpi=160, format=ending, metadata=dated.get(ending))
