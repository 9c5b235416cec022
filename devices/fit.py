"""Fit a file of measured resistances: laws, tests, levels, drift, halves."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from denram.devices._checks import FloatArray
from denram.devices.fit_drift import DriftLaw, fit_drift, moments
from denram.devices.fit_halves import HalfRow, StateTable, half_split, state_table
from denram.devices.fit_laws import LAWS, FittedLaw, LawName, fit_law
from denram.devices.fit_levels import Levels, fit_levels, foretell
from denram.devices.fit_read_noise import ReadNoiseFit
from denram.devices.fit_readings import (
    KNOWN,
    Columns,
    Meaning,
    Readings,
    Source,
    Unit,
    read_readings,
)
from denram.devices.fit_series import Series, build_series, time_groups
from denram.devices.fit_tests import Fitness, Interval, bootstrap, fitness
from denram.errors import InputError

FEWEST_DEVICES = 30
SIGNIFICANT = 0.01  # a smaller p rejects a law
FEWEST_DRAWS = 100  # for p-values that can be so small
# models so much worse have essentially no support (Burnham and Anderson 2002, 2.6)
SUPPORT = 10.0  # of AIC
TAILS = (0.01, 0.99)  # of the conductance, where there are no levels


@dataclass(frozen=True)
class FitSettings:
    """How to fit.

    Attributes:
        law: the one to choose, or `auto`: the simplest that AIC supports. All are
            fitted.
        n_draws: of each bootstrap; 0: neither intervals nor tests.
        seed: of the bootstraps and the split.
        half_split: foretell one half of the cells from the other.
    """

    law: LawName | Literal["auto"] = "auto"
    n_draws: int = 200
    seed: int = 0
    half_split: bool = False


@dataclass(frozen=True)
class LawFit:
    """A law, how far the readings are from it, and 95 % intervals of its parameters."""

    law: FittedLaw
    fitness: Fitness
    intervals: dict[str, Interval]

    @property
    def rejected(self) -> bool | None:
        """Whether either test has p < 0.01; None without a test."""
        f = self.fitness
        if f.ks_p is None or f.ad_p is None:
            return None
        return min(f.ks_p, f.ad_p) < SIGNIFICANT


@dataclass(frozen=True)
class SeriesFit:
    """Drift of cells that were read at several times; `law` None: too few times."""

    series: Series
    n: NDArray[np.int64]
    mean: FloatArray
    sigma: FloatArray
    law: DriftLaw | None
    intervals: dict[str, Interval]
    table: StateTable


@dataclass(frozen=True)
class Fit:
    """All that a file of readings says.

    Attributes:
        readings: those of the first time.
        unit: of the file's column.
        laws: of the readings of the first time, by name.
        chosen: the law asked for, or the simplest within 10 of the smallest AIC.
        g_range_siemens: conductances of the outermost levels; without levels, the 1 %
            and 99 % quantiles.
        levels: or None.
        series: or None.
        halves: distances of the half split; empty if it was not asked for.
        read_noise: or None.
        settings: how it was fitted.
    """

    readings: Readings
    unit: Unit
    laws: dict[LawName, LawFit]
    chosen: LawName
    g_range_siemens: Interval
    settings: FitSettings
    levels: Levels | None = None
    series: SeriesFit | None = None
    halves: list[HalfRow] = field(default_factory=list)
    read_noise: ReadNoiseFit | None = None

    @property
    def agrees(self) -> bool:
        """The chosen law converged and no test rejects it."""
        best = self.laws[self.chosen]
        return best.law.components.converged and not best.rejected


def fit_file(
    path: Path,
    columns: Columns,
    meaning: Meaning,
    settings: FitSettings,
    read_noise: ReadNoiseFit | None = None,
) -> Fit:
    """Read a file and fit what it holds.

    Raises:
        InputError: a bad file, fewer than FEWEST_DEVICES devices, a single value, or a
            setting out of range.
    """
    return fit_readings(
        read_readings(path, columns, meaning), meaning.unit, settings, read_noise
    )


def fit_readings(
    readings: Readings,
    unit: Unit,
    settings: FitSettings,
    read_noise: ReadNoiseFit | None = None,
) -> Fit:
    """Fit readings: laws of the first time; levels and drift where there are some.

    Raises:
        InputError: as `fit_file`.
    """
    if 0 < settings.n_draws < FEWEST_DRAWS:
        raise InputError(
            f"--bootstrap must be 0 or >= {FEWEST_DRAWS}, got {settings.n_draws}"
        )
    if settings.half_split and readings.time_s is None:
        raise InputError("--half-split must stand with --time, got no times")
    first = _first(readings)
    _check_devices(first)
    rng = np.random.default_rng(settings.seed)
    laws: dict[LawName, LawFit] = {
        name: _law_fit(name, first, settings, rng) for name in LAWS
    }
    chosen = _best(laws) if settings.law == "auto" else settings.law
    known = first.take(first.kind == KNOWN)
    levels = None
    if known.level is not None:
        levels = fit_levels(known.resistance_ohm, known.level)
    found = Fit(
        readings=first,
        unit=unit,
        laws=laws,
        chosen=chosen,
        g_range_siemens=_g_range(known.resistance_ohm, levels),
        settings=settings,
        levels=levels,
        read_noise=read_noise,
    )
    if readings.time_s is None:
        return found
    series = build_series(readings)
    halves = []
    if settings.half_split:
        halves = half_split(
            series,
            seed=settings.seed,
            foretell_first=lambda half: _foretell_first(half, chosen),
        )
    return replace(found, series=_series_fit(series, settings, rng), halves=halves)


def _first(readings: Readings) -> Readings:
    """The readings of the first time, one per cell."""
    if readings.time_s is not None:
        readings = readings.take(time_groups(readings.time_s)[1] == 0)
    if np.unique(readings.address).size < readings.size:
        raise InputError(
            "--address must occur once at a time, got one twice (--time names the times"
            " of a series, --where COLUMN=VALUE picks one of several)"
        )
    return readings


def _check_devices(first: Readings) -> None:
    known = int((first.kind == KNOWN).sum())
    if known < FEWEST_DEVICES:
        raise InputError(
            f"a fit must have {FEWEST_DEVICES} devices with known readings or more,"
            f" got {known} of {first.size}"
        )
    r = first.resistance_ohm[first.kind == KNOWN]
    if np.ptp(np.log(r)) < 1e-12:
        raise InputError(f"readings must differ, got {r[0]:g} ohm from every device")


def _law_fit(
    name: LawName, first: Readings, settings: FitSettings, rng: np.random.Generator
) -> LawFit:
    law = fit_law(name, first)
    n = settings.n_draws
    intervals = bootstrap(
        first.size,
        lambda cells: fit_law(name, first.take(cells), start=law).parameters(),
        n_draws=n,
        rng=rng,
    )
    return LawFit(law, fitness(law, first, n_draws=n, rng=rng), intervals)


def _best(laws: dict[LawName, LawFit]) -> LawName:
    """The simplest law whose AIC is within SUPPORT of the smallest.

    A law that did not converge is taken only if none did.
    """
    sound = [f.law for f in laws.values() if f.law.components.converged]
    sound = sound or [f.law for f in laws.values()]
    least = min(law.aic for law in sound)
    near = [law for law in sound if law.aic <= least + SUPPORT]
    return min(near, key=lambda law: (law.n_parameters, law.aic)).name


def _g_range(known_ohm: FloatArray, levels: Levels | None) -> Interval:
    if levels is not None:
        return float(1 / levels.median_ohm[0]), float(1 / levels.median_ohm[-1])
    low, high = np.quantile(1 / known_ohm, TAILS)
    return float(low), float(high)


def _series_fit(
    series: Series, settings: FitSettings, rng: np.random.Generator
) -> SeriesFit:
    law = fit_drift(series)
    n, mean, sigma = moments(series)
    intervals: dict[str, Interval] = {}
    if law is not None:

        def again(cells: Any) -> dict[str, float]:
            refitted = fit_drift(series.take(cells), start=law)
            return {} if refitted is None else refitted.parameters()

        found = bootstrap(series.n_cells, again, n_draws=settings.n_draws, rng=rng)
        own = law.parameters()
        # an estimate at its bound, such as a spread of 0, ends its interval
        intervals = {
            name: (min(low, own[name]), max(high, own[name]))
            for name, (low, high) in found.items()
        }
    return SeriesFit(series, n, mean, sigma, law, intervals, state_table(series))


def _foretell_first(half: Series, name: LawName) -> FloatArray:
    """First readings by the levels' lognormals, or by the chosen law."""
    if half.level is not None:
        with suppress(InputError):  # half of the cells may be too few for levels
            return foretell(fit_levels(half.first_ohm, half.level))
    n = half.n_cells
    plain = Readings(
        half.first_ohm,
        np.zeros(n, np.int8),
        np.arange(n),
        None,
        None,
        Source("", "", n, 0),
    )
    return fit_law(name, plain).quantile((np.arange(9999) + 0.5) / 9999)
