"""A sweep while it runs: cells done, running, failed, time left; and what failed."""

import math
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from denram.cli import _screen as screen

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from denram.analysis.grid import Grid, Index
    from denram.analysis.programs import Outcome, Program
    from denram.analysis.sweep import SweepWatch

FAILED_CELLS = 3  # exit code
_N_LISTED = 40  # failed cells shown


class Progress:
    """Live progress over cells: a bar on a terminal, else a line now and then."""

    def __init__(self, page: "Console") -> None:
        self.page = page
        self.failed: list[Outcome] = []
        self.grid: Grid | None = None
        self._total = self._ran = 0
        self._began = time.monotonic()
        self._told = 0.0
        self._told_of: set[Index] = set()
        self._running: dict[Index, tuple[Program, int, int]] = {}
        self._live = page.is_terminal and "CI" not in os.environ

    def watch(self) -> "SweepWatch":
        """Callbacks for a sweep."""
        from denram.analysis import SweepWatch

        return SweepWatch(
            on_plan=self._plan,
            on_begin=self._begin,
            on_progress=self._progress,
            on_cell=self._cell,
        )

    @contextmanager
    def shown(self) -> "Iterator[None]":
        """Show the bar while the block runs."""
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            BarColumn(),
            TextColumn("{task.description}"),
            console=self.page,
            transient=True,
            disable=not self._live,
        )
        self._task = self._bar.add_task("", total=1.0)
        with self._bar:
            yield

    def _plan(self, grid: "Grid", status: "np.ndarray", todo: "list[Index]") -> None:
        self.grid, self._total = grid, len(todo)
        done, failed = int((status == 1).sum()), int((status == 2).sum())
        self._began = time.monotonic()
        screen.line(
            self.page,
            f"{grid.n_cells} cells: {done} done, {failed} failed,"
            f" {len(todo)} to be computed",
        )

    def _begin(self, program: "Program") -> None:
        self._running[program.cells[0]] = program, 0, 1
        self._show()

    def _progress(self, program: "Program", done: int, total: int) -> None:
        if program.cells[0] in self._running:
            self._running[program.cells[0]] = program, done, total
            self._show()

    def _cell(self, outcome: "Outcome") -> None:
        assert self.grid is not None
        self._ran += 1
        self._told_of.add(outcome.cell)
        self._running = {
            first: running
            for first, running in self._running.items()
            if not self._told_of.issuperset(running[0].todo)
        }
        if outcome.error:
            self.failed.append(outcome)
        now = time.monotonic()
        last = self._ran == self._total
        if outcome.error or last or now - self._told > 1 or self._ran < 20:
            self._told = now
            what = f"FAILED: {outcome.error}" if outcome.error else outcome.headline
            screen.line(
                self.page,
                f"{self._ran:>5}/{self._total} {self.grid.label(outcome.cell)}  {what}"
                f"  {self._state()}",
            )
        self._show()

    def _fraction(self) -> float:
        """Share of the work that is done, parts of running programs included."""
        parts = sum(
            len(self._left(program)) * done / max(1, total)
            for program, done, total in self._running.values()
        )
        return min(1.0, (self._ran + parts) / max(1, self._total))

    def _left(self, program: "Program") -> "set[Index]":
        """Cells of a program that nothing was heard of yet."""
        return set(program.todo) - self._told_of

    def _state(self) -> str:
        spent, share = time.monotonic() - self._began, self._fraction()
        left = spent * (1 - share) / share if share > 0 else math.nan
        running = sum(
            len(self._left(program)) for program, *_ in self._running.values()
        )
        ahead = "" if math.isnan(left) else f", about {screen.duration(left)} left"
        return (
            f"({running} running, {len(self.failed)} failed,"
            f" {screen.duration(spent)} so far{ahead})"
        )

    def _show(self) -> None:
        if self._live:
            text = f"{self._ran}/{self._total} {self._state()}"
            self._bar.update(self._task, completed=self._fraction(), description=text)

    def report(self, out: Path) -> int:
        """Failed cells with their reasons and commands; returns the exit code."""
        if not self.failed or self.grid is None:
            return 0
        screen.heading(self.page, "Failed", f"{len(self.failed)} cells")
        for outcome in self.failed[:_N_LISTED]:
            label = self.grid.label(outcome.cell)
            screen.line(self.page, f"{label}: {outcome.error}")
            screen.line(self.page, f"    {alone(out, label)}")
        if len(self.failed) > _N_LISTED:
            screen.line(self.page, f"... and {len(self.failed) - _N_LISTED} more")
        return FAILED_CELLS


def alone(out: Path, label: str) -> str:
    """The command that runs one cell by itself."""
    return (
        shlex.join(["denram-analyze", "sweep", "--out", str(out), "--only", label])
        + " --retry-failed"
    )
