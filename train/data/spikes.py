"""Labelled binary spikes: compact in memory, dense only one batch at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denram.errors import InputError
from denram.train.data._kernels import compact, scatter


@dataclass(frozen=True, eq=False)
class SpikeSet:
    """Events of n samples, one after the other (compressed rows).

    Sample i owns the events offset[i] to offset[i + 1]; each (step, channel) occurs
    at most once in a sample. The arrays become read-only.

    Args:
        step: time step of each event, uint16, below `n_steps`.
        channel: input channel of each event, uint16, below `n_in`.
        offset: first event of each sample and the total, int64.
        label: class of each sample, int16, below `n_classes`.
        speaker: speaker of each sample, int16, -1 where unknown.
        n_in: number of input channels.
        n_steps: length of the input window in steps.
        n_classes: number of classes.
        name: what the data are, for every report printed about them.

    Raises:
        InputError: the arrays do not fit one another or an index is out of range.
    """

    step: NDArray[np.uint16]
    channel: NDArray[np.uint16]
    offset: NDArray[np.int64]
    label: NDArray[np.int16]
    speaker: NDArray[np.int16]
    n_in: int
    n_steps: int
    n_classes: int
    name: str

    def __post_init__(self) -> None:
        n = self.offset.size - 1
        lengths = np.diff(self.offset)
        whole = n >= 0 and self.offset[0] == 0 and self.offset[-1] == self.step.size
        if not whole or (lengths < 0).any() or self.step.size != self.channel.size:
            raise InputError("offset must rise from 0 to the number of events")
        if self.label.size != n or self.speaker.size != n:
            raise InputError(f"label and speaker must have one entry per sample, {n}")
        for field, bound in _BOUNDS.items():
            _below(getattr(self, field), field, getattr(self, bound))
        for field in (*_BOUNDS, "offset", "speaker"):
            getattr(self, field).flags.writeable = False

    @classmethod
    def from_events(
        cls,
        step: NDArray[np.uint16],
        channel: NDArray[np.uint16],
        offset: NDArray[np.int64],
        *,
        label: ArrayLike,
        speaker: ArrayLike,
        n_in: int,
        n_steps: int,
        n_classes: int,
        name: str,
    ) -> "SpikeSet":
        """Make a set of raw events: those outside the window and copies are left out.

        Args:
            step: time step of each event; `n_steps` or more is left out.
            channel: channel of each event; `n_in` or more is left out.
            offset: first event of each sample and the total.
            label: class of each sample.
            speaker: speaker of each sample, -1 where unknown.
            n_in: number of input channels.
            n_steps: length of the input window in steps.
            n_classes: number of classes.
            name: what the data are.

        Raises:
            InputError: see `SpikeSet`.
        """
        if step.size != channel.size or offset[0] != 0 or offset[-1] != step.size:
            raise InputError("offset must rise from 0 to the number of events")
        if (np.diff(offset) < 0).any():
            raise InputError("offset must never fall")
        stamp = np.zeros((n_steps, n_in), dtype=np.int32)
        step, channel, offset = compact(step, channel, offset, stamp)
        return cls(
            step=step,
            channel=channel,
            offset=offset,
            label=np.array(label, dtype=np.int16),
            speaker=np.array(speaker, dtype=np.int16),
            n_in=n_in,
            n_steps=n_steps,
            n_classes=n_classes,
            name=name,
        )

    def __len__(self) -> int:
        return self.offset.size - 1

    @property
    def nbytes(self) -> int:
        """Memory held by the arrays, in bytes."""
        values = (getattr(self, field.name) for field in fields(self))
        return sum(v.nbytes for v in values if isinstance(v, np.ndarray))

    def select(self, indices: ArrayLike) -> "SpikeSet":
        """Return the samples `indices`, in that order.

        Raises:
            InputError: an index is negative or beyond the last sample.
        """
        chosen = _indices(indices, len(self), lowest=0)
        rows = [slice(self.offset[i], self.offset[i + 1]) for i in chosen]
        ends = np.cumsum(np.diff(self.offset)[chosen])
        nothing = np.empty(0, dtype=np.uint16)
        return replace(
            self,
            step=np.concatenate([nothing, *(self.step[row] for row in rows)]),
            channel=np.concatenate([nothing, *(self.channel[row] for row in rows)]),
            offset=np.concatenate([np.zeros(1, dtype=np.int64), ends]),
            label=self.label[chosen],
            speaker=self.speaker[chosen],
        )

    def dead_channels(self) -> NDArray[np.int64]:
        """Channels without any event in this set."""
        counts = np.bincount(self.channel, minlength=self.n_in)
        return np.flatnonzero(counts == 0)


@dataclass(frozen=True)
class Splits:
    """Training, validation and test set, and where they come from.

    Args:
        train: samples to learn from.
        valid: samples to choose the model by.
        test: samples to report.
        provenance: files with checksums, counts and the split rule; fit for JSON.
    """

    train: SpikeSet
    valid: SpikeSet
    test: SpikeSet
    provenance: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What the data are; every figure printed about them must say it."""
        return " + ".join(dict.fromkeys((self.train.name, self.test.name)))


def decode(
    spikes: SpikeSet, indices: ArrayLike, out_batch: int | None = None
) -> NDArray[np.uint8]:
    """Dense spikes of a batch, time first: 0 or 1, shape (time, batch, pre).

    Args:
        spikes: the set.
        indices: sample of each column; -1 is a column without spikes.
        out_batch: columns of the result, if more than `indices`; the rest is empty.

    Raises:
        InputError: an index beyond the last sample or below -1, or more indices
            than columns.
    """
    chosen = _indices(indices, len(spikes), lowest=-1)
    columns = chosen.size if out_batch is None else out_batch
    if columns < chosen.size:
        raise InputError(f"out_batch must be >= {chosen.size}, got {columns}")
    out = np.zeros((spikes.n_steps, columns, spikes.n_in), dtype=np.uint8)
    scatter(spikes.step, spikes.channel, spikes.offset, chosen, out)
    return out


def batch_indices(
    n: int,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    drop_last: bool = False,
) -> NDArray[np.int64]:
    """Sample indices of each batch of an epoch, shape (n_batches, batch_size).

    The order is a permutation drawn from (seed, epoch) alone, so that resuming needs
    only the epoch's number. The last batch is padded with -1 unless dropped.

    Raises:
        InputError: a count below 1, or no batch left after dropping the last.
    """
    if n < 1 or batch_size < 1 or seed < 0 or epoch < 0:
        raise InputError(
            "n and batch_size must be >= 1, seed and epoch >= 0,"
            f" got {n}, {batch_size}, {seed}, {epoch}"
        )
    if drop_last and n < batch_size:
        raise InputError(
            f"batch_size must be <= {n} when the last batch is dropped,"
            f" got {batch_size}"
        )
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    order = random.permutation(n) if shuffle else np.arange(n)
    n_batches = n // batch_size if drop_last else -(-n // batch_size)
    padded = np.full(n_batches * batch_size, -1, dtype=np.int64)
    used = min(n, padded.size)
    padded[:used] = order[:used]
    return padded.reshape(n_batches, batch_size)


# each index array of a SpikeSet and the field that bounds it
_BOUNDS = {"step": "n_steps", "channel": "n_in", "label": "n_classes"}


def _below(values: NDArray[Any], name: str, bound: int) -> None:
    if values.size and not 0 <= values.min() <= values.max() < bound:
        worst = values.min() if values.min() < 0 else values.max()
        raise InputError(f"{name} must be 0 to {bound - 1}, got {worst}")


def _indices(values: ArrayLike, n: int, *, lowest: int) -> NDArray[np.int64]:
    """Check sample numbers before they reach a kernel, which would not."""
    indices = np.atleast_1d(np.asarray(values))
    if indices.size == 0:
        return np.empty(0, dtype=np.int64)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise InputError("indices must be a row of whole numbers")
    if not lowest <= indices.min() <= indices.max() < n:
        worst = indices.min() if indices.min() < lowest else indices.max()
        raise InputError(f"indices must be {lowest} to {n - 1}, got {worst}")
    return indices.astype(np.int64)
