"""Bands of accepted resistance: a share of the target, or whole steps of its delay."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from denram.devices._checks import (
    FloatArray,
    positive,
    positive_array,
    spread,
    whole,
)
from denram.devices.rc import MAX_STEPS, RCDelay


def relative_band(
    target_ohm: ArrayLike, tolerance: float
) -> tuple[FloatArray, FloatArray]:
    """`target * (1 - tolerance)` and `target * (1 + tolerance)`, in ohm.

    Args:
        target_ohm: any shape, each finite and > 0.
        tolerance: share of the target, > 0 to 1.

    Raises:
        InputError: an argument out of range.
    """
    target = positive_array("target_ohm", target_ohm)
    share = positive("tolerance", spread("tolerance", tolerance, 1.0))
    return target * (1.0 - share), target * (1.0 + share)


def step_band(
    target_ohm: ArrayLike,
    rc: RCDelay,
    *,
    timestep_s: float,
    max_delay: int,
    tolerance_steps: float,
) -> tuple[FloatArray, FloatArray]:
    """Resistances whose nominal delay is within so many whole steps of the target's.

    Exact to the last bit: with `steps(R) = delay_steps(k R C)`, of an element without
    mismatch, `low <= R <= high` where and only where
    `|steps(R) - steps(target)| <= tolerance_steps`.

    Args:
        target_ohm: any shape, each finite and > 0.
        rc: the delay element.
        timestep_s: length of a step, > 0.
        max_delay: steps at which delays saturate, 0 to 2**31 - 1.
        tolerance_steps: >= 0; steps are whole, so a fraction of one adds nothing.

    Returns:
        Lowest and highest resistance in ohm, of the targets' shape: 0 where no delay is
        too short, infinite where none is too long.

    Raises:
        InputError: an argument out of range.
    """
    target = positive_array("target_ohm", target_ohm)
    positive("timestep_s", timestep_s)
    whole("max_delay", max_delay, 0, MAX_STEPS)
    reach = int(spread("tolerance_steps", tolerance_steps, MAX_STEPS))
    element = _Steps(rc, timestep_s, max_delay)
    step, place = np.unique(element.of(target), return_inverse=True)
    low = element.least_ohm(np.maximum(step - reach, 0))
    # the last resistance before the first one that is a step too long
    high = np.nextafter(element.least_ohm(step + reach + 1), 0.0)
    high[step + reach >= max_delay] = np.inf
    return low[place].reshape(target.shape), high[place].reshape(target.shape)


@dataclass(frozen=True)
class _Steps:
    """The nominal steps of a resistance, and back; whole numbers as floats."""

    rc: RCDelay
    timestep_s: float
    max_delay: int

    def of(self, r: FloatArray) -> FloatArray:
        """As `RCDelay.delay_s` and `delay_steps` compute them."""
        with np.errstate(over="ignore"):
            t = self.rc.threshold_factor * self.rc.capacitance_farad * r
            return np.minimum(np.rint(t / self.timestep_s), self.max_delay)

    def least_ohm(self, steps: FloatArray) -> FloatArray:
        """The smallest float of at least these steps: 0 for 0, infinite if none is.

        Found by bisection of the floats, whose bits are ordered as they are.
        """
        low = np.zeros(steps.shape, np.int64)  # too few steps, or 0.0 itself
        high = np.full(steps.shape, np.float64(np.inf).view(np.int64))
        while (high - low > 1).any():
            middle = low + (high - low) // 2
            enough = self.of(middle.view(np.float64)) >= steps
            high = np.where(enough, middle, high)
            low = np.where(enough, low, middle)
        return np.where(steps <= 0, 0.0, high.view(np.float64))
