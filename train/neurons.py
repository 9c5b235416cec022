"""Neurons: parameters, `init`, and one `step`; the scan over time stands outside."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class LeakyIntegrator(eqx.Module):
    """Non-spiking leaky membrane with a floor.

        v[t] = max(floor, alpha v[t-1] + i[t]),    v[-1] = 0

    Attributes:
        alpha: decay per step, exp(-timestep_s / tau_mem_s), scalar or (neuron,).
        floor: lowest membrane value; 0 for a single-supply circuit, -inf for none.

    Source: DenRAM, Nat. Commun. 15:3446 (2024), released simulation: no (1 - alpha)
    gain, clamped at 0 as a hardware constraint.
    """

    alpha: Float[Array, "*neuron"]
    floor: float = eqx.field(static=True, default=0.0)

    def init(self, shape: tuple[int, ...]) -> Float[Array, "*shape"]:
        """The membrane at rest, zeros of `shape` = (..., neuron)."""
        return jnp.zeros(shape, self.alpha.dtype)

    def step(
        self, v: Float[Array, "*shape"], i: Float[Array, "*shape"]
    ) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
        """One time step: the new state, and what is read out (the same membrane)."""
        v = jnp.maximum(self.floor, self.alpha * v + i)
        return v, v


def unroll(
    neuron: LeakyIntegrator, i: Float[Array, "time ..."]
) -> Float[Array, "time ..."]:
    """Drive a neuron with a current over time, from rest."""

    # a bound method of a record that holds arrays cannot be hashed, a function can
    def step(v: Array, now: Array) -> tuple[Array, Array]:
        return neuron.step(v, now)

    return jax.lax.scan(step, neuron.init(i.shape[1:]), i)[1]
