"""A fit in plain numbers, for JSON."""

from dataclasses import asdict
from typing import Any

import numpy as np

from denram.devices.fit import Fit, SeriesFit
from denram.devices.fit_readings import OPEN, SHORT


def report(fit: Fit) -> dict[str, Any]:
    """Everything in plain numbers, for JSON."""
    kind = fit.readings.kind
    laws = {
        name: {
            "parameters": one.law.parameters(),
            "interval_95": one.intervals,
            "log_likelihood": one.law.log_likelihood,
            "aic": one.law.aic,
            "converged": one.law.components.converged,
            **asdict(one.fitness),
            "rejected": one.rejected,
        }
        for name, one in fit.laws.items()
    }
    found = {
        "source": asdict(fit.readings.source),
        "unit": fit.unit,
        "settings": asdict(fit.settings),
        "n_devices": fit.readings.size,
        "n_open": int((kind == OPEN).sum()),
        "n_short": int((kind == SHORT).sum()),
        "chosen_law": fit.chosen,
        "agrees": fit.agrees,
        "p_values": "parametric bootstrap: the law is fitted to the same readings",
        "laws": laws,
        "g_range_siemens": fit.g_range_siemens,
        "levels": None if fit.levels is None else asdict(fit.levels),
        "series": None if fit.series is None else _series_dict(fit.series),
        "half_split": [asdict(row) for row in fit.halves],
        "read_noise": None if fit.read_noise is None else asdict(fit.read_noise),
    }
    return _plain(found)


def _series_dict(found: SeriesFit) -> dict[str, Any]:
    law, time_s = found.law, found.series.time_s
    told: dict[str, Any] = {
        "n_cells": found.series.n_cells,
        "n_cells_left_out": found.series.n_left_out,
        "time_s": time_s,
        "n_readings": found.n,
        "mean_ln_change": found.mean,
        "sigma_ln_change": found.sigma,
        "law": None,
    }
    if law is not None:
        mean, sigma = law.moments(time_s)
        told["law"] = {
            "parameters": law.parameters(),
            "interval_95": found.intervals,
            "converged": law.converged,
            "mean_ln_change": mean,
            "sigma_ln_change": sigma,
        }
    told["table"] = asdict(found.table)
    return told


def _plain(value: Any) -> Any:
    """Arrays to lists, numbers to Python's; what is not finite to None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
