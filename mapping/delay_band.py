"""Which resistances give a delay device nearly its delay, and what others give.

    (s - n - 1/2) dt <= R delay_s / resistance_ohm <= (s + n + 1/2) dt

is the band for n steps beside the map's step s; it has no lower end where s - n <= 0
and no upper end where s + n >= max_delay.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denram.config import convert
from denram.devices import delay_steps
from denram.mapping.constraints import MapConfig
from denram.mapping.hardware_map import HardwareMap

Floats = NDArray[np.float64]


def delays_of(
    chip: HardwareMap, where: tuple[Any, ...], resistance_ohm: Any
) -> tuple[Floats, NDArray[np.int32]]:
    """Delays of other resistances in the places of a map's delay devices.

    The law is the element's own, t = R (delay_s / resistance_ohm) of the map, so that
    the mismatch of its capacitor stays; an unchanged resistance gives the map's delay
    to the bit.

    Args:
        chip: the map.
        where: (post, pre, tap) index arrays.
        resistance_ohm: one resistance for each, finite and > 0.

    Returns:
        delay_s and delay_steps.
    """
    ohm = np.asarray(resistance_ohm, np.float64)
    delay = ohm * _seconds_per_ohm(chip)[where]
    same = ohm == chip.resistance_ohm[where]
    delay = np.where(same, chip.delay_s[where], delay)
    steps = delay_steps(delay, timestep_s=chip.timestep_s, max_delay=chip.max_delay)
    return delay, np.where(same, chip.delay_steps[where], steps)


def _seconds_per_ohm(chip: HardwareMap) -> Floats:
    """The k C of each element; the nominal one where the map's delay is 0."""
    own = chip.delay_s / chip.resistance_ohm
    if own.all():
        return own
    config = convert(MapConfig, chip.config)
    return np.where(own > 0, own, config.threshold_factor * config.cap)


def delay_band(chip: HardwareMap, n_steps: int) -> tuple[Floats, Floats]:
    """Resistances (lowest, highest) whose delay is at most `n_steps` beside.

    Args:
        chip: the map.
        n_steps: n, >= 0.

    Returns:
        Two arrays (post, pre, tap), ohm; 0 and infinity where there is no end.
    """
    factor, steps = _seconds_per_ohm(chip), chip.delay_steps
    ohm_per_step = chip.timestep_s / factor
    low = np.where(steps <= n_steps, 0.0, (steps - n_steps - 0.5) * ohm_per_step)
    high = (steps + n_steps + 0.5) * ohm_per_step
    high = np.where(steps + n_steps >= chip.max_delay, math.inf, high)
    # the ends themselves belong to the band: a half is rounded to the even step
    for _ in range(4):
        low = np.where(_beside(chip, low, factor) < -n_steps, _up(low), low)
        high = np.where(_beside(chip, high, factor) > n_steps, _down(high), high)
    ohm = chip.resistance_ohm
    return np.minimum(low, ohm), np.maximum(high, ohm)


def _beside(chip: HardwareMap, ohm: Floats, factor: Floats) -> Floats:
    """Steps between a resistance's delay and the map's."""
    steps = np.minimum(np.rint(ohm * factor / chip.timestep_s), chip.max_delay)
    return steps - chip.delay_steps.astype(np.float64)


def _up(ohm: Floats) -> Floats:
    return np.nextafter(ohm, math.inf)


def _down(ohm: Floats) -> Floats:
    return np.nextafter(ohm, 0.0)
