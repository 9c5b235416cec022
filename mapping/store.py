"""A map on disk: one zarr v3 group, whole or refused.

Each chunk carries a checksum, and the group carries a digest of everything in it, so
that a truncated, half-written or altered store never becomes a map.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping.hardware_map import DIMS, DTYPES, HardwareMap
from denram.mapping.waste import with_waste
from denram.storage import output_path, replacing, require_memory

MAP_NAME = "map.zarr"
_DIGEST = "sha256"
_CHUNK_DEVICES = 2**22
_MAX_JSON_BYTES = 1_000_000
_CODECS = {"bytes", "zstd"}
_KNOWN = {"zarr.json", *DIMS, *DTYPES, "waste"}
# what a device takes while a store is read: compressed, decoded and hashed once
_READ_BYTES_PER_DEVICE = 80


def save_map(
    chip: HardwareMap, path: str | Path, *, waste: NDArray[np.uint8] | None = None
) -> None:
    """Write a map as one zarr group, whole or not at all.

    Args:
        chip: the map.
        path: a folder that must not exist yet.
        waste: bit flags of `waste_flags`, saved beside the delays.

    Raises:
        InputError: `path` exists or is no safe name.
        StorageError: the disk refused.
    """
    from zarr.codecs import ZstdCodec

    target = output_path(path, "map")
    if target.exists():
        raise InputError(f"map must not exist yet, got {target}")
    dataset = chip.to_dataset()
    if waste is not None:
        dataset = with_waste(dataset, waste)
    dataset.attrs[_DIGEST] = _digest(dataset)
    fixed = {"compressors": [ZstdCodec(level=3, checksum=True)], "_FillValue": None}
    encoding = {
        str(name): {**fixed, "chunks": _chunks(variable.shape)}
        for name, variable in dataset.variables.items()
    }
    with replacing(target) as scratch:
        dataset.to_zarr(
            scratch,
            mode="w-",
            zarr_format=3,
            consolidated=False,
            encoding=encoding,
            write_empty_chunks=True,
        )


def open_map(path: str | Path) -> HardwareMap:
    """Read a map back, exactly as it was saved.

    Args:
        path: the zarr folder, or the folder of `denram-map` that holds it.

    Raises:
        InputError: no map there, or not the whole of it as it was written.
    """
    store = Path(path)
    if (store / MAP_NAME).is_dir():
        store = store / MAP_NAME
    try:
        _check_declared(store)
        dataset = xr.open_zarr(store, consolidated=False, chunks=None, decode_cf=False)
        dataset = dataset.load()
        if dataset.attrs.pop(_DIGEST, None) != _digest(dataset):
            raise InputError("its content is not what was written")
        return HardwareMap.from_dataset(dataset)
    except Exception as error:  # a damaged store fails in as many ways as it has bytes
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"map {store} cannot be used: {reason}") from None


def _check_declared(store: Path) -> None:
    """Refuse foreign entries and sizes before a library allocates for them."""
    if not (store / "zarr.json").is_file():
        raise InputError("there is no zarr.json in this folder")
    _read_json(store / "zarr.json")
    names = {entry.name for entry in store.iterdir()}
    if not {*DIMS, *DTYPES} <= names <= _KNOWN:
        odd = sorted(names - _KNOWN) or sorted({*DIMS, *DTYPES} - names)
        raise InputError(f"a map's entries are others: {odd[0]!r}")
    shapes = {name: _declared_shape(store / name) for name in names - {"zarr.json"}}
    shape = shapes["delay_steps"]
    if any(shapes[name] != shape for name in names & {*DTYPES, "waste"}):
        raise InputError("its arrays differ in shape")
    if [shapes[dim] for dim in DIMS] != [(n,) for n in shape]:
        raise InputError("its coordinates do not fit its arrays")
    require_memory(math.prod(shape) * _READ_BYTES_PER_DEVICE, f"a map of {shape}")


def _declared_shape(array: Path) -> tuple[int, ...]:
    described = _read_json(array / "zarr.json")
    shape = tuple(described["shape"])
    chunks = tuple(described["chunk_grid"]["configuration"]["chunk_shape"])
    if not all(type(n) is int and n > 0 for n in (*shape, *chunks)):
        raise InputError(f"{array.name} declares the shape {shape}")
    fit = (c <= n for c, n in zip(chunks, shape, strict=False))
    if len(chunks) != len(shape) or not all(fit):
        raise InputError(f"{array.name} declares chunks of {chunks}")
    codecs = {codec["name"] for codec in described["codecs"]}
    if not codecs <= _CODECS:
        raise InputError(f"{array.name} declares the codecs {sorted(codecs)}")
    return shape


def _read_json(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    if size > _MAX_JSON_BYTES:
        raise InputError(f"{path.name} has {size} bytes")
    return json.loads(path.read_bytes())


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Whole taps, then whole inputs, in chunks of about four million devices."""
    chunks, room = [], _CHUNK_DEVICES
    for n in reversed(shape):
        chunks.append(max(1, min(n, room)))
        room //= chunks[-1]
    return tuple(reversed(chunks))


def _digest(dataset: xr.Dataset) -> str:
    """SHA-256 over names, dimensions, types, attributes and values."""
    digest = hashlib.sha256(json.dumps(dataset.attrs, sort_keys=True).encode())
    for name in sorted(map(str, dataset.variables)):
        variable = dataset[name]
        header = [name, variable.dims, variable.dtype.str, variable.shape]
        digest.update(json.dumps([*header, variable.attrs], sort_keys=True).encode())
        digest.update(np.ascontiguousarray(variable.values).data)
    return digest.hexdigest()
