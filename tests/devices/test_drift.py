import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import tolerance
from scipy import stats

from denram.devices import LogTimeDrift, Stream, standard_normal
from denram.errors import InputError

SHAPE = (20, 63, 16)
RATE, WALK = (
    standard_normal(SHAPE, seed=1, stream=Stream(role)) for role in ("rate", "walk")
)
TEN_YEARS_S = 10 * 365.25 * 86400


@pytest.mark.parametrize("time_s", [0.0, 1.0, 9.0, 3600.0, TEN_YEARS_S])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_logarithm_is_normal_with_the_laws_mean_and_spread(time_s, power):
    drift = LogTimeDrift(0.05, 0.02, 0.1, power, start_s=1.0)
    ln_factor = np.log(drift.factor(time_s, RATE, WALK)).ravel()
    if time_s == 0:
        np.testing.assert_array_equal(ln_factor, 0.0)
        return
    growth = math.log(1 + time_s)
    relaxed = 0.1 * math.log10(1 + time_s) ** power
    law = stats.norm(0.05 * growth, math.hypot(0.02 * growth, relaxed))
    assert stats.kstest(ln_factor, law.cdf).pvalue > 0.01


def test_relaxation_after_one_decade_spreads_by_its_sigma():
    drift = LogTimeDrift(relaxation_sigma=0.1, relaxation_power=0.5, start_s=2.0)
    after_one = np.log(drift.factor(2.0 * 9, RATE, WALK))
    np.testing.assert_allclose(after_one, 0.1 * WALK, rtol=1e-12, atol=1e-15)
    after_four = np.log(drift.factor(2.0 * 9999, RATE, WALK))
    np.testing.assert_allclose(after_four, 0.2 * WALK, rtol=1e-12, atol=1e-15)


def test_drift_alone_is_a_power_of_time():
    factor = LogTimeDrift(nu=0.1, start_s=1e-3).factor(0.999, RATE, WALK)
    np.testing.assert_allclose(factor, 1000**0.1, rtol=1e-12)
    falling = LogTimeDrift(nu=-0.1, start_s=1e-3).factor(0.999, RATE, WALK)
    np.testing.assert_allclose(falling * factor, 1.0, rtol=1e-12)


def test_many_times_at_once_are_each_time_alone():
    drift = LogTimeDrift(0.05, 0.02, 0.1)
    times = np.array([0.0, 10.0, 1e6])
    z, w = RATE[0, 0, :], WALK[0, 0, :]
    together = drift.factor(times[:, None], z[None, :], w[None, :])
    for time_s, row in zip(times, together, strict=True):
        np.testing.assert_array_equal(row, drift.factor(float(time_s), z, w))


def test_jax_in_single_precision_agrees_with_numpy():
    def factor(nu, time_s, z, w):
        return LogTimeDrift(nu, 0.02, 0.1).factor(time_s, z, w)

    compiled = jax.jit(factor)(
        jnp.float32(0.05),
        jnp.float32(TEN_YEARS_S),
        jnp.float32(RATE),
        jnp.float32(WALK),
    )
    assert compiled.dtype == jnp.float32
    exact = factor(0.05, TEN_YEARS_S, RATE, WALK)
    np.testing.assert_allclose(compiled, exact, rtol=tolerance("float32"))


@pytest.mark.parametrize("time_s", [-1.0, -1e-9, [3.0, -1.0], np.array([-2])])
def test_times_before_programming_are_refused(time_s):
    with pytest.raises(
        InputError, match=r"^time_s must be >= 0 \(no times before programming\), got -"
    ):
        LogTimeDrift().factor(time_s, RATE, WALK)


@pytest.mark.parametrize("time_s", [np.nan, np.inf, "now"])
def test_times_that_are_none_are_refused(time_s):
    with pytest.raises(InputError, match=r"^time_s must "):
        LogTimeDrift().factor(time_s, RATE, WALK)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nu", 11.0),
        ("nu", np.nan),
        ("nu_sigma", -0.1),
        ("relaxation_sigma", 10.5),
        ("relaxation_power", 1.5),
        ("relaxation_power", -0.5),
        ("start_s", 0.0),
        ("start_s", np.inf),
    ],
)
def test_bad_parameters_are_refused(name, value):
    with pytest.raises(InputError, match=f"^{name} must be .*, got {value}"):
        LogTimeDrift(**{name: value})
