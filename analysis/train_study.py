"""Trainings as a study: accuracy, curves and confusion of each configuration."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xarray as xr

from denram.analysis import schema
from denram.analysis.processes import steady_sums
from denram.analysis.study import Layout, Values, Variable
from denram.config import fingerprint
from denram.errors import InputError
from denram.train import FAMILIES, RunConfig, Watch, resolve, reuse_memory, run_together
from denram.train.ageing import COMPENSATIONS
from denram.train.data import DATASETS, Splits, load

# one program's memory, so that how cells are grouped does not depend on the machine
PROGRAM_BYTES = 4e9
_CURVES = ("train_loss", "train_accuracy", "valid_accuracy")
_LOCK_WAIT_S = 600.0  # for a worker that was given up and is still at work
# evaluation and what the products do not contain, over the products' own time; whole
# runs on two cores take 1.3 to 2 times the arithmetic (benchmarks/delay_engine.py)
_OVERHEAD = 1.7


class TrainStudy:
    """Train, score and keep one run per cell."""

    name = "train"

    def __init__(self) -> None:
        self._splits: dict[str, Splits] = {}

    def config(self, flags: Mapping[str, Any], preset: str | None) -> RunConfig:
        """The run's configuration."""
        return resolve(flags, preset=preset)

    def check(self, config: RunConfig) -> None:
        """Refuse what can be seen to fail; data that may be fetched are not asked for.

        Raises:
            InputError: the data folder lacks a file, or weights have levels but no
                range.
        """
        data = DATASETS[config.data.dataset]
        FAMILIES[config.model].check(
            config, n_classes=data.n_classes, per_step=data.per_step
        )
        data.require_files(config.data.data_dir)

    def layout(self, configs: Iterable[RunConfig]) -> Layout:
        """Room for the longest training, the most draws and all test levels."""
        n_epochs = n_draws = n_classes = 1
        scored: dict[str, tuple[float, ...]] = {}
        configs = list(configs)
        for config in configs:
            published = config.fit.evaluation == "published"
            n_epochs = max(n_epochs, config.fit.nb_epochs)
            n_draws = max(n_draws, 1 if published else config.fit.eval_draws)
            n_classes = max(n_classes, config.map.n_out)
            for key, own in _scored(config).items():
                if scored.setdefault(key, own) != own:
                    raise InputError(f"{key} must be the same in every cell")
        variables = _variables(n_epochs, n_draws, n_classes)
        variables |= _layered_variables(configs)
        coords: dict[str, Any] = {}
        for key, values in scored.items():
            if values:
                name, dims, labels = _FURTHER[key]
                coords |= {dims[0]: values, **labels}
                shape = (len(values), *map(len, labels.values()), n_draws)
                text = f"test accuracy at further {key.removeprefix('test_')}"
                variables[name] = Variable((*dims, schema.DRAW), shape, text=text)
        if schema.TIME in coords:
            text = "by which the delays have grown, in the median"
            shape = (len(coords[schema.TIME]),)
            variables[schema.GROWTH] = Variable((schema.TIME,), shape, text=text)
        return Layout(variables, coords)

    def kin(self, config: RunConfig) -> str:
        """Runs that differ in noise, chip or numbers of the network alone.

        They may differ in seed too if their order of batches is shared.
        """
        free = config.fit.order_seed is not None and config.data.split != "published"
        replace = msgspec.structs.replace
        noise = replace(config.noise, noise_std=0.0, test_noise_std=None)
        chip = replace(config.map, r_mu=1.0, r_std=0.0)
        alike = replace(
            config,
            seed=0 if free else config.seed,
            chip_seed=None,
            noise=noise,
            map=chip,
            network=FAMILIES[config.model].alike(config.network),
        )
        return alike.fingerprint

    def most_together(self, config: RunConfig) -> int:
        """As many as fit in `PROGRAM_BYTES`."""
        most = 1
        while most < 64 and self.memory_bytes(config, most + 1) <= PROGRAM_BYTES:
            most += 1
        return most

    def memory_bytes(self, config: RunConfig, members: int) -> int:
        """Memory of a training step."""
        return FAMILIES[config.model].memory_bytes(
            config, n_steps=_n_steps(config), members=members
        )

    def compute(
        self,
        configs: Sequence[RunConfig],
        folders: Sequence[Path],
        on_progress: Callable[[int, int], None],
    ) -> list[Values]:
        """Train the runs in one program, each in its own folder."""
        reuse_memory()
        steady_sums()
        nb_epochs = configs[0].fit.nb_epochs
        watch = Watch(on_epoch=lambda row: on_progress(row.epoch + 1, nb_epochs))
        results = run_together(
            configs,
            folders,
            resume=True,
            splits=self._data(configs[0]),
            watches=[watch, *[Watch()] * (len(configs) - 1)],
            wait_s=_LOCK_WAIT_S,
        )
        return [_values(result) for result in results]

    def headline(self, values: Values) -> str:
        """The test accuracy."""
        return f"test {100 * float(np.mean(values[schema.TEST])):.2f} %"

    def seconds(self, config: RunConfig) -> float:
        """From the multiplications of all steps and this machine's own product."""
        family = FAMILIES[config.model]
        fit, data = config.fit, config.data
        n_train, n_test = DATASETS[data.dataset].n_samples(data)
        n_valid = int(n_train * data.val_fraction)
        work = family.step_multiplications(config, n_steps=_n_steps(config))
        steps = (n_train - n_valid) / fit.batch_size * fit.nb_epochs
        # a forward pass is about a third of a step
        seen = n_valid * fit.valid_draws * fit.nb_epochs
        more = {key: len(values) for key, values in _scored(config).items()}
        passes = 1 + more["test_noise_levels"] + more["test_chips"]
        passes += len(COMPENSATIONS) * more["test_times_s"]
        seen += n_test * fit.eval_draws * passes
        steps += seen / fit.batch_size / 3
        return _OVERHEAD * steps * work / self._products_per_s

    @cached_property
    def _products_per_s(self) -> float:
        """Multiply-adds per second of a large product, measured."""
        import jax
        import jax.numpy as jnp

        n = 1024
        a, times = jnp.ones((n, n), jnp.float32), []
        product = jax.jit(jnp.matmul)
        product(a, a).block_until_ready()
        for _ in range(5):
            began = time.perf_counter()
            product(a, a).block_until_ready()
            times.append(time.perf_counter() - began)
        return n**3 / min(times)

    def _data(self, config: RunConfig) -> Splits:
        """The data of a run; the last set stays in memory for runs that share it."""
        seed = config.seed if config.data.split == "published" else 0
        chip = config.map
        data = {"data": config.data, "n_in": chip.n_in, "dt": chip.timestep}
        key = fingerprint({**data, "seed": seed})
        if key not in self._splits:
            self._splits.clear()
            self._splits[key] = load(
                config.data, n_in=chip.n_in, timestep_s=chip.timestep, seed=config.seed
            )
        return self._splits[key]


def _n_steps(config: RunConfig) -> int:
    return DATASETS[config.data.dataset].n_steps(config.data, config.map.timestep)


# of layers and neurons, as far as a network has them
_LAYERED = {
    schema.TIME_CONSTANT: "time constants that act, hidden layer by hidden layer",
    schema.EIGENVALUE: "moduli of the recurrent weights' eigenvalues, falling",
}


def _layered_variables(configs: Sequence[RunConfig]) -> dict[str, Variable]:
    """Room for the most layers and neurons, for what any of the networks has."""
    found = {}
    for name, text in _LAYERED.items():
        shapes = [_layered_shape(config, name) for config in configs]
        shape = (max(s[0] for s in shapes), max(s[1] for s in shapes))
        if any(shape):
            units = "s" if name == schema.TIME_CONSTANT else "1"
            dims = schema.HIDDEN_LAYER, schema.NEURON
            found[name] = Variable(dims, shape, units=units, text=text)
    return found


def _layered_shape(config: RunConfig, name: str) -> tuple[int, int]:
    n_hid = getattr(config.network, "n_hid", 0)
    fed = name == schema.TIME_CONSTANT or getattr(config.network, "recurrent", False)
    return (config.network.n_layers - 1, n_hid) if n_hid and fed else (0, 0)


# setting to result, its dimensions within a cell, and labels besides the setting's own
_FURTHER: Mapping[str, tuple[str, tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    "test_noise_levels": (schema.TEST_AT, (schema.TEST_LEVEL,), {}),
    "test_times_s": (
        schema.TEST_TIME,
        (schema.TIME, schema.COMPENSATION),
        {schema.COMPENSATION: COMPENSATIONS},
    ),
    "test_chips": (schema.TEST_CHIP, (schema.CHIP,), {}),
}


def _scored(config: RunConfig) -> dict[str, tuple[float, ...]]:
    """At what else the test set is scored."""
    noise, first = config.noise, config.map.chip + 1
    return {
        "test_noise_levels": noise.test_noise_levels,
        "test_times_s": noise.test_times_s,
        "test_chips": tuple(range(first, first + noise.test_chips)),
    }


def _variables(n_epochs: int, n_draws: int, n_classes: int) -> dict[str, Variable]:
    shares = {
        schema.VALID: "best validation accuracy, under the training noise",
        schema.CLEAN: "test accuracy with the noise switched off",
    }
    counts = {
        schema.BEST: "epoch whose parameters were kept",
        schema.EPOCHS: "epochs trained",
    }
    draws = "test accuracy of each noise draw"
    variables = {
        schema.TEST: Variable((schema.DRAW,), (n_draws,), text=draws),
        **{name: Variable(text=text) for name, text in {**shares, **counts}.items()},
    }
    for name in _CURVES:
        units = "nat" if name == "train_loss" else "1"
        text = f"{name.replace('_', ' ')} of each epoch"
        curve = Variable((schema.EPOCH,), (n_epochs,), units=units, text=text)
        variables[f"{schema.PER_EPOCH}{name}"] = curve
    variables[schema.CONFUSION] = Variable(
        ("true_class", "predicted_class"),
        (n_classes, n_classes),
        dtype="int32",
        fill=-1,
        text="test samples, summed over noise draws; -1 for classes that are not there",
    )
    for name in (schema.DATASET, schema.PROTOCOL):
        text = name.replace("_", " ")
        variables[name] = Variable(dtype=str, fill="", text=text)
    return variables


def _values(result: xr.Dataset) -> Values:
    """What a finished run contributes to its cell."""
    attrs = result.attrs
    values = {
        schema.TEST: result["test_accuracy"].values,
        schema.VALID: attrs["best_valid_accuracy"],
        schema.CLEAN: attrs["test_accuracy_without_noise"],
        schema.BEST: attrs["best_epoch"],
        schema.EPOCHS: result.sizes["epoch"],
        schema.CONFUSION: result["confusion"].values,
        schema.DATASET: attrs["dataset"],
        schema.PROTOCOL: attrs["protocol"],
    }
    for name in _CURVES:
        values[f"{schema.PER_EPOCH}{name}"] = result[name].values
    further = (schema.TEST_AT, schema.TEST_TIME, schema.TEST_CHIP, schema.GROWTH)
    for name in (*further, *_LAYERED):
        if name in result:
            values[name] = result[name].values
    return values
