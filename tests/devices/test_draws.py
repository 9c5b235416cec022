import os
import subprocess
import sys
import zlib

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from denram.devices import (
    Stream,
    _kernels,
    _normal_kernels,
    standard_normal,
    uniform,
    uniform_integer,
)
from denram.devices.draws import lognormal, relative_factor
from denram.errors import InputError

MASK = 0xFFFFFFFF
STREAM = Stream("delay-resistance")


def slow_threefry(key, counter):
    """Threefry-2x32-20 in plain whole numbers, written from the paper's table."""
    k = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    x0, x1 = (counter[0] + k[0]) & MASK, (counter[1] + k[1]) & MASK
    for n in range(20):
        bits = [13, 15, 26, 6, 17, 29, 16, 24][n % 8]
        x0 = (x0 + x1) & MASK
        x1 = ((x1 << bits) | (x1 >> (32 - bits))) & MASK ^ x0
        if n % 4 == 3:
            i = n // 4 + 1
            x0 = (x0 + k[i % 3]) & MASK
            x1 = (x1 + k[(i + 1) % 3] + i) & MASK
    return x0, x1


def slow_uniform(seed, stream, post, pre, tap):
    key = (seed, zlib.crc32(stream.role.encode()))
    key = slow_threefry(key, (stream.chip, stream.cycle))
    key = slow_threefry(key, (stream.read, 0))
    high, low = slow_threefry(key, (post, pre * 4096 + tap))
    return (((high << 32 | low) >> 12) + 0.5) / 2**52


@pytest.mark.parametrize(
    ("key", "counter", "words"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((MASK, MASK), (MASK, MASK), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_the_known_answers_of_random123(key, counter, words):
    x0, x1 = (np.full(1, word, np.uint32) for word in counter)
    _kernels.encrypt(np.uint32(key[0]), np.uint32(key[1]), x0, x1)
    assert (int(x0[0]), int(x1[0])) == words
    assert slow_threefry(key, counter) == words


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, MASK),
    clocks=st.tuples(*3 * [st.integers(0, MASK)]),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 40), st.integers(1, 9)),
)
def test_each_uniform_is_the_cipher_of_its_own_address(seed, clocks, shape):
    stream = Stream("é weight", *clocks)
    drawn = uniform(shape, seed=seed, stream=stream)
    for place in [(0, 0, 0), tuple(n - 1 for n in shape), tuple(n // 2 for n in shape)]:
        assert drawn[place] == slow_uniform(seed, stream, *place)


@pytest.mark.parametrize("shape", [(2**31, 2**20, 4096), (3, 2, 1), (1, 5, 3)])
@pytest.mark.parametrize("from_the_end", [1, 3, 6])
def test_counters_are_the_indices_up_to_the_largest_shape(shape, from_the_end):
    # the largest shape has 2**63 devices: one more than the last index fits no int64
    first = min(int(np.prod(shape, dtype=object)), 2**63 - 1) - from_the_end
    x0, x1 = np.empty(from_the_end, np.uint32), np.empty(from_the_end, np.uint32)
    _kernels.count(x0, x1, max(first, 0), shape[1:])
    for i in range(from_the_end):
        row, tap = divmod(max(first, 0) + i, shape[2])
        post, pre = divmod(row, shape[1])
        assert (int(x0[i]), int(x1[i])) == (post, pre * 4096 + tap)


@settings(max_examples=15, deadline=None)
@given(
    small=st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(1, 17)),
    more=st.tuples(st.integers(0, 2), st.integers(0, 15), st.integers(0, 3)),
)
def test_a_draw_does_not_depend_on_the_size_of_the_array(small, more):
    large = tuple(a + b for a, b in zip(small, more, strict=True))
    part = standard_normal(large, seed=7, stream=STREAM)[tuple(map(slice, small))]
    np.testing.assert_array_equal(
        standard_normal(small, seed=7, stream=STREAM), part, strict=True
    )


def test_a_draw_does_not_depend_on_the_number_of_threads():
    before = numba.get_num_threads()
    try:
        by_threads = []
        for threads in range(1, before + 1):
            numba.set_num_threads(threads)
            by_threads.append(lognormal((5, 60, 16), 3.0, 0.4, seed=1, stream=STREAM))
    finally:
        numba.set_num_threads(before)
    for drawn in by_threads:
        np.testing.assert_array_equal(drawn, by_threads[0])


def test_a_draw_does_not_depend_on_what_was_drawn_before():
    first = standard_normal((2, 3, 4), seed=1, stream=STREAM)
    standard_normal((2, 3, 4), seed=2, stream=Stream("other", 1, 2, 3))
    np.testing.assert_array_equal(
        standard_normal((2, 3, 4), seed=1, stream=STREAM), first
    )


def test_compiled_and_interpreted_draws_have_the_same_bits():
    code = (
        "from denram.devices.draws import Stream, lognormal;"
        "r = lognormal((2, 20, 3), 5e11, 0.4, seed=42, stream=Stream('bits'));"
        "print(r.tobytes().hex())"
    )
    plain = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    drawn = lognormal((2, 20, 3), 5e11, 0.4, seed=42, stream=Stream("bits"))
    assert plain == drawn.tobytes().hex()


def test_normal_draws_are_the_quantiles_of_the_uniform_draws():
    z = standard_normal((10, 200, 16), seed=3, stream=STREAM)
    u = uniform((10, 200, 16), seed=3, stream=STREAM)
    # near u = 1/2 the quantile is as small as the rounding of u: an absolute bound
    np.testing.assert_allclose(z, special.ndtri(u), rtol=1e-14, atol=1e-15)


def test_normal_quantiles_are_accurate_at_the_ends_and_at_the_seams():
    low_tail = np.array([2.0**-53, 1e-15, 1.3e-11, 1.4e-11, 0.0749999, 0.0750001, 0.5])
    steps = np.floor(low_tail * 2**52).astype(np.uint64)
    steps = np.concatenate([steps, 2**52 - 1 - steps])
    words = steps << np.uint64(12)
    high, low = (words >> np.uint64(32)).astype(np.uint32), words.astype(np.uint32)
    z = np.empty(steps.size)
    _normal_kernels.normal(z, high, low)
    n = low_tail.size
    np.testing.assert_allclose(
        z[:n], special.ndtri((steps[:n] + 0.5) / 2**52), rtol=1e-14, atol=1e-15
    )
    np.testing.assert_array_equal(z[n:], -z[:n])
    assert z[0] == pytest.approx(-8.2095, abs=1e-4)


def test_exponential_and_logarithm_agree_with_numpy_to_the_last_digits():
    x = np.linspace(-690.0, 690.0, 4001)
    y = x.copy()
    _normal_kernels.exponential(y)
    np.testing.assert_allclose(y, np.exp(x), rtol=5e-16)
    p = np.geomspace(2.0**-53, 0.075, 4001)
    y = p.copy()
    _normal_kernels.logarithm(y)
    np.testing.assert_allclose(y, np.log(p), rtol=5e-16)


@pytest.mark.parametrize("seed", [0, 42, MASK])
def test_draws_follow_their_laws(seed):
    shape = (20, 63, 16)
    u = uniform(shape, seed=seed, stream=STREAM).ravel()
    z = standard_normal(shape, seed=seed, stream=Stream("normal")).ravel()
    assert stats.kstest(u, "uniform").pvalue > 0.01
    assert stats.kstest(z, "norm").pvalue > 0.01
    # neighbours in every axis are uncorrelated: |r| < 4 / sqrt(n)
    cube = standard_normal(shape, seed=seed, stream=STREAM)
    for axis in range(3):
        a, b = np.moveaxis(cube, axis, 0)[:-1], np.moveaxis(cube, axis, 0)[1:]
        assert abs(np.mean(a * b)) < 4 / np.sqrt(a.size)


@pytest.mark.parametrize(
    "other",
    [
        {"stream": Stream("weight-resistance")},
        {"stream": STREAM._replace(chip=1)},
        {"stream": STREAM._replace(cycle=1)},
        {"stream": STREAM._replace(read=1)},
        {"seed": 2},
    ],
    ids=["role", "chip", "cycle", "read", "seed"],
)
def test_another_address_is_an_independent_draw(other):
    shape = (20, 63, 16)
    a = standard_normal(shape, seed=1, stream=STREAM).ravel()
    b = standard_normal(shape, **({"seed": 1, "stream": STREAM} | other)).ravel()
    assert abs(np.mean(a * b)) < 4 / np.sqrt(a.size)
    assert abs(np.mean(a**2 * b**2) - 1) < 4 * np.sqrt(8 / a.size)


def test_lognormal_without_spread_is_its_median_exactly():
    assert (lognormal((2, 3, 4), 500e9, 0.0, seed=1, stream=STREAM) == 500e9).all()


@pytest.mark.parametrize("high", [0, 1, 200, 2**31 - 2])
def test_whole_numbers_are_equally_likely_with_both_ends(high):
    shape = (20, 63, 16)
    drawn = uniform_integer(shape, high, seed=5, stream=STREAM)
    u = uniform(shape, seed=5, stream=STREAM)
    assert drawn.dtype == np.int32
    expected = [int(high + 1) * int(p * 2**53) // 2**53 for p in u.flat]
    np.testing.assert_array_equal(drawn.ravel(), expected)
    if high == 200:
        assert stats.chisquare(np.bincount(drawn.ravel(), minlength=201)).pvalue > 0.01


@pytest.mark.parametrize("sigma", [0.02, 0.5])
def test_relative_factors_are_a_normal_cut_alike_on_both_sides(sigma):
    drawn = relative_factor((20, 63, 16), sigma, seed=5, stream=STREAM).ravel()
    law = stats.truncnorm(-0.99 / sigma, 0.99 / sigma, loc=1.0, scale=sigma)
    assert stats.kstest(drawn, law.cdf).pvalue > 0.01
    assert drawn.min() >= 0.01
    assert drawn.max() <= 1.99


def test_relative_factors_without_spread_are_one():
    assert (relative_factor((2, 3, 4), 0.0, seed=5, stream=STREAM) == 1.0).all()


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("shape must be \\(post, pre, tap\\), got", {"shape": (2, 3)}),
        ("shape's tap must be .* from 1 to 4096, got 4097", {"shape": (1, 1, 4097)}),
        (
            "shape's pre must be .* to 1048576, got 1048577",
            {"shape": (1, 2**20 + 1, 1)},
        ),
        ("shape's post must be .* from 1 .*, got 0", {"shape": (0, 1, 1)}),
        ("shape's post must be a whole number .*, got 2.0", {"shape": (2.0, 1, 1)}),
        ("needs 8e\\+09 GB of memory", {"shape": (10**9, 10**6, 1000)}),
        ("seed must be .*, got -1", {"seed": -1}),
        ("seed must be .*, got 4294967296", {"seed": 2**32}),
        ("seed must be .*, got True", {"seed": True}),
        ("chip must be .*, got -1", {"stream": Stream("x", chip=-1)}),
        ("read must be .*, got 0.5", {"stream": Stream("x", read=0.5)}),  # pyright: ignore[reportArgumentType]
    ],
)
def test_bad_addresses_are_refused_before_anything_is_drawn(message, call):
    good = {"shape": (1, 1, 1), "seed": 1, "stream": STREAM}
    with pytest.raises(InputError, match=message):
        uniform(**(good | call))


@pytest.mark.parametrize("bad", [-0.1, 10.5, float("nan"), float("inf")])
def test_bad_spreads_are_refused(bad):
    with pytest.raises(InputError, match="sigma_ln must be"):
        lognormal((1, 1, 1), 1.0, bad, seed=1, stream=STREAM)
    with pytest.raises(InputError, match="sigma must be"):
        relative_factor((1, 1, 1), bad, seed=1, stream=STREAM)
