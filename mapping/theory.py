"""What the devices ought to give, in closed form, and how far a sample is from it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, kolmogorov

from denram.mapping.constraints import MapConfig
from denram.mapping.delays import (
    aimed_ohm,
    aimed_steps,
    pattern_steps,
    rc_delay,
    resistance_law,
)

_MAX_TESTED = 1_000_000
_MIN_TESTED = 20
_MIN_PER_STEP = 5


@dataclass(frozen=True)
class Expected:
    """Moments of the resistance, and the share of delays that saturate.

    Attributes:
        mean_ohm: arithmetic mean.
        median_ohm: median.
        cv: standard deviation over mean.
        clipped_share: share of delays beyond max_delay, None without a closed form.
    """

    mean_ohm: float
    median_ohm: float
    cv: float
    clipped_share: float | None


@dataclass(frozen=True)
class Fit:
    """A goodness-of-fit test.

    Attributes:
        test: name of the test, None where none applies.
        statistic: D of Kolmogorov-Smirnov, or chi-square.
        p_value: chance of a statistic as large, if the law holds.
        n_tested: devices that entered.
        note: the law tested, or why there is no test.
    """

    test: str | None
    statistic: float | None
    p_value: float | None
    n_tested: int
    note: str


def expected(config: MapConfig) -> Expected:
    """The law's own moments, without sampling."""
    varied = config.capacitor_sigma > 0
    if config.delay_distribution == "lognormal":
        law = resistance_law(config)
        longest_s = (config.max_delay + 0.5) * config.timestep
        clipped = 1.0 - float(law.cdf(rc_delay(config).resistance_ohm(longest_s)))
        mean, median, cv = law.mean_ohm, law.median_ohm, law.cv
    else:
        uniform = config.delay_distribution == "uniform"
        every_step = np.arange(config.max_delay + 1, dtype=np.int32)
        steps = every_step if uniform else pattern_steps(config)
        ohm, clipped = aimed_ohm(steps, config), 0.0
        mean, median = float(ohm.mean()), float(np.median(ohm))
        cv = float(ohm.std()) / mean
    return Expected(mean, median, cv, None if varied else clipped)


def goodness_of_fit(resistance_ohm: NDArray[np.float64], config: MapConfig) -> Fit:
    """Test resistances against the law they were drawn from.

    Lognormal: Kolmogorov-Smirnov. Uniform steps: chi-square over the steps aimed at.

    Args:
        resistance_ohm: flat, at most a million evenly spaced devices are used.
        config: the law.
    """
    stride = -(-resistance_ohm.size // _MAX_TESTED)
    ohm = resistance_ohm[::stride]
    if config.delay_distribution == "pattern":
        return _no_fit("a pattern is chosen, not drawn: nothing to test")
    if ohm.size < _MIN_TESTED:
        return _no_fit(f"fewer than {_MIN_TESTED} devices: too few to test")
    if config.delay_distribution == "uniform":
        return _chi_square(ohm, config)
    if config.r_std == 0:
        return _no_fit("r_std is 0: all devices are equal")
    return _kolmogorov_smirnov(ohm, config)


def _no_fit(reason: str) -> Fit:
    return Fit(None, None, None, 0, reason)


def _kolmogorov_smirnov(ohm: NDArray[np.float64], config: MapConfig) -> Fit:
    """D = sup |F_n - F|; p by Kolmogorov's law with Stephens' correction for n."""
    n = ohm.size
    cdf = resistance_law(config).cdf(np.sort(ohm))
    ranks = np.arange(n + 1) / n
    d = float(max((ranks[1:] - cdf).max(), (cdf - ranks[:-1]).max()))
    p = float(kolmogorov((math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * d))
    law = f"lognormal, mean {config.r_mu:g} ohm, sigma of ln R {config.r_std:g}"
    return Fit("Kolmogorov-Smirnov", d, p, n, law)


def _chi_square(ohm: NDArray[np.float64], config: MapConfig) -> Fit:
    """Sum of (count - n / m)^2 / (n / m) over the m = max_delay + 1 steps."""
    n, m = ohm.size, config.max_delay + 1
    if m == 1 or n < _MIN_PER_STEP * m:
        return _no_fit(f"fewer than {_MIN_PER_STEP} devices per step: too few to test")
    counts = np.bincount(aimed_steps(ohm, config), minlength=m)
    chi2 = float(((counts - n / m) ** 2).sum() / (n / m))
    p = float(gammaincc((m - 1) / 2, chi2 / 2))
    law = f"every step from 0 to {config.max_delay} equally likely"
    return Fit("chi-square", chi2, p, n, law)
