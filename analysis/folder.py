"""A sweep's folder: who works in it, what may lie there, and setting it aside."""

import json
import os
import re
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from denram.analysis.programs import CELLS
from denram.analysis.rewrite import is_aside
from denram.analysis.sweep_store import STORE
from denram.errors import BusyError, InputError, StorageError
from denram.storage import disk_errors

_LOCK, _OWNER = ".lock", ".owner.json"
_RUN = re.compile(r"[0-9a-f]{16}")  # folder of a training below `cells`


@contextmanager
def owned(out: Path) -> Iterator[None]:
    """Hold a sweep's folder against other processes.

    Raises:
        BusyError: another process holds it.
        StorageError: the disk refused.
    """
    lock = filelock.FileLock(out / _LOCK)
    with disk_errors(out):
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise BusyError(f"out must not be in use, but {_owner(out)}") from None
    owner = {"pid": os.getpid(), "host": socket.gethostname()}
    try:
        with disk_errors(out):
            (out / _OWNER).write_text(json.dumps(owner), encoding="utf-8")
        yield
    finally:
        (out / _OWNER).unlink(missing_ok=True)
        lock.release()


def _owner(out: Path) -> str:
    try:
        owner = json.loads((out / _OWNER).read_text(encoding="utf-8"))
        who = f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError):
        who = "another process"
    return f"{who} works on {out}"


def check_folder(out: Path) -> None:
    """Refuse a folder with something else in it; grid files may lie there.

    Raises:
        InputError: it holds what is no part of a sweep.
    """
    if any((out / name).exists() for name in (STORE, CELLS)):
        return
    found = _foreign(out)
    if found is not None:
        raise InputError(f"out must be new or hold a sweep, but {out} holds {found}")


def _foreign(out: Path) -> str | None:
    """Something in a folder that no sweep and no grid file explains."""
    if not out.exists():
        return None
    held = [p.name for p in out.iterdir() if p.suffix != ".toml" and p.name[0] != "."]
    if not held and (out / "config.toml").exists():
        held = ["config.toml"]
    return held[0] if held else None


def is_replaceable(out: Path) -> bool:
    """Whether a sweep lies in a folder; False if there is nothing to set aside.

    Raises:
        InputError: something else lies there.
    """
    if (out / STORE).is_dir() or is_aside(out / STORE):
        return True
    runs = list((out / CELLS).iterdir()) if (out / CELLS).is_dir() else []
    if runs and all(_RUN.fullmatch(run.name) for run in runs):
        return True
    found = _foreign(out)
    if found is not None:
        raise InputError(
            f"--force-new sets only a sweep aside, but {out} holds {found} and none"
        )
    return False


def set_aside(out: Path) -> Path | None:
    """Give a sweep's folder another name, so that a new one can take its place.

    Returns:
        The new name; None if there was no sweep.

    Raises:
        InputError: something else lies there.
        BusyError: another process works on it.
        StorageError: the disk refused.
    """
    if not is_replaceable(out):
        return None
    with owned(out), disk_errors(out):
        n = 1
        while (new := out.with_name(f"{out.name}.old-{n}")).exists():
            n += 1
        os.replace(out, new)
        (new / _OWNER).unlink(missing_ok=True)
    return new


@contextmanager
def resumable(out: Path, needed_bytes: int) -> Iterator[None]:
    """Say of a full disk how much is needed, and how to go on.

    Args:
        out: folder of the sweep.
        needed_bytes: of what the store still lacks.

    Raises:
        StorageError: the disk refused.
    """
    try:
        yield
    except StorageError as error:
        if "the disk is full" not in str(error):
            raise
        raise StorageError(
            f"{error}; the store needs about {needed_bytes} bytes for the cells that"
            " were missing; finished ones are kept; resume with:"
            f" denram-analyze sweep --out {shlex.quote(str(out))}"
        ) from None
