"""Files of a store: where a cell's chunk lies, and numbers read file by file."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr

from denram.analysis.grid import Index
from denram.errors import InputError


def chunk_path(path: Path, name: str, cell: Index, n_inner: int = 0) -> Path:
    """The file of one cell in an unpacked store."""
    parts = [str(i) for i in (*cell, *(0,) * n_inner)]
    return path.joinpath(*name.split("/"), "c", *parts)


def wrong(file: Path) -> str:
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


def sound_values(
    path: Path, name: str, array: zarr.Array, *, fill: Any = None
) -> np.ndarray:
    """What an array holds, with a fill where a chunk is damaged or missing."""
    fill = array.fill_value if fill is None else fill
    values = np.full(array.shape, fill, array.dtype)
    pairs = list(zip(array.shape, array.chunks, strict=True))
    for block in np.ndindex(*(-(-n // c) for n, c in pairs)):
        if not wrong(chunk_path(path, name, block)):
            own = tuple(
                slice(i * c, (i + 1) * c)
                for i, (_, c) in zip(block, pairs, strict=True)
            )
            values[own] = array[own]
    return values


def read_scalars(path: Path, name: str, *, skip_damaged: bool = False) -> np.ndarray:
    """One number per cell of the whole grid.

    An unpacked store is read file by file, without the machinery of arrays: several
    times faster, which is what a large store needs to open at once.

    Args:
        path: of the store.
        name: of the array.
        skip_damaged: leave what cannot be read at -1.

    Raises:
        InputError: the array cannot be read; a damaged chunk is named.
    """
    try:
        array = zarr.open_array(path / name, mode="r")
        if math.prod(array.chunks) > 1:
            if skip_damaged:
                return sound_values(path, name, array, fill=-1)
            return np.asarray(array[...])
    except Exception as error:
        raise InputError(f"sweep {path / name} cannot be read: {error}") from None
    values = np.full(array.shape, array.fill_value, array.dtype)
    order = array.dtype.newbyteorder("<")
    for cell, file in _chunk_files(path / name / "c", len(array.shape)):
        outside = any(i >= n for i, n in zip(cell, array.shape, strict=True))
        reason = "it lies outside the grid" if outside else wrong(file)
        if not reason:
            values[cell] = np.frombuffer(file.read_bytes()[:-4], order)[0]
        elif skip_damaged:
            if not outside:
                values[cell] = -1
        else:
            raise InputError(
                f"{file} is damaged (cell {cell}): {reason}; denram-analyze verify"
                " --repair lets it be computed again"
            )
    return values


def _chunk_files(folder: Path, depth: int) -> Iterator[tuple[Index, Path]]:
    """Every chunk below a folder with its position; litter is passed over."""
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if not entry.name.isdecimal():
            continue
        if depth == 1:
            yield (int(entry.name),), entry
        else:
            for cell, file in _chunk_files(entry, depth - 1):
                yield (int(entry.name), *cell), file
