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
from denram.devices.draws import Shape, Stream, relative_factor, truncated
from denram.errors import InputError

MAX_STEPS = 2**31 - 1
MAX_OFFSET_FACTOR = 20.0  # a threshold 2e-9 of the supply below the supply


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
        comparator_sigma: offset of the comparators, the standard deviation of
            Vth / Vdd from element to element of a chip, 0 to 0.5; see
            `threshold_factors`.

    Raises:
        InputError: a parameter out of range.
    """

    capacitance_farad: float
    threshold_factor: float = 1.0
    capacitor_sigma: float = 0.0
    comparator_sigma: float = 0.0

    def __post_init__(self) -> None:
        positive("capacitance_farad", self.capacitance_farad)
        positive("threshold_factor", self.threshold_factor)
        spread("capacitor_sigma", self.capacitor_sigma, 0.5)
        spread("comparator_sigma", self.comparator_sigma, 0.5)
        if self.comparator_sigma > 0 and self.threshold_factor > MAX_OFFSET_FACTOR:
            raise InputError(
                f"threshold_factor must be <= {MAX_OFFSET_FACTOR:g} where"
                f" comparator_sigma is not 0, got {self.threshold_factor}"
            )

    def delay_s(
        self,
        resistance_ohm: ArrayLike,
        *,
        seed: int | None = None,
        stream: Stream | None = None,
    ) -> FloatArray:
        """`k R C`, with the capacitors and comparators of one chip if they differ.

        Args:
            resistance_ohm: R; any shape, (post, pre, tap) if elements differ.
            seed: what the elements are drawn from; only needed if they differ.
            stream: the capacitors' role and chip; only needed if elements differ.

        Raises:
            InputError: a resistance that is not finite and > 0, a delay that no float
                holds, or elements that differ without seed and stream.
        """
        r = positive_array("resistance_ohm", resistance_ohm)
        with np.errstate(over="ignore"):
            delay = self.threshold_factor * self.capacitance_farad * r
        if self.capacitor_sigma > 0:
            shape, seed, stream = self._chip(r.shape, seed, stream)
            delay *= self.capacitor_factors(shape, seed=seed, stream=stream)
        if self.comparator_sigma > 0:
            shape, seed, stream = self._chip(r.shape, seed, stream)
            k = self.threshold_factors(shape, seed=seed, stream=stream)
            delay *= k / self.threshold_factor
        return non_negative_array("delay_s = k R C", delay)

    def capacitor_factors(
        self, shape: Shape, *, seed: int, stream: Stream
    ) -> FloatArray:
        """Each element's C over its nominal value, (post, pre, tap).

        Args:
            shape: (post, pre, tap).
            seed: 0 to 2**32 - 1.
            stream: the capacitors' role and chip, as `delay_s` is given it.

        Raises:
            InputError: shape, seed or clock out of range, or too large for the memory.
        """
        return relative_factor(shape, self.capacitor_sigma, seed=seed, stream=stream)

    def threshold_factors(
        self, shape: Shape, *, seed: int, stream: Stream
    ) -> FloatArray:
        """Each element's k, (post, pre, tap): `k_i = -ln(1 - ratio_i)`.

        The element charges to the threshold `ratio_i = Vth / Vdd = ratio + sigma N`
        with `ratio = 1 - exp(-k)`, N normal and sigma `comparator_sigma`. N is cut
        where |sigma N| reaches 0.99 of the way from the ratio to the nearer of 0 and
        1, alike on both sides, so that the mean ratio stays the nominal one.

        Arguments and errors as `capacitor_factors`: the same stream, from which the
        comparators' own role, the capacitors' followed by " comparator", is made.
        """
        k = self.threshold_factor
        if self.comparator_sigma == 0:
            return np.full(shape, k)
        own = stream._replace(role=f"{stream.role} comparator")
        # ln(1 - ratio_i) = -k + ln(1 - x), x = exp(k) sigma N: exact where 1 - ratio
        # is tiny, and where the ratio is
        sigma = self.comparator_sigma * math.exp(k)
        reach = 0.99 * min(math.expm1(k), 1.0)
        x = truncated(shape, sigma, reach, seed=seed, stream=own)
        return k - np.log1p(-x)

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

    def _chip(
        self, shape: tuple[int, ...], seed: int | None, stream: Stream | None
    ) -> tuple[Shape, int, Stream]:
        """The devices' shape and what their elements are drawn from, all given."""
        if seed is None or stream is None:
            name = "capacitor" if self.capacitor_sigma > 0 else "comparator"
            raise InputError(
                f"seed and stream must be given where {name}_sigma is not 0,"
                f" got {getattr(self, f'{name}_sigma')}"
            )
        if len(shape) != 3:
            raise InputError(f"resistance_ohm must be (post, pre, tap), got {shape}")
        post, pre, tap = shape
        return (post, pre, tap), seed, stream


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
