"""The life of a chip's delay devices: programmed, verified, stuck, aged, heated.

Each step takes resistances (post, pre, tap) and gives resistances; what is off changes
no bit. The order is that of `denram.mapping.errors`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from denram.devices import (
    HEALTHY,
    STUCK_HRS,
    STUCK_LRS,
    Arrhenius,
    ProgramOutcome,
    ProgramVerify,
    StuckFaults,
    relative_band,
    standard_normal,
    step_band,
    uniform,
)
from denram.errors import InputError
from denram.mapping.constraints import MapConfig
from denram.mapping.delays import (
    DrawnDelays,
    Floats,
    chip_stream,
    draw_delays,
    rc_delay,
    through_rc,
)
from denram.mapping.errors import ErrorConfig, drift_law, programming_law

# a formed device that always conducts: the least that the measured arrays of
# akashlevy/RRAM-Relaxation-Master-Model @ca0cfff hold is about 5 kohm
STUCK_LRS_OHM = 5e3


class AgedDelays(NamedTuple):
    """Delay devices at the time of their use, each array (post, pre, tap).

    Attributes:
        delays: resistances, delays and steps.
        mask: False for devices that never conduct.
        outcome: pulses and acceptance, where devices were verified.
    """

    delays: DrawnDelays
    mask: NDArray[np.bool_]
    outcome: ProgramOutcome | None


def aged_delays(
    drawn: DrawnDelays, config: MapConfig, errors: ErrorConfig, *, seed: int
) -> AgedDelays:
    """What becomes of delay devices until `errors.time_s` after programming.

    Args:
        drawn: targets, or devices as they were formed.
        config: size, circuit and clock of the chip.
        errors: which effects there are.
        seed: what the devices are drawn from.

    Raises:
        InputError: a law without its parameter, or a pulse budget without a tolerance.
    """
    shape = config.shape
    faults = StuckFaults(errors.delay_stuck_hrs, errors.delay_stuck_lrs)
    kinds = np.full(shape, HEALTHY, np.int8)
    if errors.delay_stuck_hrs or errors.delay_stuck_lrs:
        u = uniform(shape, seed=seed, stream=chip_stream(config, "delay-stuck"))
        kinds = faults.kinds(u)
    ohm, outcome = _programmed(drawn.resistance_ohm, config, errors, seed)
    ohm = _drifted(ohm, config, errors, seed)
    if errors.delay_activation_ev:
        law = Arrhenius(errors.delay_activation_ev, errors.reference_kelvin)
        ohm = ohm * law.factor(errors.temperature_kelvin)
    if errors.delay_stuck_lrs:
        ohm = np.where(kinds == STUCK_LRS, STUCK_LRS_OHM, ohm)
    moved = not np.array_equal(ohm, drawn.resistance_ohm)
    if moved or errors.comparator_sigma:
        rc = rc_delay(config, comparator_sigma=errors.comparator_sigma)
        drawn = through_rc(ohm, config, seed, rc=rc)
    return AgedDelays(drawn, kinds != STUCK_HRS, outcome)


def program_outcome(
    config: MapConfig, errors: ErrorConfig, *, seed: int
) -> ProgramOutcome | None:
    """What program-and-verify did to each delay device; None if there was none.

    Arguments as `build_map`, whose devices these are.
    """
    if not errors.delay_verify_pulses:
        return None
    return aged_delays(
        draw_delays(config, seed=seed), config, errors, seed=seed
    ).outcome


def _programmed(
    target_ohm: Floats, config: MapConfig, errors: ErrorConfig, seed: int
) -> tuple[Floats, ProgramOutcome | None]:
    law = programming_law(errors, "delay")
    if not errors.delay_verify_pulses:
        if errors.delay_programming == "none":
            return target_ohm, None
        z = standard_normal(
            config.shape, seed=seed, stream=chip_stream(config, "delay-programming")
        )
        return law.apply(target_ohm, z), None
    low, high = _band(target_ohm, config, errors)
    verify = ProgramVerify(law, pulses=errors.delay_verify_pulses)
    outcome = verify.program(
        target_ohm,
        low,
        high,
        seed=seed,
        stream=chip_stream(config, "delay-programming"),
    )
    return outcome.resistance_ohm, outcome


def _band(
    target_ohm: Floats, config: MapConfig, errors: ErrorConfig
) -> tuple[Floats, Floats]:
    """The wider of both tolerances, device by device."""
    if not (errors.delay_verify_tolerance or errors.delay_verify_tolerance_steps):
        raise InputError(
            "delay_verify_tolerance or delay_verify_tolerance_steps must be > 0"
            f" with delay_verify_pulses {errors.delay_verify_pulses}, got 0"
        )
    low = high = target_ohm
    if errors.delay_verify_tolerance:
        low, high = relative_band(target_ohm, errors.delay_verify_tolerance)
    if errors.delay_verify_tolerance_steps:
        by_steps = step_band(
            target_ohm,
            rc_delay(config),
            timestep_s=config.timestep,
            max_delay=config.max_delay,
            tolerance_steps=errors.delay_verify_tolerance_steps,
        )
        low, high = np.minimum(low, by_steps[0]), np.maximum(high, by_steps[1])
    return low, high


def _drifted(ohm: Floats, config: MapConfig, errors: ErrorConfig, seed: int) -> Floats:
    if errors.time_s == 0:
        return ohm
    factor = drift_factor(config, errors, seed=seed, time_s=errors.time_s)
    return scaled_ohm(ohm, factor, time_s=errors.time_s)


def drift_factor(
    config: MapConfig, errors: ErrorConfig, *, seed: int, time_s: float
) -> Floats:
    """By what each delay device's resistance has grown `time_s` after programming.

    Args:
        config: size and number of the chip.
        errors: law of the drift.
        seed: what the devices are drawn from.
        time_s: since programming, s, >= 0.
    """
    rate, walk = (
        standard_normal(config.shape, seed=seed, stream=chip_stream(config, role))
        for role in ("delay-drift-rate", "delay-relaxation")
    )
    with np.errstate(over="ignore", under="ignore"):
        return drift_law(errors, "delay").factor(time_s, rate, walk)


def scaled_ohm(ohm: Floats, factor: Floats, *, time_s: float) -> Floats:
    """Drifted resistances.

    Raises:
        InputError: one that no float holds.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        aged = ohm * factor
    if not (np.isfinite(aged).all() and (aged > 0).all()):
        raise InputError(
            "delay_drift_nu and delay_relaxation_sigma must leave finite resistances"
            f" at time_s = {time_s:g}, got others"
        )
    return aged
