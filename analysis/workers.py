"""Programs on dask.distributed: a local cluster, or one that is there already.

A task computes one program and stores its cells itself; what comes back is only what
became of them. Every worker holds one task at a time, so that when a worker dies it is
known what killed it.
"""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from denram.analysis.grid import Index
from denram.analysis.processes import available_cores, quiet_tracker
from denram.analysis.programs import Outcome, Program, Task, mark_failed, run_program
from denram.analysis.study import Study
from denram.analysis.sweep_store import STORE, SweepStore
from denram.errors import InputError, StorageError

if TYPE_CHECKING:
    from distributed import Client

TRIES = 3  # how often a program may kill its worker
_TOPIC = "denram-progress"


@dataclass(frozen=True)
class Job:
    """A program, how it is to be run, and how often it has killed a worker."""

    program: Program
    alone: bool = False
    tries: int = 0


@contextmanager
def local_cluster(n_workers: int, *, dashboard: bool = False) -> "Iterator[Client]":
    """A client of `n_workers` processes on this machine; loopback only.

    Each worker is bound to its share of the cores. XLA's pool keeps two threads at
    least, because sums are split otherwise, and other bits come out, with one.

    Args:
        n_workers: processes.
        dashboard: serve dask's own page, on loopback too.
    """
    from dask import config as dask_config
    from distributed import Client, LocalCluster

    quiet_tracker()
    cores = sorted(available_cores())
    share = max(1, len(cores) // n_workers)
    threads = str(max(2, share))
    environment = {
        "NPROC": threads,  # XLA's pool
        "NUMBA_NUM_THREADS": str(share),
        "OMP_NUM_THREADS": str(share),
    }
    settings: dict[str, Any] = {
        "distributed.nanny.environ": environment,
        "distributed.nanny.pre-spawn-environ": {},  # that one changes this process too
        "distributed.scheduler.allowed-failures": 0,  # counted here, see `Job.tries`
        "distributed.scheduler.work-stealing": False,
        "distributed.worker.daemon": True,
        "distributed.comm.timeouts.connect": "60s",
        "distributed.logging": {"distributed": "critical", "tornado": "critical"},
    }
    if not dashboard:  # not even the plain pages beside it
        settings["distributed.scheduler.http.routes"] = []
    with dask_config.set(settings):
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": dashboard},
            worker_dashboard_address=None,
            memory_limit=0,
            silence_logs=50,
        )
        try:
            with Client(cluster, set_as_default=False) as client:
                client.register_plugin(_bound(cores, share))
                yield client
        finally:
            with contextlib.suppress(asyncio.TimeoutError, OSError):
                cluster.close(timeout=10)


def _bound(cores: Sequence[int], share: int) -> Any:
    """A plugin that keeps every worker, with all its threads, on its own cores."""
    from distributed import WorkerPlugin

    class Bound(WorkerPlugin):
        name = "denram-cores"

        def setup(self, worker: Any) -> None:
            if not hasattr(os, "sched_setaffinity"):
                return
            first = int(worker.name) * share % len(cores)
            own = {cores[(first + i) % len(cores)] for i in range(share)}
            for thread in Path("/proc/self/task").iterdir():
                with contextlib.suppress(OSError):  # one that has just ended
                    os.sched_setaffinity(int(thread.name), own)

    return Bound()


@contextmanager
def joined_cluster(address: str, *, timeout_s: float = 10.0) -> "Iterator[Client]":
    """A client of a cluster that runs already.

    Raises:
        InputError: no scheduler answers there.
    """
    import logging

    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        # a client that fails to connect would stay this process's default
        client = Client(address, timeout=timeout_s, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"scheduler must answer within {timeout_s:g} s, got {address!r}: {text}"
        ) from None
    with client:
        yield client


def run_on(
    client: "Client",
    programs: Sequence[Program],
    *,
    out: Path,
    study: Study,
    configs: dict[Index, Any],
    on_begin: Callable[[Program], None],
    on_progress: Callable[[Program, int, int], None],
) -> Iterator[list[Outcome]]:
    """Compute programs on a cluster; yields outcomes as they come.

    A program whose worker dies is run again, `TRIES` times in all; then its cells are
    run one by one, each again so often, and one that still kills its worker is marked
    failed.

    Args:
        client: of the cluster, whose workers see the same folder.
        programs: what to compute.
        out: folder of the sweep, absolute.
        study: what to do.
        configs: of every cell.
        on_begin: called when a program is handed out.
        on_progress: called with (program, parts done, parts in all).

    Raises:
        StorageError: the disk refused, or the cluster was lost.
    """
    from distributed import wait
    from distributed.scheduler import KilledWorker

    allowed = cast(int, client.run_on_scheduler(_allowed_failures))
    by_first = {program.cells[0]: program for program in programs}

    def heard(event: tuple[float, Any]) -> None:
        first, done, total = event[1]
        if tuple(first) in by_first:
            on_progress(by_first[tuple(first)], done, total)

    client.subscribe_topic(_TOPIC, heard)
    queue = deque(Job(program) for program in programs)
    running: dict[Any, Job] = {}
    while queue or running:
        while queue and len(running) < _slots(client):
            job = queue.popleft()
            on_begin(job.program)
            members = tuple(configs[cell] for cell in job.program.cells)
            future = client.submit(
                _run,
                Task(job.program, out, study, members, job.alone),
                pure=False,
            )
            running[future] = job
        with (
            contextlib.suppress(TimeoutError, asyncio.TimeoutError),
            client.as_current(),
        ):
            wait(list(running), timeout=1.0, return_when="FIRST_COMPLETED")
        for future in [f for f in running if f.done()]:
            job = running.pop(future)
            if future.status == "finished":
                yield future.result()
                continue
            error = _error(future)
            if not isinstance(error, KilledWorker):
                raise error
            outcome = _after_death(queue, job, allowed + 1, out, configs)
            if outcome is not None:
                yield [outcome]


def _after_death(
    queue: "deque[Job]",
    job: Job,
    deaths: int,
    out: Path,
    configs: dict[Index, Any],
) -> Outcome | None:
    """Queue what killed its worker once more, or mark it failed."""
    tries = job.tries + deaths
    if tries < TRIES:
        queue.append(replace(job, tries=tries))
    elif len(job.program.cells) > 1:
        for cell in job.program.todo:
            queue.append(Job(Program((cell,), (cell,))))
    else:
        cell = job.program.todo[0]
        store = SweepStore(out / STORE)
        return mark_failed(store, cell, configs[cell], f"its worker died {tries} times")
    return None


def _error(future: Any) -> BaseException:
    """What a task that did not finish ended with."""
    if future.status in ("cancelled", "lost"):
        return StorageError("the cluster was lost; resume with the same command")
    error = future.exception()
    return error if error is not None else StorageError("the cluster gave no reason")


def _slots(client: "Client") -> int:
    """Programs the cluster can compute at once; one where workers are still awaited."""
    return max(1, sum(cast(dict[str, int], client.nthreads()).values()))


def _allowed_failures(dask_scheduler: Any) -> int:
    return int(dask_scheduler.allowed_failures)


def _run(task: Task) -> list[Outcome]:
    """What a worker does."""
    from distributed import get_worker

    worker, first = get_worker(), list(task.program.cells[0])

    def on_progress(done: int, total: int) -> None:
        worker.log_event(_TOPIC, (first, done, total))

    return run_program(replace(task, study=_kept(task.study)), on_progress)


_STUDIES: dict[str, Study] = {}


def _kept(study: Study) -> Study:
    """This process's own copy, which keeps the data of the last task in memory."""
    return _STUDIES.setdefault(study.name, study)
