"""Whether a store is what was written: every file against its checksum."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from denram.analysis import schema
from denram.analysis.chunks import chunk_path, read_scalars, wrong
from denram.analysis.grid import Grid, Index
from denram.analysis.seal import META, faults, read_root
from denram.analysis.sweep_store import read_head, wrong_labels
from denram.errors import InputError


@dataclass(frozen=True)
class Damage:
    """One file that is not what was written.

    Attributes:
        cell: position of the first cell it belongs to, or None if it belongs to all.
        label: the same in words.
        file: relative to the store.
        reason: one line.
        cells: all cells it belongs to; none if it belongs to the whole sweep.
    """

    cell: Index | None
    label: str
    file: str
    reason: str
    cells: tuple[Index, ...] = ()


def _whole(file: str, reason: str) -> Damage:
    return Damage(None, "whole sweep", file, reason)


def damages(path: Path) -> Iterator[Damage]:
    """Every damage of a store: checksums, lost chunks, metadata against its grid.

    A cell that is not done may have any part of its data; it will be written again.

    Args:
        path: of the store.

    Raises:
        InputError: the store's own description cannot be read.
    """
    head, root = read_head(path, whole=False), read_root(path)
    if root["attributes"].get("fingerprint") != head.grid.fingerprint:
        yield _whole(META, "its grid was changed")
    faulty = set()
    for fault in faults(path, root, head.grid):
        faulty.add(fault.file)
        yield _whole(fault.file, fault.reason)
    arrays = {}
    for name in _names(path):
        if f"{name}/{META}" in faulty:
            continue
        try:
            arrays[name] = zarr.open_array(path / name, mode="r")
        except Exception as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            yield _whole(f"{name}/{META}", f"cannot be read: {reason}")
    axes = {key for axis in head.grid.axes for key in (axis.name, *axis.keys)}
    per_cell = {
        name: array
        for name, array in arrays.items()
        if name not in axes and _dims(array)[: len(head.grid.dims)] == head.grid.dims
    }
    for name in sorted({*arrays} - {*per_cell}):
        if not any(file.startswith(f"{name}/") for file in faulty):
            yield from _coordinate(path, name, arrays[name], head.grid)
    if schema.STATUS not in per_cell:
        yield _whole(schema.STATUS, "there is no status")
    elif head.packed:
        yield from _packed(path, per_cell, head.grid)
    else:
        yield from _cells(path, per_cell, head.grid)


def _names(path: Path) -> list[str]:
    """Arrays that have metadata."""
    return sorted(
        file.parent.relative_to(path).as_posix()
        for file in path.rglob(META)
        if file.parent != path and file.parent.name != schema.PROVENANCE
    )


def _dims(array: zarr.Array) -> tuple[Any, ...]:
    return tuple(getattr(array.metadata, "dimension_names", None) or ())


def _coordinate(
    path: Path, name: str, array: zarr.Array, grid: Grid
) -> Iterator[Damage]:
    """A coordinate's file and, for one of the grid's, its values."""
    for file in sorted(p for p in (path / name / "c").rglob("*") if p.is_file()):
        reason = wrong(file)
        if reason:
            yield _whole(file.relative_to(path).as_posix(), reason)
            return
    for axis in grid.axes:
        if name in (axis.name, *axis.keys):
            reason = wrong_labels(axis, name, np.asarray(array[:]))
            if reason:
                yield _whole(name, reason)
            return
    # distinct labels are not all empty, so that they always have a file
    first = chunk_path(path, name, (0,))
    if array.dtype.kind not in "iuf" and not first.is_file():
        yield _whole(first.relative_to(path).as_posix(), wrong(first))


def _cells(path: Path, arrays: dict[str, zarr.Array], grid: Grid) -> Iterator[Damage]:
    n_axes = len(grid.shape)
    provenance = {f"{schema.PROVENANCE}/{n}" for n in (schema.RECORD, schema.WALL)}
    if not provenance <= {*arrays}:  # a fault of the whole sweep
        provenance = set()
    for cell in grid.cells():
        status_file = chunk_path(path, schema.STATUS, cell)
        if not status_file.exists():
            continue  # not done yet
        reason = wrong(status_file)
        status = schema.DONE if reason else status_file.read_bytes()[0]
        wanted = arrays if status == schema.DONE else provenance | {schema.STATUS}
        for name in wanted:
            file = chunk_path(path, name, cell, arrays[name].ndim - n_axes)
            reason = wrong(file)
            if reason:
                where = file.relative_to(path).as_posix()
                yield Damage(cell, grid.label(cell), where, reason, (cell,))


def _packed(path: Path, arrays: dict[str, zarr.Array], grid: Grid) -> Iterator[Damage]:
    for name, array in arrays.items():
        counts = [-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True)]
        for block in np.ndindex(*counts):
            file = chunk_path(path, name, block)
            reason = wrong(file)
            if reason:
                spans = [
                    range(i * c, min(n, (i + 1) * c))
                    for i, c, n in zip(block, array.chunks, grid.shape, strict=False)
                ]
                cells = tuple(itertools.product(*spans))
                label = f"{grid.label(cells[0])} and those of its chunk"
                where = file.relative_to(path).as_posix()
                yield Damage(cells[0], label, where, reason, cells)


def counts(path: Path) -> dict[str, int]:
    """Cells that are done, failed and missing; one whose status is damaged is neither.

    Raises:
        InputError: there is no status that could be read.
    """
    status = read_scalars(path, schema.STATUS, skip_damaged=True)
    names = {"done": schema.DONE, "failed": schema.FAILED, "missing": schema.MISSING}
    return {name: int((status == code).sum()) for name, code in names.items()}


def require_sound(path: Path) -> None:
    """Refuse a store with any damage.

    Raises:
        InputError: the first damage, in one line.
    """
    for damage in damages(path):
        mend = f"; denram-analyze verify {path} --repair lets it be computed again"
        raise InputError(
            f"{path / damage.file} is damaged ({damage.label}): {damage.reason}"
            f"{'' if damage.cell is None else mend}"
        )
