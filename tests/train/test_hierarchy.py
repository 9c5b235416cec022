import jax
import numpy as np
import pytest
from scipy import stats

from denram.errors import InputError
from denram.train.hierarchy import (
    dilations,
    kernel_sizes,
    layer_tau,
    spread_tau,
    tau_range,
)


@pytest.mark.parametrize(
    ("n_hidden", "expected_ms"),
    [
        (2, [25, 175]),
        (3, [25, 100, 175]),
        (4, [25, 68.3, 131.7, 175]),
        (5, [25, 54.5, 100, 145.5, 175]),
    ],
)
def test_tanh_hierarchies_are_the_published_ones(n_hidden, expected_ms):
    tau = layer_tau("tanh", n_hidden, tau_mem=0.1, delta_tau=0.15)
    np.testing.assert_allclose(1e3 * tau, expected_ms, atol=0.05)


def test_other_hierarchies():
    mts = layer_tau("tanh", 3, tau_mem=0.3, delta_tau=0.4)
    np.testing.assert_allclose(mts, [0.1, 0.3, 0.5], atol=1e-12)
    turned = layer_tau("linear", 3, tau_mem=0.3, delta_tau=-0.4)
    np.testing.assert_allclose(turned, [0.5, 0.3, 0.1], atol=1e-12)
    alike = layer_tau("none", 3, tau_mem=0.3, delta_tau=0.4)
    np.testing.assert_array_equal(alike, 0.3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "tanh", "n_hidden": 1}, r"n_layers must be >= 3 .*tanh, got 2"),
        ({"delta_tau": 0.61}, r"delta_tau must leave .* got 0.61 s: layer 1"),
        ({"delta_tau": 0.6}, r"layer 1 would have 0 s"),
        ({"delta_tau": -0.7}, r"layer 3 would have -0.05 s"),
    ],
)
def test_a_hierarchy_that_cannot_be_is_refused(settings, message):
    given = {"kind": "linear", "n_hidden": 3, "tau_mem": 0.3, "delta_tau": 0.1}
    given |= settings
    with pytest.raises(InputError, match=message):
        layer_tau(given.pop("kind"), given.pop("n_hidden"), **given)


def test_kernels_are_the_published_ones_for_two_hidden_layers():
    expected = {-4: [7, 3], -3: [6, 3], -2: [6, 4], -1: [5, 4], 0: [5, 5]}
    expected |= {1: [4, 5], 2: [4, 6], 3: [3, 6], 4: [3, 7]}
    assert {d: kernel_sizes(5, d, 2) for d in range(-4, 5)} == expected
    assert kernel_sizes(1, 8, 2) == [1, 5]  # never less than one tap


def test_dilations_are_the_published_ones_for_two_hidden_layers():
    expected = {-3: [6, 3], -2: [6, 4], -1: [5, 4], 0: [5, 5]}
    expected |= {1: [4, 5], 2: [4, 6], 3: [3, 6]}
    assert {d: dilations(5, d, 2) for d in range(-3, 4)} == expected
    with pytest.raises(InputError, match="delta_dil must leave every dilation >= 1"):
        dilations(1, 3, 2)
    with pytest.raises(InputError, match=r"n_layers must be >= 3 .*, got 2"):
        dilations(5, 1, 1)
    with pytest.raises(InputError, match=r"n_layers must be >= 3 .*, got 2"):
        kernel_sizes(5, 1, 1)


LAWS = {
    "uniform": stats.uniform(0.08, 0.04),
    "normal": stats.norm(0.1, 0.02),
    "lognormal": stats.lognorm(0.2, scale=0.1),
}


@pytest.mark.parametrize("kind", LAWS)
def test_neurons_spread_by_their_law(kind):
    tau = spread_tau(0.1, 20_000, kind=kind, sd=0.2, key=jax.random.key(1))
    assert stats.kstest(np.asarray(tau), LAWS[kind].cdf).pvalue > 0.01


def test_a_homogeneous_layer_has_one_time_constant_and_none_is_below_zero():
    key = jax.random.key(0)
    tau = spread_tau(0.1, 5, kind="homogeneous", sd=0.2, key=key)
    np.testing.assert_allclose(tau, 0.1)
    wide = spread_tau(0.1, 1000, kind="normal", sd=1.0, key=key)
    assert np.asarray(wide).min() == pytest.approx(1e-10)


def test_a_cap_of_the_decay_is_a_cap_of_the_time_constant():
    """Spec: 0.98 is 693 ms for 14 ms steps, 495 for 10; 0.1 is 6.1 ms for 14."""
    low, high = tau_range((0.1, 0.98), 0.014)
    assert (1e3 * low, 1e3 * high) == pytest.approx((6.08, 693.0), abs=0.05)
    assert 1e3 * tau_range((0.1, 0.98), 0.010)[1] == pytest.approx(495.0, abs=0.05)
