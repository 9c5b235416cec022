"""Relaxation and drift: how a programmed resistance changes in log time."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from denram.devices._arrays import Array, known, namespace
from denram.devices._checks import non_negative_array, numbers, positive, spread
from denram.devices.draws import MAX_SIGMA_LN
from denram.errors import InputError

MAX_NU = 10.0


@dataclass(frozen=True)
class LogTimeDrift:
    """`R(t) / R(0) = (1 + t/start)**nu_i * exp(sigma N_i decades**power)`.

    `nu_i = nu + nu_sigma * z_rate`, `sigma` is `relaxation_sigma`, `N_i` is `z_walk`,
    `decades = log10(1 + t / start)`. Each device keeps its two draws for life, so its
    resistance is a smooth function of time.

    Attributes:
        nu: mean exponent of the drift, -10 to 10; R grows if it is > 0.
        nu_sigma: standard deviation of the exponent over the devices, 0 to 10.
        relaxation_sigma: standard deviation that ln R has gained after one decade of
            1 + t / start, 0 to 10.
        relaxation_power: power of the decades with which it grows, 0 to 1.
        start_s: time scale on which both begin, > 0.

    Raises:
        InputError: a parameter out of range (unless it is traced).
    """

    nu: float = 0.0
    nu_sigma: float = 0.0
    relaxation_sigma: float = 0.0
    relaxation_power: float = 0.5
    start_s: float = 1.0

    def __post_init__(self) -> None:
        if known(self.nu) and not -MAX_NU <= self.nu <= MAX_NU:
            raise InputError(f"nu must be within +-{MAX_NU:g}, got {self.nu}")
        for name in ("nu_sigma", "relaxation_sigma"):
            if known(getattr(self, name)):
                spread(name, getattr(self, name), MAX_SIGMA_LN)
        if known(self.relaxation_power):
            spread("relaxation_power", self.relaxation_power, 1.0)
        if known(self.start_s):
            positive("start_s", self.start_s)

    def factor(self, time_s: Any, z_rate: Array, z_walk: Array) -> Array:
        """What each resistance is multiplied by at `time_s` after programming.

        Args:
            time_s: a number, or an array that broadcasts against the draws; >= 0.
            z_rate: standard normals, one per device, of the exponent.
            z_walk: standard normals, one per device, independent of the first.

        Returns:
            Factors, exactly 1 at time 0, of the draws' library and dtype; infinite or 0
            where that dtype holds none.

        Raises:
            InputError: a time before programming (unless it is traced).
        """
        if known(time_s):
            _refuse_the_past(time_s)
        xp = namespace(z_rate)
        t = xp.asarray(time_s, dtype=z_rate.dtype) / self.start_s
        growth = xp.log1p(t)
        decades = growth / math.log(10)
        walk = xp.where(t > 0, decades**self.relaxation_power, 0.0)
        rate = self.nu + self.nu_sigma * z_rate
        with np.errstate(over="ignore"):
            return xp.exp(rate * growth + self.relaxation_sigma * walk * z_walk)


def _refuse_the_past(time_s: Any) -> None:
    t = numbers("time_s", time_s)
    if (t < 0).any():
        raise InputError(
            f"time_s must be >= 0 (no times before programming), got {t.min()}"
        )
    non_negative_array("time_s", t)
