"""What hSNN adds to its loss."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from denram.train import regularisers
from denram.train.layered import Learnt
from denram.train.layers import Trace


@dataclass(frozen=True)
class Penalties:
    """What hSNN adds to its loss; see `NetworkConfig`."""

    l2_lambda: float
    freq_lambda: float
    target_fr: float
    l2_alpha_sd: float
    of_alpha: bool
    published: bool

    def __call__(
        self,
        layers: Sequence[Learnt],
        spikes: Sequence[Trace],
        valid: Bool[Array, " batch"],
    ) -> Float[Array, ""]:
        """The sum of all penalties that are on."""
        total = jnp.float32(0.0)
        if self.l2_lambda:
            names = {"weights", "feedback", *(["norm"] if self.published else [])}
            held = [{k: v for k, v in one.items() if k in names} for one in layers]
            l2 = regularisers.unsquared if self.published else regularisers.squared
            total += self.l2_lambda * l2(held)
        if self.freq_lambda:
            rates = regularisers.rate_penalty(spikes, self.target_fr, valid)
            total += self.freq_lambda * rates
        if self.of_alpha:
            alphas = [one["alpha"] for one in layers]
            total += regularisers.alpha_penalty(alphas)
            total += self.l2_alpha_sd * regularisers.alpha_spread(alphas)
        return total
