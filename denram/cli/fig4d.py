"""`denram-analyze fig4d`: the paper's noise figure, complete."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.cli import _screen as screen
from denram.cli._drawing import Rows, figure_options, percent, run_and_draw
from denram.cli._options import choice, given, number, numbers, pairs
from denram.config import Count, NonNegative, Seed, fingerprint
from denram.errors import InputError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from rich.console import Console


@click.command()
@choice("--dataset", ("synthetic", "shd"), "Data set.", default="synthetic")
@click.option("--data_dir", metavar="FOLDER", help="Where the data set's files lie.")
@click.option("--seeds", metavar="N,N,...", help="Seeds.  [shd: 42,50,9]")
@click.option("--noise_std", metavar="X,X,...", help="Noise levels in training.")
@number("--nb_epochs", Count, "Most epochs of each run.")
@number("--eval_draws", Count, "Noise draws of each test accuracy.")
@figure_options
def fig4d(
    *,
    dataset: str | None,
    seeds: str | None,
    noise_std: str | None,
    preset: str | None,
    others: tuple[str, ...],
    store: str | None,
    **options: Any,
) -> int:
    """Test accuracy against weight noise: figure 4d of the DenRAM paper.

    On --dataset shd this is the paper's grid: 700 and 256 inputs, five noise levels,
    three seeds, 30 trainings; on the synthetic set it is a smaller one. Beyond the
    paper, every network is scored at every noise level. A sweep that was interrupted
    goes on where it stopped, and other seeds or levels are added to it.
    """
    from denram.analysis import fig4d_grid

    page = screen.console()
    settings = {k: options.pop(k) for k in ("data_dir", "nb_epochs", "eval_draws")}
    if store is not None:
        return run_and_draw(page, "fig4d", None, None, _report, store=store, **options)
    name = dataset or "synthetic"
    grid = fig4d_grid(
        name,
        seeds=numbers("--seeds", seeds, Seed),
        noise_std=numbers("--noise_std", noise_std, NonNegative),
        settings={**given(settings), **pairs(others)},
        preset=preset,
    )
    named = Path("sweeps") / f"fig4d-{name}-{fingerprint(grid.base)[:8]}"
    kind = "the paper's grid" if name == "shd" else "smaller than the paper's grid"
    screen.heading(page, "fig4d", f"on {name}: {grid.n_cells} trainings, {kind}")
    return run_and_draw(page, "fig4d", grid, named, _report, store=None, **options)


def _report(
    page: "Console", sweep: "xr.Dataset", title: str
) -> "tuple[Figure, dict[str, Rows]]":
    """The figure, its tables, and its points on screen."""
    from denram.analysis import fig4d_published, schema
    from denram.analysis.metrics import (
        dataset_names,
        fig4d_summary,
        matrix_rows,
        noise_matrix,
        summary_rows,
    )
    from denram.analysis.run_figures import fig4d_figure

    if set(sweep[schema.STATUS].dims) != set(schema.FIG4D):
        raise InputError(f"store must have the axes {', '.join(schema.FIG4D)} of fig4d")
    names = dataset_names(sweep)
    summary = fig4d_summary(sweep, fig4d_published() if names == "SHD" else None)
    matrix = noise_matrix(sweep)
    rows = summary_rows(summary)
    tables: dict[str, Rows] = {"fig4d": rows}
    if matrix is not None:  # a network that none of is done has nothing to show
        matrix = matrix.dropna(schema.NETWORK, how="all", subset=["mean"])
        tables["fig4d_matrix"] = matrix_rows(matrix)
    screen.heading(page, "Test accuracy, %", title)
    _table(page, rows)
    if matrix is not None:
        _print_matrix(page, matrix)
    return fig4d_figure(summary, matrix), tables


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
            *(percent(row[key]) for key in keys),
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
            [f"{noise:g}", *map(percent, row)]
            for noise, row in zip(part[NOISE].values, part.values, strict=True)
        ]
        screen.table(page, columns, table)
