import os
import subprocess
import sys

import numpy as np
import pytest

from denram.errors import StorageError
from denram.train.data import _flat
from denram.train.data._flat import load_flat


@pytest.fixture
def source(tmp_path, shd_file, spikes):
    return shd_file(tmp_path / "some.h5", *spikes())


@pytest.fixture
def cached(tmp_path, source):
    """Convert once; return the cache's file."""
    load_flat(source, "sum", tmp_path / "cache", ordered=True)
    return tmp_path / "cache" / "shd-sum.npz"


def again(cached, source):
    return load_flat(source, "sum", cached.parent, ordered=True)


def same(flat, times, units):
    return (
        np.array_equal(flat.times, np.concatenate(times))
        and np.array_equal(flat.units, np.concatenate(units))
        and flat.offset.tolist() == np.cumsum([0, *map(len, times)]).tolist()
    )


def test_the_flat_arrays_hold_the_files_numbers(cached, source, spikes):
    flat = again(cached, source)
    assert same(flat, *spikes())
    assert flat.times.dtype == np.float16
    assert flat.units.dtype == np.uint16
    assert flat.label.tolist() == list(range(12))


def test_the_second_time_the_source_is_not_read(cached, source, spikes):
    source.unlink()
    assert same(again(cached, source), *spikes())


def test_a_flipped_bit_never_reaches_the_data(cached, spikes):
    whole, random = cached.read_bytes(), np.random.default_rng(0)
    for at in random.integers(0, len(whole) * 8, 300):
        data = bytearray(whole)
        data[at // 8] ^= 1 << at % 8
        cached.write_bytes(data)
        flat = _flat._read_cache(cached)
        assert flat is None or same(flat, *spikes())


def test_a_damaged_cache_is_made_anew(cached, source, spikes):
    whole = bytearray(cached.read_bytes())
    damaged = whole.copy()
    damaged[200] ^= 1
    cached.write_bytes(damaged)
    assert _flat._read_cache(cached) is None
    assert same(again(cached, source), *spikes())
    assert _flat._read_cache(cached) is not None


@pytest.mark.parametrize("keep", [0, 10, 500, -1])
def test_a_truncated_cache_is_not_used(cached, keep):
    cached.write_bytes(cached.read_bytes()[:keep])
    assert _flat._read_cache(cached) is None


def test_a_pickle_in_the_cache_is_not_opened(cached, source, spikes, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "boom"),)

    np.savez(cached, times=np.array([Bomb()], dtype=object), allow_pickle=True)
    assert same(again(cached, source), *spikes())
    assert not (tmp_path / "boom").exists()


def test_a_header_that_claims_more_than_the_file_allocates_nothing(
    cached, source, spikes
):
    data = cached.read_bytes()
    shape = b"'shape': ("
    at = data.index(shape) + len(shape)
    end = data.index(b",)", at)
    huge = b"9" * (end - at + 8)
    cached.write_bytes(data[:at] + huge + data[end : end + 2] + data[end + 10 :])
    assert same(again(cached, source), *spikes())


def test_left_overs_of_a_killed_conversion_are_removed(cached, source):
    cached.unlink()
    folder = cached.parent / "convert-sum-abc.partial"
    folder.mkdir()
    (folder / "unpacked.h5").write_bytes(b"half")
    (cached.parent / ".shd-sum.npz.123.partial").write_bytes(b"half")
    again(cached, source)
    assert {p.name for p in cached.parent.iterdir()} == {"shd-sum.npz", "shd-sum.lock"}


def test_two_processes_make_one_good_file(tmp_path, source, spikes):
    script = (
        "import sys; from pathlib import Path;"
        "from denram.train.data._flat import load_flat;"
        "print('ready', flush=True); sys.stdin.readline();"
        "load_flat(Path(sys.argv[1]), 'sum', Path(sys.argv[2]), ordered=True)"
    )
    command = [sys.executable, "-c", script, source, tmp_path / "cache"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for worker in workers:
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)
        assert worker.returncode == 0
    names = {p.name for p in (tmp_path / "cache").iterdir()}
    assert names == {"shd-sum.npz", "shd-sum.lock"}
    assert same(again(tmp_path / "cache" / "shd-sum.npz", source), *spikes())


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, source):
    (tmp_path / "cache").write_text("a file stands here")
    with pytest.raises(StorageError, match="cannot write") as error:
        load_flat(source, "sum", tmp_path / "cache", ordered=True)
    assert "\n" not in str(error.value)
