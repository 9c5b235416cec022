import numpy as np
import pytest
from scipy import stats

from denram.errors import InputError
from denram.train.data import batch_indices, shift_channels


def shifted(x, *, freq_shift=10.0, seed=3, epoch=2, batch=5):
    return shift_channels(x, freq_shift=freq_shift, seed=seed, epoch=epoch, batch=batch)


def some(shape=(6, 9, 40), seed=0):
    return np.random.default_rng(seed).integers(0, 3, shape).astype(np.uint8)


def twin(x, freq_shift, seed, epoch, batch):
    """Shift element by element, with the documented draws."""
    philox = np.random.Philox(key=[seed, epoch], counter=[0, 0, batch, 1])
    random = np.random.Generator(philox)
    m = max(0, int(3 * random.standard_normal() + freq_shift))
    way = [m if u < 0.5 else -m for u in random.random(x.shape[1])]
    out = np.zeros_like(x)
    for t, b, c in np.ndindex(x.shape):
        if 0 <= c + way[b] < x.shape[2]:
            out[t, b, c + way[b]] = x[t, b, c]
    return out


@pytest.mark.parametrize("freq_shift", [0.5, 3.0, 10.0, 39.0, 200.0])
@pytest.mark.parametrize("batch", range(3))
def test_shifting_is_moving_each_element(freq_shift, batch):
    x = some()
    np.testing.assert_array_equal(
        shifted(x, freq_shift=freq_shift, batch=batch), twin(x, freq_shift, 3, 2, batch)
    )


def test_levels_are_shifted_as_counts_are():
    x = some().astype(np.float32) / 255
    found = shifted(x)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, twin(x, 10.0, 3, 2, 5))


def test_no_shift_gives_the_very_batch_and_a_shift_leaves_it_alone():
    x = some()
    before = x.copy()
    assert shifted(x, freq_shift=0.0) is x
    assert shifted(x) is not x
    np.testing.assert_array_equal(x, before)


def test_a_shift_is_repeated_from_its_place_alone():
    x = some()
    here = {"seed": 1, "epoch": 4, "batch": 7}
    np.testing.assert_array_equal(shifted(x, **here), shifted(x, **here))
    for name in here:
        other = shifted(x, **here | {name: 8})
        assert not np.array_equal(other, shifted(x, **here))


def test_magnitudes_have_the_published_law():
    f, n = 2.0, 20_000
    x = np.zeros((1, 1, 65), np.uint8)
    x[0, 0, 32] = 1
    found = [
        abs(int(shifted(x, freq_shift=f, batch=b)[0, 0].argmax()) - 32)
        for b in range(n)
    ]
    edges = np.arange(1, 10)
    below = np.concatenate([[0], stats.norm.cdf((edges - f) / 3), [1]])
    seen = np.bincount(np.minimum(found, 9), minlength=10)
    assert stats.chisquare(seen, n * np.diff(below)).pvalue > 0.01


def test_half_of_the_samples_move_up():
    n = 40_000
    x = np.zeros((1, n, 201), np.uint8)
    x[0, :, 100] = 1
    moved = shifted(x, freq_shift=20.0)[0].argmax(axis=1) - 100
    assert set(abs(moved)) == {abs(moved[0])}
    assert abs(moved[0]) > 0
    up = int((moved > 0).sum())
    assert stats.binomtest(up, n, 0.5).pvalue > 0.01


def test_drawing_shifts_does_not_repeat_the_numbers_of_the_order():
    order = np.random.Generator(np.random.Philox(key=[3, 2])).permutation(1000)
    assert batch_indices(1000, batch_size=1000, seed=3, epoch=2)[0].tolist() == [*order]
    own = np.random.Philox(key=[3, 2], counter=[0, 0, 0, 1]).random_raw(10_000)
    theirs = np.random.Philox(key=[3, 2]).random_raw(10_000)
    assert not np.isin(own, theirs).any()


@pytest.mark.parametrize(
    "bad",
    [{"freq_shift": -1.0}, {"freq_shift": np.nan}, {"freq_shift": np.inf}]
    + [{name: -1} for name in ("seed", "epoch", "batch")],
)
def test_a_negative_or_endless_number_is_refused(bad):
    with pytest.raises(InputError, match="must be >= 0, got"):
        shifted(some(), **bad)


def test_a_shift_beyond_every_channel_silences_the_batch():
    assert not shifted(some(), freq_shift=1e150).any()
