"""Normalisation of currents, between synapse and neuron.

Each has parameters that are learnt (`scale`, `shift`) and statistics that a training
pass moves. Currents are (time, batch, neuron) throughout.
"""

from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Currents = Float[Array, "time batch neuron"]
Named = dict[str, Array]

_EPS_BATCH, _EPS_LAYER = 1e-5, 1e-6  # hSNN's released code


class Unnormalised(eqx.Module):
    """Currents as they are."""

    def init(self, n: int) -> tuple[Named, Named]:
        """No parameters, no statistics."""
        del n
        return {}, {}

    def apply(
        self,
        learnt: Named,
        statistics: Named,
        i: Currents,
        *,
        valid: Bool[Array, " batch"] | None,
        training: bool,
    ) -> tuple[Currents, Named]:
        """The currents, and no statistics."""
        del learnt, valid, training
        return i, statistics


class BatchNormalisation(eqx.Module):
    """Over batch and time, per neuron.

        y = scale (i - mean) / sqrt(var + eps) + shift,  var = max(0, E[i^2] - E[i]^2)

    In training, mean and variance are the batch's own, over samples that are valid, and
    running ones follow: r <- (1 - momentum) r + momentum batch. At test the running
    ones are used; with `at_test` = "batch" (published by hSNN) the batch's own, so that
    a sample's score depends on who shares its batch.

    Attributes:
        momentum: share of the newest batch in the running statistics.
        at_test: which statistics a test uses.
        shift: initial shift (hSNN: norm_bias_init).

    Source: Ioffe and Szegedy 2015; over time too: hSNN (arXiv 2407.18838).
    """

    momentum: float = eqx.field(static=True, default=0.1)
    at_test: Literal["running", "batch"] = eqx.field(static=True, default="running")
    shift: float = eqx.field(static=True, default=0.0)

    def init(self, n: int) -> tuple[Named, Named]:
        """Parameters and statistics of n neurons."""
        learnt = {"scale": jnp.ones(n), "shift": jnp.full(n, self.shift)}
        return learnt, {"mean": jnp.zeros(n), "var": jnp.ones(n)}

    def apply(
        self,
        learnt: Named,
        statistics: Named,
        i: Currents,
        *,
        valid: Bool[Array, " batch"] | None,
        training: bool,
    ) -> tuple[Currents, Named]:
        """Normalised currents, and the statistics afterwards.

        Args:
            learnt: `scale` and `shift`.
            statistics: running `mean` and `var`.
            i: currents.
            valid: samples that count; None for all.
            training: whether the running statistics move.
        """
        used, moved = statistics, statistics
        if training or self.at_test == "batch":
            used = _batch_statistics(i, valid)
        if training:
            m = self.momentum
            moved = {k: (1 - m) * statistics[k] + m * used[k] for k in statistics}
        factor = learnt["scale"] / jnp.sqrt(used["var"] + _EPS_BATCH)
        offset = learnt["shift"] - used["mean"] * factor
        return i * factor[None, None] + offset[None, None], moved


def _batch_statistics(i: Currents, valid: Bool[Array, " batch"] | None) -> Named:
    # as matrix products with a row of weights: one pass over the currents each
    n_steps, batch = i.shape[:2]
    share = jnp.ones(batch, i.dtype) if valid is None else valid.astype(i.dtype)
    share = share / (n_steps * jnp.maximum(1.0, jnp.sum(share)))
    mean = jnp.einsum("b,tbn->n", share, i)
    square = jnp.einsum("b,tbn->n", share, i * i)
    return {"mean": mean, "var": jnp.maximum(0.0, square - mean * mean)}


class LayerNormalisation(eqx.Module):
    """Over the neurons of a layer, at each step of each sample.

        y = scale (i - mean) / sqrt(var + eps) + shift

    Source: Ba, Kiros and Hinton 2016.
    """

    shift: float = eqx.field(static=True, default=0.0)

    def init(self, n: int) -> tuple[Named, Named]:
        """Parameters of n neurons; no statistics."""
        return {"scale": jnp.ones(n), "shift": jnp.full(n, self.shift)}, {}

    def apply(
        self,
        learnt: Named,
        statistics: Named,
        i: Currents,
        *,
        valid: Bool[Array, " batch"] | None,
        training: bool,
    ) -> tuple[Currents, Named]:
        """Normalised currents; a sample depends on itself alone."""
        del valid, training
        mean = jnp.mean(i, axis=-1, keepdims=True)
        var = jnp.mean((i - mean) ** 2, axis=-1, keepdims=True)
        y = (i - mean) / jnp.sqrt(var + _EPS_LAYER)
        scale, shift = learnt["scale"][None, None], learnt["shift"][None, None]
        return scale * y + shift, statistics


Normalisation = Unnormalised | BatchNormalisation | LayerNormalisation

# name -> record; settings that a kind does not have are left out by the caller
NORMALISATIONS: Mapping[str, Any] = {
    "none": Unnormalised,
    "batch": BatchNormalisation,
    "layer": LayerNormalisation,
}
