"""`denram-analyze fig4d`: the paper's noise figure, complete."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.cli import _screen as screen
from denram.cli._cells import run_options, write_csv
from denram.cli._options import choice, given, number, numbers, pairs
from denram.cli.sweep import run_cells
from denram.config import Count, NonNegative, Seed, fingerprint, preset_names
from denram.errors import InputError
from denram.storage import output_path, replacing

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console


@click.command()
@choice("--dataset", ("synthetic", "shd"), "Data set.", default="synthetic")
@click.option("--data_dir", metavar="FOLDER", help="Where the data set's files lie.")
@click.option("--seeds", metavar="N,N,...", help="Seeds.  [shd: 42,50,9]")
@click.option("--noise_std", metavar="X,X,...", help="Noise levels in training.")
@number("--nb_epochs", Count, "Most epochs of each run.")
@number("--eval_draws", Count, "Noise draws of each test accuracy.")
@choice("--preset", preset_names(), "Shipped settings.")
@click.option(
    "--set", "others", metavar="KEY=VALUE", multiple=True, help="Any other setting."
)
@click.option(
    "--store", metavar="STORE", help="Draw this sweep again; nothing is computed."
)
@run_options
def fig4d(
    *,
    dataset: str | None,
    seeds: str | None,
    noise_std: str | None,
    preset: str | None,
    others: tuple[str, ...],
    store: str | None,
    out: str | None,
    **options: Any,
) -> int:
    """Test accuracy against weight noise: figure 4d of the DenRAM paper.

    On --dataset shd this is the paper's grid: 700 and 256 inputs, five noise levels,
    three seeds, 30 trainings; on the synthetic set it is a smaller one. Beyond the
    paper, every network is scored at every noise level. A sweep that was interrupted
    goes on where it stopped, and other seeds or levels are added to it.
    """
    from denram.analysis import fig4d_grid, open_sweep
    from denram.analysis.sweep_store import store_path

    page = screen.console()
    settings = {k: options.pop(k) for k in ("data_dir", "nb_epochs", "eval_draws")}
    if store is not None:
        path = store_path(store)
        folder = path.parent if out is None else output_path(out, "--out")
        _finish(page, open_sweep(path), folder)
        return 0
    name = dataset or "synthetic"
    grid = fig4d_grid(
        name,
        seeds=numbers("--seeds", seeds, Seed),
        noise_std=numbers("--noise_std", noise_std, NonNegative),
        settings={**given(settings), **pairs(others)},
        preset=preset,
    )
    named = Path("sweeps") / f"fig4d-{name}-{fingerprint(grid.base)[:8]}"
    folder = named if out is None else output_path(out, "--out")
    kind = "the paper's grid" if name == "shd" else "smaller than the paper's grid"
    screen.heading(page, "fig4d", f"on {name}: {grid.n_cells} trainings, {kind}")
    path, code = run_cells(page, grid, folder, **options)
    if path is not None:
        _finish(page, open_sweep(path), folder)
    return code


def _finish(page: "Console", sweep: "xr.Dataset", folder: Path) -> None:
    """Figure and tables on disk, the figure's points on screen."""
    from denram.analysis import fig4d_published, schema
    from denram.analysis.metrics import (
        dataset_names,
        fig4d_summary,
        matrix_rows,
        noise_matrix,
        summary_rows,
    )
    from denram.analysis.run_figures import fig4d_figure, save_figure

    if set(sweep[schema.STATUS].dims) != set(schema.FIG4D):
        raise InputError(f"store must have the axes {', '.join(schema.FIG4D)} of fig4d")
    done = sweep[schema.STATUS] == schema.DONE
    if not bool(done.any()):
        screen.line(page, "no cell is done yet: nothing to draw")
        return
    names = dataset_names(sweep)
    summary = fig4d_summary(sweep, fig4d_published() if names == "SHD" else None)
    matrix = noise_matrix(sweep)
    rows = summary_rows(summary)
    write_csv(folder / "fig4d.csv", rows)
    written = ["fig4d.csv", "fig4d.png", "fig4d.pdf"]
    if matrix is not None:  # a network that none of is done has nothing to show
        matrix = matrix.dropna(schema.NETWORK, how="all", subset=["mean"])
        write_csv(folder / "fig4d_matrix.csv", matrix_rows(matrix))
        written.insert(1, "fig4d_matrix.csv")
    for ending in ("png", "pdf"):
        with replacing(folder / f"fig4d.{ending}") as scratch:
            save_figure(fig4d_figure(summary, matrix), scratch, ending)
    screen.heading(page, "Test accuracy, %", f"on {names}")
    _table(page, rows)
    if matrix is not None:
        _print_matrix(page, matrix)
    protocol = str(sweep[schema.PROTOCOL].values[done.values][0])
    screen.line(page, f"one run's protocol: {protocol}")
    screen.line(page, f"written to {folder}: {', '.join(written)}")


def _table(page: "Console", rows: Sequence[dict[str, Any]]) -> None:
    columns = ["network", "noise", "mean", "95 % CI", "sd over seeds", "sd over draws"]
    keys = ["mean", "ci95", "sd", "draw_sd"]
    if "published_mean" in rows[0]:
        columns += ["published", "difference"]
        keys += ["published_mean", "difference"]
    table = [
        [
            str(row["network"]),
            f"{row['noise_std']:g}",
            *(_percent(row[key]) for key in keys),
            str(row["n_seeds"]),
        ]
        for row in rows
    ]
    screen.table(page, [*columns, "seeds"], table)


def _print_matrix(page: "Console", matrix: "xr.Dataset") -> None:
    """Rows: noise in training; columns: noise at test."""
    from denram.analysis.schema import NETWORK, NOISE, TEST_LEVEL

    for network in matrix[NETWORK].values:
        part = matrix["mean"].sel({NETWORK: network})
        part = part.transpose(NOISE, TEST_LEVEL)
        screen.heading(page, str(network), "trained at (rows), tested at (columns), %")
        columns = ["noise", *(f"{x:g}" for x in part[TEST_LEVEL].values)]
        table = [
            [f"{noise:g}", *map(_percent, row)]
            for noise, row in zip(part[NOISE].values, part.values, strict=True)
        ]
        screen.table(page, columns, table)


def _percent(share: float | str) -> str:
    return "-" if math.isnan(float(share)) else f"{100 * float(share):.2f}"
