"""The chip of a run: its arrays of delay devices, drawn from a configuration."""

import numpy as np

from denram.errors import InputError
from denram.mapping import HardwareMap, build_map, without_delay_errors
from denram.train._protocol import Chips
from denram.train.models import FAMILIES
from denram.train.run_config import RunConfig

MAP = "map"  # the array of a chip that has one only


def as_chips(chip: HardwareMap | Chips) -> Chips:
    """A single map as a chip of one array."""
    return {MAP: chip} if isinstance(chip, HardwareMap) else chip


def chip_seed(config: RunConfig) -> int:
    """What the devices are drawn from."""
    return config.seed if config.chip_seed is None else config.chip_seed


def drawn_chips(config: RunConfig) -> Chips:
    """The chip that a configuration describes, one map for each array."""
    arrays = FAMILIES[config.model].arrays(config)
    return {
        name: build_map(
            array,
            seed=array_seed(chip_seed(config), number),
            noise_std=config.noise.noise_std,
            errors=config.errors,
        )
        for number, (name, array) in enumerate(arrays.items())
    }


def drawn_chip(config: RunConfig) -> HardwareMap:
    """The chip of a family that has one array of delays.

    Raises:
        InputError: the family has none, or several.
    """
    chips = drawn_chips(config)
    if set(chips) != {MAP}:
        raise InputError(f"model must have one map of delays, got {config.model!r}")
    return chips[MAP]


def targets(config: RunConfig, chips: Chips) -> Chips:
    """The chip as it was meant to be: delays before any device error.

    Raises:
        InputError: it was measured, so that only what was obtained is known.
    """
    if any("measured" in chip.versions for chip in chips.values()):
        raise InputError("train_on_targets must be off on a measured map, got True")
    ideal = without_delay_errors(config.errors)
    return {
        name: build_map(
            array,
            seed=chips[name].seed,
            noise_std=chips[name].noise_std,
            errors=ideal,
        )
        for name, array in FAMILIES[config.model].arrays(config).items()
    }


def array_seed(seed: int, number: int) -> int:
    """The seed of one array of a chip: the chip's own for the first."""
    if not number:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
