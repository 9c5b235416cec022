"""Weights as conductances of one device, or of a differential pair, and back.

    single:  g = g_min + (g_max - g_min) w / w_max,           w in [0, w_max]
    pair:    g+ carries max(w, 0), g- carries max(-w, 0), each as above

Reading a pair subtracts the two, so that g_min drops out:
w = w_max (g+ - g-) / (g_max - g_min).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denram.errors import InputError
from denram.mapping.constraints import MapConfig

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WeightRange:
    """The scale between weights and conductances.

    Attributes:
        g_min_siemens: conductance that stands for weight 0, > 0.
        g_max_siemens: conductance that stands for weight `w_max`, > g_min_siemens.
        w_max: largest weight, > 0.
        levels: programmable levels, both ends included; 0 for continuous.

    Raises:
        InputError: a value out of its range.
    """

    g_min_siemens: float
    g_max_siemens: float
    w_max: float = 1.0
    levels: int = 0

    def __post_init__(self) -> None:
        for name in ("g_min_siemens", "g_max_siemens", "w_max"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be > 0 and finite, got {value}")
        if self.g_max_siemens <= self.g_min_siemens:
            raise InputError(
                f"g_max_siemens must be > g_min_siemens ({self.g_min_siemens}),"
                f" got {self.g_max_siemens}"
            )
        check_levels(self.levels)

    def conductance_siemens(self, w: ArrayLike) -> Floats:
        """Conductance of a single device per weight.

        Args:
            w: weights in [0, w_max].

        Raises:
            InputError: a weight outside the range, or NaN.
        """
        fraction = self._fraction(w, lowest=0.0)
        return self._lerp(fraction)

    def pair_siemens(self, w: ArrayLike) -> tuple[Floats, Floats]:
        """Conductances (plus, minus) of a differential pair per signed weight.

        Args:
            w: weights in [-w_max, w_max].

        Raises:
            InputError: a weight outside the range, or NaN.
        """
        fraction = self._fraction(w, lowest=-self.w_max)
        return (
            self._lerp(np.maximum(fraction, 0.0)),
            self._lerp(np.maximum(-fraction, 0.0)),
        )

    def weight(self, g_siemens: ArrayLike) -> Floats:
        """The weight that a single device of this conductance stands for."""
        span = self.g_max_siemens - self.g_min_siemens
        g = np.asarray(g_siemens, np.float64)
        return (g - self.g_min_siemens) / span * self.w_max

    def pair_weight(self, plus_siemens: ArrayLike, minus_siemens: ArrayLike) -> Floats:
        """The signed weight that a differential pair stands for."""
        return self.weight(plus_siemens) - self.weight(minus_siemens)

    def _fraction(self, w: ArrayLike, *, lowest: float) -> Floats:
        weights = np.asarray(w, np.float64)
        outside = ~((weights >= lowest) & (weights <= self.w_max))
        if outside.any():
            raise InputError(
                f"weights must lie in [{lowest}, {self.w_max}],"
                f" got {weights[outside].flat[0]}"
            )
        return weights / self.w_max

    def _lerp(self, fraction: Floats) -> Floats:
        fraction = quantise(fraction, self.levels)
        # this form gives both ends exactly
        return self.g_min_siemens * (1.0 - fraction) + self.g_max_siemens * fraction


def quantise(fraction: ArrayLike, levels: int) -> Floats:
    """Round to the nearest of `levels` even levels in [0, 1], half to even.

    Args:
        fraction: values in [0, 1].
        levels: number of levels, both ends included; 0 returns the values as they are.

    Raises:
        InputError: `levels` is 1 or negative.
    """
    check_levels(levels)
    values = np.asarray(fraction, np.float64)
    return np.rint(values * (levels - 1)) / (levels - 1) if levels else values


def check_weight_range(config: MapConfig) -> None:
    """Refuse weight devices that cannot be.

    Raises:
        InputError: one level, or conductances that do not hold 0 < g_min < g_max.
    """
    check_levels(config.weight_levels)
    low, high = config.g_min, config.g_max
    if (low is None) != (high is None) or (
        low is not None and high is not None and low >= high
    ):
        raise InputError(
            f"g_min and g_max must hold 0 < g_min < g_max, got {low} and {high}"
        )


def check_levels(levels: int) -> None:
    """Raise `InputError` unless `levels` is 0 (continuous) or at least 2."""
    if levels < 0 or levels == 1:
        raise InputError(f"weight_levels must be 0 (continuous) or >= 2, got {levels}")
