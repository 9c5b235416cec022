import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from denram.errors import InputError
from denram.mapping import (
    MapConfig,
    Waste,
    build_map,
    stride_dead_inputs,
    trailing_inputs,
    waste_flags,
)

SHAPE = (2, 3, 5)


def chip_of(steps, mask=None, *, max_delay=9):
    """A map with the given ideal steps; those beyond `max_delay` saturate."""
    config = MapConfig(n_in=3, n_out=2, n_delays=5, delay_distribution="pattern")
    chip = build_map(config, seed=0, noise_std=0.0)
    delay_s = np.maximum(steps, 0.25) * chip.timestep_s
    return dataclasses.replace(
        chip,
        delay_steps=np.minimum(steps, max_delay).astype(np.int32),
        delay_s=delay_s,
        resistance_ohm=delay_s / 1e-12,
        mask=np.ones(SHAPE, bool) if mask is None else mask,
        max_delay=max_delay,
    )


def flags_by_loop(chip, ideal, n_steps, dead):
    """The definitions, word by word, one synapse at a time."""
    flags = np.zeros(SHAPE, np.uint8)
    for post, pre, tap in np.ndindex(*SHAPE):
        if not chip.mask[post, pre, tap]:
            continue
        step = chip.delay_steps[post, pre, tap]
        present = [k for k in range(tap) if chip.mask[post, pre, k]]
        earlier = [chip.delay_steps[post, pre, k] for k in present]
        flags[post, pre, tap] = (
            1 * (ideal[post, pre, tap] > chip.max_delay)
            + 2 * (step >= n_steps)
            + 4 * (step in earlier)
            + 8 * (step == 0)
            + 16 * bool(dead[pre])
        )
    return flags


@given(
    hnp.arrays(np.int64, SHAPE, elements=st.integers(0, 12)),
    hnp.arrays(np.bool_, SHAPE).filter(lambda mask: mask.any()),
    hnp.arrays(np.bool_, (3,)),
    st.integers(1, 14),
)
def test_flags_are_the_definitions_word_by_word(ideal, mask, dead, n_steps):
    chip = chip_of(ideal, mask)
    flags = waste_flags(chip, n_steps=n_steps, dead_inputs=dead)
    np.testing.assert_array_equal(flags, flags_by_loop(chip, ideal, n_steps, dead))


def test_a_delay_of_exactly_max_delay_is_honoured_and_not_wasted():
    ideal = np.broadcast_to(np.array([9, 10, 1, 2, 3]), SHAPE)
    flags = waste_flags(chip_of(ideal), n_steps=100)
    assert (flags[..., 0] == 0).all()
    assert (flags[..., 1] == Waste.SATURATED | Waste.DUPLICATE).all()


def test_the_last_step_of_the_window_still_counts_as_inside():
    ideal = np.broadcast_to(np.array([4, 5, 6, 7, 8]), SHAPE)
    flags = waste_flags(chip_of(ideal), n_steps=6)
    assert (flags[0, 0] == [0, 0, *[Waste.BEYOND_WINDOW] * 3]).all()


@pytest.mark.parametrize("n_in", [1, 7, 64, 100, 256, 300, 350, 699, 700, 750])
def test_dead_inputs_are_those_that_slicing_700_channels_leaves_empty(n_in):
    stride = int(np.ceil(700 / n_in))
    kept = np.arange(700)[::stride][:n_in]
    assert stride_dead_inputs(n_in) == n_in - kept.size


def test_the_published_256_inputs_have_22_dead_ones():
    assert stride_dead_inputs(256) == 22
    assert np.flatnonzero(trailing_inputs(256, 22)).tolist() == list(range(234, 256))


def test_more_dead_inputs_than_inputs_are_refused():
    with pytest.raises(InputError, match=r"dead_inputs must be in \[0, 3\], got 4"):
        trailing_inputs(3, 4)


@pytest.mark.parametrize(
    ("n_steps", "dead", "message"),
    [
        (0, np.zeros(3, bool), "n_steps must be >= 1, got 0"),
        (5, np.zeros(4, bool), "dead_inputs must have 3 channels, got 4"),
    ],
)
def test_a_window_or_input_that_does_not_fit_is_refused(n_steps, dead, message):
    with pytest.raises(InputError, match=message):
        waste_flags(chip_of(np.ones(SHAPE)), n_steps=n_steps, dead_inputs=dead)
