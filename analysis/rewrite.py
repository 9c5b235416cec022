"""A store rewritten as a whole: longer axes, or many cells to a chunk.

The new group is written beside the old one and takes its place by two renames; what a
kill between them leaves is put right by `recover`.
"""

import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import zarr

from denram.analysis import schema
from denram.analysis.chunks import read_scalars, sound_values
from denram.analysis.grid import Grid, Index
from denram.analysis.seal import digests, faults, read_root, sha256
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
    _replace(path, lambda scratch: _rewrite(path, scratch, (held, head), layout))


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
    _replace(path, lambda scratch: _rewrite(path, scratch, (held, head), layout))


def unpack(path: Path, layout: Layout, lost: Collection[Index]) -> None:
    """Give every cell of a packed store its own chunks again, but for lost ones.

    Args:
        path: of the store.
        layout: what a cell holds.
        lost: cells to be taken as missing.

    Raises:
        StorageError: the disk refused; the store is as it was.
    """
    held = read_head(path)
    head = replace(held, packed=False)
    _replace(path, lambda scratch: _rewrite(path, scratch, (held, head), layout, lost))


def restore(path: Path, layout: Layout) -> list[str]:
    """Make damaged metadata and labels again, where the digest proves them the same.

    Args:
        path: of the store.
        layout: what a cell holds.

    Returns:
        The files that were put back.

    Raises:
        StorageError: the disk refused.
    """
    root, head = read_root(path), read_head(path, whole=False)
    broken, told = list(faults(path, root, head.grid)), digests(root)
    scratch, restored = path.with_name(f".{path.name}.{os.getpid()}.partial"), []
    try:
        with disk_errors(path):
            shutil.rmtree(scratch, ignore_errors=True)
            create(scratch, head, layout)
            for file in (fault.file for fault in broken):
                made = scratch / file
                if made.is_file() and sha256(made) == told.get(file):
                    (path / file).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(made, path / file)
                    restored.append(file)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return restored


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


def _rewrite(
    path: Path,
    scratch: Path,
    heads: tuple[Head, Head],
    layout: Layout,
    lost: Collection[Index] = (),
) -> None:
    """Write what a store holds to a new group; heads are the old and the new one."""
    held, head = heads
    create(scratch, head, layout)
    old, new = zarr.open_group(path, mode="r"), zarr.open_group(scratch, mode="r+")
    beside = [f"{schema.PROVENANCE}/{n}" for n in (schema.RECORD, schema.WALL)]
    status = _status(path, old, lost)
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
            values = sound_values(path, name, source) if lost else source[...]
            _copy_cells(np.asarray(values), target, status)


def _status(path: Path, old: zarr.Group, lost: Collection[Index]) -> np.ndarray:
    array = _array(old, schema.STATUS)
    if not lost:
        return np.asarray(array[...])
    status = sound_values(path, schema.STATUS, array)
    for cell in lost:
        status[cell] = schema.MISSING
    return status


def _copy_cells(values: np.ndarray, target: zarr.Array, status: np.ndarray) -> None:
    """Copy finished cells, each into the corner of its larger or equal new chunk."""
    n_axes = status.ndim
    corner = tuple(slice(n) for n in values.shape[n_axes:])
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
