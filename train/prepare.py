"""A configuration to a task: data loaded, chip drawn, network put on it."""

from dataclasses import replace

import numpy as np

from denram.errors import InputError
from denram.mapping import HardwareMap, build_map, without_delay_errors
from denram.train.data import Splits, load
from denram.train.models import FAMILIES
from denram.train.run_config import RunConfig
from denram.train.task import Task


def prepare(
    config: RunConfig,
    *,
    splits: Splits | None = None,
    chip: HardwareMap | None = None,
    members: int = 1,
) -> Task:
    """Load the data, draw the chip and put the network on it.

    Args:
        config: the run's settings.
        splits: data already in memory, made with the same settings.
        chip: a map to train on, instead of drawing one.
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
    chip = chip or drawn_chip(config)
    if not config.errors.train_on_targets:
        return _on_chip(config, splits, chip, members)
    meant = targets(config, chip)
    task = _on_chip(config, splits, meant, members)
    return replace(task, deployed=_on_chip(config, splits, chip, members))


def targets(config: RunConfig, chip: HardwareMap) -> HardwareMap:
    """The chip as it was meant to be: delays before any device error.

    Raises:
        InputError: the chip was measured, so that only what was obtained is known.
    """
    if "measured" in chip.versions:
        raise InputError("train_on_targets must be off on a measured map, got True")
    return build_map(
        config.map,
        seed=chip.seed,
        noise_std=chip.noise_std,
        errors=without_delay_errors(config.errors),
    )


def _on_chip(
    config: RunConfig, splits: Splits, chip: HardwareMap, members: int
) -> Task:
    family = FAMILIES[config.model]
    if splits.train.n_classes > chip.delay_steps.shape[0]:
        raise InputError(
            f"n_out must be >= the number of classes ({splits.train.n_classes}),"
            f" got {chip.delay_steps.shape[0]}"
        )
    dead = np.zeros(splits.train.n_in, np.bool_)
    dead[splits.train.dead_channels()] = True
    model = family.build(
        config.network,
        config.noise,
        chip,
        n_steps=splits.train.n_steps,
        dead_inputs=dead,
        batch_size=config.fit.batch_size,
        members=members,
    )
    noise = config.noise
    return Task(
        model=model,
        params=family.initial_params(model, config.network, chip, seed=config.seed),
        splits=splits,
        config=config.fit,
        noise_std=noise.noise_std,
        test_noise_std=(
            noise.noise_std if noise.test_noise_std is None else noise.test_noise_std
        ),
        seed=config.seed,
        chip=_chip_name(config),
        events=family.event_scorer(model, chip),
    )


def drawn_chip(config: RunConfig) -> HardwareMap:
    """The chip that a configuration describes."""
    seed = config.seed if config.chip_seed is None else config.chip_seed
    return build_map(
        config.map,
        seed=seed,
        noise_std=config.noise.noise_std,
        errors=config.errors,
    )


def _chip_name(config: RunConfig) -> tuple[int, ...]:
    own = () if config.chip_seed is None else (config.chip_seed,)
    return (*own, config.map.chip) if own or config.map.chip else ()
