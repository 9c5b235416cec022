"""A whole run in one folder: data, chip, training, checkpoints, result.

The folder holds `config.toml`, a map of every array of delays (`map.zarr`),
`checkpoints/`, and when the run is finished
`run.zarr` and `results.csv`. It can be left at any moment and resumed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import filelock
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from denram.config import as_toml, load_toml
from denram.errors import InputError, StorageError
from denram.mapping import HardwareMap, open_map, save_map
from denram.storage import (
    clear_litter,
    disk_errors,
    output_folder,
    require_memory,
    write_text,
)
from denram.train import checkpoint
from denram.train._protocol import Chips
from denram.train.ageing import with_chips, with_times
from denram.train.chips import MAP as MAP_NAME
from denram.train.chips import as_chips, drawn_chips
from denram.train.data import DATASETS, Splits
from denram.train.models import FAMILIES
from denram.train.prepare import prepare
from denram.train.run_config import RunConfig, differences, from_dict
from denram.train.run_store import (
    given_protocol,
    open_run,
    run_result,
    save_run,
    write_results,
)
from denram.train.scoring import valid_accuracies
from denram.train.task import Task
from denram.train.trainer import Epoch, FitState, run_epoch_together, start

CONFIG, CHECKPOINTS, RUN = "config.toml", "checkpoints", "run.zarr"
MAP = f"{MAP_NAME}.zarr"  # of a chip with one array of delays
RESULTS = "results.csv"


@dataclass(frozen=True)
class Watch:
    """What a caller wants to hear of while a run goes on; all are optional.

    Attributes:
        on_start: called with the number of parameters and the splits.
        on_batch: called with (batches done, batches in all) of an epoch.
        on_epoch: called with each epoch's row, restored ones too.
    """

    on_start: Callable[[int, Splits], None] = lambda n, splits: None
    on_batch: Callable[[int, int], None] = lambda done, total: None
    on_epoch: Callable[[Epoch], None] = lambda row: None


def run(
    config: RunConfig,
    out: str | Path,
    *,
    resume: bool = False,
    chip: HardwareMap | None = None,
    splits: Splits | None = None,
    watch: Watch = Watch(),
) -> xr.Dataset:
    """Train, score and store one run; returns the stored Dataset.

    Args:
        config: the run's settings.
        out: folder of the run; must not exist unless `resume`.
        resume: continue what is in `out`, bit for bit; a finished run is just opened.
        chip: a map to train on, instead of drawing one.
        splits: data already in memory, made with the same settings.
        watch: callbacks.

    Raises:
        InputError: `out` exists, belongs to another configuration or is in use.
        DivergedError: a loss was not finite; the last good checkpoint is kept.
        StorageError: the disk refused.
    """
    given = None if chip is None else as_chips(chip)
    jobs = [_Job(config, output_folder(out), given, watch)]
    return _run(jobs, resume=resume, splits=splits)[0]


def score_given(
    config: RunConfig,
    out: str | Path,
    chip: HardwareMap,
    *,
    weights: Float[np.ndarray, "post pre tap"],
    bias: Float[np.ndarray, " post"],
) -> xr.Dataset:
    """Score given weights on a given chip, without training; stored as a run is.

    Args:
        config: the run's settings.
        out: folder of the run; must not exist.
        chip: the map.
        weights: one per synapse, in weight units.
        bias: one per neuron.

    Raises:
        InputError: `out` exists, or the weights do not fit the chip.
        StorageError: the disk refused.
    """
    folder = output_folder(out)
    _check_folder(folder, config, resume=False)
    if weights.shape != chip.mask.shape:
        raise InputError(f"weights must be {chip.mask.shape}, got {weights.shape}")
    task = prepare(config, chip=chip)
    params = {
        "weights": jnp.asarray(weights, jnp.float32),
        "bias": jnp.asarray(bias, jnp.float32),
    }
    state = replace(start(replace(task, params=params)), best_epoch=0)
    valid = valid_accuracies([task], [params], 0)[0]
    state = replace(state, best_valid=valid)
    job = _Job(config, folder, as_chips(chip), Watch())
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, 0.0):
        write_text(folder / CONFIG, as_toml(config))
        save_map(chip, folder / MAP)
        return _stored(job, task, as_chips(chip), state, trained=False)


def run_together(
    configs: Sequence[RunConfig],
    outs: Sequence[str | Path],
    *,
    resume: bool = False,
    splits: Splits | None = None,
    watches: Sequence[Watch] | None = None,
    wait_s: float = 0.0,
) -> list[xr.Dataset]:
    """Train many runs in one program, each in its own folder as `run` would leave it.

    They see the same batches, so that each batch is decoded and encoded once, and may
    differ in seed, noise level, chip and time constants. Their results agree with those
    of `run` to rounding, not bit for bit: matrix products of other shapes add in
    another order. Resuming the same runs together repeats their bits.

    Args:
        configs: settings of each run; `data`, `fit` and all shapes must be equal, and
            the seeds too unless `fit.order_seed` is set.
        outs: folder of each run.
        resume: continue what is in the folders.
        splits: data already in memory, made with the same settings.
        watches: callbacks of each run; `on_batch` is called on the first alone.
        wait_s: how long to wait for folders that another process works in.

    Raises:
        InputError: as `run`, or the runs cannot share one program.
        DivergedError: a loss was not finite; the last good checkpoints are kept.
        StorageError: the disk refused.
    """
    _check_alike(configs)
    watches = [Watch()] * len(configs) if watches is None else watches
    jobs = [
        _Job(config, output_folder(out), None, watch)
        for config, out, watch in zip(configs, outs, watches, strict=True)
    ]
    return _run(jobs, resume=resume, splits=splits, wait_s=wait_s)


@dataclass(frozen=True)
class _Job:
    """One run of a program: settings, folder, given maps, listener."""

    config: RunConfig
    out: Path
    chips: Chips | None
    watch: Watch


def _run(
    jobs: Sequence[_Job],
    *,
    resume: bool,
    splits: Splits | None,
    wait_s: float = 0.0,
) -> list[xr.Dataset]:
    _check_memory(jobs[0].config, members=len(jobs))
    for job in jobs:
        _check_folder(job.out, job.config, resume)
        with disk_errors(job.out):
            job.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as locks:
        for job in jobs:
            locks.enter_context(_locked(job.out, wait_s))
        chips = [_chips(job.config, job.chips, job.out) for job in jobs]
        if all((job.out / RUN).exists() for job in jobs):
            return [_kept(job) for job in jobs]
        tasks = []
        for job, chip in zip(jobs, chips, strict=True):
            task = prepare(job.config, splits=splits, chip=chip, members=len(jobs))
            splits = task.splits
            tasks.append(task)
            if not (job.out / CONFIG).exists():
                write_text(job.out / CONFIG, as_toml(job.config))
            for name, array in chip.items():
                if not (job.out / f"{name}.zarr").exists():
                    save_map(array, job.out / f"{name}.zarr")
        states = _train(jobs, tasks)
        return [_stored(*one) for one in zip(jobs, tasks, chips, states, strict=True)]


def _kept(job: _Job) -> xr.Dataset:
    """The finished run of the folder, if it is of these settings."""
    result = open_run(job.out / RUN)
    if result.attrs.get("fingerprint") != job.config.fingerprint:
        raise InputError(
            f"out must hold a run of these settings, but {job.out / RUN} has others"
            f" (is {job.out / CONFIG} missing or damaged?)"
        )
    _write_results(job, result)
    return result


def _stored(
    job: _Job, task: Task, chips: Chips, state: FitState, *, trained: bool = True
) -> xr.Dataset:
    if (job.out / RUN).exists():
        return _kept(job)
    result = run_result(task, job.config, state)
    result = with_times(result, task, job.config, chips, state.best_params)
    result = with_chips(result, task, job.config, chips, state.best_params)
    if not trained:
        result.attrs["protocol"] = given_protocol(result)
    for name, chip in chips.items():
        result.attrs[f"{name}_seed"] = chip.seed
        result.attrs[f"{name}_fingerprint"] = chip.fingerprint
    _write_results(job, result)
    save_run(result, job.out / RUN)
    return result


def _write_results(job: _Job, result: xr.Dataset) -> None:
    if not (job.out / RESULTS).exists():
        write_results(job.out / RESULTS, job.config, result)


def _check_alike(configs: Sequence[RunConfig]) -> None:
    """Refuse runs that cannot share batches and one program."""
    first = configs[0]
    for config in configs[1:]:
        for section in ("model", "data", "fit"):
            if getattr(config, section) != getattr(first, section):
                raise InputError(f"{section} must be equal in runs trained together")
        if config.seed != first.seed and (
            config.fit.order_seed is None or config.data.split == "published"
        ):
            raise InputError(
                "seed must be equal in runs trained together, unless order_seed is set"
                f" and the split does not depend on it, got {first.seed}"
                f" and {config.seed}"
            )


def _chips(config: RunConfig, given: Chips | None, out: Path) -> Chips:
    """The maps that the folder keeps; else the given ones, or a new draw."""
    names = list(FAMILIES[config.model].arrays(config))
    if given is not None and set(given) != set(names):
        raise InputError(
            f"map must not be given: model {config.model} has "
            + (f"the arrays {', '.join(names)}" if names else "no delays here")
        )
    if not all((out / f"{name}.zarr").exists() for name in names):
        return given or drawn_chips(config)
    kept = {name: open_map(out / f"{name}.zarr") for name in names}
    for name, chip in (given or {}).items():
        if not np.array_equal(kept[name].delay_steps, chip.delay_steps):
            where = out / f"{name}.zarr"
            raise InputError(f"map must be the one the run began with ({where})")
    return kept


def saved_config(out: Path) -> RunConfig:
    """The configuration that a run folder was started with.

    Raises:
        InputError: there is none, or it is damaged.
    """
    return from_dict(load_toml(out / CONFIG))


def _check_memory(config: RunConfig, members: int) -> None:
    n_steps = DATASETS[config.data.dataset].n_steps(config.data, config.map.timestep)
    needed = FAMILIES[config.model].memory_bytes(
        config, n_steps=n_steps, members=members
    )
    require_memory(needed, f"a batch of {config.fit.batch_size} on this network")


def _check_folder(out: Path, config: RunConfig, resume: bool) -> None:
    if not out.exists():
        return
    held = [entry.name for entry in out.iterdir() if not entry.name.startswith(".")]
    if not held:  # a run that was refused, or killed, before it began
        return
    if not resume:
        raise InputError(
            f"out must not exist yet, got {out}; continue it with --resume,"
            " or name another folder with --out"
        )
    if not (out / CONFIG).exists():
        raise InputError(
            f"out must be the folder of a run, but {out} has no {CONFIG}"
            f" (it holds {held[0]})"
        )
    changed = differences(saved_config(out), config)
    if changed:
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise InputError(
            f"a resumed run must keep its settings; {out} differs in "
            + "; ".join(changed[:5])
            + more
        )


@contextmanager
def _locked(out: Path, wait_s: float) -> Iterator[None]:
    lock = filelock.FileLock(out / ".lock")
    try:
        lock.acquire(timeout=wait_s)
    except filelock.Timeout:
        raise InputError(f"out must not be in use by another run, got {out}") from None
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from None
    try:
        clear_litter(out)
        yield
    finally:
        lock.release()


def _train(jobs: Sequence[_Job], tasks: Sequence[Task]) -> list[FitState]:
    fit = jobs[0].config.fit
    states = _restored(jobs, tasks)
    for job, task, state in zip(jobs, tasks, states, strict=True):
        job.watch.on_start(task.model.n_trained(state.params), task.splits)
        for row in state.history:
            job.watch.on_epoch(row)
    while not all(state.finished(fit) for state in states):
        going = [not state.finished(fit) for state in states]
        states = run_epoch_together(
            tasks, states, going=going, on_batch=jobs[0].watch.on_batch
        )
        for job, state, went in zip(jobs, states, going, strict=True):
            if went:
                print_ = job.config.fingerprint
                checkpoint.save(job.out / CHECKPOINTS, state, fingerprint=print_)
                job.watch.on_epoch(state.history[-1])
    return states


def _restored(jobs: Sequence[_Job], tasks: Sequence[Task]) -> list[FitState]:
    """The states to go on from; runs not yet finished all after the same epoch."""

    def load(job: _Job, task: Task, at_most: int | None = None) -> FitState:
        fresh, print_ = start(task), job.config.fingerprint
        return (
            checkpoint.load_newest(
                job.out / CHECKPOINTS, fresh, fingerprint=print_, at_most=at_most
            )
            or fresh
        )

    fit, pairs = jobs[0].config.fit, list(zip(jobs, tasks, strict=True))
    states = [load(*pair) for pair in pairs]
    while True:
        going = {len(state.history) for state in states if not state.finished(fit)}
        if len(going) < 2:
            return states
        states = [
            state if state.finished(fit) else load(*pair, at_most=min(going))
            for state, pair in zip(states, pairs, strict=True)
        ]
