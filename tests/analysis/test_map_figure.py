import numpy as np
import pytest
from matplotlib.patches import StepPatch

from denram.analysis.figures import map_figure
from denram.mapping import MapConfig, build_map, map_histograms


def drawn(n_steps=150, **settings):
    chip = build_map(MapConfig(**{"n_in": 60, **settings}), seed=42, noise_std=0.0)
    dataset = map_histograms(chip, n_steps=n_steps)
    return dataset, map_figure(dataset)


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_curves_are_the_numbers_of_the_dataset():
    dataset, figure = drawn()
    resistance, _, steps = figure.axes
    theory = next(line for line in resistance.lines if line.get_label() == "theory")
    np.testing.assert_allclose(
        np.asarray(theory.get_ydata(), float), 100 * dataset["resistance_theory"]
    )
    stairs = next(patch for patch in steps.patches if isinstance(patch, StepPatch))
    np.testing.assert_allclose(
        np.asarray(stairs.get_data()[0]), 100 * dataset["step_share"]
    )


def test_axes_carry_units_and_the_title_the_key_parameters():
    _, figure = drawn()
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == [
        "resistance (GΩ)",
        "delay $kRC$ before rounding (ms)",
        "delay (steps of 5 ms)",
    ]
    title = figure.get_suptitle()
    for part in ("60 inputs", "20 neurons", "16 delays", "500 GΩ", "0.4", "1 pF", "42"):
        assert part in title


def test_saturated_steps_and_window_are_marked_with_their_share():
    dataset, figure = drawn()
    saturated = 100 * dataset.attrs["saturated_share"]
    beyond = 100 * dataset.attrs["beyond_share"]
    names = legend(figure.axes[2])
    assert f"saturated {saturated:.2f} %" in names
    assert f"beyond window {beyond:.2f} %" in names
    lines = {line.get_label(): line for line in figure.axes[2].lines}
    mark = np.asarray(lines[f"beyond window {beyond:.2f} %"].get_xdata(), float)
    assert mark.tolist() == [149.5, 149.5]


def test_nothing_is_called_saturated_where_nothing_is():
    _, figure = drawn(delay_distribution="uniform")
    assert not any("saturated" in name for name in legend(figure.axes[2]))


@pytest.mark.parametrize(
    "settings",
    [
        {"delay_distribution": "pattern", "max_delay": 0},
        {"r_std": 3.0},
        {"max_delay": 1_000_000},
        {"n_in": 1, "n_out": 1, "n_delays": 1},
        {"r_std": 0.0},
    ],
)
def test_unusual_maps_are_laid_out_without_a_warning(settings, tmp_path):
    dataset, figure = drawn(**settings)
    figure.savefig(tmp_path / "map.png", dpi=50)
    low, high = figure.axes[0].get_xlim()
    assert low <= dataset.attrs["mean_ohm"] / 1e9 <= high or "r_std" in settings
