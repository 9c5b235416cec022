"""Numba kernels of the devices room: Threefry-2x32 and the laws drawn from it."""

import numba as nb
import numpy as np

from denram._numba import kernel
from denram.devices._normal_kernels import centred, exponential, normal

BLOCK = 512  # devices drawn at a time: the scratch arrays stay in the first cache
TAP_BITS = 12
_ODD, _EVEN = (13, 15, 26, 6), (17, 29, 16, 24)  # rotations of Threefry-2x32

UNIFORM, NORMAL, LOGNORMAL = 0, 1, 2


@kernel(inline=True)
def _four_rounds(x0, x1, rotations):
    for bits in rotations:
        x0 = np.uint32(np.uint64(x0) + np.uint64(x1))
        # 64-bit shifts, cut to 32: the form that compiles to vector rotations
        wide = np.uint64(x1)
        x1 = np.uint32(np.uint32((wide << bits) | (wide >> (32 - bits))) ^ x0)
    return x0, x1


@kernel(inline=True)
def _injected(x0, x1, k0, k1, n):
    x0 = np.uint32(np.uint64(x0) + np.uint64(k0))
    x1 = np.uint32(np.uint64(x1) + np.uint64(k1) + np.uint64(n))
    return x0, x1


@kernel(inline=True)
def _threefry(k0, k1, x0, x1):
    """Twenty rounds of Threefry-2x32 (Salmon et al. 2011) on one pair of words."""
    k2 = np.uint32(k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = _injected(x0, x1, k0, k1, 0)
    x0, x1 = _injected(*_four_rounds(x0, x1, _ODD), k1, k2, 1)
    x0, x1 = _injected(*_four_rounds(x0, x1, _EVEN), k2, k0, 2)
    x0, x1 = _injected(*_four_rounds(x0, x1, _ODD), k0, k1, 3)
    x0, x1 = _injected(*_four_rounds(x0, x1, _EVEN), k1, k2, 4)
    return _injected(*_four_rounds(x0, x1, _ODD), k2, k0, 5)


@kernel()
def encrypt(k0, k1, x0, x1):
    """Replace the counter words `x0`, `x1` (uint32 arrays) by random words."""
    for i in range(x0.size):
        x0[i], x1[i] = _threefry(k0, k1, x0[i], x1[i])


@kernel()
def count(x0, x1, first, sizes):
    """Write the counters of `x0.size` devices, from flat index `first` on."""
    n_pre, n_tap = sizes
    row, tap = divmod(first, n_tap)
    post, pre = divmod(row, n_pre)
    for i in range(x0.size):
        x0[i] = post
        x1[i] = (pre << TAP_BITS) | tap
        tap += 1
        if tap == n_tap:
            tap = 0
            pre += 1
            if pre == n_pre:
                pre = 0
                post += 1


@kernel()
def _draw_block(z, high, low, law):
    kind, median, sigma = law
    if kind == UNIFORM:
        for i in range(z.size):
            z[i] = 0.5 + centred(high[i], low[i])
        return
    normal(z, high, low)
    if kind == LOGNORMAL:
        for i in range(z.size):
            z[i] *= sigma
        exponential(z)
        for i in range(z.size):
            z[i] *= median


@kernel(parallel=True)
def draw(out, key, sizes, law):
    """Fill the flat array `out`, laid out (post, pre, tap), from one law.

    Args:
        out: float64 of any size.
        key: two uint32 words.
        sizes: devices along pre and along tap.
        law: (UNIFORM on (0, 1) | NORMAL | LOGNORMAL, median, sigma); the last two are
            the lognormal's, median * exp(sigma * NORMAL), sigma at most 80.
    """
    for block in nb.prange((out.size + BLOCK - 1) // BLOCK):
        z = out[block * BLOCK : (block + 1) * BLOCK]
        high = np.empty(z.size, np.uint32)
        low = np.empty(z.size, np.uint32)
        count(high, low, block * BLOCK, sizes)
        encrypt(key[0], key[1], high, low)
        _draw_block(z, high, low, law)
