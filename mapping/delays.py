"""Resistances and delays of a chip, by the way its delays are distributed.

Every delay goes the way of the hardware: a resistance, then k R C, then whole steps.
What is aimed at (`uniform`, `pattern`) is turned into the resistance to aim at first.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from denram.devices import (
    LognormalResistance,
    RCDelay,
    Stream,
    delay_steps,
    legacy_key,
    legacy_normal,
    legacy_randint,
    legacy_split,
    uniform_integer,
)
from denram.errors import InputError
from denram.mapping.constraints import MapConfig

Floats = NDArray[np.float64]
Steps = NDArray[np.int32]

# the counters of denram.devices have room for these
_LARGEST = {"n_in": 2**20, "n_delays": 2**12}
# a delay of 0 steps is aimed at by the middle of what rounds to 0
_STEPS_FOR_ZERO = 0.25


class DrawnDelays(NamedTuple):
    """Devices as drawn, each array (post, pre, tap)."""

    resistance_ohm: Floats
    delay_s: Floats
    delay_steps: Steps


def draw_delays(config: MapConfig, *, seed: int) -> DrawnDelays:
    """Draw the delay devices of one chip.

    Args:
        config: size, devices and clock of the chip.
        seed: what the devices are drawn from.

    Raises:
        InputError: more inputs or delays than can be drawn, or the published generator
            is asked for what it does not have.
    """
    for name, largest in _LARGEST.items():
        if getattr(config, name) > largest:
            raise InputError(
                f"{name} must be <= {largest}, got {getattr(config, name)}"
            )
    legacy = config.sampler == "jax-legacy"
    if legacy and (config.capacitor_sigma != 0 or config.chip != 0):
        name = "capacitor_sigma" if config.capacitor_sigma != 0 else "chip"
        raise InputError(
            f"{name} must be 0 with sampler jax-legacy, got {getattr(config, name)}"
        )
    # what overflows is refused by name when the map is checked
    with np.errstate(over="ignore", under="ignore"):
        if legacy and config.delay_distribution == "lognormal":
            return _published_lognormal(config, seed)
        resistance = _RESISTANCES[config.delay_distribution](config, seed)
        return through_rc(resistance, config, seed)


def resistance_law(config: MapConfig) -> LognormalResistance:
    """The lognormal that resistances are drawn from."""
    return LognormalResistance(mean_ohm=config.r_mu, sigma_ln=config.r_std)


def rc_delay(config: MapConfig, *, comparator_sigma: float = 0.0) -> RCDelay:
    """The delay element."""
    return RCDelay(
        capacitance_farad=config.cap,
        threshold_factor=config.threshold_factor,
        capacitor_sigma=config.capacitor_sigma,
        comparator_sigma=comparator_sigma,
    )


def pattern_steps(config: MapConfig) -> Steps:
    """The even ladder round(k max_delay / n_delays), k = 0 to n_delays - 1."""
    k = np.arange(config.n_delays, dtype=np.int64)
    return np.rint(k * config.max_delay / config.n_delays).astype(np.int32)


def aimed_ohm(steps: Steps, config: MapConfig) -> Floats:
    """The resistance to aim at for a delay of whole steps, R = t / (k C)."""
    delay_s = np.maximum(steps, _STEPS_FOR_ZERO) * config.timestep
    return rc_delay(config).resistance_ohm(delay_s)


def aimed_steps(resistance_ohm: Floats, config: MapConfig) -> Steps:
    """Whole steps that a resistance gives with a capacitor of nominal size."""
    nominal = RCDelay(config.cap, config.threshold_factor)
    return delay_steps(
        nominal.delay_s(resistance_ohm),
        timestep_s=config.timestep,
        max_delay=config.max_delay,
    )


def chip_stream(config: MapConfig, name: str) -> Stream:
    """The draws of one purpose on this chip."""
    return Stream(name, chip=config.chip, cycle=0, read=0)


def through_rc(
    resistance_ohm: Floats, config: MapConfig, seed: int, *, rc: RCDelay | None = None
) -> DrawnDelays:
    """Delays of these resistances behind the chip's own capacitors and comparators."""
    element = rc_delay(config) if rc is None else rc
    delay_s = element.delay_s(
        resistance_ohm, seed=seed, stream=chip_stream(config, "delay-capacitor")
    )
    steps = delay_steps(delay_s, timestep_s=config.timestep, max_delay=config.max_delay)
    return DrawnDelays(resistance_ohm, delay_s, steps)


def _lognormal(config: MapConfig, seed: int) -> Floats:
    stream = chip_stream(config, "delay-resistance")
    return resistance_law(config).sample(config.shape, seed=seed, stream=stream)


def _uniform(config: MapConfig, seed: int) -> Floats:
    if config.sampler == "jax-legacy":
        post, pre, tap = config.shape
        key = _published_delay_key(seed)
        flat = legacy_randint(key, (post, pre * tap), 0, config.max_delay + 1)
        return aimed_ohm(flat.reshape(config.shape), config)
    stream = chip_stream(config, "delay-uniform")
    steps = uniform_integer(config.shape, config.max_delay, seed=seed, stream=stream)
    return aimed_ohm(steps, config)


def _pattern(config: MapConfig, seed: int) -> Floats:
    del seed
    ladder = aimed_ohm(pattern_steps(config), config)
    return np.broadcast_to(ladder, config.shape).copy()


_RESISTANCES: dict[str, Callable[[MapConfig, int], Floats]] = {
    "lognormal": _lognormal,
    "uniform": _uniform,
    "pattern": _pattern,
}


def _published_delay_key(seed: int) -> NDArray[np.uint32]:
    """Second sub-key of the published chain; the first one draws the weights."""
    key, _ = legacy_split(legacy_key(seed))
    _, key_delays = legacy_split(key)
    return key_delays


def _published_lognormal(config: MapConfig, seed: int) -> DrawnDelays:
    """The published arithmetic, in single precision throughout.

    exp is NumPy's here and XLA's there; they differ by one unit in the last place,
    which moves about one device in 100 000 by one step.
    """
    post, pre, tap = config.shape
    z = legacy_normal(_published_delay_key(seed), (post, pre * tap))
    f32 = np.float32
    mu_ln = f32(resistance_law(config).mu_ln)
    ohm = np.exp(mu_ln + f32(config.r_std) * z.astype(f32)).reshape(config.shape)
    delay = f32(config.threshold_factor * config.cap) * ohm
    steps = np.clip(np.rint(delay / f32(config.timestep)), 0, config.max_delay)
    return DrawnDelays(ohm.astype(float), delay.astype(float), steps.astype(np.int32))
