"""What a store's own files must be: as they were written, and of the grid's shape.

When a store is made, the digest of each of its files, metadata and labels, goes into
the root's attributes, and a digest of these attributes beside them. Cells come later;
they have checksums of their own.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denram.analysis.grid import Grid
from denram.errors import InputError

META = "zarr.json"
_FILES, _SEAL = "files", "seal"  # attributes


@dataclass(frozen=True)
class Fault:
    """A file of the whole sweep that is not what was written.

    Attributes:
        file: relative to the store.
        reason: one line.
    """

    file: str
    reason: str


def seals(path: Path) -> dict[str, str]:
    """Attributes that seal an empty store: digests of its files, and of all attributes.

    Args:
        path: of the store, whose root has all its other attributes.
    """
    files = {
        file.relative_to(path).as_posix(): sha256(file)
        for file in sorted(path.rglob("*"))
        if file.is_file() and file != path / META
    }
    attrs = {**read_root(path)["attributes"], _FILES: json.dumps(files)}
    return {_FILES: attrs[_FILES], _SEAL: _digest(attrs)}


def read_root(path: Path) -> dict[str, Any]:
    """The root group's metadata; its attributes are a table.

    Raises:
        InputError: they cannot be read.
    """
    try:
        root = json.loads((path / META).read_text(encoding="utf-8"))
        if not isinstance(root["attributes"], dict):
            raise TypeError("its attributes must be a table")
    except (ValueError, KeyError, TypeError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"sweep {path} cannot be read: {reason}") from None
    return root


def sha256(file: Path) -> str:
    """Digest (hex) of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _digest(attrs: Mapping[str, Any]) -> str:
    text = json.dumps({k: v for k, v in attrs.items() if k != _SEAL}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def is_sealed(root: Mapping[str, Any]) -> bool:
    """Whether a store was made with digests; the first versions wrote none."""
    return _FILES in root["attributes"] or _SEAL in root["attributes"]


def digests(root: Mapping[str, Any]) -> dict[str, str]:
    """Digest of each file of the empty store; none if its root is not as written."""
    attrs = root["attributes"]
    if attrs.get(_SEAL) != _digest(attrs):
        return {}
    return json.loads(attrs[_FILES])


def faults(path: Path, root: Mapping[str, Any], grid: Grid) -> Iterator[Fault]:
    """Every file of the whole sweep that is lost or not what was written.

    A store without digests is checked against its grid alone.

    Args:
        path: of the store.
        root: its root's metadata.
        grid: that it says it holds.
    """
    attrs, told = root["attributes"], digests(root)
    if (root.get("zarr_format"), root.get("node_type")) != (3, "group"):
        yield Fault(META, "it must be a zarr group of format 3")
    elif is_sealed(root) and not told:
        yield Fault(META, "it is not what was written")
    names = [str(name) for name in attrs.get("arrays", ())]
    for file in sorted({*told, *(f"{name}/{META}" for name in names)}):
        name, _, last = file.rpartition("/")
        reason = _unlike(path / file, name, grid) if name in names else ""
        if last != META or not reason:
            reason = _changed(path / file, told.get(file))
        if reason:
            yield Fault(file, reason)


def _changed(file: Path, told: str | None) -> str:
    try:
        now = sha256(file)
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "it is not what was written" if told not in (None, now) else ""


def _unlike(file: Path, name: str, grid: Grid) -> str:
    """Why an array's metadata do not fit the grid; empty if they do or are lost."""
    try:
        meta = json.loads(file.read_text(encoding="utf-8"))
        dims, shape = tuple(meta.get("dimension_names") or ()), tuple(meta["shape"])
    except FileNotFoundError:
        return ""
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return f"cannot be read: {' '.join(str(error).split())[:120]}"
    owner = {key: axis for axis in grid.axes for key in (axis.name, *axis.keys)}
    if name in owner:
        wanted: tuple[str, ...] = (owner[name].name,)
    else:  # labels of a dimension within a cell are the grid's no more than its own
        wanted = () if dims == (name,) else grid.dims
    if dims[: len(wanted)] != wanted:
        return f"its dimensions must begin with {', '.join(wanted)}, got {dims}"
    lengths = dict(zip(grid.dims, grid.shape, strict=True))
    for dim, n in zip(dims, shape, strict=False):
        if lengths.get(dim, n) != n:
            return f"{dim} must have {lengths[dim]} positions, got {n}"
    if len(dims) != len(shape):
        return f"it must have {len(dims)} dimensions, got {len(shape)}"
    return ""
