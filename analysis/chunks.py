"""Files of a store: where a cell's chunk lies, and numbers read file by file."""

import math
from collections.abc import Iterator
from pathlib import Path

import google_crc32c
import numpy as np
import zarr

from denram.analysis.grid import Index
from denram.errors import InputError


def chunk_path(path: Path, name: str, cell: Index, n_inner: int = 0) -> Path:
    """The file of one cell in an unpacked store."""
    parts = [str(i) for i in (*cell, *(0,) * n_inner)]
    return path.joinpath(*name.split("/"), "c", *parts)


def read_scalars(path: Path, name: str) -> np.ndarray:
    """One number per cell of the whole grid.

    An unpacked store is read file by file, without the machinery of arrays: several
    times faster, which is what a large store needs to open at once.

    Raises:
        InputError: the array cannot be read; a damaged chunk is named.
    """
    try:
        array = zarr.open_array(path / name, mode="r")
        if math.prod(array.chunks) > 1:
            return np.asarray(array[...])
    except Exception as error:
        raise InputError(f"sweep {path / name} cannot be read: {error}") from None
    values = np.full(array.shape, array.fill_value, array.dtype)
    order = array.dtype.newbyteorder("<")
    for cell, file in _chunk_files(path / name / "c", len(array.shape)):
        try:
            content = file.read_bytes()
            checked = google_crc32c.value(content[:-4])
            if checked != int.from_bytes(content[-4:], "little"):
                raise ValueError("the checksum does not match")
            values[cell] = np.frombuffer(content[:-4], order)[0]
        except (OSError, ValueError, IndexError) as error:
            raise InputError(
                f"{file} is damaged (cell {cell}): {error}; denram-analyze verify"
                " --repair lets it be computed again"
            ) from None
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
