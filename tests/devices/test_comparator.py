import math

import numpy as np
import pytest
from scipy import stats

from denram.devices import RCDelay, Stream
from denram.errors import InputError

SHAPE = (20, 63, 16)
STREAM = Stream("delay-capacitor")


def chip(rc, chip_number=0):
    """Each element's k."""
    stream = STREAM._replace(chip=chip_number)
    return rc.threshold_factors(SHAPE, seed=1, stream=stream)


@pytest.mark.parametrize("k", [0.05, 0.5, 1.0, 3.0])
@pytest.mark.parametrize("sigma", [0.001, 0.03, 0.3])
def test_thresholds_are_a_truncated_normal_about_the_nominal_ratio(k, sigma):
    ratio = -math.expm1(-k)
    reach = 0.99 * min(ratio, 1 - ratio) / sigma
    law = stats.truncnorm(-reach, reach, loc=ratio, scale=sigma)
    factors = chip(RCDelay(1e-12, k, comparator_sigma=sigma)).ravel()
    assert stats.kstest(-np.expm1(-factors), law.cdf).pvalue > 0.01
    # k_i = -ln(1 - ratio_i) itself, by the change of variable
    assert stats.kstest(factors, lambda x: law.cdf(-np.expm1(-x))).pvalue > 0.01
    assert factors.min() > 0


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0])
def test_a_small_offset_spreads_the_delay_by_its_slope(k):
    sigma = 1e-4
    factors = chip(RCDelay(1e-12, k, comparator_sigma=sigma))
    # dk / d ratio = 1 / (1 - ratio) = exp(k)
    assert factors.std() == pytest.approx(sigma * math.exp(k), rel=0.02)
    assert factors.mean() == pytest.approx(k, abs=sigma * math.exp(k) * 4 / 142)


def test_delays_take_both_the_capacitors_and_the_comparators():
    rc = RCDelay(1e-12, 2.0, capacitor_sigma=0.05, comparator_sigma=0.02)
    r = np.full(SHAPE, 8e9)
    delay = rc.delay_s(r, seed=1, stream=STREAM)
    capacitance = 1e-12 * rc.capacitor_factors(SHAPE, seed=1, stream=STREAM)
    np.testing.assert_allclose(delay, chip(rc) * r * capacitance, rtol=1e-13)
    only_c = RCDelay(1e-12, 2.0, capacitor_sigma=0.05)
    np.testing.assert_array_equal(
        capacitance, 1e-12 * only_c.capacitor_factors(SHAPE, seed=1, stream=STREAM)
    )
    both = np.corrcoef(capacitance.ravel(), chip(rc).ravel())[0, 1]
    assert abs(both) < 4 / np.sqrt(r.size)


def test_comparators_differ_from_chip_to_chip():
    rc = RCDelay(1e-12, comparator_sigma=0.02)
    first, second, again = (chip(rc, number) for number in (0, 1, 0))
    np.testing.assert_array_equal(first, again)
    correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(first.size)


def test_without_offset_every_bit_is_as_before():
    r = np.full(SHAPE, 8e9)
    plain = RCDelay(1e-12, 0.7, capacitor_sigma=0.05)
    zero = RCDelay(1e-12, 0.7, capacitor_sigma=0.05, comparator_sigma=0.0)
    expected = 0.7 * 1e-12 * r * plain.capacitor_factors(SHAPE, seed=1, stream=STREAM)
    for rc in (plain, zero):
        delay = rc.delay_s(r, seed=1, stream=STREAM)
        np.testing.assert_array_equal(delay, expected)
    np.testing.assert_array_equal(chip(zero), 0.7)
    np.testing.assert_array_equal(RCDelay(1e-12).delay_s(r), 1e-12 * r)


def test_bad_offsets_are_refused():
    for bad in (-0.1, 0.6, np.nan):
        with pytest.raises(
            InputError, match=f"^comparator_sigma must be .*, got {bad}"
        ):
            RCDelay(1e-12, comparator_sigma=bad)
    with pytest.raises(InputError, match=r"^threshold_factor must be <= 20 where"):
        RCDelay(1e-12, 21.0, comparator_sigma=0.1)
    with pytest.raises(InputError, match=r"comparator_sigma is not 0, got 0\.1"):
        RCDelay(1e-12, comparator_sigma=0.1).delay_s(np.ones((1, 1, 1)))
