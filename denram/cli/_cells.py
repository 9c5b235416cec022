"""What commands that run cells share: their options, and what they would do."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from denram.cli import _screen as screen
from denram.cli._options import number
from denram.config import Count
from denram.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from denram.analysis.grid import Index
    from denram.analysis.sweep import Engine, Plan

FAILED_CELLS = 3  # exit code
_N_LISTED = 40  # failed cells shown
_GRACE_S = 1.5  # for what is being written when a signal comes
F = TypeVar("F", bound=Callable[..., Any])


def run_options(command: F) -> F:
    """The options of every command that runs cells."""
    for option in reversed(
        [
            click.option("--out", metavar="FOLDER", help="Folder; continued if there."),
            number("--workers", Count, "Processes on this machine.  [default: this]"),
            click.option(
                "--scheduler", metavar="ADDRESS", help="A running dask scheduler."
            ),
            click.option("--dashboard", is_flag=True, help="Serve dask's own page."),
            click.option("--dry-run", is_flag=True, help="Say what would be run."),
            click.option(
                "--only", metavar="AXIS=VALUE,...", help="Only cells that lie there."
            ),
            click.option(
                "--retry-failed", is_flag=True, help="Run failed cells again."
            ),
            click.option(
                "--force-new",
                is_flag=True,
                help="Set aside what --out holds, and begin anew.",
            ),
        ]
    ):
        command = option(command)
    return command


def engine_of(
    workers: int | None, scheduler: str | None, *, dashboard: bool
) -> "Engine":
    """Where cells are to be computed.

    Raises:
        InputError: options that exclude one another, or an address of another form.
    """
    from denram.analysis import Engine

    if scheduler is not None and (workers is not None or dashboard):
        raise InputError("--scheduler must not be given with --workers or --dashboard")
    if scheduler is not None and "://" not in scheduler:
        raise InputError(f"--scheduler must be like tcp://HOST:PORT, got {scheduler!r}")
    if dashboard and workers is None:
        raise InputError("--dashboard needs --workers")
    if workers is not None and workers > 4 * (os.cpu_count() or 1):
        most = 4 * (os.cpu_count() or 1)
        raise InputError(f"--workers must be <= {most} on this machine, got {workers}")
    return Engine(workers or 0, scheduler, dashboard)


def selected(only: str | None) -> dict[str, str]:
    """`AXIS=VALUE,...` as a mapping.

    Raises:
        InputError: another form.
    """
    if only is None:
        return {}
    wanted = {}
    for part in only.split(","):
        name, equals, label = part.partition("=")
        if not (name and equals):
            raise InputError(f"--only must be AXIS=VALUE,..., got {only[:80]!r}")
        if name.strip() in wanted:
            raise InputError(f"--only must name {name.strip()} once, got {only[:80]!r}")
        wanted[name.strip()] = label.strip()
    return wanted


def print_plan(page: "Console", plan: "Plan", engine: "Engine", out: Path) -> None:
    """What would be run: cells, time, memory."""
    from denram.analysis.grid import spelt

    todo = plan.todo(retry_failed=False)
    screen.heading(page, plan.grid.name, f"{plan.study.name}, {out}")
    for axis in plan.grid.axes:
        shown = ", ".join(map(spelt, axis.labels[:12]))
        more = f", ... ({len(axis.labels)})" if len(axis.labels) > 12 else ""
        screen.line(page, f"{axis.name:>14}  {shown}{more}")
    seconds, memory, programs = _estimate(plan, todo)
    done = len(plan.asked) - len(todo)
    lines = {
        "cells": f"{len(plan.asked)}, of which {done} need no run",
        "programs": f"{programs}",
        "time": f"about {screen.duration(seconds / max(1, engine.workers))}"
        f" on {max(1, engine.workers)} process(es): an estimate, within a factor of 2",
        "memory": f"about {memory / 1e9:.2g} GB per process, estimated",
    }
    for name, text in lines.items():
        screen.line(page, f"{name:>14}  {text}")


def _estimate(plan: "Plan", todo: "list[Index]") -> tuple[float, int, int]:
    """Seconds of all cells, bytes of the largest program, number of programs."""
    from denram.analysis.programs import programs

    shapes = [*plan.shapes]
    found = programs(plan.grid, shapes, plan.study, plan.configs, todo)
    kinds: dict[str, list[Any]] = {}
    for program in found:
        config = plan.configs[program.cells[0]]
        kinds.setdefault(plan.study.kin(config), []).append((config, program))
    chosen = list(kinds.values())
    step = max(1, len(chosen) // 5)
    timed = [kind[0][0] for kind in chosen[::step]]
    each = sum(map(plan.study.seconds, timed)) / max(1, len(timed))
    memory = [
        plan.study.memory_bytes(config, len(program.cells))
        for kind in chosen
        for config, program in kind[:1]
    ]
    cells = sum(len(program.cells) for program in found)
    return each * cells, max(memory, default=0), len(found)
