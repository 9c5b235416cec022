"""The random numbers of JAX before 0.5, without JAX.

The published DenRAM simulation drew its delays and weights with the generator that JAX
then used by default (`jax_threefry_partitionable=False`): Threefry-2x32 over the
counters 0, 1, 2, ..., their first half paired with their second. A key is two words.

Its chain is `key = legacy_key(seed)`, then `key, subkey = legacy_split(key)` once for
the weights, once for the resistances and once for the bias.

Source: EIS-Hub/DenRAM @ d258e98; erfinv: M. Giles, "Approximating the erfinv
function", GPU Computing Gems 2 (2012), as single precision XLA evaluates it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from denram.devices import _kernels
from denram.devices._checks import whole
from denram.errors import InputError
from denram.storage import require_memory

Words = NDArray[np.uint32]
Float32Array = NDArray[np.float32]

# Giles (2012), table 5, highest power first
_ERFINV_CENTRE = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_ERFINV_TAIL = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


def legacy_key(seed: int) -> Words:
    """The key of a seed (0 to 2**32 - 1), as `jax.random.PRNGKey`: shape (2,).

    Raises:
        InputError: seed out of range.
    """
    return np.array([0, whole("seed", seed, 0, 2**32 - 1)], np.uint32)


def legacy_split(key: Words, n: int = 2) -> Words:
    """`n` new keys from one, shape (n, 2).

    Raises:
        InputError: n < 1, or no key.
    """
    return _words(key, 2 * whole("n", n, 1, 2**24)).reshape(-1, 2)


def legacy_uniform(
    key: Words,
    shape: tuple[int, ...],
    minval: float = 0.0,
    maxval: float = 1.0,
) -> Float32Array:
    """Uniform draws in [minval, maxval): 23 random bits each.

    Args:
        key: two words; use each key once.
        shape: any shape.
        minval: lower bound, included.
        maxval: upper bound, excluded.

    Raises:
        InputError: no key, or more numbers than the memory holds.
    """
    low, high = np.float32(minval), np.float32(maxval)
    mantissa = _words(key, math.prod(shape)) >> 9
    unit = (mantissa | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    return np.maximum(low, unit * (high - low) + low).reshape(shape)


def legacy_normal(key: Words, shape: tuple[int, ...]) -> Float32Array:
    """Standard normal draws `sqrt(2) * erfinv(u)`, u uniform on (-1, 1).

    Arguments and errors as `legacy_uniform`.
    """
    low = np.nextafter(np.float32(-1), np.float32(0))
    u = legacy_uniform(key, shape, float(low), 1.0)
    return np.float32(math.sqrt(2)) * erfinv_float32(u)


def legacy_randint(
    key: Words, shape: tuple[int, ...], minval: int, maxval: int
) -> NDArray[np.int32]:
    """Whole numbers in [minval, maxval): `maxval` is excluded.

    Args:
        key: two words; use each key once.
        shape: any shape.
        minval: lower bound, included.
        maxval: upper bound, excluded.

    Raises:
        InputError: an empty range, no key, or more numbers than the memory holds.
    """
    low = whole("minval", minval, -(2**31), 2**31 - 2)
    span = np.uint32(whole("maxval", maxval, low + 1, 2**31 - 1) - low)
    size = math.prod(shape)
    high_bits, low_bits = (_words(half, size) for half in legacy_split(key))
    fold = np.array(2**16 % int(span), np.uint32)
    fold = np.array([fold * fold]) % span
    offset = ((high_bits % span) * fold + low_bits % span) % span
    return (offset.astype(np.int64) + low).astype(np.int32).reshape(shape)


def erfinv_float32(x: Float32Array) -> Float32Array:
    """Inverse error function of |x| < 1 in single precision."""
    w = -np.log1p(-x * x)
    centre = w < np.float32(5)
    w = np.where(centre, w - np.float32(2.5), np.sqrt(w) - np.float32(3))
    p = np.zeros_like(x)
    for inner, outer in zip(_ERFINV_CENTRE, _ERFINV_TAIL, strict=True):
        p = p * w + np.where(centre, np.float32(inner), np.float32(outer))
    return p * x


def _words(key: Words, size: int) -> Words:
    """`size` random words: counters 0 to size - 1, padded by a 0 to an even count."""
    if key.shape != (2,) or key.dtype != np.uint32:
        raise InputError(f"key must be two uint32 words, got {key!r}")
    require_memory(32 * size, f"a draw of {size} numbers")
    half = (size + 1) // 2
    x = np.zeros(2 * half, np.uint32)
    x[:size] = np.arange(size, dtype=np.uint32)
    _kernels.encrypt(key[0], key[1], x[:half], x[half:])
    return x[:size]
