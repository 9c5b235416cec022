"""How the weights of a trained network stand on the chip's devices."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping.weights import WeightRange

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class WeightScale:
    """How weights stand on the chip's devices, as the training assumes it.

    Attributes:
        g_min_siemens: smallest conductance of a weight device, > 0.
        g_max_siemens: largest conductance, > g_min_siemens.
        span: weight between the smallest and the largest conductance, > 0.
        positive: one device per weight; otherwise a differential pair.
        lowest: weight of a single device at its smallest conductance; 0 for a pair.
        levels: programmable levels, 0 for continuous.

    Raises:
        InputError: a value out of its range.
    """

    g_min_siemens: float
    g_max_siemens: float
    span: float
    positive: bool = False
    lowest: float = 0.0
    levels: int = 0

    def __post_init__(self) -> None:
        _ = self.range_

    @property
    def range_(self) -> WeightRange:
        """The scale as a `WeightRange`, from `lowest` on."""
        return WeightRange(
            self.g_min_siemens, self.g_max_siemens, self.span, self.levels
        )

    @property
    def n_devices(self) -> int:
        """Devices per weight."""
        return 1 if self.positive else 2

    def siemens(self, w: Floats) -> tuple[Floats, ...]:
        """Target conductances of the devices of each weight.

        Args:
            w: any shape, in [lowest, lowest + span] or [-span, span]; what lies outside
                by no more than single precision rounds is moved to the edge.

        Raises:
            InputError: a weight outside the range, or NaN.
        """
        low = self.lowest if self.positive else -self.span
        high = self.lowest + self.span
        near = 1e-6 * high
        outside = ~((w >= low - near) & (w <= high + near))
        if outside.any():
            raise InputError(
                f"weights must lie in [{low}, {high}], got {w[outside].flat[0]}"
            )
        inside = np.clip(w, low, high) - self.lowest
        if self.positive:
            return (self.range_.conductance_siemens(np.clip(inside, 0, self.span)),)
        return self.range_.pair_siemens(inside)

    def weights(self, *siemens: Floats) -> Floats:
        """The weights that measured conductances stand for: `siemens` backwards."""
        if self.positive:
            return self.lowest + self.range_.weight(siemens[0])
        return self.range_.pair_weight(*siemens)


def weight_scale(
    weights: Floats,
    bias: Floats,
    *,
    g_min_siemens: float,
    g_max_siemens: float,
    weight_max: float | None,
    positive: bool,
    levels: int,
) -> WeightScale:
    """The scale of a trained network.

    Where the training set a `weight_max`, it stands at the largest conductance, and
    a single device at its smallest one holds weight_max g_min / g_max, as in the
    training. Where it set none, the largest |w| found stands there, and 0 at the
    smallest conductance (a convention, as unbounded weights have no device).

    Args:
        weights: as trained, (post, pre, tap).
        bias: as trained, (post,).
        g_min_siemens: smallest conductance, NaN where unknown.
        g_max_siemens: largest conductance, NaN where unknown.
        weight_max: |w| at the largest conductance, or None.
        positive: one device per weight.
        levels: programmable levels, 0 for continuous.

    Raises:
        InputError: an unknown conductance, or all weights are 0.
    """
    if math.isnan(g_min_siemens) or math.isnan(g_max_siemens):
        raise InputError(
            "g_min and g_max must be given to export weights: the map knows none"
        )
    if weight_max is not None:
        lowest = weight_max * g_min_siemens / g_max_siemens
        span = weight_max - lowest
    else:
        lowest = 0.0
        span = float(max(np.abs(weights).max(initial=0), np.abs(bias).max(initial=0)))
        if not 0 < span < math.inf:
            raise InputError(f"weights must have a largest |w| > 0, got {span}")
    lowest = lowest if positive else 0.0
    return WeightScale(g_min_siemens, g_max_siemens, span, positive, lowest, levels)
