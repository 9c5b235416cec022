import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.patches import Rectangle

from denram.analysis import fig4d_published, fig4d_summary, schema
from denram.analysis.metrics import noise_matrix
from denram.analysis.run_figures import fig4d_figure, save_figure, training_figure

TWO = (0.8, 0.9)  # accuracies of two seeds; mean 85 %, t(0.975, 1) = 12.706


def _two_seeds() -> xr.Dataset:
    sweep = schema.mock(n_seeds=2)
    sweep["test_accuracy"].values[:] = np.array(TWO)[:, None]
    return sweep


def _legend(axes):
    legend = axes.get_legend()
    return legend.get_title().get_text(), sorted(t.get_text() for t in legend.texts)


def _bars(axes):
    """Lower and upper ends of every bar that is drawn, in figure order."""
    ends = [s[:, 1] for bars in axes.collections for s in bars.get_segments() if len(s)]
    return [tuple(pair) for pair in ends if np.isfinite(pair).all()]


def test_figure_shows_each_network_and_the_published_points():
    axes = fig4d_figure(fig4d_summary(schema.mock(), fig4d_published())).axes[0]
    title, labels = _legend(axes)
    assert labels == ["D1", "D1 published", "D2", "D2 published"]
    assert title == "mean and its 95 % CI over 3 seeds"
    assert axes.get_ylim() == (20, 102)
    drawn = [np.asarray(line.get_ydata()) for line in axes.lines]
    assert any(y.size == 5 and np.allclose(y, 80.0) for y in drawn)
    # the paper's D1
    expected = [90.11, 89.73, 87.20, 83.10, 78.42]
    assert any(y.size == 5 and np.allclose(y, expected, atol=0.006) for y in drawn)


def test_bars_are_the_confidence_interval():
    axes = fig4d_figure(fig4d_summary(_two_seeds())).axes[0]
    # 85 ± t s / sqrt(2), where s = 10 / sqrt(2), by hand
    half = 12.7062 * 10 / 2
    bars = _bars(axes)
    assert len(bars) == 10
    np.testing.assert_allclose(bars, [(85 - half, 85 + half)] * 10, rtol=1e-5)


def test_one_seed_has_points_and_no_bars():
    axes = fig4d_figure(fig4d_summary(schema.mock(n_seeds=1))).axes[0]
    assert _bars(axes) == []
    assert _legend(axes) == ("one seed: no interval", ["D1", "D2"])


def test_differences_are_in_percentage_points_about_a_zero_line():
    summary = fig4d_summary(_two_seeds(), fig4d_published())
    axes = fig4d_figure(summary).axes[1]
    assert "percentage points" in axes.get_ylabel()
    drawn = [np.asarray(line.get_ydata()) for line in axes.lines]
    assert any(np.array_equal(y, [0, 0]) for y in drawn)
    expected = 85 - np.array([90.11, 89.73, 87.20, 83.10, 78.42])
    assert any(y.size == 5 and np.allclose(y, expected, atol=0.006) for y in drawn)
    low, high = axes.get_ylim()
    assert all(low <= y <= high for bar in _bars(axes) for y in bar)


def test_a_cell_of_the_matrix_says_what_it_holds():
    sweep = schema.mock()
    sweep["test_accuracy_at"].loc[
        {"network": "D1", "noise_std": 0.1, "scored_noise_std": 0.2}
    ] = 0.4321
    summary, matrix = fig4d_summary(sweep), noise_matrix(sweep)
    first, second = fig4d_figure(summary, matrix).axes[1:]
    assert first.get_title("left").startswith("D2")
    assert {text.get_text() for text in first.texts} == {"80.0"}
    # columns are test levels, rows training levels
    odd = [t.get_position() for t in second.texts if t.get_text() == "43.2"]
    assert odd == [(4, 2)]
    assert [t.get_text() for t in second.get_xticklabels()] == "0 5 10 15 20".split()
    frames = [p.get_xy() for p in second.patches if isinstance(p, Rectangle)]
    assert frames == [(i - 0.5, i - 0.5) for i in range(5)]


@pytest.mark.parametrize(
    ("published", "matrix", "panels"),
    [(False, False, 1), (True, False, 2), (False, True, 3), (True, True, 4)],
)
def test_there_is_a_panel_for_what_there_is_and_no_empty_one(published, matrix, panels):
    sweep = schema.mock()
    summary = fig4d_summary(sweep, fig4d_published() if published else None)
    figure = fig4d_figure(summary, noise_matrix(sweep) if matrix else None)
    assert len(figure.axes) == panels
    assert all(axes.has_data() for axes in figure.axes)


def test_a_sweep_with_nothing_done_shows_the_published_points_alone():
    sweep = schema.mock()
    sweep["status"][:] = schema.MISSING
    summary = fig4d_summary(sweep, fig4d_published())
    figure = fig4d_figure(summary, noise_matrix(sweep))
    assert len(figure.axes) == 1
    assert _legend(figure.axes[0])[1] == ["D1 published", "D2 published"]


def test_many_levels_have_a_colour_bar_instead_of_numbers():
    sweep = schema.mock().isel(noise_std=[0] * 20, scored_noise_std=[0] * 20)
    levels = np.linspace(0, 0.2, 20)
    sweep = sweep.assign_coords(noise_std=levels, scored_noise_std=levels)
    figure = fig4d_figure(fig4d_summary(sweep), noise_matrix(sweep))
    assert len(figure.axes) == 5
    assert not figure.axes[1].texts
    assert len(figure.axes[1].get_xticks()) <= 12


@pytest.mark.parametrize(("accuracy", "limits"), [(0.07, (0, 102)), (0.6, (20, 102))])
def test_figure_hides_no_point_below_the_papers_range(accuracy, limits):
    axes = fig4d_figure(fig4d_summary(schema.mock(accuracy=accuracy))).axes[0]
    assert axes.get_ylim() == limits


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_equal_data_give_equal_files(tmp_path, ending):
    for name in ("one", "two"):
        sweep = _two_seeds()
        summary = fig4d_summary(sweep, fig4d_published())
        figure = fig4d_figure(summary, noise_matrix(sweep))
        save_figure(figure, tmp_path / name, ending)
    one, two = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert one == two


def _run() -> xr.Dataset:
    curve = ("epoch", np.array([0.1, 0.3, 0.2]))
    return xr.Dataset(
        {
            "train_loss": ("epoch", np.array([3.0, 2.0, 1.0])),
            "train_accuracy": curve,
            "valid_accuracy": ("epoch", np.array([0.2, 0.5, 0.4])),
            "test_accuracy": ("draw", np.array([0.4, 0.6])),
            "confusion": (
                ("true_class", "predicted_class"),
                np.array([[3, 1], [0, 0]]),
            ),
        },
        {"epoch": [0, 1, 2]},
        {"dataset": "made up", "protocol": "none", "best_epoch": 1},
    )


def test_training_figure_shows_the_curves_of_the_run():
    loss, accuracy, confusion = training_figure(_run()).axes[:3]
    np.testing.assert_array_equal(np.asarray(loss.lines[0].get_ydata()), [3, 2, 1])
    np.testing.assert_allclose(np.asarray(accuracy.lines[1].get_ydata()), [20, 50, 40])
    assert "test 50.0 %" in _legend(accuracy)[1]
    # one row of four samples; the class without samples is 0, not NaN
    np.testing.assert_array_equal(confusion.images[0].get_array(), [[75, 25], [0, 0]])


def test_figures_and_tables_need_no_trainer_and_no_scipy_stats():
    code = (
        "import sys, denram.analysis.run_figures, denram.analysis.metrics;"
        "import denram.analysis.compare, denram.cli.compare;"
        "print([m for m in ('jax', 'scipy.stats', 'denram.train', 'denram.mapping',"
        " 'denram.devices') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
