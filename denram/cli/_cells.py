"""What commands that run cells share: their options, and what they would do."""

import csv
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from denram.cli import _screen as screen
from denram.cli._options import number
from denram.config import Count
from denram.errors import InputError
from denram.storage import replacing

if TYPE_CHECKING:
    from rich.console import Console

    from denram.analysis.grid import Index
    from denram.analysis.sweep import Engine, Plan

_TRANSPORTS = ("tcp", "tls", "ucx", "ws", "wss")  # of dask
# AXIS=VALUE with a bare or a quoted value, up to a comma or the end
_PART = re.compile(
    r'(?P<name>[^=,]+)=(?P<value>\s*"(?:[^"\\]|\\.)*"\s*|[^",][^,]*|)(?P<more>,|$)',
    re.DOTALL,
)
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
                "--only",
                metavar="AXIS=VALUE,...",
                help="Only cells that lie there, failed ones too.",
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
    if scheduler is not None:
        _check_address(scheduler)
    if dashboard and workers is None:
        raise InputError("--dashboard needs --workers")
    if workers is not None and workers > 4 * (os.cpu_count() or 1):
        most = 4 * (os.cpu_count() or 1)
        raise InputError(f"--workers must be <= {most} on this machine, got {workers}")
    return Engine(workers or 0, scheduler, dashboard)


def _check_address(scheduler: str) -> None:
    """Refuse what cannot be the address of a scheduler, before anybody is asked."""
    try:
        parts = urlsplit(scheduler)
        sound = parts.scheme in _TRANSPORTS and parts.hostname and parts.port
    except ValueError:  # of a port that is none
        sound = False
    if not sound:
        raise InputError(
            f"--scheduler must be like tcp://HOST:PORT, got {scheduler[:80]!r}"
        )


def selected(only: str | None) -> dict[str, str]:
    """`AXIS=VALUE,...` as a mapping; a value with a comma stands in double quotes.

    Raises:
        InputError: another form.
    """
    wanted: dict[str, str] = {}
    rest = only
    while rest is not None:
        found = _PART.match(rest)
        label = None if found is None else _label(found["value"].strip())
        if found is None or label is None:
            raise InputError(f"--only must be AXIS=VALUE,..., got {str(only)[:80]!r}")
        name = found["name"].strip()
        if name in wanted:
            raise InputError(f"--only must name {name} once, got {str(only)[:80]!r}")
        wanted[name] = label
        rest = rest[found.end() :] if found["more"] else None
    return wanted


def _label(text: str) -> str | None:
    """A value of `--only` without its quotes; None if it has wrong ones."""
    if text[:1] != '"':
        return text
    try:
        return json.loads(text)
    except ValueError:
        return None


def print_plan(page: "Console", plan: "Plan", engine: "Engine", out: Path) -> None:
    """What would be run: cells, time, memory."""
    from denram.analysis.grid import spelt

    todo = plan.todo
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


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of the same keys as a table, whole or not at all."""
    with replacing(path) as scratch:
        with scratch.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
