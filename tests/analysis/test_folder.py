"""A sweep's folder when the disk, the data or the process that works there is gone."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from killable import Plain, plain_grid

from denram.analysis import run_sweep
from denram.analysis.folder import owned
from denram.analysis.sweep import plan
from denram.analysis.sweep_store import STORE, SweepStore
from denram.errors import InputError, StorageError
from denram.storage import disk_errors


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("there", [".", "a/b"])
def test_a_full_disk_is_asked_for_its_room_where_the_file_lies(
    tmp_path, monkeypatch, there
):
    asked = []

    def usage(path):
        asked.append(Path(path))
        return shutil._ntuple_diskusage(8_000_000, 8_000_000, 12)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(StorageError, match=r"full \(12 bytes free\)"):
        with disk_errors(tmp_path / there / "file"):
            full()
    assert asked == [tmp_path]


def test_a_full_disk_says_what_is_needed_and_how_to_go_on(tmp_path, monkeypatch):
    run_sweep(plain_grid(), tmp_path / "a b" / "s", study=Plain(), only={"a": 1.0})
    monkeypatch.setattr(SweepStore, "_put", full)
    with pytest.raises(StorageError) as told:
        run_sweep(plain_grid(), tmp_path / "a b" / "s", study=Plain())
    # six cells, each of three results, a status and two notes, a block per file
    assert f"needs about {6 * (3 + 3) * 4096} bytes" in str(told.value)
    assert f"resume with: denram-analyze sweep --out '{tmp_path}/a b/s'" in str(
        told.value
    )
    monkeypatch.undo()
    run_sweep(None, tmp_path / "a b" / "s", study=Plain())
    assert (SweepStore(tmp_path / "a b" / "s" / STORE).status() == 1).all()


def test_a_disk_too_full_for_the_owner_s_note_leaves_neither_note_nor_lock(
    tmp_path, monkeypatch
):
    def cut(path, *args, **kwargs):
        path.touch()
        full()

    monkeypatch.setattr(Path, "write_text", cut)
    with pytest.raises(StorageError, match="the disk is full"), owned(tmp_path):
        pass
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir() if p.name != ".lock"] == []
    with owned(tmp_path):
        pass


class Needy(Plain):
    """Cells whose data are not there."""

    def check(self, config):
        if config.a > 1:
            raise InputError("data_dir must be a folder, got /nope")


def test_a_study_can_refuse_cells_before_any_store_exists(tmp_path):
    with pytest.raises(InputError, match="cell a=2,b=0: data_dir must be a folder"):
        run_sweep(plain_grid(), tmp_path / "s", study=Needy())
    with pytest.raises(InputError, match="cell a=2,b=0: data_dir must be a folder"):
        plan(plain_grid(), tmp_path / "s", study=Needy())
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_asked_only_of_cells_that_are_to_be_computed(tmp_path):
    run_sweep(plain_grid(), tmp_path / "s", study=Needy(), only={"a": 1.0})
    run_sweep(plain_grid(), tmp_path / "s", study=Plain())
    run_sweep(None, tmp_path / "s", study=Needy())
    store = SweepStore(tmp_path / "s" / STORE)
    store.fail((2, 0), {"error": "made up"})
    run_sweep(None, tmp_path / "s", study=Needy())
    with pytest.raises(InputError, match="cell a=3,b=0: data_dir"):
        run_sweep(None, tmp_path / "s", study=Needy(), retry_failed=True)


def test_a_killed_driver_s_helpers_end_in_silence(tmp_path):
    code = (
        "import time\n"
        "from denram.analysis.workers import local_cluster\n"
        "if __name__ == '__main__':\n"
        " with local_cluster(1):\n"
        "  print('up', flush=True)\n"
        "  time.sleep(60)\n"
    )
    file = tmp_path / "driver.py"
    file.write_text(code)
    with (tmp_path / "errors").open("wb") as errors:
        driver = subprocess.Popen(
            [sys.executable, str(file)],
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"up\n"
        driver.kill()
        driver.communicate()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:  # until its whole group has ended
        try:
            os.killpg(driver.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        os.killpg(driver.pid, signal.SIGKILL)
    assert b"leaked" not in (tmp_path / "errors").read_bytes()
