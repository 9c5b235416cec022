"""`denram-analyze hsnn_...`: the published sweeps of hierarchical networks, by name."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.analysis.grid import spelt
from denram.analysis.hsnn_grids import SWEEPS
from denram.analysis.hsnn_sweep import HsnnSweep, changes, hsnn_grid
from denram.cli import _screen as screen
from denram.cli._drawing import Rows, figure_options, percent, run_and_draw
from denram.cli._options import given, number, numbers
from denram.config import Count, Seed, fingerprint
from denram.errors import InputError

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from rich.console import Console

    from denram.analysis import Grid

_SHARES = {
    "mean": "mean",
    "median": "median",
    "q15": "15 %",
    "q85": "85 %",
    "boost": "gain",
    "published": "published",
    "difference": "difference",
}  # columns in percent, if a table has them


def _command(sweep: HsnnSweep) -> click.Command:
    """The command of one sweep."""

    def run(**options: Any) -> int:
        return _run(sweep, **options)

    run.__doc__ = _help(sweep)
    found: Any = figure_options(run)
    if sweep.controls:
        found = click.option(
            "--controls/--no-controls",
            default=sweep.with_controls,
            show_default=True,
            help="Also run what the published sweep lacks.",
        )(found)
    seeds = f"{sweep.seeds[0]} to {sweep.seeds[-1]}"
    for option in (
        number("--eval_draws", Count, "Noise draws of each accuracy.", default=1),
        number("--nb_epochs", Count, "Epochs of each run.", default=sweep.nb_epochs),
        click.option("--seeds", metavar="N,N,...", help=f"Seeds.  [{seeds}]"),
        click.option("--data_dir", metavar="FOLDER", help="Where the data lie."),
    ):
        found = option(found)
    return click.command(name=sweep.name)(found)


def _help(sweep: HsnnSweep) -> str:
    published, n_runs = (hsnn_grid(sweep, controls=c).n_cells for c in (False, None))
    runs = f"{n_runs} runs of {sweep.nb_epochs} epochs on {sweep.data_name}"
    if n_runs != published:
        runs += f", {n_runs - published} of them a control"
    named = f", published as {sweep.published_as}" if sweep.published_as else ""
    axes = ", ".join(axis.name for axis in sweep.axes)
    other = f" --set KEY=V,V gives an axis ({axes}) other values." if axes else ""
    differs = "; ".join(sweep.differs)
    return f"{sweep.title}.\n\n{runs}{named}.{other}\n\nBy default: {differs}."


def _run(
    sweep: HsnnSweep,
    *,
    data_dir: str | None,
    seeds: str | None,
    nb_epochs: int | None,
    eval_draws: int | None,
    preset: str | None,
    others: tuple[str, ...],
    store: str | None,
    controls: bool | None = None,
    **options: Any,
) -> int:
    """Run what is missing of a sweep, or open the store; then table and picture."""
    from denram.analysis.grid_file import spec_of_flags

    page, grid, named = screen.console(), None, None
    if store is None:
        asked = spec_of_flags(others, ())
        own = {"data_dir": data_dir, "nb_epochs": nb_epochs, "eval_draws": eval_draws}
        grid = hsnn_grid(
            sweep,
            seeds=numbers("--seeds", seeds, Seed),
            controls=controls,
            settings={**asked.settings, **given(own)},
            values=asked.axes,
            preset=preset,
        )
        named = Path("sweeps") / f"{sweep.name}-{fingerprint(grid.base)[:8]}"
        screen.heading(page, sweep.name, f"{sweep.title}: {grid.n_cells} runs")

    def report(
        page: "Console", data: "xr.Dataset", title: str
    ) -> "tuple[Figure, dict[str, Rows]]":
        return _report(page, sweep, data, title)

    return run_and_draw(page, sweep.name, grid, named, report, store=store, **options)


def _report(
    page: "Console", sweep: HsnnSweep, data: "xr.Dataset", title: str
) -> "tuple[Figure, dict[str, Rows]]":
    """The figure, its tables, and its points on screen."""
    from denram.analysis.hsnn_metrics import (
        boost_map,
        point_summary,
        rows_of,
        weights_of,
    )
    from denram.analysis.hsnn_published import hsnn_published

    grid = _grid(data, sweep.name, sweep.axes)
    published = hsnn_published(sweep.name)
    summary = point_summary(data, sweep, published)
    notes = _notes(sweep, grid, published, comparable=summary.attrs["comparable"])
    rows = rows_of(summary, weights_of(grid))
    if sweep.plot.kind == "heat":
        summary = boost_map(data, sweep, published)
        rows = rows_of(summary)
    screen.heading(page, "Test accuracy, %", f"{title}: {sweep.title}")
    _table(page, rows, "" if summary.attrs["comparable"] else sweep.data_name)
    named = f"{sweep.name}: {sweep.title}"
    changed = changes(sweep, grid)
    if changed:
        named += f"\n{', '.join(changed)}"
    figure, layers = _figure(sweep, summary, data, named)
    if layers:
        screen.heading(page, "Layers", title)
        _layer_table(page, layers)
    for note in notes:
        screen.line(page, note)
    tables: dict[str, Rows] = {sweep.name: rows}
    return figure, tables | ({f"{sweep.name}_layers": layers} if layers else {})


def _grid(data: "xr.Dataset", name: str, axes: Sequence[Any]) -> "Grid":
    """The grid of a store, which must be of this sweep.

    Raises:
        InputError: it is another sweep's.
    """
    from denram.analysis import Grid

    grid = Grid.from_dict(json.loads(data.attrs["definition"]))
    wanted = (*(axis.name for axis in axes), "seed")
    if grid.name != name or grid.dims != wanted:
        raise InputError(f"store must be of {name}, got {grid.name}")
    return grid


def _figure(
    sweep: HsnnSweep, summary: "xr.Dataset", data: "xr.Dataset", title: str
) -> "tuple[Figure, Rows]":
    """The figure, and rows of the layers where it shows them."""
    from denram.analysis import hsnn_figures, hsnn_layer_figures
    from denram.analysis.hsnn_metrics import layer_rows, spectra, time_constants
    from denram.analysis.hsnn_published import published_layers

    theirs = sweep.data_name
    if sweep.plot.kind == "heat":
        return hsnn_figures.boost_figure(summary, title, theirs), []
    if sweep.plot.kind == "time constants":
        layers = time_constants(data, published_layers(sweep.name))
        figure = hsnn_layer_figures.time_constant_figure(layers, title, theirs)
        return figure, layer_rows(layers)
    if sweep.plot.kind == "spectra":
        layers = spectra(data)
        figure = hsnn_layer_figures.spectra_figure(layers, sweep.plot, title)
        return figure, layer_rows(layers)
    return hsnn_figures.curves_figure(summary, sweep.plot, title, theirs), []


def _notes(
    sweep: HsnnSweep,
    grid: "Grid",
    published: "Sequence[xr.DataArray]",
    *,
    comparable: bool,
) -> list[str]:
    """What there is to know about the table."""
    notes = [f"statistic of figure and difference: {sweep.plot.statistic} over seeds"]
    for values in published:
        kind, source = values.attrs["kind"], values.attrs["source"]
        notes.append(f"published ({kind}): {source}")
    if published and not comparable:
        notes.append(f"published values are of {sweep.data_name}: no difference given")
    if changes(sweep, grid):
        notes.append(
            f"other settings than published: {', '.join(changes(sweep, grid))}"
        )
    return [*notes, f"by default: {'; '.join(sweep.differs)}"]


def _table(page: "Console", rows: Rows, theirs: str) -> None:
    """Points in percent; a difference only where both are of the same data."""
    axes = list(rows[0])[: list(rows[0]).index("n")]
    shares = {key: name for key, name in _SHARES.items() if key in rows[0]}
    if theirs:
        shares.pop("difference", None)
    if theirs and "published" in shares:
        shares["published"] = f"published, {theirs}"
    sizes = ["weights"] if "weights" in rows[0] else []
    table = [
        [
            *(spelt(row[key]) for key in axes),
            str(row["n"]),
            *(percent(row[key]) for key in shares),
            *(str(row[key]) for key in sizes),
        ]
        for row in rows
    ]
    screen.table(page, [*axes, "seeds", *shares.values(), *sizes], table)


def _layer_table(page: "Console", rows: Rows) -> None:
    table = [
        [f"{x:.4g}" if isinstance(x, float) else str(x) for x in row.values()]
        for row in rows
    ]
    screen.table(page, [*rows[0]], table)


COMMANDS = tuple(map(_command, SWEEPS.values()))
