"""Bad input fails at the door: name, rule, value."""

import math
import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denram.config import LARGEST
from denram.errors import InputError

FloatArray = NDArray[np.float64]


def positive(name: str, value: float) -> float:
    """Return `value` as a float in (0, LARGEST]."""
    number = _number(name, value)
    if not 0 < number <= LARGEST:
        raise InputError(f"{name} must be > 0 and <= {LARGEST:g}, got {number}")
    return number


def spread(name: str, value: float, largest: float) -> float:
    """Return `value` as a float in [0, largest]."""
    number = _number(name, value)
    if not 0 <= number <= largest:
        raise InputError(f"{name} must be >= 0 and <= {largest:g}, got {number}")
    return number


def whole(name: str, value: Any, smallest: int, largest: int) -> int:
    """Return `value` as an int in [smallest, largest]; 3.0 and True are none."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not smallest <= number <= largest:
        raise InputError(
            f"{name} must be a whole number from {smallest} to {largest}, got {value!r}"
        )
    return number


def positive_array(name: str, values: ArrayLike) -> FloatArray:
    """Return `values` as float64, each finite and > 0."""
    return _array(name, values, "finite and > 0", strict=True)


def non_negative_array(name: str, values: ArrayLike) -> FloatArray:
    """Return `values` as float64, each finite and >= 0."""
    return _array(name, values, "finite and >= 0", strict=False)


def numbers(name: str, values: ArrayLike) -> FloatArray:
    """Return `values` as float64, none of them NaN."""
    array = _float64(name, values)
    if np.isnan(array).any():
        raise InputError(f"{name} must hold no NaN, got nan")
    return array


def _array(name: str, values: ArrayLike, rule: str, *, strict: bool) -> FloatArray:
    array = _float64(name, values)
    good = np.isfinite(array) & ((array > 0) if strict else (array >= 0))
    if not good.all():
        raise InputError(f"{name} must be {rule}, got {array[~good].flat[0]}")
    return array


def _float64(name: str, values: ArrayLike) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{name} must be numbers, got {type(values).__name__}"
        ) from None


def _number(name: str, value: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} must be a number, got {value!r}") from None
    if not math.isfinite(number):
        raise InputError(f"{name} must be finite, got {number}")
    return number
