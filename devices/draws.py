"""Counter-based draws: a device's number depends on its own address alone.

The address is (seed, stream, post, pre, tap): the key of a Threefry-2x32 cipher comes
from seed and stream, its counter from the three indices. Thread count, array size and
order of the calls cannot matter. One draw takes the 64 bits of one block, so uniform
and normal draws of one stream are the same randomness: give each purpose its own role.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11 (2011).
"""

import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from denram.devices import _kernels
from denram.devices._checks import FloatArray, positive, spread, whole
from denram.errors import InputError
from denram.storage import require_memory

Shape = tuple[int, int, int]
Law = tuple[int, float, float]

MAX_SIGMA_LN = 10.0  # nine standard deviations then span 39 decades
_UNIFORM: Law = (_kernels.UNIFORM, 1.0, 0.0)
_NORMAL: Law = (_kernels.NORMAL, 1.0, 0.0)
_LARGEST_WORD = 2**32 - 1
_LARGEST_SHAPE = {"post": 2**31, "pre": 2**20, "tap": 2**_kernels.TAP_BITS}


class Stream(NamedTuple):
    """What is drawn, and when: one fresh, reproducible sequence per stream.

    Attributes:
        role: the purpose of the draw, such as "delay-resistance".
        chip: counts fabricated chips.
        cycle: counts programming cycles of the chip.
        read: counts reads since programming.
    """

    role: str
    chip: int = 0
    cycle: int = 0
    read: int = 0


def standard_normal(shape: Shape, *, seed: int, stream: Stream) -> FloatArray:
    """Standard normal draws, by inversion of `uniform` (error below 1e-15).

    Args:
        shape: (post, pre, tap).
        seed: 0 to 2**32 - 1.
        stream: role and clocks.

    Returns:
        Array of that shape.

    Raises:
        InputError: a shape, seed or clock out of range, or too large for the memory.
    """
    return _draw(shape, seed, stream, _NORMAL)


def uniform(shape: Shape, *, seed: int, stream: Stream) -> FloatArray:
    """Uniform draws in the open interval (0, 1): odd multiples of 2**-53.

    Arguments and errors as `standard_normal`.
    """
    return _draw(shape, seed, stream, _UNIFORM)


def lognormal(
    shape: Shape, median: float, sigma_ln: float, *, seed: int, stream: Stream
) -> FloatArray:
    """`median * exp(sigma_ln * standard_normal)`, in one pass.

    Args:
        shape: (post, pre, tap).
        median: > 0, in the unit of the result.
        sigma_ln: standard deviation of the logarithm, 0 to MAX_SIGMA_LN.
        seed: 0 to 2**32 - 1.
        stream: role and clocks.

    Raises:
        InputError: as `standard_normal`, or a parameter out of range.
    """
    law = (
        _kernels.LOGNORMAL,
        positive("median", median),
        spread("sigma_ln", sigma_ln, MAX_SIGMA_LN),
    )
    return _draw(shape, seed, stream, law)


def uniform_integer(
    shape: Shape, high_inclusive: int, *, seed: int, stream: Stream
) -> NDArray[np.int32]:
    """Whole numbers 0 to `high_inclusive`, equally likely within 1 part in 2**20.

    Other arguments and errors as `standard_normal`.
    """
    high = whole("high_inclusive", high_inclusive, 0, 2**31 - 2)
    u = uniform(shape, seed=seed, stream=stream)
    np.multiply(u, high + 1, out=u)
    return u.astype(np.int32)


def relative_factor(
    shape: Shape, sigma: float, *, seed: int, stream: Stream
) -> FloatArray:
    """Factors `1 + sigma * N` with N normal, kept between 0.01 and 1.99.

    N is truncated where |sigma N| reaches 0.99, on both sides alike, so the mean stays
    1; up to sigma = 0.12 no draw lies far enough out to be cut.

    Args:
        shape: (post, pre, tap).
        sigma: relative standard deviation before truncation, 0 to 0.5.
        seed: 0 to 2**32 - 1.
        stream: role and clocks.

    Raises:
        InputError: as `standard_normal`, or sigma out of range.
    """
    spread("sigma", sigma, 0.5)
    return 1.0 + truncated(shape, sigma, 0.99, seed=seed, stream=stream)


def truncated(
    shape: Shape, sigma: float, reach: float, *, seed: int, stream: Stream
) -> FloatArray:
    """`sigma * N`, N standard normal cut where `|sigma N|` reaches `reach` > 0.

    Other arguments and errors as `standard_normal`.
    """
    u = uniform(shape, seed=seed, stream=stream)
    cut = ndtr(-reach / sigma) if sigma > 0 else 0.0
    return sigma * ndtri(cut + u * (1.0 - 2.0 * cut))


def _draw(shape: Shape, seed: int, stream: Stream, law: Law) -> FloatArray:
    post, pre, tap = checked_shape(shape)
    key = stream_key(seed, stream)
    require_memory(8 * post * pre * tap, f"a draw of {post} x {pre} x {tap} devices")
    out = np.empty((post, pre, tap))
    _kernels.draw(out.reshape(-1), key, (pre, tap), law)
    return out


def checked_shape(shape: tuple[int, ...]) -> Shape:
    """The shape (post, pre, tap), if its devices can be addressed.

    Raises:
        InputError: other axes, or a size that is no whole number in range.
    """
    if len(shape) != len(_LARGEST_SHAPE):
        raise InputError(f"shape must be (post, pre, tap), got {shape!r}")
    post, pre, tap = (
        whole(f"shape's {axis}", size, 1, largest)
        for size, (axis, largest) in zip(shape, _LARGEST_SHAPE.items(), strict=True)
    )
    return post, pre, tap


def stream_key(seed: int, stream: Stream) -> tuple[np.uint32, np.uint32]:
    """Two encryptions fold seed, role and the three clocks into a key.

    Raises:
        InputError: a seed or clock out of range.
    """
    k0 = np.uint32(whole("seed", seed, 0, _LARGEST_WORD))
    k1 = np.uint32(zlib.crc32(stream.role.encode()))
    chip, cycle, read = (
        np.full(1, whole(clock, getattr(stream, clock), 0, _LARGEST_WORD), np.uint32)
        for clock in ("chip", "cycle", "read")
    )
    _kernels.encrypt(k0, k1, chip, cycle)
    k0, k1 = chip[0], cycle[0]
    cycle[0] = 0
    _kernels.encrypt(k0, k1, read, cycle)
    return read[0], cycle[0]
