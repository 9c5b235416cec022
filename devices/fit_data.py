"""A fit as a labelled dataset, ready to be drawn."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import betaincinv

from denram.devices.fit import Fit, SeriesFit
from denram.devices.fit_halves import FORETOLD, HalfRow
from denram.devices.fit_readings import KNOWN, SHORT

_MOST_RANKS = 400


def fit_dataset(fit: Fit) -> xr.Dataset:
    """Measured and foretold quantiles, drift over time, distances of the halves.

    Known readings only; their ranks count the censored ones.
    """
    kind, r = fit.readings.kind, fit.readings.resistance_ohm
    known = np.sort(r[kind == KNOWN])
    n, n_below = fit.readings.size, int((kind == SHORT).sum())
    ranks = _some(known.size)
    place = n_below + ranks + 1.0
    law_ohm = [found.law.quantile((place - 0.5) / n) for found in fit.laws.values()]
    best = fit.laws[fit.chosen].law
    # the i-th smallest of n uniform numbers is Beta(i, n + 1 - i)
    low, high = (
        best.quantile(betaincinv(place, n + 1 - place, p)) for p in (0.025, 0.975)
    )
    dataset = xr.Dataset(
        {
            "measured_ohm": ("rank", known[ranks]),
            "law_ohm": (("law", "rank"), np.array(law_ohm)),
            "low_ohm": ("rank", low),
            "high_ohm": ("rank", high),
        },
        {"law": list(fit.laws), "rank": ranks},
        {
            "chosen_law": fit.chosen,
            "title": _title(fit),
            "verdict": verdict(fit),
            "drift_law": drift_law(fit),
        },
    )
    if fit.series is not None:
        dataset = dataset.merge(_series(fit.series), combine_attrs="override")
    if len(fit.halves) > 1:
        dataset = dataset.merge(
            _halves(fit.halves).reindex(time=dataset["time"]), combine_attrs="override"
        )
    return dataset


def verdict(fit: Fit) -> str:
    """Whether the readings agree with the chosen law, in one line."""
    found = fit.laws[fit.chosen]
    if not found.law.components.converged:
        return f"DIFFERS: the {fit.chosen} fit did not converge"
    f = found.fitness
    if f.ks_p is None or f.ad_p is None:
        return f"{fit.chosen}, not tested"
    word = "DIFFERS from" if found.rejected else "agrees with"
    return f"{word} {fit.chosen}: KS p = {f.ks_p:.2g}, AD p = {f.ad_p:.2g}"


def drift_law(fit: Fit) -> str:
    """What foretells a change: the drift law, or too few times for one."""
    drifts = fit.series is not None and fit.series.law is not None
    return "drift law of a card" if drifts else "normal of that time, no drift law"


def _title(fit: Fit) -> str:
    name = fit.readings.source.file
    shown = name if len(name) <= 60 else name[:57] + "..."
    shown = shown.replace("$", r"\$")
    return f"{shown}: {fit.readings.size} devices"


def _some(n: int) -> NDArray[np.int64]:
    """Up to 400 ranks, both ends dense."""
    if n <= _MOST_RANKS:
        return np.arange(n)
    share = (1 - np.cos(np.linspace(0, np.pi, _MOST_RANKS))) / 2
    return np.unique(np.round(share * (n - 1)).astype(int))


def _series(found: SeriesFit) -> xr.Dataset:
    time = found.series.time_s[1:]
    data = xr.Dataset(
        {
            "mean_change": ("time", found.mean[1:]),
            "sigma_change": ("time", found.sigma[1:]),
        },
        {"time": ("time", time, {"units": "s"})},
    )
    if found.law is not None:
        fine = np.geomspace(time[0], time[-1], 200)
        mean, sigma = found.law.moments(fine)
        data["mean_law"], data["sigma_law"] = ("fine_time", mean), ("fine_time", sigma)
        data = data.assign_coords(fine_time=fine)
    return data


def _halves(rows: list[HalfRow]) -> xr.Dataset:
    later = [row for row in rows if row.floor is not None][1:]
    time = sorted({row.time_s for row in later})
    distance = np.full((2, len(FORETOLD), len(time)), np.nan)
    floor = np.full((2, len(time)), np.nan)
    quantities = ["R", "change"]
    for row in later:
        q, t = quantities.index(row.quantity), time.index(row.time_s)
        floor[q, t] = row.floor
        values = [getattr(row, name) for name in FORETOLD]
        distance[q, :, t] = [np.nan if v is None else v for v in values]
    return xr.Dataset(
        {
            "distance": (("quantity", "foretold", "time"), distance),
            "floor": (("quantity", "time"), floor),
        },
        {"quantity": quantities, "foretold": list(FORETOLD), "time": time},
    )
