"""`denram-train`: train a network on a chip, with its noise, and store the evidence."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.cli import _screen as screen
from denram.cli._options import given, number, pairs, run, version
from denram.cli._train_chips import first_chip, train_chips
from denram.cli._train_options import settings_options
from denram.cli._train_screen import announce, progress
from denram.config import Count, as_dict, convert, merge
from denram.errors import InputError
from denram.storage import output_path, replacing

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from denram.mapping import HardwareMap
    from denram.train import RunConfig
    from denram.train.data import Splits

CONTROL = "without-delays"


@click.command(context_settings={"max_content_width": 100})
@settings_options
@click.option("--map", "map_path", metavar="STORE", help="Train on this map.zarr.")
@click.option(
    "--control/--no-control",
    default=None,
    help="Also train the same synapses without delays.  [default: on synthetic data]",
)
@number(
    "--chips", Count, "Train on so many chips of the series, each in its own folder."
)
@click.option(
    "--evaluate",
    is_flag=True,
    help="Train nothing: score the measured weights that lie beside --map, without"
    " noise unless it is given.",
)
@click.option(
    "--out", "--save_dir_name", "out", metavar="FOLDER", help="Folder of the run."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the run in --out with the settings that it keeps.",
)
@version()
def command(
    *,
    map_path: str | None,
    card: str | None,
    preset: str | None,
    config_file: str | None,
    others: tuple[str, ...],
    control: bool | None,
    chips: int | None,
    evaluate: bool,
    out: str | None,
    resume: bool,
    **flags: Any,
) -> None:
    """Train a network on a chip with hardware noise, and store run, picture and table.

    Settings are laid over one another: defaults, data set, --card, --map, --preset,
    --config, flags. Shown are the defaults of model delays on SHD; other data sets and
    hsnn have their own, printed at the start. Flags that begin with hsnn: are of that
    model alone.
    """
    from msgspec.structs import replace

    from denram.train import FAMILIES, reuse_memory
    from denram.train.run import RUN

    reuse_memory()
    settings = {**given(flags), **pairs(others)}
    chip, config = _config(
        settings,
        preset=preset,
        config_file=config_file,
        map_path=map_path,
        card=card,
        out=first_chip(out) if chips else out,
        resume=resume,
    )
    named = Path("runs") / _name(config, chip)
    folder = named if out is None else output_path(out, "--out")
    page = screen.console()
    announce(page, config, folder)
    if evaluate:
        if map_path is None or chip is None:
            raise InputError("--evaluate needs --map, a folder of denram-map import")
        # measured weights hold what programming did; its noise must be asked for
        if "noise_std" not in settings:
            noise = replace(config.noise, noise_std=0.0)
            config = replace(config, noise=noise)
        _evaluate(page, config, folder, chip, Path(map_path))
        return
    if chips is not None and chips > 1:
        if map_path is not None or control:
            other = "--map" if map_path is not None else "--control"
            raise InputError(f"--chips must not be given with {other}, got {chips}")
        train_chips(page, config, folder, chips, resume=resume)
        return
    if control is None and (folder / RUN).exists():  # as when it was trained
        control = (folder / CONTROL).exists()
    elif control is None:
        delayed = config.model == "delays" and config.map.max_delay > 0
        control = config.data.dataset == "synthetic" and delayed
    if control and config.model != "delays":
        raise InputError(f"--control is of model delays, got {config.model}")
    splits = _data(config) if control else None
    result = _train(page, config, folder, resume=resume, chip=chip, splits=splits)
    rows = [_row(FAMILIES[config.model].described(config), result)]
    if control:
        screen.heading(page, "Control", "the same synapses, every delay zero")
        plain, where = _without_delays(config), folder / CONTROL
        other = _train(
            page, plain, where, resume=where.exists(), chip=None, splits=splits
        )
        rows.append(_row("same synapses, no delays", other))
    _finish(page, result, rows, folder)


def _config(
    settings: dict[str, Any],
    *,
    preset: str | None,
    config_file: str | None,
    map_path: str | None,
    card: str | None,
    out: str | None,
    resume: bool,
) -> "tuple[HardwareMap | None, RunConfig]":
    """The run's settings, and its chip where one was given."""
    from dataclasses import replace as dataclass_replace

    from msgspec.structs import replace

    from denram.devices import load_card
    from denram.mapping import ErrorConfig, MapConfig, card_settings, open_map
    from denram.train import resolve
    from denram.train.run_config import from_dict, nested

    if resume:
        saved = _saved(out)
        if not (preset or config_file or map_path or card):
            return None, from_dict(merge(as_dict(saved), nested(settings, saved.model)))
    if map_path is not None and card is not None:
        raise InputError(f"--card must not be given with --map, got {card!r}")
    brought = {} if card is None else card_settings(load_card(card))
    chip = None if map_path is None else open_map(Path(map_path))
    fixed = {} if chip is None else dict(chip.config)
    if chip is not None:
        for key in settings.keys() & fixed.keys():
            if settings[key] != fixed[key]:
                raise InputError(
                    f"{key} is fixed by --map ({fixed[key]}), got {settings[key]}"
                )
        brought |= {"noise_std": chip.noise_std}
        brought |= _of_weights(chip)
    config = resolve(
        settings,
        preset=preset,
        file=None if config_file is None else Path(config_file),
        card=brought,
    )
    if chip is not None:
        errors = as_dict(config.errors)
        wanted = {k: v for k, v in errors.items() if k.startswith("weight_")}
        held = as_dict(convert(ErrorConfig, chip.errors))
        for key in settings.keys() & (held.keys() - wanted.keys()):
            if errors[key] != held[key]:
                raise InputError(
                    f"{key} is fixed by --map ({held[key]}), got {settings[key]}"
                )
        held |= wanted
        chip = dataclass_replace(chip, errors=held)
        config = replace(
            config,
            map=convert(MapConfig, fixed),
            errors=convert(ErrorConfig, held),
        )
    return chip, config


def _of_weights(chip: "HardwareMap") -> dict[str, Any]:
    """Errors of weight devices that a map brings along; a run may set others."""
    return {k: v for k, v in chip.errors.items() if k.startswith("weight_")}


def _saved(out: str | None) -> "RunConfig":
    """The settings of the run that --resume continues."""
    from denram.train.run import CONFIG, saved_config

    if out is None or not (Path(out) / CONFIG).is_file():
        raise InputError(
            f"--resume needs --out, the folder of a run that was begun, got {out!r}"
        )
    return saved_config(Path(out))


def _name(config: "RunConfig", map_: "HardwareMap | None") -> str:
    from denram.train import FAMILIES

    size = FAMILIES[config.model].slug(config)
    given_map = "" if map_ is None else f"-map{map_.fingerprint[:8]}"
    return (
        f"{config.data.dataset}-{size}"
        f"-noise{100 * config.noise.noise_std:.3g}-seed{config.seed}"
        f"{given_map}-{config.fingerprint[:8]}"
    )


def _without_delays(config: "RunConfig") -> "RunConfig":
    from msgspec.structs import replace

    chip = replace(config.map, max_delay=0, delay_distribution="pattern")
    return replace(config, map=chip)


def _data(config: "RunConfig") -> "Splits":
    from denram.train.data import load

    return load(
        config.data,
        n_in=config.map.n_in,
        timestep_s=config.map.timestep,
        seed=config.seed,
    )


def _train(
    page: "Console",
    config: "RunConfig",
    folder: Path,
    *,
    resume: bool,
    chip: "HardwareMap | None",
    splits: "Splits | None",
) -> "xr.Dataset":
    from denram.train import run as run_training

    with progress(page, config) as watch:
        return run_training(
            config, folder, resume=resume, chip=chip, splits=splits, watch=watch
        )


def _evaluate(
    page: "Console",
    config: "RunConfig",
    folder: Path,
    chip: "HardwareMap",
    measured: Path,
) -> None:
    """Score weights as they were measured, and keep the result like a run's."""
    from dataclasses import replace as with_

    from msgspec.structs import replace

    from denram.mapping import measured_weights_errors
    from denram.mapping.measured_weights import measured_weights
    from denram.train.run import score_given

    weights, bias = measured_weights(measured)
    errors = measured_weights_errors(config.errors)
    config = replace(config, errors=errors)
    chip = with_(chip, errors=as_dict(errors))
    result = score_given(config, folder, chip, weights=weights, bias=bias)
    screen.heading(page, "Result", f"on {result.attrs['dataset']}")
    columns = ["network", "valid %", "test %", "sd", "noise off %", "epoch"]
    screen.table(page, columns, [_row("measured weights and delays", result)])
    screen.line(page, f"protocol: {result.attrs['protocol']}")
    screen.line(page, f"written: {folder}/run.zarr, results.csv")


def _row(name: str, result: "xr.Dataset") -> list[str]:
    """One line of the final table."""
    accuracy = result["test_accuracy"]
    spread = float(accuracy.std(ddof=1)) if accuracy.size > 1 else float("nan")
    return [
        name,
        f"{100 * result.attrs['best_valid_accuracy']:.1f}",
        f"{100 * float(accuracy.mean()):.1f}",
        "-" if accuracy.size < 2 else f"{100 * spread:.1f}",
        f"{100 * result.attrs['test_accuracy_without_noise']:.1f}",
        str(result.attrs["best_epoch"]),
    ]


def _finish(
    page: "Console", result: "xr.Dataset", rows: list[list[str]], folder: Path
) -> None:
    from denram.analysis.run_figures import save_figure, training_figure
    from denram.train import FAMILIES

    model = json.loads(result.attrs["config"])["model"]
    screen.heading(page, "Result", f"on {result.attrs['dataset']}")
    columns = ["network", "valid %", "test %", "sd", "noise off %", "epoch"]
    screen.table(page, columns, rows)
    screen.line(page, f"protocol: {result.attrs['protocol']}")
    picture = folder / "curves.png"
    with replacing(picture) as scratch:
        save_figure(training_figure(result), scratch)
    screen.line(page, f"written: {folder}/run.zarr, results.csv, curves.png")
    screen.line(page, f"next: {FAMILIES[str(model)].NEXT}")


def main() -> None:
    """Entry point of `denram-train`."""
    sys.exit(run(command))
