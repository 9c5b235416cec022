"""`denram-analyze sweep`, `pack` and `verify`: grids of any keys, and their stores."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.cli import _screen as screen
from denram.cli._cells import engine_of, print_plan, run_options, selected
from denram.cli._options import Number, choice
from denram.cli._progress import Progress
from denram.cli._signals import interruptible
from denram.config import Count, preset_names
from denram.errors import InputError
from denram.storage import output_path, replacing

if TYPE_CHECKING:
    from rich.console import Console

    from denram.analysis import Grid
    from denram.analysis.verify import Damage

DAMAGED = 3  # exit code
_N_ROWS = 40  # of the table on screen


@click.command()
@click.argument("grid", required=False, metavar="[GRID.toml]")
@click.option(
    "--set",
    "texts",
    metavar="KEY=V[,V...]",
    multiple=True,
    help="Any key of the configuration: one value for all, or several as an axis.",
)
@click.option(
    "--zip",
    "zips",
    metavar="KEY=V,V,...",
    multiple=True,
    help="Keys that move together; all --zip share one axis.",
)
@click.option("--seeds", metavar="N,N,...", help="Seeds, an axis of their own.")
@click.option("--chips", metavar="N | N,N,...", help="So many virtual chips, or these.")
@choice("--study", ("train", "map"), "Train, or only draw the chips.", default="train")
@choice("--preset", preset_names(), "Shipped settings.")
@click.option(
    "--together",
    type=Number(Count),
    default=None,
    help="Most cells in one program.  [default: 16]",
)
@run_options
def sweep(
    *,
    grid: str | None,
    texts: tuple[str, ...],
    zips: tuple[str, ...],
    seeds: str | None,
    chips: str | None,
    study: str | None,
    preset: str | None,
    together: int | None,
    out: str | None,
    **options: Any,
) -> int:
    """Run a grid of configurations to one store, and go on where it stopped.

    The grid comes from GRID.toml, from flags, or from what --out holds already. Labels
    that the store does not have yet are added to it, and nothing is computed twice.

    \b
    denram-analyze sweep --set r_std=0.2,0.4,0.6 --seeds 42,50
    denram-analyze sweep grid.toml --workers 4
    denram-analyze sweep --study map --set r_std=0.2,0.4 --chips 20
    denram-analyze sweep --out sweeps/NAME --retry-failed

    On a cluster, start dask where your jobs run and name its scheduler; every worker
    must see --out under the same path:

    \b
    cluster = dask_jobqueue.SLURMCluster(cores=4, memory="16GB", processes=1)
    cluster.scale(20)          # or dask_kubernetes.operator.KubeCluster(...)
    denram-analyze sweep grid.toml --scheduler <cluster.scheduler_address>
    """  # noqa: D301  a backslash and b: click keeps the lines as they are
    from denram.analysis.grid_file import grid_of, load_grid, spec_of_flags
    from denram.analysis.sweep_store import STORE

    given = {
        "seeds": _values("--seeds", seeds),
        "chips": _chips(chips),
        "study": study,
        "preset": preset,
        "together": together,
    }
    given = {key: value for key, value in given.items() if value is not None}
    over = spec_of_flags(texts, zips, **given)
    wanted = None
    if grid is not None:
        wanted = load_grid(Path(grid), over)
    elif texts or zips or given:
        wanted = grid_of(over)
    elif out is None:
        raise InputError(
            "a sweep needs GRID.toml, --set, or --out of one to go on with"
        )
    folder = output_path(out, "--out") if out else Path("sweeps") / _name(wanted)
    if folder.name == STORE and (folder / "zarr.json").is_file():
        folder = folder.parent  # the store itself was named, as for other commands
    page = screen.console()
    path, code = run_cells(page, wanted, folder, **options)
    if path is not None:
        _finish(page, path)
    return code


def run_cells(
    page: "Console",
    grid: "Grid | None",
    folder: Path,
    *,
    workers: int | None,
    scheduler: str | None,
    dashboard: bool,
    dry_run: bool,
    only: str | None,
    retry_failed: bool,
    force_new: bool,
) -> tuple[Path | None, int]:
    """Run the cells of a grid; returns the store, None after a dry run, and a code."""
    from denram.analysis import run_sweep
    from denram.analysis.folder import is_replaceable
    from denram.analysis.sweep import plan

    engine, where = engine_of(workers, scheduler, dashboard=dashboard), selected(only)
    if force_new and grid is None:
        raise InputError("--force-new needs a grid")
    settings: dict[str, Any] = {
        "only": where,
        "retry_failed": retry_failed or bool(where),
        "fresh": force_new,
    }
    if dry_run:
        settings["fresh"] = force_new and is_replaceable(folder)
        print_plan(page, plan(grid, folder, **settings), engine, folder)
        return None, 0
    screen.line(page, f"out  {folder}")
    progress = Progress(page)
    watch = replace(
        progress.watch(),
        on_aside=lambda aside: screen.line(page, f"set aside: {aside}"),
    )
    with interruptible(folder), progress.shown():
        path = run_sweep(grid, folder, engine=engine, watch=watch, **settings)
    return path, progress.report(folder)


def _values(flag: str, text: str | None) -> list[Any] | None:
    from denram.analysis.grid_file import toml_values

    if text is None:
        return None
    if not text.strip():
        raise InputError(f"{flag} must have at least one value, got none")
    return toml_values(text)


def _chips(text: str | None) -> list[Any] | int | None:
    values = _values("--chips", text)
    if values is not None and len(values) == 1:
        text = str(values[0])
        return int(Number(Count).convert(text, click.Option(["--chips"]), None))
    return values


def _name(grid: "Grid | None") -> str:
    """The same for grids that can grow into one another."""
    from denram.config import fingerprint

    assert grid is not None
    return f"{grid.name}-{fingerprint(grid.base)[:8]}"


def _finish(page: "Console", path: Path) -> None:
    """Table on screen, table and picture on disk."""
    from denram.analysis import open_sweep, save_figure
    from denram.analysis.sweep_figure import sweep_figure, sweep_table
    from denram.analysis.sweep_store import read_head

    grid, data = read_head(path).grid, open_sweep(path)
    table = sweep_table(data, grid)
    if not len(table):
        screen.line(page, "no cell is done yet")
        return
    csv = path.parent / "sweep.csv"
    with replacing(csv) as scratch:
        table.to_csv(scratch, index=False)
    with replacing(path.parent / "sweep.png") as scratch:
        save_figure(sweep_figure(data, grid), scratch)
    last = list(table.columns).index("n_cells")
    shown = table.iloc[:_N_ROWS, : last + 1]
    screen.heading(page, "Results", f"{len(table)} points, over seeds and chips")
    rows = [[_text(value) for value in row] for row in shown.itertuples(index=False)]
    screen.table(page, list(map(str, shown.columns)), rows)
    if len(table) > _N_ROWS:
        screen.line(page, f"... and {len(table) - _N_ROWS} more in {csv}")
    screen.line(page, f"written: {path}, sweep.csv, sweep.png")
    screen.line(page, f"next: denram-analyze explore {path.parent}")


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@click.command()
@click.argument("store", metavar="STORE")
def pack(*, store: str) -> None:
    """Put many cells of a finished sweep into each file.

    The store is then read much faster and cannot be damaged by half; adding labels to
    it later unpacks it again.
    """
    from denram.analysis.folder import owned
    from denram.analysis.programs import check_cells
    from denram.analysis.rewrite import pack as pack_store
    from denram.analysis.study import study_of
    from denram.analysis.sweep_store import read_head, store_path

    path = store_path(store)
    grid = read_head(path).grid
    study = study_of(grid.study)
    before = _size(path)
    with owned(path.parent):
        pack_store(path, study.layout(check_cells(grid, study).values()))
    after = _size(path)
    page = screen.console()
    for text, (files, size) in (("before", before), ("after", after)):
        screen.line(page, f"{text:>8}  {files} files, {size / 1e6:.3g} MB")


def _size(path: Path) -> tuple[int, int]:
    """Files and bytes below a folder."""
    sizes = [p.stat().st_size for p in path.rglob("*") if p.is_file()]
    return len(sizes), sum(sizes)


@click.command()
@click.argument("store", metavar="STORE")
@click.option(
    "--repair",
    is_flag=True,
    help="Make metadata again; let the next run compute damaged cells.",
)
def verify(*, store: str, repair: bool) -> int:
    """Check every file of a sweep against its checksum, and name damaged cells."""
    from denram.analysis.sweep_store import read_head, results_sha256, store_path
    from denram.analysis.verify import damages

    path = store_path(store)
    head, found = read_head(path, whole=False), list(damages(path))
    page = screen.console()
    _print_damages(page, found)
    cells = {cell for damage in found for cell in damage.cells}
    general = [damage for damage in found if not damage.cells]
    screen.line(page, _counted(path))
    screen.line(
        page,
        f"{head.grid.n_cells} cells, {len(cells)} damaged, {len(general)} files of the"
        " whole sweep damaged",
    )
    if not head.sealed:
        screen.line(
            page,
            "written before digests: metadata and labels are checked against the grid"
            " alone",
        )
    if not found:
        screen.line(page, f"sha256 of the results  {results_sha256(path)}")
    elif repair:
        _repair(page, path)
    return DAMAGED if found else 0


def _counted(path: Path) -> str:
    """How many cells are done, failed and missing."""
    from denram.analysis.verify import counts

    try:
        found = counts(path)
    except InputError:
        return "cells cannot be counted: there is no status"
    return ", ".join(f"{n} {name}" for name, n in found.items())


def _repair(page: "Console", path: Path) -> None:
    """Mend what can be mended, and say what that was."""
    from denram.analysis.repair import repair

    mended = repair(path)
    for file in mended.files:
        screen.line(page, f"made again: {file}")
    if mended.cells:
        screen.line(
            page, f"{len(mended.cells)} cells will be computed by the next run:"
        )
        screen.line(page, f"    denram-analyze sweep --out {path.parent}")
    if mended.left:
        screen.line(
            page,
            f"{len(mended.left)} files cannot be repaired; put a copy of them back, or"
            " begin anew with --force-new:",
        )
        _print_damages(page, mended.left)


def _print_damages(page: "Console", found: "list[Damage]") -> None:
    for damage in found:
        screen.line(page, f"{damage.label}: {damage.file}: {damage.reason}")
