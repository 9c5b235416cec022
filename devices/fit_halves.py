"""Half of the cells foretells the other half: how good a fitted law really is.

The cells are split at random (seeded). Laws are fitted to the first half; at every time
the second half's distribution is compared with what they foretell, by the two-sample
Kolmogorov-Smirnov distance. The distance between the halves themselves is the floor
that no law gets below but by luck.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from denram.devices._checks import FloatArray
from denram.devices.fit_drift import fit_drift, moments
from denram.devices.fit_series import Series, state_of, states

N_QUANTILES = 99
FEWEST_READ = 5  # cells of each half at a time; times with fewer have no row
FORETOLD = ("normal", "by_state", "shape", "table", "left_out")
_EVEN = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES


@dataclass(frozen=True)
class StateTable:
    """Quantiles of y = ln(R(t) / R(0)) by first reading and time.

    Attributes:
        edges_ohm: (state + 1,) of the first reading, ascending; outer ones open.
        time_s: (t,) from the first reading's on, where y is 0.
        change: (state, t, 99) quantiles at (i + 0.5) / 99; NaN: too few cells.
    """

    edges_ohm: FloatArray
    time_s: FloatArray
    change: FloatArray


@dataclass(frozen=True)
class HalfRow:
    """Distances at one time; of the array's R and of each cell's change y.

    `floor` is between the halves, `normal` of the drift law (with too few times for
    one, of the normal of that time), `by_state` of one such law per state, `shape` of
    the same with tabulated quantiles in the normal's place, `table` of quantiles
    tabulated by state and time, `left_out` of that table without this time,
    interpolated (or extrapolated) in log time. None: not defined there. At the first
    time, `normal` is the law of first readings.
    """

    quantity: str
    time_s: float
    n_first: int
    n_second: int
    floor: float
    normal: float | None
    by_state: float | None
    shape: float | None
    table: float | None
    left_out: float | None


def state_table(series: Series) -> StateTable:
    """Tabulate a series; a censored reading counts as its limit."""
    edges = states(series.first_ohm)
    state = state_of(series.first_ohm, edges)
    found = np.full((edges.size - 1, series.time_s.size, N_QUANTILES), np.nan)
    for s in range(edges.size - 1):
        for i in range(series.time_s.size):
            y = series.change[state == s, i]
            y = y[np.isfinite(y)]
            if y.size >= 10:
                found[s, i] = np.quantile(y, _EVEN)
    return StateTable(edges, series.time_s, found)


def split(n_cells: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two random halves of the cells' numbers."""
    order = np.random.default_rng(seed).permutation(n_cells)
    return np.sort(order[: n_cells // 2]), np.sort(order[n_cells // 2 :])


def half_split(
    series: Series, *, seed: int, foretell_first: Callable[[Series], FloatArray]
) -> list[HalfRow]:
    """Fit on one half, foretell the other at every time.

    Args:
        series: cells by times.
        seed: of the split.
        foretell_first: a half to equally probable first readings, ohm, of its law.
    """
    first, second = (series.take(cells) for cells in split(series.n_cells, seed))
    table = np.quantile(first.first_ohm, (np.arange(999) + 0.5) / 999)
    rows = [
        HalfRow(
            "R",
            float(series.time_s[0]),
            first.n_cells,
            second.n_cells,
            floor=_ks(first.first_ohm, second.first_ohm),
            normal=_ks(foretell_first(first), second.first_ohm),
            by_state=None,
            shape=None,
            table=_ks(table, second.first_ohm),
            left_out=None,
        )
    ]
    laws = _Laws.of(first)
    for i in range(1, series.time_s.size):
        rows += _rows(first, second, i, laws)
    return rows


_Moments = tuple[FloatArray, FloatArray]  # mean and sd of y at every time


@dataclass(frozen=True)
class _Laws:
    """What the first half gave; without drift law, each time has its own moments."""

    normal: _Moments
    by_state: list[_Moments]
    shape: list[FloatArray]  # of each state, (y - mean) / sd at even probabilities
    table: StateTable

    @staticmethod
    def of(series: Series) -> "_Laws":
        drift, table = fit_drift(series), state_table(series)
        state = state_of(series.first_ohm, table.edges_ohm)
        parts = [series.take(state == s) for s in range(table.edges_ohm.size - 1)]
        laws = [_moments(part, follow=drift is not None) for part in parts]
        shapes = [_shape(*pair) for pair in zip(parts, laws, strict=True)]
        return _Laws(_moments(series, follow=drift is not None), laws, shapes, table)


def _moments(part: Series, *, follow: bool) -> _Moments:
    law = fit_drift(part) if follow else None
    return moments(part)[1:] if law is None else law.moments(part.time_s)


def _shape(part: Series, law: _Moments) -> FloatArray:
    """Quantiles of (y - mean) / sd, all later times together."""
    mean, sigma = law
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (part.change[:, 1:] - mean[1:]) / sigma[1:]
    z = z[np.isfinite(z)]
    return np.quantile(z, _EVEN) if z.size else np.full(N_QUANTILES, np.nan)


def _rows(first: Series, second: Series, i: int, laws: _Laws) -> list[HalfRow]:
    there = np.isfinite(first.change[:, i])
    r0, y1 = first.first_ohm[there], first.change[there, i]
    other = np.isfinite(second.change[:, i])
    y2 = second.change[other, i]
    if min(y1.size, y2.size) < FEWEST_READ:
        return []
    r1, r2 = r0 * np.exp(y1), second.first_ohm[other] * np.exp(y2)
    state = state_of(r0, laws.table.edges_ohm)
    normal = laws.normal[0][i] + laws.normal[1][i] * ndtri(_EVEN)
    told: dict[str, FloatArray] = {"normal": np.tile(normal, (r0.size, 1))}
    parts = [(mean[i], sigma[i]) for mean, sigma in laws.by_state]
    shaped = zip(parts, laws.shape, strict=True)
    told["by_state"] = np.array([m + s * ndtri(_EVEN) for m, s in parts])[state]
    told["shape"] = np.array([m + s * z for (m, s), z in shaped])[state]
    told["table"] = laws.table.change[state, i]
    without = _without(laws.table, i)
    if without is not None:
        told["left_out"] = without[state]
    found = []
    for quantity, measured, floor in (("R", r2, r1), ("change", y2, y1)):
        scores = {
            name: _ks(_as(quantity, y, r0), measured)
            for name, y in told.items()
            if np.isfinite(y).all()
        }
        found.append(
            HalfRow(
                quantity,
                float(first.time_s[i]),
                y1.size,
                y2.size,
                _ks(floor, measured),
                **{name: scores.get(name) for name in FORETOLD},
            )
        )
    return found


def _as(quantity: str, y: FloatArray, r0: FloatArray) -> FloatArray:
    return (r0[:, None] * np.exp(y)).ravel() if quantity == "R" else y.ravel()


def _without(table: StateTable, i: int) -> FloatArray | None:
    """The table at time i from the other times, linear in log time; None: too few."""
    later = np.delete(np.arange(1, table.time_s.size), i - 1)
    if later.size < 2:
        return None
    if table.time_s[1] <= 0:
        return None
    x = np.log(table.time_s[later])
    here = np.log(table.time_s[i])
    right = int(np.clip(np.searchsorted(x, here), 1, x.size - 1))
    share = (here - x[right - 1]) / (x[right] - x[right - 1])
    a, b = (table.change[:, later[k]] for k in (right - 1, right))
    # extrapolated quantiles may cross: they are put in order again
    return np.sort(a + share * (b - a), axis=-1)


def _ks(a: FloatArray, b: FloatArray) -> float:
    from scipy.stats import ks_2samp

    found: Any = ks_2samp(a, b, method="asymp")
    return float(found.statistic)
