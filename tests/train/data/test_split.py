from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denram.errors import InputError
from denram.train.data.split import split_indices

RULES = ("stratified", "published", "speaker")


def people(n, seed=0, n_speakers=10):
    random = np.random.default_rng(seed)
    return random.integers(0, 20, n), random.integers(0, n_speakers, n)


def split(rule, label, speaker, *, val_fraction=0.2, seed=0):
    return split_indices(rule, label, speaker, val_fraction=val_fraction, seed=seed)


@pytest.mark.parametrize("rule", RULES)
def test_every_sample_is_on_one_side(rule):
    train, valid = split(rule, *people(1000))
    assert sorted([*train, *valid]) == list(range(1000))


@pytest.mark.parametrize("rule", ["stratified", "published"])
def test_shd_gives_6524_and_1632_samples(rule):
    train, valid = split(rule, *people(8156))
    assert (train.size, valid.size) == (6524, 1632)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_only_the_published_split_depends_on_the_seed(seed):
    label, speaker = people(300)
    for rule in RULES:
        same = np.array_equal(
            split(rule, label, speaker, seed=seed)[1],
            split(rule, label, speaker, seed=seed + 1)[1],
        )
        assert same == (rule != "published")


@settings(deadline=None)
@given(st.integers(40, 600), st.integers(0, 99), st.floats(0.1, 0.9))
def test_each_label_and_speaker_gets_its_share_within_one_sample(n, seed, fraction):
    label, speaker = people(n, seed, n_speakers=3)
    _, valid = split("stratified", label, speaker, val_fraction=fraction)
    share = valid.size / n
    for strata in (label.tolist(), list(zip(label, speaker, strict=True))):
        sizes, taken = Counter(strata), Counter(strata[i] for i in valid)
        assert all(abs(taken[s] - share * sizes[s]) <= 1 for s in sizes)


def test_no_speaker_is_on_both_sides_of_the_speaker_split():
    label, speaker = people(8156)
    train, valid = split("speaker", label, speaker)
    assert not set(speaker[train]) & set(speaker[valid])
    assert abs(valid.size - 1632) < 8156 / 10


@pytest.mark.parametrize(
    ("speaker", "message"),
    [([0, 1, -1, 0, 1], "know each sample's speaker"), ([4] * 5, ">= 2 speakers")],
)
def test_speakers_that_cannot_be_split_are_refused(speaker, message):
    with pytest.raises(InputError, match=message):
        split("speaker", np.zeros(5, dtype=int), np.array(speaker))


def test_a_side_without_samples_is_refused():
    with pytest.raises(InputError, match="val_fraction must leave samples"):
        split("stratified", *people(3), val_fraction=0.999)
