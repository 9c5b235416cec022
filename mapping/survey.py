"""The wasted-synapse report over many chips and over time."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from msgspec.structs import replace
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping.ageing import aged_map
from denram.mapping.constraints import MapConfig
from denram.mapping.errors import ErrorConfig
from denram.mapping.hardware_map import HardwareMap, build_map
from denram.mapping.waste import Waste, waste_flags

MAX_CHIPS = 10_000


def survey(
    config: MapConfig,
    errors: ErrorConfig,
    *,
    seed: int,
    n_steps: int,
    n_chips: int = 1,
    times_s: Sequence[float] = (0.0,),
    dead_inputs: NDArray[np.bool_] | None = None,
) -> xr.Dataset:
    """Draw chip after chip, age each, and count what is wasted.

    Args:
        config: of the chips; the first has the number that it says.
        errors: what makes devices differ from what they were meant to be.
        seed: what all chips are drawn from.
        n_steps: length of the input window, steps.
        n_chips: 1 to 10 000.
        times_s: times since programming, s, ascending, >= 0.
        dead_inputs: (pre,) True for channels that never spike; None: all are live.

    Returns:
        Shares of the synapses, over (chip, time_s): `wasted`, `silent` (devices that
        never conduct), `moved` (delay in steps differs from that of the same chip
        without device errors), `mean_delay_s`, and `wasted_by` over (chip, time_s,
        reason).

    Raises:
        InputError: an argument out of range.
    """
    if not 1 <= n_chips <= MAX_CHIPS:
        raise InputError(f"chips must be in [1, {MAX_CHIPS}], got {n_chips}")
    if list(times_s) != sorted(set(times_s)) or not times_s:
        raise InputError(f"times must ascend, got {list(times_s)}")
    chips = [config.chip + i for i in range(n_chips)]
    rows = []
    for number in chips:
        own = replace(config, chip=number)
        meant = build_map(own, seed=seed, noise_std=0.0)
        chip = build_map(own, seed=seed, noise_std=0.0, errors=errors)
        rows.append(
            [_row(aged_map(chip, t), meant, n_steps, dead_inputs) for t in times_s]
        )
    dims = ("chip", "time_s")
    names = ("wasted", "silent", "moved", "mean_delay_s")
    variables = {
        name: (dims, np.array([[row[name] for row in chip] for chip in rows]))
        for name in names
    }
    by = np.array([[row["wasted_by"] for row in chip] for chip in rows])
    return xr.Dataset(
        {**variables, "wasted_by": ((*dims, "reason"), by)},
        {
            "chip": chips,
            "time_s": list(times_s),
            "reason": [reason.label for reason in Waste],
        },
        {"seed": seed, "n_steps": n_steps},
    )


def _row(
    chip: HardwareMap,
    meant: HardwareMap,
    n_steps: int,
    dead_inputs: NDArray[np.bool_] | None,
) -> dict[str, object]:
    flags = waste_flags(chip, n_steps=n_steps, dead_inputs=dead_inputs)
    here, size = chip.mask, chip.mask.size
    moved = (chip.delay_steps != meant.delay_steps) & here
    return {
        "wasted": np.count_nonzero(flags) / size,
        "silent": np.count_nonzero(~here) / size,
        "moved": np.count_nonzero(moved) / size,
        "mean_delay_s": float(chip.delay_steps[here].mean() * chip.timestep_s),
        "wasted_by": [
            np.count_nonzero(flags & np.uint8(reason)) / size for reason in Waste
        ],
    }
