"""Programmed levels: their medians, and how far devices lie from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from denram.devices._checks import FloatArray
from denram.errors import InputError

RARE = 0.25  # a level with a smaller share of the usual number of cells is left out
FEWEST_CELLS = 5  # per level
N_QUANTILES = 99


@dataclass(frozen=True)
class Levels:
    """Levels in the order of their conductance, and the spread inside them.

    Attributes:
        median_ohm: (level,) descending.
        n_cells: (level,)
        sigma_ln: (level,) standard deviation of ln(R / median).
        n_rare: levels left out because they are rare.
        pooled_sigma_ln: root mean square of `sigma_ln`, weighted by cells.
        quantiles: 99 of ln(R / median) at (i + 0.5) / 99, all levels together.
        normal_distance: Kolmogorov-Smirnov distance of those to N(0, pooled).
        bands: the readings of different levels do not overlap: the level was made from
            the reading, or verified against it; the spread inside is a band's width
            and no error of programming.
    """

    median_ohm: FloatArray
    n_cells: NDArray[np.int64]
    sigma_ln: FloatArray
    n_rare: int
    pooled_sigma_ln: float
    quantiles: FloatArray
    normal_distance: float
    bands: bool


def fit_levels(resistance_ohm: FloatArray, level: NDArray[np.int64]) -> Levels:
    """Medians and spreads of programmed levels.

    Args:
        resistance_ohm: (cell,) known first readings.
        level: (cell,) programmed level.

    Raises:
        InputError: fewer than two levels that are not rare.
    """
    counts = np.bincount(level)
    usual = np.median(counts[level])  # of a cell's own level
    kept = np.flatnonzero(counts >= max(RARE * usual, FEWEST_CELLS))
    n_rare = int((counts > 0).sum() - kept.size)
    if kept.size < 2:
        raise InputError(
            f"--level must hold two levels of {FEWEST_CELLS} cells or more,"
            f" got {kept.size}"
        )
    x = [np.log(resistance_ohm[level == k]) for k in kept]
    x.sort(key=np.median, reverse=True)
    gaps = [part - np.median(part) for part in x]
    pooled = np.sort(np.concatenate(gaps))
    sigma = float(np.sqrt(np.mean(pooled**2)))
    above = np.array([part.min() for part in x[:-1]])
    below = np.array([part.max() for part in x[1:]])
    return Levels(
        median_ohm=np.array([np.exp(np.median(part)) for part in x]),
        n_cells=np.array([part.size for part in x]),
        sigma_ln=np.array([part.std() for part in x]),
        n_rare=n_rare,
        pooled_sigma_ln=sigma,
        quantiles=np.quantile(pooled, (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES),
        normal_distance=_distance(pooled / sigma) if sigma > 0 else 0.0,
        bands=bool((above >= below).all()),
    )


def foretell(levels: Levels, n_each: int = 99) -> FloatArray:
    """First readings, equally probable, of lognormal levels: (about 40,000,) ohm."""
    z = ndtri((np.arange(n_each) + 0.5) / n_each)
    share = levels.n_cells / levels.n_cells.max()
    drawn = [
        np.tile(median * np.exp(sigma * z), max(1, round(20 * s)))
        for median, sigma, s in zip(
            levels.median_ohm, levels.sigma_ln, share, strict=True
        )
    ]
    return np.concatenate(drawn)


def _distance(z: FloatArray) -> float:
    u, n = ndtr(z), z.size
    rank = np.arange(n)
    return float(np.maximum(u - rank / n, (rank + 1) / n - u).max())
