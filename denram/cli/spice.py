"""`denram-map spice`: netlists of the RC delay elements, and ngspice's delays."""

import csv
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
from msgspec import Meta

from denram.cli import _screen as screen
from denram.cli._options import Number, number
from denram.config import Positive, fingerprint
from denram.errors import DenRAMError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from denram.mapping.pulse_response import Pulse
    from denram.mapping.spice import Address, DelayElement

_DISAGREE = 3  # exit code
_TOLERANCE = 1e-3
_MOST = 10_000
_MOST_ROWS = 40
_First = Annotated[int, Meta(ge=1, le=_MOST)]
_Offset = Annotated[float, Meta(ge=-1e3, le=1e3)]
_Seconds = Annotated[float, Meta(gt=0, le=86_400)]
_DEVICE = re.compile(r"[0-9]{1,9},[0-9]{1,9},[0-9]{1,9}")
_COLUMNS = (
    "post,pre,tap,resistance_ohm,capacitance_farad,threshold_volt,supply_volt,rise_s,"
    "width_s,map_delay_s,model_delay_s,ngspice_delay_s,relative_difference,netlist"
).split(",")


@click.command()
@click.option("--map", "map_path", metavar="STORE", help="Map of denram-map.")
@click.option(
    "--device", "devices", metavar="POST,PRE,TAP", multiple=True, help="Of the map."
)
@number("--first", _First, "The map's first N devices.", default=10)
@click.option(
    "--resistance",
    type=Number(Positive),
    multiple=True,
    metavar="OHM",
    help="Without a map: a resistance, ohm; may be repeated.",
)
@number("--cap", Positive, "Without a map: capacitance, farad.", default=1e-12)
@number("--threshold_factor", Positive, "Without a map: k.", default=1.0)
@number("--threshold_volt", Positive, "Without a map: threshold, volt, instead of k.")
@number("--offset_volt", _Offset, "Added to every threshold, volt.", default=0.0)
@number("--supply_volt", Positive, "Height of the source's pulse, volt.", default=1.0)
@number("--rise", Positive, "Its rising and falling edge, s.", default=1e-9)
@number("--width", Positive, "Its flat top, s; without it the source stays on.")
@click.option("--run", "simulate", is_flag=True, help="Run ngspice and compare.")
@number("--timeout", _Seconds, "Longest run of ngspice per element, s.", default=60)
@click.option("--out", metavar="FOLDER", help="Folder to write; must not exist yet.")
def spice(  # noqa: PLR0917 - click passes by keyword
    map_path: str | None,
    devices: tuple[str, ...],
    first: int | None,
    simulate: bool,
    timeout: float | None,
    supply_volt: float | None,
    rise: float | None,
    width: float | None,
    out: str | None,
    **values: Any,
) -> int:
    """Write netlists of RC delay elements; with --run, compare ngspice with the model.

    The elements are devices of a map, with its resistances, capacitors and thresholds,
    or are given by --resistance. Written to --out: a netlist (.cir) of each element and
    delays.csv. Delays count from the middle of the source's rising edge. A pulse that
    ends before the threshold is reached never crosses it. Exit code 3: ngspice and the
    model differ by more than 0.1 %.
    """
    from denram.mapping.pulse_response import Pulse
    from denram.mapping.spice import netlist, ngspice_path

    program = ngspice_path() if simulate else None
    pulse = Pulse(
        1.0 if supply_volt is None else supply_volt,
        1e-9 if rise is None else rise,
        math.inf if width is None else width,
    )
    elements = _elements(map_path, devices, first, pulse, values)
    texts = [netlist(element, pulse) for element in elements]
    folder = _folder(out, texts)
    rows = [
        _row(element, pulse, f"{_name(element, i)}.cir")
        for i, element in enumerate(elements)
    ]
    if program is not None:
        _simulate(rows, texts, program, 60.0 if timeout is None else timeout)
    _write(folder, rows, texts)
    page = screen.console()
    _print(page, rows, pulse, simulated=program is not None)
    screen.line(page, f"\nWrote  {folder}  ({len(rows)} netlists, delays.csv)")
    if program is None:
        screen.line(page, "Next   the same with --run, or ngspice -b FILE.cir")
        return 0
    worst = max(abs(row["relative_difference"]) for row in rows)
    verdict = "agree" if worst <= _TOLERANCE else "DIFFER"
    told = "one of them never crosses" if math.isinf(worst) else f"{100 * worst:.2g} %"
    screen.line(page, f"ngspice and model {verdict}: largest difference {told}")
    return 0 if worst <= _TOLERANCE else _DISAGREE


def _elements(
    map_path: str | None,
    devices: Sequence[str],
    first: int | None,
    pulse: "Pulse",
    values: dict[str, Any],
) -> "list[DelayElement]":
    """Those of the map, or those that the flags describe."""
    from denram.mapping import open_map
    from denram.mapping.spice import first_addresses, map_elements

    offset = values.pop("offset_volt") or 0.0
    if map_path is None:
        if devices or first is not None:
            raise InputError("--device and --first must stand with --map")
        return _given(pulse, offset, **values)
    stray = [name for name, value in values.items() if value not in (None, ())]
    if stray:
        raise InputError(f"--{stray[0]} must not stand with --map, which decides it")
    if devices and first is not None:
        raise InputError("--first must not stand with --device")
    addresses = [_address(text) for text in devices]
    chip = open_map(map_path)
    addresses = addresses or first_addresses(chip, 10 if first is None else first)
    supply = pulse.supply_volt
    return map_elements(chip, addresses, supply_volt=supply, offset_volt=offset)


def _given(
    pulse: "Pulse",
    offset: float,
    *,
    resistance: tuple[float, ...],
    cap: float | None,
    threshold_factor: float | None,
    threshold_volt: float | None,
) -> "list[DelayElement]":
    from denram.mapping.spice import DelayElement

    if not resistance:
        raise InputError("--map or --resistance must be given")
    if len(resistance) > _MOST:
        raise InputError(
            f"--resistance must be at most {_MOST} times, got {len(resistance)}"
        )
    if threshold_volt is not None and threshold_factor is not None:
        raise InputError("--threshold_factor must not stand with --threshold_volt")
    if threshold_volt is None:
        k = 1.0 if threshold_factor is None else threshold_factor
        threshold_volt = -pulse.supply_volt * math.expm1(-k)
    c = 1e-12 if cap is None else cap
    return [DelayElement(r, c, threshold_volt + offset) for r in resistance]


def _address(text: str) -> "Address":
    if not _DEVICE.fullmatch(text):
        raise InputError(f"--device must be POST,PRE,TAP, got {text[:80]!r}")
    post, pre, tap = map(int, text.split(","))
    return post, pre, tap


def _name(element: "DelayElement", i: int) -> str:
    """The file's name: the place on the chip, or the number."""
    place = (i,) if element.address is None else element.address
    return "_".join(("delay", *map(str, place)))


def _folder(out: str | None, texts: Sequence[str]) -> Path:
    from denram.storage import output_path

    if out is None:
        print_of = fingerprint({"netlists": list(texts)})[:8]
        out = str(Path("spice") / f"{len(texts)}-elements-{print_of}")
    folder = output_path(out, "--out")
    if folder.exists():
        raise InputError(f"--out must not exist yet, got {str(folder)!r}")
    return folder


def _row(element: "DelayElement", pulse: "Pulse", name: str) -> dict[str, Any]:
    post, pre, tap = ("", "", "") if element.address is None else element.address
    return {
        "post": post,
        "pre": pre,
        "tap": tap,
        "resistance_ohm": element.resistance_ohm,
        "capacitance_farad": element.capacitance_farad,
        "threshold_volt": element.threshold_volt,
        "supply_volt": pulse.supply_volt,
        "rise_s": pulse.rise_s,
        "width_s": pulse.width_s,
        "map_delay_s": "" if element.map_delay_s is None else element.map_delay_s,
        "model_delay_s": element.delay_s(pulse),
        "ngspice_delay_s": "",
        "relative_difference": "",
        "netlist": name,
    }


def _simulate(
    rows: list[dict[str, Any]], texts: Sequence[str], program: str, timeout: float
) -> None:
    from denram.mapping.spice import ngspice_delay_s, relative_difference

    for row, text in zip(rows, texts, strict=True):
        try:
            found = ngspice_delay_s(text, program=program, timeout_s=timeout)
        except DenRAMError as error:
            raise DenRAMError(f"{row['netlist']}: {error}") from None
        row["ngspice_delay_s"] = found
        row["relative_difference"] = relative_difference(row["model_delay_s"], found)


def _write(folder: Path, rows: list[dict[str, Any]], texts: Sequence[str]) -> None:
    from denram.storage import replacing

    with replacing(folder) as scratch:
        scratch.mkdir()
        for row, text in zip(rows, texts, strict=True):
            (scratch / row["netlist"]).write_text(text, encoding="ascii")
        table = scratch / "delays.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows([row[name] for name in _COLUMNS] for row in rows)


def _print(
    page: "Console", rows: list[dict[str, Any]], pulse: "Pulse", *, simulated: bool
) -> None:
    top = "stays on" if math.isinf(pulse.width_s) else screen.si(pulse.width_s, "s")
    source = f"source {pulse.supply_volt:g} V, rise {screen.si(pulse.rise_s, 's')}"
    screen.heading(page, "RC delay elements", f"{source}, top {top}")
    columns = ["", "R", "C", "threshold", "model delay"]
    columns += ["ngspice delay", "difference, %"] if simulated else []
    screen.table(page, columns, [_cells(r, simulated) for r in rows[:_MOST_ROWS]])
    if len(rows) > _MOST_ROWS:
        screen.line(page, f"and {len(rows) - _MOST_ROWS} more, in delays.csv")


def _cells(row: dict[str, Any], simulated: bool) -> list[str]:
    def delay(seconds: float) -> str:
        return "never" if math.isinf(seconds) else screen.si(seconds, "s", 6)

    cells = [
        row["netlist"].removesuffix(".cir"),
        screen.si(row["resistance_ohm"], "ohm"),
        screen.si(row["capacitance_farad"], "F"),
        screen.si(row["threshold_volt"], "V"),
        delay(row["model_delay_s"]),
    ]
    if simulated:
        gap = row["relative_difference"]
        cells += [delay(row["ngspice_delay_s"]), f"{100 * gap:.5f}"]
    return cells
