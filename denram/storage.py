"""What is written to disk is whole or absent: names, folders, room to write."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path

import psutil

from denram.errors import InputError, StorageError

_SAFE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RESERVED = {"con", "prn", "aux", "nul", ".", ".."}
_VERSIONED = ("denram", "numpy", "numba", "jax", "jaxlib", "xarray", "zarr")


def safe_name(name: str, parameter: str) -> str:
    """Return `name` if it can only name an entry of its own folder.

    Raises:
        InputError: other characters than letters, digits and `._-`, more than 64 of
            them, a leading `-`, or a name some system reserves.
    """
    plain = _SAFE_NAME.fullmatch(name) and not name.startswith("-")
    if not plain or name.lower() in _RESERVED:
        raise InputError(
            f"{parameter} must be 1 to 64 of A-Z a-z 0-9 . _ - and not start with -,"
            f" got {name[:80]!r}"
        )
    return name


def output_path(text: str | Path, parameter: str = "out") -> Path:
    """Check the path of a result that is to be written.

    Raises:
        InputError: the last part is no safe name, a symbolic link stands there, or
            the folder above cannot be written.
    """
    path = Path(text)
    if "\0" in str(text):
        raise InputError(f"{parameter} must not hold a NUL character")
    safe_name(path.name, parameter)
    if ".." in path.parts:
        raise InputError(f"{parameter} must not climb with '..', got {str(path)!r}")
    if path.is_symlink():
        raise InputError(f"{parameter} must not be a symbolic link, got {str(path)!r}")
    parent = path.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise InputError(f"{parameter} must lie in a folder, but {parent} is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"{parameter} must lie in a writable folder, got {parent}")
    return path


def output_folder(text: str | Path, parameter: str = "out") -> Path:
    """`output_path` of a folder, which may exist already.

    Raises:
        InputError: as `output_path`, or something else than a folder stands there.
    """
    path = output_path(text, parameter)
    if path.exists() and not path.is_dir():
        raise InputError(f"{parameter} must be a folder, got {path}")
    return path


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line.

    Raises:
        StorageError: disk full, read-only, or another reason of the system's.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            whole = path.absolute()
            there = next(p for p in (whole, *whole.parents) if p.exists())
            free = shutil.disk_usage(there).free
            reason = f"the disk is full ({free} bytes free)"
        else:
            reason = error.strerror or str(error)
        raise StorageError(f"cannot write {path}: {reason}") from None


def sync_tree(path: Path) -> None:
    """Flush a file, or every file of a folder, to the disk itself."""
    entries = [path, *path.rglob("*")] if path.is_dir() else [path]
    for entry in entries:
        handle = os.open(entry, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary sibling to write to; on success it becomes `path` at once.

    Works for files, and for folders that do not exist yet. If the block fails,
    nothing is left and what stood at `path` before is untouched.

    Raises:
        StorageError: the disk refused.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove(scratch)
            yield scratch
            sync_tree(scratch)
            os.replace(scratch, path)
            sync_entry(path.parent)
    finally:
        _remove(scratch)


def clear_litter(folder: Path) -> None:
    """Remove what writers that were killed left below a folder nobody else uses."""
    for scratch in list(folder.rglob("*.partial")):
        _remove(scratch)


def sync_entry(folder: Path) -> None:
    """Flush a folder's own entry, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as scratch:
        scratch.write_text(text, encoding="utf-8")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(NotADirectoryError):  # below a file there is nothing
            path.unlink(missing_ok=True)


def require_memory(needed_bytes: int, what: str) -> None:
    """Refuse a request that would not fit, before anything is allocated.

    Raises:
        InputError: `needed_bytes` is more than 80 % of the memory that is free.
    """
    free = psutil.virtual_memory().available
    if needed_bytes > 0.8 * free:
        raise InputError(
            f"{what} needs {needed_bytes / 1e9:.3g} GB of memory, "
            f"but only 80 % of {free / 1e9:.3g} GB may be used"
        )


@cache
def _version(name: str) -> str:
    return metadata.version(name)


def versions() -> dict[str, str]:
    """Versions of this package and of the libraries that decide the numbers."""
    return {name: _version(name) for name in _VERSIONED}
