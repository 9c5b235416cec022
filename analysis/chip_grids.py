"""Grids over chips and time: yield, drift, and co-programming of delays and weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from denram.analysis.grid import Axis, Grid
from denram.errors import InputError

# name to (key, settings that go with it, values)
AGAINST: Mapping[str, tuple[str, dict[str, Any], tuple[float, ...]]] = {
    "r_std": ("r_std", {}, (0.2, 0.4, 0.6, 0.8)),
    "delay_programming": (
        "delay_programming_sigma",
        {"delay_programming": "lognormal"},
        (0.0, 0.1, 0.2, 0.4),
    ),
    # the programming error takes the place of the published weight noise
    "weight_programming": (
        "weight_programming_sigma",
        {"weight_programming": "lognormal", "noise_std": 0.0},
        (0.0, 0.1, 0.2, 0.4),
    ),
    "delay_stuck": ("delay_stuck_hrs", {}, (0.0, 0.02, 0.05, 0.1)),
    "weight_stuck": ("weight_stuck_hrs", {}, (0.0, 0.02, 0.05, 0.1)),
}
CHIP_AXIS = "chip_seed"
# now, 1 s, 1 min, 1 h, 1 day, 30 days, 1 year, 10 years
TIMES_S = (0.0, 1.0, 60.0, 3600.0, 86_400.0, 2.592e6, 3.156e7, 3.156e8)
_DRIFTS = ("drift_nu", "drift_nu_sigma", "relaxation_sigma")


def yield_grid(
    against: str,
    values: Sequence[float] | None,
    *,
    n_chips: int,
    transfer: bool,
    settings: Mapping[str, Any],
    preset: str | None = None,
) -> Grid:
    """Chips at several values of one effect.

    Args:
        against: a key of `AGAINST`.
        values: of the effect; None for the ones of `AGAINST`.
        n_chips: chips per value.
        transfer: train for one chip, and move its weights to the others as they are;
            else every chip is trained for.
        settings: flat settings of all runs.
        preset: shipped preset beneath the settings.

    Raises:
        InputError: a setting that is an axis, or a value named twice.
    """
    key, beside, usual = AGAINST[against]
    axis = Axis.of(key, usual if values is None else values)
    _refuse_axes(settings, (key, CHIP_AXIS))
    base = {**beside, **settings}
    if transfer:
        _refuse_axes(settings, ("test_chips",))
        return Grid("yield", (axis,), {**base, "test_chips": n_chips}, preset)
    chips = Axis.of(CHIP_AXIS, range(n_chips))
    return Grid("yield", (axis, chips), base, preset)


def drift_grid(
    *,
    n_chips: int,
    times_s: Sequence[float] | None,
    settings: Mapping[str, Any],
    preset: str | None = None,
) -> Grid:
    """Chips that are trained once and then left to themselves.

    Args:
        n_chips: chips.
        times_s: since programming, s, ascending; None for 1 s to 10 years.
        settings: flat settings of all runs; they must say how devices drift.
        preset: shipped preset beneath the settings.

    Raises:
        InputError: a setting that is an axis, or no drift at all.
    """
    _refuse_axes(settings, (CHIP_AXIS, "test_times_s", "time_s"))
    keys = [f"{role}_{name}" for role in ("delay", "weight") for name in _DRIFTS]
    if not any(settings.get(key) for key in keys):
        raise InputError(
            "drift needs devices that drift: name a --card that says how, or --set one"
            f" of {', '.join(keys)}"
        )
    # time 0 tells what refitting the readout gives without any drift
    times = list(TIMES_S) if times_s is None else sorted({0.0, *times_s})
    chips = Axis.of(CHIP_AXIS, range(n_chips))
    return Grid("drift", (chips,), {**settings, "test_times_s": times}, preset)


def coprogram_grid(
    *,
    values: Sequence[float] | None,
    n_chips: int,
    settings: Mapping[str, Any],
    preset: str | None = None,
) -> Grid:
    """Delays programmed with an error; weights trained against targets or outcomes.

    Args:
        values: sigmas of the delays' programming error; 0 is the reference.
        n_chips: chips per value.
        settings: flat settings of all runs, such as `delay_verify_pulses`.
        preset: shipped preset beneath the settings.

    Raises:
        InputError: a setting that is an axis, or a value named twice.
    """
    key, beside, usual = AGAINST["delay_programming"]
    _refuse_axes(settings, (key, "train_on_targets", CHIP_AXIS))
    sigmas = list(usual if values is None else values)
    if 0.0 not in sigmas:  # what there is to recover
        sigmas.insert(0, 0.0)
    axes = (
        Axis.of(key, sigmas),
        Axis.of("train_on_targets", (True, False)),
        Axis.of(CHIP_AXIS, range(n_chips)),
    )
    # delays that are chosen, not found: whole steps, each as likely
    base = {**beside, "delay_distribution": "uniform", **settings}
    return Grid("coprogram", axes, base, preset)


def _refuse_axes(settings: Mapping[str, Any], axes: Sequence[str]) -> None:
    for key in axes:
        if key in settings:
            raise InputError(f"{key} is an axis of this grid and must not be set")
