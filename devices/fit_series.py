"""Cells read again and again after programming, sorted into cells by times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from denram.devices._checks import FloatArray
from denram.devices.fit_readings import KNOWN, Readings
from denram.errors import InputError

MOST_STATES, FEWEST_CELLS = 16, 100  # of cells by their first reading
_SAME_TIME = 1.25  # readings closer in time than this ratio belong to one time
_WIDEST_TIME = 2.0


@dataclass(frozen=True)
class Series:
    """Cells by times.

    Attributes:
        time_s: (t,) ascending; the first is that of the first reading.
        first_ohm: (cell,) first reading.
        change: (cell, t) ln of a reading over the cell's first, NaN where there is
            none; where it is censored, that of its limit.
        kind: (cell, t) KNOWN, OPEN or SHORT.
        level: (cell,) programmed state, or None.
        n_left_out: cells without a known first reading.
    """

    time_s: FloatArray
    first_ohm: FloatArray
    change: FloatArray
    kind: NDArray[np.int8]
    level: NDArray[np.int64] | None
    n_left_out: int

    @property
    def n_cells(self) -> int:
        """Cells with a first reading."""
        return self.first_ohm.size

    def take(self, cells: NDArray[np.int64] | NDArray[np.bool_]) -> "Series":
        """Some of the cells."""
        level = None if self.level is None else self.level[cells]
        parts = (self.first_ohm[cells], self.change[cells], self.kind[cells])
        return Series(self.time_s, *parts, level, self.n_left_out)


def time_groups(time_s: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """Times that belong together: their median, and the group of every reading."""
    times, place = np.unique(time_s, return_inverse=True)
    group = np.zeros(times.size, np.int64)
    opened = times[0]
    for i in range(1, times.size):
        near = times[i] <= min(_SAME_TIME * times[i - 1], _WIDEST_TIME * opened)
        group[i] = group[i - 1] + (not near)
        opened = opened if near else times[i]
    label = group[place]
    medians = [np.median(time_s[label == g]) for g in range(group[-1] + 1)]
    return np.array(medians), label


def build_series(readings: Readings) -> Series:
    """Sort readings into cells by times.

    Raises:
        InputError: no times, only one, a cell with two readings at one, or no cell
            with a known first reading.
    """
    if readings.time_s is None:
        raise InputError("--time must be given for a series of readings, got nothing")
    times, group = time_groups(readings.time_s)
    cells, cell = np.unique(readings.address, return_inverse=True)
    if times.size == 1:
        raise InputError(f"--time must hold two times or more, got only {times[0]:g} s")
    flat = cell * times.size + group
    if np.unique(flat).size < flat.size:
        twice = int(np.argmax(np.bincount(flat)) % times.size)
        raise InputError(
            "--address must occur once at each time, got one twice at"
            f" {times[twice]:g} s (--where COLUMN=VALUE picks one of several series)"
        )
    log_r = np.full((cells.size, times.size), np.nan)
    kind = np.zeros(log_r.shape, np.int8)
    log_r.ravel()[flat] = np.log(readings.resistance_ohm)
    kind.ravel()[flat] = readings.kind
    good = np.isfinite(log_r[:, 0]) & (kind[:, 0] == KNOWN)
    if not good.any():
        raise InputError("readings must hold known ones at the first time, got none")
    level = None
    if readings.level is not None:
        level = np.zeros(cells.size, np.int64)
        first = group == 0
        level[cell[first]] = readings.level[first]
        level = level[good]
    change = log_r[good] - log_r[good, :1]
    first_ohm = np.exp(log_r[good, 0])
    return Series(times, first_ohm, change, kind[good], level, int((~good).sum()))


def states(first_ohm: FloatArray) -> FloatArray:
    """Edges of up to 16 states of equally many cells, by first reading."""
    n = int(np.clip(first_ohm.size // FEWEST_CELLS, 1, MOST_STATES))
    edges = np.unique(np.quantile(first_ohm, np.arange(n + 1) / n))
    return edges if edges.size > 1 else np.array([edges[0], edges[0]])


def state_of(first_ohm: FloatArray, edges_ohm: FloatArray) -> NDArray[np.int64]:
    """The state of each first reading, from 0."""
    return np.searchsorted(edges_ohm[1:-1], first_ohm, side="right")
