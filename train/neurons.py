"""Neurons: parameters, `init`, and one `step`; the scan over time stands outside."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from denram.train.surrogate import spike

Shaped = Float[Array, "*shape"]
_Affine = tuple[Array, Array]  # v -> a v + b


class Neuron(Protocol):
    """What a scan over time asks of a neuron."""

    def init(self, shape: tuple[int, ...]) -> Any:
        """The state at rest, for currents of `shape` = (..., neuron)."""
        ...

    def emitted(self, state: Any) -> Shaped:
        """What the last step gave out; zeros at rest."""
        ...

    def step(self, state: Any, i: Shaped) -> tuple[Any, Shaped]:
        """One time step: the new state, and what is given out."""
        ...


class LeakyIntegrator(eqx.Module):
    """Non-spiking leaky membrane with a floor.

        v[t] = max(floor, alpha v[t-1] + g i[t]),    v[-1] = 0,    g = 1 or 1 - alpha

    Attributes:
        alpha: decay per step, exp(-timestep_s / tau_mem_s), scalar or (neuron,).
        floor: lowest membrane value; 0 for a single-supply circuit, -inf for none.
        unit_gain: g = 1 - alpha, so that a constant current is kept; else 1.

    Source: DenRAM, Nat. Commun. 15:3446 (2024), released simulation: no (1 - alpha)
    gain, clamped at 0 as a hardware constraint; hSNN's readout has gain and no floor.
    """

    alpha: Float[Array, "*neuron"]
    floor: float = eqx.field(static=True, default=0.0)
    unit_gain: bool = eqx.field(static=True, default=False)

    def init(self, shape: tuple[int, ...]) -> Shaped:
        """The membrane at rest, zeros of `shape` = (..., neuron)."""
        return jnp.zeros(shape, self.alpha.dtype)

    def emitted(self, state: Shaped) -> Shaped:
        """The membrane."""
        return state

    def step(self, state: Shaped, i: Shaped) -> tuple[Shaped, Shaped]:
        """One time step: the new state, and what is read out (the same membrane)."""
        alpha = jnp.broadcast_to(self.alpha, i.shape)
        gain = 1.0 - alpha if self.unit_gain else 1.0
        v = jnp.maximum(self.floor, alpha * state + gain * i)
        return v, v


class LIF(eqx.Module):
    """Leaky membrane that spikes above a threshold, and is reset one step later.

        soft: v[t] = alpha v[t-1] + g i[t] - threshold s[t-1]
        hard: v[t] = alpha v[t-1] (1 - s[t-1]) + g i[t]
        none: v[t] = alpha v[t-1] + g i[t]
        v[t] = clip(v[t], *clamp),    s[t] = 1 if v[t] > threshold else 0,   v = s = 0

    The gradient passes through the reset too.

    Attributes:
        alpha: decay per step, exp(-timestep_s / tau_mem_s), scalar or (neuron,).
        threshold: membrane above which a spike is given.
        reset: see above.
        clamp: lowest and highest membrane.
        unit_gain: g = 1 - alpha; else 1.
        surrogate: slope of the spike, a key of `denram.train.surrogate.SURROGATES`.

    Source: soft: hSNN (arXiv 2407.18838), released code; hard: STBP, Wu et al. 2018.
    """

    alpha: Float[Array, "*neuron"]
    threshold: float = eqx.field(static=True, default=1.0)
    reset: Literal["soft", "hard", "none"] = eqx.field(static=True, default="soft")
    clamp: tuple[float, float] | None = eqx.field(static=True, default=None)
    unit_gain: bool = eqx.field(static=True, default=False)
    surrogate: str = eqx.field(static=True, default="box")

    def init(self, shape: tuple[int, ...]) -> tuple[Shaped, Shaped]:
        """Membrane and last spike at rest, zeros of `shape` = (..., neuron)."""
        zeros = jnp.zeros(shape, self.alpha.dtype)
        return zeros, zeros

    def emitted(self, state: tuple[Shaped, Shaped]) -> Shaped:
        """The last spikes."""
        return state[1]

    def step(
        self, state: tuple[Shaped, Shaped], i: Shaped
    ) -> tuple[tuple[Shaped, Shaped], Shaped]:
        """One time step: the new state, and the spikes."""
        v, s = state
        alpha = jnp.broadcast_to(self.alpha, i.shape)
        i = (1.0 - alpha) * i if self.unit_gain else i
        if self.reset == "hard":
            v = v * (1.0 - s)
        v = alpha * v + i
        if self.reset == "soft":
            v = v - self.threshold * s
        if self.clamp is not None:
            v = jnp.clip(v, *self.clamp)
        s = spike(v - self.threshold, self.surrogate)
        return (v, s), s


def unroll(
    neuron: LIF | LeakyIntegrator,
    i: Float[Array, "time ..."],
    *,
    feedback: Callable[[Array], Array] | None = None,
) -> Float[Array, "time ..."]:
    """Drive a neuron with a current over time, from rest.

    Args:
        neuron: what is driven.
        i: currents that do not depend on the neuron.
        feedback: current that what it gave out one step before adds.
    """
    if feedback is None and i.ndim > 2:
        # neurons do not meet: as one long row they fill the machine's vectors
        alpha = jnp.broadcast_to(neuron.alpha, i.shape[1:]).ravel()
        row = unroll(replace(neuron, alpha=alpha), i.reshape(i.shape[0], -1))
        return row.reshape(i.shape)

    # a bound method of a record that holds arrays cannot be hashed, a function can
    def step(state: Any, now: Array) -> tuple[Any, Array]:
        if feedback is not None:
            now = now + feedback(neuron.emitted(state))
        return neuron.step(state, now)

    return jax.lax.scan(step, neuron.init(i.shape[1:]), i)[1]


def linear_trace(
    neuron: LeakyIntegrator, i: Float[Array, "time batch neuron"]
) -> Float[Array, "time batch neuron"]:
    """`unroll` of a membrane without a floor, in log2(time) passes over all steps.

    v is linear in i, so that pairs of steps combine: (a, b) then (c, d) is
    (a c, c b + d). Work and memory grow as time, not as its square.

    Args:
        neuron: with floor -inf.
        i: currents.

    Raises:
        ValueError: a neuron with a floor.
    """
    if neuron.floor != -jnp.inf:
        raise ValueError(f"floor must be -inf for a linear trace, got {neuron.floor}")
    decay = jnp.broadcast_to(neuron.alpha, (i.shape[0], 1, i.shape[-1]))
    gain = 1.0 - decay if neuron.unit_gain else 1.0

    def after(one: _Affine, two: _Affine) -> _Affine:
        return one[0] * two[0], two[0] * one[1] + two[1]

    return jax.lax.associative_scan(after, (decay, gain * i))[1]
