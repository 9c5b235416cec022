"""`denram-map`: device statistics to the delays and weight devices of one chip."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.cli import _screen as screen
from denram.cli._map_pages import (
    print_outcome,
    print_support,
    print_survey,
    times_of,
    write_outcome,
)
from denram.cli._map_report import print_origin, print_report, print_set
from denram.cli._options import choice, number, pairs, run, settings, version
from denram.cli.export import export, import_
from denram.cli.fit import fit
from denram.cli.spice import spice
from denram.config import (
    Count,
    Index,
    NonNegative,
    Positive,
    Section,
    Seed,
    as_dict,
    convert,
    fingerprint,
)
from denram.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from denram.devices import ProgramOutcome
    from denram.mapping import ErrorConfig, HardwareMap, MapConfig, MapReport

# the preset whose data thin the 700 channels of SHD by a stride
_STRIDE_PRESET = "denram-2024"


class Around(Section, frozen=True):
    """Settings that lie outside [map] and still decide a map or its report.

    Attributes:
        seed: what the devices are drawn from.
        noise_std: weight noise as a fraction of max|w|; key of [noise].
        n_steps: length of the input window, steps; key of [data].
    """

    seed: Seed = 42
    noise_std: NonNegative = 0.1
    n_steps: Count = 150


@click.group(invoke_without_command=True, context_settings={"max_content_width": 100})
@number("--n_in", Count, "Input channels.", default=700)
@number("--n_out", Count, "Neurons.", default=20)
@number("--n_delays", Count, "Synapses per input and neuron.", default=16)
@number("--seed", Seed, "What the devices are drawn from.", default=42)
@number("--r_mu", Positive, "Mean resistance, ohm.", default=500e9)
@number("--r_std", NonNegative, "Standard deviation of ln R.", default=0.4)
@number("--max_delay", Index, "Longest delay the chip can keep, steps.", default=200)
@number("--timestep", Positive, "Length of one step, s.", default=0.005)
@number("--cap", Positive, "Capacitance of the delay element, farad.", default=1e-12)
@choice(
    "--distribution",
    ("lognormal", "uniform", "pattern"),
    "How the delays are distributed.",
    default="lognormal",
    key="delay_distribution",
)
@number("--threshold_factor", Positive, "k in delay = k R C.", default=1.0)
@number(
    "--capacitor_sigma", NonNegative, "Relative mismatch of capacitors.", default=0.0
)
@choice(
    "--sampler",
    ("counter", "jax-legacy"),
    "Random generator; jax-legacy is the published one.",
    default="counter",
)
@number("--g_min", Positive, "Smallest conductance of a weight device, siemens.")
@number("--g_max", Positive, "Largest conductance of a weight device, siemens.")
@number("--weight_levels", Index, "Levels of a weight device, 0: any.", default=0)
@number("--noise_std", NonNegative, "Weight noise over max|w|.", default=0.1)
@number("--chip", Index, "Which chip of the series.", default=0)
@click.option(
    "--card",
    default="denram-speech",
    show_default=True,
    help="Device card: a shipped name or a TOML file.",
)
@click.option("--preset", help="Shipped settings, such as denram-2024.")
@click.option("--config", "config_file", metavar="FILE.toml", help="Settings file.")
@number(
    "--n_steps", Count, "Input window, steps, for the wasted synapses.", default=150
)
@number("--chips", Count, "Chips to report on.", default=1)
@click.option(
    "--times", metavar="S,S,...", help="Times since programming to report on, s."
)
@number("--dead_inputs", Index, "How many of the last channels never spike.")
@click.option(
    "--set",
    "others",
    metavar="KEY=VALUE",
    multiple=True,
    help="A device error, such as delay_programming_sigma=0.1; repeatable. See"
    " --support.",
)
@click.option(
    "--support",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _, asked: print_support(ctx) if asked else None,
    help="Say which device effect acts where, and leave.",
)
@click.option("--out", metavar="FOLDER", help="Folder to write; must not exist yet.")
@click.option("--json", "json_file", metavar="FILE", help="Also write the report here.")
@version()
@click.pass_context
def command(  # noqa: PLR0917 - click passes by keyword
    ctx: click.Context,
    card: str,
    preset: str | None,
    config_file: str | None,
    seed: int | None,
    noise_std: float | None,
    n_steps: int | None,
    dead_inputs: int | None,
    chips: int | None,
    times: str | None,
    others: tuple[str, ...],
    out: str | None,
    json_file: str | None,
    **flags: Any,
) -> None:
    """Turn device statistics into the delays of one chip, and report what they waste.

    Settings are laid over one another: defaults, --card, --preset, --config, flags.
    Written to --out: map.zarr (for denram-train --map), map.png and report.json.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_options(ctx)
        return
    from denram.devices import load_card
    from denram.mapping import (
        ErrorConfig,
        MapConfig,
        build_map,
        card_settings,
        map_report,
        program_outcome,
        survey,
    )
    from denram.storage import write_text

    device_card = load_card(card)
    brought = card_settings(device_card)
    noise = _pop(brought, "noise_std")
    errors_of_card = {k: brought.pop(k) for k in list(brought) if k in _error_keys()}
    layers = settings(
        card={"noise": noise, "map": brought, "errors": errors_of_card},
        preset=preset,
        config_file=config_file,
        flags={
            "seed": seed,
            "data": {"n_steps": n_steps},
            "noise": {"noise_std": noise_std},
            "errors": pairs(others),
            "map": flags,
        },
    )
    config, around = convert(MapConfig, layers["map"]), _around(layers)
    errors = convert(ErrorConfig, layers.get("errors", {}))
    folder = _folder(out, config, around, errors)
    json_path = None if json_file is None else _new_file(json_file, folder)
    chip = build_map(
        config, seed=around.seed, noise_std=around.noise_std, errors=errors
    )
    dead = _dead_inputs(config.n_in, preset, dead_inputs)
    surveyed = None
    if chips is not None or times is not None:
        surveyed = survey(
            config,
            errors,
            seed=around.seed,
            n_steps=around.n_steps,
            n_chips=chips or 1,
            times_s=times_of(times),
            dead_inputs=dead,
        )
    report = map_report(chip, n_steps=around.n_steps, dead_inputs=dead)
    outcome = program_outcome(config, errors, seed=around.seed)
    _write(folder, chip, report, dead, outcome)
    if json_path is not None:
        write_text(json_path, _as_json(report, chip, outcome))
    page = screen.console()
    print_report(page, chip, report)
    held = as_dict(config) | as_dict(around) | as_dict(errors)
    print_origin(page, held, device_card)
    print_set(page, errors, device_card)
    if outcome is not None:
        print_outcome(page, outcome)
    if surveyed is not None:
        print_survey(page, surveyed)
    files = "map.zarr, map.png, report.json"
    files += "" if outcome is None else ", programming.csv"
    screen.line(page, f"\nWrote  {folder}  ({files})")
    train = f"denram-train --map {folder}"
    if config.weight_levels:  # what a level is worth in weight units is not on a card
        train += " --weight_max LARGEST_WEIGHT"
    screen.line(page, f"Next   {train}", style="bold")


def _refuse_options(ctx: click.Context) -> None:
    """Options of the map itself say nothing to a subcommand."""
    for name in ctx.params:
        source = ctx.get_parameter_source(name)
        if source is click.core.ParameterSource.COMMANDLINE:
            raise InputError(
                f"--{name} must stand after {ctx.invoked_subcommand}, if it has it"
            )


def _pop(values: dict[str, Any], key: str) -> dict[str, Any]:
    """Take one key out, as a mapping of its own; empty if it is not there."""
    return {key: values.pop(key)} if key in values else {}


def _around(layers: dict[str, Any]) -> Around:
    own = _pop(layers, "chip_seed")
    found = {
        **_pop(layers, "seed"),
        **({"seed": own["chip_seed"]} if own else {}),
        **_pop(layers.get("noise", {}), "noise_std"),
        **_pop(layers.get("data", {}), "n_steps"),
    }
    return convert(Around, found)


def _error_keys() -> frozenset[str]:
    from denram.mapping import ErrorConfig

    return frozenset(ErrorConfig.__struct_fields__)


def _folder(
    out: str | None, config: "MapConfig", around: Around, errors: "ErrorConfig"
) -> Path:
    from denram.storage import output_path, safe_name

    if out is None:
        size = f"{config.n_in}x{config.n_delays}"
        record = {"map": as_dict(config), **as_dict(around)}
        if as_dict(errors) != as_dict(type(errors)()):
            record["errors"] = as_dict(errors)
        name = (
            f"{size}-{config.delay_distribution}-seed{around.seed}"
            f"-{fingerprint(record)[:8]}"
        )
        out = str(Path("maps") / safe_name(name, "out"))
    folder = output_path(out, "--out")
    if folder.exists():
        raise InputError(f"--out must not exist yet, got {str(folder)!r}")
    return folder


def _new_file(text: str, folder: Path) -> Path:
    from denram.storage import output_path

    path = output_path(text, "--json")
    if folder.absolute() in (path.absolute(), *path.absolute().parents):
        raise InputError(f"--json must lie outside of --out ({folder}), got {text!r}")
    if path.exists():
        raise InputError(f"--json must not exist yet, got {text!r}")
    return path


def _dead_inputs(
    n_in: int, preset: str | None, n_dead: int | None
) -> "NDArray[np.bool_]":
    from denram.mapping import stride_dead_inputs, trailing_inputs

    if n_dead is None:
        n_dead = stride_dead_inputs(n_in) if preset == _STRIDE_PRESET else 0
    return trailing_inputs(n_in, n_dead)


def _as_json(
    report: "MapReport", chip: "HardwareMap", outcome: "ProgramOutcome | None"
) -> str:
    told: dict[str, Any] = report.as_dict() | {"errors": dict(chip.errors)}
    if outcome is not None:
        told["programming"] = {
            "accepted": int(outcome.accepted.sum()),
            "failed": int((~outcome.accepted).sum()),
            "mean_pulses": float(outcome.pulses.mean()),
            "failures": outcome.failures()[:1000].tolist(),
        }
    return json.dumps(told, indent=2, allow_nan=False) + "\n"


def _write(
    folder: Path,
    chip: "HardwareMap",
    report: "MapReport",
    dead: "NDArray[np.bool_]",
    outcome: "ProgramOutcome | None",
) -> None:
    """Write map, figure and report: the whole folder or nothing."""
    from denram.analysis.figures import map_figure
    from denram.mapping import map_histograms, save_map, waste_flags
    from denram.storage import replacing

    n_steps = report.waste.n_steps
    flags = waste_flags(chip, n_steps=n_steps, dead_inputs=dead)
    with replacing(folder) as scratch:
        scratch.mkdir()
        save_map(chip, scratch / "map.zarr", waste=flags)
        figure = map_figure(map_histograms(chip, n_steps=n_steps))
        figure.savefig(scratch / "map.png", dpi=160)
        text = _as_json(report, chip, outcome)
        (scratch / "report.json").write_text(text, encoding="utf-8")
        if outcome is not None:
            write_outcome(scratch / "programming.csv", outcome)


for _subcommand in (fit, export, import_, spice):
    command.add_command(_subcommand)


def main() -> None:
    """Run `denram-map`."""
    sys.exit(run(command))
