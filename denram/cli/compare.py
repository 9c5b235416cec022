"""`denram-analyze compare`: two sweeps or two trainings side by side."""

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from denram.cli import _screen as screen
from denram.errors import InputError
from denram.storage import output_path, replacing

if TYPE_CHECKING:
    from rich.console import Console

    from denram.analysis.compare import Comparison

_MOST_ROWS = 60  # of a table on the screen


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--variable", metavar="NAME", help="What is compared.  [default: test_accuracy]"
)
@click.option("--csv", "table", metavar="FILE", help="Write the table to a file too.")
def compare(*, a: str, b: str, variable: str | None, table: str | None) -> None:
    """Two sweeps, or two trainings, side by side: settings, results, significance.

    A and B are folders of sweeps or of runs, or their stores. Sweeps are compared point
    by point over seeds and virtual chips: differences with 95 % confidence intervals,
    and p-values by Student's or Welch's t with Holm's correction for many points. Two
    single trainings are compared over noise draws; that says nothing of other seeds.
    """
    from denram.analysis.compare import compare_paths
    from denram.analysis.schema import TEST

    out = None if table is None else output_path(table, "--csv")
    if out is not None and out.is_dir():
        raise InputError(f"--csv must be a file, got the folder {out}")
    found = compare_paths(Path(a), Path(b), variable or TEST)
    page = screen.console()
    screen.heading(page, f"Two {found.kind}", f"A is {a}, B is {b}")
    for change in found.changes or ["settings and versions are the same"]:
        screen.line(page, change)
    _table(page, found)
    for sentence in found.verdict:
        screen.line(page, sentence)
    if out is not None:
        _write(out, found)
        screen.line(page, f"written: {out}")


def _table(page: "Console", found: "Comparison") -> None:
    rows = found.rows()
    accuracy = "accuracy" in found.variable
    labels = [str(name) for name in found.table.coords]
    columns = [*labels, "A", "B", "B - A", "95 % CI", "p", "p (Holm)", "n", "test"]
    if found.kind == "runs":
        columns += ["A, samples", "B, samples"]
    unit = ", %" if accuracy else ""
    screen.heading(page, f"{found.variable}{unit}", f"points: {len(rows)}")
    cells = [_cells(row, labels, 100 if accuracy else 1) for row in rows[:_MOST_ROWS]]
    screen.table(page, columns, cells)
    if len(rows) > _MOST_ROWS:
        screen.line(page, f"and {len(rows) - _MOST_ROWS} more; --csv writes them all")


def _cells(row: dict[str, Any], labels: list[str], scale: int) -> list[str]:
    from rich.markup import escape

    def number(value: float) -> str:
        if math.isnan(value):
            return "-"
        return f"{scale * value:.2f}" if scale == 100 else f"{value:.4g}"

    def between(low: float, high: float) -> str:
        return "-" if math.isnan(low) else f"{number(low)} to {number(high)}"

    half, gap, tested = row["ci95"], row["difference"], not math.isnan(row["p"])
    names = [row[name] for name in labels]
    cells = [
        *(escape(x) if isinstance(x, str) else f"{x:g}" for x in names),
        *(number(row[name]) for name in ("a", "b", "difference")),
        between(gap - half, gap + half),
        *("-" if math.isnan(row[k]) else f"{row[k]:.2g}" for k in ("p", "p_holm")),
        f"{row['n_a']}, {row['n_b']}",
        ("paired" if row["paired"] else "Welch") if tested else "-",
    ]
    if "a_low" in row:
        cells += [between(row[f"{x}_low"], row[f"{x}_high"]) for x in "ab"]
    return cells


def _write(out: Path, found: "Comparison") -> None:
    rows = found.rows()
    with replacing(out) as scratch:
        with scratch.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
