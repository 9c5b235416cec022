"""Read noise: how much one cell's conductance differs from read to read."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from denram.devices._checks import FloatArray
from denram.devices.fit_readings import Unit
from denram.devices.fit_table import read_text, separator
from denram.errors import InputError

FEWEST_READS = 30


@dataclass(frozen=True)
class ReadNoiseFit:
    """Relative noise of the cells of one file.

    Attributes:
        mean_siemens: (cell,)
        relative: (cell,) standard deviation over mean, of the whole series: telegraph
            noise and drift within it count.
        step: (cell,) the same from differences of neighbouring reads over sqrt 2: what
            is left without slow changes.
        n_reads: reads per cell, the fewest.
        file: name of the file.
        sha256: of its bytes.
    """

    mean_siemens: FloatArray
    relative: FloatArray
    step: FloatArray
    n_reads: int
    file: str
    sha256: str

    @property
    def median(self) -> float:
        """Of `relative` over the cells: what a card takes."""
        return float(np.median(self.relative))


def fit_read_noise(path: Path, *, unit: Unit, skip: int = 0) -> ReadNoiseFit:
    """Noise of cells that were read many times.

    Args:
        path: a line per cell: reads, separated by tab, semicolon or comma.
        unit: ohm or siemens.
        skip: columns before the reads.

    Raises:
        InputError: no such file, delays, or a line of fewer than FEWEST_READS reads
            that are finite and > 0.
    """
    if unit == "seconds":
        raise InputError("--read_noise must be in ohm or siemens, got seconds")
    text, sha256 = read_text(path)
    mark = separator(text)
    lines = [line for line in text.splitlines() if line.strip()]
    series = []
    for i, line in enumerate(lines):
        words = line.split(mark)[skip:]
        try:
            reads = np.array(words, dtype=np.float64)
        except ValueError:
            raise InputError(
                f"--read_noise must hold numbers, got other text in line {i + 1}"
            ) from None
        good = np.isfinite(reads) & (reads > 0)
        if not good.all():
            bad = reads[~good][0]
            raise InputError(
                f"--read_noise must hold reads > 0, got {bad} in line {i + 1}"
            )
        if reads.size < FEWEST_READS:
            raise InputError(
                f"--read_noise must hold {FEWEST_READS} reads of a cell or more in a"
                f" line, got {reads.size} in line {i + 1}"
            )
        series.append(reads if unit == "siemens" else 1 / reads)
    mean = np.array([g.mean() for g in series])
    return ReadNoiseFit(
        mean,
        np.array([g.std(ddof=1) for g in series]) / mean,
        np.array([np.sqrt(np.mean(np.diff(g) ** 2) / 2) for g in series]) / mean,
        min(g.size for g in series),
        path.name,
        sha256,
    )
