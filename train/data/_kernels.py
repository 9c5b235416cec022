"""Compiled loops over events. Callers have validated every index beforehand."""

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
def scatter(
    step: NDArray[np.uint16],
    channel: NDArray[np.uint16],
    offset: NDArray[np.int64],
    indices: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Write 1 into out[time, batch, pre] per event; index -1 is an empty column."""
    for b in range(indices.size):
        i = indices[b]
        if i >= 0:
            for e in range(offset[i], offset[i + 1]):
                out[step[e], b, channel[e]] = 1
