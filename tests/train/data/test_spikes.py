import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denram.errors import InputError
from denram.train.data import SpikeSet, batch_indices, decode

N_STEPS, N_IN = 5, 4
event = st.tuples(st.integers(0, N_STEPS + 2), st.integers(0, N_IN + 2))
recordings = st.lists(st.lists(event, max_size=30), min_size=1, max_size=6)


def make(samples, **changes):
    flat = np.array([e for s in samples for e in s], dtype=np.uint16).reshape(-1, 2)
    settings_ = {
        "label": np.arange(len(samples)) % 3,
        "speaker": np.full(len(samples), -1),
        "n_in": N_IN,
        "n_steps": N_STEPS,
        "n_classes": 3,
        "name": "a test",
    }
    return SpikeSet.from_events(
        flat[:, 0].copy(),
        flat[:, 1].copy(),
        np.cumsum([0, *(len(s) for s in samples)]),
        **settings_ | changes,
    )


def dense_twin(samples, indices):
    out = np.zeros((N_STEPS, len(indices), N_IN), dtype=np.uint8)
    for column, i in enumerate(indices):
        for step, channel in samples[i] if i >= 0 else []:
            if step < N_STEPS and channel < N_IN:
                out[step, column, channel] = 1
    return out


@settings(deadline=None)
@given(recordings, st.data())
def test_decoding_agrees_with_a_dense_loop(samples, data):
    n = len(samples)
    indices = data.draw(st.lists(st.integers(-1, n - 1), max_size=8))
    np.testing.assert_array_equal(
        decode(make(samples), indices), dense_twin(samples, indices)
    )


@settings(deadline=None)
@given(recordings, st.data())
def test_selecting_samples_is_choosing_columns(samples, data):
    n = len(samples)
    indices = data.draw(st.lists(st.integers(0, n - 1), max_size=8))
    chosen = make(samples).select(indices)
    np.testing.assert_array_equal(
        decode(chosen, range(len(indices))), dense_twin(samples, indices)
    )
    assert chosen.label.tolist() == [i % 3 for i in indices]


@settings(deadline=None)
@given(recordings)
def test_each_event_is_stored_once(samples):
    spikes = make(samples)
    inside = [{e for e in s if e[0] < N_STEPS and e[1] < N_IN} for s in samples]
    assert np.diff(spikes.offset).tolist() == [len(s) for s in inside]


@settings(deadline=None)
@given(recordings)
def test_dead_channels_are_those_no_sample_uses(samples):
    alive = {c for s in samples for t, c in s if t < N_STEPS}
    expected = [c for c in range(N_IN) if c not in alive]
    assert make(samples).dead_channels().tolist() == expected


def test_missing_columns_stay_empty():
    spikes = make([[(1, 2)], [(3, 0)]])
    dense = decode(spikes, [1, -1], 4)
    assert dense.shape == (N_STEPS, 4, N_IN)
    assert np.argwhere(dense).tolist() == [[3, 0, 0]]


def test_memory_is_four_bytes_an_event_and_twelve_a_sample():
    spikes = make([[(1, 2), (1, 3)], [(3, 0)]])
    assert spikes.nbytes == 3 * 4 + 2 * (2 + 2) + 3 * 8


@pytest.mark.parametrize("bad", [[2], [-2], [0, 2**40]])
def test_decoding_refuses_an_index_that_would_write_elsewhere(bad):
    with pytest.raises(InputError, match="indices must be -1 to 1, got"):
        decode(make([[(1, 2)], [(3, 0)]]), bad)


def test_selecting_refuses_padding_and_numbers_that_are_not_whole():
    spikes = make([[(1, 2)]])
    with pytest.raises(InputError, match="indices must be 0 to 0, got -1"):
        spikes.select([-1])
    with pytest.raises(InputError, match="whole numbers"):
        spikes.select([0.0])
    with pytest.raises(InputError, match="out_batch must be >= 2, got 1"):
        decode(spikes, [0, 0], 1)


def test_events_cannot_be_changed_after_they_were_checked():
    spikes = make([[(1, 2)]])
    with pytest.raises(ValueError, match="read-only"):
        spikes.step[0] = 7


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("step", [5], "step must be 0 to 4, got 5"),
        ("channel", [4], "channel must be 0 to 3, got 4"),
        ("label", [3], "label must be 0 to 2, got 3"),
        ("label", [-1], "label must be 0 to 2, got -1"),
        ("label", [0, 0], "one entry per sample"),
        ("offset", [0, 2], "offset must rise"),
        ("offset", [1, 1], "offset must rise"),
        ("offset", [], "offset must rise"),
        ("channel", [0, 1], "offset must rise"),
    ],
)
def test_a_set_that_does_not_fit_together_is_refused(field, value, message):
    fields = {
        "step": np.array([1], dtype=np.uint16),
        "channel": np.array([1], dtype=np.uint16),
        "offset": np.array([0, 1]),
        "label": np.array([0], dtype=np.int16),
        "speaker": np.array([0], dtype=np.int16),
    }
    fields[field] = np.array(value, dtype=fields[field].dtype)
    with pytest.raises(InputError, match=message):
        SpikeSet(**fields, n_in=N_IN, n_steps=N_STEPS, n_classes=3, name="bad")


@pytest.mark.parametrize("offset", [[0, 2, 1, 3], [1, 3], [0, 2], [0, 4]])
def test_raw_events_with_wrong_offsets_never_reach_the_kernel(offset):
    three = np.zeros(3, dtype=np.uint16)
    with pytest.raises(InputError, match="offset"):
        SpikeSet.from_events(
            three,
            three,
            np.array(offset),
            label=np.zeros(len(offset) - 1),
            speaker=np.zeros(len(offset) - 1),
            n_in=2,
            n_steps=2,
            n_classes=2,
            name="bad",
        )


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(1, 70), st.integers(0, 2**32), st.booleans())
def test_an_epoch_visits_every_sample_once(n, batch_size, seed, shuffle):
    batches = batch_indices(
        n, batch_size=batch_size, seed=seed, epoch=3, shuffle=shuffle
    )
    flat = batches.ravel()
    assert batches.shape == (-(-n // batch_size), batch_size)
    assert sorted(flat[:n]) == list(range(n))
    assert (flat[n:] == -1).all()
    assert shuffle or flat[:n].tolist() == list(range(n))


def test_the_published_counts_of_batches_come_out():
    counts = {
        n: batch_indices(n, batch_size=64, seed=0, epoch=0, drop_last=True).shape[0]
        for n in (6524, 1632, 2264)
    }
    assert counts == {6524: 101, 1632: 25, 2264: 35}


def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        return batch_indices(500, batch_size=64, seed=seed, epoch=epoch).tolist()

    assert order(1, 7) == order(1, 7)
    assert order(1, 7) != order(1, 8)
    assert order(1, 7) != order(2, 7)


def test_the_order_is_the_documented_philox_permutation():
    twin = np.random.Generator(np.random.Philox(key=[42, 5])).permutation(100)
    assert batch_indices(100, batch_size=100, seed=42, epoch=5)[0].tolist() == [*twin]


def test_dropping_the_only_batch_is_refused():
    with pytest.raises(InputError, match="batch_size must be <= 10"):
        batch_indices(10, batch_size=64, seed=0, epoch=0, drop_last=True)
    with pytest.raises(InputError, match="batch_size must be >= 1"):
        batch_indices(10, batch_size=0, seed=0, epoch=0)
