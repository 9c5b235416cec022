"""`denram-analyze yield`, `drift` and `coprogram`: many chips, and time."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from denram.cli import _screen as screen
from denram.cli._drawing import Report, figure_options, run_and_draw
from denram.cli._options import choice, given, number, numbers, pairs
from denram.config import Count, NonNegative, Seed, fingerprint
from denram.errors import InputError

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from denram.analysis import Grid

F = TypeVar("F", bound=Callable[..., Any])
AGAINST = (
    "r_std",
    "delay_programming",
    "weight_programming",
    "delay_stuck",
    "weight_stuck",
)


def _chip_options(n_chips: int) -> Callable[[F], F]:
    """What the three commands share, with their usual number of chips."""

    def add(command: F) -> F:
        for option in reversed(
            [
                choice("--dataset", ("synthetic", "shd"), "Data.", default="synthetic"),
                click.option("--data_dir", metavar="FOLDER", help="Where they lie."),
                number("--chips", Count, "Chips per point.", default=n_chips),
                number("--seed", Seed, "Initial weights, batches.", default=42),
                number("--nb_epochs", Count, "Most epochs of each run."),
                click.option("--card", help="Device card: a name or a TOML file."),
                figure_options,
            ]
        ):
            command = option(command)
        return command

    return add


@click.command(name="yield")
@click.option(
    "--against",
    type=click.Choice(AGAINST),
    default="weight_programming",
    show_default=True,
    help="The effect along the axis.",
)
@click.option("--values", metavar="X,X,...", help="Its values.")
@click.option(
    "--spec",
    metavar="P,P,...",
    default="70,80",
    show_default=True,
    help="Test accuracies to be reached, %.",
)
@click.option(
    "--transfer",
    is_flag=True,
    help="Train for one chip and move its weights to the others.",
)
@_chip_options(8)
def yield_(
    *,
    against: str,
    values: str | None,
    spec: str,
    transfer: bool,
    store: str | None,
    out: str | None,
    chips: int | None,
    preset: str | None,
    **options: Any,
) -> int:
    """Probability that a chip reaches an accuracy, with Wilson's 95 % interval.

    A chip is one draw of all its devices. By default the network is trained for every
    chip, its delays measured; its accuracy is the mean over weight programmings.
    """
    from denram.analysis.chip_grids import yield_grid
    from denram.analysis.chip_metrics import chip_accuracies, yields

    specs = [x / 100 for x in numbers("--spec", spec, NonNegative) or ()]
    if not all(0 < x <= 1 for x in specs):
        raise InputError(f"--spec must be > 0 and <= 100, got {spec!r}")
    settings, options = _settings(options)
    grid = None
    if store is None:
        grid = yield_grid(
            against,
            numbers("--values", values, NonNegative),
            n_chips=chips or 8,
            transfer=transfer,
            settings=settings,
            preset=preset,
        )

    def report(page: "Console", sweep: "xr.Dataset", title: str) -> tuple[Any, Any]:
        from denram.analysis.chip_figures import yield_figure

        accuracy = chip_accuracies(sweep)
        found = yields(accuracy, specs)
        across = next(str(d) for d in accuracy.dims if d != "chip")
        rows = [
            {
                across: float(x),
                "chips": int(found["n"].sel({across: x, "spec": s})),
                "mean": 100 * float(accuracy.sel({across: x}).mean()),
                "worst": 100 * float(accuracy.sel({across: x}).min()),
                "best": 100 * float(accuracy.sel({across: x}).max()),
                "spec": 100 * float(s),
                "yield": 100 * float(found["yield_"].sel({across: x, "spec": s})),
                "low": 100 * float(found["low"].sel({across: x, "spec": s})),
                "high": 100 * float(found["high"].sel({across: x, "spec": s})),
            }
            for x in accuracy[across].values
            for s in specs
        ]
        screen.heading(page, "Yield, %", title)
        _table(page, rows)
        return yield_figure(accuracy, found, title), {"yield": rows}

    return _run("yield", grid, store, out, report, options)


@click.command()
@click.option("--times", metavar="S,S,...", help="Seconds since programming.")
@_chip_options(4)
def drift(
    *,
    times: str | None,
    store: str | None,
    out: str | None,
    chips: int | None,
    preset: str | None,
    **options: Any,
) -> int:
    """Accuracy since programming: as it is, time scale put right, readout refitted.

    How devices drift must be said: by a --card, or by --set delay_relaxation_sigma=...
    and its like (`denram-map --support`); a card with levels needs --set weight_max=...
    too. Times are 0 and 1 s to 10 years unless given; 0 tells what refitting the
    readout gives by itself.
    """
    from denram.analysis.chip_grids import drift_grid
    from denram.analysis.chip_metrics import over_time

    settings, options = _settings(options)
    grid = None
    if store is None:
        asked = numbers("--times", times, NonNegative)
        grid = drift_grid(
            n_chips=chips or 4,
            times_s=None if asked is None else sorted(asked),
            settings=settings,
            preset=preset,
        )

    def report(page: "Console", sweep: "xr.Dataset", title: str) -> tuple[Any, Any]:
        from denram.analysis import schema
        from denram.analysis.chip_figures import drift_figure

        summary = over_time(sweep)
        rows = []
        for time_s in summary[schema.TIME].values:
            at = summary.sel({schema.TIME: time_s})
            row = {"time_s": float(time_s), "chips": int(at["n"].max())}
            row["delay_growth"] = float(at[schema.GROWTH])
            for name in at[schema.COMPENSATION].values:
                one = at.sel({schema.COMPENSATION: name})
                row[str(name)] = 100 * float(one["mean"])
                row[f"{name}_ci95"] = 100 * float(one["ci95"])
            rows.append(row)
        screen.heading(page, "Test accuracy since programming, %", title)
        _table(page, rows)
        return drift_figure(summary, title), {"drift": rows}

    return _run("drift", grid, store, out, report, options)


@click.command()
@click.option("--values", metavar="X,X,...", help="Programming errors, sigma of ln R.")
@_chip_options(3)
def coprogram(
    *,
    values: str | None,
    store: str | None,
    out: str | None,
    chips: int | None,
    preset: str | None,
    **options: Any,
) -> int:
    """What it gives to train weights against the delays that were really obtained.

    Delays are programmed with an error and measured back. Weights trained against the
    targets and weights trained against the outcomes are tested on the same chips.
    """
    from denram.analysis.chip_grids import coprogram_grid
    from denram.analysis.chip_metrics import coprogrammed

    settings, options = _settings(options)
    grid = None
    if store is None:
        grid = coprogram_grid(
            values=numbers("--values", values, NonNegative),
            n_chips=chips or 3,
            settings=settings,
            preset=preset,
        )

    def report(page: "Console", sweep: "xr.Dataset", title: str) -> tuple[Any, Any]:
        from denram.analysis.chip_figures import coprogram_figure

        if "train_on_targets" not in sweep.dims:
            raise InputError("store must have the axis train_on_targets")
        summary = coprogrammed(sweep)
        names = ("on_targets", "on_targets_ci95", "on_outcomes", "on_outcomes_ci95")
        key = "delay_programming_sigma"
        rows = [
            {
                key: float(x),
                "chips": int(summary["n"].sel({key: x})),
                **{n: 100 * float(summary[n].sel({key: x})) for n in names},
                "recovered": 100 * float(summary["recovered"].sel({key: x})),
            }
            for x in summary[key].values
        ]
        screen.heading(page, "Test accuracy on the chips obtained, %", title)
        _table(page, rows)
        return coprogram_figure(summary, title), {"coprogram": rows}

    return _run("coprogram", grid, store, out, report, options)


def _settings(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Flat settings of the runs, and the options of the sweep."""
    from denram.devices import load_card
    from denram.mapping import card_settings

    own = {k: options.pop(k) for k in ("dataset", "data_dir", "seed", "nb_epochs")}
    card, others = options.pop("card"), options.pop("others")
    brought = {} if card is None else card_settings(load_card(card))
    plain = {k: list(v) if isinstance(v, tuple) else v for k, v in brought.items()}
    own["dataset"] = own["dataset"] or "synthetic"
    return {**plain, **given(own), **pairs(others)}, options


def _run(  # noqa: PLR0917
    name: str,
    grid: "Grid | None",
    store: str | None,
    out: str | None,
    report: Report,
    options: dict[str, Any],
) -> int:
    """Run what is missing of the grid, or open the store; then table and picture."""
    named = None
    if grid is not None:
        base = {**grid.base, "axes": [axis.name for axis in grid.axes]}
        named = Path("sweeps") / f"{name}-{fingerprint(base)[:8]}"
    page = screen.console()
    return run_and_draw(
        page, name, grid, named, report, store=store, out=out, **options
    )


def _table(page: "Console", rows: Sequence[dict[str, Any]]) -> None:
    columns = list(rows[0])
    cells = [[_shown(key, row[key]) for key in columns] for row in rows]
    screen.table(page, [key.replace("_ci95", " ±") for key in columns], cells)


def _shown(key: str, value: Any) -> str:
    if math.isnan(value):
        return "-"
    if key == "time_s":
        return screen.si(value, "s", 3)
    if isinstance(value, int) or key in {"spec"}:
        return f"{value:g}"
    small = key == "delay_growth" or key.endswith(("sigma", "r_std", "hrs"))
    return f"{value:.3g}" if small else f"{value:.2f}"
