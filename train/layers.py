"""One layer: synapses, their devices, normalisation, membranes.

    encoded -> weights that act -> currents -> normalised -> neurons -> given out

A layer is a record of structure; what is learnt is passed in:

    {"weights": ..., ["feedback": (n, n),] "norm": {...}, "alpha": (n,)}
"""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from denram.train.neurons import LIF, LeakyIntegrator, linear_trace, unroll
from denram.train.normalisation import Normalisation
from denram.train.synapses import CausalConvolution, Delayed, Dense, feedback_weights
from denram.train.tau_errors import TauErrors
from denram.train.weight_chain import WeightChain

Trace = Float[Array, "time batch neuron"]


class Layer(eqx.Module):
    """Neurons of one kind behind synapses of one kind, on devices.

    Attributes:
        synapse: from inputs to currents.
        chain: devices of its weights.
        live: weights that count in the range of the noise; None for all.
        feedback: devices of the layer's recurrent weights; None without recurrence.
        norm: between synapse and neuron; recurrent currents come after it.
        neuron: its alpha only says of what shape it is.
        tau_errors: spread of the time constants; None for none.
        alpha_range: smallest and largest decay of a step that acts.
    """

    synapse: Dense | CausalConvolution | Delayed
    chain: WeightChain
    live: Bool[Array, "..."] | None
    feedback: WeightChain | None
    norm: Normalisation
    neuron: LIF | LeakyIntegrator
    tau_errors: TauErrors | None
    alpha_range: tuple[float, float] = eqx.field(static=True)

    @property
    def random(self) -> bool:
        """Whether two draws differ even without weight noise."""
        spread = self.tau_errors is not None and self.tau_errors.random
        fed = self.feedback is not None and self.feedback.random
        return self.chain.random or fed or spread

    def ideal(self) -> "Layer":
        """The same layer on devices without errors."""
        feedback = None if self.feedback is None else self.feedback.ideal()
        return replace(
            self, chain=self.chain.ideal(), feedback=feedback, tau_errors=None
        )

    def alpha(self, learnt: dict[str, Any]) -> Float[Array, " neuron"]:
        """Decay of a step as it is meant, within its range."""
        return jnp.clip(learnt["alpha"], *self.alpha_range)

    def run(
        self,
        learnt: dict[str, Any],
        statistics: dict[str, Array],
        encoded: Any,
        *,
        valid: Bool[Array, " batch"] | None,
        training: bool,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> tuple[Trace, dict[str, Array]]:
        """What the layer gives out, and the normalisation's statistics afterwards.

        Args:
            learnt: see the module.
            statistics: of the normalisation.
            encoded: what `synapse.encode` gave.
            valid: samples that count in statistics; None for all.
            training: whether statistics move.
            key: of this draw of the devices; consumed.
            noise_std: weight noise over max|w|.
        """
        key_weights, key_feedback, key_tau = jax.random.split(key, 3)
        weights = self.chain.read(
            learnt["weights"], key=key_weights, noise_std=noise_std, live=self.live
        )
        i, moved = self.norm.apply(
            learnt["norm"],
            statistics,
            self.synapse.currents(weights, encoded),
            valid=valid,
            training=training,
        )
        neuron = self._membranes(learnt, key=key_tau)
        if self.feedback is not None:
            recurrent = feedback_weights(
                self.feedback.read(
                    learnt["feedback"],
                    key=key_feedback,
                    noise_std=noise_std,
                    live=~jnp.eye(len(learnt["feedback"]), dtype=bool),
                )
            )
            return unroll(neuron, i, feedback=lambda s: s @ recurrent), moved
        if isinstance(neuron, LeakyIntegrator) and neuron.floor == -jnp.inf:
            return linear_trace(neuron, i), moved
        return unroll(neuron, i), moved

    def _membranes(
        self, learnt: dict[str, Any], *, key: PRNGKeyArray
    ) -> LIF | LeakyIntegrator:
        alpha = self.alpha(learnt)
        if self.tau_errors is not None:
            alpha = self.tau_errors.realised(alpha, alpha.size, key=key)
        return replace(self.neuron, alpha=alpha)
