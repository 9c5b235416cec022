"""`denram-analyze`: sweeps to tables and figures."""

import csv
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.cli import _screen as screen
from denram.cli._options import Number, choice, given, number, pairs, run, version
from denram.config import Count, NonNegative, Seed, preset_names
from denram.errors import InputError
from denram.storage import output_path, replacing

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from denram.analysis import Grid


@click.group(context_settings={"max_content_width": 100})
@version()
def command() -> None:
    """Run what is missing of a sweep, then write its figure and table."""


@command.command()
@choice("--dataset", ("synthetic", "shd"), "Data set.", default="synthetic")
@click.option("--data_dir", metavar="FOLDER", help="Where the data set's files lie.")
@click.option("--seeds", metavar="N,N,...", help="Seeds.  [shd: 42,50,9]")
@click.option("--noise_std", metavar="X,X,...", help="Noise levels over max|w|.")
@number("--nb_epochs", Count, "Most epochs of each run.")
@number("--eval_draws", Count, "Noise draws of each test accuracy.")
@choice("--preset", preset_names(), "Shipped settings.")
@click.option(
    "--set", "others", metavar="KEY=VALUE", multiple=True, help="Any other setting."
)
@click.option(
    "--out", metavar="FOLDER", help="Folder of the sweep; continued if there."
)
@click.option("--draw_only", is_flag=True, help="Draw what is done, run nothing.")
def fig4d(
    *,
    dataset: str | None,
    seeds: str | None,
    noise_std: str | None,
    preset: str | None,
    others: tuple[str, ...],
    out: str | None,
    draw_only: bool,
    **flags: Any,
) -> None:
    """Test accuracy against weight noise: figure 4d of the DenRAM paper.

    On --dataset shd this is the paper's grid: 700 and 256 inputs, five noise levels,
    three seeds, 30 trainings. On the synthetic set it is a smaller one. A sweep that
    was interrupted goes on where it stopped.
    """
    from denram.analysis import fig4d_grid, n_missing, open_sweep, run_sweep
    from denram.train import reuse_memory

    reuse_memory()
    name = dataset or "synthetic"
    grid = fig4d_grid(
        name,
        seeds=_numbers("--seeds", seeds, Seed),
        noise_std=_numbers("--noise_std", noise_std, NonNegative),
        settings={**given(flags), **pairs(others)},
        preset=preset,
    )
    named = Path("sweeps") / _name(grid, name)
    folder = named if out is None else output_path(out, "--out")
    page = screen.console()
    if draw_only:
        sweep = open_sweep(folder)
    else:
        _announce(page, grid, name, folder)
        lines = _Lines(page, n_missing(grid, folder))
        sweep = run_sweep(grid, folder, on_cell=lines)
    _finish(page, sweep, folder)


def _numbers(flag: str, text: str | None, kind: Any) -> tuple[Any, ...] | None:
    """Distinct numbers of one type, separated by commas."""
    if text is None:
        return None
    option = click.Option([flag])
    values = [Number(kind).convert(part, option, None) for part in text.split(",")]
    if len(set(values)) < len(values):
        raise InputError(f"{flag} must not name a value twice, got {text!r}")
    return tuple(values)


def _name(grid: "Grid", dataset: str) -> str:
    return f"fig4d-{dataset}-{grid.fingerprint[:8]}"


def _announce(page: "Console", grid: "Grid", dataset: str, folder: Path) -> None:
    cells = len(list(grid.cells()))
    kind = "the paper's grid" if dataset == "shd" else "smaller than the paper's grid"
    screen.heading(page, "fig4d", f"on {dataset}: {cells} trainings, {kind}")
    screen.line(page, f"networks  {', '.join(grid.networks)}")
    screen.line(page, f"noise     {', '.join(f'{x:g}' for x in grid.noise_std)}")
    screen.line(page, f"seeds     {', '.join(map(str, grid.seeds))}")
    screen.line(page, f"out       {folder}")


class _Lines:
    """One line per finished cell, with the time since the start and the time left."""

    def __init__(self, page: "Console", total: int) -> None:
        self.page, self.total = page, total
        self.ran, self.first = 0, time.monotonic()

    def __call__(
        self, network: str, noise_std: float, seed: int, result: "xr.Dataset | None"
    ) -> None:
        if result is None:
            return
        self.ran += 1
        spent = time.monotonic() - self.first
        left = spent / self.ran * (self.total - self.ran)
        test = 100 * float(result["test_accuracy"].mean())
        screen.line(
            self.page,
            f"{network:>10}  noise {noise_std:<5g} seed {seed:<5d}"
            f" test {test:6.2f} %  {self.ran}/{self.total} after {spent:.0f} s,"
            f" about {left:.0f} s left",
        )


def _finish(page: "Console", sweep: "xr.Dataset", folder: Path) -> None:
    from denram.analysis import fig4d_published, fig4d_summary, summary_rows
    from denram.analysis.run_figures import fig4d_figure, save_figure

    on_shd = sweep.attrs.get("dataset") == "SHD"
    summary = fig4d_summary(sweep, fig4d_published() if on_shd else None)
    rows = summary_rows(summary)
    with replacing(folder / "fig4d.csv") as scratch:
        with scratch.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    for ending in ("png", "pdf"):
        with replacing(folder / f"fig4d.{ending}") as scratch:
            save_figure(fig4d_figure(summary), scratch, ending)
    screen.heading(page, "Test accuracy, %", f"on {sweep.attrs.get('dataset', '?')}")
    columns = ["network", "noise", "mean", "sd over seeds", "sd over draws", "seeds"]
    table = [
        [
            str(row["network"]),
            f"{row['noise_std']:g}",
            *(_percent(row[key]) for key in ("mean", "sd", "draw_sd")),
            str(row["n_seeds"]),
        ]
        for row in rows
    ]
    screen.table(page, columns, table)
    screen.line(page, f"one run's protocol: {sweep.attrs.get('protocol', 'none done')}")
    screen.line(page, f"written: {folder}/sweep.zarr, fig4d.csv, fig4d.png, fig4d.pdf")


def _percent(share: float | str) -> str:
    return "-" if math.isnan(float(share)) else f"{100 * float(share):.2f}"


def main() -> None:
    """Entry point of `denram-analyze`."""
    sys.exit(run(command))
