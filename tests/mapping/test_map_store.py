import dataclasses
import json
import os
import random
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr

from denram.errors import InputError, StorageError
from denram.mapping import (
    HardwareMap,
    MapConfig,
    build_map,
    open_map,
    save_map,
    waste_flags,
)

CONFIG = MapConfig(n_in=20, n_out=5, n_delays=4, g_min=1e-6, g_max=1e-4)


@pytest.fixture(scope="module")
def chip():
    return build_map(CONFIG, seed=42, noise_std=0.1)


@pytest.fixture(scope="module")
def saved(chip, tmp_path_factory):
    path = tmp_path_factory.mktemp("maps") / "map.zarr"
    save_map(chip, path, waste=waste_flags(chip, n_steps=100))
    return path


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy.zarr")


def assert_same(one, other):
    for field in dataclasses.fields(HardwareMap):
        np.testing.assert_equal(getattr(one, field.name), getattr(other, field.name))


def test_a_map_returns_exactly_as_it_was_saved(chip, saved):
    assert_same(open_map(saved), chip)


def test_a_map_is_found_in_the_folder_that_holds_it(chip, saved):
    assert_same(open_map(saved.parent), chip)


def test_a_map_of_many_chunks_returns_exactly(monkeypatch, chip, tmp_path):
    monkeypatch.setattr("denram.mapping.store._CHUNK_DEVICES", 16)
    save_map(chip, tmp_path / "chunked.zarr")
    array = zarr.open_array(tmp_path / "chunked.zarr" / "delay_steps", mode="r")
    assert array.chunks == (1, 4, 4)
    assert_same(open_map(tmp_path / "chunked.zarr"), chip)


def test_a_map_of_nothing_but_zeros_is_still_written_out(chip, tmp_path):
    still = dataclasses.replace(chip, delay_steps=np.zeros((5, 20, 4), np.int32))
    save_map(still, tmp_path / "still.zarr")
    assert_same(open_map(tmp_path / "still.zarr"), still)


def test_plain_xarray_reads_delays_units_and_the_reasons_of_waste(chip, saved):
    dataset = xr.open_zarr(saved, consolidated=False, chunks=None)
    assert dataset["delay_steps"].dims == ("post", "pre", "tap")
    assert dataset["resistance_ohm"].attrs["units"] == "ohm"
    np.testing.assert_array_equal(dataset["delay_steps"], chip.delay_steps)
    np.testing.assert_array_equal(dataset["waste"], waste_flags(chip, n_steps=100))
    assert dataset["waste"].attrs["flag_meanings"].split()[1] == "beyond_window"
    assert json.loads(dataset.attrs["config"])["n_in"] == 20


def test_the_store_is_zarr_3_with_checksummed_chunks(saved):
    described = json.loads((saved / "resistance_ohm" / "zarr.json").read_text())
    assert described["zarr_format"] == 3
    zstd = described["codecs"][-1]
    assert (zstd["name"], zstd["configuration"]["checksum"]) == ("zstd", True)


def test_an_existing_path_is_refused_and_left_alone(chip, saved):
    before = sorted(saved.rglob("*"))
    with pytest.raises(InputError, match="must not exist yet"):
        save_map(chip, saved)
    assert sorted(saved.rglob("*")) == before


def test_a_failing_disk_leaves_nothing_behind(chip, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_zarr", full)
    with pytest.raises(StorageError, match="the disk is full"):
        save_map(chip, tmp_path / "map.zarr")
    assert list(tmp_path.iterdir()) == []


def refused(path):
    with pytest.raises(InputError) as caught:
        open_map(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def files(store):
    return sorted(path for path in store.rglob("*") if path.is_file())


def refused_or_unharmed(store, chip, targets, seed, n=60):
    """Flip one bit at a time; return how many of the n flips were refused."""
    rng, caught = random.Random(seed), 0
    for _ in range(n):
        target = rng.choice(targets)
        whole = target.read_bytes()
        broken = bytearray(whole)
        broken[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        target.write_bytes(broken)
        try:
            assert_same(open_map(store), chip)
        except InputError:
            caught += 1
        target.write_bytes(whole)
    return caught


def test_a_flipped_bit_anywhere_never_makes_another_map(chip, copy):
    # flips of spaces and of unused settings in the metadata do no harm
    assert refused_or_unharmed(copy, chip, files(copy), seed=1) > 30
    assert_same(open_map(copy), chip)


def test_flipped_bits_of_the_data_are_found(chip, copy):
    chunks = [path for path in files(copy) if path.name != "zarr.json"]
    # zstd's frame header has one bit that means nothing
    assert refused_or_unharmed(copy, chip, chunks, seed=2) >= 58


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_truncated_file_is_refused_whichever_it_is(copy, keep):
    for target in files(copy):
        whole = target.read_bytes()
        target.write_bytes(whole[: int(keep * len(whole))])
        refused(copy)
        target.write_bytes(whole)


def test_a_missing_file_is_refused_whichever_it_is(copy):
    for target in files(copy):
        whole = target.read_bytes()
        target.unlink()
        refused(copy)
        target.write_bytes(whole)


def test_a_changed_setting_is_refused(copy):
    text = (copy / "zarr.json").read_text()
    assert '"timestep_s": 0.005' in text
    (copy / "zarr.json").write_text(text.replace("0.005", "0.006"))
    assert "not what was written" in refused(copy)


@pytest.mark.parametrize("shape", [[10**6] * 3, [2**70, 20, 4], [5, -20, 4], [5, 20]])
def test_a_huge_or_odd_declared_shape_is_refused_before_reading(copy, shape):
    for name in ("delay_steps", "delay_s", "resistance_ohm", "mask", "waste"):
        described = json.loads((copy / name / "zarr.json").read_text())
        described["shape"] = shape
        (copy / name / "zarr.json").write_text(json.dumps(described))
    refused(copy)


def test_chunks_larger_than_their_array_are_refused(copy):
    described = json.loads((copy / "mask" / "zarr.json").read_text())
    described["chunk_grid"]["configuration"]["chunk_shape"] = [5, 2**40, 4]
    (copy / "mask" / "zarr.json").write_text(json.dumps(described))
    assert "chunks" in refused(copy)


def test_metadata_of_many_megabytes_are_refused(copy):
    with (copy / "zarr.json").open("a") as handle:
        handle.write(" " * 2_000_000)
    refused(copy)


def test_deeply_nested_metadata_are_refused(copy):
    (copy / "zarr.json").write_text("[" * 100_000)
    refused(copy)


def test_a_foreign_store_is_refused(tmp_path):
    xr.Dataset({"a": ("x", np.arange(3.0))}).to_zarr(
        tmp_path / "other.zarr", zarr_format=3, consolidated=False
    )
    assert "'a'" in refused(tmp_path / "other.zarr")


def test_paths_without_a_map_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no map")
    for name in ("absent", "empty", "file"):
        assert "zarr.json" in refused(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_an_unreadable_store_is_refused(copy):
    (copy / "zarr.json").chmod(0)
    refused(copy)
