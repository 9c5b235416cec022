from typing import Any, cast

import numpy as np
import pytest
from hsnn_sweeps import mock
from matplotlib.colors import to_rgba

from denram.analysis import schema
from denram.analysis.hsnn_figures import boost_figure, curves_figure, hardware_figure
from denram.analysis.hsnn_grids import DENRAM, HSNN, SWEEPS, hardware_grid
from denram.analysis.hsnn_layer_figures import spectra_figure, time_constant_figure
from denram.analysis.hsnn_metrics import (
    boost_map,
    hardware_summary,
    point_summary,
    spectra,
    time_constants,
)
from denram.analysis.hsnn_published import hsnn_published, published_layers
from denram.analysis.hsnn_sweep import hsnn_grid
from denram.analysis.run_figures import save_figure


def drawn(name, accuracy, *, data=None, **options):
    """Figure of a made-up sweep."""
    sweep = SWEEPS[name]
    grid = hsnn_grid(sweep, **options)
    held = mock(grid, accuracy, data=data or sweep.data_name)
    summary = point_summary(held, sweep, hsnn_published(name))
    return curves_figure(summary, sweep.plot, name, sweep.data_name)


def lines(axes):
    """Coordinates of every line with data, caps of bars left out."""
    found = [(line, *map(np.asarray, line.get_data())) for line in axes.lines]
    return [(line, x, y) for line, x, y in found if x.size and line.get_marker() != "_"]


def legend(figure):
    """Texts of the legend, wherever it stands."""
    held = figure.axes[0].get_legend() or figure.legends[0]
    return [text.get_text() for text in held.texts]


def test_points_are_percent_over_milliseconds_and_bars_are_the_quantiles():
    figure = drawn("hsnn_fig_s2c", lambda at: 0.8 + 0.01 * at["seed"])
    axes = figure.axes[0]
    # seeds 0 to 9: mean 84.5, quantiles at ranks 1.35 and 7.65
    deltas = [-150, -100, -50, 0, 50, 100, 150, 180]
    points = [(x, y) for _, x, y in lines(axes) if x.size == 8]
    assert any(np.allclose(x, deltas) and np.allclose(y, 84.5) for x, y in points)
    bars = [
        segment
        for held in axes.collections
        for segment in cast(Any, held).get_segments()
    ]
    ends = [segment[:, 1] for segment in bars]
    assert len(ends) == 8
    np.testing.assert_allclose(ends, [(81.35, 87.65)] * 8)
    assert axes.get_xlabel() == "time constant, last minus first layer (ms)"
    assert "mean of 10 seeds, bars 15 to 85 % of them, SHD" in axes.get_title("left")


def test_the_reference_is_a_line_at_the_curves_own_statistic():
    accuracy = {0: 0.9, 1: 0.9, 2: 0.3}
    figure = drawn("hsnn_fig_2b", lambda at: accuracy[at["seed"]], seeds=[0, 1, 2])
    across = [y for _, x, y in lines(figure.axes[0]) if list(x) == [0, 1]]
    assert [tuple(y) for y in across] == [(90, 90), (90, 90)]
    assert "one time constant (reference)" in legend(figure)
    assert "median of 3 seeds" in figure.axes[0].get_title("left")


def test_published_values_are_coloured_on_their_data_and_grey_elsewhere():
    theirs = [79.8, 81.4, 81.3, 82.2, 82.4, 83.9, 85.8, 84.5]
    colours = []
    for data in ("SHD", "shd-regen"):
        figure = drawn("hsnn_fig_s2c", lambda _: 0.8, data=data)
        (line,) = [
            line
            for line, _, y in lines(figure.axes[0])
            if y.size == 8 and np.allclose(y, theirs)
        ]
        colours.append(to_rgba(line.get_color()))
        label = "published (off a plot)" + (", on SHD" if data != "SHD" else "")
        assert label in legend(figure)
    own, elsewhere = (np.ptp(colour[:3]) for colour in colours)
    assert own > 0.3
    assert elsewhere < 0.15


def test_an_invalid_panel_is_crossed_out_and_said_to_be_so():
    figure = drawn("hsnn_fig_s4a", lambda _: 0.8)
    theirs = [y for line, _, y in lines(figure.axes[0]) if line.get_marker() == "x"]
    np.testing.assert_allclose(theirs, [[92.0, 91.1, 91.9, 92.8]])
    assert "published on SHD, invalid" in legend(figure)


def test_lines_are_told_by_colour_and_style():
    figure = drawn("hsnn_fig_2c", lambda at: 0.8 + at["delta_tau"])
    styles = {
        (to_rgba(line.get_color()), line.get_linestyle())
        for line, x, y in lines(figure.axes[0])
        if np.allclose(y, 80) or np.allclose(y, 95)
    }
    assert len(styles) == 6
    solid = [line for line, _, y in lines(figure.axes[0]) if np.allclose(y, 95)]
    assert {line.get_linestyle() for line in solid} == {"-"}
    told = legend(figure)
    assert {"32 neurons", "64 neurons", "128 neurons"} <= {*told}
    assert {"one time constant", "+150 ms from first to last layer"} <= {*told}
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks == ["2", "3", "4", "5"]


def test_kernels_and_weights_stand_beneath_the_axis():
    figure = drawn("hsnn_fig_4b_iso", lambda _: 0.9, seeds=[0])
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks[0] == "-4\n7/3\n102\n533k"
    assert ticks[4] == "0\n5/5\n128\n532k"
    assert figure.axes[0].get_title("left") == "one seed, SHD"
    assert not figure.axes[0].collections


def test_words_are_points_side_by_side():
    figure = drawn("hsnn_shd_max", lambda _: 0.93, controls=True)
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks == ["the test set (published)", "the validation set"]


@pytest.mark.parametrize(
    "name", [n for n, s in SWEEPS.items() if s.plot.kind == "curves"]
)
@pytest.mark.parametrize("share", ["one", "all"])
def test_a_sweep_that_is_done_in_part_is_drawn(name, share, tmp_path):
    sweep = SWEEPS[name]
    grid = hsnn_grid(sweep, seeds=[3], controls=share == "all")
    held = mock(grid, lambda _: 0.9, data="shd-regen")
    if share == "one":
        held["status"][:] = schema.MISSING
        held["status"][(0,) * len(grid.axes)] = schema.DONE
    summary = point_summary(held, sweep, hsnn_published(name))
    figure = curves_figure(summary, sweep.plot, sweep.title, sweep.data_name)
    save_figure(figure, tmp_path / "f.png")
    assert any(np.allclose(y, 90) for _, _, y in lines(figure.axes[0]))


def gain_of(at):
    return 0.8 if at["shape"] == "one time constant" else 0.8 + 0.004 * at["seed"]


def test_a_cell_of_the_map_says_its_gain_and_the_published_one():
    sweep = SWEEPS["hsnn_fig_s2e"]
    held = mock(hsnn_grid(sweep), gain_of)
    gain = boost_map(held, sweep, hsnn_published(sweep.name))
    axes = boost_figure(gain, sweep.title, "SHD").axes[0]
    told = {text.get_position(): text.get_text() for text in axes.texts}
    # median of seeds 0 to 9: 4.5; row 0.5, column 0.5
    assert told[2, 1.9] == "+1.8"
    assert told[2, 2.22] == "(+4.1)"
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0.1", "0.25", "0.5", "1"]
    assert "(published)" in axes.get_title("left")


def test_a_map_without_its_reference_is_drawn_empty(tmp_path):
    sweep = SWEEPS["hsnn_fig_s2e"]
    held = mock(hsnn_grid(sweep, controls=False), gain_of, data="shd-regen")
    gain = boost_map(held, sweep, hsnn_published(sweep.name))
    figure = boost_figure(gain, sweep.title, "SHD")
    save_figure(figure, tmp_path / "f.png")
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"-", "(+4.1)"} <= texts
    assert "(published, on SHD)" in figure.axes[0].get_title("left")


def test_a_layer_shows_its_histogram_median_and_shade():
    sweep = SWEEPS["hsnn_fig_3_mts"]
    values = np.geomspace(0.02, 0.4, 101) * np.array([[0.5], [1.0], [1.2]])
    layers = {schema.TIME_CONSTANT: lambda _: values}
    held = mock(hsnn_grid(sweep, seeds=[0]), lambda _: 0.9, layers=layers)
    found = time_constants(held, published_layers(sweep.name))
    figure = time_constant_figure(found, sweep.title, sweep.data_name)
    assert len(figure.axes) == 3
    for axes, row, theirs in zip(figure.axes, values, (47, 45, 102), strict=True):
        marks = [x[0] for _, x, _ in lines(axes)]
        np.testing.assert_allclose(marks, [1e3 * np.median(row), theirs])
        assert f"median {1e3 * np.median(row):.0f} ms" in axes.texts[0].get_text()
    names = [text.get_text() for text in figure.legends[0].texts]
    assert names == ["35 to 85 % of neurons", "median", "published median, on MTS-XOR"]


def test_spectra_have_a_panel_per_start_and_width_and_a_line_per_layer():
    sweep = SWEEPS["hsnn_fig_s6"]

    def moduli(at):
        values = np.full((3, 128), np.nan)
        values[:, : at["n_hid"]] = np.linspace(1, 0, at["n_hid"])
        return values * np.array([[1.0], [2.0], [3.0]])

    layers = {schema.EIGENVALUE: moduli}
    held = mock(hsnn_grid(sweep, seeds=[0, 1]), lambda _: 0.9, layers=layers)
    figure = spectra_figure(spectra(held), sweep.plot, sweep.title)
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == [
        "published initial weights, 32 neurons",
        "equal initial weights, 32 neurons",
        "published initial weights, 128 neurons",
        "equal initial weights, 128 neurons",
    ]
    for axes, n in zip(figure.axes, (32, 32, 128, 128), strict=True):
        found = [(x.size, y[0]) for _, x, y in lines(axes)]
        assert found == [(n, 1.0), (n, 2.0), (n, 3.0)]


def test_families_are_drawn_against_each_error_from_the_same_start():
    held = {
        part: mock(hardware_grid(part, seeds=[0, 1]), lambda _: 0.8)
        for part in (HSNN, DENRAM)
    }
    figure = hardware_figure(hardware_summary(held), "both")
    noise, spread = figure.axes
    assert [x.size for _, x, _ in lines(noise)] == [5, 5, 5]
    assert [x.size for _, x, _ in lines(spread)] == [4, 4, 4]
    told = [text.get_text() for text in cast(Any, noise.get_legend()).texts]
    assert told == [
        "hSNN, hierarchy of 150 ms",
        "hSNN, one time constant",
        "DenRAM, delays",
    ]
