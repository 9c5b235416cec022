import os

import jax
import numpy as np
import pytest
from scipy import special, stats

from denram.devices import (
    legacy_key,
    legacy_normal,
    legacy_randint,
    legacy_split,
    legacy_uniform,
)
from denram.devices.legacy import erfinv_float32
from denram.errors import InputError


@pytest.fixture(scope="module")
def old_jax():
    """`jax.random` as it was before 0.5."""
    flag = "jax_threefry_partitionable"
    before = getattr(jax.config, flag, None)
    if before is None:
        pytest.skip("this JAX no longer has the generator of before 0.5")
    jax.config.update(flag, False)
    yield jax.random
    jax.config.update(flag, before)


def published_delay_steps(n_in, seed, n_out=20, n_delays=16):
    """Delays in steps by the published recipe, spec 1.4, in double precision."""
    key, _ = legacy_split(legacy_key(seed))
    _, key_resistance = legacy_split(key)
    mu = np.log(500e9) - 0.4**2 / 2
    z = legacy_normal(key_resistance, (n_out, n_in * n_delays))
    delay = 1e-12 * np.exp(mu + 0.4 * z.astype(np.float64))
    return np.clip(np.rint(delay / 0.005), 0, 200)


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="a million words, interpreted"
)
@pytest.mark.parametrize(
    ("n_in", "seed", "mean", "sd", "least"),
    [
        (256, 42, 99.15, 38.43, 17),
        (256, 50, 99.21, 38.60, 15),
        (256, 9, 99.18, 38.31, 17),
        (700, 42, 99.08, None, None),
        (700, 50, 99.06, None, None),
        (700, 9, 99.09, None, None),
    ],
)
def test_published_delays_come_out_of_the_published_chain(n_in, seed, mean, sd, least):
    steps = published_delay_steps(n_in, seed)
    assert round(steps.mean(), 2) == mean
    if sd is not None:
        assert round(steps.std(), 2) == sd
        assert steps.min() == least


@pytest.mark.parametrize("seed", [0, 42, 2**32 - 1])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_keys_and_splits_are_those_of_old_jax(old_jax, seed, n):
    key = old_jax.PRNGKey(np.uint32(seed))
    np.testing.assert_array_equal(legacy_key(seed), key)
    np.testing.assert_array_equal(
        legacy_split(legacy_key(seed), n), old_jax.split(key, n)
    )


@pytest.mark.parametrize("shape", [(1,), (7,), (4, 6), (3, 5, 7)])
def test_draws_are_those_of_old_jax(old_jax, shape):
    key, ours = old_jax.PRNGKey(9), legacy_key(9)
    np.testing.assert_array_equal(
        legacy_uniform(ours, shape), old_jax.uniform(key, shape), strict=True
    )
    # XLA may fuse the scaling to another range into one rounding
    np.testing.assert_allclose(
        legacy_uniform(ours, shape, -2.0, 3.0),
        old_jax.uniform(key, shape, minval=-2.0, maxval=3.0),
        rtol=0,
        atol=4e-7,
    )
    # log1p and the polynomial of erfinv round otherwise in XLA: two units
    np.testing.assert_allclose(
        legacy_normal(ours, shape), old_jax.normal(key, shape), rtol=3e-7, strict=True
    )
    for low, high in [(0, 201), (-5, 7), (3, 4), (-(2**31), 2**31 - 1)]:
        np.testing.assert_array_equal(
            legacy_randint(ours, shape, low, high),
            old_jax.randint(key, shape, low, high),
            strict=True,
        )


def test_erfinv_is_undone_by_scipys_erf_to_single_precision():
    tails = 1 - np.geomspace(6e-8, 0.5, 500)
    x = np.concatenate([np.linspace(-0.5, 0.5, 501), tails, -tails]).astype(np.float32)
    # two units in the last place of x
    back = special.erf(erfinv_float32(x).astype(np.float64))
    np.testing.assert_allclose(back, x, rtol=2.4e-7, atol=1e-30)


def test_legacy_draws_follow_their_laws():
    key_uniform, key_normal, key_whole = legacy_split(legacy_key(1), 3)
    u = legacy_uniform(key_uniform, (20_001,))
    assert stats.kstest(u, "uniform").pvalue > 0.01
    assert stats.kstest(legacy_normal(key_normal, (20_001,)), "norm").pvalue > 0.01
    counts = np.bincount(legacy_randint(key_whole, (20_001,), 0, 201), minlength=201)
    assert counts.size == 201
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("seed must be .*, got -1", lambda: legacy_key(-1)),
        ("n must be .*, got 0", lambda: legacy_split(legacy_key(1), 0)),
        ("key must be two uint32 words", lambda: normal_of(np.zeros(2))),
        ("maxval must be .* from 6 .*, got 5", lambda: randint(5, 5)),
        ("needs 3.2e\\+13 GB of memory", lambda: randint(0, 5, (10**11, 10**10))),
    ],
)
def test_bad_legacy_requests_are_refused(message, call):
    with pytest.raises(InputError, match=message):
        call()


def normal_of(key):
    return legacy_normal(key, (3,))


def randint(low, high, shape=(1,)):
    return legacy_randint(legacy_key(1), shape, low, high)
