import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from denram.devices import (
    HEALTHY,
    STUCK_HRS,
    STUCK_LRS,
    Stream,
    StuckFaults,
    uniform,
)
from denram.errors import InputError

U = uniform((20, 63, 16), seed=1, stream=Stream("delay faults"))


@pytest.mark.parametrize(("hrs", "lrs"), [(0.0, 0.0), (0.02, 0.1), (0.3, 0.7)])
def test_each_fault_is_as_frequent_as_its_fraction(hrs, lrs):
    kinds = StuckFaults(hrs, lrs).kinds(U)
    assert kinds.dtype == np.int8
    assert (HEALTHY, STUCK_HRS, STUCK_LRS) == (0, 1, 2)
    for kind, fraction in ((STUCK_HRS, hrs), (STUCK_LRS, lrs)):
        count = int((kinds == kind).sum())
        assert stats.binomtest(count, U.size, fraction).pvalue > 0.01


def test_faults_are_where_the_draws_say():
    kinds = StuckFaults(0.25, 0.5).kinds(np.array([0.01, 0.24, 0.26, 0.49, 0.51, 0.99]))
    assert kinds.tolist() == [1, 1, 0, 0, 2, 2]


def test_a_larger_fraction_keeps_every_fault_of_a_smaller_one():
    few, many = (StuckFaults(x, 2 * x).kinds(U) for x in (0.05, 0.1))
    assert (many[few != HEALTHY] == few[few != HEALTHY]).all()


def test_without_faults_no_draw_however_rounded_is_one():
    assert not StuckFaults().kinds(np.array([0.0, 0.5, 1.0])).any()


def test_jax_agrees_with_numpy_exactly():
    u = np.float32(U)
    traced = jax.jit(lambda a, b, u: StuckFaults(a, b).kinds(u))
    kinds = traced(jnp.float32(0.05), jnp.float32(0.1), u)
    assert kinds.dtype == jnp.int8
    same = StuckFaults(float(np.float32(0.05)), float(np.float32(0.1))).kinds(u)
    np.testing.assert_array_equal(kinds, same)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((-0.1, 0.0), "hrs_fraction must be >= 0 and <= 1, got -0.1"),
        ((0.0, 1.5), "lrs_fraction must be >= 0 and <= 1, got 1.5"),
        ((np.nan, 0.0), "hrs_fraction must be finite"),
        ((0.75, 0.5), r"hrs_fraction \+ lrs_fraction must be <= 1, got 1.25"),
    ],
)
def test_bad_fractions_are_refused(fractions, message):
    with pytest.raises(InputError, match=f"^{message}"):
        StuckFaults(*fractions)
