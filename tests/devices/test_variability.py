import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import tolerance
from scipy import stats

from denram.devices import (
    CycleToCycle,
    DeviceToDevice,
    ReadNoise,
    Stream,
    read_factor,
    standard_normal,
)
from denram.errors import InputError

SHAPE = (20, 63, 16)
ONE_KOHM = np.full(SHAPE, 1e3)
COUNTERS = ("chip", "cycle", "read")
# piece, the counters of its clock, law of its factor on R
PIECES = [
    (DeviceToDevice(0.3), 1, stats.lognorm(0.3)),
    (CycleToCycle(0.1), 2, stats.lognorm(0.1)),
    (ReadNoise(0.05), 3, None),
]
every_piece = pytest.mark.parametrize(
    ("piece", "clocks", "law"), PIECES, ids=lambda value: type(value).__name__
)


def clock(n, **values):
    return dict.fromkeys(COUNTERS[:n], 0) | values


@every_piece
def test_the_factor_follows_its_law(piece, clocks, law):
    r = piece.apply(ONE_KOHM, seed=1, **clock(clocks))
    if law is None:
        # noise of the conductance, not of the resistance
        conductance = 1e3 / r.ravel()
        assert stats.kstest(conductance, "norm", args=(1, 0.05)).pvalue > 0.01
    else:
        assert stats.kstest(r.ravel() / 1e3, law.cdf).pvalue > 0.01


@every_piece
def test_the_same_clock_gives_the_same_devices(piece, clocks, law):
    del law
    now = clock(clocks, chip=3)
    np.testing.assert_array_equal(
        piece.apply(ONE_KOHM, seed=1, **now), piece.apply(ONE_KOHM, seed=1, **now)
    )


@every_piece
def test_every_tick_of_its_clock_is_an_independent_draw(piece, clocks, law):
    del law
    first = np.log(piece.apply(ONE_KOHM, seed=1, **clock(clocks))).ravel()
    for counter in COUNTERS[:clocks]:
        now = clock(clocks, **{counter: 1})
        other = np.log(piece.apply(ONE_KOHM, seed=1, **now)).ravel()
        assert abs(np.corrcoef(first, other)[0, 1]) < 4 / np.sqrt(first.size)


def test_the_three_clocks_are_independent_of_one_another():
    factors = [
        np.log(piece.apply(ONE_KOHM, seed=1, **clock(n))).ravel()
        for piece, n, _ in PIECES
    ]
    correlation = np.corrcoef(factors) - np.eye(3)
    assert np.abs(correlation).max() < 4 / np.sqrt(factors[0].size)


def test_delay_and_weight_devices_of_a_chip_are_independent():
    delay, weight = (
        np.log(DeviceToDevice(0.3, name).apply(ONE_KOHM, seed=1, chip=0)).ravel()
        for name in ("delay", "weight")
    )
    assert abs(np.corrcoef(delay, weight)[0, 1]) < 4 / np.sqrt(delay.size)


def test_spreads_compose_by_adding_the_variances_of_the_logarithm():
    r = DeviceToDevice(0.3).apply(ONE_KOHM, seed=1, chip=0)
    r = CycleToCycle(0.4).apply(r, seed=1, chip=0, cycle=0)
    law = stats.lognorm(0.5, scale=1e3)
    assert stats.kstest(r.ravel(), law.cdf).pvalue > 0.01


@every_piece
def test_without_spread_nothing_changes(piece, clocks, law):
    del law
    still = type(piece)(0.0)
    np.testing.assert_array_equal(
        still.apply(ONE_KOHM, seed=1, **clock(clocks)), ONE_KOHM
    )


def test_the_strongest_read_noise_keeps_every_resistance_positive():
    r = ReadNoise(0.5).apply(ONE_KOHM, seed=1, chip=0, cycle=0, read=0)
    assert r.min() >= 1e3 / 1.99
    assert r.max() <= 1e3 / 0.01


@pytest.mark.parametrize("sigma", [0.0, 0.05, 0.3, 0.5])
def test_the_read_factor_of_a_draw_is_the_truncated_normal(sigma):
    z = standard_normal(SHAPE, seed=1, stream=Stream("delay read"))
    factor = read_factor(z, sigma)
    if sigma == 0:
        np.testing.assert_array_equal(factor, 1.0)
    else:
        reach = 0.99 / sigma
        law = stats.truncnorm(-reach, reach, loc=1, scale=sigma)
        assert stats.kstest(factor.ravel(), law.cdf).pvalue > 0.01
        np.testing.assert_allclose(factor + read_factor(-z, sigma), 2.0, rtol=1e-12)
    compiled = jax.jit(read_factor)(jnp.float32(z), jnp.float32(sigma))
    assert compiled.dtype == jnp.float32
    np.testing.assert_allclose(compiled, factor, rtol=tolerance("float32"))


@every_piece
def test_bad_resistances_and_clocks_are_refused(piece, clocks, law):
    del law
    now = clock(clocks)
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match=f"resistance_ohm must be .*, got {bad}"):
            piece.apply(np.array([[[1.0, bad]]]), seed=1, **now)
    with pytest.raises(InputError, match=r"must be \(post, pre, tap\), got \(3,\)"):
        piece.apply(np.ones(3), seed=1, **now)
    with pytest.raises(InputError, match=r"chip must be .*, got -1"):
        piece.apply(ONE_KOHM, seed=1, **(now | {"chip": -1}))


@every_piece
@pytest.mark.parametrize("sigma", [-0.1, 11.0, np.nan, np.inf])
def test_bad_sigmas_are_refused(piece, clocks, law, sigma):
    del clocks, law
    with pytest.raises(InputError, match=r"^sigma_(ln|relative) must be .*, got"):
        type(piece)(sigma)
