import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denram.errors import InputError
from denram.train.data.binning import (
    OUTSIDE,
    bin_times,
    channel_table,
    total_steps,
    window_steps,
)

EDGES = np.linspace(0.0, 1.4, 280)

inside = st.floats(0, 1.4, exclude_max=True)
near_an_edge = st.builds(
    lambda k, ulps: float(EDGES[k] + ulps * np.spacing(EDGES[k])),
    st.integers(1, 278),
    st.integers(-2, 2),
)
near_a_step = st.builds(
    lambda k, ulps: float(k * 0.005 + ulps * np.spacing(k * 0.005)),
    st.integers(1, 279),
    st.integers(-2, 2),
)


def halves():
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    return every[(every >= 0) & (every < 1.4)]


def published_twin(t):
    return sum(1 for edge in EDGES if edge <= t)


@settings(deadline=None)
@given(st.lists(inside | near_an_edge, min_size=1))
def test_published_bins_count_the_edges_up_to_the_event(times):
    steps = bin_times(np.array(times), 0.005, "published")
    assert steps.tolist() == [published_twin(t) for t in times]


@settings(deadline=None)
@given(st.lists(inside | near_a_step, min_size=1))
def test_exact_bins_are_the_floor_of_the_double_quotient(times):
    steps = bin_times(np.array(times), 0.005, "exact")
    assert steps.tolist() == [min(math.floor(t / 0.005), 279) for t in times]


@pytest.mark.parametrize("rule", ["exact", "published"])
def test_half_precision_times_are_binned_as_doubles(rule):
    times = halves()
    looked_up = bin_times(times, 0.005, rule)
    np.testing.assert_array_equal(
        looked_up, bin_times(times.astype(np.float64), 0.005, rule)
    )


def test_exact_bins_agree_with_rational_arithmetic_for_every_half():
    times = halves()[::7]
    expected = [math.floor(Fraction(float(t)) / Fraction(1, 200)) for t in times]
    assert bin_times(times, 0.005, "exact").tolist() == expected


def test_published_bins_are_numpys_digitize():
    times = halves()
    expected = np.digitize(times.astype(np.float64), EDGES)
    np.testing.assert_array_equal(bin_times(times, 0.005, "published"), expected)


def test_published_bins_run_from_1_to_279_and_exact_from_0_to_279():
    ends = np.array([0.0, np.nextafter(1.4, 0)])
    assert bin_times(ends, 0.005, "published").tolist() == [1, 279]
    assert bin_times(ends, 0.005, "exact").tolist() == [0, 279]


@pytest.mark.parametrize("bad", [-0.001, 1.4, 2.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_time_outside_the_recording_is_refused(bad, dtype):
    if dtype(bad) < 1.4 and dtype(bad) >= 0:
        pytest.skip("rounds to a time inside")
    with pytest.raises(InputError, match="times_s"):
        bin_times(np.array([0.1, bad], dtype=dtype), 0.005, "exact")


@pytest.mark.parametrize(
    ("timestep_s", "steps"), [(0.005, 280), (0.001, 1400), (0.007, 200), (0.003, 467)]
)
def test_the_recording_is_covered_by_whole_steps(timestep_s, steps):
    assert total_steps(timestep_s) == steps


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf, 1e-9, 1.0])
def test_an_unusable_time_step_is_refused(bad):
    with pytest.raises(InputError, match="timestep_s"):
        total_steps(bad)


def test_the_window_is_cut_or_whole_and_never_longer_than_the_recording():
    assert window_steps(150, True, 0.005) == 150
    assert window_steps(150, False, 0.005) == 280
    with pytest.raises(InputError, match="n_steps must be <= 280"):
        window_steps(281, True, 0.005)


@pytest.mark.parametrize(("n_in", "real"), [(256, 234), (64, 64), (700, 700)])
def test_stride_keeps_the_published_number_of_channels(n_in, real):
    kept = np.unique(channel_table(n_in, "stride"))
    assert (kept[kept != OUTSIDE] == np.arange(real)).all()


@settings(deadline=None)
@given(st.integers(1, 700))
def test_stride_is_a_literal_slice_of_the_channels(n_in):
    table = channel_table(n_in, "stride")
    kept = list(range(700))[:: math.ceil(700 / n_in)]
    assert [int(table[c]) for c in kept] == list(range(len(kept)))
    assert (table != OUTSIDE).sum() == len(kept) <= n_in


@settings(deadline=None)
@given(st.integers(1, 700))
def test_pooling_uses_every_channel_and_every_input_evenly(n_in):
    table = channel_table(n_in, "pool")
    assert table.tolist() == [math.floor(Fraction(c * n_in, 700)) for c in range(700)]
    shares = np.bincount(table, minlength=n_in)
    assert shares.size == n_in
    assert shares.max() - shares.min() <= 1


@pytest.mark.parametrize("rule", ["pool", "stride"])
def test_700_inputs_are_the_channels_themselves(rule):
    assert channel_table(700, rule).tolist() == list(range(700))


@pytest.mark.parametrize("bad", [0, -1, 701])
def test_an_impossible_number_of_inputs_is_refused(bad):
    with pytest.raises(InputError, match=f"n_in must be 1 to 700, got {bad}"):
        channel_table(bad, "pool")
