"""Compiled loops over events. Callers have validated every index beforehand."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from denram._numba import kernel


@kernel()
def compact(
    step: NDArray[np.uint16],
    channel: NDArray[np.uint16],
    offset: NDArray[np.int64],
    stamp: NDArray[np.int32],
) -> tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.int64]]:
    """Drop events outside the window and all but the first of equal events.

    `stamp` is scratch: zeros of the window's shape (time, pre). A cell holds the last
    sample seen there, so it never has to be cleared.
    """
    n_steps, n_in = stamp.shape
    n = offset.size - 1
    kept = np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        kept[i + 1] = kept[i]
        for e in range(offset[i], offset[i + 1]):
            t, c = step[e], channel[e]
            if t < n_steps and c < n_in and stamp[t, c] != i + 1:
                stamp[t, c] = i + 1
                kept[i + 1] += 1
    new_step = np.empty(kept[n], dtype=np.uint16)
    new_channel = np.empty(kept[n], dtype=np.uint16)
    at = 0
    for i in range(n):
        for e in range(offset[i], offset[i + 1]):
            t, c = step[e], channel[e]
            if t < n_steps and c < n_in and stamp[t, c] != -i - 1:
                stamp[t, c] = -i - 1
                new_step[at] = t
                new_channel[at] = c
                at += 1
    return new_step, new_channel, kept


@kernel()
def count_equal(
    step: NDArray[np.uint16],
    channel: NDArray[np.uint16],
    offset: NDArray[np.int64],
    place: NDArray[np.int64],
) -> tuple[
    NDArray[np.uint16], NDArray[np.uint16], NDArray[np.int64], NDArray[np.uint8]
]:
    """`compact`, and how many events were equal to each one kept, at most 255.

    `place` is scratch: zeros of the window's shape (time, pre). The first pass marks a
    cell with minus the sample's number; the second with one more than the place of the
    event kept there, which is this sample's if it lies beyond all earlier samples'.
    """
    n_steps, n_in = place.shape
    n = offset.size - 1
    kept = np.zeros(n + 1, dtype=np.int64)
    for i in range(n):
        kept[i + 1] = kept[i]
        for e in range(offset[i], offset[i + 1]):
            t, c = step[e], channel[e]
            if t < n_steps and c < n_in and place[t, c] != -i - 1:
                place[t, c] = -i - 1
                kept[i + 1] += 1
    new_step = np.empty(kept[n], dtype=np.uint16)
    new_channel = np.empty(kept[n], dtype=np.uint16)
    count = np.ones(kept[n], dtype=np.uint8)
    at = 0
    for i in range(n):
        for e in range(offset[i], offset[i + 1]):
            t, c = step[e], channel[e]
            if t >= n_steps or c >= n_in:
                continue
            known = place[t, c]
            if known > kept[i]:
                count[known - 1] += np.uint8(count[known - 1] < 255)
                continue
            new_step[at] = t
            new_channel[at] = c
            at += 1
            place[t, c] = at
    return new_step, new_channel, kept, count


@kernel()
def scatter(
    events: tuple[NDArray[np.uint16], NDArray[np.uint16]],
    offset: NDArray[np.int64],
    indices: NDArray[np.int64],
    value: np.number[Any],
    out: NDArray[Any],
) -> None:
    """Write `value` into out[time, batch, pre] per event; -1 is an empty column."""
    step, channel = events
    for b in range(indices.size):
        i = indices[b]
        if i >= 0:
            for e in range(offset[i], offset[i + 1]):
                out[step[e], b, channel[e]] = value


@kernel()
def scatter_counts(
    events: tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint8]],
    offset: NDArray[np.int64],
    indices: NDArray[np.int64],
    value: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """`scatter` of value[count]; `value` has an entry for each of the 256 counts."""
    step, channel, count = events
    for b in range(indices.size):
        i = indices[b]
        if i >= 0:
            for e in range(offset[i], offset[i + 1]):
                out[step[e], b, channel[e]] = value[count[e]]
