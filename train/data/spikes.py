"""Labelled spikes or spike counts: compact in memory, dense one batch at a time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denram.errors import InputError
from denram.train.data._kernels import compact, count_equal, scatter, scatter_counts

_Number = TypeVar("_Number", bound=np.number[Any])


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
        count: how often each event occurred, uint8 from 1; None if every one is 1.
        unit: what one count stands for, > 0: 1, or 1/255 for grey levels.
        step_label: class of each time step, int16, shape (n, n_steps), where the
            answer changes within a sample.
        scored: steps that count at evaluation, shape (n_steps,); None for all.

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
    count: NDArray[np.uint8] | None = None
    unit: float = 1.0
    step_label: NDArray[np.int16] | None = None
    scored: NDArray[np.bool_] | None = None

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
        self._check_options()
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def _check_options(self) -> None:
        n = len(self)
        if not (math.isfinite(self.unit) and self.unit > 0):
            raise InputError(f"unit must be > 0, got {self.unit}")
        if self.count is not None:
            _fits(self.count, "count", np.uint8, (self.step.size,))
            if not self.count.all():
                raise InputError("count must be 1 to 255, got 0")
        if self.step_label is not None:
            _fits(self.step_label, "step_label", np.int16, (n, self.n_steps))
            _below(self.step_label, "step_label", self.n_classes)
        if self.scored is not None:
            _fits(self.scored, "scored", np.bool_, (self.n_steps,))
            if not self.scored.any():
                raise InputError("scored must hold at least one step, got none")

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
        counts: bool = False,
    ) -> "SpikeSet":
        """Make a set of raw events: those outside the window are left out.

        Of equal events the first is kept, once or with their number.

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
            counts: keep how many events were equal, at most 255.

        Raises:
            InputError: see `SpikeSet`.
        """
        if step.size != channel.size or offset[0] != 0 or offset[-1] != step.size:
            raise InputError("offset must rise from 0 to the number of events")
        if (np.diff(offset) < 0).any():
            raise InputError("offset must never fall")
        scratch = np.zeros((n_steps, n_in), dtype=np.int64 if counts else np.int32)
        count = None
        if counts:
            step, channel, offset, count = count_equal(step, channel, offset, scratch)
        else:
            step, channel, offset = compact(step, channel, offset, scratch)
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
            count=count,
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
        by_step = self.step_label
        return replace(
            self,
            step=_joined(self.step, rows),
            channel=_joined(self.channel, rows),
            offset=np.concatenate([np.zeros(1, dtype=np.int64), ends]),
            label=self.label[chosen],
            speaker=self.speaker[chosen],
            count=None if self.count is None else _joined(self.count, rows),
            step_label=None if by_step is None else by_step[chosen],
        )

    def targets(self, indices: ArrayLike) -> NDArray[np.int32]:
        """What the network should answer: (batch,), or (batch, time) by step.

        Args:
            indices: sample of each row; -1 is padding, whose target is 0.

        Raises:
            InputError: an index beyond the last sample or below -1.
        """
        chosen = _indices(indices, len(self), lowest=-1)
        wanted = self.label if self.step_label is None else self.step_label
        found = np.zeros((chosen.size, *wanted.shape[1:]), dtype=np.int32)
        found[chosen >= 0] = wanted[chosen[chosen >= 0]]
        return found

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
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Dense spikes of a batch, time first, shape (time, batch, pre).

    uint8 spikes or counts where one count stands for 1; otherwise float32, counts
    times unit.

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
    shape = spikes.n_steps, columns, spikes.n_in
    whole = spikes.unit == 1
    out = np.zeros(shape, np.uint8) if whole else np.zeros(shape, np.float32)
    value = (np.arange(256) * spikes.unit).astype(out.dtype)
    where = spikes.step, spikes.channel
    if spikes.count is None:
        scatter(where, spikes.offset, chosen, value[1], out)
    else:
        scatter_counts((*where, spikes.count), spikes.offset, chosen, value, out)
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


def _fits(
    values: NDArray[Any], name: str, dtype: type[np.generic], shape: tuple[int, ...]
) -> None:
    if values.shape != shape or values.dtype != dtype:
        raise InputError(
            f"{name} must be {np.dtype(dtype)} of shape {shape},"
            f" got {values.dtype} of {values.shape}"
        )


def _joined(events: NDArray[_Number], rows: list[slice]) -> NDArray[_Number]:
    return np.concatenate([events[:0], *(events[row] for row in rows)])


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
