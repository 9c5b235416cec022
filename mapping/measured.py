"""Measured resistances back in: the targets' table with what the lab found.

The table has the columns of `targets.csv` and `measured_ohm` or `measured_siemens`.
A device is known by role, post, pre and tap; with the `targets.json` of the hand-over,
its array, row and column are checked too, and weight devices become weights again.
"""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping.targets import ROLES

Unit = Literal["ohm", "siemens"]
Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
KEYS = ("post", "pre", "tap")
PLACES = ("array", "row", "column")
_REALS = ("target_ohm", "tolerance_low_ohm", "tolerance_high_ohm")
_NEEDED = (*PLACES, "role", *KEYS, *_REALS)
_MAX_BYTES = 4_000_000_000
# a wrong unit is off by R**2: 20 decades for delay devices, 8 to 12 for weight devices;
# a stuck one by less (assumed screens)
_FAR_DECADES = {"delay": 12.0, "weight_plus": 6.0, "weight_minus": 6.0}


@dataclass(frozen=True, eq=False)
class MeasuredTable:
    """Measured devices, one element each, in the order of the file.

    Attributes:
        array: array that the device stands in.
        row: its input line there.
        column: its output line there.
        role: index into `ROLES`.
        post: neuron.
        pre: input; the number of inputs for a bias.
        tap: synapse.
        target_ohm: what it was meant to be.
        tolerance_low_ohm: smallest resistance near enough, NaN for no limit.
        tolerance_high_ohm: largest resistance near enough, NaN for no limit.
        measured_ohm: > 0; NaN where nothing was measured.
    """

    array: Whole
    row: Whole
    column: Whole
    role: Whole
    post: Whole
    pre: Whole
    tap: Whole
    target_ohm: Floats
    tolerance_low_ohm: Floats
    tolerance_high_ohm: Floats
    measured_ohm: Floats

    @property
    def n_devices(self) -> int:
        """Lines of the file."""
        return self.role.size

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Measured outside of its tolerance."""
        r = self.measured_ohm
        return (r < self.tolerance_low_ohm) | (r > self.tolerance_high_ohm)

    def named(self, where: NDArray[np.bool_]) -> str:
        """The first of some devices, for a message."""
        i = int(np.argmax(where))
        at = f"post {self.post[i]}, pre {self.pre[i]}, tap {self.tap[i]}"
        return f"{ROLES[self.role[i]]} at {at} (line {i + 2})"


def read_measured(path: str | Path, *, unit: Unit) -> MeasuredTable:
    """Read a table of measured devices.

    Args:
        path: a CSV file.
        unit: of the measured column, which must be named `measured_<unit>`.

    Raises:
        InputError: unreadable, a column is missing or doubled, a value is no number,
            a measured value is not > 0, or a value is in another unit.
    """
    file = Path(path)
    column = f"measured_{unit}"
    _check_header(file, column)
    try:
        table = pd.read_csv(
            file,
            usecols=[*_NEEDED, column],
            encoding="utf-8-sig",
            low_memory=False,
        )
    except (ValueError, OSError) as error:
        raise InputError(f"{file} must be a CSV table, got: {error}") from None
    if table.empty:
        raise InputError(f"{file} must hold at least one device, got none")
    fields: dict[str, Any] = {name: _whole(table, name) for name in (*PLACES, *KEYS)}
    reals: dict[str, Any] = {name: _real(table, name) for name in (*_REALS, column)}
    role = _roles(table)
    measured = reals.pop(column)
    bad = (~(measured > 0) & ~np.isnan(measured)) | np.isinf(measured)
    if bad.any():
        raise InputError(
            f"{column} must be finite and > 0, got {measured[bad][0]:g} in"
            f" {_line(bad)} ({int(bad.sum())} of {bad.size} values are not)"
        )
    ohm = _in_ohm(measured, reals["target_ohm"], role, unit)
    return MeasuredTable(**fields, **reals, role=role, measured_ohm=ohm)


def digest(path: str | Path) -> str:
    """SHA-256 (hex) of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_header(file: Path, column: str) -> None:
    try:
        if file.exists() and not file.is_file():
            raise InputError(f"{file} must be a regular file")
        size = file.stat().st_size
        if size > _MAX_BYTES:
            raise InputError(f"{file} must be at most {_MAX_BYTES} bytes, got {size}")
        with file.open(encoding="utf-8-sig", newline="") as lines:
            names = next(csv.reader([lines.readline(100_000)]), [])
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{file} must be a CSV table in UTF-8") from None
    measured = [name for name in names if name.startswith("measured_")]
    if column not in names:
        raise InputError(
            f"{file} must have the column {column}, got {measured or names[:20]}"
        )
    if len(measured) > 1:
        raise InputError(f"{file} must have one measured column, got {measured}")
    doubled = [name for name in _NEEDED if names.count(name) > 1]
    if doubled or names.count(column) > 1:
        raise InputError(f"{file} must name each column once, got {names[:20]}")
    missing = [name for name in _NEEDED if name not in names]
    if missing:
        raise InputError(f"{file} must have the columns of targets.csv, not {missing}")


def _whole(table: Any, name: str) -> Whole:
    numbers = _real(table, name)
    bad = ~((numbers >= 0) & (numbers < 2**31) & (numbers == np.rint(numbers)))
    if bad.any():
        raise InputError(
            f"{name} must be a whole number >= 0, got {numbers[bad][0]:g} in"
            f" {_line(bad)}"
        )
    return numbers.astype(np.int64)


def _real(table: Any, name: str) -> Floats:
    coerced: Any = pd.to_numeric(table[name], errors="coerce")
    numbers = np.asarray(coerced, np.float64)
    bad = np.isnan(numbers) & table[name].notna().to_numpy()
    if bad.any():
        told = table[name].to_numpy()[bad][0]
        raise InputError(f"{name} must be a number, got {told!r} in {_line(bad)}")
    return numbers


def _roles(table: Any) -> Whole:
    codes = pd.Index(ROLES).get_indexer(table["role"]).astype(np.int64)
    bad = codes < 0
    if bad.any():
        told = table["role"].to_numpy()[bad][0]
        raise InputError(
            f"role must be one of {', '.join(ROLES)}, got {told!r} in {_line(bad)}"
        )
    return codes


def _line(bad: NDArray[np.bool_]) -> str:
    return f"line {int(np.argmax(bad)) + 2}"


def _in_ohm(measured: Floats, target_ohm: Floats, role: Whole, unit: Unit) -> Floats:
    ohm = measured
    if unit == "siemens":
        with np.errstate(over="ignore"):
            ohm = 1.0 / measured
        # the target's own conductance is the target, to the bit
        ohm = np.where(measured == 1.0 / target_ohm, target_ohm, ohm)
        if np.isinf(ohm).any():
            raise InputError(
                f"measured_siemens must have a finite inverse, got {measured.min():g}"
            )
    for code, (name, decades) in enumerate(_FAR_DECADES.items()):
        own = (role == code) & ~np.isnan(measured)
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(np.log10(ohm[own] / target_ohm[own])) > decades
        if far.any():
            raise InputError(
                f"measured_{unit} must be in {unit} throughout: {int(far.sum())} of"
                f" {far.size} {name} devices lie more than {decades:g} decades from"
                " their targets"
            )
    return ohm
