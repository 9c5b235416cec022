"""The hand-over to the lab: every device's target, by array, row and column.

A folder holds `targets.csv`, one device per line in the order of programming, and
`targets.json`, the same by array, with everything that is needed to read measured
resistances back (`denram.mapping.measured`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from denram.mapping.hardware_map import HardwareMap
from denram.mapping.placement import Crossbar, Plane
from denram.mapping.targets import (
    CLIPPED,
    COLUMNS,
    Floats,
    delay_targets,
    guarded,
    in_order,
    weight_targets,
)
from denram.mapping.weight_scale import WeightScale
from denram.storage import require_memory, versions

CSV_NAME, JSON_NAME, FORMAT = "targets.csv", "targets.json", "denram-targets 1"
ORDER_RULE = (
    "every delay device before any weight device; then array by array, row by row,"
    " column by column"
)
PLACEMENT_RULE = (
    "row: input line, the last one of the weight arrays is the constant line of the"
    " bias (pre = number of inputs, tap = 0); column: post * taps + tap, plus and minus"
    " side by side; delay and weight devices in arrays of their own; the floor plan is"
    " assumed"
)
# tables, their text and their JSON
_BYTES_PER_DEVICE = 1000


@dataclass(frozen=True)
class SafeRange:
    """Resistances that the devices survive, ohm; None where no limit is known.

    Attributes:
        r_min_ohm: smallest one for delay devices.
        r_max_ohm: largest one for delay devices.
        weight_r_min_ohm: smallest one for weight devices.
        weight_r_max_ohm: largest one for weight devices.
        clip: move targets to the edge instead of refusing them.
    """

    r_min_ohm: float | None = None
    r_max_ohm: float | None = None
    weight_r_min_ohm: float | None = None
    weight_r_max_ohm: float | None = None
    clip: bool = False


@dataclass(frozen=True, eq=False)
class Trained:
    """What a finished run adds to a map.

    Attributes:
        weights: as on the devices without noise, (post, pre, tap).
        bias: the same, (post,).
        scale: weights to conductances.
        tolerance: share of the conductance range that counts as near enough.
        fingerprint: of the run's settings.
    """

    weights: Floats
    bias: Floats
    scale: WeightScale
    tolerance: float
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Handover:
    """Targets of all devices.

    Attributes:
        table: one row per device, in the order of programming; `COLUMNS`.
        tiles: one row per array: kind, place in its grid, devices, utilisation.
        metadata: what the targets were made from, in plain values.
    """

    table: pd.DataFrame
    tiles: pd.DataFrame
    metadata: Mapping[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """Devices per role."""
        roles = self.table["role"].to_numpy().astype(str)
        return {str(k): int(n) for k, n in zip(*np.unique_counts(roles), strict=True)}

    @property
    def n_clipped(self) -> int:
        """Devices whose target was moved into the safe range."""
        return int((self.table["safe_range"].to_numpy() == CLIPPED).sum())


def hand_over(
    chip: HardwareMap,
    crossbar: Crossbar,
    *,
    tolerance_steps: int = 0,
    trained: Trained | None = None,
    safe: SafeRange = SafeRange(),
) -> Handover:
    """Targets, tolerances and addresses of a chip's devices.

    Args:
        chip: the map.
        crossbar: size of the arrays.
        tolerance_steps: how many steps beside its own a delay may be, >= 0.
        trained: the weights of a run on this map; without it, delay devices only.
        safe: guard of the targets.

    Raises:
        InputError: a limit that cannot be kept, targets outside the safe range, or a
            hand-over that would not fit in memory.
    """
    require_memory(
        3 * chip.mask.size * _BYTES_PER_DEVICE,
        f"a hand-over of {chip.mask.size} synapses",
    )
    n_post, n_pre, n_tap = chip.mask.shape
    delays = Plane(crossbar, n_pre, n_post, n_tap)
    frame = delay_targets(chip, delays, tolerance_steps=tolerance_steps)
    frames = [
        guarded(
            frame,
            chip,
            r_min_ohm=safe.r_min_ohm,
            r_max_ohm=safe.r_max_ohm,
            clip=safe.clip,
        )
    ]
    planes = {"delay": delays}
    if trained is not None:
        planes["weight"] = weight_plane(delays, trained.scale)
        frame = weight_targets(
            chip,
            planes["weight"],
            trained.weights,
            trained.bias,
            trained.scale,
            tolerance=trained.tolerance,
        )
        frame = guarded(
            frame,
            chip,
            r_min_ohm=safe.weight_r_min_ohm,
            r_max_ohm=safe.weight_r_max_ohm,
            clip=safe.clip,
        )
        frames.append(frame)
    table = in_order(frames).reindex(columns=list(COLUMNS))
    metadata = _metadata(chip, crossbar, tolerance_steps, trained, safe)
    return Handover(table, _tiles(table, planes), metadata)


def weight_plane(delays: Plane, scale: WeightScale) -> Plane:
    """The weight arrays beside a plane of delay devices: one more line, the bias."""
    return Plane(
        delays.crossbar,
        delays.n_pre + 1,
        delays.n_post,
        delays.n_tap,
        scale.n_devices,
        delays.first_array + delays.n_arrays,
    )


def write_targets(found: Handover, folder: Path) -> None:
    """Write `targets.csv` and `targets.json` into a folder that is there."""
    finite = found.table.assign(
        delay_steps=found.table["delay_steps"].astype("Int64"),
        tolerance_high_ohm=found.table["tolerance_high_ohm"].replace(math.inf, np.nan),
    )
    finite.to_csv(folder / CSV_NAME, index=False)
    document = {**found.metadata, "counts": found.counts, "clipped": found.n_clipped}
    document["tiles"] = _documents(found)
    (folder / JSON_NAME).write_bytes(msgspec.json.encode(document))


def _tiles(table: pd.DataFrame, planes: dict[str, Plane]) -> pd.DataFrame:
    n_arrays = sum(plane.n_arrays for plane in planes.values())
    devices = np.bincount(table["array"].to_numpy(), minlength=n_arrays)
    frames = []
    for kind, plane in planes.items():
        number = np.arange(plane.n_arrays)
        row, column = np.divmod(number, plane.grid[1])
        held = devices[plane.first_array + number]
        columns = {
            "array": plane.first_array + number,
            "kind": kind,
            "tile_row": row,
            "tile_column": column,
            "devices": held,
            "utilisation": held / plane.crossbar.cells,
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _documents(found: Handover) -> list[dict[str, Any]]:
    """Each array with its devices, column by column."""
    lists = {name: found.table[name].tolist() for name in COLUMNS if name != "array"}
    ends = np.cumsum(found.tiles["devices"].to_numpy()).tolist()
    documents, start = [], 0
    for tile, end in zip(found.tiles.to_dict("records"), ends, strict=True):
        columns = {name: values[start:end] for name, values in lists.items()}
        start = end
        if tile["kind"] == "delay":
            columns["delay_steps"] = [int(n) for n in columns["delay_steps"]]
        else:
            del columns["delay_s"], columns["delay_steps"]
        documents.append({**tile, "columns": columns})
    return documents


def _metadata(
    chip: HardwareMap,
    crossbar: Crossbar,
    tolerance_steps: int,
    trained: Trained | None,
    safe: SafeRange,
) -> dict[str, Any]:
    weights = None
    if trained is not None:
        weights = {
            "run": trained.fingerprint,
            "tolerance": trained.tolerance,
            "scale": asdict(trained.scale),
        }
    return {
        "format": FORMAT,
        "map": {
            "fingerprint": chip.fingerprint,
            "shape": list(chip.mask.shape),
            "timestep_s": chip.timestep_s,
            "max_delay": chip.max_delay,
            "seed": chip.seed,
            "config": dict(chip.config),
        },
        "crossbar": asdict(crossbar),
        "tolerance_steps": tolerance_steps,
        "weights": weights,
        "safe_range": asdict(safe),
        "order": ORDER_RULE,
        "placement": PLACEMENT_RULE,
        "versions": versions(),
    }
