"""A chip at another time: relaxed and drifted, and brought back by one time scale."""

from dataclasses import replace

import numpy as np

from denram.config import as_dict, convert
from denram.errors import InputError
from denram.mapping.constraints import MapConfig
from denram.mapping.delay_errors import drift_factor, scaled_ohm
from denram.mapping.delays import Floats, rc_delay, through_rc
from denram.mapping.errors import ErrorConfig, not_yet_programmed
from denram.mapping.hardware_map import HardwareMap, build_map


def aged_map(chip: HardwareMap, time_s: float) -> HardwareMap:
    """The same chip `time_s` after its devices were programmed.

    Args:
        chip: at the time that its errors say (0 if they say none).
        time_s: since programming, s, >= 0.

    Raises:
        InputError: a time before programming.
    """
    if not 0 <= time_s < np.inf:
        raise InputError(f"time_s must be >= 0 and finite, got {time_s}")
    errors = convert(ErrorConfig, chip.errors)
    later = as_dict(errors) | {"time_s": float(time_s)}
    chip = replace(chip, errors=later)
    if not (
        errors.delay_drift_nu
        or errors.delay_drift_nu_sigma
        or errors.delay_relaxation_sigma
    ):
        return chip
    config = convert(MapConfig, chip.config)
    now, then = (
        drift_factor(config, errors, seed=chip.seed, time_s=t)
        for t in (time_s, errors.time_s)
    )
    with np.errstate(invalid="ignore"):
        grown = now / then
    ohm = scaled_ohm(chip.resistance_ohm, grown, time_s=time_s)
    return _with_resistance(chip, errors, ohm)


def intended(chip: HardwareMap) -> HardwareMap:
    """The chip as it is to be programmed: what its delay devices are aimed at.

    A chip that was measured is returned as it is: only what was obtained is known.
    """
    errors = convert(ErrorConfig, chip.errors)
    aim = not_yet_programmed(errors)
    if "measured" in chip.versions or aim == errors:
        return chip
    return build_map(
        convert(MapConfig, chip.config),
        seed=chip.seed,
        noise_std=chip.noise_std,
        errors=aim,
    )


def time_scale(chip: HardwareMap, fresh: HardwareMap) -> float:
    """The one factor by which delays have grown: the median over present devices.

    Args:
        chip: the aged chip.
        fresh: the same chip before.
    """
    here = chip.mask & fresh.mask & (fresh.delay_s > 0)
    return float(np.median(chip.delay_s[here] / fresh.delay_s[here]))


def rescaled(chip: HardwareMap, factor: float) -> HardwareMap:
    """The chip with every delay divided by `factor`, as one threshold or clock does.

    Raises:
        InputError: a factor that is not > 0.
    """
    if not 0 < factor < np.inf:
        raise InputError(f"factor must be > 0 and finite, got {factor}")
    errors = convert(ErrorConfig, chip.errors)
    return _with_resistance(chip, errors, chip.resistance_ohm / factor)


def _with_resistance(
    chip: HardwareMap, errors: ErrorConfig, resistance_ohm: Floats
) -> HardwareMap:
    """The chip with other resistances behind its own capacitors and comparators."""
    config = convert(MapConfig, chip.config)
    rc = rc_delay(config, comparator_sigma=errors.comparator_sigma)
    return replace(
        chip, **through_rc(resistance_ohm, config, chip.seed, rc=rc)._asdict()
    )
