import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from denram.train.regularisers import (
    alpha_penalty,
    alpha_spread,
    dropout,
    norm,
    rate_penalty,
    squared,
    unsquared,
)

TREE = {"a": jnp.asarray([[3.0, 0.0], [0.0, 4.0]]), "b": jnp.asarray([12.0])}


def test_norms_of_a_tree_are_those_of_one_long_vector():
    assert float(squared(TREE)) == pytest.approx(169.0)
    assert float(unsquared(TREE)) == pytest.approx(13.0)


def test_the_norm_of_nothing_has_a_gradient():
    """The published one is NaN there (all decays alike, spread 0)."""
    np.testing.assert_array_equal(jax.grad(norm)(jnp.zeros(3)), 0.0)
    found = jax.grad(lambda a: alpha_spread([a]))(jnp.full(4, 0.9))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(jax.grad(norm)(jnp.asarray([3.0, 4.0])), [0.6, 0.8])


def test_penalties_on_decays_are_the_published_formulas():
    alphas = [np.array([0.90, 0.96], np.float32), np.array([0.99, 0.5], np.float32)]
    over = 0.1 * np.hypot(0.01, 0.04)
    spread = sum(np.linalg.norm(a - a.mean()) for a in alphas)
    held = [jnp.asarray(a) for a in alphas]
    assert float(alpha_penalty(held)) == pytest.approx(over, rel=1e-4)
    assert float(alpha_spread(held)) == pytest.approx(spread, rel=1e-5)


def test_rates_are_spikes_per_neuron_and_sample():
    one = np.zeros((10, 2, 3), np.float32)
    one[:4] = 1.0  # 4 spikes of each of 3 neurons
    two = np.zeros((10, 2, 1), np.float32)
    two[:8, 0] = 1.0  # 8 and 0
    found = rate_penalty([jnp.asarray(one), jnp.asarray(two)], 12.0)
    assert float(found) == pytest.approx((12.0 - 4.0) ** 2)


@pytest.mark.parametrize("rate", [0.1, 0.4])
@pytest.mark.parametrize("n", [30_000, 30_001])
def test_dropout_keeps_the_mean_and_drops_independently(rate, n):
    z = jnp.full((n,), 2.0)
    found = np.asarray(dropout(z, rate, key=jax.random.key(3)))
    dropped = found == 0.0
    assert stats.binomtest(int(dropped.sum()), n, rate).pvalue > 0.01
    np.testing.assert_allclose(found[~dropped], 2.0 / (1.0 - rate), rtol=1e-4)
    half = n // 2  # values that share a random word are independent too
    both = int((dropped[:half] & dropped[half : 2 * half]).sum())
    assert stats.binomtest(both, half, rate**2).pvalue > 0.01


def test_dropout_of_nothing_is_the_identity_and_backward_uses_the_same_mask():
    z = jax.random.normal(jax.random.key(0), (50, 40))
    assert dropout(z, 0.0, key=jax.random.key(1)) is z
    out, pull = jax.vjp(lambda x: dropout(x, 0.3, key=jax.random.key(1)), z)
    (back,) = pull(jnp.ones_like(z))
    np.testing.assert_array_equal(np.asarray(out) == 0, np.asarray(back) == 0)
