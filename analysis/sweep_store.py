"""A sweep on disk: one zarr group whose every cell is written once, its status last.

Along the axes of the grid every chunk holds one cell and there are no shards, so no two
writers ever touch the same file. Results lie in the root group and depend on the grid
alone; what differs from run to run (time, host, versions) lies in `provenance`.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec

from denram.analysis import schema
from denram.analysis.chunks import chunk_path, read_scalars
from denram.analysis.grid import Axis, Grid, Index
from denram.analysis.seal import META, Fault, faults, is_sealed, read_root, seals
from denram.analysis.study import Layout, Values, Variable
from denram.errors import InputError
from denram.storage import disk_errors, require_memory

FORMAT = 1  # of the store; a newer one is refused
_STATUS = Variable(dtype="int8", fill=schema.MISSING, text="written last")
_RECORD = Variable(dtype=str, fill="", text="how the cell came about, as JSON")
_WALL = Variable(units="s", text="time of the cell's program over its cells")
_SCALAR_BYTES = 16  # up to this size a chunk is not worth compressing


@dataclass(frozen=True)
class Head:
    """What a store says of itself.

    Attributes:
        grid: what it is to hold.
        shapes: of the grid, at creation and after each extension; cells that were added
            later never share a program with earlier ones.
        built_by: library versions and code that the results depend on.
        packed: whether many cells share a chunk; such a store is only read.
        sealed: whether digests of its files were noted when it was made.
    """

    grid: Grid
    shapes: tuple[Index, ...]
    built_by: Mapping[str, str]
    packed: bool = False
    sealed: bool = True

    def attrs(self) -> dict[str, Any]:
        """As the root group's attributes."""
        return {
            "format": FORMAT,
            "grid": self.grid.name,
            "study": self.grid.study,
            "definition": json.dumps(self.grid.as_dict()),
            "fingerprint": self.grid.fingerprint,
            "shapes": [list(shape) for shape in self.shapes],
            "built_by": json.dumps(self.built_by, sort_keys=True),
            "packed": self.packed,
        }


def create(path: Path, head: Head, layout: Layout) -> None:
    """Write an empty store: all metadata and coordinates, no cell.

    Args:
        path: of the group, which must not exist.
        head: what the store says of itself.
        layout: what a cell holds.
    """
    grid = head.grid
    labels = [key for a in grid.axes for key in dict.fromkeys((a.name, *a.keys))]
    auxiliary = [k for a in grid.axes for k in a.keys if k != a.name]
    attrs = head.attrs()
    if auxiliary:
        attrs["coordinates"] = " ".join(auxiliary)
    beside_names = [f"{schema.PROVENANCE}/{n}" for n in (schema.RECORD, schema.WALL)]
    attrs["arrays"] = sorted(
        [*labels, *layout.coords, *layout.variables, schema.STATUS, *beside_names]
    )
    root = zarr.open_group(path, mode="w-", attributes=attrs)
    for axis in grid.axes:
        _coordinate(root, axis.name, axis.name, axis.labels)
        for key, values in axis.keys.items():
            if key != axis.name:
                _coordinate(root, key, axis.name, values)
    for name, values in layout.coords.items():
        _coordinate(root, name, name, values)
    for name, variable in layout.variables.items():
        _cell_array(root, name, variable, head)
    _cell_array(root, schema.STATUS, _STATUS, head)
    root[schema.STATUS].attrs.update(
        {"flag_values": [0, 1, 2], "flag_meanings": "missing done failed"}
    )
    beside = root.create_group(schema.PROVENANCE)
    _cell_array(beside, schema.RECORD, _RECORD, head)
    _cell_array(beside, schema.WALL, _WALL, head)
    root.attrs.update(seals(path))


def _coordinate(group: zarr.Group, name: str, dim: str, values: Any) -> None:
    plain = spellings(values)
    array = np.array(plain)
    text = array.dtype.kind == "U"
    made = group.create_array(
        name,
        shape=array.shape,
        chunks=array.shape,
        dtype=str if text else array.dtype,
        dimension_names=(dim,),
        attributes={"units": schema.UNITS.get(name, "1")},
        compressors=_codecs(text, array.nbytes),
        config={"write_empty_chunks": True},
    )
    made[:] = array.astype(object) if text else array


def spellings(values: Iterable[Any]) -> list[Any]:
    """Labels as a coordinate holds them: numbers, or texts."""
    plain = list(values)
    if all(isinstance(v, bool | int | float) for v in plain):
        return plain
    return [v if isinstance(v, str) else json.dumps(v) for v in plain]


def wrong_labels(axis: Axis, name: str, held: np.ndarray) -> str:
    """Why a coordinate is not what the grid says; empty if it is.

    Args:
        axis: of the grid.
        name: of the axis, or of one of its keys.
        held: values of the coordinate.
    """
    told = spellings(axis.labels if name == axis.name else axis.keys[name])
    if list(map(str, held.tolist())) == list(map(str, told)):
        return ""
    return "its labels are not those of the grid"


def _codecs(text: bool, nbytes: int) -> list[Any]:
    check = Crc32cCodec()
    small = not text and nbytes <= _SCALAR_BYTES
    return [check] if small else [ZstdCodec(level=3), check]


def _cell_array(group: zarr.Group, name: str, variable: Variable, head: Head) -> None:
    grid = head.grid
    chunks = (1,) * len(grid.shape) + variable.shape
    shards = None
    text = variable.dtype is str
    itemsize = 64 if text else np.dtype(variable.dtype).itemsize
    if head.packed:
        chunks, shards = _packed_chunks(grid.shape, variable.shape, itemsize), None
    group.create_array(
        name,
        shape=(*grid.shape, *variable.shape),
        chunks=chunks,
        shards=shards,
        dtype=variable.dtype,
        fill_value=variable.fill,
        dimension_names=(*grid.dims, *variable.dims),
        attributes={"units": variable.units, "long_name": variable.text},
        compressors=_codecs(text, itemsize * math.prod(chunks)),
        # a chunk that equals the fill is a file too: absent then means lost
        config={"write_empty_chunks": True},
    )


def _packed_chunks(shape: Index, inner: Index, itemsize: int) -> Index:
    """Chunks of at most 1 MB, whole along the last axes."""
    left = max(1, 2**20 // (itemsize * max(1, math.prod(inner))))
    chunks = []
    for n in reversed(shape):
        chunks.append(min(n, left))
        left = max(1, left // n)
    return (*reversed(chunks), *inner)


class SweepStore:
    """An open store, to write cells to and to ask what is done.

    Args:
        path: of the zarr group.

    Raises:
        InputError: there is none, or it was written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head = read_head(path)
        self._root = zarr.open_group(path, mode="r+")
        self._arrays: dict[str, zarr.Array] = {}

    def _array(self, name: str) -> zarr.Array:
        if name not in self._arrays:
            array = opened(self._root, name)
            self._arrays[name] = array.with_config({"write_empty_chunks": True})
        return self._arrays[name]

    def write(self, cell: Index, values: Values, record: Mapping[str, Any]) -> None:
        """Store a finished cell; it counts as done only when all of it is written.

        Raises:
            StorageError: the disk refused.
        """
        with disk_errors(self.path):
            for name, value in values.items():
                self._put(name, cell, value)
            self._note(cell, record)
            self._put(schema.STATUS, cell, schema.DONE)

    def fail(self, cell: Index, record: Mapping[str, Any]) -> None:
        """Mark a cell as failed; its record holds the reason.

        Raises:
            StorageError: the disk refused.
        """
        with disk_errors(self.path):
            self._note(cell, record)
            self._put(schema.STATUS, cell, schema.FAILED)

    def forget(self, cell: Index) -> None:
        """Take a cell as missing, to be computed again; what it held is removed."""
        chunk_path(self.path, schema.STATUS, cell).unlink(missing_ok=True)
        labels = {
            key for axis in self.head.grid.axes for key in (axis.name, *axis.keys)
        }
        for name, array in self._root.arrays():
            if name not in labels and array.shape[: len(cell)] == self.shape:
                n_inner = array.ndim - len(cell)
                chunk_path(self.path, name, cell, n_inner).unlink(missing_ok=True)

    def _note(self, cell: Index, record: Mapping[str, Any]) -> None:
        self._put(f"{schema.PROVENANCE}/{schema.RECORD}", cell, json.dumps(record))
        wall_s = record.get(schema.WALL)
        wall_s = math.nan if wall_s is None else wall_s
        self._put(f"{schema.PROVENANCE}/{schema.WALL}", cell, wall_s)

    def _put(self, name: str, cell: Index, value: Any) -> None:
        array = self._array(name)
        inner = array.shape[len(cell) :]
        if not inner:
            array[cell] = value
            return
        value = np.asarray(value)
        full = np.full(inner, array.fill_value, array.dtype)
        full[tuple(slice(n) for n in value.shape)] = value
        array[cell] = full

    @property
    def shape(self) -> Index:
        """Of the grid."""
        return self.head.grid.shape

    def status(self) -> np.ndarray:
        """Status of every cell, int8, in the shape of the grid."""
        return read_scalars(self.path, schema.STATUS)

    def record(self, cell: Index) -> dict[str, Any]:
        """How a cell came about; empty if it did not."""
        held = self._array(f"{schema.PROVENANCE}/{schema.RECORD}")[cell]
        text = str(np.asarray(held)[()])
        return json.loads(text) if text else {}


def opened(group: zarr.Group, name: str) -> zarr.Array:
    """An array of a store.

    Raises:
        InputError: there is none of this name, or it cannot be read.
    """
    try:
        array = group[name]
    except Exception as error:  # of damaged metadata, anything
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise InputError(
            f"{group.store_path}/{name} cannot be read: {reason}"
        ) from None
    if not isinstance(array, zarr.Array):
        raise InputError(f"{group.store_path}/{name} must be an array")
    return array


def read_head(path: Path, *, whole: bool = True) -> Head:
    """What the store at this path says of itself.

    Args:
        path: of the store.
        whole: refuse a store whose metadata or labels are not what was written.

    Raises:
        InputError: no store, of a newer format, or damaged.
    """
    if not (path / META).is_file():
        raise InputError(f"store must be a sweep's zarr group, got {path}")
    root = read_root(path)
    attrs = root["attributes"]
    written = attrs.get("format", 0)
    if written != FORMAT:
        raise InputError(
            f"sweep {path} must be of format {FORMAT}, got {written!r}; "
            "a newer version of this toolkit may have written it"
        )
    try:
        head = Head(
            grid=Grid.from_dict(json.loads(attrs["definition"])),
            shapes=tuple(tuple(shape) for shape in attrs["shapes"]),
            built_by=json.loads(attrs["built_by"]),
            packed=attrs["packed"],
            sealed=is_sealed(root),
        )
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"sweep {path} cannot be read: {reason}") from None
    for fault in faults(path, root, head.grid) if whole else ():
        raise damaged(path, fault)
    return head


def damaged(path: Path, fault: Fault) -> InputError:
    """What to say of a store with a fault."""
    return InputError(
        f"sweep {path} is damaged: {fault.file}: {fault.reason}; denram-analyze verify"
        f" {path} names all damage, and --repair mends what can be mended"
    )


def open_sweep(path: str | Path) -> xr.Dataset:
    """A sweep in memory, cells that are not done NaN.

    Args:
        path: of the store, or of the folder that holds it.

    Raises:
        InputError: there is none, it cannot be read, its labels are not its grid's, or
            it would not fit in memory.
    """
    path = store_path(path)
    grid = read_head(path).grid
    try:
        # indexes would read coordinates before their declared size is known
        with _opened(path, create_default_indexes=False) as lazy:
            require_memory(4 * lazy.nbytes, f"the sweep {path}")
        with _opened(path) as dataset:
            held = dataset.load()
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"sweep {path} cannot be read: {reason}; denram-analyze verify {path}"
            " names damaged cells"
        ) from None
    for axis in grid.axes:
        for name in dict.fromkeys((axis.name, *axis.keys)):
            reason = wrong_labels(axis, name, held[name].to_numpy())
            if reason:
                raise damaged(path, Fault(name, reason))
    return held


def _opened(path: Path, **options: Any) -> xr.Dataset:
    return xr.open_zarr(path, consolidated=False, chunks=None, **options)


STORE = "sweep.zarr"


def store_path(path: str | Path) -> Path:
    """The store itself, given it or the folder that holds it.

    Raises:
        InputError: neither.
    """
    path = Path(path)
    for candidate in (path, path / STORE):
        if (candidate / "zarr.json").is_file():
            return candidate
    raise InputError(f"store must be a sweep or its folder ({STORE}), got {path}")


def results_sha256(path: Path) -> str:
    """SHA-256 (hex) over every file of the results; provenance does not count."""
    found = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        name = file.relative_to(path)
        if name.parts[0] != schema.PROVENANCE:
            found.update(f"{name.as_posix()}\0".encode())
            found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
