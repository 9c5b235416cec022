"""Which weight devices of a chip are stuck."""

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
    if not (errors.weight_stuck_hrs or errors.weight_stuck_lrs):
        return np.zeros((2, 1, 1, 1), np.int8), np.zeros((2, 1), np.int8)
    faults = StuckFaults(errors.weight_stuck_hrs, errors.weight_stuck_lrs)
    config = convert(MapConfig, chip.config)
    post, pre, tap = chip.mask.shape

    def kinds(name: str, shape: tuple[int, int, int]) -> Kinds:
        u = uniform(shape, seed=chip.seed, stream=chip_stream(config, name))
        return faults.kinds(u)

    weights = [kinds(f"weight-stuck {s}", (post, pre, tap)) for s in ("plus", "minus")]
    bias = [kinds(f"bias-stuck {s}", (post, 1, 1))[:, 0, 0] for s in ("plus", "minus")]
    return np.stack(weights), np.stack(bias)
