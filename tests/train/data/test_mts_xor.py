import numpy as np
import pytest
from scipy import stats

from denram.config import convert
from denram.errors import InputError
from denram.train.data import DataConfig, decode, load, mts_xor


def make(*, n_in=40, **keys):
    settings = {"dataset": "mts_xor", "n_steps": 100, "n_train": 60, "n_test": 40}
    config = convert(DataConfig, settings | keys)
    return load(config, n_in=n_in, timestep_s=0.01, seed=7)


@pytest.fixture(scope="module")
def many():
    return make(n_train=4000).train


def told_bits(spikes):
    """Bits b of every block, from the targets: b_i = a XOR target."""
    blocks = spikes.step_label[:, 10:].reshape(len(spikes), -1, 15)
    assert (blocks == blocks[:, :, :1]).all()
    return blocks[:, :, 0] ^ spikes.label[:, None]


def test_rates_of_0_and_1_show_exactly_the_bits_that_the_targets_tell():
    spikes = make(noise_rate=0.0, rate_low=0.0, rate_high=1.0, n_steps=55).train
    dense = decode(spikes, range(len(spikes)))
    bits = told_bits(spikes)
    expected = np.zeros_like(dense)
    for i in range(len(spikes)):
        for t in range(55):
            told = spikes.label[i] if t < 10 else bits[i, (t - 10) // 15]
            if t < 10:
                expected[t, i, :20] = told
            elif (t - 10) % 15 >= 5:
                expected[t, i, 20:] = told
    np.testing.assert_array_equal(dense, expected)


def test_the_answer_to_the_cue_is_0(many):
    assert not many.step_label[:, :10].any()


def test_the_published_window_scores_60_of_100_steps(many):
    steps = [t for t in range(100) if t > 10 and (t - 10) % 15 >= 5]
    assert np.flatnonzero(many.scored).tolist() == steps
    assert len(steps) == 60
    assert steps[0] == 15


def test_all_bits_are_fair_and_independent(many):
    bits = np.column_stack([many.label, told_bits(many)])
    words = bits[:, :5] @ (1 << np.arange(5))
    assert stats.chisquare(np.bincount(words, minlength=32)).pvalue > 0.01
    # 28 000 bits in all
    assert stats.binomtest(int(bits.sum()), bits.size, 0.5).pvalue > 0.01
    assert (abs(np.corrcoef(bits.T) - np.eye(7)) < 4 / np.sqrt(len(many))).all()


def test_each_element_spikes_with_the_chance_of_signal_or_background(many):
    bits, a = told_bits(many), many.label.astype(bool)
    dense = decode(many, range(len(many))).astype(bool)
    blocks = dense[10:, :, 20:].reshape(6, 15, len(many), 20)
    b = bits.T.astype(bool)[:, None, :, None]
    b = np.broadcast_to(b, (6, 10, len(many), 20))
    noise = 0.01
    cases = {
        "cue of 0": (dense[:10, ~a, :20], 0.2),
        "cue of 1": (dense[:10, a, :20], 0.6),
        "told 0": (blocks[:, 5:][~b], 0.2),
        "told 1": (blocks[:, 5:][b], 0.6),
        "silence before": (blocks[:, :5], 0.0),
        "group A after its cue": (dense[10:, :, :20], 0.0),
        "group B during the cue": (dense[:10, :, 20:], 0.0),
    }
    for name, (drawn, rate) in cases.items():
        assert drawn.size >= 20_000
        either = 1 - (1 - noise) * (1 - rate)
        test = stats.binomtest(int(drawn.sum()), drawn.size, either)
        assert test.pvalue > 0.001, name


def test_the_sets_depend_on_the_data_seed_and_differ_from_one_another():
    one, same, other = make(), make(), make(data_seed=1)
    for part in ("train", "valid", "test"):
        np.testing.assert_array_equal(getattr(one, part).step, getattr(same, part).step)
    assert not np.array_equal(one.train.step, other.train.step)
    assert not np.array_equal(one.valid.step, one.test.step)


def test_the_size_of_a_block_of_draws_changes_nothing(monkeypatch):
    whole = make().train
    monkeypatch.setattr(mts_xor, "_CHUNK", 9000)
    pieces = make().train
    for field in ("step", "channel", "offset", "step_label"):
        np.testing.assert_array_equal(getattr(whole, field), getattr(pieces, field))


def test_counts_names_and_provenance_are_as_asked():
    splits = make(split="speaker", val_fraction=0.9)
    assert [len(s) for s in (splits.train, splits.valid, splits.test)] == [60, 40, 40]
    assert splits.name == "MTS-XOR"
    assert splits.provenance["n_samples"] == {"train": 60, "valid": 40, "test": 40}
    assert "not used" in splits.provenance["split"]


@pytest.mark.parametrize("bad", [1, 10, 24, 26, 99, 101, 65545])
def test_a_window_without_whole_blocks_is_refused(bad):
    with pytest.raises(InputError, match=r"n_steps must be 10 \+ 15 k") as error:
        make(n_steps=bad)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("bad", [0, 1, 41, -2, 65536])
def test_inputs_that_make_no_two_groups_are_refused(bad):
    with pytest.raises(InputError, match=f"n_in must be even.*got {bad}"):
        make(n_in=bad)


def test_a_set_beyond_the_memory_is_refused_before_it_is_made():
    with pytest.raises(InputError, match="GB of memory"):
        make(n_train=1_000_000, n_in=60_000)


@pytest.mark.parametrize("key", ["noise_rate", "rate_low", "rate_high"])
@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
def test_a_chance_outside_0_to_1_is_refused(key, bad):
    with pytest.raises(InputError, match=key):
        make(**{key: bad})
