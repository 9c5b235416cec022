from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import delayed_currents_loop, published_membrane_maximum

from denram.train import delay_line
from denram.train.neurons import LeakyIntegrator, unroll
from denram.train.readout import max_over_time


def _engine(path):
    """The engine compiled for one path, whatever the length of the transform."""

    def currents(x, weights, delays, max_delay):
        longest = {"matrix": 10**6, "fft": 0}[path]
        with mock.patch.object(delay_line, "DFT_MATRIX_STEPS", longest):
            return delay_line.delayed_currents(x, weights, delays, max_delay=max_delay)

    return jax.jit(currents, static_argnums=3)


ENGINES = {path: _engine(path) for path in ("matrix", "fft")}


SHAPES = [
    (0, 4, 1, 1, 1, 1),
    (9, 7, 3, 5, 4, 6),
    (3, 1, 2, 2, 3, 1),
    (6, 5, 1, 3, 2, 4),
]


@st.composite
def layers(draw):
    """A random layer: spikes, weights and delays, edges of the delay range included.

    Few shapes, so that each is compiled once; batch 1, one tap and no delay are there.
    """
    max_delay, n_time, batch, pre, post, tap = draw(st.sampled_from(SHAPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.0, 0.1, 1.0]))
    x = (rng.random((n_time, batch, pre)) < density).astype(np.uint8)
    weights = rng.standard_normal((post, pre, tap)).astype(np.float32)
    choices = draw(st.sampled_from([[0], [0, 1], [max_delay], range(max_delay + 1)]))
    delays = rng.choice(np.minimum(list(choices), max_delay), (post, pre, tap))
    return x, weights, delays.astype(np.int32), max_delay


@pytest.mark.parametrize("path", ["matrix", "fft"])
@given(layers())
@settings(max_examples=40)
def test_currents_follow_the_formula(path, layer):
    x, weights, delays, max_delay = layer
    fast = ENGINES[path](x, weights, delays, max_delay)
    slow = delayed_currents_loop(x, weights, delays, x.shape[0] + max_delay)
    scale = max(1.0, np.abs(slow).max())
    np.testing.assert_allclose(np.asarray(fast) / scale, slow / scale, atol=1e-5)


@pytest.mark.parametrize("n_transform", [12, 18])
def test_transform_is_numpys(n_transform):
    x = np.random.default_rng(0).standard_normal((11, 3, 2)).astype(np.float32)
    expected = np.fft.rfft(x, n=n_transform, axis=0)
    found = np.asarray(
        delay_line.input_spectrum(jnp.asarray(x), n_transform=n_transform)
    )
    np.testing.assert_allclose(found[:, :3], expected.real, atol=1e-5)
    np.testing.assert_allclose(found[:, 3:], expected.imag, atol=1e-5)


@pytest.mark.parametrize("path", ["matrix", "fft"])
def test_gradient_in_the_input_is_the_adjoint(path):
    rng = np.random.default_rng(1)
    x = jnp.asarray(rng.standard_normal((6, 2, 3)), jnp.float32)
    weights = jnp.asarray(rng.standard_normal((4, 3, 2)), jnp.float32)
    delays = rng.integers(0, 6, (4, 3, 2))
    out = jnp.asarray(rng.standard_normal((11, 2, 4)), jnp.float32)

    def inner(x):
        i = ENGINES[path](x, weights, jnp.asarray(delays), 5)
        return jnp.sum(i * out)

    eye = np.eye(x.size).reshape(x.size, *x.shape)
    expected = [
        np.sum(delayed_currents_loop(e, weights, delays, 11) * np.asarray(out))
        for e in eye
    ]
    np.testing.assert_allclose(jax.grad(inner)(x).ravel(), expected, atol=1e-5)


@given(st.integers(0, 400), st.integers(1, 400))
def test_transform_length_is_even_and_leaves_room_for_every_copy(max_delay, n_steps):
    n = delay_line.transform_length(n_steps, max_delay)
    assert n % 2 == 0
    assert n_steps + max_delay <= n <= n_steps + max_delay + 1


def test_path_is_chosen_by_the_length_of_the_transform():
    assert delay_line.uses_dft_matrix(512)
    assert not delay_line.uses_dft_matrix(513)


def _cross_entropy(logits, labels):
    return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(labels)), labels])


@partial(jax.jit, static_argnums=4)
@jax.value_and_grad
def _fast(params, x, delays, labels, max_delay):
    i = delay_line.delayed_currents(x, params[0], delays, max_delay=max_delay)
    i = i.at[: x.shape[0]].add(params[1])
    v = unroll(LeakyIntegrator(jnp.float32(0.77)), i)
    return _cross_entropy(max_over_time(v), labels)


@partial(jax.jit, static_argnums=4)
@jax.value_and_grad
def _slow(params, x, delays, labels, max_delay):
    alpha = np.float32(0.77)
    weights, bias = params
    logits = published_membrane_maximum(
        x, weights, bias, delays, alpha=alpha, max_delay=max_delay
    )
    return _cross_entropy(logits, labels)


@given(layers(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_loss_and_gradient_agree_with_the_published_form_in_float64(layer, seed):
    x, weights, delays, max_delay = layer
    rng = np.random.default_rng(seed)
    bias = rng.standard_normal(weights.shape[0]).astype(np.float32)
    labels = rng.integers(0, weights.shape[0], x.shape[1])
    value, grads = _fast((weights, bias), x, delays, labels, max_delay)
    with jax.enable_x64(True):
        params = (weights.astype(np.float64), bias.astype(np.float64))
        x_slow = x.transpose(1, 0, 2).astype(np.float64)
        slow_value, slow_grads = _slow(params, x_slow, delays, labels, max_delay)
    np.testing.assert_allclose(value, slow_value, rtol=1e-5, atol=1e-5)
    for fast_grad, slow_grad in zip(grads, slow_grads, strict=True):
        scale = max(1.0, float(np.abs(slow_grad).max()))
        np.testing.assert_allclose(
            np.asarray(fast_grad) / scale, np.asarray(slow_grad) / scale, atol=1e-5
        )
