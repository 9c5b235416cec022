import dataclasses
import math

import numpy as np
import psutil
import pytest

from denram.errors import DenRAMWarning, InputError
from denram.mapping import HardwareMap, MapConfig, build_map

SMALL = MapConfig(n_in=6, n_out=3, n_delays=4, g_min=1e-6, g_max=1e-4, weight_levels=8)


@pytest.fixture(scope="module")
def chip():
    return build_map(SMALL, seed=42, noise_std=0.1)


def test_steps_are_the_delays_rounded_half_to_even_and_clipped():
    chip = build_map(MapConfig(n_in=30, r_std=0.9), seed=1, noise_std=0.0)
    by_hand = [min(round(t / 0.005), 200) for t in chip.delay_s.ravel()]
    assert chip.delay_steps.ravel().tolist() == by_hand
    too_long = [round(t / 0.005) > 200 for t in chip.delay_s.ravel()]
    assert chip.saturated.ravel().tolist() == too_long


def test_delays_are_resistance_times_capacitance(chip):
    np.testing.assert_allclose(chip.delay_s, chip.resistance_ohm * 1e-12, rtol=1e-15)


def test_a_dataset_carries_dims_units_and_the_whole_configuration(chip):
    dataset = chip.to_dataset()
    assert dict(dataset.sizes) == {"post": 3, "pre": 6, "tap": 4}
    assert dataset["resistance_ohm"].attrs["units"] == "ohm"
    assert dataset["delay_s"].attrs["units"] == "s"
    assert all("long_name" in dataset[name].attrs for name in dataset.variables)
    assert dataset.attrs["seed"] == 42
    assert '"r_mu": 500000000000.0' in dataset.attrs["config"]
    assert '"numpy"' in dataset.attrs["versions"]


@pytest.mark.parametrize("g", [(1e-6, 1e-4), (None, None)])
def test_from_dataset_undoes_to_dataset(g):
    config = MapConfig(n_in=3, n_out=2, g_min=g[0], g_max=g[1])
    chip = build_map(config, seed=7, noise_std=0.2)
    back = HardwareMap.from_dataset(chip.to_dataset())
    for field in dataclasses.fields(HardwareMap):
        np.testing.assert_equal(getattr(back, field.name), getattr(chip, field.name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delay_steps": np.full((3, 6, 4), 201, np.int32)}, r"in \[0, 200\], got 201"),
        ({"delay_steps": np.full((3, 6, 4), -1, np.int32)}, r"delay_steps must be in"),
        ({"delay_steps": np.zeros((3, 6), np.int32)}, "must be .post, pre, tap."),
        ({"delay_steps": np.zeros((3, 0, 4), np.int32)}, "must be .post, pre, tap."),
        ({"delay_s": np.full((3, 6, 4), np.nan)}, "delay_s must be finite"),
        ({"resistance_ohm": np.zeros((3, 6, 4))}, "resistance_ohm must be finite"),
        ({"resistance_ohm": np.full((3, 6, 4), np.inf)}, "finite and > 0"),
        ({"resistance_ohm": np.ones((3, 6, 5))}, "resistance_ohm must be float64"),
        ({"mask": np.ones((3, 6, 4), np.int8)}, "mask must be bool"),
        ({"mask": np.zeros((3, 6, 4), bool)}, "mask must hold at least one device"),
        ({"timestep_s": 0.0}, "timestep_s must be > 0"),
        ({"timestep_s": math.nan}, "timestep_s must be > 0"),
        ({"noise_std": -0.1}, "noise_std must be >= 0"),
        ({"noise_std": math.inf}, "noise_std must be >= 0"),
        ({"g_min_siemens": 1e-3}, "0 < g_min < g_max"),
        ({"g_min_siemens": math.nan}, "0 < g_min < g_max"),
        ({"weight_levels": 1}, "weight_levels must be 0"),
    ],
)
def test_a_map_that_no_chip_can_be_is_refused(chip, change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(chip, **change)


def test_a_missing_variable_or_attribute_is_named(chip):
    dataset = chip.to_dataset()
    with pytest.raises(InputError, match="a map must hold mask"):
        HardwareMap.from_dataset(dataset.drop_vars("mask"))
    del dataset.attrs["seed"]
    with pytest.raises(InputError, match="a map must hold seed"):
        HardwareMap.from_dataset(dataset)


def test_a_chip_whose_delays_mostly_saturate_warns_with_the_share():
    # R C = 5 s against a longest delay of 1.0025 s: P(z > ln(0.2172) / 0.4) = 99.99 %
    with pytest.warns(DenRAMWarning, match=r"^(99|100)\.\d % of the delays saturate"):
        build_map(MapConfig(n_in=50, r_mu=5e12), seed=0, noise_std=0.0)


def test_a_map_that_cannot_fit_is_refused_before_anything_is_allocated():
    before = psutil.Process().memory_info().rss
    with pytest.raises(InputError, match=r"a map of 1000000000 inputs .* GB of memory"):
        build_map(MapConfig(n_in=10**9), seed=0, noise_std=0.0)
    assert psutil.Process().memory_info().rss - before < 50e6


@pytest.mark.parametrize(
    "config",
    [
        MapConfig(n_in=4, r_mu=1e150, cap=1e150, threshold_factor=1e150),
        MapConfig(n_in=4, sampler="jax-legacy", r_mu=1e60),
        MapConfig(n_in=4, delay_distribution="uniform", timestep=1e150, cap=1e-200),
    ],
)
def test_physics_outside_double_precision_is_refused_in_words(config):
    with pytest.raises(InputError, match="must be"):
        build_map(config, seed=0, noise_std=0.0)
