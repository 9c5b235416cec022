"""Whether readings follow a fitted law, and how sure its parameters are.

The parameters are estimated from the very readings that are tested, so that tables of
the Kolmogorov-Smirnov and Anderson-Darling tests do not hold: p-values come from a
parametric bootstrap (draw from the fitted law, censor alike, fit again, measure again),
as Stute, Gonzalez-Manteiga and Presedo-Quindimil (1993) justify.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from denram.devices._checks import FloatArray
from denram.devices.fit_laws import FittedLaw, fit_law
from denram.devices.fit_readings import KNOWN, OPEN, SHORT, Readings
from denram.errors import InputError

CONFIDENCE = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True)
class Fitness:
    """How far readings are from a law.

    Attributes:
        ks: Kolmogorov-Smirnov distance, over the range without censored readings.
        ad: Anderson-Darling A squared, over that range.
        ks_p: share of draws from the law that lie at least so far off; None: no test.
        ad_p: as `ks_p`.
        n_draws: draws behind the p-values that could be fitted.
    """

    ks: float
    ad: float
    ks_p: float | None
    ad_p: float | None
    n_draws: int


def distances(law: FittedLaw, readings: Readings) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance and Anderson-Darling A squared.

    `D = sup |F_n - F|` and `A2 = n int (F_n - F)**2 / (F (1 - F)) dF`, both from the
    largest limit below to the smallest limit above: there every rank is known.
    """
    low, high = limits_ohm(readings)
    r = np.sort(readings.resistance_ohm[readings.kind == KNOWN])
    n_below = int((readings.kind == SHORT).sum() + (r <= low).sum())
    r = r[(r > low) & (r < high)]
    # beyond a limit nothing is known; without censored readings the range is whole,
    # though normal-g gives a share of open cells, F(infinity) < 1
    start = float(law.cdf(low)) if low > 0 else 0.0
    stop = float(law.cdf(high)) if (readings.kind == OPEN).any() else 1.0
    return _distances(law.cdf(r), readings.size, n_below, (start, stop))


def _distances(
    u: FloatArray, n: int, n_below: int, ends: tuple[float, float]
) -> tuple[float, float]:
    """Distances of sorted u = F(r) between two ends, `n_below` readings below them."""
    steps = (n_below + np.arange(u.size + 1)) / n  # F_n between the readings
    edges = np.concatenate([[ends[0]], u, [ends[1]]])
    gaps = np.abs(np.stack([steps - edges[:-1], steps - edges[1:]]))
    # the integral of c**2 / u + (1 - c)**2 / (1 - u) - 1, c = F_n, piece by piece
    edges = np.clip(edges, 1e-300, 1 - 1e-16)
    a, b = edges[:-1], edges[1:]
    pieces = xlogy(steps**2, b / a) - (1 - steps) ** 2 * (np.log1p(-b) - np.log1p(-a))
    pieces -= b - a
    return float(gaps.max()), float(n * pieces.sum())


def limits_ohm(readings: Readings) -> tuple[float, float]:
    """The largest limit below and the smallest above; else 0 and infinity."""
    r, kind = readings.resistance_ohm, readings.kind
    low = r[kind == SHORT].max(initial=0.0)
    return float(low), float(r[kind == OPEN].min(initial=np.inf))


def censor(r: FloatArray, like: Readings) -> Readings:
    """Resistances (n,) as they would have been read: censored at the same limits."""
    low, high = limits_ohm(like)
    kind = np.where(r >= high, OPEN, np.where(r <= low, SHORT, KNOWN)).astype(np.int8)
    return replace(
        like,
        resistance_ohm=np.clip(r, low if low > 0 else None, high),
        kind=kind,
        address=np.arange(r.size),
        time_s=None,
        level=None,
    )


def fitness(
    law: FittedLaw, readings: Readings, *, n_draws: int, rng: np.random.Generator
) -> Fitness:
    """Both distances and their p-values from `n_draws` draws (0: no test)."""
    ks, ad = distances(law, readings)
    found = []
    for _ in range(n_draws):
        drawn = censor(law.sample(readings.size, rng), readings)
        try:
            refitted = fit_law(law.name, drawn, start=law)
        except InputError:  # all but one reading beyond a limit
            continue
        found.append(distances(refitted, drawn))
    if not found:
        return Fitness(ks, ad, None, None, 0)
    # one is added to both: the readings themselves are a draw under the law
    p = (1 + (np.array(found) >= (ks, ad)).sum(axis=0)) / (1 + len(found))
    return Fitness(ks, ad, float(p[0]), float(p[1]), len(found))


def bootstrap(
    n_cells: int,
    estimate: Callable[[NDArray[np.int64]], dict[str, float]],
    *,
    n_draws: int,
    rng: np.random.Generator,
) -> dict[str, Interval]:
    """95 % percentile intervals from resampling cells.

    Args:
        n_cells: how many there are.
        estimate: numbers of cells (n_cells,) to named parameters; a resample that it
            refuses with InputError is left out.
        n_draws: resamples; 0: no intervals.
        rng: where they are drawn from.
    """
    found: dict[str, list[float]] = {}
    for _ in range(n_draws):
        try:
            numbers = estimate(rng.integers(n_cells, size=n_cells))
        except InputError:
            continue
        for name, value in numbers.items():
            found.setdefault(name, []).append(value)
    tails = (0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2)
    return {
        name: (float(low), float(high))
        for name, values in found.items()
        for low, high in [np.quantile(values, tails)]
    }
