from functools import partial

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

PATHS = {
    "matrix": {"phases": 1, "dft_matrix": True},
    "two phases": {"phases": 2, "dft_matrix": True},
    "fft": {"phases": 1, "dft_matrix": False},
    "fft, two phases": {"phases": 2, "dft_matrix": False},
}


def _engine(path):
    """The engine compiled for one path, whatever `plan` would choose."""

    def currents(x, weights, delays, max_delay):
        transform = delay_line.Transform(x.shape[0], max_delay, **PATHS[path])
        return delay_line.currents(
            delay_line.input_spectrum(x, transform),
            weights,
            delays,
            transform,
            x.shape[0] + max_delay,
        )

    return jax.jit(currents, static_argnums=3)


ENGINES = {path: _engine(path) for path in PATHS}


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


@pytest.mark.parametrize("path", PATHS)
@given(layers())
@settings(max_examples=40)
def test_currents_follow_the_formula(path, layer):
    x, weights, delays, max_delay = layer
    fast = ENGINES[path](x, weights, delays, max_delay)
    slow = delayed_currents_loop(x, weights, delays, x.shape[0] + max_delay)
    scale = max(1.0, np.abs(slow).max())
    np.testing.assert_allclose(np.asarray(fast) / scale, slow / scale, atol=1e-5)


@pytest.mark.parametrize("dft_matrix", [False, True])
@pytest.mark.parametrize("max_delay", [1, 6])
def test_transform_is_numpys(max_delay, dft_matrix):
    x = np.random.default_rng(0).standard_normal((11, 3, 2)).astype(np.float32)
    one = delay_line.Transform(11, max_delay, phases=1, dft_matrix=dft_matrix)
    expected = np.fft.rfft(x, n=one.length, axis=0)
    found = np.asarray(delay_line.input_spectrum(jnp.asarray(x), one))
    np.testing.assert_allclose(found[:, :3], expected.real, atol=1e-5)
    np.testing.assert_allclose(found[:, 3:], expected.imag, atol=1e-5)
    two = delay_line.Transform(11, max_delay, phases=2, dft_matrix=dft_matrix)
    found = np.asarray(delay_line.input_spectrum(jnp.asarray(x), two))
    for phase in range(2):
        expected = np.fft.rfft(x[phase::2], n=two.length, axis=0)
        rows = slice(3 * phase, 3 * phase + 3)
        np.testing.assert_allclose(found[:, :6][:, rows], expected.real, atol=1e-5)
        np.testing.assert_allclose(found[:, 6:][:, rows], expected.imag, atol=1e-5)


@pytest.mark.parametrize("path", PATHS)
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


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("shared", ["input", "delays", "nothing"])
def test_networks_side_by_side_are_the_networks_one_by_one(path, shared):
    rng = np.random.default_rng(2)
    x = (rng.random((3, 6, 2, 5)) < 0.4).astype(np.float32)
    weights = rng.standard_normal((3, 4, 5, 2)).astype(np.float32)
    delays = rng.integers(0, 6, (3, 4, 5, 2))
    out = rng.standard_normal((3, 11, 2, 4)).astype(np.float32)
    x = x[:1].repeat(3, axis=0) if shared == "input" else x
    delays = delays[:1].repeat(3, axis=0) if shared == "delays" else delays

    def inner(weights, x, delays, out):
        return jnp.sum(ENGINES[path](x, weights, delays, 5) * out)

    axes = (0, None if shared == "input" else 0, None if shared == "delays" else 0, 0)
    given_ = [
        array if axis == 0 else array[0]
        for array, axis in zip((weights, x, delays, out), axes, strict=True)
    ]
    step = jax.vmap(jax.value_and_grad(inner, argnums=(0, 1)), in_axes=axes)
    values, (by_weights, by_x) = jax.jit(step)(*given_)
    for i in range(3):
        loop = delayed_currents_loop(x[i], weights[i], delays[i], 11)
        np.testing.assert_allclose(values[i], np.sum(loop * out[i]), atol=1e-4)
        for o, c, k in np.ndindex(4, 5, 2):  # dI/dw is the delayed input itself
            seen = np.zeros((11, 2))
            seen[delays[i, o, c, k] :][:6] = x[i, :, :, c]
            expected = np.sum(seen * out[i, :, :, o])
            np.testing.assert_allclose(by_weights[i, o, c, k], expected, atol=1e-4)
        for t, b, c in np.ndindex(6, 2, 5):
            later = t + delays[i, :, c]
            expected = np.sum(
                weights[i, :, c] * out[i][later, b, np.arange(4)[:, None]]
            )
            np.testing.assert_allclose(by_x[i, t, b, c], expected, atol=1e-4)


@given(st.integers(0, 400), st.integers(1, 400))
def test_transform_length_is_even_and_leaves_room_for_every_copy(max_delay, n_steps):
    one = delay_line.Transform(n_steps, max_delay, phases=1, dft_matrix=True).length
    assert one % 2 == 0
    assert n_steps + max_delay <= one <= n_steps + max_delay + 1
    two = delay_line.Transform(n_steps, max_delay, phases=2, dft_matrix=True).length
    # the last step of an odd input through an odd longest delay, one step late
    last = (n_steps - 1) // 2 + max_delay // 2 + 1
    assert two % 2 == 0
    assert last < two <= last + 3


def _multiplications(transform, batch, post, pre=1):
    """Of a training step's products, counted from the shapes of its matrices."""
    phases, n_freq = transform.phases, transform.n_freq
    half = -(-transform.n_steps // phases), -(-(transform.max_delay + 1) // phases)
    forth = 2 * n_freq * phases * pre * (half[0] * batch + 2 * half[1] * post)
    return forth + 2 * n_freq * (2 * phases * batch) * pre * (2 * phases * post)


@given(
    st.integers(100, 300), st.integers(100, 200), st.integers(1, 99), st.integers(1, 99)
)
def test_the_path_needs_the_fewest_multiplications(n_steps, max_delay, batch, post):
    chosen = delay_line.plan(n_steps, max_delay, batch=batch, post=post)
    counts = [
        _multiplications(
            delay_line.Transform(n_steps, max_delay, phases=phases, dft_matrix=True),
            batch,
            post,
        )
        for phases in (1, 2)
    ]
    assert _multiplications(chosen, batch, post) <= 1.02 * min(counts)


def test_long_transforms_take_the_fft():
    # two phases, each of 75 + 565 steps, then one more
    assert delay_line.plan(150, 1129, batch=64, post=20).dft_matrix
    long = delay_line.plan(150, 1130, batch=64, post=20)
    assert (long.dft_matrix, long.phases) == (False, 1)
    # one phase, of 150 + 490 steps
    assert delay_line.plan(150, 490, batch=10_000, post=20).dft_matrix
    assert not delay_line.plan(150, 491, batch=10_000, post=20).dft_matrix


def test_the_papers_networks_take_two_phases_and_thirty_at_once_one():
    assert delay_line.plan(150, 200, batch=64, post=20).phases == 2
    assert delay_line.plan(150, 200, batch=64, post=600).phases == 1


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
