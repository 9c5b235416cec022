"""A whole run in one folder: data, chip, training, checkpoints, result.

The folder holds `config.toml`, `map.zarr`, `checkpoints/`, and when the run is finished
`run.zarr` and `results.csv`. It can be left at any moment and resumed.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock
import jax
import numpy as np
import xarray as xr

from denram.config import as_toml, load_toml
from denram.errors import InputError, StorageError
from denram.mapping import HardwareMap, build_map, open_map, save_map
from denram.storage import (
    clear_litter,
    disk_errors,
    output_path,
    require_memory,
    write_text,
)
from denram.train import checkpoint
from denram.train.data import Splits, load
from denram.train.models import FAMILIES
from denram.train.run_config import RunConfig, differences, from_dict
from denram.train.run_store import open_run, run_dataset, save_run, write_results
from denram.train.scoring import predict_test, score_test
from denram.train.task import Task
from denram.train.trainer import Epoch, FitState, run_epoch, start

CONFIG, CHECKPOINTS, RUN, MAP = "config.toml", "checkpoints", "run.zarr", "map.zarr"


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


def prepare(
    config: RunConfig, *, splits: Splits | None = None, chip: HardwareMap | None = None
) -> Task:
    """Load the data, draw the chip and put the network on it.

    Args:
        config: the run's settings.
        splits: data already in memory, made with the same settings.
        chip: a map to train on, instead of drawing one.

    Raises:
        InputError: the data cannot be had, the map does not fit, or the run would not
            fit in memory.
    """
    family = FAMILIES[config.model]
    if splits is None:
        splits = load(
            config.data,
            n_in=config.map.n_in,
            timestep_s=config.map.timestep,
            seed=config.seed,
        )
    chip = chip or _drawn(config)
    if splits.train.n_classes > chip.delay_steps.shape[0]:
        raise InputError(
            f"n_out must be >= the number of classes ({splits.train.n_classes}),"
            f" got {chip.delay_steps.shape[0]}"
        )
    dead = np.zeros(splits.train.n_in, np.bool_)
    dead[splits.train.dead_channels()] = True
    model = family.build(
        config.network,
        config.noise,
        chip,
        n_steps=splits.train.n_steps,
        dead_inputs=dead,
        batch_size=config.fit.batch_size,
    )
    noise = config.noise
    return Task(
        model=model,
        params=family.initial_params(model, config.network, chip, seed=config.seed),
        splits=splits,
        config=config.fit,
        noise_std=noise.noise_std,
        test_noise_std=(
            noise.noise_std if noise.test_noise_std is None else noise.test_noise_std
        ),
        seed=config.seed,
    )


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
    out = output_path(out)
    _check_memory(config)
    _check_folder(out, config, resume)
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with _locked(out):
        if (out / RUN).exists():
            return open_run(out / RUN)
        chip = _chip(config, chip, out)
        task = prepare(config, splits=splits, chip=chip)
        if not (out / CONFIG).exists():
            write_text(out / CONFIG, as_toml(config))
        if not (out / MAP).exists():
            save_map(chip, out / MAP)
        state = _train(task, config, out, watch)
        result = _result(task, config, state)
        write_results(
            out / "results.csv", config, float(result["test_accuracy"].mean())
        )
        save_run(result, out / RUN)
        return result


def _chip(config: RunConfig, given: HardwareMap | None, out: Path) -> HardwareMap:
    """The map that the folder keeps; else the given one, or a new draw."""
    if not (out / MAP).exists():
        return given or _drawn(config)
    kept = open_map(out / MAP)
    if given is not None and not np.array_equal(kept.delay_steps, given.delay_steps):
        raise InputError(f"map must be the one the run began with ({out / MAP})")
    return kept


def _drawn(config: RunConfig) -> HardwareMap:
    return build_map(config.map, seed=config.seed, noise_std=config.noise.noise_std)


def saved_config(out: Path) -> RunConfig:
    """The configuration that a run folder was started with.

    Raises:
        InputError: there is none, or it is damaged.
    """
    return from_dict(load_toml(out / CONFIG))


def _check_memory(config: RunConfig) -> None:
    needed = FAMILIES[config.model].memory_bytes(
        config.map, batch_size=config.fit.batch_size, n_steps=config.data.n_steps
    )
    require_memory(needed, f"a batch of {config.fit.batch_size} on this network")


def _check_folder(out: Path, config: RunConfig, resume: bool) -> None:
    if not out.exists():
        return
    if not resume:
        raise InputError(
            f"out must not exist yet, got {out}; continue it with --resume,"
            " or name another folder with --out"
        )
    if not out.is_dir():
        raise InputError(f"out must be a folder, got {out}")
    if (out / CONFIG).exists():
        changed = differences(saved_config(out), config)
        if changed:
            raise InputError(
                f"a resumed run must keep its settings; {out} differs in "
                + "; ".join(changed[:5])
            )


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    lock = filelock.FileLock(out / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise InputError(f"out must not be in use by another run, got {out}") from None
    except OSError as error:
        raise StorageError(f"cannot write {out}: {error.strerror}") from None
    try:
        clear_litter(out)
        yield
    finally:
        lock.release()


def _train(task: Task, config: RunConfig, out: Path, watch: Watch) -> FitState:
    state, print_ = start(task), config.fingerprint
    n_parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    watch.on_start(n_parameters, task.splits)
    restored = checkpoint.load_newest(out / CHECKPOINTS, state, fingerprint=print_)
    state = restored or state
    for row in state.history:
        watch.on_epoch(row)
    while not state.finished(config.fit):
        state = run_epoch(task, state, on_batch=watch.on_batch)
        checkpoint.save(out / CHECKPOINTS, state, fingerprint=print_)
        watch.on_epoch(state.history[-1])
    return state


def _result(task: Task, config: RunConfig, state: FitState) -> xr.Dataset:
    found, labels = predict_test(task, state.best_params)
    held = task.model.stored(state.best_params)
    result = run_dataset(
        config,
        state,
        {name: np.asarray(array) for name, array in held.items()},
        found,
        labels,
        dataset=task.splits.name,
        n_classes=task.splits.test.n_classes,
    )
    clean = score_test(task, state.best_params, noise_std=0.0)[0]
    result.attrs["test_accuracy_without_noise"] = float(clean)
    return result
