"""Whether a store is what was written: every file against its checksum."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr

from denram.analysis import schema
from denram.analysis.chunks import chunk_path
from denram.analysis.grid import Grid, Index
from denram.analysis.sweep_store import lost_arrays, read_head
from denram.errors import InputError


@dataclass(frozen=True)
class Damage:
    """One file that is not what was written.

    Attributes:
        cell: position of the cell it belongs to, or None if it belongs to all.
        label: the same in words.
        file: relative to the store.
        reason: one line.
    """

    cell: Index | None
    label: str
    file: str
    reason: str


def damages(path: Path) -> Iterator[Damage]:
    """Every damage of a store: checksums, lost chunks, metadata against its grid.

    A cell that is not done may have any part of its data; it will be written again.

    Args:
        path: of the store.

    Raises:
        InputError: the store's own description cannot be read.
    """
    head = read_head(path, whole=False)
    attrs = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    if attrs.get("fingerprint") != head.grid.fingerprint:
        yield Damage(None, "whole sweep", "zarr.json", "its grid was changed")
    for name in lost_arrays(path, attrs):
        yield Damage(None, "whole sweep", f"{name}/zarr.json", "the file is missing")
    names = sorted(
        file.parent.relative_to(path).as_posix()
        for file in path.rglob("zarr.json")
        if file.parent != path and file.parent.name != schema.PROVENANCE
    )
    arrays = {}
    for name in names:
        found = _opened(path, name, head.grid)
        if isinstance(found, Damage):
            yield found
        else:
            arrays[name] = found
    if schema.STATUS not in arrays:
        yield Damage(None, "whole sweep", schema.STATUS, "there is no status")
        return
    axes = {key for axis in head.grid.axes for key in (axis.name, *axis.keys)}
    per_cell = {
        name: array
        for name, array in arrays.items()
        if name not in axes and _dims(array)[: len(head.grid.dims)] == head.grid.dims
    }
    for name in set(arrays) - set(per_cell):
        yield from _coordinate(path, name, arrays[name], head.grid)
    if head.packed:
        yield from _packed(path, per_cell, head.grid)
    else:
        yield from _cells(path, per_cell, head.grid)


def _dims(array: zarr.Array) -> tuple[Any, ...]:
    return tuple(getattr(array.metadata, "dimension_names", None) or ())


def _opened(path: Path, name: str, grid: Grid) -> "zarr.Array | Damage":
    """An array whose metadata agree with the grid, or what is wrong with them."""
    file = f"{name}/zarr.json"
    try:
        array = zarr.open_array(path / name, mode="r")
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        return Damage(None, "whole sweep", file, f"cannot be read: {reason}")
    lengths = dict(zip(grid.dims, grid.shape, strict=True))
    for dim, n in zip(_dims(array), array.shape, strict=False):
        if lengths.get(dim, n) != n:
            reason = f"{dim} must have {lengths[dim]} positions, got {n}"
            return Damage(None, "whole sweep", file, reason)
    return array


def _coordinate(
    path: Path, name: str, array: zarr.Array, grid: Grid
) -> Iterator[Damage]:
    """A coordinate's file and, for one of the grid's, its values."""
    for file in sorted(p for p in (path / name / "c").rglob("*") if p.is_file()):
        reason = _wrong(file)
        if reason:
            where = file.relative_to(path).as_posix()
            yield Damage(None, "whole sweep", where, reason)
            return
    for axis in grid.axes:
        if name == axis.name:
            held = list(map(str, np.asarray(array[:]).tolist()))
            told = [v if isinstance(v, str) else json.dumps(v) for v in axis.labels]
            if held != told and held != list(map(str, axis.labels)):
                reason = "its labels are not those of the grid"
                yield Damage(None, "whole sweep", name, reason)


def _cells(path: Path, arrays: dict[str, zarr.Array], grid: Grid) -> Iterator[Damage]:
    n_axes = len(grid.shape)
    provenance = {f"{schema.PROVENANCE}/{n}" for n in (schema.RECORD, schema.WALL)}
    for cell in grid.cells():
        status_file = chunk_path(path, schema.STATUS, cell)
        if not status_file.exists():
            continue  # not done yet
        reason = _wrong(status_file)
        status = schema.DONE if reason else status_file.read_bytes()[0]
        wanted = arrays if status == schema.DONE else provenance | {schema.STATUS}
        for name in wanted:
            file = chunk_path(path, name, cell, arrays[name].ndim - n_axes)
            reason = _wrong(file)
            if reason:
                where = file.relative_to(path).as_posix()
                yield Damage(cell, grid.label(cell), where, reason)


def _packed(path: Path, arrays: dict[str, zarr.Array], grid: Grid) -> Iterator[Damage]:
    for name, array in arrays.items():
        counts = [-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True)]
        for block in np.ndindex(*counts):
            file = chunk_path(path, name, block)
            reason = _wrong(file)
            if reason:
                first = tuple(i * c for i, c in zip(block, array.chunks, strict=True))[
                    : len(grid.shape)
                ]
                label = f"{grid.label(first)} and those of its chunk"
                yield Damage(first, label, file.relative_to(path).as_posix(), reason)


def _wrong(file: Path) -> str:
    """Why a chunk is not what was written; empty if it is."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if len(content) < 5:
        return f"the file is cut short ({len(content)} bytes)"
    if google_crc32c.value(content[:-4]) != int.from_bytes(content[-4:], "little"):
        return "the checksum does not match"
    return ""


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
