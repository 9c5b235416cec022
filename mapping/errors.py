"""What makes a chip's devices differ from what they were meant to be, as settings.

Each effect is a slot of its own, off by default (the published idealisation), with keys
for the delay devices (`delay_...`) and for the weight devices (`weight_...`). They act
in the order of a device's life: programming, program-and-verify, faults, relaxation and
drift, temperature, read noise. `denram-map --support` says where each one acts.
"""

import math
import warnings
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from denram.config import Fraction, Index, NonNegative, Positive, Section
from denram.devices import (
    LognormalProgramming,
    LogTimeDrift,
    NoProgrammingError,
    NormalProgramming,
    ProgrammingLaw,
    TabulatedProgramming,
)
from denram.errors import DenRAMWarning, InputError

Spread = Annotated[float, Meta(ge=0, le=10)]  # of a logarithm
Relative = Annotated[float, Meta(ge=0, le=0.5)]
Exponent = Annotated[float, Meta(ge=-10, le=10)]
Role = Literal["delay", "weight"]
Kind = Literal["none", "lognormal", "normal", "tabulated"]


class ErrorConfig(Section, frozen=True):
    """Device errors of a chip; every default is the published idealisation.

    Attributes:
        delay_programming: law of the programming error. `lognormal`: sigma is the
            standard deviation of ln R about its target; `normal`: of the conductance
            over the target conductance; `tabulated`: `delay_programming_table` holds
            ln(R / target) at even probabilities.
        delay_programming_sigma: the law's parameter.
        delay_programming_table: quantiles of ln(R / target), ascending.
        delay_verify_pulses: most pulses of program-and-verify; 0: programmed once.
        delay_verify_tolerance: a device is accepted within this share of its target
            resistance; 0: not asked.
        delay_verify_tolerance_steps: or when its delay is within so many steps.
        delay_stuck_hrs: share of devices that never conduct: their synapse is silent.
        delay_stuck_lrs: share of devices that always conduct: no delay.
        delay_drift_nu: R grows as (1 + t / start)**nu; mean of nu over the devices.
        delay_drift_nu_sigma: standard deviation of nu.
        delay_relaxation_sigma: standard deviation that ln R has gained one decade
            after the start.
        delay_relaxation_power: it grows as decades**power.
        delay_read_noise: jitter of each spike's delay, relative.
        delay_activation_ev: R falls with temperature as exp(E / kT), electronvolt.
        weight_programming: as for delays; `normal` is over the largest conductance.
        weight_programming_sigma: the law's parameter.
        weight_programming_table: quantiles of ln(R / target), ascending.
        weight_verify_pulses: most pulses of program-and-verify; 0: programmed once.
        weight_verify_tolerance: accepted within this share of the target resistance.
        weight_stuck_hrs: share of devices at their smallest conductance.
        weight_stuck_lrs: share of devices at their largest conductance.
        weight_drift_nu: as for delays.
        weight_drift_nu_sigma: as for delays.
        weight_relaxation_sigma: as for delays.
        weight_relaxation_power: as for delays.
        weight_read_noise: noise of each read of a conductance, relative to it.
        weight_activation_ev: as for delays.
        drift_start_s: time scale of drift and relaxation, s.
        time_s: time since programming at which the chip is used, s.
        temperature_kelvin: temperature at which the chip is used.
        reference_kelvin: temperature at which its devices were programmed.
        tau_sigma: standard deviation of ln tau of the neurons' membranes.
        tau_redrawn: every training batch and test draw is another chip's membranes;
            else they are those of the run's chip, which training gets to know.
        comparator_sigma: spread of the comparators' threshold over the supply.
        dead_time: a delay element loses spikes while its capacitor charges.
        train_on_targets: train against the delays that were aimed at, and test on
            those obtained; else delays are programmed and measured first, and the
            weights are trained against them (co-programming).
    """

    delay_programming: Kind = "none"
    delay_programming_sigma: Spread = 0.0
    delay_programming_table: tuple[float, ...] = ()
    delay_verify_pulses: Index = 0
    delay_verify_tolerance: Fraction = 0.0
    delay_verify_tolerance_steps: NonNegative = 0.0
    delay_stuck_hrs: Fraction = 0.0
    delay_stuck_lrs: Fraction = 0.0
    delay_drift_nu: Exponent = 0.0
    delay_drift_nu_sigma: Spread = 0.0
    delay_relaxation_sigma: Spread = 0.0
    delay_relaxation_power: Fraction = 0.5
    delay_read_noise: Relative = 0.0
    delay_activation_ev: NonNegative = 0.0
    weight_programming: Kind = "none"
    weight_programming_sigma: Spread = 0.0
    weight_programming_table: tuple[float, ...] = ()
    weight_verify_pulses: Index = 0
    weight_verify_tolerance: Fraction = 0.0
    weight_stuck_hrs: Fraction = 0.0
    weight_stuck_lrs: Fraction = 0.0
    weight_drift_nu: Exponent = 0.0
    weight_drift_nu_sigma: Spread = 0.0
    weight_relaxation_sigma: Spread = 0.0
    weight_relaxation_power: Fraction = 0.5
    weight_read_noise: Relative = 0.0
    weight_activation_ev: NonNegative = 0.0
    drift_start_s: Positive = 1.0
    time_s: NonNegative = 0.0
    temperature_kelvin: Positive = 300.0
    reference_kelvin: Positive = 300.0
    tau_sigma: Spread = 0.0
    tau_redrawn: bool = False
    comparator_sigma: Relative = 0.0
    dead_time: bool = False
    train_on_targets: bool = False


IDEAL = ErrorConfig()


def check_errors(errors: ErrorConfig, *, threshold_factor: float) -> None:
    """Refuse settings that contradict one another, and warn of those in vain.

    Args:
        errors: settings.
        threshold_factor: k of the delay elements, whose comparators may err.

    Warns:
        DenRAMWarning: a setting that changes nothing, or a spread that is cut.

    Raises:
        InputError: a law without its table, or shares of more than 1.
    """
    for role in ("delay", "weight"):
        programming_law(errors, role)
        drift_law(errors, role)
        stuck = [f"{role}_stuck_{state}" for state in ("hrs", "lrs")]
        share = sum(getattr(errors, name) for name in stuck)
        if share > 1:
            raise InputError(f"{' + '.join(stuck)} must be <= 1, got {share:g}")
    if errors.delay_stuck_hrs == 1:
        raise InputError("delay_stuck_hrs must be < 1: no device would conduct, got 1")
    if errors.tau_redrawn and not errors.tau_sigma:
        _warn("tau_redrawn changes nothing without tau_sigma")
    heated = errors.temperature_kelvin != errors.reference_kelvin
    if heated and not (errors.delay_activation_ev or errors.weight_activation_ev):
        _warn(
            "temperature_kelvin changes nothing without delay_activation_ev or"
            " weight_activation_ev"
        )
    ratio = -math.expm1(-threshold_factor)  # of threshold over supply
    room = min(ratio, 1 - ratio)
    if errors.comparator_sigma > room / 2:
        _warn(
            f"comparator_sigma {errors.comparator_sigma:g} is cut: the threshold lies"
            f" {room:.3g} of the supply from an end of its range"
        )


def _warn(text: str) -> None:
    warnings.warn(text, DenRAMWarning, stacklevel=3)


def programming_law(errors: ErrorConfig, role: Role) -> ProgrammingLaw:
    """The programming error of one role's devices.

    Raises:
        InputError: a parameter or a table without its law, or no table where the law
            needs one.
    """
    kind = getattr(errors, f"{role}_programming")
    sigma = getattr(errors, f"{role}_programming_sigma")
    table = getattr(errors, f"{role}_programming_table")
    if kind in {"none", "tabulated"} and sigma:
        raise InputError(
            f"{role}_programming must be lognormal or normal where"
            f" {role}_programming_sigma is given, got {kind}"
        )
    if (kind == "tabulated") != bool(table):
        raise InputError(
            f"{role}_programming_table must be given with {role}_programming ="
            f" tabulated, and only then, got {len(table)} values with {kind}"
        )
    if kind == "lognormal":
        return LognormalProgramming(sigma)
    if kind == "normal":
        return NormalProgramming(sigma)
    if not table:
        return NoProgrammingError()
    try:
        return TabulatedProgramming(table)
    except InputError as error:
        raise InputError(f"{role}_programming_table: {error}") from None


def drift_law(errors: ErrorConfig, role: Role) -> LogTimeDrift:
    """Relaxation and drift of one role's devices."""
    return LogTimeDrift(
        nu=getattr(errors, f"{role}_drift_nu"),
        nu_sigma=getattr(errors, f"{role}_drift_nu_sigma"),
        relaxation_sigma=getattr(errors, f"{role}_relaxation_sigma"),
        relaxation_power=getattr(errors, f"{role}_relaxation_power"),
        start_s=errors.drift_start_s,
    )


def without_delay_errors(errors: ErrorConfig) -> ErrorConfig:
    """The same weight devices behind delays that are what was aimed at."""
    ideal = {
        name: getattr(IDEAL, name)
        for name in ErrorConfig.__struct_fields__
        if name.startswith("delay_") or name in {"comparator_sigma", "dead_time"}
    }
    return replace(errors, **ideal)


def not_yet_programmed(errors: ErrorConfig) -> ErrorConfig:
    """The effects that do not come from programming the delay devices."""
    return replace(_unprogrammed(errors, "delay"), time_s=0.0)


def measured_weights_errors(errors: ErrorConfig) -> ErrorConfig:
    """What is still to come where weights were measured: time, heat and reads."""
    return _unprogrammed(errors, "weight")


def _unprogrammed(errors: ErrorConfig, role: Role) -> ErrorConfig:
    starts = tuple(f"{role}_{name}" for name in ("programming", "verify", "stuck"))
    ideal = {
        name: getattr(IDEAL, name)
        for name in ErrorConfig.__struct_fields__
        if name.startswith(starts)
    }
    return replace(errors, **ideal)
