"""Multi-timescale exclusive or: one bit to hold, many bits to compare it with.

The inputs are two groups of n_in / 2 channels. Group A tells bit a in steps 0 to 9;
then come k blocks of 15 steps, 5 of silence and 10 in which group B tells bit b_i. A
group tells a bit by its rate: `rate_high` for 1, `rate_low` for 0. Throughout block i
the answer is a XOR b_i; in steps 0 to 9 it is 0. Each element (step, channel) has a
spike if its group's signal or the background has one,

    P(spike) = 1 - (1 - noise_rate) (1 - rate),

which is our reading: the source does not say how the two are combined.

Source: Moro et al. 2024 (hSNN), after Zheng et al. 2024, doi
10.1038/s41467-023-44614-z.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.storage import require_memory
from denram.train.data.binning import OUTSIDE
from denram.train.data.config import DataConfig
from denram.train.data.spikes import SpikeSet, Splits

N_CLASSES = 2
NAME = "MTS-XOR"
CUE_STEPS = 10
SILENT_STEPS = 5
BLOCK_STEPS = 15
PARTS = ("train", "valid", "test")
# random numbers drawn at a time; the result does not depend on it
_CHUNK = 1 << 23


@dataclass(frozen=True)
class Bits:
    """What is told: one row per sequence.

    Args:
        a: bit of group A, shape (n,).
        b: bits of group B, shape (n, k).
    """

    a: NDArray[np.bool_]
    b: NDArray[np.bool_]


def make_mts_xor(
    config: DataConfig, *, n_in: int, timestep_s: float, seed: int
) -> Splits:
    """Generate `n_train` sequences and twice `n_test`; `data_seed` decides them all.

    Args:
        config: window, counts, rates and `data_seed`.
        n_in: number of input channels, even, 2 to 65534.
        timestep_s: not used; the task is told in steps.
        seed: not used.

    Raises:
        InputError: a number of inputs or a window that cannot be made, or more
            sequences than fit in memory.
    """
    del timestep_s, seed
    if n_in % 2 or not 2 <= n_in < OUTSIDE:
        raise InputError(f"n_in must be even, 2 to {OUTSIDE - 1}, got {n_in}")
    n_steps = mts_xor_steps(config)
    largest = max(config.n_train, config.n_test)
    spikes = (config.noise_rate + max(config.rate_low, config.rate_high)) * n_in + 1
    require_memory(int(largest * n_steps * (12 * spikes + 4)), f"the {NAME} set")
    sets = {}
    for part, name in enumerate(PARTS):
        random = np.random.Generator(np.random.Philox(key=[config.data_seed, part]))
        n = config.n_test if part else config.n_train
        sets[name] = _sequences(random, config, n, n_in, n_steps)
    provenance = {
        "dataset": {name: NAME for name in PARTS},
        "data_seed": config.data_seed,
        "n_samples": {name: len(spikes) for name, spikes in sets.items()},
        "split": "three sets of their own; the key split is not used",
    }
    return Splits(**sets, provenance=provenance)


def mts_xor_steps(config: DataConfig) -> int:
    """The window, which must hold the cue and whole blocks.

    Raises:
        InputError: `n_steps` is not 10 + 15 k with k >= 1.
    """
    n = config.n_steps
    if n < CUE_STEPS + BLOCK_STEPS or (n - CUE_STEPS) % BLOCK_STEPS or n >= OUTSIDE:
        raise InputError(
            f"n_steps must be {CUE_STEPS} + {BLOCK_STEPS} k, k from 1 to 4368, got {n}"
        )
    return n


def scored_steps(n_steps: int) -> NDArray[np.bool_]:
    """Steps that the evaluation looks at: t > 10 and (t - 10) mod 15 >= 5."""
    t = np.arange(n_steps)
    told = (t - CUE_STEPS) % BLOCK_STEPS >= SILENT_STEPS
    return (t > CUE_STEPS) & told


def _sequences(
    random: np.random.Generator, config: DataConfig, n: int, n_in: int, n_steps: int
) -> SpikeSet:
    n_blocks = (n_steps - CUE_STEPS) // BLOCK_STEPS
    bits = Bits(_fair(random, (n,)), _fair(random, (n, n_blocks)))
    at_once = max(1, _CHUNK // (n_steps * n_in))
    steps, channels, lengths = [], [], []
    for first in range(0, n, at_once):
        rows = slice(first, first + at_once)
        chance = _chance(Bits(bits.a[rows], bits.b[rows]), config)
        spikes = random.random((*chance.shape, n_in // 2)) < chance[..., None]
        row, step, group, own = np.nonzero(spikes)
        steps.append(step.astype(np.uint16))
        channels.append((group * (n_in // 2) + own).astype(np.uint16))
        lengths.append(np.bincount(row, minlength=chance.shape[0]))
    answer = np.repeat(bits.a[:, None] ^ bits.b, BLOCK_STEPS, axis=1)
    return SpikeSet(
        step=np.concatenate(steps),
        channel=np.concatenate(channels),
        offset=np.concatenate([[0], *lengths]).cumsum(dtype=np.int64),
        label=bits.a.astype(np.int16),
        speaker=np.full(n, -1, dtype=np.int16),
        n_in=n_in,
        n_steps=n_steps,
        n_classes=N_CLASSES,
        name=NAME,
        step_label=np.pad(answer, ((0, 0), (CUE_STEPS, 0))).astype(np.int16),
        scored=scored_steps(n_steps),
    )


def _fair(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    return random.integers(0, 2, shape, dtype=np.uint8).astype(np.bool_)


def _chance(bits: Bits, config: DataConfig) -> NDArray[np.float64]:
    """Chance of a spike by step and group, shape (n, time, 2)."""
    rates = np.array([config.rate_low, config.rate_high])
    n, n_blocks = bits.b.shape
    blocks = np.zeros((n, n_blocks, BLOCK_STEPS))
    blocks[:, :, SILENT_STEPS:] = rates[bits.b.astype(np.intp)][:, :, None]
    rate = np.zeros((n, CUE_STEPS + n_blocks * BLOCK_STEPS, 2))
    rate[:, :CUE_STEPS, 0] = rates[bits.a.astype(np.intp)][:, None]
    rate[:, CUE_STEPS:, 1] = blocks.reshape(n, -1)
    return 1 - (1 - config.noise_rate) * (1 - rate)
