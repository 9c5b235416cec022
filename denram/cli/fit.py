"""`denram-map fit`: measured resistances to laws, tests and a device card."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
from msgspec import Meta

from denram.cli import _screen as screen
from denram.cli._fit_screen import print_fit
from denram.cli._options import number
from denram.config import Index, Positive, Seed, fingerprint
from denram.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from denram.devices.fit import Fit
    from denram.devices.fit_card import CardHead
    from denram.devices.fit_read_noise import ReadNoiseFit
    from denram.devices.fit_readings import Meaning

_DIFFERS = 3  # exit code
_Draws = Annotated[int, Meta(ge=0, le=100_000)]


@click.command()
@click.argument("measured", metavar="MEASURED")
@click.option(
    "--unit",
    type=click.Choice(("ohm", "siemens", "seconds")),
    required=True,
    help="Of the readings; seconds of delay need --cap and --threshold_factor.",
)
@click.option(
    "--role",
    type=click.Choice(("delay", "weight")),
    required=True,
    help="What the devices are for.",
)
@click.option(
    "--column", metavar="NAME", help="Of the readings: title, or number from 1."
)
@click.option("--address", metavar="NAME", help="Column that tells cells apart.")
@click.option("--time", metavar="NAME", help="Column of the time since programming, s.")
@click.option("--level", metavar="NAME", help="Column of the programmed level.")
@click.option(
    "--censored",
    metavar="NAME",
    help="Column that says 1: R is at least the reading, -1: at most, 0: known.",
)
@click.option(
    "--where",
    metavar="NAME=VALUE",
    multiple=True,
    help="Only rows whose column holds this; may be repeated.",
)
@click.option("--no-header", is_flag=True, help="The first line is a row already.")
@number("--scale", Positive, "Factor of the readings, 1e3 for kohm.", default=1)
@number("--above", Positive, "R from here on is only known to be so large, ohm.")
@number("--below", Positive, "R up to here is only known to be so small, ohm.")
@click.option("--drop-bad", is_flag=True, help="Leave out rows that are no readings.")
@number("--cap", Positive, "Capacitance behind measured delays, farad.")
@number("--threshold_factor", Positive, "k in delay = k R C.")
@click.option(
    "--law",
    type=click.Choice(("lognormal", "normal-g", "mixture", "auto")),
    default="auto",
    show_default=True,
    help="The law to judge; auto: the simplest within 10 of the smallest AIC.",
)
@number("--bootstrap", _Draws, "Draws for intervals, and for tests.", default=200)
@number("--seed", Seed, "Of the bootstraps and the split.", default=0)
@click.option(
    "--half-split",
    is_flag=True,
    help="Fit one half of the cells, foretell the other at every time.",
)
@click.option(
    "--read_noise", metavar="FILE", help="Many reads of a cell in each line, in --unit."
)
@number("--read_noise_skip", Index, "Columns before the reads.", default=0)
@click.option("--card-out", metavar="NAME.toml", help="Device card to write.")
@click.option("--licence", metavar="TEXT", help="Of the data; a card must have one.")
@click.option(
    "--source", metavar="TEXT", help="Where the data come from, for the card."
)
@click.option("--description", metavar="TEXT", help="One line, for the card.")
@click.option(
    "--range",
    "programmed_range",
    is_flag=True,
    help="The devices were programmed over a range: their spread is no state's.",
)
@click.option("--out", metavar="FOLDER", help="Folder to write; must not exist yet.")
@click.option("--strict", is_flag=True, help="Exit with 3 where the law DIFFERS.")
def fit(  # noqa: PLR0917 - click passes by keyword
    measured: str,
    unit: Any,
    role: Any,
    no_header: bool,
    where: tuple[str, ...],
    law: Any,
    bootstrap: int | None,
    seed: int | None,
    half_split: bool,
    read_noise: str | None,
    read_noise_skip: int | None,
    card_out: str | None,
    out: str | None,
    strict: bool,
    **flags: Any,
) -> int:
    """Fit measured resistances: laws, tests, levels, drift; write a device card.

    MEASURED is a table of readings separated by comma, semicolon or tab, perhaps
    gzipped. Readings that are `open`, `OL` or `inf`, or beyond --above or --below, are
    censored and count by their probability. Intervals are of 95 %, from resampled
    cells; p-values come from draws of the fitted law, fitted again. With --time, the
    drift of every cell from its first reading is fitted.

    Written to --out: report.json and fit.png. Exit code 0 also where the readings
    DIFFER from the law, 3 with --strict.
    """
    from denram.devices.fit import FitSettings, fit_file
    from denram.devices.fit_card import card_text
    from denram.devices.fit_readings import Columns

    names = ("address", "time", "level", "censored")
    columns = Columns(
        value=flags["column"],
        **{name: flags[name] for name in names},
        where=tuple(_pair(text) for text in where),
        header=not no_header,
    )
    meaning = _meaning(unit, flags)
    head = _head(card_out, flags)
    settings = FitSettings(
        law, 200 if bootstrap is None else bootstrap, seed or 0, half_split
    )
    folder = _folder(out, Path(measured), columns, meaning, settings)
    noise = _read_noise(read_noise, read_noise_skip, unit)
    found = fit_file(Path(measured), columns, meaning, settings, noise)
    text = None if head is None else card_text(found, role, head)
    _write(folder, found)
    page = screen.console()
    print_fit(page, found)
    screen.line(page, f"\nWrote  {folder}  (report.json, fit.png)")
    if text is not None:
        _write_card(page, str(card_out), text, found, strict=strict)
    return _DIFFERS if strict and not found.agrees else 0


def _write_card(
    page: "Console", card_out: str, text: str, found: "Fit", *, strict: bool
) -> None:
    """A card holds one lognormal state: another law is not put into it unsaid."""
    from denram.storage import write_text

    wrong = None
    if "s.sigma_ln]" in text:  # hrs or lrs: the law of the state itself
        if found.chosen != "lognormal":
            wrong = f"the readings are a {found.chosen}, and a card holds a lognormal"
        elif found.laws["lognormal"].rejected:
            wrong = "the lognormal is rejected"
    if wrong and (strict or found.chosen != "lognormal"):
        screen.line(
            page,
            f"No card: {wrong}. Pick one state by --where or --range, or insist with"
            " --law lognormal",
            style="bold",
        )
        return
    write_text(Path(card_out), text)
    screen.line(page, f"Wrote  {card_out}")
    if wrong:
        screen.line(page, f"CAUTION: {wrong} by the test; the card says so")
    screen.line(page, f"Next   denram-map --card {card_out}")


def _pair(text: str) -> tuple[str, str]:
    name, mark, value = text.partition("=")
    if not (name and mark):
        raise InputError(f"--where must be NAME=VALUE, got {text!r}"[:200])
    return name, value.strip()


def _meaning(unit: Any, flags: dict[str, Any]) -> "Meaning":
    from denram.devices.fit_readings import Meaning

    c, k = flags["cap"], flags["threshold_factor"]
    if unit == "seconds" and (c is None or k is None):
        missing = "--cap" if c is None else "--threshold_factor"
        raise InputError(f"{missing} must be given with --unit seconds, got nothing")
    if unit != "seconds" and not (c is None and k is None):
        raise InputError(
            f"--cap and --threshold_factor must stand with --unit seconds, got {unit}"
        )
    above, below = flags["above"], flags["below"]
    if above is not None and below is not None and below >= above:
        raise InputError(f"--below must be < --above = {above:g}, got {below:g}")
    return Meaning(
        unit,
        factor=1.0 if flags["scale"] is None else flags["scale"],
        k_c_farad=None if c is None or k is None else k * c,
        above_ohm=above,
        below_ohm=below,
        drop_bad=flags["drop_bad"],
    )


def _head(card_out: str | None, flags: dict[str, Any]) -> "CardHead | None":
    from denram.devices.fit_card import CardHead
    from denram.storage import output_path

    if card_out is None:
        stray = [
            n for n in ("licence", "source", "description") if flags[n] is not None
        ]
        if stray:
            raise InputError(f"--{stray[0]} must stand with --card-out")
        return None
    path = output_path(card_out, "--card-out")
    if path.suffix != ".toml":
        raise InputError(f"--card-out must end in .toml, got {card_out!r}")
    if path.exists():
        raise InputError(f"--card-out must not exist yet, got {card_out!r}")
    if not (flags["licence"] or "").strip():
        raise InputError("--licence must be given with --card-out, got nothing")
    circuit = None
    if flags["cap"] is not None:
        circuit = flags["cap"], flags["threshold_factor"]
    return CardHead(
        path.stem,
        flags["licence"],
        flags["description"],
        flags["source"],
        one_state=not flags["programmed_range"],
        circuit=circuit,
    )


def _folder(out: str | None, measured: Path, *settings: Any) -> Path:
    from dataclasses import asdict

    from denram.storage import output_path

    if out is None:
        stem = re.sub(r"[^A-Za-z0-9_]+", "-", measured.name.partition(".")[0])[:40]
        print_of = fingerprint({str(i): asdict(s) for i, s in enumerate(settings)})[:8]
        out = str(Path("fits") / f"{stem.strip('-') or 'fit'}-{print_of}")
    folder = output_path(out, "--out")
    if folder.exists():
        raise InputError(f"--out must not exist yet, got {str(folder)!r}")
    return folder


def _read_noise(file: str | None, skip: int | None, unit: Any) -> "ReadNoiseFit | None":
    from denram.devices.fit_read_noise import fit_read_noise

    if file is None:
        if skip is not None:
            raise InputError("--read_noise_skip must stand with --read_noise")
        return None
    return fit_read_noise(Path(file), unit=unit, skip=skip or 0)


def _write(folder: Path, found: "Fit") -> None:
    from denram.analysis.fit_figure import fit_figure
    from denram.analysis.run_figures import save_figure
    from denram.devices.fit_data import fit_dataset
    from denram.devices.fit_report import report
    from denram.storage import replacing

    text = json.dumps(report(found), indent=2, allow_nan=False) + "\n"
    with replacing(folder) as scratch:
        scratch.mkdir()
        (scratch / "report.json").write_text(text, encoding="utf-8")
        save_figure(fit_figure(fit_dataset(found)), scratch / "fit.png")
