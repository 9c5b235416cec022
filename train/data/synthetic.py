"""Synthetic spoken digits: words whose sounds come in different order.

A word is a row of four phonemes; a phoneme is three formants on a log-frequency
axis from 0 to 1. Spikes form a Poisson process over time t and frequency u,

    rate(t, u) = RATE_HZ sum_f level_f(t) exp(-(u - position_f(t))^2 / (2 WIDTH^2)),

so an input fires where the speech has energy. There are ten words, each of three
common phonemes and one of its own, and each is said forwards and backwards: twenty
classes. Neither the count per input nor which sounds touch tells the two directions
apart: only the order in time does, which a network without delays cannot hold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.storage import require_memory
from denram.train.data.binning import OUTSIDE, window_steps
from denram.train.data.config import DataConfig
from denram.train.data.spikes import SpikeSet, Splits
from denram.train.data.split import splits_of

N_CLASSES = 20
NAME = "synthetic spoken digits"
N_SPEAKERS = 12
# the last two speakers are heard in the test set only
N_TRAIN_SPEAKERS = 10
N_COMMON = 3
N_PHONEMES = N_COMMON + N_CLASSES // 2
N_FORMANTS = 3

# spikes per second at the peak of a formant of level 1, and everywhere
RATE_HZ = 60.0
BACKGROUND_HZ = 1.0
# overlapping formants make fine weights matter, and with them weight noise
WIDTH = 0.10
GLIDE_S = 0.008
# standard deviations of what differs between speakers and between utterances:
# positions on the frequency axis, and logarithms of durations and rates
SPEAKER_SHIFT = 0.0125
SPEAKER_TEMPO = 0.07
JITTER_FORMANT = 0.012
JITTER_TEMPO = 0.05
JITTER_SEGMENT = 0.12
JITTER_LEVEL = 0.15
# forwards and backwards
ORDERS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
# lowest and highest position of each formant
BANDS = np.array([[0.10, 0.36], [0.40, 0.66], [0.70, 0.92]])


@dataclass(frozen=True)
class Lexicon:
    """The language: words as phonemes, and how each speaker says them.

    Args:
        positions: formant positions of each word's segments, shape (20, 4, 3).
        levels: formant levels, shape (20, 4, 3).
        durations_s: segment durations, s, shape (20, 4).
        shift: each speaker's formant shift (length of the vocal tract).
        tempo: each speaker's factor on durations.
        loudness: each speaker's factor on rates.
    """

    positions: NDArray[np.float64]
    levels: NDArray[np.float64]
    durations_s: NDArray[np.float64]
    shift: NDArray[np.float64]
    tempo: NDArray[np.float64]
    loudness: NDArray[np.float64]


@dataclass(frozen=True)
class Utterances:
    """What is said, by whom and how: one row per utterance.

    Args:
        label: class, 0 to 19.
        speaker: speaker, 0 to 11.
        bounds_s: borders of the four segments, s, shape (n, 5).
        positions: formant positions of each segment, shape (n, 4, 3).
        levels: formant levels of each segment, shape (n, 4, 3).
    """

    label: NDArray[np.int64]
    speaker: NDArray[np.int64]
    bounds_s: NDArray[np.float64]
    positions: NDArray[np.float64]
    levels: NDArray[np.float64]


def make_synthetic(
    config: DataConfig, *, n_in: int, timestep_s: float, seed: int
) -> Splits:
    """Generate the training, validation and test set; `data_seed` decides them all.

    The test set holds all 12 speakers, two of whom the training set does not.

    Args:
        config: window, counts, split and `data_seed`.
        n_in: number of input channels, 1 to 65534.
        timestep_s: time step, s.
        seed: the run's seed; only the `published` split looks at it.

    Raises:
        InputError: a number of inputs, a window or a split that cannot be made, or
            more samples than fit in memory.
    """
    if not 1 <= n_in < OUTSIDE:
        raise InputError(f"n_in must be 1 to {OUTSIDE - 1}, got {n_in}")
    n_steps = window_steps(config.n_steps, config.truncation, timestep_s)
    bytes_per_step = 240 + 100 * n_in * RATE_HZ * timestep_s * WIDTH
    needed = max(config.n_train, config.n_test) * n_steps * bytes_per_step
    require_memory(int(needed), f"the {NAME}")
    sets = []
    for part, n in enumerate((config.n_train, config.n_test)):
        random = np.random.Generator(np.random.Philox(key=[config.data_seed, part]))
        n_speakers = N_SPEAKERS if part else N_TRAIN_SPEAKERS
        said = _speak(random, _lexicon(config.data_seed), n, n_speakers)
        graded = config.inputs == "count"
        spikes = _listen(random, said, n_in, n_steps, timestep_s, graded=graded)
        sets.append(spikes)
    source = {"data_seed": config.data_seed}
    return splits_of(sets[0], sets[1], config, seed=seed, source=source)


def _lexicon(data_seed: int) -> Lexicon:
    random = np.random.Generator(np.random.Philox(key=[data_seed, 2]))
    place = np.linspace(BANDS[:, 0], BANDS[:, 1], N_PHONEMES)
    positions = random.permuted(place, axis=0)
    levels = random.uniform(0.6, 1.0, (N_PHONEMES, N_FORMANTS))
    durations_s = random.uniform(0.08, 0.13, N_PHONEMES)
    words = _words(random)[:, ORDERS].reshape(N_CLASSES, 4)
    return Lexicon(
        positions=positions[words],
        levels=levels[words],
        durations_s=durations_s[words],
        shift=random.normal(0.0, SPEAKER_SHIFT, N_SPEAKERS),
        tempo=np.exp(random.normal(0.0, SPEAKER_TEMPO, N_SPEAKERS)),
        loudness=np.exp(random.normal(0.0, JITTER_LEVEL, N_SPEAKERS)),
    )


def _words(random: np.random.Generator) -> NDArray[np.int64]:
    """Phonemes of the ten words, shape (10, 4): the common ones and one's own."""
    n = N_CLASSES // len(ORDERS)
    own = N_COMMON + np.arange(n)
    common = np.broadcast_to(np.arange(N_COMMON), (n, N_COMMON))
    return random.permuted(np.column_stack([own, common]), axis=1)


def _speak(
    random: np.random.Generator, lexicon: Lexicon, n: int, n_speakers: int
) -> Utterances:
    """Say each word in turn, each round by the next speaker, never twice alike."""
    label = np.arange(n) % N_CLASSES
    speaker = np.arange(n) // N_CLASSES % n_speakers
    tempo = lexicon.tempo[speaker] * np.exp(random.normal(0.0, JITTER_TEMPO, n))
    stretch = np.exp(random.normal(0.0, JITTER_SEGMENT, (n, 4)))
    durations_s = lexicon.durations_s[label] * stretch * tempo[:, None]
    onset_s = random.uniform(0.0, 0.04, n)
    starts = np.concatenate([onset_s[:, None], durations_s], axis=1)
    wobble = random.normal(0.0, JITTER_FORMANT, (n, 4, N_FORMANTS))
    shift = lexicon.shift[speaker][:, None, None]
    level = np.exp(random.normal(0.0, JITTER_LEVEL, (n, 4, N_FORMANTS)))
    level *= lexicon.loudness[speaker][:, None, None]
    return Utterances(
        label=label,
        speaker=speaker,
        bounds_s=np.cumsum(starts, axis=1),
        positions=lexicon.positions[label] + wobble + shift,
        levels=lexicon.levels[label] * level,
    )


def _tracks(
    said: Utterances, n_steps: int, timestep_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Formant positions and levels in time, shape (n, time, 3): glide, never jump."""
    t = (np.arange(n_steps) + 0.5) * timestep_s
    # in[k] rises from 0 to 1 where segment k begins (k = 4: where the word ends)
    distance = (t[None, :, None] - said.bounds_s[:, None, :]) / GLIDE_S
    rise = 1.0 / (1.0 + np.exp(-np.clip(distance, -50.0, 50.0)))
    share = rise[:, :, :-1] - rise[:, :, 1:]
    level = share @ said.levels
    steps = np.diff(said.positions, axis=1)
    position = said.positions[:, :1] + rise[:, :, 1:-1] @ steps
    return position, level


def _listen(
    random: np.random.Generator,
    said: Utterances,
    n_in: int,
    n_steps: int,
    timestep_s: float,
    *,
    graded: bool,
) -> SpikeSet:
    """Draw the spikes: counts per formant and step, then a channel for each."""
    position, level = _tracks(said, n_steps, timestep_s)
    n = said.label.size
    per_channel = RATE_HZ * timestep_s * n_in
    heard = random.poisson(per_channel * WIDTH * np.sqrt(2 * np.pi) * level)
    noise = random.poisson(BACKGROUND_HZ * timestep_s * n_in, (n, n_steps, 1))
    counts = np.concatenate([heard, noise], axis=2)
    where = np.concatenate([position, np.full_like(position[:, :, :1], 0.5)], axis=2)
    spread = np.broadcast_to([WIDTH] * N_FORMANTS + [0.0], where.shape)
    flat = counts.ravel()
    u = np.repeat(where.ravel(), flat)
    u += np.repeat(spread.ravel(), flat) * random.standard_normal(u.size)
    is_noise = np.repeat(spread.ravel() == 0, flat)
    u[is_noise] = random.random(int(is_noise.sum()))
    channel = np.floor(u * n_in)
    channel[(u < 0) | (u >= 1)] = OUTSIDE
    step = np.tile(np.arange(n_steps, dtype=np.uint16), n).repeat(counts.sum(2).ravel())
    ends = np.cumsum(counts.sum((1, 2)))
    return SpikeSet.from_events(
        step,
        channel.astype(np.uint16),
        np.concatenate([np.zeros(1, dtype=np.int64), ends]),
        label=said.label,
        speaker=said.speaker,
        n_in=n_in,
        n_steps=n_steps,
        n_classes=N_CLASSES,
        name=NAME,
        counts=graded,
    )
