import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from denram.devices import (
    RCDelay,
    Stream,
    charge_factor,
    delay_steps,
    discharge_factor,
    steps_delay_s,
)
from denram.errors import InputError

STREAM = Stream("delay-capacitor")
not_positive = pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])


@pytest.mark.parametrize("threshold", [0.1, 0.6, 1.1])
def test_threshold_factors_are_the_crossings_of_the_circuits_equation(threshold):
    supply, r, c = 1.2, 8e9, 1e-12

    def crossing(start, target):
        """When C dv/dt = (target - v) / R crosses the threshold."""

        solution = integrate.solve_ivp(
            lambda t, v: (target - v) / (r * c),
            (0, 10 * r * c),
            [start],
            events=lambda t, v: v[0] - threshold,
            rtol=1e-10,
            atol=1e-12,
        )
        return solution.t_events[0][0]

    up = RCDelay(c, charge_factor(threshold, supply)).delay_s(r)
    down = RCDelay(c, discharge_factor(threshold, supply)).delay_s(r)
    assert up == pytest.approx(crossing(0.0, supply), rel=1e-6)
    assert down == pytest.approx(crossing(supply, 0.0), rel=1e-6)


def test_a_threshold_at_one_time_constant_is_the_published_convention():
    assert charge_factor(1 - math.exp(-1), 1.0) == pytest.approx(1.0)
    assert discharge_factor(math.exp(-1), 1.0) == pytest.approx(1.0)
    assert charge_factor(0.6, 1.2) == pytest.approx(math.log(2))


@pytest.mark.parametrize("factor", [charge_factor, discharge_factor])
def test_a_threshold_the_capacitor_never_crosses_is_refused(factor):
    for threshold in (0.0, -0.1, 1.2, 1.3, np.nan, np.inf):
        with pytest.raises(InputError, match=f"threshold_volt must be .*{threshold}"):
            factor(threshold, 1.2)
    with pytest.raises(InputError, match=r"supply_volt must be .*, got 0"):
        factor(0.6, 0.0)


@given(
    r=st.floats(1e3, 1e15),
    c=st.floats(1e-15, 1e-9),
    k=st.floats(0.01, 10),
)
def test_resistance_is_the_inverse_of_delay(r, c, k):
    rc = RCDelay(c, k)
    assert rc.delay_s(r) == pytest.approx(
        float(Fraction(r) * Fraction(c) * Fraction(k))
    )
    assert rc.resistance_ohm(rc.delay_s(r)) == pytest.approx(r)


def test_capacitors_differ_from_chip_to_chip_by_their_mismatch():
    rc = RCDelay(1e-12, 2.0, capacitor_sigma=0.05)
    r = np.full((20, 63, 16), 8e9)
    chips = [
        rc.delay_s(r, seed=1, stream=STREAM._replace(chip=chip)).ravel()
        for chip in (0, 1, 0)
    ]
    ratio = chips[0] / 16e-3
    assert stats.kstest(ratio, "norm", args=(1, 0.05)).pvalue > 0.01
    np.testing.assert_array_equal(chips[0], chips[2])
    assert abs(np.corrcoef(chips[0], chips[1])[0, 1]) < 4 / np.sqrt(ratio.size)


def test_the_strongest_mismatch_keeps_every_capacitor_positive():
    rc = RCDelay(1e-12, capacitor_sigma=0.5)
    delay = rc.delay_s(np.full((20, 63, 16), 1e12), seed=1, stream=STREAM)
    assert delay.min() >= 0.01


def test_mismatch_is_never_left_out_in_silence():
    with pytest.raises(InputError, match=r"seed and stream must be .* got 0\.1"):
        RCDelay(1e-12, capacitor_sigma=0.1).delay_s(np.ones((1, 1, 1)))
    with pytest.raises(InputError, match=r"must be \(post, pre, tap\), got \(\)"):
        RCDelay(1e-12, capacitor_sigma=0.1).delay_s(1.0, seed=1, stream=STREAM)


@not_positive
def test_bad_delay_elements_are_refused(bad):
    with pytest.raises(InputError, match="capacitance_farad must be"):
        RCDelay(bad)
    with pytest.raises(InputError, match="threshold_factor must be"):
        RCDelay(1e-12, bad)
    with pytest.raises(InputError, match="resistance_ohm must be"):
        RCDelay(1e-12).delay_s([1.0, bad])
    with pytest.raises(InputError, match="delay_s must be"):
        RCDelay(1e-12).resistance_ohm([1.0, bad])
    with pytest.raises(InputError, match="timestep_s must be"):
        delay_steps(1.0, timestep_s=bad, max_delay=1)
    with pytest.raises(InputError, match="timestep_s must be"):
        steps_delay_s(1, timestep_s=bad)


def test_what_no_float_holds_is_refused():
    with pytest.raises(InputError, match="delay_s = k R C must be finite"):
        RCDelay(1e100, 1e100).delay_s(1e200)
    with pytest.raises(
        InputError, match=r"resistance_ohm = t / \(k C\) must be finite"
    ):
        RCDelay(1e-100, 1e-100).resistance_ohm(1e200)


@settings(max_examples=200)
@given(half_steps=st.integers(0, 2**20), max_delay=st.integers(0, 2**20))
def test_a_half_rounds_to_the_even_step(half_steps, max_delay):
    timestep = 2.0**-8  # so that half steps are exact
    steps = delay_steps(
        half_steps * timestep / 2, timestep_s=timestep, max_delay=max_delay
    )
    assert steps == min(round(Fraction(half_steps, 2)), max_delay)
    assert steps.dtype == np.int32


@settings(max_examples=200)
@given(
    delay=st.floats(0, 1e308),
    timestep=st.floats(1e-9, 10),
    max_delay=st.integers(0, 2**31 - 1),
)
def test_any_delay_gives_the_nearest_step_within_range(delay, timestep, max_delay):
    steps = delay_steps([delay], timestep_s=timestep, max_delay=max_delay)[0]
    assert 0 <= steps <= max_delay
    exact = Fraction(delay) / Fraction(timestep)
    if exact < max_delay:
        assert abs(steps - exact) <= Fraction(1, 2) + exact / 2**53


@given(
    steps=st.integers(0, 2**31 - 1),
    timestep=st.floats(1e-9, 10),
)
def test_whole_steps_survive_the_way_to_seconds_and_back(steps, timestep):
    seconds = steps_delay_s(np.array([steps]), timestep_s=timestep)
    back = delay_steps(seconds, timestep_s=timestep, max_delay=2**31 - 1)
    assert back.tolist() == [steps]


@pytest.mark.parametrize("bad", [-1e-9, np.nan, np.inf])
def test_delays_that_are_negative_or_not_finite_are_refused(bad):
    with pytest.raises(InputError, match=f"delay_s must be finite and >= 0, got {bad}"):
        delay_steps([0.1, bad], timestep_s=0.005, max_delay=200)


@pytest.mark.parametrize("bad", [-1, 2**31, 2.0, True, None])
def test_a_longest_delay_that_is_no_count_is_refused(bad):
    with pytest.raises(InputError, match=f"max_delay must be a whole .*, got {bad}"):
        delay_steps([0.1], timestep_s=0.005, max_delay=bad)


def test_steps_that_are_no_counts_are_refused():
    with pytest.raises(InputError, match="steps must be whole numbers, got float64"):
        steps_delay_s([1.0], timestep_s=0.005)
    with pytest.raises(InputError, match="steps must be finite and >= 0, got -1"):
        steps_delay_s([1, -1], timestep_s=0.005)
