"""`denram-analyze energy`: energy, power and area per inference, with every source."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from denram.analysis.energy import Row, constant_rows, evaluate, published_rows
from denram.analysis.energy_formulas import SYMBOLS, Symbol
from denram.cli import _screen as screen
from denram.cli._options import choice, given, number, pairs
from denram.config import Count, NonNegative, Positive, fingerprint, preset_names
from denram.errors import InputError

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray
    from rich.console import Console

    from denram.mapping import HardwareMap
    from denram.train import RunConfig

_NAMES = {"joule": "J", "watt": "W", "second": "s", "farad": "F", "volt": "V",
          "ampere": "A", "siemens": "S"}  # fmt: skip

_FLAGS = re.compile(r"((?:--\w+, ){3}--\w+)((?:, --\w+)+)")

F = TypeVar("F", bound=Callable[..., Any])


def _type(symbol: Symbol) -> Any:
    if symbol.whole:
        return Count
    return Positive if symbol.open else NonNegative


def _constant_flags(function: F) -> F:
    """An option for every symbol that a user can know."""
    for name, symbol in reversed(list(SYMBOLS.items())):
        if symbol.flag:
            unit = "" if symbol.unit == "1" else f", {symbol.unit}"
            text = f"{name}: {symbol.meaning}{unit}."
            function = number(symbol.flag, _type(symbol), text, key=name.lower())(
                function
            )
    return function


@click.command()
@click.option("--run", "run_folder", metavar="FOLDER", help="Run of denram-train.")
@choice("--dataset", ("synthetic", "shd"), "Data set.", default="synthetic")
@click.option("--data_dir", metavar="FOLDER", help="Where the data set's files lie.")
@choice("--split", ("train", "valid", "test"), "Which samples.", default="test")
@choice("--preset", preset_names(), "Shipped settings.")
@click.option(
    "--set", "others", metavar="KEY=VALUE", multiple=True, help="Any other setting."
)
@click.option(
    "--card",
    default="denram-speech",
    show_default=True,
    help="Device card: a shipped name or a TOML file.",
)
@choice(
    "--charge",
    ("full", "threshold"),
    "How far a capacitor is charged.",
    default="full",
)
@_constant_flags
@click.option("--out", metavar="FOLDER", help="Folder to write; must not exist yet.")
def energy(
    *,
    run_folder: str | None,
    dataset: str | None,
    data_dir: str | None,
    split: str | None,
    preset: str | None,
    others: tuple[str, ...],
    card: str,
    charge: str | None,
    out: str | None,
    **flags: float | None,
) -> None:
    """Energy, power and area per inference, on counted spikes.

    The data are those of a run (--run, with its chip and trained weights) or of
    --dataset, on the chip that --card, --preset and --set describe. Constants come from
    the card and from flags; what neither says is unknown, and sums are partial then.
    Written to --out: energy.json and energy.png.
    """
    from denram.analysis.energy_inputs import (
        activity,
        activity_rows,
        constants,
        energy_dataset,
    )
    from denram.devices import load_card
    from denram.train.data import load

    device_card = load_card(card)
    asked = {"dataset": dataset, "data_dir": data_dir, **pairs(others)}
    config, chip, weights = _network(run_folder, preset, given(asked), card)
    values = {name: flags[name.lower()] for name in SYMBOLS if name.lower() in flags}
    record = {"set": values, "card": card, "split": split, "charge": charge}
    folder = _folder(out, config, {"run": run_folder, **record})
    splits = load(
        config.data,
        n_in=chip.mask.shape[1],
        timestep_s=chip.timestep_s,
        seed=config.seed,
    )
    found = activity(getattr(splits, split or "test"), chip)
    known = constants(
        found,
        chip,
        device_card,
        given(values),
        positive=config.noise.positive_weights,
        charge=charge or "full",
        conductance=_conductance(weights, chip, config),
    )
    rows = evaluate(known)
    report = [*activity_rows(found), *constant_rows(known), *rows, *published_rows()]
    _write(folder, report, energy_dataset(rows, found))
    page = screen.console()
    detail = f"{found.name}, {split or 'test'} split, {found.spikes.size} samples"
    screen.heading(page, "Energy, power and area per inference", detail)
    _print(page, report)
    screen.line(page, f"\nWrote  {folder}  (energy.json, energy.png)")


def _network(
    run_folder: str | None, preset: str | None, asked: Mapping[str, Any], card: str
) -> "tuple[RunConfig, HardwareMap, NDArray[Any] | None]":
    """Settings, chip, and trained weights if there are any."""
    from denram.devices import load_card
    from denram.mapping import build_map, card_settings
    from denram.train import resolve
    from denram.train.run_config import require_delays

    if run_folder is not None:
        return _saved(Path(run_folder), preset, asked)
    config = resolve(asked, preset=preset, card=card_settings(load_card(card)))
    require_delays(config, "energy")
    seed = config.seed if config.chip_seed is None else config.chip_seed
    chip = build_map(config.map, seed=seed, noise_std=config.noise.noise_std)
    return config, chip, None


def _saved(
    folder: Path, preset: str | None, asked: Mapping[str, Any]
) -> "tuple[RunConfig, HardwareMap, NDArray[Any] | None]":
    """A run's own; only where its data lie may differ."""
    import msgspec

    from denram.mapping import open_map
    from denram.train import open_run
    from denram.train.run import MAP, RUN, saved_config
    from denram.train.run_config import require_delays

    if preset is not None or set(asked) - {"data_dir"}:
        stray = (
            "preset" if preset is not None else next(iter(set(asked) - {"data_dir"}))
        )
        raise InputError(f"{stray} must not be given with --run, which decides it")
    config = saved_config(folder)
    require_delays(config, "--run")
    if "data_dir" in asked:
        data = msgspec.structs.replace(config.data, data_dir=asked["data_dir"])
        config = msgspec.structs.replace(config, data=data)
    chip = open_map(folder / MAP)
    if not (folder / RUN).exists():
        return config, chip, None
    held = open_run(folder / RUN)
    weights = held["weights"].values if "weights" in held else None
    fits = weights is not None and weights.shape == chip.mask.shape
    return config, chip, weights if fits else None


def _conductance(
    weights: "NDArray[Any] | None", chip: "HardwareMap", config: "RunConfig"
) -> "NDArray[Any] | None":
    from denram.analysis.energy_inputs import conductance_siemens

    if weights is None:
        return None
    noise = config.noise
    return conductance_siemens(
        weights, chip, positive=noise.positive_weights, weight_max=noise.weight_max
    )


def _folder(out: str | None, config: "RunConfig", record: dict[str, Any]) -> Path:
    from denram.storage import output_path

    if out is None:
        print_of = fingerprint({"run": config.fingerprint, **record})[:8]
        out = str(Path("energy") / f"{config.data.dataset}-{print_of}")
    folder = output_path(out, "--out")
    if folder.exists():
        raise InputError(f"--out must not exist yet, got {str(folder)!r}")
    return folder


def _write(folder: Path, report: list[Row], dataset: "xr.Dataset") -> None:
    from denram.analysis.energy_figure import energy_figure
    from denram.storage import replacing

    text = json.dumps([row.as_dict() for row in report], indent=2, allow_nan=False)
    with replacing(folder) as scratch:
        scratch.mkdir()
        (scratch / "energy.json").write_text(text + "\n", encoding="utf-8")
        energy_figure(dataset).savefig(scratch / "energy.png", dpi=160)


def _print(page: "Console", report: list[Row]) -> None:
    """Group by group: each quantity, then its formula with values, and its source."""
    for group in dict.fromkeys(row.group for row in report):
        rows = [row for row in report if row.group == group]
        sources = {row.source for row in rows}
        shared = sources.pop() if len(sources) == 1 else ""
        screen.heading(page, group, shared)
        for row in rows:
            _print_row(page, row, "" if row.source == shared else row.source)


def _print_row(page: "Console", row: Row, source: str) -> None:
    head = f"  {row.quantity}: " + (f"{row.symbol} = " if row.symbol else "")
    if row.value is None:
        rule = f"{row.formula}, " if row.formula else ""
        screen.line(page, f"{head}{rule}{_short(source)}", style="dim")
        return
    style = "bold" if row.formula else None
    screen.line(page, f"{head}{_shown(row.value, row.unit)}  ({row.kind})", style=style)
    if row.formula:
        values = f";  {row.values}" if row.values else ""
        screen.line(page, f"      = {row.formula}{values}")
    if source:
        screen.line(page, f"      {_short(source)}")


def _short(source: str) -> str:
    """A source that names at most four flags; the JSON names them all."""
    return _FLAGS.sub(lambda m: f"{m[1]} and {m[2].count('--')} more", source)


def _shown(value: float, unit: str) -> str:
    if unit in _NAMES:
        return screen.si(value, _NAMES[unit])
    return f"{value:.6g}" + ("" if unit == "1" else f" {unit}")
