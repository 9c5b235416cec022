"""One law for every array library: its functions, and the normal law cut off.

The laws of the slots are written once and run on NumPy's float64 and, inside a compiled
step, on JAX's float32: each uses the library that its draws came from.
"""

from types import ModuleType
from typing import Any

import numpy as np
import scipy.special

# arrays of any library; jaxtyping cannot say "of the same library as the input"
Array = Any


def namespace(x: Array) -> ModuleType:
    """The functions of the library that `x` belongs to; NumPy's for plain numbers."""
    return x.__array_namespace__() if hasattr(x, "__array_namespace__") else np


def known(value: Any) -> bool:
    """Whether a parameter can be checked: no array of a library that may trace it."""
    return namespace(value) is np


def ndtr(x: Array) -> Array:
    """Probability that a standard normal is at most `x`."""
    return _special(x).ndtr(x)


def truncated_normal(z: Array, low: Array, high: Array | None = None) -> Array:
    """Map standard normals to normals conditioned on `low` <= N <= `high`.

    By the inverse of the distribution function, from whichever tail is nearer: it
    increases with `z`, and is `z` (up to rounding) where nothing is cut.

    Args:
        z: standard normals.
        low: lower end, same library; anything that broadcasts.
        high: upper end; None for none.
    """
    xp, special = namespace(z), _special(z)
    below = special.ndtr(low)
    above = 0.0 if high is None else special.ndtr(-high)
    kept = 1.0 - below - above
    p = below + special.ndtr(xp.minimum(z, 0.0)) * kept
    q = above + special.ndtr(-xp.maximum(z, 0.0)) * kept
    return xp.where(z < 0, special.ndtri(p), -special.ndtri(q))


def _special(x: Array) -> ModuleType:
    if namespace(x) is np:
        return scipy.special
    import jax.scipy.special

    return jax.scipy.special
