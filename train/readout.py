"""Readouts: membrane traces to one score per class."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def max_over_time(
    trace: Float[Array, "time batch class_"],
) -> Float[Array, "batch class_"]:
    """Logit = max over t of v[t] (DenRAM: the dendrite that ever fires highest)."""
    return jnp.max(trace, axis=0)
