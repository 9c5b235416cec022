import jax
import jax.numpy as jnp
import numpy as np
from scipy.signal import lfilter

from denram.train.neurons import LeakyIntegrator, unroll
from denram.train.readout import max_over_time


def test_without_a_floor_the_membrane_is_a_first_order_filter():
    i = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    neuron = LeakyIntegrator(jnp.float32(0.8), floor=-np.inf)
    found = unroll(neuron, jnp.asarray(i))
    np.testing.assert_allclose(found, lfilter([1], [1, -0.8], i, axis=0), atol=1e-5)


def test_membrane_follows_the_formula_with_its_floor():
    i = np.random.default_rng(1).standard_normal((40, 2, 3)).astype(np.float32)
    found = np.asarray(unroll(LeakyIntegrator(jnp.float32(0.75)), jnp.asarray(i)))
    v = np.zeros((2, 3))
    for t in range(40):
        v = np.maximum(0.0, 0.75 * v + i[t])
        np.testing.assert_allclose(found[t], v, rtol=1e-5, atol=1e-6)
    assert (found == 0).any()
    assert (found > 0).any()


def test_gradient_of_the_maximum_is_a_finite_difference():
    i = np.random.default_rng(2).standard_normal((12, 1, 2)).astype(np.float32)

    def score(i):
        return jnp.sum(max_over_time(unroll(LeakyIntegrator(jnp.float32(0.7)), i)))

    found = np.asarray(jax.grad(score)(jnp.asarray(i)))
    step = 1e-2
    for t, o in np.ndindex(12, 2):
        up, down = i.copy(), i.copy()
        up[t, 0, o] += step
        down[t, 0, o] -= step
        slope = (float(score(jnp.asarray(up))) - float(score(jnp.asarray(down)))) / (
            2 * step
        )
        assert abs(slope - found[t, 0, o]) < 2e-3
