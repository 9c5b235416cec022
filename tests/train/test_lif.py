from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import tolerance
from scipy.signal import lfilter

from denram.train.neurons import LIF, LeakyIntegrator, linear_trace, unroll

ALPHA = np.array([0.5, 0.9, 0.98], np.float32)


def _currents(seed=0, shape=(30, 4, 3)):
    return np.random.default_rng(seed).normal(0.3, 0.8, shape).astype(np.float32)


def _lif_loop(i, alpha, *, reset, clamp=None, gain: Any = 1.0, feedback=None):
    """The docstring's formula, one step after the other, in float64."""
    v = s = np.zeros(i.shape[1:])
    spikes, membranes = [], []
    for now in np.asarray(i, np.float64):
        drive = gain * now if feedback is None else gain * (now + s @ feedback)
        kept = v * (1 - s) if reset == "hard" else v
        v = alpha * kept + drive - (s if reset == "soft" else 0.0)
        if clamp is not None:
            v = np.clip(v, *clamp)
        s = (v > 1.0).astype(float)
        spikes.append(s)
        membranes.append(v)
    return np.array(spikes), np.array(membranes)


@pytest.mark.parametrize("reset", ["soft", "hard", "none"])
@pytest.mark.parametrize("clamp", [None, (0.0, 1.5)])
@pytest.mark.parametrize("unit_gain", [False, True])
def test_spikes_are_those_of_the_formula(reset, clamp, unit_gain):
    i = _currents() * (4.0 if unit_gain else 1.0)
    neuron = LIF(jnp.asarray(ALPHA), reset=reset, clamp=clamp, unit_gain=unit_gain)
    gain = 1 - ALPHA.astype(float) if unit_gain else 1.0
    slow, v = _lif_loop(i, ALPHA.astype(float), reset=reset, clamp=clamp, gain=gain)
    sure = (np.abs(v - 1.0) > 1e-4).all(axis=0)  # no membrane within rounding of 1
    found = np.asarray(unroll(neuron, jnp.asarray(i)))
    assert slow.sum() > 20
    assert sure.mean() > 0.8
    np.testing.assert_array_equal(found[:, sure], slow[:, sure])


def test_feedback_is_what_was_given_out_one_step_before():
    i, w = _currents(1), np.array([[0, 0.7, -0.4], [0.2, 0, 0.9], [-1.0, 0.3, 0]])
    neuron = LIF(jnp.asarray(ALPHA))
    slow, _ = _lif_loop(i, ALPHA.astype(float), reset="soft", feedback=w)
    fed = jnp.asarray(w, jnp.float32)
    found = unroll(neuron, jnp.asarray(i), feedback=lambda s: s @ fed)
    np.testing.assert_array_equal(found, slow)


@pytest.mark.parametrize("reset", ["soft", "hard"])
def test_gradient_is_backpropagation_through_time_by_hand(reset):
    """The adjoint recursion, reset included, with the box surrogate."""
    i, g = _currents(2), np.random.default_rng(3).standard_normal((30, 4, 3))
    alpha = ALPHA.astype(float)
    s, v = _lif_loop(i, alpha, reset=reset)
    h = (np.abs(v - 1.0) < 0.5).astype(float)
    later, expected = np.zeros((4, 3)), np.zeros_like(v)
    for t in reversed(range(len(v))):
        of_spike = -later if reset == "soft" else -alpha * v[t] * later
        keep = alpha if reset == "soft" else alpha * (1 - s[t])
        later = h[t] * (g[t] + of_spike) + keep * later
        expected[t] = later
    neuron = LIF(jnp.asarray(ALPHA), reset=reset)

    def scalar(currents):
        return jnp.sum(jnp.asarray(g, jnp.float32) * unroll(neuron, currents))

    found = jax.grad(scalar)(jnp.asarray(i))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


@given(st.integers(1, 40), st.integers(1, 5), st.floats(0.01, 0.999))
@settings(max_examples=25)
def test_a_linear_trace_is_a_digital_filter(n_steps, n, alpha):
    i = _currents(n_steps, (n_steps, 2, n))
    neuron = LeakyIntegrator(
        jnp.full(n, alpha, jnp.float32), floor=-jnp.inf, unit_gain=True
    )
    a = float(np.float32(alpha))
    slow = lfilter([1 - a], [1, -a], i.astype(float), axis=0)
    for found in (linear_trace(neuron, i), unroll(neuron, i)):
        rtol = tolerance("float32")
        np.testing.assert_allclose(found, slow, rtol=rtol, atol=1e-5)


def test_a_floor_is_no_linear_trace():
    neuron = LeakyIntegrator(jnp.float32(0.5))
    with pytest.raises(ValueError, match="floor must be -inf"):
        linear_trace(neuron, jnp.zeros((2, 1, 1)))


@pytest.mark.parametrize("neuron", [LIF, LeakyIntegrator])
def test_a_neuron_is_at_rest_in_the_beginning_and_keeps_its_state(neuron):
    made = neuron(jnp.asarray(ALPHA))
    state = made.init((4, 3))
    np.testing.assert_array_equal(made.emitted(state), 0.0)
    after, out = made.step(state, jnp.full((4, 3), 2.0))
    np.testing.assert_array_equal(made.emitted(after), out)
    assert float(jnp.abs(made.emitted(state)).max()) == 0.0  # nothing was changed
