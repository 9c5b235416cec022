import numpy as np
import pytest
from scipy import stats

from denram.config import convert
from denram.errors import InputError
from denram.train.data import DataConfig, decode, load, make_synthetic

SMALL = DataConfig(n_train=400, n_test=240)


@pytest.fixture(scope="module")
def splits():
    return make_synthetic(SMALL, n_in=64, timestep_s=0.005, seed=0)


def right_direction(splits, n_slices):
    """Share of test words nearer to their own mean than to their reversal's."""

    def features(spikes):
        dense = decode(spikes, range(len(spikes)))
        slices = np.array_split(dense, n_slices)
        counts = np.stack([s.sum(axis=0, dtype=np.int64) for s in slices], axis=1)
        return counts.reshape(len(spikes), -1)

    known, heard = features(splits.train), features(splits.test)
    means = np.stack([known[splits.train.label == k].mean(0) for k in range(20)])
    own, reversal = means[splits.test.label], means[splits.test.label ^ 1]
    nearer = ((heard - own) ** 2).sum(1) < ((heard - reversal) ** 2).sum(1)
    return nearer.mean()


def test_the_data_do_not_depend_on_the_runs_seed(splits):
    again = make_synthetic(SMALL, n_in=64, timestep_s=0.005, seed=99)
    for part in ("train", "valid", "test"):
        one, other = getattr(splits, part), getattr(again, part)
        np.testing.assert_array_equal(one.step, other.step)
        np.testing.assert_array_equal(one.channel, other.channel)
        np.testing.assert_array_equal(one.label, other.label)


def test_another_data_seed_is_another_language(splits):
    other = make_synthetic(
        DataConfig(n_train=400, n_test=240, data_seed=1),
        n_in=64,
        timestep_s=0.005,
        seed=0,
    )
    assert other.train.step.size != splits.train.step.size


def test_counts_and_classes_are_as_asked(splits):
    assert [len(s) for s in (splits.train, splits.valid, splits.test)] == [320, 80, 240]
    assert np.bincount(splits.test.label).tolist() == [12] * 20
    assert splits.provenance["n_samples"] == {"train": 320, "valid": 80, "test": 240}


def test_the_test_set_holds_two_speakers_never_heard_before(splits):
    known = set(splits.train.speaker) | set(splits.valid.speaker)
    assert known == set(range(10))
    assert set(splits.test.speaker) == set(range(12))


def test_the_order_in_time_tells_a_word_from_its_reversal(splits):
    assert right_direction(splits, n_slices=10) > 0.9


def test_counts_alone_do_not_tell_a_word_from_its_reversal(splits):
    assert 0.4 < right_direction(splits, n_slices=1) < 0.65


def test_utterances_last_as_long_as_spoken_digits(splits):
    last = np.array(
        [
            np.quantile(splits.test.step[a:b], 0.99)
            for a, b in zip(
                splits.test.offset[:-1], splits.test.offset[1:], strict=True
            )
        ]
    )
    assert 0.4 < np.median(last) * 0.005 < 0.75


def test_the_rate_per_input_does_not_depend_on_their_number():
    counts = [
        make_synthetic(SMALL, n_in=n, timestep_s=0.001, seed=0).test.step.size / n
        for n in (32, 128)
    ]
    assert counts[0] == pytest.approx(counts[1], rel=0.02)


def test_spikes_in_silence_are_poisson_at_the_background_rate():
    splits = make_synthetic(
        DataConfig(n_train=400, n_test=400, n_steps=280),
        n_in=64,
        timestep_s=0.005,
        seed=0,
    )
    # after 1.2 s nobody speaks: 16 inputs of 4 each, 40 steps, 1 spike per second
    silent = splits.test.step >= 240
    sample = np.repeat(np.arange(400), np.diff(splits.test.offset))[silent]
    counts = np.bincount(sample, minlength=400)
    expected = 64 * 40 * (1 - np.exp(-1.0 * 0.005))
    z = (counts.sum() - 400 * expected) / np.sqrt(400 * expected)
    assert stats.norm.sf(abs(z)) * 2 > 0.01
    dispersion = counts.var(ddof=1) / counts.mean() * 399
    assert 0.005 < stats.chi2.cdf(dispersion, 399) < 0.995


def test_load_finds_the_synthetic_set_by_its_name(splits):
    found = load(SMALL, n_in=64, timestep_s=0.005, seed=0)
    np.testing.assert_array_equal(found.test.step, splits.test.step)
    assert found.name == "synthetic spoken digits"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dataset", "cifar"),
        ("val_fraction", 0.0),
        ("val_fraction", 1.0),
        ("val_fraction", float("nan")),
        ("n_steps", 0),
        ("n_train", 19),
        ("data_seed", -1),
        ("binning", "round"),
        ("sped", 1),
    ],
)
def test_a_bad_setting_is_refused_in_one_line(key, value):
    with pytest.raises(InputError, match=key) as error:
        convert(DataConfig, {key: value})
    assert "\n" not in str(error.value)


def test_a_window_longer_than_the_recording_is_refused():
    with pytest.raises(InputError, match="n_steps must be <= 140"):
        make_synthetic(SMALL, n_in=8, timestep_s=0.01, seed=0)


@pytest.mark.parametrize("n_in", [0, -1, 65535])
def test_an_impossible_number_of_inputs_is_refused(n_in):
    with pytest.raises(InputError, match="n_in must be 1 to 65534"):
        make_synthetic(SMALL, n_in=n_in, timestep_s=0.005, seed=0)


def test_a_set_beyond_the_memory_is_refused_before_it_is_made():
    config = DataConfig(n_train=1_000_000)
    with pytest.raises(InputError, match="GB of memory"):
        make_synthetic(config, n_in=60_000, timestep_s=0.005, seed=0)
