"""Which cells one program computes, and what becomes of them.

A program is one call of the study, by one worker, for cells of one kin. Its members are
fixed by the grid alone: neither the number of workers nor what is done already changes
them, because the last bits of a result depend on who shares its program.
"""

import math
import os
import platform
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from denram.analysis import schema
from denram.analysis.grid import Grid, Index
from denram.analysis.study import Study
from denram.analysis.sweep_store import STORE, SweepStore
from denram.errors import DenRAMError, DenRAMWarning, InputError
from denram.storage import versions

CELLS = "cells"
_MOST_SHOWN = 200  # characters of a label in a message


@dataclass(frozen=True)
class Program:
    """Cells that are computed together.

    Attributes:
        cells: all members, in the order of the grid.
        todo: those whose result is wanted.
    """

    cells: tuple[Index, ...]
    todo: tuple[Index, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        cell: its position.
        headline: its main result in words.
        error: why it failed; empty if it is done.
    """

    cell: Index
    headline: str = ""
    error: str = ""


def programs(
    grid: Grid,
    shapes: Sequence[Index],
    study: Study,
    configs: dict[Index, Any],
    todo: Sequence[Index],
) -> list[Program]:
    """Split a grid into programs and keep those with something to do.

    Args:
        grid: all cells.
        shapes: of the grid, at creation and after each extension.
        study: says who is of one kin.
        configs: of every cell.
        todo: cells to be computed.
    """
    families: dict[tuple[int, str], list[Index]] = {}
    bounds = np.asarray(shapes)
    for cell in grid.cells():
        generation = int(np.argmax((np.asarray(cell) < bounds).all(axis=1)))
        families.setdefault((generation, study.kin(configs[cell])), []).append(cell)
    wanted, found = set(todo), []
    for members in families.values():
        n = min(grid.together, study.most_together(configs[members[0]]))
        for start in range(0, len(members), n):
            cells = tuple(members[start : start + n])
            missing = tuple(cell for cell in cells if cell in wanted)
            if missing:
                found.append(Program(cells, missing))
    return found


@dataclass(frozen=True)
class Task:
    """A program with all that is needed to compute it, wherever that is.

    Attributes:
        program: what to compute.
        out: folder of the sweep, absolute.
        study: what to do.
        configs: of `program.cells`.
        alone: compute the cells one by one from the start.
    """

    program: Program
    out: Path
    study: Study
    configs: tuple[Any, ...]
    alone: bool = False


Progress = Callable[[int, int], None]  # parts done, parts in all


def run_program(task: Task, on_progress: Progress) -> list[Outcome]:
    """Compute a program and store its cells; runs in a worker or in this process.

    A program that fails is taken apart: its cells are computed one by one, and those
    that fail alone are marked in the store.

    Raises:
        StorageError: the disk refused; nothing is marked.
    """
    store = SweepStore(task.out / STORE)
    if not task.alone and len(task.program.cells) > 1:
        try:
            return _computed(store, task, on_progress)
        except OSError:
            raise
        except Exception:
            return _one_by_one(store, task, on_progress)
    return _one_by_one(store, task, on_progress)


def _one_by_one(store: SweepStore, task: Task, on_progress: Progress) -> list[Outcome]:
    outcomes = []
    configs = dict(zip(task.program.cells, task.configs, strict=True))
    for cell in task.program.todo:
        program, config = Program((cell,), (cell,)), configs[cell]
        single = replace(task, program=program, configs=(config,))
        try:
            outcomes += _computed(store, single, on_progress)
        except OSError:  # the disk: no fault of the cell
            raise
        except Exception as error:
            outcomes.append(mark_failed(store, cell, config, reason(error)))
    return outcomes


def _computed(store: SweepStore, task: Task, on_progress: Progress) -> list[Outcome]:
    program, began = task.program, time.perf_counter()
    prints = [config.fingerprint for config in task.configs]
    folders = [task.out / CELLS / print_[:16] for print_ in prints]
    with heard() as told:
        results = task.study.compute(task.configs, folders, on_progress)
    wall_s = (time.perf_counter() - began) / len(program.cells)
    outcomes = []
    for cell, print_, values in zip(program.cells, prints, results, strict=True):
        if cell in program.todo:
            record = _record(print_, wall_s, len(program.cells), told=told)
            store.write(cell, values, record)
            outcomes.append(Outcome(cell, task.study.headline(values)))
    return outcomes


def mark_failed(store: SweepStore, cell: Index, config: Any, error: str) -> Outcome:
    """Note in the store that a cell failed, and why."""
    store.fail(cell, _record(config.fingerprint, math.nan, 1, error=error))
    return Outcome(cell, error=error)


def _record(
    print_: str,
    wall_s: float,
    n_cells: int,
    *,
    error: str = "",
    told: Sequence[str] = (),
) -> dict[str, Any]:
    return {
        "fingerprint": print_,
        "status": "failed" if error else "done",
        "error": error,
        "warnings": list(told),
        schema.WALL: None if math.isnan(wall_s) else wall_s,
        "program_cells": n_cells,
        "host": socket.gethostname(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "pid": os.getpid(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


@contextmanager
def heard() -> Iterator[list[str]]:
    """Collect what the toolkit warns of; other warnings go on as they would."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DenRAMWarning)
        yield told
    for warning in caught:
        if issubclass(warning.category, DenRAMWarning):
            told.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def reason(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    name = "" if isinstance(error, DenRAMError) else f"{type(error).__name__}: "
    return f"{name}{text}"[:300] or type(error).__name__


def check_cells(grid: Grid, study: Study) -> dict[Index, Any]:
    """The configuration of every cell, before anything runs.

    Raises:
        InputError: the first cell that breaks a rule, by its name.
    """
    configs = {}
    for cell in grid.cells():
        try:
            configs[cell] = study.config(grid.flags(cell), grid.preset)
        except InputError as error:
            label = grid.label(cell)
            label = label if len(label) <= _MOST_SHOWN else f"{label[:_MOST_SHOWN]}..."
            raise InputError(f"cell {label}: {error}") from None
    return configs
