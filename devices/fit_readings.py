"""Measured resistances: what a reading is, which are censored, and what is none."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from denram.devices._checks import FloatArray
from denram.devices.fit_table import Table, read_table
from denram.devices.fit_units import Unit, check_title
from denram.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

BoolArray = NDArray[np.bool_]
OPEN, KNOWN, SHORT = 1, 0, -1  # what a reading says: at least, exactly, at most
SMALLEST_OHM, LARGEST_OHM, WIDEST = 1e-2, 1e18, 1e10

_OPEN_WORDS = ("inf", "+inf", "infinity", "open", "ol", "o.l.", "overload")
_FLAGS = {
    **dict.fromkeys(("", "0", "0.0", "false", "no", "n"), KNOWN),
    **dict.fromkeys(("1", "1.0", "true", "yes", "y", "open", "right", ">"), OPEN),
    **dict.fromkeys(("-1", "-1.0", "short", "left", "<"), SHORT),
}


@dataclass(frozen=True)
class Columns:
    """Which columns hold what: titles of the header, or numbers from 1.

    Attributes:
        value: the reading; None: the only column.
        address: of the cell; None: every row is a cell of its own.
        time: since programming, s.
        level: programmed state.
        censored: 1 (or `open`, `>`): R is at least the reading; -1 (`<`): at most.
        where: (column, value) pairs: the rows that count.
        header: whether the first line names the columns.
    """

    value: str | None = None
    address: str | None = None
    time: str | None = None
    level: str | None = None
    censored: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    header: bool = True


@dataclass(frozen=True)
class Meaning:
    """What a number of the column means.

    Attributes:
        unit: of the column times `factor`.
        factor: such as 1e3 for a column in kohm.
        k_c_farad: threshold factor times capacitance, for delays: R = t / (k C).
        above_ohm: a reading from here on says only that R is at least so large.
        below_ohm: a reading up to here says only that R is at most so large.
        drop_bad: leave out what is no reading instead of refusing the file.
    """

    unit: Unit
    factor: float = 1.0
    k_c_farad: float | None = None
    above_ohm: float | None = None
    below_ohm: float | None = None
    drop_bad: bool = False


@dataclass(frozen=True)
class Source:
    """The file: name, sha256 of its bytes, readings used, and rows left out as bad."""

    file: str
    sha256: str
    n_readings: int
    n_dropped: int


@dataclass(frozen=True)
class Readings:
    """Resistances of devices.

    Attributes:
        resistance_ohm: (n,) readings; where one is censored, its limit.
        kind: (n,) KNOWN, OPEN (R is at least so large) or SHORT (at most).
        address: (n,) numbers that tell cells apart, from 0.
        time_s: (n,) since programming, or None.
        level: (n,) numbers that tell programmed states apart, or None.
        source: where they come from.
    """

    resistance_ohm: FloatArray
    kind: NDArray[np.int8]
    address: NDArray[np.int64]
    time_s: FloatArray | None
    level: NDArray[np.int64] | None
    source: Source

    @property
    def size(self) -> int:
        """Number of readings."""
        return self.resistance_ohm.size

    def take(self, rows: BoolArray | NDArray[np.int64]) -> "Readings":
        """The readings of some rows."""
        return replace(
            self,
            resistance_ohm=self.resistance_ohm[rows],
            kind=self.kind[rows],
            address=self.address[rows],
            time_s=None if self.time_s is None else self.time_s[rows],
            level=None if self.level is None else self.level[rows],
        )


def read_readings(path: Path, columns: Columns, meaning: Meaning) -> Readings:
    """Read the readings of a file.

    Raises:
        InputError: no such file, no table, a missing column, a unit that the header
            contradicts, or a row that is no reading.
    """
    table = read_table(path, header=columns.header)
    for name, value in columns.where:
        table = table.only(name, value)
    value = columns.value
    if value is None:
        if table.frame.shape[1] > 1:
            shown = ", ".join(map(str, table.frame.columns[:12]))
            rule = f"one of {shown}" if table.named else "given"
            raise InputError(f"--column must be {rule}, got nothing")
        value = "1"
    check_title(table.title(value, "--column"), meaning.unit, meaning.factor)
    texts = table.column(value, "--column")
    resistance, kind, good = _resistance(texts, meaning)
    if columns.censored is not None:
        kind, fine = _flagged(table.column(columns.censored, "--censored"), kind)
        good &= fine
    time = None
    if columns.time is not None:
        time, fine = _times(table.column(columns.time, "--time"))
        good &= fine
    if not good.all() and not meaning.drop_bad:
        _refuse(table, columns, texts, int(np.flatnonzero(~good)[0]))
    found = Readings(
        resistance_ohm=resistance,
        kind=kind,
        address=_cells(table, columns.address),
        time_s=time,
        level=_levels(table, columns.level),
        source=Source(table.file, table.sha256, int(good.sum()), int((~good).sum())),
    )
    found = found.take(good)
    _check_range(found.resistance_ohm, meaning.unit)
    return found


def _numbers(texts: "pd.Series") -> FloatArray:
    import pandas as pd

    return np.asarray(pd.to_numeric(texts, errors="coerce"), dtype=np.float64)


def _resistance(
    texts: "pd.Series", meaning: Meaning
) -> tuple[FloatArray, NDArray[np.int8], BoolArray]:
    """Resistances with their kind, and which rows are readings at all."""
    number = _numbers(texts) * meaning.factor
    words = _OPEN_WORDS[3:] if meaning.unit == "siemens" else _OPEN_WORDS
    is_open = texts.str.lower().isin(words).to_numpy(bool)
    good = (np.isfinite(number) & (number > 0)) | is_open
    with np.errstate(all="ignore"):
        if meaning.unit == "siemens":
            r = 1 / number
        elif meaning.unit == "seconds":
            r = number / (meaning.k_c_farad or np.nan)
        else:
            r = number
    r = np.where(is_open | ~good, np.inf, r)
    kind = np.where(is_open, OPEN, KNOWN).astype(np.int8)
    if meaning.above_ohm is not None:
        kind[r >= meaning.above_ohm] = OPEN
        r = np.minimum(r, meaning.above_ohm)
    elif is_open.any():
        raise InputError(
            "--above must be given, ohm, where cells are open:"
            f" got {texts.iloc[int(is_open.argmax())]!r} in {int(is_open.sum())} rows"
        )
    if meaning.below_ohm is not None:
        kind[r <= meaning.below_ohm] = SHORT
        r = np.maximum(r, meaning.below_ohm)
    return r, kind, good


def _flagged(
    texts: "pd.Series", kind: NDArray[np.int8]
) -> tuple[NDArray[np.int8], BoolArray]:
    told = texts.str.lower().map(_FLAGS)
    good = told.notna().to_numpy(bool)
    flag = told.fillna(KNOWN).to_numpy(np.int8)
    return np.where(flag == KNOWN, kind, flag), good


def _times(texts: "pd.Series") -> tuple[FloatArray, BoolArray]:
    time = _numbers(texts)
    return time, np.isfinite(time) & (time >= 0)


def _cells(table: Table, name: str | None) -> NDArray[np.int64]:
    if name is None:
        return np.arange(len(table.frame))
    return np.unique(table.column(name, "--address"), return_inverse=True)[1]


def _levels(table: Table, name: str | None) -> NDArray[np.int64] | None:
    """Numbers in the order of the levels if they are numbers, else of their names."""
    if name is None:
        return None
    texts = table.column(name, "--level")
    number = _numbers(texts)
    key = texts.to_numpy(str) if np.isnan(number).any() else number
    return np.unique(key, return_inverse=True)[1]


def _refuse(table: Table, columns: Columns, texts: "pd.Series", row: int) -> None:
    """Say of the first bad row what is wrong with it."""
    if columns.time is not None:
        told = table.column(columns.time, "--time")
        if not _times(told)[1][row]:
            got = f"got {told.iloc[row][:40]!r} in row {row + 1}"
            raise InputError(f"--time must be >= 0 s since programming, {got}")
    if columns.censored is not None:
        told = table.column(columns.censored, "--censored")
        if told.iloc[row].lower() not in _FLAGS:
            got = f"got {told.iloc[row][:40]!r} in row {row + 1}"
            raise InputError(f"--censored must hold 0, 1 or -1, {got}")
    raise InputError(
        f"--column must hold numbers > 0, got {texts.iloc[row][:40]!r} in row {row + 1}"
        " (--drop-bad leaves such rows out)"
    )


def _check_range(r: FloatArray, unit: Unit) -> None:
    """Numbers of another unit stand out as resistances nobody has."""
    if r.size == 0:
        raise InputError("--column must hold readings, got none")
    low, high = float(r.min()), float(r.max())
    if low < SMALLEST_OHM or high > LARGEST_OHM:
        raise InputError(
            f"--unit must make resistances of {SMALLEST_OHM:g} to {LARGEST_OHM:g} ohm,"
            f" got {low:g} to {high:g} ohm with {unit}"
        )
    if high / low > WIDEST:
        raise InputError(
            f"--unit must be one for the whole column: with {unit} it spans"
            f" {low:g} to {high:g} ohm"
        )
