"""Weights as they were measured: a file beside the rebuilt map."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping.rebuild import Measured

Floats = NDArray[np.float64]
WEIGHTS_NAME = "weights.npz"


def save_weights(found: Measured, folder: Path) -> None:
    """Write `weights.npz` into a folder, if there are weights."""
    if found.weights is None or found.bias is None:
        return
    arrays: dict[str, Any] = {f"{k}_siemens": g for k, g in found.siemens.items()}
    arrays |= {"weights": found.weights, "bias": found.bias}
    np.savez(folder / WEIGHTS_NAME, **arrays)


def measured_weights(folder: str | Path) -> tuple[Floats, Floats]:
    """The weights of a measured chip.

    Args:
        folder: as `denram-map import` wrote it.

    Returns:
        weights (post, pre, tap) and bias (post,), in the run's weight units.

    Raises:
        InputError: no weight devices were measured, or the file is damaged.
    """
    path = Path(folder) / WEIGHTS_NAME
    if not path.is_file():
        raise InputError(f"{folder} must hold measured weights ({WEIGHTS_NAME})")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            weights, bias = arrays["weights"], arrays["bias"]
    except Exception as error:  # a damaged file fails in as many ways as it has bytes
        raise InputError(f"{path} cannot be read: {error}") from None
    fit = weights.ndim == 3 and bias.shape == weights.shape[:1]
    if not fit or weights.dtype != np.float64 or bias.dtype != np.float64:
        raise InputError(
            f"{path} must hold float64 weights (post, pre, tap) and bias (post,),"
            f" got {weights.dtype} {weights.shape} and {bias.dtype} {bias.shape}"
        )
    if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
        raise InputError(f"{path} must hold finite weights, got others")
    return weights, bias
