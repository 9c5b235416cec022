"""The RC delay element: a resistance becomes a delay, and the delay whole steps."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denram.devices._checks import (
    FloatArray,
    non_negative_array,
    positive,
    positive_array,
    spread,
    whole,
)
from denram.devices.draws import Stream, relative_factor
from denram.errors import InputError

MAX_STEPS = 2**31 - 1


def charge_factor(threshold_volt: float, supply_volt: float) -> float:
    """`k = -ln(1 - Vth / Vdd)`: a capacitor charged from 0 crosses Vth at k R C.

    Args:
        threshold_volt: Vth, between 0 and the supply.
        supply_volt: Vdd.

    Raises:
        InputError: a voltage out of range.
    """
    return -math.log1p(-_threshold_ratio(threshold_volt, supply_volt))


def discharge_factor(threshold_volt: float, supply_volt: float) -> float:
    """`k = ln(Vdd / Vth)`: a capacitor discharged from Vdd crosses Vth at k R C.

    Args:
        threshold_volt: Vth, between 0 and the supply.
        supply_volt: Vdd.

    Raises:
        InputError: a voltage out of range.
    """
    return -math.log(_threshold_ratio(threshold_volt, supply_volt))


def _threshold_ratio(threshold_volt: float, supply_volt: float) -> float:
    supply = positive("supply_volt", supply_volt)
    ratio = positive("threshold_volt", threshold_volt) / supply
    if not 0 < ratio < 1:
        raise InputError(
            f"threshold_volt must be < supply_volt = {supply}, got {threshold_volt}"
        )
    return ratio


@dataclass(frozen=True)
class RCDelay:
    """A delay `t = k R C`.

    Attributes:
        capacitance_farad: nominal C, > 0.
        threshold_factor: k, > 0; 1 is what the published simulation means, other
            values come from `charge_factor` and `discharge_factor`.
        capacitor_sigma: mismatch, the standard deviation of C over its nominal value
            from element to element of a chip, 0 to 0.5; cut alike on both sides so
            that C stays above 0.01 of nominal.

    Raises:
        InputError: a parameter out of range.
    """

    capacitance_farad: float
    threshold_factor: float = 1.0
    capacitor_sigma: float = 0.0

    def __post_init__(self) -> None:
        positive("capacitance_farad", self.capacitance_farad)
        positive("threshold_factor", self.threshold_factor)
        spread("capacitor_sigma", self.capacitor_sigma, 0.5)

    def delay_s(
        self,
        resistance_ohm: ArrayLike,
        *,
        seed: int | None = None,
        stream: Stream | None = None,
    ) -> FloatArray:
        """`k R C`, with the capacitors of one chip if there is mismatch.

        Args:
            resistance_ohm: R; any shape, (post, pre, tap) if there is mismatch.
            seed: what the capacitors are drawn from; only needed with mismatch.
            stream: their role and chip; only needed with mismatch.

        Raises:
            InputError: a resistance that is not finite and > 0, a delay that no float
                holds, or mismatch without seed and stream.
        """
        r = positive_array("resistance_ohm", resistance_ohm)
        with np.errstate(over="ignore"):
            delay = self.threshold_factor * self.capacitance_farad * r
        if self.capacitor_sigma > 0:
            delay *= self._mismatch(r.shape, seed, stream)
        return non_negative_array("delay_s = k R C", delay)

    def resistance_ohm(self, delay_s: ArrayLike) -> FloatArray:
        """The resistance to aim at, `R = t / (k C)`, for a nominal capacitor.

        Args:
            delay_s: any shape, each finite and > 0.

        Raises:
            InputError: a delay that is not finite and > 0, or a resistance that no
                float holds.
        """
        t = positive_array("delay_s", delay_s)
        with np.errstate(over="ignore", divide="ignore"):
            r = t / (self.threshold_factor * self.capacitance_farad)
        return positive_array("resistance_ohm = t / (k C)", r)

    def _mismatch(
        self, shape: tuple[int, ...], seed: int | None, stream: Stream | None
    ) -> FloatArray:
        if seed is None or stream is None:
            raise InputError(
                "seed and stream must be given where capacitor_sigma is not 0,"
                f" got {self.capacitor_sigma}"
            )
        if len(shape) != 3:
            raise InputError(f"resistance_ohm must be (post, pre, tap), got {shape}")
        post, pre, tap = shape
        return relative_factor(
            (post, pre, tap), self.capacitor_sigma, seed=seed, stream=stream
        )


def delay_steps(
    delay_s: ArrayLike, *, timestep_s: float, max_delay: int
) -> NDArray[np.int32]:
    """`min(round(t / dt), max_delay)`, a half rounded to the even step.

    Args:
        delay_s: any shape, each finite and >= 0.
        timestep_s: dt, > 0.
        max_delay: steps at which longer delays saturate, 0 to 2**31 - 1.

    Raises:
        InputError: a delay that is negative or not finite, or a parameter out of range.
    """
    t = non_negative_array("delay_s", delay_s)
    dt = positive("timestep_s", timestep_s)
    longest = whole("max_delay", max_delay, 0, MAX_STEPS)
    with np.errstate(over="ignore"):
        steps = np.rint(t / dt)
    return np.minimum(steps, longest).astype(np.int32)


def steps_delay_s(steps: ArrayLike, *, timestep_s: float) -> FloatArray:
    """The delay of whole steps, `steps * dt`: `delay_steps` backwards.

    Args:
        steps: whole numbers >= 0, any shape.
        timestep_s: dt, > 0.

    Raises:
        InputError: steps that are negative or no whole numbers, or a bad timestep.
    """
    whole_steps = np.asarray(steps)
    if not np.issubdtype(whole_steps.dtype, np.integer):
        raise InputError(f"steps must be whole numbers, got {whole_steps.dtype}")
    dt = positive("timestep_s", timestep_s)
    return non_negative_array("steps", whole_steps) * dt
