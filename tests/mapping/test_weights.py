from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denram.errors import InputError
from denram.mapping import WeightRange, quantise

ranges = st.builds(
    lambda low, ratio, w_max, levels: WeightRange(low, low * ratio, w_max, levels),
    st.floats(1e-9, 1e-3),
    st.floats(1.5, 100),
    st.floats(1e-3, 1e3),
    st.just(0),
)


@given(ranges, st.floats(0, 1))
def test_a_weight_returns_from_its_conductance(scale, fraction):
    w = fraction * scale.w_max
    back = scale.weight(scale.conductance_siemens(w))
    assert float(back) == pytest.approx(w, rel=1e-9, abs=1e-12 * scale.w_max)


@given(ranges, st.floats(-1, 1))
def test_a_signed_weight_returns_from_its_pair(scale, fraction):
    w = fraction * scale.w_max
    plus, minus = scale.pair_siemens(w)
    # the device of the other sign rests at the smallest conductance
    assert min(float(plus), float(minus)) == scale.g_min_siemens
    back = scale.pair_weight(plus, minus)
    assert float(back) == pytest.approx(w, rel=1e-9, abs=1e-12 * scale.w_max)


@given(st.floats(1e-9, 1e-3), st.floats(1.01, 1e6), st.floats(1e-3, 1e3))
def test_both_ends_of_the_range_are_exact(g_min, ratio, w_max):
    scale = WeightRange(g_min, g_min * ratio, w_max)
    ends = scale.conductance_siemens([0.0, w_max])
    assert ends.tolist() == [g_min, g_min * ratio]


@given(st.floats(0, 1), st.integers(2, 300))
def test_quantising_takes_the_nearest_level_of_exact_arithmetic(value, levels):
    step = float(quantise(value, levels)) * (levels - 1)
    assert step == pytest.approx(round(step), abs=1e-9)
    distance = abs(Fraction(round(step)) - Fraction(value) * (levels - 1))
    # one rounding of the product may tip a value that lies on the edge
    assert distance <= Fraction(1, 2) + Fraction(1, 10**12)


@given(st.floats(0, 1), st.integers(2, 300))
def test_quantising_twice_changes_nothing(value, levels):
    once = quantise(value, levels)
    np.testing.assert_array_equal(quantise(once, levels), once)


def test_halves_go_to_the_even_level():
    # with five levels the edges lie at 1/8, 3/8, 5/8, 7/8
    edges = quantise([0.125, 0.375, 0.625, 0.875], 5)
    assert edges.tolist() == [0.0, 0.5, 0.5, 1.0]


def test_zero_levels_leave_the_weights_continuous():
    values = [0.0, 0.1234567, 1.0]
    assert quantise(values, 0).tolist() == values


def test_a_device_has_no_more_states_than_levels():
    scale = WeightRange(1e-6, 1e-4, levels=8)
    conductances = scale.conductance_siemens(np.linspace(0, 1, 1001))
    assert np.unique(conductances).size == 8


@pytest.mark.parametrize("w", [-0.1, 1.1, np.nan, np.inf])
def test_a_weight_outside_the_range_is_refused(w):
    with pytest.raises(InputError, match="weights must lie in"):
        WeightRange(1e-6, 1e-4).conductance_siemens([0.5, w])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1e-4), "g_min_siemens must be > 0"),
        ((1e-4, 1e-4), "g_max_siemens must be > g_min_siemens"),
        ((1e-6, np.nan), "g_max_siemens must be > 0 and finite"),
        ((1e-6, 1e-4, -1.0), "w_max must be > 0"),
        ((1e-6, 1e-4, 1.0, 1), "weight_levels must be 0"),
    ],
)
def test_an_impossible_range_is_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        WeightRange(*arguments)
