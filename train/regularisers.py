"""What holds a network back in training: dropout, and penalties added to the loss."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

_HALF_WORD = 1 << 16
ALPHA_BOUND = 0.95  # decay above which hSNN's published penalty sets in


def dropout(
    z: Float[Array, "*shape"], rate: float, *, key: PRNGKeyArray
) -> Float[Array, "*shape"]:
    """Each value is 0 with probability `rate`, else divided by 1 - rate.

    The rate is rounded to a multiple of 2^-16: two values share one random word, which
    is what dropout on a CPU spends its time on.
    """
    cut = min(round(rate * _HALF_WORD), _HALF_WORD - 1)
    if not cut:
        return z
    words = jax.random.bits(key, (-(-z.size // 2),), jnp.uint32)
    halves = jnp.concatenate([words & jnp.uint32(_HALF_WORD - 1), words >> 16])
    kept = (halves[: z.size] >= cut).reshape(z.shape)
    # else XLA draws them a second time for the backward pass, to save the memory
    kept = jax.lax.optimization_barrier(kept)
    return jnp.where(kept, z * (_HALF_WORD / (_HALF_WORD - cut)), 0.0)


def norm(x: Float[Array, "*shape"]) -> Float[Array, ""]:
    """Euclidean norm whose gradient at 0 is 0, where that of a plain one is NaN."""
    square = jnp.sum(x * x)
    safe = jnp.where(square > 0, square, 1.0)
    return jnp.where(square > 0, jnp.sqrt(safe), 0.0)


def squared(tree: PyTree[Array]) -> Float[Array, ""]:
    """Sum of squares of all arrays: weight decay as a penalty."""
    return sum((jnp.sum(x * x) for x in jax.tree.leaves(tree)), start=jnp.float32(0.0))


def unsquared(tree: PyTree[Array]) -> Float[Array, ""]:
    """Norm of all arrays together, not squared (published by hSNN as its L2)."""
    flat = [x.ravel() for x in jax.tree.leaves(tree)]
    return norm(jnp.concatenate(flat))


def rate_penalty(
    spikes: Sequence[Float[Array, "time batch neuron"]],
    target: float,
    valid: Bool[Array, " batch"] | None = None,
) -> Float[Array, ""]:
    """(target - mean spikes per neuron and sample)^2, over all hidden neurons.

    Args:
        spikes: of each hidden layer.
        target: spikes per neuron and sample.
        valid: samples that count; None for all.

    Source: hSNN (arXiv 2407.18838), released code.
    """
    n = spikes[0].shape[1]
    share = jnp.ones(n) if valid is None else valid.astype(jnp.float32)
    share = share / jnp.maximum(1.0, jnp.sum(share))
    counts = [share @ jnp.sum(s, axis=0) for s in spikes]
    return (target - jnp.mean(jnp.concatenate(counts))) ** 2


def alpha_penalty(alphas: Sequence[Float[Array, " neuron"]]) -> Float[Array, ""]:
    """0.1 ||max(0, alpha - 0.95)||, over all layers: no membrane that never forgets.

    Source: hSNN (arXiv 2407.18838), released code.
    """
    over = [jnp.maximum(0.0, a - ALPHA_BOUND).ravel() for a in alphas]
    return 0.1 * norm(jnp.concatenate(over))


def alpha_spread(alphas: Sequence[Float[Array, " neuron"]]) -> Float[Array, ""]:
    """Sum over layers of ||alpha - mean alpha||: neurons of a layer stay alike.

    Source: hSNN (arXiv 2407.18838), released code.
    """
    return sum((norm(a - jnp.mean(a)) for a in alphas), start=jnp.float32(0.0))
