"""Sweeps: a grid computed into a store, resumed where it was left, grown when asked.

The empty store is written first; each cell is then written once, its status last. A
cell keeps its own folder while it is computed, so a sweep that is killed loses little.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from denram.analysis import schema
from denram.analysis.folder import (
    check_folder,
    is_replaceable,
    owned,
    resumable,
    set_aside,
)
from denram.analysis.grid import Grid, Index, positions, united
from denram.analysis.programs import (
    Outcome,
    Program,
    Task,
    check_cells,
    programs,
    run_program,
)
from denram.analysis.rewrite import extend, is_aside, recover
from denram.analysis.study import Study, cell_bytes, require_ready, study_of
from denram.analysis.sweep_store import STORE, Head, SweepStore, create, read_head
from denram.errors import InputError
from denram.storage import clear_litter, disk_errors, output_folder, replacing, versions

if TYPE_CHECKING:
    from distributed import Client

_ROOMS = ("devices", "mapping", "train")  # whose code decides a result


@dataclass(frozen=True)
class SweepWatch:
    """What a caller wants to hear of while a sweep goes on; all are optional.

    Attributes:
        on_aside: called with the new name of a sweep that was set aside.
        on_plan: called with the grid of the store, the statuses found, and the cells
            that are to be computed.
        on_begin: called with the program that begins.
        on_progress: called with (program, parts done, parts in all).
        on_cell: called with what became of a cell, once it is stored.
    """

    on_aside: Callable[[Path], None] = lambda path: None
    on_plan: Callable[[Grid, np.ndarray, list[Index]], None] = lambda g, s, todo: None
    on_begin: Callable[[Program], None] = lambda program: None
    on_progress: Callable[[Program, int, int], None] = lambda p, done, total: None
    on_cell: Callable[[Outcome], None] = lambda outcome: None


@dataclass(frozen=True)
class Engine:
    """Where programs are computed.

    Attributes:
        workers: processes on this machine; 0 computes in this one.
        scheduler: address of a running dask scheduler instead.
        dashboard: serve dask's page, on loopback.
    """

    workers: int = 0
    scheduler: str | None = None
    dashboard: bool = False


@dataclass(frozen=True)
class Plan:
    """What a sweep would do.

    Attributes:
        grid: of the store: what it holds and what is asked for.
        asked: cells that are asked for.
        configs: of every cell of the grid.
        study: what is done with them.
        status: of every cell, as the store has it.
        shapes: of the store, at creation and after each extension, this one included.
        retry_failed: whether failed cells are computed again.
    """

    grid: Grid
    asked: list[Index]
    configs: dict[Index, Any]
    study: Study
    status: np.ndarray
    shapes: tuple[Index, ...]
    retry_failed: bool = False

    @cached_property
    def todo(self) -> list[Index]:
        """Cells asked for that are to be computed."""
        skipped = {schema.DONE} if self.retry_failed else {schema.DONE, schema.FAILED}
        return [cell for cell in self.asked if self.status[cell] not in skipped]


def plan(
    grid: Grid | None,
    out: str | Path,
    *,
    only: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    study: Study | None = None,
) -> Plan:
    """Check a grid against the folder's store, and every cell against its rules.

    Args:
        grid: what is asked for; None for what the store holds.
        out: folder of the sweep, which may not exist yet.
        only: axis name to label; cells with other coordinates are not asked for.
        retry_failed: compute failed cells again.
        fresh: take no notice of a sweep that the folder holds.
        study: other than the grid's own, for tests.

    Raises:
        InputError: no grid, another than the store's, a cell that breaks a rule, or
            one to be computed that lacks what it needs, such as its data.
    """
    path = Path(out) / STORE
    if not fresh:
        check_folder(Path(out))
    held = None if fresh or not (path / "zarr.json").exists() else read_head(path)
    if grid is None and held is None:
        raise InputError(f"a new sweep needs a grid, and {out} holds none")
    asked_grid = grid if grid is not None or held is None else held.grid
    assert asked_grid is not None
    whole = asked_grid
    if held is not None:
        try:
            whole = united(held.grid, asked_grid)
        except InputError as error:
            raise InputError(
                f"out must hold the same grid to be continued, but {out} holds another:"
                f" {error}; name a new folder with --out, or set this one aside with"
                " --force-new"
            ) from None
    study = study or study_of(whole.study)
    configs = check_cells(whole, study)
    _check_names(whole, study, configs)
    status = np.zeros(whole.shape, np.int8)
    if held is not None:
        corner = tuple(slice(n) for n in held.grid.shape)
        status[corner] = SweepStore(path).status()
    asked = [cell for cell in _asked(whole, asked_grid, only or {})]
    shapes = () if held is None else held.shapes
    if not shapes or shapes[-1] != whole.shape:
        shapes = (*shapes, whole.shape)
    made = Plan(whole, asked, configs, study, status, shapes, retry_failed)
    for cell in made.todo:
        require_ready(study, configs[cell], whole.label(cell))
    return made


def _check_names(grid: Grid, study: Study, configs: Mapping[Index, Any]) -> None:
    """Refuse an axis that has the name of something else in the store."""
    layout = study.layout(configs.values())
    taken = {*layout.variables, *layout.coords, schema.STATUS, schema.PROVENANCE}
    taken |= {dim for held in layout.variables.values() for dim in held.dims}
    for axis in grid.axes:
        for name in (axis.name, *axis.keys):
            if name in taken:
                raise InputError(
                    f"an axis must not have the name of a result, got {name!r}"
                )
        if axis.name not in axis.keys and _is_setting(grid, study, axis.name):
            raise InputError(
                f"an axis named {axis.name} must set {axis.name}, but it sets"
                f" {', '.join(axis.keys)}"
            )


def _is_setting(grid: Grid, study: Study, name: str) -> bool:
    """Whether a study knows a key; all else of the grid has been checked."""
    flags = grid.flags((0,) * len(grid.axes))
    try:
        study.config({**flags, name: 0}, grid.preset)
    except InputError as error:
        return "unknown key" not in str(error)
    return True


def _asked(whole: Grid, grid: Grid, only: Mapping[str, Any]) -> Iterator[Index]:
    """The asked grid's cells by their places in the whole one."""
    places = []
    for axis, part in zip(whole.axes, grid.axes, strict=True):
        held = positions(axis.labels)
        places.append([held[key] for key in positions(part.labels)])
    for cell in grid.select(only):
        yield tuple(place[i] for place, i in zip(places, cell, strict=True))


def run_sweep(
    grid: Grid | None,
    out: str | Path,
    *,
    engine: Engine = Engine(),
    only: Mapping[str, Any] | None = None,
    retry_failed: bool = False,
    fresh: bool = False,
    study: Study | None = None,
    watch: SweepWatch = SweepWatch(),
) -> Path:
    """Compute the cells that are missing; returns the path of the store.

    Args:
        grid: what to run; None to go on with what the folder holds. Labels that the
            store does not have yet are added to it.
        out: folder of the sweep.
        engine: where programs are computed.
        only: axis name to label; cells with other coordinates are left.
        retry_failed: compute failed cells again.
        fresh: set a sweep that the folder holds aside, and begin anew.
        study: other than the grid's own, for tests.
        watch: callbacks.

    Raises:
        InputError: the grid, the folder or the scheduler cannot be used.
        BusyError: another process works on this sweep.
        StorageError: the disk refused; finished cells are intact.
    """
    out = output_folder(out).absolute()
    fresh = fresh and is_replaceable(out)
    if not fresh and is_aside(out / STORE):
        with owned(out):
            recover(out / STORE)
    asked = partial(plan, grid, out, only=only, study=study, retry_failed=retry_failed)
    first = asked(fresh=fresh)  # refuse before anything is written
    with ExitStack() as stack:
        client = None
        if engine.scheduler is not None and first.todo:
            client = stack.enter_context(_cluster(engine))
        if fresh and (aside := set_aside(out)) is not None:
            watch.on_aside(aside)
        with disk_errors(out):
            out.mkdir(parents=True, exist_ok=True)
        stack.enter_context(owned(out))
        recover(out / STORE)
        clear_litter(out)
        planned = asked()
        stack.enter_context(resumable(out, _needed_bytes(planned)))
        _prepare(planned, out / STORE)
        watch.on_plan(planned.grid, planned.status, planned.todo)
        if planned.todo:
            with ExitStack() as computing:
                if client is None and engine != Engine():
                    client = computing.enter_context(_cluster(engine))
                for outcome in _outcomes(planned, out, client, watch):
                    watch.on_cell(outcome)
            clear_litter(out)  # of workers that died
    return out / STORE


def _needed_bytes(planned: Plan) -> int:
    layout = planned.study.layout(planned.configs.values())
    return len(planned.todo) * cell_bytes(layout)


@contextmanager
def _cluster(engine: Engine) -> "Iterator[Client]":
    from denram.analysis.workers import joined_cluster, local_cluster

    if engine.scheduler is not None:
        cluster = joined_cluster(engine.scheduler)
    else:
        cluster = local_cluster(engine.workers, dashboard=engine.dashboard)
    with cluster as client:
        yield client


def _prepare(planned: Plan, path: Path) -> None:
    """Write the empty store, or check the one that is there and give it its size."""
    layout = planned.study.layout(planned.configs.values())
    if not path.exists():
        head = Head(planned.grid, (planned.grid.shape,), built_by())
        with replacing(path) as scratch:
            create(scratch, head, layout)
        return
    head = read_head(path)
    changed = _other_builder(head.built_by, built_by())
    changes = bool(planned.todo)
    if changed and changes:
        raise InputError(
            "a sweep must be continued by what began it; changed: "
            + "; ".join(changed)
            + ". Set the folder aside and begin anew with --force-new"
        )
    if planned.grid.shape != head.grid.shape or (head.packed and changes):
        extend(path, planned.grid, layout)


def _outcomes(
    planned: Plan, out: Path, client: "Client | None", watch: SweepWatch
) -> Iterator[Outcome]:
    study, configs = planned.study, planned.configs
    jobs = programs(planned.grid, planned.shapes, study, configs, planned.todo)
    if client is None:
        for job in jobs:
            watch.on_begin(job)
            task = Task(job, out, study, tuple(configs[cell] for cell in job.cells))
            yield from run_program(task, partial(watch.on_progress, job))
        return
    from denram.analysis.workers import run_on

    for outcomes in run_on(
        client,
        jobs,
        out=out,
        study=study,
        configs=configs,
        on_begin=watch.on_begin,
        on_progress=watch.on_progress,
    ):
        yield from outcomes


def built_by() -> dict[str, str]:
    """Library versions and a digest of the code that results depend on."""
    package, found = Path(__file__).parents[1], hashlib.sha256()
    # beside this room in a checkout, and in the installed package
    files = [f for room in _ROOMS for f in sorted((package / room).rglob("*.py"))]
    for file in [*files, *sorted((package / "analysis").glob("*_study.py"))]:
        found.update(file.relative_to(package).as_posix().encode())
        found.update(file.read_bytes())
    return {**versions(), "code": found.hexdigest()[:16]}


def _other_builder(held: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What changed, leaving out releases that only mend: 0.10.2 to 0.10.3."""

    def essence(name: str, version: str) -> str:
        return version if name == "code" else ".".join(version.split(".")[:2])

    return [
        f"{name} {held.get(name)} -> {now[name]}"
        for name in now
        if essence(name, held.get(name, "")) != essence(name, now[name])
    ]
