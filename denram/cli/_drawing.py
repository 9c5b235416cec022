"""What commands that draw a sweep share: run or open it; table, picture and files."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from denram.cli import _screen as screen
from denram.cli._cells import run_options, write_csv
from denram.cli._options import choice
from denram.cli.sweep import run_cells
from denram.config import preset_names
from denram.storage import output_path, replacing

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from rich.console import Console

    from denram.analysis import Grid

F = TypeVar("F", bound=Callable[..., Any])
Rows = Sequence[dict[str, Any]]
# prints what a store shows; its data's names are the title; tables by file name
Report = Callable[["Console", "xr.Dataset", str], tuple["Figure", Mapping[str, Rows]]]


def figure_options(command: F) -> F:
    """The last options of every command that runs a grid and draws it."""
    for option in reversed(
        [
            choice("--preset", preset_names(), "Shipped settings."),
            click.option(
                "--set",
                "others",
                metavar="KEY=VALUE",
                multiple=True,
                help="Any other setting.",
            ),
            click.option(
                "--store",
                metavar="STORE",
                help="Draw this sweep again; nothing is computed.",
            ),
            run_options,
        ]
    ):
        command = option(command)
    return command


def run_and_draw(
    page: "Console",
    name: str,
    grid: "Grid | None",
    named: Path | None,
    report: Report,
    *,
    store: str | None,
    out: str | None,
    **options: Any,
) -> int:
    """Run what is missing of a grid, or open the store; then table and picture.

    Args:
        page: to print on.
        name: of the files.
        grid: to run; None where a store is opened.
        named: its folder unless --out says another.
        report: makes the figure and the tables.
        store: of --store.
        out: of --out.
        options: of `run_options`.
    """
    from denram.analysis import open_sweep
    from denram.analysis.sweep_store import store_path

    code = 0
    if store is not None:
        path = store_path(store)
        folder = path.parent if out is None else output_path(out, "--out")
    else:
        assert named is not None
        folder = named if out is None else output_path(out, "--out")
        done, code = run_cells(page, grid, folder, **options)
        if done is None:
            return code
        path = done
    draw(page, name, open_sweep(path), folder, report)
    return code


def draw(
    page: "Console", name: str, sweep: "xr.Dataset", folder: Path, report: Report
) -> None:
    """Report on a store and write what it shows, if a cell of it is done."""
    from denram.analysis import schema
    from denram.analysis.metrics import dataset_names

    finished = sweep[schema.STATUS] == schema.DONE
    if not bool(finished.any()):
        screen.line(page, "no cell is done yet: nothing to draw")
        return
    figure, tables = report(page, sweep, f"on {dataset_names(sweep)}")
    protocol = str(sweep[schema.PROTOCOL].values[finished.values][0])
    screen.line(page, f"one run's protocol: {protocol}")
    write_drawn(page, name, folder, figure, tables)


def write_drawn(
    page: "Console",
    name: str,
    folder: Path,
    figure: "Figure",
    tables: Mapping[str, Rows],
) -> None:
    """Tables as CSV and the figure as PNG and PDF, each whole or not at all."""
    from denram.analysis.run_figures import save_figure

    written = [f"{table}.csv" for table in tables]
    for table, rows in tables.items():
        write_csv(folder / f"{table}.csv", rows)
    for ending in ("png", "pdf"):
        written.append(f"{name}.{ending}")
        with replacing(folder / written[-1]) as scratch:
            save_figure(figure, scratch, ending)
    screen.line(page, f"written to {folder}: {', '.join(written)}")


def percent(share: float | str) -> str:
    """A share in percent, `-` for NaN."""
    return "-" if math.isnan(float(share)) else f"{100 * float(share):.2f}"
