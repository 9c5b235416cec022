"""`denram-map export` and `import`: targets to the lab, measured resistances back."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.cli import _screen as screen
from denram.cli._options import choice, number
from denram.config import Count, Fraction, Index, Positive
from denram.errors import InputError
from denram.storage import output_path, replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from denram.mapping import HardwareMap
    from denram.mapping.handover import Handover, SafeRange, Trained
    from denram.mapping.rebuild import Measured

# a common size of test arrays, not of the published chip, whose size is unknown
_ASSUMED_SIZE = 256
_MOST_ROWS = 24  # arrays that are listed on the screen


@click.command()
@click.option("--map", "map_path", metavar="STORE", help="A map: its folder or store.")
@click.option("--run", "run_path", metavar="FOLDER", help="A finished run on this map.")
@number("--rows", Count, "Rows of an array (assumed).", default=_ASSUMED_SIZE)
@number("--columns", Count, "Columns of an array (assumed).", default=_ASSUMED_SIZE)
@number("--fan_in", Count, "Most devices on a column.  [default: --rows]")
@number("--tolerance_steps", Index, "Steps a delay may be off.", default=0)
@number(
    "--weight_tolerance",
    Fraction,
    "Share of the conductance range that a weight device may be off.  [default: half"
    " a level; without levels, the noise that the run was trained with]",
)
@number("--r_min", Positive, "Smallest safe resistance of any device, ohm.")
@number("--r_max", Positive, "Largest safe resistance of any device, ohm.")
@number("--weight_r_min", Positive, "The same for weight devices alone, ohm.")
@number("--weight_r_max", Positive, "The same for weight devices alone, ohm.")
@click.option("--clip", is_flag=True, help="Move unsafe targets to the range's edge.")
@number("--g_min", Positive, "Smallest conductance, siemens, if the map knows none.")
@number("--g_max", Positive, "Largest conductance, siemens, if the map knows none.")
@click.option("--out", metavar="FOLDER", help="Folder to write; must not exist yet.")
def export(
    *,
    map_path: str | None,
    run_path: str | None,
    out: str | None,
    tolerance_steps: int | None,
    **flags: Any,
) -> None:
    """Write the target of every device: array, row, column, resistance, tolerance.

    Written to --out: targets.csv in the order of programming, targets.json by array,
    and array.png. With --run, the weight devices too. Targets outside the safe range
    are refused, or moved to its edge with --clip.
    """
    from denram.mapping import intended, open_map
    from denram.mapping.handover import hand_over
    from denram.mapping.placement import Crossbar

    crossbar = Crossbar(
        flags["rows"] or _ASSUMED_SIZE,
        flags["columns"] or _ASSUMED_SIZE,
        flags["fan_in"],
    )
    safe = _safe_range(flags)
    given_map = open_map(Path(_needed("--map", map_path)))
    chip = intended(given_map)
    folder = _new_folder(out)
    trained = None if run_path is None else _trained(Path(run_path), given_map, flags)
    found = hand_over(
        chip,
        crossbar,
        tolerance_steps=tolerance_steps or 0,
        trained=trained,
        safe=safe,
    )
    _write_targets(found, folder)
    page = screen.console()
    _print_targets(page, found)
    screen.line(page, f"\nWrote  {folder}  (targets.csv, targets.json, array.png)")
    back = f"denram-map import measured.csv --map {map_path} --unit ohm"
    back += f" --targets {folder}/targets.json --out measured"
    screen.line(page, f"Next   {back}", style="bold")


@click.command(name="import")
@click.argument("measured", metavar="MEASURED.csv")
@click.option("--map", "map_path", metavar="STORE", help="The map that was exported.")
@choice("--unit", ("ohm", "siemens"), "Unit of the measured column; required.")
@click.option(
    "--targets",
    metavar="FILE.json",
    help="targets.json of the export.  [default: the one beside MEASURED.csv]",
)
@click.option(
    "--allow_missing", is_flag=True, help="Mask synapses that were not measured."
)
@click.option("--out", metavar="FOLDER", help="Folder to write; must not exist yet.")
def import_(
    *,
    measured: str,
    map_path: str | None,
    unit: str | None,
    targets: str | None,
    allow_missing: bool,
    out: str | None,
) -> None:
    """Rebuild a map from measured resistances.

    MEASURED.csv has the columns of targets.csv and measured_ohm or measured_siemens.
    Written to --out: map.zarr (for denram-train --map), import.json, and weights.npz
    if weight devices were measured.
    """
    from denram.mapping import intended, open_map
    from denram.mapping.convention import read_convention
    from denram.mapping.measured import digest, read_measured
    from denram.mapping.rebuild import rebuild

    if unit not in ("ohm", "siemens"):
        raise InputError("--unit must be given as ohm or siemens, got none")
    chip = intended(open_map(Path(_needed("--map", map_path))))
    folder = _new_folder(out)
    file, beside = Path(measured), Path(measured).with_name("targets.json")
    convention = None
    if targets is not None or beside.is_file():
        convention = read_convention(Path(targets or beside), chip)
    table = read_measured(file, unit=unit)
    provenance = f"{file.name}, SHA-256 {digest(file)}"
    found = rebuild(
        chip,
        table,
        convention=convention,
        allow_missing=allow_missing,
        provenance=provenance,
    )
    _write_measured(found, folder, chip, provenance)
    page = screen.console()
    _print_measured(page, found)
    screen.line(page, f"\nWrote  {folder}")
    screen.line(page, f"Next   denram-train --map {folder}", style="bold")


def _needed(flag: str, value: str | None) -> str:
    if value is None:
        raise InputError(f"{flag} must be given, got none")
    return value


def _new_folder(out: str | None) -> Path:
    folder = output_path(_needed("--out", out), "--out")
    if folder.exists():
        raise InputError(f"--out must not exist yet, got {str(folder)!r}")
    return folder


def _safe_range(flags: dict[str, Any]) -> "SafeRange":
    from denram.mapping.handover import SafeRange

    r_min, r_max = flags["r_min"], flags["r_max"]
    weight_min, weight_max = flags["weight_r_min"], flags["weight_r_max"]
    return SafeRange(
        r_min_ohm=r_min,
        r_max_ohm=r_max,
        weight_r_min_ohm=r_min if weight_min is None else weight_min,
        weight_r_max_ohm=r_max if weight_max is None else weight_max,
        clip=flags["clip"],
    )


def _trained(folder: Path, chip: "HardwareMap", flags: dict[str, Any]) -> "Trained":
    """The weights of a run on this chip, and how they stand on its devices."""
    import numpy as np

    from denram.mapping.handover import Trained
    from denram.mapping.weight_scale import weight_scale
    from denram.train import open_run
    from denram.train.run_config import from_dict, require_delays

    run = open_run(folder if folder.name == "run.zarr" else folder / "run.zarr")
    require_delays(from_dict(json.loads(run.attrs["config"])), "--run")
    if run.attrs.get("map_fingerprint") != chip.fingerprint:
        raise InputError(f"--run must be a run on this map, got {str(folder)!r}")
    if not {"weights", "bias"} <= set(map(str, run.data_vars)):
        raise InputError(f"--run must hold weights and bias, got {str(folder)!r}")
    weights, bias = _finite(run["weights"].values), _finite(run["bias"].values)
    noise = json.loads(run.attrs["config"])["noise"]
    scale = weight_scale(
        np.where(chip.mask, weights, 0.0),
        bias,
        g_min_siemens=_conductance("g_min", chip.g_min_siemens, flags),
        g_max_siemens=_conductance("g_max", chip.g_max_siemens, flags),
        weight_max=noise["weight_max"],
        positive=noise["positive_weights"],
        levels=chip.weight_levels,
    )
    tolerance = flags["weight_tolerance"]
    if tolerance is None:
        levels, noise_std = chip.weight_levels, noise["noise_std"]
        tolerance = 0.5 / (levels - 1) if levels else min(noise_std, 1.0)
    return Trained(weights, bias, scale, tolerance, run.attrs["fingerprint"])


def _finite(values: Any) -> "NDArray[np.float64]":
    import numpy as np

    found = np.asarray(values, np.float64)
    if not np.isfinite(found).all():
        raise InputError("--run must hold finite weights, got others")
    return found


def _conductance(name: str, known: float, flags: dict[str, Any]) -> float:
    given = flags[name]
    if given is None or given == known:
        return known
    if not math.isnan(known):
        raise InputError(f"--{name} is fixed by --map ({known:g}), got {given:g}")
    return given


def _write_targets(found: "Handover", folder: Path) -> None:
    from denram.analysis.array_figure import array_figure
    from denram.mapping.array_data import array_dataset
    from denram.mapping.handover import write_targets

    with replacing(folder) as scratch:
        scratch.mkdir()
        write_targets(found, scratch)
        array_figure(array_dataset(found)).savefig(scratch / "array.png", dpi=160)


def _write_measured(
    found: "Measured", folder: Path, chip: "HardwareMap", provenance: str
) -> None:
    from denram.mapping import save_map
    from denram.mapping.measured_weights import save_weights
    from denram.mapping.rebuild import report_dict

    record = {
        "measured": provenance,
        "exported_map": chip.fingerprint,
        "rebuilt_map": found.chip.fingerprint,
        "devices": report_dict(found),
    }
    with replacing(folder) as scratch:
        scratch.mkdir()
        save_map(found.chip, scratch / "map.zarr")
        save_weights(found, scratch)
        text = json.dumps(record, indent=2) + "\n"
        (scratch / "import.json").write_text(text, encoding="utf-8")


def _print_targets(page: "Console", found: "Handover") -> None:
    post, pre, tap = found.metadata["map"]["shape"]
    bar = found.metadata["crossbar"]
    fan_in = "" if bar["fan_in"] is None else f", fan-in {bar['fan_in']}"
    size = f"arrays of {bar['rows']} x {bar['columns']}{fan_in}"
    screen.heading(page, "Targets", f"{pre} x {post} x {tap} synapses, {size}")
    rows = []
    for role, n in found.counts.items():
        own = found.table["role"].to_numpy() == role
        ohm = found.table["target_ohm"].to_numpy()[own]
        span = screen.si(ohm.min(), "ohm"), screen.si(ohm.max(), "ohm")
        rows.append((role, str(n), *span))
    screen.table(page, ("", "devices", "smallest", "largest"), rows)
    if found.n_clipped:
        screen.line(page, f"{found.n_clipped} targets moved into the safe range")
    tiles = found.tiles
    screen.heading(page, "Arrays", f"{len(tiles)}, order: {found.metadata['order']}")
    rows = [
        (tile["kind"], str(tile["array"]), f"{tile['tile_row']},{tile['tile_column']}",
         str(tile["devices"]), screen.percent(tile["utilisation"]))
        for tile in tiles.head(_MOST_ROWS).to_dict("records")
    ]  # fmt: skip
    screen.table(page, ("", "array", "down,across", "devices", "used"), rows)
    if len(tiles) > _MOST_ROWS:
        screen.line(page, f"and {len(tiles) - _MOST_ROWS} more; targets.json has all")
    kinds, used = tiles["kind"].to_numpy(), tiles["utilisation"].to_numpy()
    for kind in dict.fromkeys(kinds):
        own = used[kinds == kind]
        mean = screen.percent(float(own.mean()))
        screen.line(page, f"{kind}: {own.size} arrays, {mean} of their cells used")


def _print_measured(page: "Console", found: "Measured") -> None:
    screen.heading(page, "Measured", found.chip.versions["measured"])
    rows = []
    for role, row in found.report.items():
        share = screen.percent(row.outside / max(row.devices - row.missing, 1))
        changed = str(row.changed_steps) if role == "delay" else "-"
        counts = (row.devices, row.missing, row.outside)
        rows.append((role, *map(str, counts), share, changed))
    columns = ("", "devices", "missing", "outside tolerance", "of measured", "new step")
    screen.table(page, columns, rows)
    masked = int((~found.chip.mask).sum())
    if masked:
        screen.line(page, f"{masked} synapses are masked in the rebuilt map")
    if found.weights is not None:
        screen.line(page, "weights.npz: the weights that the devices stand for")
