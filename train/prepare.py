"""A configuration to a task: data loaded, chip drawn, network put on it."""

from dataclasses import replace
from functools import partial

from denram.errors import InputError
from denram.mapping import HardwareMap
from denram.train._protocol import Chips
from denram.train.chips import as_chips, drawn_chips, targets
from denram.train.data import Splits, load, shift_channels
from denram.train.models import FAMILIES
from denram.train.run_config import RunConfig
from denram.train.task import Task


def prepare(
    config: RunConfig,
    *,
    splits: Splits | None = None,
    chip: HardwareMap | Chips | None = None,
    members: int = 1,
) -> Task:
    """Load the data, draw the chip and put the network on it.

    Args:
        config: the run's settings.
        splits: data already in memory, made with the same settings.
        chip: a map to train on (or the maps of all its arrays), instead of a draw.
        members: how many networks will train in one program with this one.

    Raises:
        InputError: the data cannot be had, the map does not fit, or the run would not
            fit in memory.
    """
    if splits is None:
        splits = load(
            config.data,
            n_in=config.map.n_in,
            timestep_s=config.map.timestep,
            seed=config.seed,
        )
    chips = drawn_chips(config) if chip is None else as_chips(chip)
    if not config.errors.train_on_targets:
        return _on_chip(config, splits, chips, members)
    task = _on_chip(config, splits, targets(config, chips), members)
    return replace(task, deployed=_on_chip(config, splits, chips, members))


def _on_chip(config: RunConfig, splits: Splits, chips: Chips, members: int) -> Task:
    family = FAMILIES[config.model]
    model = family.network(config, chips, splits.train, members=members)
    noise, shift = config.noise, config.data.freq_shift
    if shift >= max(1, config.map.n_in):
        raise InputError(
            f"freq_shift must be < n_in ({config.map.n_in}), got {shift:g}:"
            " it would silence every sample"
        )
    return Task(
        model=model,
        params=family.initial_params(model, config, chips),
        splits=splits,
        config=config.fit,
        noise_std=noise.noise_std,
        test_noise_std=(
            noise.noise_std if noise.test_noise_std is None else noise.test_noise_std
        ),
        seed=config.seed,
        chip=_chip_name(config),
        events=family.event_scorer(model, config, chips),
        augment=partial(shift_channels, freq_shift=shift) if shift else None,
    )


def _chip_name(config: RunConfig) -> tuple[int, ...]:
    own = () if config.chip_seed is None else (config.chip_seed,)
    return (*own, config.map.chip) if own or config.map.chip else ()
