"""Maximum likelihood of one or two normal components, some readings censored.

A censored reading says only that the value lies above (or below) a limit. The fit is
by expectation-maximisation (Dempster, Laird and Rubin 1977) with the moments of the
truncated normal; without censoring and with one component it is mean and standard
deviation after one step.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from denram.devices._checks import FloatArray
from denram.errors import InputError

_LN_ROOT_2PI = 0.5 * math.log(2 * math.pi)
_NARROWEST = 1e-4  # of the whole spread: a narrower component has collapsed
_SPLITS = (0.1, 0.25, 0.5, 0.75, 0.9)  # where two components are cut to start


@dataclass(frozen=True)
class Censored:
    """Values of which some are known only to lie beyond a limit.

    Attributes:
        exact: (n,) known values.
        above: (m,) limits of values that are at least so large.
        below: (l,) limits of values that are at most so large.
    """

    exact: FloatArray
    above: FloatArray
    below: FloatArray

    @property
    def size(self) -> int:
        """All values, known or censored."""
        return self.exact.size + self.above.size + self.below.size

    def shifted(self, centre: float, scale: float) -> "Censored":
        """Every value and limit as (value - centre) / scale, scale > 0."""
        parts = (self.exact, self.above, self.below)
        return Censored(*((part - centre) / scale for part in parts))


@dataclass(frozen=True)
class Components:
    """Normal components of a fitted law.

    Attributes:
        weight: (k,) shares, summing to 1.
        mean: (k,) ascending.
        sigma: (k,) standard deviations, > 0.
        log_likelihood: of all values; censored ones by their probability.
        converged: whether the likelihood stopped growing and none collapsed.
        steps: iterations taken.
    """

    weight: FloatArray
    mean: FloatArray
    sigma: FloatArray
    log_likelihood: float
    converged: bool
    steps: int


_Parameters = tuple[FloatArray, FloatArray, FloatArray]


def fit_components(
    data: Censored,
    n_components: int = 1,
    *,
    start: Components | None = None,
    tolerance: float = 1e-10,
    most_steps: int = 5000,
) -> Components:
    """Maximum likelihood of `sum_k w_k N(mean_k, sigma_k)`.

    Args:
        data: at least two different known values.
        n_components: 1 or 2.
        start: where to begin; found by cutting the data if None.
        tolerance: least gain of log-likelihood per value that goes on.
        most_steps: iterations after which it counts as not converged.

    Raises:
        InputError: fewer than two different known values.
    """
    if data.exact.size < 2 or np.ptp(data.exact) == 0:
        raise InputError("readings must hold two different known values, got one")
    centre, scale = float(np.mean(data.exact)), float(np.std(data.exact))
    plain = _Plain.of(data.shifted(centre, scale))
    if start is None:
        first = _best_start(plain, n_components)
    else:
        mean = (start.mean - centre) / scale
        first = (start.weight, mean, start.sigma / scale)
    found, log_likelihood, steps = _climb(plain, first, tolerance, most_steps)
    weight, mean, sigma = found
    sound = bool((sigma > 2 * _NARROWEST).all() and (weight * data.size >= 2).all())
    order = np.argsort(mean, kind="stable")
    return Components(
        weight[order],
        centre + scale * mean[order],
        scale * sigma[order],
        log_likelihood - data.exact.size * math.log(scale),
        sound and steps < most_steps,
        steps,
    )


@dataclass(frozen=True)
class _Plain:
    """Known values, and the limits with how often each occurs."""

    x: FloatArray
    limit: FloatArray  # of both kinds
    side: FloatArray  # +1: the value lies above its limit, -1: below
    count: FloatArray

    @staticmethod
    def of(data: Censored) -> "_Plain":
        above, n_above = np.unique(data.above, return_counts=True)
        below, n_below = np.unique(data.below, return_counts=True)
        side = np.concatenate([np.ones(above.size), -np.ones(below.size)])
        count = np.concatenate([n_above, n_below]).astype(np.float64)
        return _Plain(data.exact, np.concatenate([above, below]), side, count)


def _climb(
    data: _Plain, first: _Parameters, tolerance: float, most_steps: int
) -> tuple[_Parameters, float, int]:
    here, last = first, -math.inf
    n = data.x.size + data.count.sum()
    for step in range(1, most_steps + 1):
        after, log_likelihood = _step(data, here)
        if log_likelihood - last < tolerance * n:
            return here, log_likelihood, step
        here, last = after, log_likelihood
    return here, last, most_steps


def _step(data: _Plain, here: _Parameters) -> tuple[_Parameters, float]:
    """One iteration, and the log-likelihood before it."""
    weight, mean, sigma = (p[:, None] for p in here)
    log_weight = np.log(np.maximum(weight, 1e-300))
    z = (data.x - mean) / sigma
    log_exact = log_weight - z**2 / 2 - np.log(sigma) - _LN_ROOT_2PI
    total_exact = np.logaddexp.reduce(log_exact, axis=0)
    c = (data.limit - mean) / sigma
    tail = log_ndtr(-data.side * c)
    log_tail = log_weight + tail
    total_tail = np.logaddexp.reduce(log_tail, axis=0)
    share = np.exp(log_exact - total_exact)
    share_tail = np.exp(log_tail - total_tail) * data.count
    # moments of the normal beyond c: E x, E x**2
    mills = data.side * np.exp(-(c**2) / 2 - _LN_ROOT_2PI - tail)
    first = mean + sigma * mills
    second = mean**2 + sigma**2 + sigma * (mean + data.limit) * mills
    held = share.sum(axis=1) + share_tail.sum(axis=1)
    new_mean = (share @ data.x + (share_tail * first).sum(axis=1)) / held
    square = (share @ data.x**2 + (share_tail * second).sum(axis=1)) / held
    variance = np.maximum(square - new_mean**2, _NARROWEST**2)
    after = (held / held.sum(), new_mean, np.sqrt(variance))
    return after, float(total_exact.sum() + data.count @ total_tail)


def _best_start(data: _Plain, n_components: int) -> _Parameters:
    """The start that is best after a few steps."""
    one = np.ones(1)
    if n_components == 1:
        return one, 0 * one, one
    everything = np.concatenate([data.x, np.repeat(data.limit, data.count.astype(int))])
    starts = [_cut(everything, share) for share in _SPLITS]
    # the same centre, two widths: long tails
    starts.append((np.array([0.7, 0.3]), np.zeros(2), np.array([0.5, 1.6])))
    tried = [_climb(data, start, 1e-7, 60) for start in starts]
    return max(tried, key=lambda found: found[1])[0]


def _cut(values: FloatArray, share: float) -> _Parameters:
    ordered = np.sort(values)
    place = min(max(2, round(share * values.size)), values.size - 2)
    parts = (ordered[:place], ordered[place:])
    sigma = np.array([max(part.std(), 0.05) for part in parts])
    weight = np.array([share, 1 - share])
    return weight, np.array([part.mean() for part in parts]), sigma
