import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from denram.train.noise import WeightDevices, largest, noisy, straight_through

WEIGHTS = np.random.default_rng(0).standard_normal(4000).astype(np.float32)


def test_noise_is_normal_with_a_fraction_of_the_range_as_its_deviation():
    w = jnp.asarray(np.tile(WEIGHTS, 10))
    found = noisy(w, largest(w), 0.1, key=jax.random.key(0)) - w
    scale = 0.1 * np.abs(WEIGHTS).max()
    assert kstest(np.asarray(found), "norm", (0, scale)).pvalue > 0.01


def test_zero_weights_stay_zero_and_zero_noise_changes_nothing():
    w = jnp.asarray([0.0, 1.0, 0.0, -2.0])
    found = noisy(w, largest(w), 0.5, key=jax.random.key(1))
    assert found[0] == found[2] == 0
    assert found[1] != 1
    np.testing.assert_array_equal(noisy(w, largest(w), 0.0, key=jax.random.key(1)), w)


def test_range_counts_only_the_marked_weights():
    w = jnp.asarray([1.0, -3.0, 2.0])
    assert float(largest(w)) == 3.0
    assert float(largest(w, jnp.asarray([True, False, True]))) == 2.0
    assert float(largest(w, jnp.zeros(3, bool))) == 0.0


def test_every_gradient_passes_straight_through():
    devices = WeightDevices(positive=True, weight_max=1.0, weight_min=0.1, levels=4)
    slope = jnp.asarray(np.random.default_rng(1).standard_normal(50), jnp.float32)
    w = jnp.asarray(WEIGHTS[:50])

    def used(w):
        real = devices.effective(w)
        return jnp.sum(slope * noisy(real, largest(real), 0.2, key=jax.random.key(0)))

    np.testing.assert_array_equal(jax.grad(used)(w), slope)


def test_straight_through_gives_the_realised_value_to_the_bit():
    w, realised = jnp.asarray(WEIGHTS), jnp.asarray(WEIGHTS[::-1].copy())
    np.testing.assert_array_equal(straight_through(w, realised), realised)


def test_unconstrained_devices_change_nothing():
    w = jnp.asarray(WEIGHTS)
    np.testing.assert_array_equal(WeightDevices().effective(w), w)


@given(
    st.booleans(),
    st.integers(2, 20),
    st.floats(0.1, 10),
    st.floats(0, 0.9),
    st.integers(0, 10**6),
)
def test_levels_are_the_nearest_of_an_even_ladder(positive, levels, high, ratio, seed):
    devices = WeightDevices(
        positive=positive, weight_max=high, weight_min=ratio * high, levels=levels
    )
    w = np.random.default_rng(seed).uniform(-2 * high, 2 * high, 60)
    found = np.asarray(devices.effective(jnp.asarray(w, jnp.float32)), np.float64)
    span = high * (1 - ratio)
    if positive:
        ladder = np.linspace(ratio * high, high, levels)
    else:
        ladder = np.linspace(-span, span, 2 * levels - 1)
    nearest = np.abs(w[:, None] - ladder).min(axis=1)
    clipped = np.clip(w, ladder[0], ladder[-1])
    assert np.abs(found[:, None] - ladder).min(axis=1).max() < 1e-5 * high
    assert (np.abs(found - clipped) <= nearest + 1e-4 * high).all() or np.allclose(
        np.abs(found - clipped),
        np.abs(clipped[:, None] - ladder).min(1),
        atol=1e-4 * high,
    )


def test_levels_without_a_range_are_refused():
    with pytest.raises(ValueError, match="weight_max must be set"):
        WeightDevices(levels=4)
