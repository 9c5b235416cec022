"""Checkpoints: one folder per epoch, arrays in safetensors, the rest in a manifest.

A folder is written under a temporary name, flushed and renamed: it is whole or absent.
Arrays are stored by their path in the state, so a library that reorders its state's
leaves cannot permute them silently. The manifest holds the arrays' SHA-256.
"""

import hashlib
import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import safetensors
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as dump_arrays

from denram.errors import DenRAMWarning, InputError
from denram.storage import replacing, versions
from denram.train.trainer import Epoch, FitState

KEEP = 2  # newest complete checkpoints that stay on disk
_FOLDER = re.compile(r"epoch_(\d{6})")
_ARRAYS, _MANIFEST = "state.safetensors", "manifest.json"
_TREES = ("params", "opt_state", "best_params")


class _Manifest(msgspec.Struct):
    """What is not an array; a value of another type is damage."""

    sha256: str
    fingerprint: str
    versions: dict[str, str]
    best_valid: float
    best_epoch: int
    stale: int
    history: tuple[Epoch, ...]


class DamagedCheckpointError(Exception):
    """A checkpoint that is not what its manifest says."""


def save(folder: Path, state: FitState, *, fingerprint: str) -> Path:
    """Write the state after its last epoch; older checkpoints beyond `KEEP` go.

    Args:
        folder: where the run's checkpoints lie.
        state: what to save.
        fingerprint: of the run's configuration; `load_newest` asks for the same.

    Raises:
        StorageError: the disk refused; earlier checkpoints are untouched.
    """
    target = folder / f"epoch_{len(state.history):06d}"
    blob = dump_arrays(_flat_arrays(state))
    manifest = _Manifest(
        sha256=hashlib.sha256(blob).hexdigest(),
        fingerprint=fingerprint,
        versions=versions(),
        best_valid=state.best_valid,
        best_epoch=state.best_epoch,
        stale=state.stale,
        history=state.history,
    )
    if not target.exists():
        with replacing(target) as scratch:
            scratch.mkdir()
            (scratch / _ARRAYS).write_bytes(blob)
            (scratch / _MANIFEST).write_bytes(msgspec.json.encode(manifest))
    for _, old in _numbered(folder)[KEEP:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def load_newest(
    folder: Path, template: FitState, *, fingerprint: str, at_most: int | None = None
) -> FitState | None:
    """The newest checkpoint that is whole; None if there is none.

    A damaged one is passed over with a warning, and the one before it is tried.

    Args:
        folder: where the run's checkpoints lie.
        template: a state of the same structure, such as `trainer.start` gives.
        fingerprint: of the configuration that wants to continue.
        at_most: pass over checkpoints of more epochs than this.

    Raises:
        InputError: the checkpoint belongs to another configuration.
    """
    for epochs, path in _numbered(folder):
        if at_most is not None and epochs > at_most:
            continue
        try:
            return _load(path, template, fingerprint)
        except DamagedCheckpointError as error:
            warnings.warn(
                f"checkpoint {path} is damaged ({error}); trying the one before",
                DenRAMWarning,
                stacklevel=2,
            )
    return None


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    """Checkpoints with their epoch counts, newest first."""
    if not folder.is_dir():
        return []
    found = ((_FOLDER.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted(
        ((int(match.group(1)), path) for match, path in found if match), reverse=True
    )


def _flat_arrays(state: FitState) -> dict[str, np.ndarray]:
    flat = {}
    for name in _TREES:
        leaves, _ = jax.tree_util.tree_flatten_with_path(getattr(state, name))
        for path, leaf in leaves:
            # not ascontiguousarray, which would make a scalar a row of one
            flat[name + jax.tree_util.keystr(path)] = np.array(leaf, order="C")
    return flat


def _load(path: Path, template: FitState, fingerprint: str) -> FitState:
    try:
        text = (path / _MANIFEST).read_bytes()
        manifest = msgspec.json.decode(text, type=_Manifest)
        blob = (path / _ARRAYS).read_bytes()
        if hashlib.sha256(blob).hexdigest() != manifest.sha256:
            raise DamagedCheckpointError("arrays do not match their SHA-256")
        if manifest.fingerprint != fingerprint:
            raise InputError(
                f"checkpoint {path} belongs to another configuration "
                f"({manifest.fingerprint[:8]}), got {fingerprint[:8]}"
            )
        arrays = load_arrays(blob)
    except (
        OSError,
        msgspec.DecodeError,
        safetensors.SafetensorError,
    ) as error:
        raise DamagedCheckpointError(f"{type(error).__name__}: {error}") from None
    trees = {name: _filled(name, getattr(template, name), arrays) for name in _TREES}
    return FitState(
        **trees,
        best_valid=manifest.best_valid,
        best_epoch=manifest.best_epoch,
        stale=manifest.stale,
        history=manifest.history,
    )


def _filled(name: str, tree: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The tree with every leaf replaced by the stored array of its path."""

    def stored(path: Any, leaf: Any) -> jax.Array:
        key = name + jax.tree_util.keystr(path)
        found = arrays.get(key)
        if found is None or found.shape != leaf.shape or found.dtype != leaf.dtype:
            raise DamagedCheckpointError(f"{key} is missing or of another shape")
        return jnp.asarray(found)

    return jax.tree_util.tree_map_with_path(stored, tree)
