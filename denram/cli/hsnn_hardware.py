"""`denram-analyze hsnn_hardware`: two families under the same device errors."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.analysis.hsnn_grids import DENRAM, HARDWARE, HSNN, hardware_grid
from denram.cli import _screen as screen
from denram.cli._cells import run_options
from denram.cli._drawing import percent, write_drawn
from denram.cli._options import choice, given, number, numbers, pairs
from denram.cli.sweep import run_cells
from denram.config import Count, Seed, fingerprint, preset_names
from denram.errors import InputError
from denram.storage import output_path

if TYPE_CHECKING:
    from rich.console import Console

    from denram.analysis import Grid

_PARTS = (HSNN, DENRAM)
_TITLE = "accuracy under weight noise and under a spread of time constants"


@click.command(name=HARDWARE)
@click.option("--data_dir", metavar="FOLDER", help="Where the data lie.")
@click.option("--seeds", metavar="N,N,...", help="Seeds.  [0,1,2]")
@number("--nb_epochs", Count, "Most epochs of each run.")
@number("--eval_draws", Count, "Chips that each accuracy is taken over.")
@choice("--part", _PARTS, "Run this family only; both are drawn.")
@choice("--preset", preset_names(), "Shipped settings of the hierarchical network.")
@choice("--denram-preset", preset_names(), "Shipped settings of DenRAM's network.")
@click.option("--set", "others", metavar="KEY=VALUE", multiple=True,
              help="Any other setting of the hierarchical network.")  # fmt: skip
@click.option("--denram-set", "denram_others", metavar="KEY=VALUE", multiple=True,
              help="Any other setting of DenRAM's network.")  # fmt: skip
@click.option("--store", metavar="FOLDER", help="Draw what this folder holds again.")
@run_options
def hsnn_hardware(
    *,
    seeds: str | None,
    part: str | None,
    preset: str | None,
    denram_preset: str | None,
    others: tuple[str, ...],
    denram_others: tuple[str, ...],
    store: str | None,
    out: str | None,
    **options: Any,
) -> int:
    """What device errors cost a hierarchical network, beside DenRAM's.

    On SHD: 3 hidden layers of 128 neurons, with a hierarchy of 150 ms and without,
    and 256 inputs behind 16 delays each. Weight noise 0 to 0.2 of max|w|; or time
    constants that spread by 0.1, 0.2, 0.4 (standard deviation of the logarithm), drawn
    anew for every batch and test draw. Each family has a store of its own in --out.
    """
    page = screen.console()
    if store is not None:
        folder = Path(store) if out is None else output_path(out, "--out")
        _draw(page, Path(store), folder)
        return 0
    common = {k: options.pop(k) for k in ("data_dir", "nb_epochs", "eval_draws")}
    own = {HSNN: (preset, others), DENRAM: (denram_preset, denram_others)}
    grids = _grids(numbers("--seeds", seeds, Seed), given(common), own)
    bases = {name: grid.base for name, grid in grids.items()}
    named = Path("sweeps") / f"{HARDWARE}-{fingerprint(bases)[:8]}"
    folder = named if out is None else output_path(out, "--out")
    worst = 0
    for name, grid in grids.items():
        if part in (None, name):
            screen.heading(page, grid.name, f"{grid.n_cells} runs")
            _, code = run_cells(page, grid, folder / name, **options)
            worst = max(worst, code)
    if not options["dry_run"]:
        _draw(page, folder, folder)
    return worst


def _grids(
    seeds: tuple[int, ...] | None,
    common: Mapping[str, Any],
    own: Mapping[str, tuple[str | None, tuple[str, ...]]],
) -> "dict[str, Grid]":
    """Of both families; `own` holds the preset and the settings of each."""
    return {
        name: hardware_grid(
            name, seeds=seeds, settings={**common, **pairs(texts)}, preset=preset
        )
        for name, (preset, texts) in own.items()
    }


def _draw(page: "Console", held: Path, folder: Path) -> None:
    """Figure, table and files of what is done of both families."""
    from denram.analysis import open_sweep, schema
    from denram.analysis.hsnn_figures import hardware_figure
    from denram.analysis.hsnn_metrics import hardware_summary, rows_of
    from denram.analysis.sweep_store import STORE

    there = [name for name in _PARTS if (held / name / STORE / "zarr.json").is_file()]
    if not there:
        raise InputError(f"store must hold {' or '.join(_PARTS)}, got {held}")
    sweeps = {name: open_sweep(held / name) for name in there}
    done = {k: s for k, s in sweeps.items() if (s[schema.STATUS] == schema.DONE).any()}
    if not done:
        screen.line(page, "no cell is done yet: nothing to draw")
        return
    summary = hardware_summary(done)
    rows = rows_of(summary)
    screen.heading(page, "Test accuracy, %", f"on {summary.attrs['dataset']}")
    keys = ("mean", "median", "q15", "q85", "change")
    table = [
        [row["network"], row["effect"], str(row["n"]), *(percent(row[k]) for k in keys)]
        for row in rows
    ]
    columns = ["", "effect", "seeds", "mean", "median", "15 %", "85 %", "change"]
    screen.table(page, columns, table)
    for name, sweep in done.items():
        finished = (sweep[schema.STATUS] == schema.DONE).values
        protocol = sweep[schema.PROTOCOL].values[finished][0]
        screen.line(page, f"one run's protocol, {name}: {protocol}")
    figure = hardware_figure(summary, f"{HARDWARE}: {_TITLE}")
    write_drawn(page, HARDWARE, folder, figure, {HARDWARE: rows})
