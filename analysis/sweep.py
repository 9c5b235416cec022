"""Sweeps: a grid of runs, one zarr store, resumed where it was left.

The template is written first; each cell is then one region of one chunk, its status
last. A cell trains in its own run folder, so a sweep that is killed loses no epoch.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from denram.analysis import schema
from denram.config import fingerprint
from denram.errors import InputError
from denram.storage import disk_errors, output_folder, replacing, versions
from denram.train import RunConfig, Watch, resolve, run_together
from denram.train.data import Splits, load

STORE, CELLS = "sweep.zarr", "cells"
Cell = tuple[str, float, int]  # network, noise_std, seed


@dataclass(frozen=True)
class Grid:
    """Runs to make: networks x noise levels x seeds.

    Attributes:
        name: of the grid, such as `fig4d`.
        networks: name of each network and the settings that make it.
        noise_std: noise levels, fraction of max|w|, in training and test alike.
        seeds: seeds of devices, weights and batches.
        settings: flat settings that all runs share.
        preset: shipped preset beneath the settings, or None.
    """

    name: str
    networks: Mapping[str, Mapping[str, Any]]
    noise_std: tuple[float, ...]
    seeds: tuple[int, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None

    def programs(self) -> Iterator[list[Cell]]:
        """Cells that train in one program, in the order they are computed.

        They share network and seed, so data and batches, and differ in noise.
        """
        for network in self.networks:
            for seed in self.seeds:
                yield [(network, noise_std, seed) for noise_std in self.noise_std]

    def cells(self) -> Iterator[Cell]:
        """Every (network, noise_std, seed)."""
        for program in self.programs():
            yield from program

    def position(self, cell: Cell) -> tuple[int, int, int]:
        """Where a cell lies along the axes of the store."""
        network, noise_std, seed = cell
        return (
            list(self.networks).index(network),
            self.noise_std.index(noise_std),
            self.seeds.index(seed),
        )

    def config(self, network: str, noise_std: float, seed: int) -> RunConfig:
        """The configuration of one cell.

        Raises:
            InputError: a setting breaks a rule.
        """
        cell = {"noise_std": noise_std, "seed": seed}
        flags = {**self.networks[network], **self.settings, **cell}
        return resolve(flags, preset=self.preset)

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the configurations of all cells."""
        prints = [self.config(*cell).fingerprint for cell in self.cells()]
        return fingerprint({"name": self.name, "cells": prints})


def fig4d_grid(
    dataset: str,
    *,
    seeds: tuple[int, ...] | None = None,
    noise_std: tuple[float, ...] | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | None = None,
) -> Grid:
    """The paper's noise figure, or a smaller one of the same shape.

    Args:
        dataset: `shd` is the paper's grid: D2 (256 inputs, tau_mem 15 ms) and D1 (700
            inputs, 20 ms), five noise levels, seeds 42, 50, 9. On `synthetic`, two
            smaller networks, three levels and two seeds show its shape in minutes.
        seeds: other seeds.
        noise_std: other noise levels.
        settings: flat settings for all runs, such as nb_epochs; not the axes.
        preset: shipped preset beneath the settings.

    Raises:
        InputError: a setting that is an axis of the grid.
    """
    if dataset == "shd":
        networks = {
            "D2": {"n_in": 256, "tau_mem": 15e-3},
            "D1": {"n_in": 700, "tau_mem": 20e-3},
        }
        levels, all_seeds = (0.0, 0.05, 0.1, 0.15, 0.2), (42, 50, 9)
    else:
        networks = {"32 inputs": {"n_in": 32}, "64 inputs": {"n_in": 64}}
        levels, all_seeds = (0.0, 0.1, 0.2), (42, 50)
    fixed = {"dataset", schema.NOISE, schema.SEED}.union(*networks.values())
    for key in settings or {}:
        if key in fixed:
            raise InputError(f"{key} is an axis of fig4d's grid and must not be set")
    return Grid(
        name="fig4d",
        networks=networks,
        noise_std=levels if noise_std is None else noise_std,
        seeds=all_seeds if seeds is None else seeds,
        settings={"dataset": dataset, **(settings or {})},
        preset=preset,
    )


def open_sweep(folder: str | Path) -> xr.Dataset:
    """The sweep's store, in memory.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    path = Path(folder) / STORE
    if not (path / "zarr.json").is_file():
        raise InputError(f"out must hold a sweep ({STORE}), got {folder}")
    try:
        with xr.open_zarr(path, consolidated=False, chunks=None) as dataset:
            return dataset.load()
    except Exception as error:
        raise InputError(f"sweep {path} cannot be read: {error}") from None


def n_missing(grid: Grid, folder: str | Path) -> int:
    """How many cells of the grid are still to be computed.

    Raises:
        InputError: the folder's store cannot be read.
    """
    total = sum(1 for _ in grid.cells())
    if not (Path(folder) / STORE).exists():
        return total
    return total - int((open_sweep(folder)[schema.STATUS] == schema.DONE).sum())


def run_sweep(
    grid: Grid,
    out: str | Path,
    *,
    on_cell: Callable[[str, float, int, xr.Dataset | None], None],
    watch: Watch = Watch(),  # noqa: B008  frozen, holds no state
) -> xr.Dataset:
    """Compute the cells of a grid that are missing; returns the whole sweep.

    The noise levels of one network and seed train in one program, on the same batches.

    Args:
        grid: what to run.
        out: folder of the sweep; continued if it holds the same grid.
        on_cell: called with (network, noise_std, seed, result); the result is None
            when the cell begins. Cells of one seed and network begin together.
        watch: callbacks of each run.

    Raises:
        InputError: the folder holds another grid.
        StorageError: the disk refused.
    """
    out = output_folder(out)
    _create(grid, out)
    cache: dict[str, Splits] = {}
    status = open_sweep(out)[schema.STATUS].transpose(*schema.CELL).values
    for program in grid.programs():
        missing = [
            cell for cell in program if status[grid.position(cell)] != schema.DONE
        ]
        if not missing:
            continue
        for cell in missing:
            on_cell(*cell, None)
        configs = [grid.config(*cell) for cell in program]
        # finished cells are in the program too: the others' bits depend on its shape
        results = run_together(
            configs,
            [out / CELLS / config.fingerprint[:16] for config in configs],
            resume=True,
            splits=_splits(configs[0], cache),
            watches=[watch] * len(configs),
        )
        for cell, result in zip(program, results, strict=True):
            if cell in missing:
                _write_cell(out / STORE, _region(grid.position(cell)), result)
                on_cell(*cell, result)
    return open_sweep(out)


def _region(position: tuple[int, int, int]) -> dict[str, slice]:
    return {
        name: slice(index, index + 1)
        for name, index in zip(schema.CELL, position, strict=True)
    }


def _splits(config: RunConfig, cache: dict[str, Splits]) -> Splits:
    """The data of a run; the last set stays in memory for runs that share it."""
    seed = config.seed if config.data.split == "published" else 0
    key = fingerprint({"data": config.data, "n_in": config.map.n_in, "seed": seed})
    if key not in cache:
        cache.clear()
        cache[key] = load(
            config.data,
            n_in=config.map.n_in,
            timestep_s=config.map.timestep,
            seed=config.seed,
        )
    return cache[key]


def _create(grid: Grid, out: Path) -> None:
    """Write the template, or check that it is this grid's."""
    print_ = grid.fingerprint
    if (out / STORE).exists():
        held = open_sweep(out).attrs.get("fingerprint")
        if held != print_:
            raise InputError(
                f"out must hold the same grid to be continued, but {out} holds another;"
                " name a new folder with --out"
            )
        return
    first = grid.config(*next(grid.cells()))
    published = first.fit.evaluation == "published"
    dataset = schema.template(
        list(grid.networks),
        list(grid.noise_std),
        list(grid.seeds),
        1 if published else first.fit.eval_draws,
    )
    dataset.attrs = {
        "grid": grid.name,
        "fingerprint": print_,
        "settings": json.dumps({"preset": grid.preset, **grid.settings}),
        "networks": json.dumps({k: dict(v) for k, v in grid.networks.items()}),
        "versions": json.dumps(versions()),
    }
    with replacing(out / STORE) as scratch:
        dataset.to_zarr(
            scratch, mode="w-", consolidated=False, encoding=_encoding(dataset)
        )


def _encoding(dataset: xr.Dataset) -> dict[str, dict[str, Any]]:
    """One chunk per cell, so that no two writers share one; checksums on."""
    from zarr.codecs import ZstdCodec

    codec = [ZstdCodec(level=3, checksum=True)]
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in dataset.data_vars.items():
        n_cell = len(schema.CELL)
        chunks = (1,) * n_cell + variable.shape[n_cell:]
        encoding[str(name)] = {"compressors": codec, "chunks": chunks}
    return encoding


def _write_cell(path: Path, region: dict[str, slice], result: xr.Dataset) -> None:
    """Write one cell's values, then its status."""
    values = {
        schema.TEST: result["test_accuracy"].values,
        schema.VALID: result.attrs["best_valid_accuracy"],
        schema.CLEAN: result.attrs["test_accuracy_without_noise"],
        schema.BEST: result.attrs["best_epoch"],
        schema.EPOCHS: result.sizes["epoch"],
    }
    with disk_errors(path):
        _write_region(path, region, values)
        _write_region(path, region, {schema.STATUS: schema.DONE})
        _note_protocol(path, result)


def _write_region(
    path: Path, region: dict[str, slice], values: Mapping[str, Any]
) -> None:
    cell = {}
    for name, value in values.items():
        array = np.asarray(value, np.float64)
        dims = (*schema.CELL, schema.DRAW)[: 3 + array.ndim]
        cell[name] = (dims, array.reshape(1, 1, 1, *array.shape))
    xr.Dataset(cell).to_zarr(path, region=region, consolidated=False)


def _note_protocol(path: Path, result: xr.Dataset) -> None:
    """Keep beside the numbers what data they are on, and how they came about."""
    import zarr

    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    if "dataset" not in group.attrs:
        noted = ("dataset", "protocol")
        group.attrs.update({key: result.attrs[key] for key in noted})
