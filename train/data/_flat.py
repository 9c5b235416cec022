"""From a file in SHD's format to checked flat arrays; afterwards from the cache."""

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import filelock
import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.storage import disk_errors, replacing
from denram.train.data._unpack import BLOCK, readable, unpack
from denram.train.data.binning import DURATION_S, N_CHANNELS

MAX_SPEAKER = 32767
# time to read a file in the child: this, and 10 MB per second
READ_LIMIT_S = 8.0
_TYPES = {"units": "<u2", "offset": "<i8", "label": "<i2", "speaker": "<i2"}
_FIELDS = ("times", *_TYPES)
_DAMAGE = (OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError)
_DAMAGE_IN_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError)


@dataclass(frozen=True)
class Format:
    """What the files of a set may hold.

    Args:
        name: first part of the names of its files in the cache.
        n_classes: number of classes.
        max_h5_bytes: size of the unpacked file at which a compressed bomb stops.
    """

    name: str
    n_classes: int
    max_h5_bytes: int


# SHD's training file has about 0.2 GB
SHD = Format("shd", 20, 1 << 30)


@dataclass(frozen=True)
class Flat:
    """All samples of a file, one after the other.

    Args:
        times: spike times, s, in the file's own precision.
        units: cochlea channel of each spike, 0 to 699.
        offset: first spike of each sample, and the total.
        label: class of each sample.
        speaker: speaker of each sample, -1 where unknown.
    """

    times: NDArray[Any]
    units: NDArray[np.uint16]
    offset: NDArray[np.int64]
    label: NDArray[np.int16]
    speaker: NDArray[np.int16]


def checksums(path: Path) -> dict[str, str]:
    """MD5 and SHA-256 of a file, in hex.

    Raises:
        InputError: the file cannot be read.
    """
    sums = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with readable(path) as file:
        while block := file.read(BLOCK):
            for sum_ in sums.values():
                sum_.update(block)
    return {name: sum_.hexdigest() for name, sum_ in sums.items()}


def load_flat(
    path: Path, sha256: str, cache: Path, *, ordered: bool, format: Format = SHD
) -> Flat:
    """Flat arrays of a file (.h5, .h5.gz, .h5.zip), from the cache if they are there.

    The cache's name is the source's SHA-256 and its content carries checksums; a
    damaged one is made anew. Of two processes one converts and the other waits.

    Args:
        path: the source file.
        sha256: its SHA-256.
        cache: folder of converted files, made if missing.
        ordered: refuse samples whose times fall.
        format: what the file may hold.

    Raises:
        InputError: the file breaks a rule; the message names the sample.
        StorageError: the cache cannot be written.
    """
    target = cache / f"{format.name}-{sha256}.npz"
    flat = _read_cache(target)
    if flat is not None:
        return flat
    with disk_errors(target):
        cache.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target.with_suffix(".lock")):
            flat = _read_cache(target)
            if flat is not None:
                return flat
            for left_over in cache.glob(f"*{sha256}*.partial"):
                shutil.rmtree(left_over) if left_over.is_dir() else left_over.unlink()
            raw = _convert(path, sha256, cache, format.max_h5_bytes)
            flat = checked(raw, path.name, format.n_classes, ordered=ordered)
            with replacing(target) as scratch, scratch.open("wb") as file:
                np.savez(file, **{name: getattr(flat, name) for name in _FIELDS})
            return flat


def checked(flat: Flat, name: str, n_classes: int, *, ordered: bool) -> Flat:
    """Check every value of a file and give the arrays their final types.

    Raises:
        InputError: one line with file, sample, rule and value.
    """
    times = flat.times
    in_time = (times >= 0) & (times < DURATION_S)
    _require(flat, in_time, times, name, f"times must be >= 0 and < {DURATION_S} s")
    in_range = (flat.units >= 0) & (flat.units < N_CHANNELS)
    rule = f"units must be 0 to {N_CHANNELS - 1}"
    _require(flat, in_range, flat.units, name, rule)
    if ordered and times.size:
        rising = np.ones(times.size, dtype=bool)
        rising[1:] = times[1:] >= times[:-1]
        rising[flat.offset[:-1][np.diff(flat.offset) > 0]] = True
        _require(flat, rising, times, name, "times must never fall")
    for field, low, high in (("label", 0, n_classes - 1), ("speaker", -1, MAX_SPEAKER)):
        values = getattr(flat, field)
        bad = np.flatnonzero((values < low) | (values > high))
        if bad.size:
            raise InputError(
                f"{name}: sample {bad[0]}: {field} must be {low} to {high},"
                f" got {values[bad[0]]}"
            )
    return Flat(
        times=times.astype(times.dtype.newbyteorder("<"), copy=False),
        **{k: getattr(flat, k).astype(v, copy=False) for k, v in _TYPES.items()},
    )


def _require(
    flat: Flat, good: NDArray[np.bool_], values: NDArray[Any], name: str, rule: str
) -> None:
    if not good.all():
        event = int(np.argmin(good))
        sample = int(np.searchsorted(flat.offset, event, side="right")) - 1
        raise InputError(f"{name}: sample {sample}: {rule}, got {values[event]}")


def _convert(path: Path, sha256: str, cache: Path, max_h5_bytes: int) -> Flat:
    prefix = f"convert-{sha256}-"
    with tempfile.TemporaryDirectory(".partial", prefix, cache) as folder:
        source = path
        if path.suffix in (".gz", ".zip"):
            source = Path(folder) / "unpacked.h5"
            unpack(path, source, max_h5_bytes)
        target = Path(folder) / "flat.npz"
        _read_h5(source, target, path.name)
        return _read_npz(target)


def _read_h5(source: Path, target: Path, name: str) -> None:
    """Flatten `source` into `target` in another process, under limits."""
    size = source.stat().st_size
    limit_s = READ_LIMIT_S + size / 10e6
    memory_bytes = (4 << 30) + 8 * size
    script = Path(__file__).with_name("_h5_reader.py")
    command = [sys.executable, "-P", str(script), source, target, str(memory_bytes)]
    # no filter plug-ins from the user's machine, one thread's worth of memory
    limits = {"HDF5_PLUGIN_PRELOAD": "::", "OPENBLAS_NUM_THREADS": "1"}
    try:
        child = subprocess.run(
            command,
            timeout=limit_s,
            capture_output=True,
            check=False,
            text=True,
            errors="replace",
            env=os.environ | limits,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{name} must be readable in {limit_s:.3g} s; is the HDF5 file damaged?"
        ) from None
    if child.returncode:
        said = child.stderr.strip().splitlines() or ["the reader died"]
        raise InputError(f"{name}: {said[-1][:300]}")


def _read_cache(path: Path) -> Flat | None:
    if not path.exists():
        return None
    try:
        flat = _read_npz(path)
        return flat if _consistent(flat) else None
    except (*_DAMAGE, *_DAMAGE_IN_ZIP):
        return None


def _consistent(flat: Flat) -> bool:
    n = flat.offset.size - 1
    return (
        n >= 1
        and flat.times.dtype.kind == "f"
        and all(getattr(flat, name).dtype == kind for name, kind in _TYPES.items())
        and flat.times.size == flat.units.size == flat.offset[-1]
        and flat.label.size == flat.speaker.size == n
    )


def _read_npz(path: Path) -> Flat:
    """Read flat arrays; each one's CRC is checked, and its size before allocation."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in _FIELDS:
            info = archive.getinfo(f"{name}.npy")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{name} must be stored plainly")
            with archive.open(info) as member:
                arrays[name] = _read_array(member, info.file_size)
    return Flat(**arrays)


def _read_array(member: IO[bytes], size_bytes: int) -> NDArray[Any]:
    np.lib.format.read_magic(member)
    shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    if len(shape) != 1 or dtype.kind not in "fiu":
        raise ValueError(f"must be a row of numbers, got {shape} of {dtype}")
    if member.tell() + shape[0] * dtype.itemsize != size_bytes:
        raise ValueError("must be as long as its header says")
    data = member.read()
    return np.frombuffer(data, dtype=dtype)
