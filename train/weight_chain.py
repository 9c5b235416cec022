"""The one way from a trained weight to the weight that acts, for every synapse.

    trained -> range -> levels -> programmed, aged, read -> + noise

Each stage acts in the forward pass alone; the gradient of a trained weight is that of
the weight that acts (straight-through estimator).
"""

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from denram.errors import InputError
from denram.mapping import ErrorConfig
from denram.train.noise import (
    NoiseConfig,
    WeightDevices,
    largest,
    noisy,
    straight_through,
)
from denram.train.weight_errors import WeightErrors, weight_errors


class WeightChain(eqx.Module):
    """Devices of one array of weights.

    Attributes:
        devices: range, polarity and levels.
        errors: of programming, time and reads; None for ideal devices.
    """

    devices: WeightDevices
    errors: WeightErrors | None

    @property
    def random(self) -> bool:
        """Whether two draws differ even without weight noise."""
        return self.errors is not None

    def ideal(self) -> "WeightChain":
        """The same devices without errors."""
        return WeightChain(self.devices, None)

    def programmed(
        self,
        w: Float[Array, "*w"],
        range_: Float[Array, ""],
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "*w"]:
        """Weights in range after one programming and one read; the key is consumed.

        Args:
            w: weights that the devices are aimed at, from `devices.effective`.
            range_: |w| at the largest conductance where the devices have no
                `weight_max`.
            key: of this programming.
        """
        if self.errors is None:
            return w
        scale = self.devices.weight_max or range_
        return straight_through(w, self.errors.realised(w, scale, key=key))

    def read(
        self,
        w: Float[Array, "*w"],
        *,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
        live: Bool[Array, "*w"] | None = None,
    ) -> Float[Array, "*w"]:
        """The weights that act in one draw, of an array with a range of its own.

        Args:
            w: trained weights.
            key: of this draw; consumed.
            noise_std: weight noise over max|w|.
            live: weights that count in max|w|; None for all.
        """
        key_programmed, key_noise = jax.random.split(key)
        w = self.devices.effective(w)
        range_ = largest(w, live)
        w = self.programmed(w, range_, key=key_programmed)
        return noisy(w, range_, noise_std, key=key_noise)


def weight_chain(
    errors: ErrorConfig,
    devices: WeightDevices,
    stuck: Int[np.ndarray, "pair ..."],
) -> WeightChain:
    """The chain that a configuration asks for.

    Args:
        errors: settings.
        devices: range, polarity and levels.
        stuck: kinds of faults, of plus and minus devices.

    Raises:
        InputError: see `weight_errors`.
    """
    off = devices.weight_min / devices.weight_max if devices.weight_max else 0.0
    found = weight_errors(errors, stuck, off=off, positive=devices.positive)
    return WeightChain(devices, found)


def weight_devices(
    noise: NoiseConfig, *, levels: int, off_on: float, of: str = "the map"
) -> WeightDevices:
    """Range and levels of weight devices, in weight units.

    Args:
        noise: polarity and largest weight.
        levels: programmable levels, 0 for continuous.
        off_on: smallest over largest conductance; NaN where unknown.
        of: who has the levels, for the message.

    Raises:
        InputError: levels without a largest weight.
    """
    if levels and noise.weight_max is None:
        raise InputError(f"weight_max must be set when {of} has {levels} levels")
    weight_min = (noise.weight_max or 0.0) * off_on
    return WeightDevices(
        positive=noise.positive_weights,
        weight_max=noise.weight_max,
        weight_min=0.0 if np.isnan(weight_min) else weight_min,
        levels=levels,
    )
