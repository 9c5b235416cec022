"""The drift law, and its fit to cells that were read again and again.

Every cell is compared with its own first reading, y = ln(R(t) / R(0)). The law is
`y = nu_i L + s N_i D**p` with `L = ln(1 + t / start)`, `D = L / ln 10` and
`nu_i ~ N(nu, nu_sigma)`: at one time, y is normal.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from denram.devices._checks import FloatArray
from denram.devices.censored import Censored, fit_components
from denram.devices.fit_readings import KNOWN, OPEN, SHORT
from denram.devices.fit_series import Series, state_of, states

FEWEST_TIMES = 3  # after the first: fewer do not tell start and power apart
_LEAST_POWER, _LEAST_SPREAD = 0.02, 1e-6


@dataclass(frozen=True)
class DriftLaw:
    """The drift law with its five parameters; `converged` as the optimiser says."""

    nu: float
    nu_sigma: float
    sigma: float
    power: float
    start_s: float
    converged: bool = True

    def moments(self, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of y at times (t,)."""
        log_time = np.log1p(time_s / self.start_s)
        decades = log_time / math.log(10)
        spread = np.hypot(self.nu_sigma * log_time, self.sigma * decades**self.power)
        return self.nu * log_time, spread

    def parameters(self) -> dict[str, float]:
        """Named as in a device card."""
        return {
            "drift_nu": self.nu,
            "drift_nu_sigma": self.nu_sigma,
            "relaxation_sigma_ln": self.sigma,
            "relaxation_power": self.power,
            "drift_start_s": self.start_s,
        }


def moments(series: Series) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Cells, mean and standard deviation of y at every time.

    Where some cells were not read, those that were are weighted so that each state
    counts as among all cells: a drift that depends on the state is not mistaken for
    one in time. Times with censored readings are fitted without weights.
    """
    state = state_of(series.first_ohm, states(series.first_ohm))
    n = np.isfinite(series.change).sum(axis=0)
    mean, sigma = (np.full(n.size, np.nan) for _ in range(2))
    for i in range(1, n.size):
        y, kind = series.change[:, i], series.kind[:, i]
        there = np.isfinite(y)
        parts = [y[there & (kind == k)] for k in (KNOWN, OPEN, SHORT)]
        if parts[0].size and parts[1].size + parts[2].size == 0:
            w = _weights(state, there)
            mean[i] = w @ parts[0]
            sigma[i] = math.sqrt(w @ (parts[0] - mean[i]) ** 2)
            continue
        if parts[0].size < 2 or np.ptp(parts[0]) == 0:
            continue
        found = fit_components(Censored(*parts))
        mean[i], sigma[i] = found.mean[0], found.sigma[0]
    mean[0] = sigma[0] = 0.0
    return n, mean, sigma


def _weights(state: NDArray[np.int64], there: NDArray[np.bool_]) -> FloatArray:
    """Weights of the cells that are there, summing to 1: states count as among all."""
    everywhere = np.bincount(state)
    present = np.bincount(state[there], minlength=everywhere.size)
    w = (everywhere / np.maximum(present, 1))[state[there]]
    return w / w.sum()


def fit_drift(series: Series, *, start: DriftLaw | None = None) -> DriftLaw | None:
    """Fit the drift law: the likelihood of y at all times, times taken apart.

    Counts, means and standard deviations of `moments` are all that it needs.

    Args:
        series: cells by times.
        start: where to begin, for refits.

    Returns:
        The law, or None if there are fewer than FEWEST_TIMES times after the first.
    """
    n, mean, sigma = moments(series)
    used = (n >= 2) & (sigma > 0)
    if used.sum() < FEWEST_TIMES:
        return None
    t, n, mean, sigma = series.time_s[used], n[used], mean[used], sigma[used]
    scale = float(sigma.max())
    tried = [
        minimize(
            _cost,
            first,
            (t, n / n.sum(), mean / scale, sigma / scale),
            method="SLSQP",
            bounds=_bounds(t),
            options={"maxiter": 1000, "ftol": 1e-12},
        )
        for first in _starts(t, mean / scale, start, scale)
    ]
    best = min(tried, key=lambda result: result.fun)
    nu, log_nu_sigma, log_sigma, power, log_start = best.x
    start_s = math.exp(log_start)
    spreads = np.exp([log_nu_sigma, log_sigma])
    # a part below a thousandth of the spread at the last time is none
    last = math.log1p(t[-1] / start_s)
    parts = spreads * (last, (last / math.log(10)) ** power)
    spreads = np.where(parts < 1e-3, 0.0, spreads * scale)
    return DriftLaw(
        float(nu) * scale,
        float(spreads[0]),
        float(spreads[1]),
        float(power),
        start_s,
        bool(best.success),
    )


def _cost(
    x: FloatArray, t: FloatArray, w: FloatArray, mean: FloatArray, sigma: FloatArray
) -> float:
    """`sum w (ln sd + (sigma**2 + (mean - mu)**2) / (2 sd**2))` of the law's mu, sd."""
    law = DriftLaw(x[0], np.exp(x[1]), np.exp(x[2]), x[3], np.exp(x[4]))
    mu, sd = law.moments(t)
    sd = np.maximum(sd, 1e-12)
    return float(w @ (np.log(sd) + (sigma**2 + (mean - mu) ** 2) / (2 * sd**2)))


def _bounds(t: FloatArray) -> list[tuple[float, float]]:
    spread = (math.log(_LEAST_SPREAD), math.log(10.0))
    start = (math.log(t[0] * 1e-4), math.log(t[-1]))
    return [(-10, 10), spread, spread, (_LEAST_POWER, 1.0), start]


def _starts(
    t: FloatArray, mean: FloatArray, start: DriftLaw | None, scale: float
) -> list[list[float]]:
    if start is not None:
        spreads = [max(s / scale, 1e-3) for s in (start.nu_sigma, start.sigma)]
        logs = [math.log(s) for s in spreads]
        return [[start.nu / scale, *logs, start.power, math.log(start.start_s)]]
    found = []
    for start_s in (t[0] * 1e-2, t[0], t[t.size // 2]):
        last = math.log1p(t[-1] / start_s)
        for nu_sigma in (0.02, 1.0 / last):
            spreads = [math.log(nu_sigma), -1.0]
            found.append([mean[-1] / last, *spreads, 0.5, math.log(start_s)])
    return found
