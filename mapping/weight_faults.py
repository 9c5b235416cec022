"""Which weight devices of a chip are stuck."""

import math

import numpy as np
from numpy.typing import NDArray

from denram.config import convert
from denram.devices import StuckFaults, uniform
from denram.mapping.constraints import MapConfig
from denram.mapping.delays import chip_stream
from denram.mapping.errors import ErrorConfig
from denram.mapping.hardware_map import HardwareMap

Kinds = NDArray[np.int8]


def stuck_weights(chip: HardwareMap, errors: ErrorConfig) -> tuple[Kinds, Kinds]:
    """Faults of the weight devices and of the bias devices of a chip.

    Args:
        chip: which chip; its seed and number decide.
        errors: how many are stuck.

    Returns:
        Kinds (pair, post, pre, tap) and (pair, post), pair being plus and minus; with
        no faults at all the axes but the first have length 1.
    """
    config, shape = convert(MapConfig, chip.config), chip.mask.shape
    return (
        stuck_devices(shape, errors, config, seed=chip.seed, name="weight"),
        stuck_devices(shape[:1], errors, config, seed=chip.seed, name="bias"),
    )


def stuck_devices(
    shape: tuple[int, ...],
    errors: ErrorConfig,
    config: MapConfig,
    *,
    seed: int,
    name: str,
) -> Kinds:
    """Faults of one array of weight devices.

    Args:
        shape: of the array; its first two axes and the rest address a device.
        errors: how many are stuck.
        config: which chip of the series.
        seed: of the chip.
        name: of the array.

    Returns:
        Kinds (pair, *shape), pair being plus and minus; with no faults at all the axes
        but the first have length 1.
    """
    if not (errors.weight_stuck_hrs or errors.weight_stuck_lrs):
        return np.zeros((2, *(1 for _ in shape)), np.int8)
    faults = StuckFaults(errors.weight_stuck_hrs, errors.weight_stuck_lrs)
    first, second, *rest = (*shape, 1, 1)
    flat = (first, second, math.prod(rest))

    def kinds(side: str) -> Kinds:
        stream = chip_stream(config, f"{name}-stuck {side}")
        return faults.kinds(uniform(flat, seed=seed, stream=stream)).reshape(shape)

    return np.stack([kinds("plus"), kinds("minus")])
