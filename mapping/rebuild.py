"""A map, and weights, of the devices as the lab measured them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping.convention import Convention
from denram.mapping.delay_band import delays_of
from denram.mapping.handover import weight_plane
from denram.mapping.hardware_map import HardwareMap
from denram.mapping.measured import MeasuredTable
from denram.mapping.placement import Plane
from denram.mapping.targets import DELAY, ROLES
from denram.mapping.weight_scale import WeightScale

Floats = NDArray[np.float64]
Flags = Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True)
class RoleReport:
    """What became of the devices of one role.

    Attributes:
        devices: that the map has.
        missing: without a measured value.
        outside: measured outside of their tolerance.
        changed_steps: delay devices whose whole step is another; 0 for weights.
    """

    devices: int
    missing: int
    outside: int
    changed_steps: int = 0


@dataclass(frozen=True, eq=False)
class Measured:
    """A chip as measured.

    Attributes:
        chip: the rebuilt map; synapses with a missing device are masked.
        weights: (post, pre, tap), 0 where masked; None without weight devices.
        bias: (post,), 0 where missing; None without weight devices.
        siemens: per weight role (post, pre + 1, tap), NaN where there is no device.
        report: per role.
    """

    chip: HardwareMap
    weights: Floats | None
    bias: Floats | None
    siemens: Mapping[str, Floats]
    report: Mapping[str, RoleReport]


def rebuild(
    chip: HardwareMap,
    table: MeasuredTable,
    *,
    convention: Convention | None = None,
    allow_missing: bool = False,
    provenance: str = "",
) -> Measured:
    """Put measured resistances in the place of a map's.

    Args:
        chip: the map that the targets were exported from.
        table: from `read_measured`.
        convention: from `read_convention`; needed for weight devices.
        allow_missing: mask synapses without a measured value instead of refusing; a
            missing bias is 0.
        provenance: kept in the rebuilt map's versions as `measured`.

    Raises:
        InputError: devices doubled, unknown, elsewhere than exported, or missing.
    """
    roles, scale = _roles(table, convention)
    known = {role: _present(chip, role) for role in roles}
    _check_known(table, known)
    _check_doubled(table)
    if convention is not None:
        _check_places(chip, table, convention)
    ohm = {role: _laid_out(table, i, known[role]) for i, role in enumerate(roles)}
    missing = {role: known[role] & np.isnan(ohm[role]) for role in roles}
    _check_missing(missing, known, allow_missing)
    made = _measured_chip(chip, ohm[DELAY], missing, provenance)
    changed = int((made.delay_steps != chip.delay_steps).sum())
    outside = np.bincount(table.role[table.outside], minlength=len(ROLES))
    report = {
        role: RoleReport(
            devices=int(known[role].sum()),
            missing=int(missing[role].sum()),
            outside=int(outside[i]),
            changed_steps=changed if role == DELAY else 0,
        )
        for i, role in enumerate(roles)
    }
    if scale is None:
        return Measured(made, None, None, {}, report)
    siemens = {role: 1.0 / r for role, r in ohm.items() if role != DELAY}
    found = np.nan_to_num(scale.weights(*siemens.values()), nan=0.0)
    weights = np.where(made.mask, found[:, :-1], 0.0)
    return Measured(made, weights, found[:, -1, 0].copy(), siemens, report)


def report_dict(found: Measured) -> dict[str, dict[str, int]]:
    """The report in plain values."""
    return {role: asdict(row) for role, row in found.report.items()}


def _roles(
    table: MeasuredTable, convention: Convention | None
) -> tuple[tuple[str, ...], WeightScale | None]:
    """The roles that must be measured: delays, and weights if there are any."""
    n_weights = int((table.role > 0).sum())
    if not n_weights:
        return (DELAY,), None
    if convention is None or convention.scale is None:
        raise InputError(
            "weight devices need the targets.json that they were exported with, got"
            f" {n_weights} of them without it; give --targets"
        )
    wanted = ROLES[: 1 + convention.scale.n_devices]
    if table.role.max() >= len(wanted):
        raise InputError(
            f"role must be one of {', '.join(wanted)}, got {ROLES[table.role.max()]}"
        )
    return wanted, convention.scale


def _present(chip: HardwareMap, role: str) -> NDArray[np.bool_]:
    """Which devices there are, (post, pre + 1, tap)."""
    n_post, _, n_tap = chip.mask.shape
    bias = np.zeros((n_post, 1, n_tap), np.bool_)
    bias[:, :, 0] = role != DELAY
    return np.concatenate([chip.mask, bias], axis=1)


def _check_known(table: MeasuredTable, known: Flags) -> None:
    every = np.stack(list(known.values()))
    n_post, n_pre, n_tap = every.shape[1:]
    within = (table.post < n_post) & (table.pre < n_pre) & (table.tap < n_tap)
    index = (np.where(within, i, 0) for i in (table.post, table.pre, table.tap))
    bad = ~(within & every[(table.role, *index)])
    if bad.any():
        raise InputError(
            f"measured devices must be devices of the map, got {int(bad.sum())} others"
            f" of {bad.size}, the first {table.named(bad)}"
        )


def _check_doubled(table: MeasuredTable) -> None:
    keys = (table.role, table.post, table.pre, table.tap)
    order = np.lexsort(keys)
    same = np.logical_and.reduce([k[order[1:]] == k[order[:-1]] for k in keys])
    doubled = np.zeros(order.size, np.bool_)
    doubled[order[1:]] = same
    if doubled.any():
        raise InputError(
            f"measured devices must be named once, got {int(doubled.sum())} doubled,"
            f" the first {table.named(doubled)}"
        )


def _check_places(
    chip: HardwareMap, table: MeasuredTable, convention: Convention
) -> None:
    n_post, n_pre, n_tap = chip.mask.shape
    delays = Plane(convention.crossbar, n_pre, n_post, n_tap)
    wrong = np.zeros(table.n_devices, np.bool_)
    for code in np.unique(table.role):
        plane, device = delays, 0
        if convention.scale is not None and ROLES[code] != DELAY:
            plane, device = weight_plane(delays, convention.scale), code - 1
        own = table.role == code
        cells = plane.cells(table.post[own], table.pre[own], table.tap[own], device)
        told = (table.array[own], table.row[own], table.column[own])
        for axis, expected in zip(told, cells, strict=True):
            wrong[own] |= axis != expected
    if wrong.any():
        raise InputError(
            "measured devices must stand where they were exported to, got"
            f" {int(wrong.sum())} of {wrong.size} elsewhere, the first"
            f" {table.named(wrong)}"
        )


def _laid_out(table: MeasuredTable, code: int, known: NDArray[np.bool_]) -> Floats:
    """Measured resistances of one role, (post, pre + 1, tap), NaN where none."""
    ohm, own = np.full(known.shape, np.nan), table.role == code
    ohm[table.post[own], table.pre[own], table.tap[own]] = table.measured_ohm[own]
    return ohm


def _check_missing(missing: Flags, known: Flags, allow_missing: bool) -> None:
    lost = {role: int(where.sum()) for role, where in missing.items() if where.any()}
    if lost and not allow_missing:
        told = ", ".join(f"{n} of {known[r].sum()} {r}" for r, n in lost.items())
        raise InputError(
            f"measured values must cover the map, but {told} devices have none;"
            " --allow_missing masks their synapses"
        )


def _measured_chip(
    chip: HardwareMap, ohm: Floats, missing: Flags, provenance: str
) -> HardwareMap:
    mask = chip.mask.copy()
    for where in missing.values():
        mask &= ~where[:, :-1]
    if not mask.any():
        raise InputError("measured values must leave at least one synapse, got none")
    resistance, delay = chip.resistance_ohm.copy(), chip.delay_s.copy()
    steps = chip.delay_steps.copy()
    where = np.nonzero(chip.mask & ~missing[DELAY][:, :-1])
    resistance[where] = ohm[:, :-1][where]
    delay[where], steps[where] = delays_of(chip, where, resistance[where])
    return replace(
        chip,
        resistance_ohm=resistance,
        delay_s=delay,
        delay_steps=steps,
        mask=mask,
        versions={**chip.versions, "measured": provenance},
    )
