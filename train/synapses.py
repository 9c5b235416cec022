"""Synapses: from what a layer gives out to the currents into the next.

Every kind is linear in weights and inputs and causal. `encode` is the part that no
weight enters, so that an input that many networks share is encoded once.
"""

import math
from typing import Any, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from denram.train import delay_line

Spikes = Num[Array, "time batch pre"]
Currents = Float[Array, "time batch post"]


class Synapse(Protocol):
    """What a layer asks of its synapses."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weights."""
        ...

    @property
    def fan_in(self) -> int:
        """Weights per neuron."""
        ...

    def encode(self, z: Spikes) -> Any:
        """What of the currents no weight enters."""
        ...

    def currents(self, weights: Array, encoded: Any) -> Currents:
        """Currents from what `encode` gave."""
        ...


_MOST_STEPS = 10  # of counts that are made real at a time: they then stay in the cache


def all_steps(weights: Float[Array, "pre post"], z: Spikes) -> Currents:
    """Currents z w of every step and sample, as one product of two matrices.

    Counts (integers) are made real a few steps at a time, and so in the gradient: as a
    whole they are the largest array of a network. They have no gradient themselves.
    """
    if jnp.issubdtype(z.dtype, jnp.floating):
        rows = z.reshape(-1, z.shape[-1]) @ weights
        return rows.reshape(*z.shape[:-1], weights.shape[-1])
    return _of_counts(weights, z)


def _slices(z: Array) -> Array:
    """(slice, rows, channel): as many whole steps in a slice as divide them evenly."""
    n = next(k for k in range(_MOST_STEPS, 0, -1) if z.shape[0] % k == 0)
    return z.reshape(z.shape[0] // n, n * z.shape[1], z.shape[2])


@jax.custom_vjp
def _of_counts(weights: Float[Array, "pre post"], z: Spikes) -> Currents:
    def product(carry: None, part: Array) -> tuple[None, Array]:
        return carry, part.astype(weights.dtype) @ weights

    rows = jax.lax.scan(product, None, _slices(z))[1]
    return rows.reshape(*z.shape[:2], weights.shape[-1])


def _counts_forward(weights: Array, z: Array) -> tuple[Array, Array]:
    return _of_counts(weights, z), z


def _counts_backward(z: Array, gradient: Array) -> tuple[Array, None]:
    def add(total: Array, part: tuple[Array, Array]) -> tuple[Array, None]:
        counts, g = part
        return total + g.T @ counts.astype(g.dtype), None

    start = jnp.zeros((gradient.shape[-1], z.shape[-1]), gradient.dtype)
    parts = _slices(z), _slices(gradient)
    return jax.lax.scan(add, start, parts)[0].T, None


_of_counts.defvjp(_counts_forward, _counts_backward)


class Dense(eqx.Module):
    """I[t, b, o] = sum_c w[c, o] z[t, b, c]; weights (pre, post)."""

    pre: int = eqx.field(static=True)
    post: int = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, int]:
        """(pre, post)."""
        return self.pre, self.post

    @property
    def fan_in(self) -> int:
        """Weights per neuron."""
        return self.pre

    def encode(self, z: Spikes) -> Spikes:
        """The input as it is."""
        return z

    def currents(self, weights: Float[Array, "pre post"], encoded: Array) -> Currents:
        """All time steps in one product."""
        return all_steps(weights, encoded)


class CausalConvolution(eqx.Module):
    """I[t] = sum_k z[t - (K - 1 - k) D] w[k], z = 0 before the start; tap K - 1 is now.

    Weights (tap, pre, post). All taps are one product, whose parts are then shifted.

    Attributes:
        pre: inputs.
        post: outputs.
        kernel: K, taps.
        dilation: D, steps from tap to tap.

    Source: hSNN (arXiv 2407.18838), released code: cross-correlation, zeros before.
    """

    pre: int = eqx.field(static=True)
    post: int = eqx.field(static=True)
    kernel: int = eqx.field(static=True)
    dilation: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        for name in ("kernel", "dilation"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(tap, pre, post)."""
        return self.kernel, self.pre, self.post

    @property
    def fan_in(self) -> int:
        """Weights per neuron."""
        return self.kernel * self.pre

    def encode(self, z: Spikes) -> Spikes:
        """The input as it is."""
        return z

    def currents(
        self, weights: Float[Array, "tap pre post"], encoded: Array
    ) -> Currents:
        """One product for all taps, shifted and added."""
        n_steps = encoded.shape[0]
        flat = jnp.swapaxes(weights, 0, 1).reshape(self.pre, -1)
        parts = all_steps(flat, encoded)
        parts = parts.reshape(*encoded.shape[:2], self.kernel, self.post)
        total = jnp.zeros((*encoded.shape[:2], self.post), parts.dtype)
        for k in range(self.kernel):
            back = (self.kernel - 1 - k) * self.dilation
            if back < n_steps:
                total = total.at[back:].add(parts[: n_steps - back, :, k])
        return total


class Delayed(eqx.Module):
    """I[t, b, o] = sum_{c, k} w[o, c, k] z[t - d[o, c, k], b, c], d of the chip.

    Weights (post, pre, tap).

    Attributes:
        delay_steps: d, whole steps.
        present: False where the device does not conduct.
        transform: of the engine, `delay_line.plan`.
    """

    delay_steps: Int[Array, "post pre tap"]
    present: Bool[Array, "post pre tap"]
    transform: delay_line.Transform = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        """(post, pre, tap)."""
        return self.delay_steps.shape

    @property
    def fan_in(self) -> int:
        """Weights per neuron."""
        return math.prod(self.delay_steps.shape[1:])

    def encode(self, z: Spikes) -> Float[Array, "..."]:
        """The input's spectrum."""
        return delay_line.input_spectrum(z, self.transform)

    def currents(
        self, weights: Float[Array, "post pre tap"], encoded: Array
    ) -> Currents:
        """Currents within the input's window; what comes later is cut off."""
        w = jnp.where(self.present, weights, 0.0)
        n_steps = self.transform.n_steps
        return delay_line.currents(
            encoded, w, self.delay_steps, self.transform, n_steps
        )


def feedback_weights(weights: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """Recurrent weights (pre, post) that act: no neuron feeds itself."""
    return weights * (1.0 - jnp.eye(weights.shape[-1], dtype=weights.dtype))


def uniform_weights(
    shape: tuple[int, ...], bound: float, *, key: PRNGKeyArray
) -> Float[Array, "..."]:
    """Weights from U(-bound, bound)."""
    return jax.random.uniform(key, shape, minval=-bound, maxval=bound)
