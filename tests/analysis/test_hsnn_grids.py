import subprocess
import sys
from itertools import product

import pytest

from denram.analysis.hsnn_grids import DENRAM, HSNN, SWEEPS, hardware_grid
from denram.analysis.hsnn_sweep import changes, hsnn_grid
from denram.errors import InputError
from denram.train import resolve

# specification, table of all sweeps: published name, runs, epochs, last seed
TABLE = {
    "hsnn_fig_s2e": ("hSNN_Figure_S2e", 200, 60, 9),
    "hsnn_fig_s2c": ("hSNN_Figure_S2c", 80, 60, 9),
    "hsnn_fig_s2b": ("hSNN_Figure_S2b", 24, 60, 5),
    "hsnn_fig_2c": ("hSNN_Figure_2c", 144, 60, 5),
    "hsnn_fig_2a": ("hSNN_Figure_2a", 80, 60, 4),
    "hsnn_fig_2b": ("hSNN_Figure_2b", 180, 60, 9),
    "hsnn_fig_s2a": ("hSNN_Figure_S2a", 120, 60, 9),
    "hsnn_fig_s4a": ("hSNN_Figure_S4a", 40, 60, 9),
    "hsnn_fig_s4b": ("hSNN_Figure_S4b", 40, 60, 9),
    "hsnn_fig_4b": ("hSNN_Figure_4b", 90, 60, 9),
    "hsnn_fig_4d": ("hSNN_Figure_4d", 70, 60, 9),
    "hsnn_shd_max": ("SHD_hCSNN_max_performance", 10, 100, 9),
    "hsnn_ssc_max": ("SSC_hCSNN_max_performance", 10, 60, 9),
    "hsnn_ssc_hierarchy": ("SSC_hSNN_hierarchy", 10, 60, 4),
    "hsnn_fig_5b": ("hSNN_Figure_5b", 25, 20, 4),
    "hsnn_fig_5c": ("hSNN_Figure_5c", 25, 20, 4),
    "hsnn_fig_6": ("hSNN_Figure_6", 50, 40, 4),
}
CONVOLUTION = {
    "convolution": True,
    "n_hid": 128,
    "timestep": 0.007,
    "dropout_rate": 0.4,
    "l2_lambda": 1e-4,
    "tau_mem": 0.02,
}


@pytest.mark.parametrize("name", TABLE)
def test_a_published_sweep_has_its_runs_epochs_and_seeds(name):
    published, runs, epochs, last = TABLE[name]
    sweep = SWEEPS[name]
    grid = hsnn_grid(sweep, controls=False)
    assert sweep.published_as == published
    assert grid.n_cells == runs
    assert grid.settings["nb_epochs"] == epochs
    assert grid.axes[-1].labels == tuple(range(last + 1))
    assert grid.settings["order_seed"] == 0
    assert grid.settings["model"] == "hsnn"


def test_they_are_all_and_1198_runs():
    named = {name for name, sweep in SWEEPS.items() if sweep.published_as}
    assert named == {*TABLE}
    assert sum(hsnn_grid(SWEEPS[n], controls=False).n_cells for n in TABLE) == 1198


def points(name, *keys, **options):
    """Values of some keys at the points of a sweep, in any order."""
    grid = hsnn_grid(SWEEPS[name], seeds=[0], **options)
    cells = [grid.flags(cell) for cell in grid.cells()]
    return sorted(tuple(flags[key] for key in keys) for flags in cells)


@pytest.mark.parametrize(
    ("name", "axes"),
    [
        (
            "hsnn_fig_s2e",
            {"tanh_coef": [0.1, 0.25, 0.5, 1], "tanh_center": [0, 0.25, 0.5, 0.75, 1]},
        ),
        ("hsnn_fig_s2c", {"delta_tau": [-0.15, -0.1, -0.05, 0, 0.05, 0.1, 0.15, 0.18]}),
        ("hsnn_fig_s2b", {"tau_mem": [0.05, 0.1, 0.2, 0.3]}),
        (
            "hsnn_fig_2c",
            {"n_layers": [3, 4, 5, 6], "n_hid": [32, 64, 128], "delta_tau": [0, 0.15]},
        ),
        (
            "hsnn_fig_2a",
            {
                "n_layers": [3, 4],
                "tau_mem": [0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.6],
            },
        ),
        (
            "hsnn_fig_2b",
            {
                "n_layers": [3, 4],
                "delta_tau": [-0.5, -0.4, -0.2, -0.1, 0, 0.1, 0.2, 0.4, 0.5],
            },
        ),
        (
            "hsnn_fig_s2a",
            {
                "noise_rate": [0.01, 0.05, 0.1, 0.15, 0.2, 0.25],
                "delta_tau": [-0.4, 0.4],
            },
        ),
        ("hsnn_fig_s4a", {"conv_dilation": [3, 5, 12, 24]}),
        ("hsnn_fig_s4b", {"conv_kernel": [3, 5, 7, 9]}),
        ("hsnn_fig_4b", {"delta_ker": [-4, -3, -2, -1, 0, 1, 2, 3, 4]}),
        ("hsnn_fig_4d", {"delta_dil": [-3, -2, -1, 0, 1, 2, 3]}),
        ("hsnn_shd_max", {"use_test_as_valid": [True]}),
        ("hsnn_ssc_max", {"delta_ker": [0], "delta_dil": [0]}),
        ("hsnn_ssc_hierarchy", {"delta_tau": [0, 0.15]}),
        ("hsnn_fig_5b", {"tau_mem": [0.02, 0.05, 0.1, 0.2, 0.5]}),
        ("hsnn_fig_5c", {"delta_tau": [-0.4, -0.2, 0, 0.2, 0.4]}),
        (
            "hsnn_fig_6",
            {
                "delta_tau": [x / 784 for x in (-80, -40, 0, 40, 80)],
                "recurrent": [False, True],
            },
        ),
    ],
)
def test_the_points_are_the_published_ones(name, axes):
    found = points(name, *axes, controls=False)
    expected = sorted(product(*axes.values()))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("hsnn_fig_s2c", {"hierarchy_tau": "tanh", "n_layers": 6, "n_hid": 32}),
        ("hsnn_fig_s2b", {"distrib_tau": "homogeneous", "n_layers": 4, "n_hid": 128}),
        ("hsnn_fig_2a", {"hierarchy_tau": "none", "distrib_tau": "normal"}),
        ("hsnn_fig_2b", {"hierarchy_tau": "tanh", "tau_mem": 0.3, "n_hid": 10}),
        ("hsnn_fig_s2a", {"hierarchy_tau": "linear", "n_layers": 3, "tau_mem": 0.3}),
        ("hsnn_fig_s4a", CONVOLUTION | {"n_layers": 4, "conv_kernel": 5}),
        ("hsnn_fig_s4b", CONVOLUTION | {"n_layers": 4, "conv_dilation": 5}),
        ("hsnn_fig_4b", CONVOLUTION | {"n_layers": 3, "hierarchy_conv": "kernel"}),
        ("hsnn_fig_4d", CONVOLUTION | {"n_layers": 3, "hierarchy_conv": "dilation"}),
        (
            "hsnn_shd_max",
            CONVOLUTION
            | {"delta_ker": 3, "delta_dil": 2, "train_alpha": True, "freq_shift": 10},
        ),
        ("hsnn_ssc_max", CONVOLUTION | {"n_hid": 256, "freq_shift": 10}),
        ("hsnn_ssc_hierarchy", {"n_layers": 5, "n_hid": 128, "timestep": 0.007}),
        ("hsnn_fig_5c", {"hierarchy_tau": "linear", "tau_mem": 0.5, "tau_out": 0.2}),
        ("hsnn_fig_6", {"tau_mem": 50 / 784, "tau_out": 200 / 784, "batch_size": 256}),
        ("hsnn_fig_3", {"train_alpha": True, "n_layers": 6, "l2_alpha_sd": 0.1}),
        ("hsnn_fig_s6", {"recurrent": True, "n_layers": 4, "lr": 1e-3}),
    ],
)
def test_fixed_settings_are_those_of_the_table(name, settings):
    held = hsnn_grid(SWEEPS[name]).settings
    assert {key: held[key] for key in settings} == settings


@pytest.mark.parametrize(
    ("name", "keys", "more"),
    [
        ("hsnn_fig_s2e", ("delta_tau",), [(0.0,)]),
        ("hsnn_shd_max", ("use_test_as_valid",), [(False,)]),
        ("hsnn_ssc_max", ("delta_ker", "delta_dil"), [(3, 2)]),
        ("hsnn_fig_s4a", ("conv_dilation",), [(7,)]),
        ("hsnn_fig_s6_mts", ("w_scale_rule", "tied_init"), [("fan_in", False)]),
    ],
)
def test_controls_are_added_to_the_published_points(name, keys, more):
    plain, all_ = (points(name, *keys, controls=on) for on in (False, True))
    assert sorted([*plain, *more]) == all_


def test_a_store_grows_by_its_controls():
    plain, more = (
        hsnn_grid(SWEEPS["hsnn_shd_max"], controls=on) for on in (False, True)
    )
    assert plain.base == more.base


def test_the_published_decays_come_with_the_preset_alone():
    # specification, bugs 4: 14 ms in every convolution; table: not in SSC's hierarchy
    expected = {"hsnn_fig_4b": 0.014, "hsnn_ssc_max": 0.014, "hsnn_fig_2c": 0.014}
    expected |= {"hsnn_ssc_hierarchy": 0.007, "hsnn_fig_2b": 0.01, "hsnn_fig_5b": 0.02}
    for name, step in expected.items():
        assert "alpha_timestep" not in hsnn_grid(SWEEPS[name]).settings
        grid = hsnn_grid(SWEEPS[name], preset="hsnn-2024")
        assert grid.settings["alpha_timestep"] == step


def test_what_a_user_says_wins():
    sweep = SWEEPS["hsnn_fig_2b"]
    grid = hsnn_grid(
        sweep,
        seeds=[7],
        settings={"nb_epochs": 2, "n_layers": 3, "data_dir": "x"},
        values={"delta_tau": [0, 1]},
        preset="hsnn-2024",
    )
    assert grid.shape == (1, 2, 1)
    assert grid.axes[1].labels == (0.0, 1.0)
    assert [type(label) for label in grid.axes[1].labels] == [float, float]
    assert grid.settings["nb_epochs"] == 2
    assert changes(sweep, grid) == ["nb_epochs 2 (60)"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hsnn_fig_2b", {"settings": {"seed": 1}}, "seed belongs to the axis seed"),
        ("hsnn_fig_4b_iso", {"settings": {"n_hid": 8}}, "n_hid belongs to the axis"),
        ("hsnn_fig_s2e", {"settings": {"tanh_coef": 1.0}}, "belongs to the axis shape"),
        ("hsnn_fig_2b", {"values": {"n_hid": [8, 9]}}, "n_hid must have one value"),
        (
            "hsnn_fig_2b",
            {"values": {"n_layers": [3, 3]}},
            "must not name a value twice",
        ),
    ],
)
def test_a_setting_that_breaks_the_grid_is_refused(name, options, message):
    with pytest.raises(InputError, match=message):
        hsnn_grid(SWEEPS[name], **options)


@pytest.mark.parametrize("preset", [None, "hsnn-2024"])
@pytest.mark.parametrize("name", SWEEPS)
def test_every_point_is_a_valid_configuration(name, preset):
    grid = hsnn_grid(SWEEPS[name], seeds=[0], controls=True, preset=preset)
    for cell in grid.cells():
        config = resolve(grid.flags(cell), preset=preset)
        assert config.model == "hsnn"
        assert config.data.dataset == SWEEPS[name].dataset


def test_families_meet_the_same_errors_one_at_a_time():
    errors = {}
    for part, model in ((HSNN, "hsnn"), (DENRAM, "delays")):
        grid = hardware_grid(part, seeds=[0])
        configs = [resolve(grid.flags(cell)) for cell in grid.cells()]
        assert {config.model for config in configs} == {model}
        errors[part] = {(c.noise.noise_std, c.errors.tau_sigma) for c in configs}
        for config in configs:
            assert config.errors.tau_redrawn == (config.errors.tau_sigma > 0)
    assert errors[HSNN] == errors[DENRAM]
    levels = [(x, 0.0) for x in (0.0, 0.05, 0.1, 0.15, 0.2)]
    assert errors[HSNN] == {*levels, *((0.0, x) for x in (0.1, 0.2, 0.4))}
    with pytest.raises(InputError, match="noise_std is an axis"):
        hardware_grid(HSNN, settings={"noise_std": 0.1})


def test_grids_are_read_without_anything_heavy():
    code = (
        "import sys, denram.analysis.hsnn_grids, denram.cli.analyze;"
        "print([m for m in ('numpy', 'xarray', 'jax', 'matplotlib', 'pandas')"
        " if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
