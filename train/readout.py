"""Readouts: traces over time to one score per class, or one per step and class.

A score is a logit: softmax over classes gives the class probabilities.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Trace = Float[Array, "time batch class_"]
Scores = Float[Array, "batch class_"]


def max_over_time(trace: Trace) -> Scores:
    """Logit = max over t of v[t] (DenRAM: the dendrite that ever fires highest)."""
    return jnp.max(trace, axis=0)


def last_step(trace: Trace) -> Scores:
    """Logit = v at the last step."""
    return trace[-1]


def mean_over_time(trace: Trace) -> Scores:
    """Logit = mean over t of v[t] (hSNN's `sum`)."""
    return jnp.mean(trace, axis=0)


def cumulative_softmax(trace: Trace) -> Scores:
    """Logit = sum over t of softmax(v[t]): every step votes (hSNN's `cum`).

    The class probability is then a softmax of softmaxes, as published.
    """
    return jnp.sum(jax.nn.softmax(trace, axis=-1), axis=0)


def spike_count(trace: Trace) -> Scores:
    """Logit = number of spikes of a spiking readout (hSNN's `freq`)."""
    return jnp.sum(trace, axis=0)


def every_step(trace: Trace) -> Float[Array, "batch time class_"]:
    """Logit of each step = v[t], for targets of single steps (hSNN's `vmem_time`)."""
    return jnp.swapaxes(trace, 0, 1)


# by the names of hSNN's released code
DECODERS: Mapping[str, Callable[[Array], Array]] = {
    "cum": cumulative_softmax,
    "sum": mean_over_time,
    "vmax": max_over_time,
    "vlast": last_step,
    "freq": spike_count,
    "vmem_time": every_step,
}
