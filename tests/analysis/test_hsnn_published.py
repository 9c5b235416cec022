import numpy as np
import pytest

from denram.analysis.hsnn_grids import SWEEPS
from denram.analysis.hsnn_published import (
    INVALID,
    PLOT,
    RELEASED,
    hsnn_published,
    published_layers,
)

NAMES = [name for name in SWEEPS if hsnn_published(name)]


@pytest.mark.parametrize("name", NAMES)
def test_every_value_has_a_source_and_lies_on_axes_of_its_sweep(name):
    sweep = SWEEPS[name]
    axes = {key for axis in sweep.axes for key in (axis.name, *axis.keys)}
    for values in hsnn_published(name):
        assert values.attrs["kind"] in {RELEASED, PLOT, INVALID}
        assert values.attrs["source"]
        assert {*values.dims} - {"seed"} <= axes
        assert ((values > 0) & (values < 1)).all()


def test_figure_2c_is_that_of_the_notebook():
    (values,) = hsnn_published("hsnn_fig_2c")
    # specification, expected results: hidden layers 2 to 5
    for at, mean, sd in (
        ((32, 0.15), [81.89, 85.60, 84.82, 85.79], [1.89, 1.18, 1.67, 1.72]),
        ((32, 0.0), [79.77, 81.18, 82.67, 82.23], [1.31, 1.35, 2.10, 1.56]),
        ((128, 0.15), [86.06, 87.26, 88.08, 88.28], [1.31, 2.13, 0.64, 0.80]),
        ((128, 0.0), [82.18, 85.19, 86.36, 85.97], [1.02, 2.09, 1.35, 0.55]),
    ):
        line = values.sel(n_hid=at[0], delta_tau=at[1]).sel(n_layers=[3, 4, 5, 6])
        np.testing.assert_allclose(100 * line, mean)
        np.testing.assert_allclose(100 * line["sd"], sd)


def test_the_largest_published_gain_is_the_abstracts():
    (gain,) = hsnn_published("hsnn_fig_s2e")
    assert float(gain.max()) == pytest.approx(0.041)
    assert float(gain.sel(tanh_coef=0.5, tanh_center=0.5)) == float(gain.max())
    assert float(gain.sel(tanh_coef=0.25, tanh_center=0.75)) == 0.021
    assert float(gain.min()) == 0.021


@pytest.mark.parametrize(
    ("name", "at", "percent"),
    [
        ("hsnn_fig_s2c", {"delta_tau": 0.15}, 85.8),
        ("hsnn_fig_2a", {"n_layers": 4, "tau_mem": 0.2}, 89),
        ("hsnn_fig_2a", {"n_layers": 3, "tau_mem": 0.1}, 61),
        ("hsnn_fig_2b", {"n_layers": 3, "delta_tau": -0.4}, 77.4),
        ("hsnn_fig_2b", {"n_layers": 4, "delta_tau": 0.5}, 95.8),
        ("hsnn_fig_4b", {"delta_ker": 4}, 92.2),
        ("hsnn_fig_4d", {"delta_dil": 2}, 92.1),
        ("hsnn_fig_s4b", {"conv_kernel": 5}, 92.8),
        ("hsnn_shd_max", {"use_test_as_valid": False}, 94.12),
        ("hsnn_ssc_max", {"kernels": "hierarchy"}, 79.20),
        ("hsnn_ssc_hierarchy", {"delta_tau": 0.15}, 73.07),
    ],
)
def test_single_values_are_those_of_the_specification(name, at, percent):
    assert 100 * float(hsnn_published(name)[0].sel(at)) == pytest.approx(percent)


def test_the_dilation_panel_is_marked_invalid_and_says_why():
    (values,) = hsnn_published("hsnn_fig_s4a")
    assert values.attrs["kind"] == INVALID
    assert "kernel sweep's results" in values.attrs["source"]
    others = [hsnn_published(name) for name in NAMES if name != "hsnn_fig_s4a"]
    assert all(v.attrs["kind"] != INVALID for found in others for v in found)


def test_single_runs_are_kept_by_seed():
    runs = hsnn_published("hsnn_fig_2b")[1].sel(n_layers=3, delta_tau=0.4)
    assert runs["seed"].values.tolist() == [0, 1, 2, 3, 4]
    # the failed seed
    assert float(runs.sel(seed=4)) == pytest.approx(0.826)
    recurrent = hsnn_published("hsnn_fig_s6_mts")[0]
    assert float(recurrent.max()) == pytest.approx(0.9033)
    assert recurrent.sizes["seed"] == 10


def test_layer_medians_are_in_seconds():
    layers = published_layers("hsnn_fig_3")
    assert layers is not None
    assert layers.values.tolist() == [0.097, 0.186, 0.189, 0.247, 0.304]
    assert published_layers("hsnn_fig_2a") is None
