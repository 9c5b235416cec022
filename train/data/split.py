"""Which samples of the training file become the validation set."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.train.data.config import DataConfig
from denram.train.data.spikes import SpikeSet, Splits

# the stratified and speaker splits are the same for every run: one fixed key
_FIXED_KEY = 700


def splits_of(
    spoken: SpikeSet,
    test: SpikeSet,
    config: DataConfig,
    *,
    seed: int,
    source: Mapping[str, Any],
) -> Splits:
    """Take the validation set out of the training file.

    Args:
        spoken: all samples of the training file.
        test: the test set, passed on.
        config: the rule and the fraction.
        seed: the run's seed, for the `published` rule.
        source: where the samples come from, added to the provenance.

    Raises:
        InputError: see `split_indices`.
    """
    train, valid = split_indices(
        config.split,
        spoken.label,
        spoken.speaker,
        val_fraction=config.val_fraction,
        seed=seed,
    )
    provenance = {
        "dataset": {"train": spoken.name, "test": test.name},
        **source,
        "n_samples": {"train": train.size, "valid": valid.size, "test": len(test)},
        "split": config.split,
    }
    return Splits(spoken.select(train), spoken.select(valid), test, provenance)


def split_indices(
    rule: str,
    label: NDArray[np.int16],
    speaker: NDArray[np.int16],
    *,
    val_fraction: float,
    seed: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the training and the validation samples, both in file order.

    `int((1 - val_fraction) n)` samples stay for training (6524 of 8156), except for
    `speaker`, which comes as near to that as whole speakers allow.

    Args:
        rule: `stratified` (over label and speaker, no seed), `published` (random by
            `seed`; the original's own draw would need its library) or `speaker`.
        label: class of each sample.
        speaker: speaker of each sample, -1 where unknown.
        val_fraction: share of validation samples, 0 to 1.
        seed: the run's seed.

    Raises:
        InputError: one side would be empty, or a speaker is unknown.
    """
    n = label.size
    n_valid = n - int((1 - val_fraction) * n)
    if not 0 < n_valid < n:
        raise InputError(
            f"val_fraction must leave samples on both sides of {n}, got {val_fraction}"
        )
    if rule == "published":
        chosen = _random(seed).permutation(n)[:n_valid]
    elif rule == "speaker":
        chosen = _whole_speakers(speaker, n_valid)
    else:
        chosen = _stratified(label, speaker, n_valid)
    is_valid = np.zeros(n, dtype=bool)
    is_valid[chosen] = True
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)


def _random(key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def _stratified(
    label: NDArray[np.int16], speaker: NDArray[np.int16], n_valid: int
) -> NDArray[np.int64]:
    """Sort by label, speaker and chance, then take evenly spaced samples."""
    n = label.size
    chance = _random(_FIXED_KEY).permutation(n)
    order = np.lexsort((chance, speaker, label))
    position = np.arange(n, dtype=np.int64)
    taken = (position + 1) * n_valid // n > position * n_valid // n
    return order[taken]


def _whole_speakers(speaker: NDArray[np.int16], n_valid: int) -> NDArray[np.int64]:
    """Add speakers in a fixed random order until the count is nearest `n_valid`."""
    if (speaker < 0).any():
        raise InputError("split 'speaker' must know each sample's speaker, got -1")
    names, counts = np.unique(speaker, return_counts=True)
    if names.size < 2:
        raise InputError(f"split 'speaker' must have >= 2 speakers, got {names.size}")
    order = _random(_FIXED_KEY).permutation(names.size)
    held = np.cumsum(counts[order])[:-1]
    n_speakers = int(np.argmin(np.abs(held - n_valid))) + 1
    return np.flatnonzero(np.isin(speaker, names[order[:n_speakers]]))
