"""What each device of a chip is to be programmed to, and what is near enough.

A delay device's target is the map's resistance; near enough is its `delay_band`. A
weight device's target is the conductance of `WeightScale`; near enough is a share of
the conductance range.

Order of programming: every delay device before any weight device, so that the delays
can be measured back before the weights are trained against them; then array by array,
row by row, column by column.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping.delay_band import delay_band, delays_of
from denram.mapping.hardware_map import HardwareMap
from denram.mapping.placement import Plane
from denram.mapping.weight_scale import WeightScale

Floats = NDArray[np.float64]
DELAY, PLUS, MINUS = "delay", "weight_plus", "weight_minus"
ROLES = (DELAY, PLUS, MINUS)
COLUMNS = (
    "order",
    "array",
    "row",
    "column",
    "role",
    "post",
    "pre",
    "tap",
    "target_ohm",
    "target_siemens",
    "tolerance_low_ohm",
    "tolerance_high_ohm",
    "delay_s",
    "delay_steps",
    "safe_range",
)
INSIDE, CLIPPED, UNGUARDED = "inside", "clipped", "unguarded"


def delay_targets(
    chip: HardwareMap, plane: Plane, *, tolerance_steps: int
) -> pd.DataFrame:
    """One row per delay device that is there, in (post, pre, tap) order.

    Args:
        chip: the map.
        plane: where its delay devices stand.
        tolerance_steps: how many steps beside its own a delay may be, >= 0.

    Raises:
        InputError: `tolerance_steps` is negative.
    """
    if tolerance_steps < 0:
        raise InputError(f"tolerance_steps must be >= 0, got {tolerance_steps}")
    where = np.nonzero(chip.mask)
    low, high = delay_band(chip, tolerance_steps)
    return _frame(
        DELAY,
        plane,
        where,
        target_ohm=chip.resistance_ohm[where],
        tolerance_low_ohm=low[where],
        tolerance_high_ohm=high[where],
        delay_s=chip.delay_s[where],
        delay_steps=chip.delay_steps[where],
    )


def weight_targets(
    chip: HardwareMap,
    plane: Plane,
    weights: Floats,
    bias: Floats,
    scale: WeightScale,
    *,
    tolerance: float,
) -> pd.DataFrame:
    """One row per weight device, then one per bias device (pre = n_pre, tap = 0).

    Args:
        chip: the map.
        plane: where its weight devices stand; its last input line is the bias.
        weights: as trained, (post, pre, tap).
        bias: as trained, (post,).
        scale: weights to conductances.
        tolerance: share of the conductance range that counts as near enough, >= 0.

    Raises:
        InputError: a shape does not fit the map, or a weight lies outside the scale.
    """
    if weights.shape != chip.mask.shape or bias.shape != chip.mask.shape[:1]:
        raise InputError(
            f"weights must have the map's shape {chip.mask.shape},"
            f" got {weights.shape} and a bias of {bias.shape}"
        )
    if not 0 <= tolerance <= 1:
        raise InputError(f"weight_tolerance must be in [0, 1], got {tolerance}")
    where = _with_bias(chip)
    values = np.concatenate([weights[chip.mask], bias]).astype(np.float64)
    margin = tolerance * (scale.g_max_siemens - scale.g_min_siemens)
    frames = []
    for device, siemens in enumerate(scale.siemens(values)):
        smallest, largest = siemens - margin, siemens + margin
        low = np.minimum(1.0 / largest, 1.0 / siemens)
        high = np.full(siemens.shape, math.inf)
        np.divide(1.0, smallest, out=high, where=smallest > 0)
        high = np.maximum(high, 1.0 / siemens)
        frame = _frame(
            ROLES[1 + device],
            plane,
            where,
            device=device,
            target_ohm=1.0 / siemens,
            tolerance_low_ohm=low,
            tolerance_high_ohm=high,
        )
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def in_order(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Targets in the order of programming, numbered from 0."""
    ordered = []
    for frame in frames:  # delays first; each frame has arrays of its own
        keys = [frame[name].to_numpy() for name in ("column", "row", "array")]
        ordered.append(frame.iloc[np.lexsort(keys)])
    table = pd.concat(ordered, ignore_index=True)
    table["order"] = np.arange(len(table))
    return table


def guarded(
    frame: pd.DataFrame,
    chip: HardwareMap,
    *,
    r_min_ohm: float | None,
    r_max_ohm: float | None,
    clip: bool,
) -> pd.DataFrame:
    """Targets kept within what the devices survive.

    A clipped delay device's expected delay is that of its new target; its tolerance
    stays the one of the delay that was wanted.

    Args:
        frame: targets of one role.
        chip: the map, for the delays of clipped targets.
        r_min_ohm: smallest resistance that is safe, or None.
        r_max_ohm: largest resistance that is safe, or None.
        clip: move targets to the edge of the range instead of refusing them.

    Raises:
        InputError: an empty range, or targets outside of it and not `clip`.
    """
    low = 0.0 if r_min_ohm is None else r_min_ohm
    high = math.inf if r_max_ohm is None else r_max_ohm
    if low > high:
        raise InputError(f"r_min must be <= r_max ({high:g} ohm), got {low:g}")
    if r_min_ohm is None and r_max_ohm is None:
        return frame
    ohm = frame["target_ohm"].to_numpy()
    outside = (ohm < low) | (ohm > high)
    if outside.any() and not clip:
        roles = frame["role"].iloc[0].split("_")[0]
        raise InputError(
            f"targets must lie in the safe range of {low:g} to {high:g} ohm, got"
            f" {int((ohm < low).sum())} {roles} devices below and"
            f" {int((ohm > high).sum())} above, of {ohm.size}; --clip moves them to"
            " its edge"
        )
    found = frame.copy()
    found["safe_range"] = np.where(outside, CLIPPED, INSIDE)
    found["target_ohm"] = np.clip(ohm, low, high)
    found["target_siemens"] = 1.0 / found["target_ohm"]
    if "delay_s" in found and outside.any():
        where = tuple(found.loc[outside, name] for name in ("post", "pre", "tap"))
        delay, steps = delays_of(chip, where, found.loc[outside, "target_ohm"])
        found.loc[outside, "delay_s"] = delay
        found.loc[outside, "delay_steps"] = steps
    return found


def _with_bias(chip: HardwareMap) -> tuple[NDArray[Any], ...]:
    """(post, pre, tap) of all weights that are there, then of the biases."""
    n_post, n_pre, _ = chip.mask.shape
    bias = np.arange(n_post), np.full(n_post, n_pre), np.zeros(n_post, np.int64)
    inner = np.nonzero(chip.mask)
    return tuple(np.concatenate(pair) for pair in zip(inner, bias, strict=True))


def _frame(
    role: str,
    plane: Plane,
    where: tuple[NDArray[Any], ...],
    *,
    device: int = 0,
    **columns: NDArray[Any],
) -> pd.DataFrame:
    indices = dict(zip(("post", "pre", "tap"), where, strict=True))
    places = plane.cells(where[0], where[1], where[2], device)._asdict()
    ohm = columns["target_ohm"]
    frame = pd.DataFrame({**places, "role": role, **indices, **columns})
    frame["target_siemens"] = 1.0 / ohm
    frame["safe_range"] = UNGUARDED
    return frame
