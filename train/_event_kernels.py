"""Numba kernels of the event engine: every spike walks through its own synapses.

A row holds what one input channel drives, laid out (tap % 4, post, tap // 4), the taps
padded with weight 0 to a multiple of 4: one block of random words serves four taps.
"""

import numba as nb
import numpy as np

from denram._numba import kernel

ROLE = 0x6A697474  # sets these draws apart from others of the same seed


@kernel(inline=True)
def _round(x0, x1, bits):
    x0 = np.uint32(np.uint64(x0) + np.uint64(x1))
    # 64-bit shifts, cut to 32: the form that compiles to vector rotations
    wide = np.uint64(x1)
    return x0, np.uint32(np.uint32((wide << bits) | (wide >> (32 - bits))) ^ x0)


@kernel(inline=True)
def _injected(x0, x1, k0, k1, n):
    x0 = np.uint32(np.uint64(x0) + np.uint64(k0))
    return x0, np.uint32(np.uint64(x1) + np.uint64(k1) + np.uint64(n))


@kernel(inline=True)
def threefry13(k0, k1, x0, x1):
    """Threefry-2x32 of 13 rounds, the fewest that pass BigCrush (Salmon et al. 2011).

    Args:
        k0: uint32, as all: first word of the key.
        k1: second word of the key.
        x0: first word of the counter.
        x1: second word of the counter.

    Returns:
        Two random words.
    """
    k2 = np.uint32(k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = _injected(x0, x1, k0, k1, 0)
    for bits in (13, 15, 26, 6):
        x0, x1 = _round(x0, x1, bits)
    x0, x1 = _injected(x0, x1, k1, k2, 1)
    for bits in (17, 29, 16, 24):
        x0, x1 = _round(x0, x1, bits)
    x0, x1 = _injected(x0, x1, k2, k0, 2)
    for bits in (13, 15, 26, 6):
        x0, x1 = _round(x0, x1, bits)
    x0, x1 = _injected(x0, x1, k0, k1, 3)
    return _round(x0, x1, 17)


@kernel()
def draws(out, key, time, pre, counters):
    """Random numbers 0 to 2**16 - 1 of one spike, for every synapse of its row.

    The key of a block is the cipher of (time, pre), its counter (post, tap // 4); the
    four numbers of the block are, highest bits first, those of tap % 4 = 0 to 3.

    Args:
        out: uint16 (row,).
        key: two uint32 words, from `sample_key`.
        time: step of the spike.
        pre: channel of the spike.
        counters: post and tap // 4 of every block, uint32 (2, block).
    """
    k0, k1 = threefry13(key[0], key[1], np.uint32(time), np.uint32(pre))
    n = counters.shape[1]
    # one-dimensional views: with them the loop is vectorised, four times as fast
    post, group = counters[0], counters[1]
    first, second, third, fourth = (
        out[:n],
        out[n : 2 * n],
        out[2 * n : 3 * n],
        out[3 * n :],
    )
    for i in range(n):
        x0, x1 = threefry13(k0, k1, post[i], group[i])
        first[i] = x0 >> 16
        second[i] = x0 & 0xFFFF
        third[i] = x1 >> 16
        fourth[i] = x1 & 0xFFFF


@kernel()
def sample_key(seed, read, sample):
    """The key of one sample in one read: two uint32 words."""
    k0, k1 = threefry13(
        np.uint32(seed), np.uint32(ROLE), np.uint32(read), np.uint32(sample)
    )
    return k0, k1


@kernel(inline=True)
def _jittered(steps, delay, factor, words, longest):
    for i in range(steps.size):
        steps[i] = np.int32(np.rint(min(delay[i] * factor[words[i]], longest)))


@kernel(inline=True)
def _accepted(gain, free_from, steps, t):
    """Lose the spike where the element still charges; elsewhere it starts to charge."""
    for i in range(steps.size):
        free = t >= free_from[i]
        gain[i] = gain[i] if free else np.float32(0.0)
        free_from[i] = t + steps[i] if free else free_from[i]


@kernel()
def _sample_currents(out, x, elements, key):
    """Add one sample's delayed spikes, x (time, pre), to `out` (post, time2)."""
    weights, delays, counters, factor, dead_time = elements
    n_row = weights.shape[1]
    longest = np.float64(out.shape[1] - x.shape[0])
    words = np.empty(n_row, np.uint16)
    gain = np.empty(n_row, np.float32)
    steps = np.empty(n_row, np.int32)
    free_from = np.empty(n_row, np.int32)
    start = np.empty(n_row, np.int64)
    for i in range(n_row):
        start[i] = counters[0, i % counters.shape[1]] * out.shape[1]
    flat = out.reshape(-1)
    for pre in range(x.shape[1]):
        for i in range(n_row):
            steps[i] = np.int32(min(delays[pre, i], longest))
            free_from[i] = 0
        for t in range(x.shape[0]):
            if x[t, pre] == 0:
                continue
            amount = np.float32(x[t, pre])
            for i in range(n_row):
                gain[i] = amount * weights[pre, i]
            if factor.size > 0:
                draws(words, key, t, pre, counters)
                _jittered(steps, delays[pre], factor, words, longest)
            if dead_time:
                _accepted(gain, free_from, steps, t)
            for i in range(n_row):
                flat[start[i] + steps[i] + t] += gain[i]


@kernel(parallel=True)
def currents(out, x, elements, address):
    """Currents of every sample.

    Args:
        out: float32 (batch, post, time2), zeros.
        x: spikes (time, batch, pre).
        elements: weights float32 and delays float64 (pre, row), the latter in whole
            steps where there is no jitter; counters as in `draws`; float64 table of
            jitter over the random numbers, empty for none; whether a charging element
            loses spikes.
        address: seed, read, and uint32 (batch,) samples.
    """
    seed, read, samples = address
    for b in nb.prange(out.shape[0]):
        key = sample_key(seed, read, samples[b])
        _sample_currents(out[b], x[:, b], elements, key)


@kernel(parallel=True)
def logits(out, x, elements, address, neuron):
    """Largest membrane value of every sample: `out` float32 (batch, post).

    Other arguments as `currents`; neuron: bias and decay float32 (post,), steps of
    bias, steps of the run.
    """
    seed, read, samples = address
    bias, decay, n_steps, n_out = neuron
    for b in nb.prange(out.shape[0]):
        key = sample_key(seed, read, samples[b])
        current = np.zeros((out.shape[1], n_out), np.float32)
        _sample_currents(current, x[:, b], elements, key)
        for post in range(out.shape[1]):
            v = np.float32(0.0)
            best = np.float32(0.0)
            for t in range(n_out):
                now = current[post, t]
                if t < n_steps:
                    now += bias[post]
                v = max(np.float32(0.0), decay[post] * v + now)
                best = max(best, v)
            out[b, post] = best
