"""A finished run as one labelled Dataset, and as the published results table."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from denram.config import as_dict
from denram.errors import InputError
from denram.storage import replacing, versions, write_text
from denram.train._protocol import Stored
from denram.train.models import FAMILIES
from denram.train.run_config import RunConfig
from denram.train.scoring import accuracies, predict_test, score_test
from denram.train.task import Task
from denram.train.trainer import FitState


def run_result(task: Task, config: RunConfig, state: FitState) -> xr.Dataset:
    """Score a trained network and lay down everything that its run measured.

    Args:
        task: model, data and keys.
        config: the run's settings.
        state: after the last epoch.
    """
    found, labels = predict_test(task, state.best_params)
    tested = (task.deployed or task).model
    result = run_dataset(
        config,
        state,
        task.model.stored(state.best_params),
        found,
        labels,
        dataset=task.splits.name,
        n_classes=task.splits.test.n_classes,
        is_random=bool(task.test_noise_std or tested.random or task.events),
    )
    ideal = replace(task, model=task.model.ideal(), events=None, deployed=None)
    clean = score_test(ideal, state.best_params, noise_std=0.0)[0]
    result.attrs["test_accuracy_without_noise"] = float(clean)
    levels = config.noise.test_noise_levels
    if levels:
        rows = [score_test(task, state.best_params, noise_std=x) for x in levels]
        result["test_accuracy_at"] = (("test_noise_std", "draw"), np.stack(rows))
        result["test_accuracy_at"].attrs["units"] = "1"
        result = result.assign_coords(test_noise_std=list(levels))
    return result


def run_dataset(
    config: RunConfig,
    state: FitState,
    held: Stored,
    found: np.ndarray,
    labels: np.ndarray,
    *,
    dataset: str,
    n_classes: int,
    is_random: bool = True,
) -> xr.Dataset:
    """Everything that a run measured.

    Args:
        config: the run's settings.
        state: after the last epoch.
        held: what the best parameters are on the devices, before noise.
        found: predicted classes on the test set, (draw, sample[, step]).
        labels: true classes, (sample[, step]).
        dataset: name of the data that were really used, such as `shd-regen`.
        n_classes: number of classes.
        is_random: whether draws of the test differ.
    """
    history = state.history
    epochs = {
        "train_loss": ("epoch", [e.train_loss for e in history], "nat"),
        "train_accuracy": ("epoch", [e.train_accuracy for e in history], "1"),
        "valid_accuracy": ("epoch", [e.valid_accuracy for e in history], "1"),
        "epoch_test_accuracy": (
            "epoch",
            [np.nan if e.test_accuracy is None else e.test_accuracy for e in history],
            "1",
        ),
        "accepted": ("epoch", [e.accepted for e in history], "1"),
        "test_accuracy": ("draw", accuracies(found, labels, config.fit), "1"),
    }
    variables = {k: (d, np.asarray(v), {"units": u}) for k, (d, v, u) in epochs.items()}
    for name, (dims, array) in held.items():
        units = "s" if name == "time_constant" else "1"
        variables[name] = (dims, np.asarray(array), {"units": units})
    confusion = np.zeros((n_classes, n_classes), np.int64)
    np.add.at(confusion, (np.broadcast_to(labels, found.shape), found), 1)
    variables["confusion"] = (
        ("true_class", "predicted_class"),
        confusion,
        {"units": "1", "long_name": "test samples, summed over noise draws"},
    )
    attrs = {
        "config": json.dumps(as_dict(config)),
        "fingerprint": config.fingerprint,
        "versions": json.dumps(versions()),
        "dataset": dataset,
        "best_epoch": state.best_epoch,
        "best_valid_accuracy": state.best_valid,
        "n_test": len(labels),
        "protocol": protocol(
            config,
            n_test=len(labels),
            draws=len(found) if is_random else 0,
            best_epoch=state.best_epoch,
        ),
    }
    coords = {"epoch": np.arange(len(history)), "draw": np.arange(len(found))}
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def protocol(config: RunConfig, *, n_test: int, draws: int, best_epoch: int = 0) -> str:
    """One sentence on how the test accuracy came about; every result carries it.

    Args:
        config: the run's settings.
        n_test: test samples.
        draws: noise draws; 0 where nothing is random.
        best_epoch: the epoch that is kept; -1 where none was.
    """
    noise, fit, data = config.noise, config.fit, config.data
    level = noise.noise_std if noise.test_noise_std is None else noise.test_noise_std
    chosen = f"best validation epoch (relative gain >= {fit.min_relative_gain:g})"
    if best_epoch < 0:
        chosen = "untrained: no epoch was right on any validation sample,"
    if data.use_test_as_valid:
        chosen = "best epoch by the test set itself, which is no honest test,"
    scored = f"{n_test} test samples x {draws} noise draws"
    if fit.evaluation == "published":
        scored = f"{n_test} test samples, one noise draw per batch"
    elif not draws:
        scored = f"{n_test} test samples"
    mean = ", mean over batches" if fit.average == "batches" else ""
    if getattr(config.network, "norm_at_test", "") == "batch":
        mean += ", normalised by the statistics of each test batch"
    return (
        f"{config.model}, {data.split} split, {chosen}, {scored}{mean}, train noise "
        f"{noise.noise_std:g}, test noise {level:g} of max|w|{_errors(config)},"
        f" seed {config.seed}"
    )


def _errors(config: RunConfig) -> str:
    """The device errors that are on."""
    held, ideal = as_dict(config.errors), as_dict(type(config.errors)())
    on = [
        f"{key} {'table' if key.endswith('table') else value}"
        for key, value in held.items()
        if value != ideal[key]
    ]
    return f", device errors: {', '.join(on)}" if on else ""


def given_protocol(result: xr.Dataset) -> str:
    """How the accuracy of weights came about that were given, not trained here."""
    config = json.loads(result.attrs["config"])
    noise = config["noise"]
    level = noise["test_noise_std"]
    level = noise["noise_std"] if level is None else level
    return (
        f"{config['data']['split']} split, weights given, nothing trained,"
        f" {result.attrs['n_test']} test samples x {result.sizes['draw']} noise draws,"
        f" test noise {level:g} of max|w|, seed {config['seed']}"
    )


def save_run(dataset: xr.Dataset, path: Path) -> None:
    """Write the run as one zarr group, whole or not at all."""
    from zarr.codecs import ZstdCodec

    codec = {"compressors": [ZstdCodec(level=3, checksum=True)]}
    encoding = {name: codec for name in dataset.variables}
    with replacing(path) as scratch:
        dataset.to_zarr(scratch, mode="w-", consolidated=False, encoding=encoding)


def open_run(path: Path) -> xr.Dataset:
    """Open a finished run, in memory.

    Raises:
        InputError: there is no run here, or it is damaged.
    """
    if not (path / "zarr.json").is_file():
        raise InputError(
            f"run must be a finished run's store, got {path}; if it is damaged, move it"
            " away and resume to score again from the checkpoints"
        )
    try:
        with xr.open_zarr(path, consolidated=False, chunks=None) as dataset:
            loaded = dataset.load()
        json.loads(loaded.attrs["config"])
    except Exception as error:
        raise InputError(
            f"run {path} cannot be read: {error}; move it away and resume to score"
            " again from the checkpoints"
        ) from None
    return loaded


def write_results(path: Path, config: RunConfig, result: xr.Dataset) -> None:
    """Write a finished run as results.csv, in the published columns and formats."""
    best = result.attrs["best_epoch"]
    trained = result["train_accuracy"].values
    accuracy = {
        "train": float(trained[best]) if len(trained) and best >= 0 else float("nan"),
        "valid": result.attrs["best_valid_accuracy"],
        "test": float(result["test_accuracy"].mean()),
    }
    row = FAMILIES[config.model].results(config, accuracy)
    write_text(path, f"{','.join(row)}\n{','.join(row.values())}\n")
