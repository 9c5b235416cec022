"""Numba kernels of program-and-verify: draws at some addresses, and their outcome."""

import numba as nb
import numpy as np

from denram._numba import kernel
from denram.devices._kernels import BLOCK, TAP_BITS, encrypt
from denram.devices._normal_kernels import normal

_FEW = 8 * BLOCK


@kernel()
def _draw_part(z, index, key, sizes):
    n_pre, n_tap = sizes
    high = np.empty(z.size, np.uint32)
    low = np.empty(z.size, np.uint32)
    for i in range(z.size):
        row, tap = divmod(index[i], n_tap)
        post, pre = divmod(row, n_pre)
        high[i] = post
        low[i] = (pre << TAP_BITS) | tap
    encrypt(key[0], key[1], high, low)
    normal(z, high, low)


@kernel(parallel=True)
def _draw_parts(z, index, key, sizes):
    for block in nb.prange((z.size + BLOCK - 1) // BLOCK):
        part = slice(block * BLOCK, (block + 1) * BLOCK)
        _draw_part(z[part], index[part], key, sizes)


def draw_at(z, index, key, sizes):
    """Standard normals of scattered devices, the same bits as `_kernels.draw` gives.

    Args:
        z: float64 to fill.
        index: int64 of z's size, places in the flat layout (post, pre, tap).
        key: two uint32 words.
        sizes: devices along pre and along tap.
    """
    # few devices cost less than waking the other threads
    draw = _draw_part if z.size <= _FEW else _draw_parts
    draw(z, index, key, sizes)


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
