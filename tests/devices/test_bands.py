from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denram.devices import (
    LognormalResistance,
    RCDelay,
    Stream,
    delay_steps,
    relative_band,
    step_band,
)
from denram.errors import InputError

SHAPE = (20, 63, 16)
TARGETS = LognormalResistance(5e11, 0.4).sample(
    SHAPE, seed=1, stream=Stream("delay-target")
)


@given(
    target=st.floats(1e3, 1e15),
    rc=st.builds(RCDelay, st.floats(1e-15, 1e-9), st.floats(0.01, 10)),
    clock=st.fixed_dictionaries(
        {"timestep_s": st.floats(1e-9, 10), "max_delay": st.integers(0, 2**31 - 1)}
    ),
    tolerance=st.floats(0, 300),
)
def test_a_band_in_steps_ends_where_the_steps_do(target, rc, clock, tolerance):
    def steps(r):
        return int(delay_steps(rc.delay_s(r), **clock))

    aimed = steps(target)
    low, high = step_band([target], rc, **clock, tolerance_steps=tolerance)
    assert low[0] <= target <= high[0]
    if low[0] > 0:
        assert abs(steps(low[0]) - aimed) <= tolerance
        assert aimed - steps(np.nextafter(low[0], 0)) > tolerance
    else:
        assert aimed <= tolerance
    if high[0] < np.inf:
        assert abs(steps(high[0]) - aimed) <= tolerance
        assert steps(np.nextafter(high[0], np.inf)) - aimed > tolerance
    else:
        assert clock["max_delay"] - aimed <= tolerance


@given(
    step=st.integers(1, 1000),
    reach=st.integers(0, 20),
    binary_timestep=st.integers(-20, 3),
)
def test_a_half_at_the_bands_end_belongs_to_the_even_step(step, reach, binary_timestep):
    timestep = 2.0**binary_timestep  # with k C = 1 every half step is exact
    low, high = step_band(
        step * timestep,
        RCDelay(1.0),
        timestep_s=timestep,
        max_delay=2**20,
        tolerance_steps=reach,
    )
    half = Fraction(1, 2)
    first, last = max(step - reach, 0), step + reach
    lower, upper = (float(x * Fraction(timestep)) for x in (first - half, last + half))
    if first == 0:
        assert low == 0
    else:
        assert low == (lower if first % 2 == 0 else np.nextafter(lower, np.inf))
    assert high == (upper if last % 2 == 0 else np.nextafter(upper, 0))


def test_bands_in_steps_keep_the_shape_of_their_targets():
    clock = {"timestep_s": 5e-3, "max_delay": 200}
    rc = RCDelay(1e-12, capacitor_sigma=0.1, comparator_sigma=0.1)
    low, high = step_band(TARGETS, rc, **clock, tolerance_steps=2)
    assert low.shape == high.shape == SHAPE
    aimed = np.minimum(np.rint(TARGETS * 1e-12 / 5e-3), 200)
    open_above = aimed + 2 >= 200
    np.testing.assert_array_equal(np.isinf(high), open_above)
    np.testing.assert_allclose(low, (aimed - 2.5) * 5e9, rtol=1e-15)
    np.testing.assert_allclose(
        high[~open_above], (aimed + 2.5)[~open_above] * 5e9, rtol=1e-15
    )


def test_a_relative_band_is_a_share_on_either_side():
    low, high = relative_band([1e9, 4e9], 0.25)
    np.testing.assert_array_equal(low, [0.75e9, 3e9])
    np.testing.assert_array_equal(high, [1.25e9, 5e9])


@pytest.mark.parametrize("bad", [0.0, -0.1, 1.5, np.nan])
def test_bad_tolerances_are_refused(bad):
    with pytest.raises(InputError, match=r"^tolerance must be .*, got"):
        relative_band([1e9], bad)
    if bad not in {0, 1.5}:
        with pytest.raises(InputError, match=r"^tolerance_steps must be .*, got"):
            step_band(
                [1e9],
                RCDelay(1e-12),
                timestep_s=1e-3,
                max_delay=9,
                tolerance_steps=bad,
            )
