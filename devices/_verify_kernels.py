"""Numba kernels of program-and-verify: draws at some addresses, and their outcome."""

import numba as nb
import numpy as np

from denram._numba import kernel
from denram.devices._kernels import BLOCK, TAP_BITS, encrypt
from denram.devices._normal_kernels import normal


@kernel(parallel=True)
def draw_at(z, index, key, sizes):
    """Standard normals of scattered devices, the same bits as `_kernels.draw` gives.

    Args:
        z: float64 to fill.
        index: int64 of z's size, places in the flat layout (post, pre, tap).
        key: two uint32 words.
        sizes: devices along pre and along tap.
    """
    n_pre, n_tap = sizes
    for block in nb.prange((z.size + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        part = z[start : start + BLOCK]
        high = np.empty(part.size, np.uint32)
        low = np.empty(part.size, np.uint32)
        for i in range(part.size):
            row, tap = divmod(index[start + i], n_tap)
            post, pre = divmod(row, n_pre)
            high[i] = post
            low[i] = (pre << TAP_BITS) | tap
        encrypt(key[0], key[1], high, low)
        normal(part, high, low)


@kernel()
def settle(index, obtained, band, state):
    """Record one pulse and its verification; keep the devices that go on.

    Args:
        index: int64, the devices that had the pulse; those not accepted move to its
            front, in order.
        obtained: float64, the resistance of each.
        band: lowest and highest accepted resistance of all devices.
        state: resistance, pulses (int32) and accepted (bool) of all devices.

    Returns:
        How many go on.
    """
    low, high = band
    resistance, pulses, accepted = state
    n = 0
    for i in range(index.size):
        device, r = index[i], obtained[i]
        resistance[device] = r
        pulses[device] += 1
        good = low[device] <= r <= high[device]
        accepted[device] = good
        index[n] = device
        n += not good
    return n
