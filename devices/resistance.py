"""Resistance of an RRAM state over a population of devices.

A state is a law, not a number: the high-resistance state (HRS) sets delays, the
low-resistance state (LRS) sets weights. A new law needs the four methods of
`ResistanceDistribution`.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from denram.devices._checks import FloatArray, numbers, positive, spread
from denram.devices.draws import MAX_SIGMA_LN, Shape, Stream, lognormal
from denram.errors import InputError


class ResistanceDistribution(Protocol):
    """What every law of resistance can do; all resistances in ohm."""

    def pdf(self, resistance_ohm: ArrayLike) -> FloatArray:
        """Probability density, 1/ohm."""
        ...

    def cdf(self, resistance_ohm: ArrayLike) -> FloatArray:
        """Probability of at most this resistance."""
        ...

    def quantile(self, probability: ArrayLike) -> FloatArray:
        """Resistance that a fraction `probability` of devices does not exceed."""
        ...

    def sample(self, shape: Shape, *, seed: int, stream: Stream) -> FloatArray:
        """Independent resistances, (post, pre, tap)."""
        ...


@dataclass(frozen=True)
class LognormalResistance:
    """`R = median * exp(sigma_ln * N)`, N standard normal.

    With `sigma_ln = 0` every device has the mean: the law of an ideal technology.

    Attributes:
        mean_ohm: arithmetic mean (the published `r_mu`), > 0.
        sigma_ln: standard deviation of ln R (the published `r_std`), 0 to 10.

    Raises:
        InputError: a parameter out of range.
    """

    mean_ohm: float
    sigma_ln: float

    def __post_init__(self) -> None:
        positive("mean_ohm", self.mean_ohm)
        spread("sigma_ln", self.sigma_ln, MAX_SIGMA_LN)

    @property
    def median_ohm(self) -> float:
        """`mean * exp(-sigma_ln**2 / 2)`."""
        return self.mean_ohm * math.exp(-(self.sigma_ln**2) / 2)

    @property
    def mu_ln(self) -> float:
        """Mean of ln(R / ohm): `ln(mean) - sigma_ln**2 / 2`."""
        return math.log(self.mean_ohm) - self.sigma_ln**2 / 2

    @property
    def cv(self) -> float:
        """Coefficient of variation: `sqrt(exp(sigma_ln**2) - 1)`."""
        return math.sqrt(math.expm1(self.sigma_ln**2))

    @property
    def std_ohm(self) -> float:
        """Standard deviation: `mean * cv`."""
        return self.mean_ohm * self.cv

    def pdf(self, resistance_ohm: ArrayLike) -> FloatArray:
        """`exp(-z**2 / 2) / (R sigma_ln sqrt(2 pi))`, z the standardised ln R.

        Args:
            resistance_ohm: any shape; the density is 0 where it is <= 0.

        Returns:
            Density in 1/ohm; infinite at the mean and 0 elsewhere if `sigma_ln` is 0.

        Raises:
            InputError: NaN.
        """
        r = numbers("resistance_ohm", resistance_ohm)
        if self.sigma_ln == 0:
            return np.where(r == self.mean_ohm, np.inf, 0.0)
        inside = (r > 0) & np.isfinite(r)
        r = np.where(inside, r, self.median_ohm)
        density = np.exp(-(self._z(r) ** 2) / 2) / (r * self.sigma_ln)
        return np.where(inside, density / math.sqrt(2 * math.pi), 0.0)

    def cdf(self, resistance_ohm: ArrayLike) -> FloatArray:
        """`Phi(z)`, z the standardised ln R.

        Args:
            resistance_ohm: any shape; 0 where it is <= 0.

        Raises:
            InputError: NaN.
        """
        r = numbers("resistance_ohm", resistance_ohm)
        if self.sigma_ln == 0:
            return np.where(r >= self.mean_ohm, 1.0, 0.0)
        inside = r > 0
        return np.where(inside, ndtr(self._z(np.where(inside, r, 1.0))), 0.0)

    def quantile(self, probability: ArrayLike) -> FloatArray:
        """`median * exp(sigma_ln * Phi^-1(p))`: 0 at p = 0, infinite at p = 1.

        Args:
            probability: any shape, each in [0, 1].

        Raises:
            InputError: a probability outside [0, 1].
        """
        p = numbers("probability", probability)
        outside = (p < 0) | (p > 1)
        if outside.any():
            raise InputError(
                f"probability must be >= 0 and <= 1, got {p[outside].flat[0]}"
            )
        if self.sigma_ln == 0:
            return np.full_like(p, self.mean_ohm)
        return self.median_ohm * np.exp(self.sigma_ln * ndtri(p))

    def sample(self, shape: Shape, *, seed: int, stream: Stream) -> FloatArray:
        """Independent resistances, each decided by its own address.

        Args:
            shape: (post, pre, tap).
            seed: 0 to 2**32 - 1.
            stream: role and clocks.

        Returns:
            Resistances in ohm, of that shape.

        Raises:
            InputError: shape, seed or clock out of range, or too large for the memory.
        """
        return lognormal(
            shape, self.median_ohm, self.sigma_ln, seed=seed, stream=stream
        )

    def _z(self, r: FloatArray) -> FloatArray:
        return (np.log(r) - self.mu_ln) / self.sigma_ln
