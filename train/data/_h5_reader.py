"""Flatten one HDF5 file of SHD; run as a script, in a process that may die or hang.

    python _h5_reader.py SOURCE.h5 TARGET.npz MEMORY_BYTES

A damaged HDF5 file can spin for ever or eat all memory, so nobody imports this: the
parent sets a time limit, and the memory limit is set here. It imports nothing of
the package, to start fast. Exit 2 with one line on stderr if the file breaks a rule.
"""

import resource
import sys
from typing import Any

import h5py
import numpy as np

MAX_SAMPLES = 1_000_000
BLOCK = 512


class Refused(Exception):
    """The file breaks a rule; the text says which."""


def stored(parent: Any, name: str) -> Any:
    """An entry that lies in this very file; links elsewhere are never followed.

    Raises:
        Refused: the entry is missing or a soft or external link.
    """
    link = parent.get(name, getlink=True) if name in parent.keys() else None
    if link is None:
        raise Refused(f"{name} must be in the file, but is missing")
    if not isinstance(link, h5py.HardLink):
        raise Refused(f"{name} must be stored in the file, got a {type(link).__name__}")
    return parent[name]


def column(parent: Any, name: str, kinds: str, *, ragged: bool) -> Any:
    """A one-dimensional data set of plain numbers whose bytes are in this file.

    Raises:
        Refused: another shape, type, or place of storage.
    """
    data = stored(parent, name)
    if not isinstance(data, h5py.Dataset) or data.ndim != 1:
        raise Refused(f"{name} must be a one-dimensional data set")
    if data.is_virtual or data.id.get_create_plist().get_external_count():
        raise Refused(f"{name} must be stored in the file, got virtual or external")
    dtype = h5py.check_vlen_dtype(data.dtype) if ragged else data.dtype
    if not isinstance(dtype, np.dtype) or dtype.kind not in kinds or dtype.itemsize > 8:
        raise Refused(f"{name} must hold plain numbers, got {data.dtype}")
    if not 1 <= data.shape[0] <= MAX_SAMPLES:
        raise Refused(f"{name} must have 1 to {MAX_SAMPLES} samples, got {data.shape}")
    return data


def flatten(file: Any) -> dict[str, Any]:
    """All samples one after the other.

    Raises:
        Refused: a rule is broken; ragged samples are named.
    """
    spikes = stored(file, "spikes")
    times = column(spikes, "times", "f", ragged=True)
    units = column(spikes, "units", "iu", ragged=True)
    label = column(file, "labels", "iu", ragged=False)
    speaker = None
    if "extra" in file.keys() and "speaker" in stored(file, "extra").keys():
        speaker = column(stored(file, "extra"), "speaker", "iu", ragged=False)
    n = times.shape[0]
    for other in (units, label, label if speaker is None else speaker):
        if other.shape[0] != n:
            raise Refused(f"{other.name} must have {n} samples, got {other.shape[0]}")
    parts: dict[str, list[Any]] = {"times": [], "units": [], "lengths": []}
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        for i, (t, u) in enumerate(zip(times[rows], units[rows], strict=True), start):
            if len(t) != len(u):
                raise Refused(f"sample {i} has {len(t)} times but {len(u)} units")
            parts["lengths"].append(len(t))
            parts["times"].append(t)
            parts["units"].append(u)
    return {
        "times": np.concatenate(parts["times"]),
        "units": np.concatenate(parts["units"]),
        "offset": np.cumsum([0, *parts["lengths"]], dtype=np.int64),
        "label": label[:],
        "speaker": np.full(n, -1) if speaker is None else speaker[:],
    }


def main(source: str, target: str, memory_bytes: str) -> int:
    """Convert under the memory limit; return the exit status."""
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with h5py.File(source, "r", locking=False) as file:
            flat = flatten(file)
        np.savez(target, **flat)
    except Refused as reason:
        print(reason, file=sys.stderr)
        return 2
    except Exception as error:
        # whatever a hostile file provokes in the library is the file's fault
        print(f"damaged HDF5 ({type(error).__name__}: {error})", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
