import json
import os

import jax
import numpy as np
import pytest
from tiny import config

from denram.errors import DenRAMWarning, InputError, StorageError
from denram.train import checkpoint, run_epoch, start
from denram.train.run import prepare


@pytest.fixture(scope="module")
def states():
    task = prepare(config())
    chain = [start(task)]
    for _ in range(3):
        chain.append(run_epoch(task, chain[-1]))
    return chain


def _save_all(folder, states):
    for state in states[1:]:
        checkpoint.save(folder, state, fingerprint="f")


def _newest(folder, states):
    found = checkpoint.load_newest(folder, states[0], fingerprint="f")
    assert found is not None
    return found


def test_the_state_comes_back_to_the_bit(tmp_path, states):
    _save_all(tmp_path, states)
    found = _newest(tmp_path, states)
    assert found.history == states[3].history
    assert (found.best_valid, found.best_epoch, found.stale) == (
        states[3].best_valid,
        states[3].best_epoch,
        states[3].stale,
    )
    leaves = jax.tree.leaves(vars(states[3]))
    for a, b in zip(jax.tree.leaves(vars(found)), leaves, strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_the_newest_two_stay(tmp_path, states):
    _save_all(tmp_path, states)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["epoch_000002", "epoch_000003"]


def test_an_empty_folder_has_no_checkpoint(tmp_path, states):
    nowhere = tmp_path / "none"
    assert checkpoint.load_newest(nowhere, states[0], fingerprint="f") is None


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def _flip(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(bytes(raw))


def _reshape(path):
    """A whole, well-signed checkpoint of another network."""
    import hashlib

    from safetensors.numpy import load, save

    arrays = load(path.read_bytes())
    blob = save({name: array.reshape(-1) for name, array in arrays.items()})
    path.write_bytes(blob)
    manifest = path.with_name("manifest.json")
    fields = json.loads(manifest.read_text())
    fields["sha256"] = hashlib.sha256(blob).hexdigest()
    manifest.write_text(json.dumps(fields))


def _mistype(path):
    """A manifest whose values are of other types."""
    manifest = path.with_name("manifest.json")
    fields = json.loads(manifest.read_text())
    fields["history"][0]["train_loss"], fields["best_valid"] = "x", None
    manifest.write_text(json.dumps(fields))


@pytest.mark.parametrize("damage", [_truncate, _flip, _reshape, _mistype, os.unlink])
@pytest.mark.parametrize("name", ["state.safetensors", "manifest.json"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    tmp_path, states, damage, name
):
    if damage is _reshape and name == "manifest.json":
        name = "state.safetensors"
    _save_all(tmp_path, states)
    damage(tmp_path / "epoch_000003" / name)
    if damage is _flip and name == "manifest.json":
        _truncate(tmp_path / "epoch_000003" / name)
    with pytest.warns(DenRAMWarning, match="epoch_000003 is damaged"):
        found = _newest(tmp_path, states)
    assert found.history == states[2].history


def test_another_configuration_is_refused(tmp_path, states):
    _save_all(tmp_path, states)
    with pytest.raises(InputError, match="belongs to another configuration"):
        checkpoint.load_newest(tmp_path, states[0], fingerprint="g")


def test_a_refusing_disk_leaves_the_earlier_checkpoint(tmp_path, states, monkeypatch):
    checkpoint.save(tmp_path, states[1], fingerprint="f")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full"):
        checkpoint.save(tmp_path, states[2], fingerprint="f")
    monkeypatch.undo()
    assert _newest(tmp_path, states).history == states[1].history
    assert [path.name for path in tmp_path.iterdir()] == ["epoch_000001"]
