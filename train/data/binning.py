"""Spike times to steps, cochlea channels to network inputs."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from denram.errors import InputError

N_CHANNELS = 700
DURATION_S = 1.4
# marks a step or channel that no window or network has
OUTSIDE = 65535
_BLOCK = 1 << 24


def total_steps(timestep_s: float) -> int:
    """Steps that cover all 1.4 s: 280 for 5 ms.

    Args:
        timestep_s: nominal time step, s, above 1.4 s / 65535 and at most 0.7 s.

    Raises:
        InputError: the time step is out of range or not a number.
    """
    if not DURATION_S / (OUTSIDE - 1) < timestep_s <= DURATION_S / 2:
        raise InputError(f"timestep_s must be 2.2e-5 to 0.7, got {timestep_s}")
    # 1.4 is no binary fraction: a quotient of 280.0000000001 still means 280
    return math.ceil(DURATION_S / timestep_s - 1e-9)


def window_steps(n_steps: int, truncation: bool, timestep_s: float) -> int:
    """Length of the input window in steps.

    Raises:
        InputError: `n_steps` is longer than 1.4 s.
    """
    total = total_steps(timestep_s)
    if truncation and n_steps > total:
        raise InputError(
            f"n_steps must be <= {total} (1.4 s at a time step of {timestep_s} s),"
            f" got {n_steps}"
        )
    return n_steps if truncation else total


def bin_times(times_s: ArrayLike, timestep_s: float, rule: str) -> NDArray[np.uint16]:
    """Step of each event.

    `exact`: floor(t / timestep). `published`: the number of edges <= t among
    e_k = k 1.4 / (T - 1), k = 0..T-1, with T = 280 for 5 ms; bin 0 stays empty and
    the bins are 5.018 ms wide.

    Args:
        times_s: event times, s, any shape, 0 <= t < 1.4.
        timestep_s: nominal time step, s.
        rule: `exact` or `published`.

    Raises:
        InputError: a time or the time step is out of range.
    """
    times = np.asarray(times_s)
    if times.dtype == np.float16:
        # hundreds of millions of events: look each of 65536 possible numbers up
        halves = np.arange(65536, dtype=np.uint16).view(np.float16)
        steps = looked_up(_bin(halves, timestep_s, rule), times.view(np.uint16))
    else:
        steps = _bin(times, timestep_s, rule)
    if (steps == OUTSIDE).any():
        raise InputError(f"times_s must be >= 0 and < {DURATION_S}")
    return steps


def looked_up(
    table: NDArray[np.uint16], index: NDArray[np.uint16]
) -> NDArray[np.uint16]:
    """table[index] by blocks, for NumPy widens all indices to eight bytes at once."""
    out = np.empty(index.shape, dtype=np.uint16)
    flat_in, flat_out = index.reshape(-1), out.reshape(-1)
    for first in range(0, flat_in.size, _BLOCK):
        block = slice(first, first + _BLOCK)
        flat_out[block] = table[flat_in[block]]
    return out


def _bin(times: NDArray[Any], timestep_s: float, rule: str) -> NDArray[np.uint16]:
    inside = (times >= 0) & (times < DURATION_S)
    steps = np.full(times.shape, OUTSIDE, dtype=np.uint16)
    steps[inside] = _bin_inside(times[inside].astype(np.float64), timestep_s, rule)
    return steps


def _bin_inside(
    times: NDArray[np.float64], timestep_s: float, rule: str
) -> NDArray[np.uint16]:
    total = total_steps(timestep_s)
    if rule == "published":
        edges = np.linspace(0.0, DURATION_S, total)
        return np.searchsorted(edges, times, side="right").astype(np.uint16)
    # the double just below 1.4 may round up to a step that does not exist
    return np.minimum(times / timestep_s, total - 1).astype(np.uint16)


def channel_table(n_in: int, rule: str) -> NDArray[np.uint16]:
    """Network input of each of the 700 cochlea channels, `OUTSIDE` if it has none.

    `pool`: floor(c n_in / 700). `stride`: with s = ceil(700 / n_in), channel c goes
    to c / s if s divides c; the inputs that remain stay silent (22 of 256).

    Args:
        n_in: number of network inputs, 1 to 700.
        rule: `pool` or `stride`.

    Raises:
        InputError: `n_in` is out of range.
    """
    if not 1 <= n_in <= N_CHANNELS:
        raise InputError(f"n_in must be 1 to {N_CHANNELS}, got {n_in}")
    c = np.arange(N_CHANNELS)
    if rule == "pool":
        return (c * n_in // N_CHANNELS).astype(np.uint16)
    s = -(-N_CHANNELS // n_in)
    return np.where(c % s == 0, c // s, OUTSIDE).astype(np.uint16)
