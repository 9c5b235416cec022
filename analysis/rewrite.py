"""A store rewritten as a whole: longer axes, or many cells to a chunk.

The new group is written beside the old one and takes its place by two renames; what a
kill between them leaves is put right by `recover`.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import zarr

from denram.analysis import schema
from denram.analysis.chunks import read_scalars
from denram.analysis.grid import Grid
from denram.analysis.study import Layout
from denram.analysis.sweep_store import Head, create, opened, read_head
from denram.analysis.verify import require_sound
from denram.errors import InputError
from denram.storage import disk_errors, require_memory, sync_entry, sync_tree


def extend(path: Path, grid: Grid, layout: Layout) -> None:
    """Give a store the grid's longer axes; finished cells stay as they are.

    Args:
        path: of the store.
        grid: the held grid with labels added at the ends of its axes.
        layout: what a cell holds.

    Raises:
        StorageError: the disk refused; the store is as it was.
    """
    held = read_head(path)
    if held.packed:
        require_sound(path)
    grown = grid.shape != held.grid.shape
    shapes = (*held.shapes, grid.shape) if grown else held.shapes
    head = replace(held, grid=grid, shapes=shapes, packed=False)
    _replace(path, lambda scratch: _rewritten(path, scratch, held, head, layout))


def pack(path: Path, layout: Layout) -> None:
    """Put many cells into each chunk of a finished store.

    Args:
        path: of the store.
        layout: what a cell holds.

    Raises:
        InputError: cells are missing or damaged, or it is packed already.
        StorageError: the disk refused; the store is as it was.
    """
    held = read_head(path)
    if held.packed:
        raise InputError(f"store must not be packed already, got {path}")
    require_sound(path)
    status = read_scalars(path, schema.STATUS)
    missing = int((status == schema.MISSING).sum())
    if missing:
        raise InputError(
            f"store must be finished to be packed, but {missing} of {status.size} cells"
            f" of {path} are missing"
        )
    head = replace(held, packed=True)
    _replace(path, lambda scratch: _rewritten(path, scratch, held, head, layout))


def recover(path: Path) -> None:
    """Put right what a rewriting that was killed has left."""
    aside = _aside(path)
    if not aside.exists():
        return
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
    else:
        os.replace(aside, path)


def is_aside(path: Path) -> bool:
    """Whether a rewriting was killed between its two renames."""
    return _aside(path).exists() and not path.exists()


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.aside")


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    scratch, aside = path.with_name(f".{path.name}.{os.getpid()}.partial"), _aside(path)
    try:
        with disk_errors(path):
            shutil.rmtree(scratch, ignore_errors=True)
            write(scratch)
            sync_tree(scratch)
            os.replace(path, aside)
            os.replace(scratch, path)
            sync_entry(path.parent)
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        recover(path)
        shutil.rmtree(scratch, ignore_errors=True)


def _rewritten(
    path: Path, scratch: Path, held: Head, head: Head, layout: Layout
) -> None:
    create(scratch, head, layout)
    old, new = zarr.open_group(path, mode="r"), zarr.open_group(scratch, mode="r+")
    beside = [f"{schema.PROVENANCE}/{n}" for n in (schema.RECORD, schema.WALL)]
    status = np.asarray(_array(old, schema.STATUS)[...])
    for name in (*layout.variables, *beside, schema.STATUS):
        source, target = _array(old, name), _array(new, name)
        if head.packed:
            require_memory(2 * source.nbytes, f"packing {name}")
            target[...] = source[...]
        elif not held.packed and source.chunks == target.chunks:
            if (path / name / "c").is_dir():  # the very same files
                shutil.copytree(
                    path / name / "c", scratch / name / "c", copy_function=_linked
                )
        else:
            _copy_cells(source, target, status)


def _copy_cells(source: zarr.Array, target: zarr.Array, status: np.ndarray) -> None:
    """Copy finished cells, each into the corner of its larger or equal new chunk."""
    values, n_axes = np.asarray(source[...]), status.ndim
    corner = tuple(slice(n) for n in source.shape[n_axes:])
    for cell in np.argwhere(status != schema.MISSING):
        full = np.full(target.shape[n_axes:], target.fill_value, target.dtype)
        full[corner] = values[tuple(cell)]
        target[tuple(int(i) for i in cell)] = full


def _array(group: zarr.Group, name: str) -> zarr.Array:
    array = opened(group, name)
    return array.with_config({"write_empty_chunks": True})


def _linked(source: str, target: str) -> None:
    """A second name for a file that nobody writes to again, or a copy of it."""
    try:
        os.link(source, target)
    except OSError:  # some network folders have no second names
        shutil.copyfile(source, target)
