import math

import numpy as np
import pytest
from msgspec.structs import replace
from scipy import stats

from denram.errors import DenRAMWarning, InputError
from denram.mapping import (
    ErrorConfig,
    HardwareMap,
    MapConfig,
    aged_map,
    build_map,
    program_outcome,
    rescaled,
    survey,
    time_scale,
    without_delay_errors,
)

IDEAL = ErrorConfig()
CONFIG = MapConfig(n_in=64, n_out=20, n_delays=16)


def chip(errors: ErrorConfig = IDEAL, config: MapConfig = CONFIG) -> HardwareMap:
    return build_map(config, seed=3, noise_std=0.1, errors=errors)


def test_without_errors_nothing_changes_and_no_draw_is_made() -> None:
    plain = build_map(CONFIG, seed=3, noise_std=0.1)
    assert chip().fingerprint == plain.fingerprint
    # weight errors, and time without drift, do not touch delays
    other = chip(ErrorConfig(weight_programming="lognormal", time_s=1e6))
    np.testing.assert_array_equal(other.delay_s, plain.delay_s)
    assert other.mask.all()


def test_the_programming_error_is_the_law_that_was_asked_for() -> None:
    law = ErrorConfig(delay_programming="lognormal", delay_programming_sigma=0.2)
    ratio = np.log(chip(law).resistance_ohm / chip().resistance_ohm).ravel()
    assert stats.kstest(ratio, stats.norm(scale=0.2).cdf).pvalue > 0.01


def test_verified_devices_lie_within_the_wider_tolerance_or_have_spent_all() -> None:
    errors = ErrorConfig(
        delay_programming="lognormal",
        delay_programming_sigma=0.1,
        delay_verify_pulses=200,
        delay_verify_tolerance_steps=1.0,
    )
    got, meant = chip(errors), chip()
    moved = np.abs(got.delay_steps - meant.delay_steps)
    # at sigma 0.1 of 20 steps or more, a pulse misses by more than a step at most
    # times, but never 200 times
    assert moved.max() == 1
    loose = replace(errors, delay_verify_pulses=1)
    assert (np.abs(chip(loose).delay_steps - meant.delay_steps) > 1).mean() > 0.5


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_stuck_devices_are_silent_or_without_delay(share: float) -> None:
    errors = ErrorConfig(delay_stuck_hrs=share, delay_stuck_lrs=share)
    got = chip(errors)
    n = got.mask.size
    for found in ((~got.mask).sum(), (got.delay_steps == 0).sum()):
        assert stats.binomtest(int(found), n, share).pvalue > 0.001
    assert not (~got.mask & (got.delay_steps == 0)).any()
    healthy = got.mask & (got.delay_steps > 0)
    np.testing.assert_array_equal(got.delay_s[healthy], chip().delay_s[healthy])


def test_stuck_devices_stay_stuck_however_they_are_programmed() -> None:
    errors = ErrorConfig(
        delay_stuck_lrs=0.2,
        delay_programming="lognormal",
        delay_programming_sigma=0.3,
        delay_verify_pulses=10,
        delay_verify_tolerance=0.1,
    )
    stuck = chip(ErrorConfig(delay_stuck_lrs=0.2)).delay_steps == 0
    assert (chip(errors).delay_steps[stuck] == 0).all()


def test_drift_has_its_closed_form_at_every_time() -> None:
    errors = ErrorConfig(
        delay_drift_nu=0.03,
        delay_drift_nu_sigma=0.01,
        delay_relaxation_sigma=0.05,
        drift_start_s=10.0,
    )
    fresh = chip(errors)
    np.testing.assert_array_equal(fresh.delay_s, chip().delay_s)
    for time_s in (10.0, 1e3, 1e8):
        ratio = np.log(aged_map(fresh, time_s).delay_s / fresh.delay_s).ravel()
        growth = math.log1p(time_s / 10.0)
        sigma = math.hypot(0.01 * growth, 0.05 * math.sqrt(growth / math.log(10)))
        law = stats.norm(0.03 * growth, sigma)
        assert stats.kstest(ratio, law.cdf).pvalue > 0.01


def test_a_chip_drawn_later_is_the_chip_grown_older() -> None:
    errors = ErrorConfig(delay_drift_nu=0.02, delay_relaxation_sigma=0.1)
    later = chip(replace(errors, time_s=1e4))
    aged = aged_map(aged_map(chip(errors), 50.0), 1e4)
    np.testing.assert_allclose(aged.delay_s, later.delay_s, rtol=1e-12)
    assert aged.errors == later.errors
    # and younger again
    back = aged_map(later, 0.0)
    np.testing.assert_allclose(back.delay_s, chip(errors).delay_s, rtol=1e-12)


def test_one_time_scale_undoes_a_common_drift() -> None:
    errors = ErrorConfig(delay_drift_nu=0.05)
    fresh = chip(errors)
    aged = aged_map(fresh, 1e6)
    factor = time_scale(aged, fresh)
    assert factor == pytest.approx((1 + 1e6) ** 0.05, rel=1e-12)
    restored = rescaled(aged, factor)
    np.testing.assert_allclose(restored.delay_s, fresh.delay_s, rtol=1e-12)


def test_heat_shortens_every_delay_by_arrhenius() -> None:
    errors = ErrorConfig(delay_activation_ev=0.3, temperature_kelvin=350.0)
    k = 8.617333262e-5  # electronvolt per kelvin, CODATA 2018
    factor = math.exp(0.3 / k * (1 / 350 - 1 / 300))
    np.testing.assert_allclose(chip(errors).delay_s, factor * chip().delay_s, rtol=1e-8)


def test_comparators_spread_delays_as_the_delta_method_says() -> None:
    got = chip(ErrorConfig(comparator_sigma=0.01)).delay_s / chip().delay_s
    # k = -ln(1 - r), r = 1 - 1/e: dk / k = e * dr
    assert got.std() == pytest.approx(0.01 * math.e, rel=0.03)
    assert got.mean() == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"delay_programming_sigma": 0.1}, "delay_programming must be"),
        ({"delay_programming": "tabulated"}, "delay_programming_table must be"),
        ({"delay_programming_table": (0.0, 0.1)}, "delay_programming_table must be"),
        (
            {"delay_programming": "lognormal", "delay_verify_pulses": 3},
            "delay_verify_tolerance",
        ),
        (
            {"delay_stuck_hrs": 0.7, "delay_stuck_lrs": 0.7},
            r"delay_stuck_hrs \+ delay_stuck_lrs must be <= 1, got 1.4",
        ),
        (
            {
                "delay_programming": "tabulated",
                "delay_programming_table": (0.5, -0.5),
            },
            "delay_programming_table: .* must ascend",
        ),
        ({"delay_stuck_hrs": 1.0}, "delay_stuck_hrs must be < 1"),
        ({"weight_stuck_hrs": 0.6, "weight_stuck_lrs": 0.6}, "weight_stuck_hrs"),
        ({"weight_programming_table": (0.0, 1.0)}, "weight_programming_table"),
        ({"delay_drift_nu": 10.0, "time_s": 1e30}, "finite resistances"),
    ],
)
def test_settings_that_contradict_are_refused_by_name(
    settings: dict[str, object], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        chip(ErrorConfig(**settings))  # type: ignore[arg-type]


def test_times_before_programming_are_refused() -> None:
    for time_s in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="time_s must be"):
            aged_map(chip(), time_s)


def test_chips_differ_and_each_repeats_itself() -> None:
    errors = ErrorConfig(delay_stuck_hrs=0.2)
    one, other = (
        build_map(replace(CONFIG, chip=n), seed=3, noise_std=0.0, errors=errors)
        for n in (0, 1)
    )
    assert (one.mask != other.mask).any()
    again = build_map(CONFIG, seed=3, noise_std=0.0, errors=errors)
    assert one.fingerprint == again.fingerprint


def test_ideal_delays_keep_the_weights_errors() -> None:
    errors = ErrorConfig(
        delay_programming="lognormal",
        delay_programming_sigma=0.1,
        dead_time=True,
        comparator_sigma=0.1,
        weight_read_noise=0.1,
        time_s=5.0,
    )
    kept = without_delay_errors(errors)
    assert kept == ErrorConfig(weight_read_noise=0.1, time_s=5.0)


def test_the_survey_counts_as_a_loop_over_single_reports_does() -> None:
    errors = ErrorConfig(delay_stuck_hrs=0.1, delay_drift_nu=0.05)
    found = survey(CONFIG, errors, seed=3, n_steps=150, n_chips=2, times_s=[0.0, 1e5])
    for number in (0, 1):
        own = replace(CONFIG, chip=number)
        meant = build_map(own, seed=3, noise_std=0.0).delay_steps
        for time_s in (0.0, 1e5):
            late = build_map(
                own, seed=3, noise_std=0.0, errors=replace(errors, time_s=time_s)
            )
            at = found.sel(chip=number, time_s=time_s)
            assert float(at["silent"]) == (~late.mask).mean()
            moved = (late.delay_steps != meant) & late.mask
            assert float(at["moved"]) == pytest.approx(moved.mean(), abs=2e-4)
            beyond = (late.delay_steps >= 150) & late.mask
            share = float(at["wasted_by"].sel(reason="beyond_window"))
            assert share == pytest.approx(beyond.mean(), abs=2e-4)


def test_the_outcome_of_verification_is_that_of_the_maps_devices() -> None:
    errors = ErrorConfig(
        delay_programming="lognormal",
        delay_programming_sigma=0.2,
        delay_verify_pulses=5,
        delay_verify_tolerance=0.1,
    )
    outcome = program_outcome(CONFIG, errors, seed=3)
    assert outcome is not None
    got, meant = chip(errors), chip()
    np.testing.assert_array_equal(outcome.resistance_ohm, got.resistance_ohm)
    inside = np.abs(got.resistance_ohm / meant.resistance_ohm - 1) <= 0.1
    np.testing.assert_array_equal(outcome.accepted, inside)
    p = stats.norm.cdf(math.log(1.1) / 0.2) - stats.norm.cdf(math.log(0.9) / 0.2)
    chance = float(1 - (1 - p) ** 5)
    accepted = int(inside.sum())
    assert stats.binomtest(accepted, inside.size, chance).pvalue > 0.001
    assert program_outcome(CONFIG, ErrorConfig(), seed=3) is None


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"temperature_kelvin": 400.0}, "temperature_kelvin changes nothing"),
        ({"comparator_sigma": 0.3}, "comparator_sigma 0.3 is cut"),
    ],
)
def test_settings_in_vain_are_warned_of(
    settings: dict[str, object], named: str
) -> None:
    with pytest.warns(DenRAMWarning, match=named):
        chip(ErrorConfig(**settings))  # type: ignore[arg-type]


def test_drift_beyond_what_a_float_holds_is_refused_later_too() -> None:
    with pytest.raises(InputError, match="finite resistances at time_s = 1e\\+30"):
        aged_map(chip(ErrorConfig(delay_drift_nu=10.0)), 1e30)
