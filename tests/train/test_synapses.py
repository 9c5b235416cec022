import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import delayed_currents_loop, tolerance

from denram.train import delay_line
from denram.train.synapses import (
    CausalConvolution,
    Delayed,
    Dense,
    all_steps,
    feedback_weights,
    uniform_weights,
)

T, B, PRE, POST = 14, 3, 5, 4
RANDOM = np.random.default_rng(0)
STEPS = RANDOM.integers(0, T, (POST, PRE, 2)).astype(np.int32)
PRESENT = RANDOM.random((POST, PRE, 2)) < 0.8


def _dense(w, z):
    return np.einsum("tbc,co->tbo", z, w)


def _convolution(w, z, dilation=3):
    found = np.zeros((T, B, POST))
    for t in range(T):
        for k in range(len(w)):
            back = t - (len(w) - 1 - k) * dilation
            if back >= 0:
                found[t] += z[back] @ w[k]
    return found


def _delayed(w, z):
    return delayed_currents_loop(z, np.where(PRESENT, w, 0.0), STEPS, T)


PLAN = delay_line.plan(T, T - 1, batch=B, post=POST)
KINDS = {
    "dense": (Dense(PRE, POST), _dense),
    "convolution": (CausalConvolution(PRE, POST, 4, 3), _convolution),
    "longer than the window": (
        CausalConvolution(PRE, POST, 9, 3),
        _convolution,
    ),
    "delayed": (Delayed(jnp.asarray(STEPS), jnp.asarray(PRESENT), PLAN), _delayed),
}


def _input(seed=1):
    z = np.random.default_rng(seed).poisson(0.4, (T, B, PRE)).astype(np.uint8)
    return z


def _weights(synapse, seed=0):
    return uniform_weights(synapse.shape, 1.0, key=jax.random.key(seed))


@pytest.mark.parametrize("name", KINDS)
def test_currents_are_those_of_the_loop(name):
    synapse, slow = KINDS[name]
    z, w = _input(), _weights(synapse)
    found = synapse.currents(w, synapse.encode(jnp.asarray(z)))
    expected = slow(np.asarray(w, np.float64), z.astype(float))
    np.testing.assert_allclose(found, expected, rtol=tolerance("float32"), atol=2e-5)


@pytest.mark.parametrize("name", KINDS)
def test_currents_are_causal_and_linear(name):
    synapse, _ = KINDS[name]
    z, w = _input().astype(np.float32), _weights(synapse)

    def of(x, weights=w):
        return np.asarray(synapse.currents(weights, synapse.encode(jnp.asarray(x))))

    later = z.copy()
    later[8:] = 3.0
    np.testing.assert_allclose(of(later)[:8], of(z)[:8], atol=1e-5)
    np.testing.assert_allclose(of(2 * z + later), 2 * of(z) + of(later), atol=1e-4)
    np.testing.assert_allclose(of(z, 2 * w), 2 * of(z), atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_gradients_of_weights_and_input_are_finite_differences(name):
    synapse, slow = KINDS[name]
    z, w = _input().astype(np.float32), _weights(synapse)
    pull = np.random.default_rng(5).standard_normal((T, B, POST))

    def scalar(weights, x):
        found = synapse.currents(weights, synapse.encode(x))
        return jnp.sum(jnp.asarray(pull, jnp.float32) * found)

    by_w, by_z = jax.grad(scalar, argnums=(0, 1))(w, jnp.asarray(z))
    w64 = np.asarray(w, np.float64)
    for array, gradient, of in (
        (w64, by_w, lambda a: slow(a, z.astype(float))),
        (z.astype(float), by_z, lambda a: slow(w64, a)),
    ):
        step = np.random.default_rng(6).standard_normal(array.shape)
        expected = np.sum(pull * (of(array + step) - of(array)))  # linear: exact
        found = np.sum(np.asarray(gradient, float) * step)
        assert found == pytest.approx(expected, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("name", KINDS)
def test_fan_in_counts_the_weights_of_a_neuron(name):
    synapse, _ = KINDS[name]
    assert synapse.fan_in * POST == np.prod(synapse.shape)


def test_no_neuron_feeds_itself():
    w = feedback_weights(jnp.ones((3, 3)))
    np.testing.assert_array_equal(w, 1 - np.eye(3))


def test_initial_weights_fill_their_bounds_evenly():
    w = np.asarray(uniform_weights((400, 100), 0.3, key=jax.random.key(0)))
    assert -0.3 <= w.min() < -0.299
    assert 0.299 < w.max() <= 0.3
    assert w.std() == pytest.approx(0.3 / np.sqrt(3), rel=0.01)


@pytest.mark.parametrize(("kernel", "dilation"), [(0, 1), (1, 0)])
def test_a_convolution_without_taps_or_dilation_is_refused(kernel, dilation):
    with pytest.raises(ValueError, match=r"must be >= 1, got 0"):
        CausalConvolution(2, 2, kernel, dilation)


@pytest.mark.parametrize("n_steps", [1, 7, 13, 20])
def test_counts_give_what_real_numbers_give_alone_and_side_by_side(n_steps):
    """The product over slices of whole steps, against one product in float64."""
    random = np.random.default_rng(n_steps)
    z = random.poisson(0.5, (n_steps, B, PRE)).astype(np.uint8)
    pull = random.standard_normal((n_steps, B, POST))
    many = random.standard_normal((3, PRE, POST)).astype(np.float32)
    counts = jnp.asarray(z)

    def scalar(w):
        return jnp.sum(jnp.asarray(pull, jnp.float32) * all_steps(w, counts))

    values = jax.vmap(lambda w: all_steps(w, counts))(jnp.asarray(many))
    slopes = jax.vmap(jax.grad(scalar))(jnp.asarray(many))
    expected = np.einsum("tbc,mco->mtbo", z.astype(float), many.astype(float))
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)
    slope = np.einsum("tbc,tbo->co", z.astype(float), pull)
    np.testing.assert_allclose(slopes, np.stack([slope] * 3), rtol=1e-4, atol=1e-4)
