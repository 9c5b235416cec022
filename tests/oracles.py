"""Slow and simple twins: the oracles that fast code is compared with."""

import jax
import jax.numpy as jnp
import numpy as np


def delayed_currents_loop(x, weights, delay_steps, n_steps):
    """I[t, b, o] by the formula itself, in float64: x (time, batch, pre)."""
    x, weights = np.asarray(x, np.float64), np.asarray(weights, np.float64)
    current = np.zeros((n_steps, x.shape[1], weights.shape[0]))
    for o, c, k in np.ndindex(*weights.shape):
        d = int(delay_steps[o, c, k])
        for t in range(d, min(n_steps, x.shape[0] + d)):
            current[t, :, o] += weights[o, c, k] * x[t - d, :, c]
    return current


def published_membrane_maximum(x, weights, bias, delay_steps, *, alpha, max_delay):
    """Logits as the published simulation computes them: a gather at every time step.

    x (batch, time, pre) is followed by `max_delay` empty steps; a buffer holds the
    last max_delay + 1 inputs, newest first; every synapse gathers its own row.
    Differentiable in weights and bias, in the dtype of x.
    """
    batch, n_input, n_pre = x.shape
    n_post, _, n_tap = weights.shape
    tail = jnp.zeros((batch, max_delay, n_pre), x.dtype)
    steps = jnp.concatenate([x, tail], axis=1).transpose(1, 0, 2)
    on = jnp.concatenate([jnp.ones(n_input, x.dtype), jnp.zeros(max_delay, x.dtype)])
    channel = jnp.repeat(jnp.arange(n_pre), n_tap)
    delays = jnp.asarray(delay_steps).reshape(n_post, n_pre * n_tap)
    flat = weights.reshape(n_post, n_pre * n_tap)

    def step(carry, now):
        buffer, v, best = carry
        x_now, bias_now = now
        buffer = jnp.roll(buffer, 1, axis=1).at[:, 0].set(x_now)
        seen = buffer[:, delays, channel[None, :]]
        current = jnp.einsum("bos,os->bo", seen, flat) + (bias * bias_now)[None, :]
        v = jnp.maximum(0.0, alpha * v + current)
        return (buffer, v, jnp.maximum(best, v)), None

    buffer = jnp.zeros((batch, max_delay + 1, n_pre), x.dtype)
    rest = jnp.zeros((batch, n_post), x.dtype)
    (_, _, best), _ = jax.lax.scan(step, (buffer, rest, rest), (steps, on))
    return best


def tolerance(dtype):
    """Relative tolerance by dtype."""
    return {np.dtype("float32"): 5e-4, np.dtype("float64"): 5e-7}[np.dtype(dtype)]
