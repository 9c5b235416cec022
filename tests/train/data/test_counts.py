import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from denram.errors import InputError
from denram.train.data import SpikeSet, decode

N_STEPS, N_IN = 5, 4
event = st.tuples(st.integers(0, N_STEPS + 2), st.integers(0, N_IN + 2))
recordings = st.lists(st.lists(event, max_size=40), min_size=1, max_size=6)


def from_events(samples, **options):
    flat = np.array([e for s in samples for e in s], dtype=np.uint16).reshape(-1, 2)
    return SpikeSet.from_events(
        flat[:, 0].copy(),
        flat[:, 1].copy(),
        np.cumsum([0, *(len(s) for s in samples)]),
        label=np.arange(len(samples)) % 3,
        speaker=np.full(len(samples), -1),
        n_in=N_IN,
        n_steps=N_STEPS,
        n_classes=3,
        name="a test",
        **options,
    )


def made(**changes):
    """Make three samples of two, no and one events."""
    fields = {
        "step": np.array([0, 4, 2], np.uint16),
        "channel": np.array([3, 0, 1], np.uint16),
        "offset": np.array([0, 2, 2, 3]),
        "label": np.array([2, 0, 1], np.int16),
        "speaker": np.array([-1, -1, -1], np.int16),
        "n_in": N_IN,
        "n_steps": N_STEPS,
        "n_classes": 3,
        "name": "a test",
    }
    return SpikeSet(**fields | changes)


def count_twin(samples, indices):
    out = np.zeros((N_STEPS, len(indices), N_IN), dtype=np.int64)
    for column, i in enumerate(indices):
        for step, channel in samples[i] if i >= 0 else []:
            if step < N_STEPS and channel < N_IN:
                out[step, column, channel] += 1
    return out


@given(recordings, st.data())
def test_counts_agree_with_a_dense_loop(samples, data):
    indices = data.draw(st.lists(st.integers(-1, len(samples) - 1), max_size=8))
    dense = decode(from_events(samples, counts=True), indices)
    assert dense.dtype == np.uint8
    np.testing.assert_array_equal(dense, count_twin(samples, indices))


@given(recordings, st.data())
def test_selecting_samples_carries_their_counts(samples, data):
    indices = data.draw(st.lists(st.integers(0, len(samples) - 1), max_size=8))
    chosen = from_events(samples, counts=True).select(indices)
    np.testing.assert_array_equal(
        decode(chosen, range(len(indices))), count_twin(samples, indices)
    )


@given(recordings)
def test_counting_keeps_the_same_events_in_the_same_order(samples):
    once, counted = from_events(samples), from_events(samples, counts=True)
    for field in ("step", "channel", "offset"):
        np.testing.assert_array_equal(getattr(once, field), getattr(counted, field))
    assert once.count is None


@pytest.mark.parametrize(("n", "kept"), [(1, 1), (254, 254), (255, 255), (900, 255)])
def test_a_count_stops_at_255(n, kept):
    spikes = from_events([[(1, 2)] * n, [(1, 2)]], counts=True)
    assert spikes.count is not None
    assert spikes.count.tolist() == [kept, 1]


def test_levels_are_counts_times_unit_rounded_to_single_precision():
    every = np.arange(1, 256, dtype=np.uint8)
    spikes = SpikeSet(
        step=np.arange(255, dtype=np.uint16),
        channel=np.zeros(255, np.uint16),
        offset=np.array([0, 255]),
        label=np.zeros(1, np.int16),
        speaker=np.zeros(1, np.int16),
        n_in=1,
        n_steps=256,
        n_classes=1,
        name="grey",
        count=every,
        unit=1 / 255,
    )
    dense = decode(spikes, [0, -1])
    assert dense.dtype == np.float32
    expected = [np.float32(k / 255) for k in range(1, 256)]
    assert dense[:255, 0, 0].tolist() == expected
    assert dense[254, 0, 0] == 1.0
    assert not dense[:, 1].any()


def test_events_without_counts_are_worth_one_unit():
    dense = decode(made(unit=0.5), [0])
    assert dense.dtype == np.float32
    assert np.argwhere(dense).tolist() == [[0, 0, 3], [4, 0, 0]]
    assert dense.sum() == 1.0


def test_targets_are_labels_or_the_labels_of_every_step():
    by_step = np.arange(15, dtype=np.int16).reshape(3, 5) % 3
    assert made().targets([1, 0, -1]).tolist() == [0, 2, 0]
    spikes = made(step_label=by_step)
    found = spikes.targets([2, -1, 0])
    assert found.dtype == np.int32
    assert found.tolist() == [[1, 2, 0, 1, 2], [0] * 5, [0, 1, 2, 0, 1]]
    assert spikes.select([2]).targets([0]).tolist() == [[1, 2, 0, 1, 2]]
    with pytest.raises(InputError, match="indices must be -1 to 2, got 3"):
        spikes.targets([3])


def test_what_is_scored_stays_with_the_selected_samples():
    scored = np.array([False, False, True, True, False])
    chosen = made(scored=scored, unit=0.25).select([2, 0])
    assert chosen.scored is scored
    assert chosen.unit == 0.25


def test_memory_counts_every_array_that_is_there():
    plain = made().nbytes
    more = made(
        count=np.ones(3, np.uint8),
        step_label=np.zeros((3, 5), np.int16),
        scored=np.ones(5, np.bool_),
    )
    assert more.nbytes == plain + 3 + 3 * 5 * 2 + 5


@pytest.mark.parametrize("name", ["count", "step_label", "scored"])
def test_the_new_arrays_cannot_be_changed_either(name):
    spikes = made(
        count=np.ones(3, np.uint8),
        step_label=np.zeros((3, 5), np.int16),
        scored=np.ones(5, np.bool_),
    )
    with pytest.raises(ValueError, match="read-only"):
        getattr(spikes, name)[...] = 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": np.array([1, 0, 1], np.uint8)}, "count must be 1 to 255, got 0"),
        ({"count": np.ones(2, np.uint8)}, r"count must be uint8 of shape \(3,\)"),
        ({"count": np.ones(3, np.int64)}, "count must be uint8 .* got int64"),
        ({"unit": 0.0}, "unit must be > 0, got 0.0"),
        ({"unit": -1.0}, "unit must be > 0"),
        ({"unit": np.nan}, "unit must be > 0, got nan"),
        ({"unit": np.inf}, "unit must be > 0, got inf"),
        ({"step_label": np.zeros((3, 4), np.int16)}, r"of shape \(3, 5\)"),
        ({"step_label": np.zeros((3, 5), np.int8)}, "step_label must be int16"),
        ({"step_label": np.full((3, 5), 3, np.int16)}, "step_label must be 0 to 2"),
        ({"step_label": np.full((3, 5), -1, np.int16)}, "step_label must be 0 to 2"),
        ({"scored": np.ones(4, np.bool_)}, r"scored must be bool of shape \(5,\)"),
        ({"scored": np.ones(5, np.uint8)}, "scored must be bool"),
        ({"scored": np.zeros(5, np.bool_)}, "at least one step, got none"),
    ],
)
def test_options_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        made(**changes)
