"""Weight devices in the forward pass: range, levels, noise; trained straight through.

    w -> positive only -> bounded -> n levels -> + noise

Every stage is applied in the forward pass and passed over by the gradient
(straight-through estimator), so a weight at a bound can leave it again.
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from denram.config import Index, NonNegative, Positive, Section


class NoiseConfig(Section, frozen=True):
    """Hardware noise and weight constraints.

    Attributes:
        noise_std: standard deviation of the weight noise in training and validation,
            as a fraction of max|w| (0.1: the paper's operating point).
        test_noise_std: the same at test; None means as in training.
        test_noise_levels: further levels that the test set is scored at, with the same
            chips as at `test_noise_std`.
        test_times_s: times since programming that the trained network is scored at,
            with and without compensation (`denram.train.ageing`).
        test_chips: further chips that the trained network is scored on as it is,
            numbered on from its own.
        noise_range: which weights max|w| is taken over: `live`, those that can see an
            input, or `all`, every weight and the bias (published).
        positive_weights: weights and bias of negative sign become 0.
        weight_max: largest |w| a device can hold, in weight units; None is unbounded.
    """

    noise_std: NonNegative = 0.1
    test_noise_std: NonNegative | None = None
    test_noise_levels: tuple[NonNegative, ...] = ()
    test_times_s: tuple[NonNegative, ...] = ()
    test_chips: Index = 0
    noise_range: Literal["live", "all"] = "live"
    positive_weights: bool = False
    weight_max: Positive | None = None

    def __post_init__(self) -> None:
        if len(set(self.test_noise_levels)) < len(self.test_noise_levels):
            raise ValueError("test_noise_levels must not name a level twice")
        if list(self.test_times_s) != sorted(set(self.test_times_s)):
            raise ValueError("test_times_s must ascend")


class WeightDevices(eqx.Module):
    """What the devices make of a weight.

    Attributes:
        positive: True for one device per weight, False for a differential pair.
        weight_max: |w| at the largest conductance, or None.
        weight_min: |w| at the smallest conductance; a single device cannot be off.
        levels: number of programmable levels over the range, 0 for continuous.
    """

    positive: bool = eqx.field(static=True, default=False)
    weight_max: float | None = eqx.field(static=True, default=None)
    weight_min: float = eqx.field(static=True, default=0.0)
    levels: int = eqx.field(static=True, default=0)

    def __check_init__(self) -> None:
        if self.levels and self.weight_max is None:
            raise ValueError(f"weight_max must be set for {self.levels} levels")

    def effective(self, w: Float[Array, "*w"]) -> Float[Array, "*w"]:
        """The weights the devices realise; the gradient is the identity.

        One device holds [weight_min, weight_max] in `levels` even steps; a pair holds
        [-(weight_max - weight_min), +] in 2 levels - 1 even steps.
        """
        low, high, steps = -jnp.inf, jnp.inf, 2 * (self.levels - 1)
        if self.weight_max is not None:
            high = self.weight_max - (0.0 if self.positive else self.weight_min)
            low = -high
        if self.positive:
            low, steps = self.weight_min, self.levels - 1
        realised = jnp.clip(w, low, high)
        if self.levels:
            pitch = (high - low) / steps
            realised = low + pitch * jnp.round((realised - low) / pitch)
        return straight_through(w, realised)


def straight_through(
    w: Float[Array, "*w"], realised: Float[Array, "*w"]
) -> Float[Array, "*w"]:
    """`realised` in the forward pass, the gradient of `w` in the backward pass."""
    return jax.lax.stop_gradient(realised) + (w - jax.lax.stop_gradient(w))


def noisy(
    w: Float[Array, "*w"],
    range_: Float[Array, ""],
    noise_std: Float[Array, ""] | float,
    *,
    key: PRNGKeyArray,
) -> Float[Array, "*w"]:
    """W + N(0, 1) noise_std range, where w is not zero (published rule).

    One draw; the key is consumed. Neither `range_` nor the draw carries a gradient.
    """
    draw = jax.random.normal(key, w.shape, w.dtype) * noise_std * range_
    return w + jax.lax.stop_gradient(jnp.where(w == 0, 0.0, draw))


def largest(
    w: Float[Array, "*w"], where: Bool[Array, "*w"] | None = None
) -> Float[Array, ""]:
    """max|w| over all weights, or over those marked; 0 if there is none."""
    return jnp.max(jnp.abs(w), where=where, initial=0.0)
