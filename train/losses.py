"""Losses: scores and labels to one number."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def cross_entropy(
    logits: Float[Array, "batch *time class_"],
    labels: Int[Array, "batch ..."],
    valid: Bool[Array, " batch"],
    *,
    log_of_softmax: bool = False,
    epsilon: float = 0.0,
) -> Float[Array, ""]:
    """Mean over valid samples (and their steps) of -ln softmax(logits)[label].

    Args:
        logits: scores.
        labels: class indices.
        valid: False for padding; padded samples do not count.
        log_of_softmax: take the log of a computed softmax, as the published codes do;
            it underflows to infinity where log-softmax does not.
        epsilon: added to that softmax (hSNN: 1e-12; DenRAM: 0).
    """
    if log_of_softmax:
        log_p = jnp.log(jax.nn.softmax(logits) + epsilon)
    else:
        log_p = jax.nn.log_softmax(logits)
    picked = jnp.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]
    per_sample = jnp.mean(picked.reshape(picked.shape[0], -1), axis=1)
    counted = jnp.sum(valid, dtype=log_p.dtype)
    return -jnp.sum(jnp.where(valid, per_sample, 0.0)) / jnp.maximum(1.0, counted)
