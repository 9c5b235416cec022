"""Which synapses of a map do no work of their own, and why.

An input window of `n_steps` holds spikes at steps 0 to n_steps - 1. A synapse of delay
d shows the neuron a copy of its input at steps d to d + n_steps - 1.
"""

from enum import IntFlag

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping.hardware_map import DIMS, HardwareMap


class Waste(IntFlag):
    """Why a synapse is wasted; a synapse can have several reasons."""

    SATURATED = 1
    BEYOND_WINDOW = 2
    DUPLICATE = 4
    BELOW_ONE_STEP = 8
    DEAD_INPUT = 16

    @property
    def meaning(self) -> str:
        """One line for reports."""
        return _MEANINGS[self]

    @property
    def label(self) -> str:
        """The reason's name in lower case, as stores and reports write it."""
        return str(self.name).lower()


_MEANINGS = {
    Waste.SATURATED: "its own delay is longer than max_delay",
    Waste.BEYOND_WINDOW: "starts after the input has ended",
    Waste.DUPLICATE: "same input, neuron and step as an earlier tap",
    Waste.BELOW_ONE_STEP: "no delay at all",
    Waste.DEAD_INPUT: "on an input channel that never spikes",
}


def waste_flags(
    chip: HardwareMap,
    *,
    n_steps: int,
    dead_inputs: NDArray[np.bool_] | None = None,
) -> NDArray[np.uint8]:
    """Mark the wasted synapses with the bits of `Waste`; absent devices have none.

    Args:
        chip: the map.
        n_steps: length of the input window, >= 1.
        dead_inputs: (pre,) True for channels that never spike; None: all are live.

    Returns:
        uint8 (post, pre, tap), 0 for a synapse that is not wasted.

    Raises:
        InputError: `n_steps` < 1, or `dead_inputs` does not fit the map.
    """
    if n_steps < 1:
        raise InputError(f"n_steps must be >= 1, got {n_steps}")
    n_pre = chip.delay_steps.shape[1]
    dead = np.zeros(n_pre, np.bool_) if dead_inputs is None else dead_inputs
    if dead.shape != (n_pre,):
        raise InputError(f"dead_inputs must have {n_pre} channels, got {dead.size}")
    where = {
        Waste.SATURATED: chip.saturated,
        Waste.BEYOND_WINDOW: chip.delay_steps >= n_steps,
        Waste.DUPLICATE: _duplicates(chip),
        Waste.BELOW_ONE_STEP: chip.delay_steps == 0,
        Waste.DEAD_INPUT: np.broadcast_to(dead[:, None], chip.mask.shape),
    }
    flags = np.zeros(chip.mask.shape, np.uint8)
    for reason, wasted in where.items():
        flags |= np.uint8(reason) * (wasted & chip.mask)
    return flags


def _duplicates(chip: HardwareMap) -> NDArray[np.bool_]:
    """Present taps whose step an earlier present tap of the same synapse has."""
    taps = np.arange(chip.mask.shape[2], dtype=np.int32)
    # absent devices get a step of their own, so that they equal nothing
    steps = np.where(chip.mask, chip.delay_steps, -1 - taps)
    order = np.argsort(steps, axis=2, kind="stable")
    ordered = np.take_along_axis(steps, order, axis=2)
    again = np.zeros(steps.shape, np.bool_)
    again[:, :, 1:] = ordered[:, :, 1:] == ordered[:, :, :-1]
    duplicate = np.empty_like(again)
    np.put_along_axis(duplicate, order, again, axis=2)
    return duplicate


def trailing_inputs(n_in: int, n_dead: int) -> NDArray[np.bool_]:
    """Mark the last `n_dead` of `n_in` channels.

    Raises:
        InputError: `n_dead` is negative or more than `n_in`.
    """
    if not 0 <= n_dead <= n_in:
        raise InputError(f"dead_inputs must be in [0, {n_in}], got {n_dead}")
    return np.arange(n_in) >= n_in - n_dead


def stride_dead_inputs(n_in: int, n_channels: int = 700) -> int:
    """Channels that stay empty when `n_channels` are thinned by the published stride.

    Every s-th channel is kept, s = ceil(n_channels / n_in), and the rest of the n_in is
    filled with zeros: n_in - ceil(n_channels / s) channels never spike.
    """
    stride = -(-n_channels // n_in)
    return n_in - -(-n_channels // stride)


def with_waste(dataset: xr.Dataset, flags: NDArray[np.uint8]) -> xr.Dataset:
    """Add `waste_flags` to a map's dataset, with the meaning of each bit."""
    attrs = {
        "long_name": "reasons why a synapse is wasted, as bits",
        "units": "1",
        "flag_masks": [reason.value for reason in Waste],
        "flag_meanings": " ".join(reason.label for reason in Waste),
    }
    return dataset.assign(waste=(DIMS, flags, attrs))
