"""Synapses to rows and columns of crossbar arrays, under size and fan-in limits.

An input line is a row; a synapse (post, tap) is a column, or two neighbouring ones for
a differential pair. With h = min(rows, fan_in) and w = columns // devices per synapse,

    array = first + (pre // h) across + (post taps + tap) // w,
    across = ceil(posts taps / w),    row = pre mod h,
    column = (post taps + tap) mod w * devices per synapse + device.

Delay devices and weight devices stand in arrays of their own. The floor plan of the
published chip is unknown: this one is assumed.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denram.errors import InputError

Places = NDArray[np.int32]
_LARGEST = 2**20  # rows or columns of an array; cells then fit in 64 bits


@dataclass(frozen=True)
class Crossbar:
    """The size of one array.

    Attributes:
        rows: input lines, 1 to 2**20.
        columns: output lines, 1 to 2**20.
        fan_in: most devices on one column, >= 1; None for as many as there are rows.

    Raises:
        InputError: a value out of its range.
    """

    rows: int
    columns: int
    fan_in: int | None = None

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "fan_in"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= _LARGEST:
                raise InputError(f"{name} must be in [1, {_LARGEST}], got {value}")

    @property
    def lines(self) -> int:
        """Rows that are used: no column may sum more devices than the fan-in."""
        return self.rows if self.fan_in is None else min(self.rows, self.fan_in)

    @property
    def cells(self) -> int:
        """Devices that one array has room for."""
        return self.rows * self.columns


class Cells(NamedTuple):
    """Addresses of devices, each int32 of one shape."""

    array: Places
    row: Places
    column: Places


@dataclass(frozen=True)
class Plane:
    """All arrays of one kind of device.

    Attributes:
        crossbar: size of each array.
        n_pre: input lines, >= 1.
        n_post: neurons, >= 1.
        n_tap: synapses per input and neuron, >= 1.
        per_synapse: devices per synapse, side by side: 1, or 2 for a pair.
        first_array: number of the plane's first array.

    Raises:
        InputError: a count below 1, or columns that cannot hold one synapse.
    """

    crossbar: Crossbar
    n_pre: int
    n_post: int
    n_tap: int
    per_synapse: int = 1
    first_array: int = 0

    def __post_init__(self) -> None:
        for name in ("n_pre", "n_post", "n_tap", "per_synapse"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.crossbar.columns < self.per_synapse:
            raise InputError(
                f"columns must be >= {self.per_synapse}, so that a synapse's devices"
                f" stay side by side, got {self.crossbar.columns}"
            )

    @property
    def synapses_per_row(self) -> int:
        """Whole synapses along one row of an array."""
        return self.crossbar.columns // self.per_synapse

    @property
    def grid(self) -> tuple[int, int]:
        """Arrays (down the inputs, across the synapses)."""
        down = math.ceil(self.n_pre / self.crossbar.lines)
        return down, math.ceil(self.n_post * self.n_tap / self.synapses_per_row)

    @property
    def n_arrays(self) -> int:
        """Number of arrays."""
        return math.prod(self.grid)

    def cells(
        self, post: ArrayLike, pre: ArrayLike, tap: ArrayLike, device: ArrayLike = 0
    ) -> Cells:
        """Where devices stand.

        Args:
            post: neurons, in [0, n_post); all arguments broadcast.
            pre: input lines, in [0, n_pre).
            tap: synapses, in [0, n_tap).
            device: which device of its synapse, in [0, per_synapse).

        Raises:
            InputError: an index out of its range.
        """
        limits = {
            "post": (post, self.n_post),
            "pre": (pre, self.n_pre),
            "tap": (tap, self.n_tap),
            "device": (device, self.per_synapse),
        }
        for name, (index, n) in limits.items():
            values = np.asarray(index)
            if values.size and not 0 <= values.min() <= values.max() < n:
                raise InputError(
                    f"{name} must be in [0, {n}), got {values.min()} to {values.max()}"
                )
        down, row = np.divmod(np.asarray(pre, np.int64), self.crossbar.lines)
        synapse = np.asarray(post, np.int64) * self.n_tap + np.asarray(tap, np.int64)
        across, place = np.divmod(synapse, self.synapses_per_row)
        array = self.first_array + down * self.grid[1] + across
        column = place * self.per_synapse + np.asarray(device, np.int64)
        every = np.broadcast_arrays(array, row, column)
        return Cells(*(values.astype(np.int32) for values in every))
