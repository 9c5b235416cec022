import hashlib
import shutil
import zipfile

import numpy as np
import pytest

from denram.config import convert
from denram.errors import InputError
from denram.train.data import DataConfig, decode, load, ssc

SIZES = {"train": 80, "valid": 35, "test": 40}


def zipped(path):
    packed = path.with_name(path.name + ".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, path.name)
    path.unlink()
    return packed


@pytest.fixture
def folder(tmp_path, shd_file, spikes):
    path = tmp_path / "data"
    path.mkdir()
    for seed, (part, n) in enumerate(SIZES.items()):
        labels = np.arange(n) % 35
        shd_file(path / f"ssc_{part}.h5", *spikes(n, seed=seed), labels)
    return path


def load_ssc(folder, *, n_in=700, **keys):
    config = convert(DataConfig, {"dataset": "ssc", "data_dir": str(folder), **keys})
    return load(config, n_in=n_in, timestep_s=0.014, seed=1)


def count_twin(times, units, n_steps, n_in):
    """The published tensor: digitise, sub-sample and sum."""
    dense = np.zeros((n_steps, n_in), dtype=np.int64)
    edges, stride = np.linspace(0, 1.4, n_steps), -(-700 // n_in)
    for t, u in zip(times, units, strict=True):
        if u % stride == 0:
            dense[np.digitize(float(t), edges), u // stride] += 1
    return dense


@pytest.mark.parametrize("n_in", [256, 700])
def test_each_set_is_its_official_file(folder, spikes, n_in):
    keys = {"binning": "published", "channels": "stride", "truncation": False}
    splits = load_ssc(folder, n_in=n_in, inputs="count", **keys)
    for seed, (part, n) in enumerate(SIZES.items()):
        found = getattr(splits, part)
        assert found.label.tolist() == [i % 35 for i in range(n)]
        dense = decode(found, range(n))
        for i, (t, u) in enumerate(zip(*spikes(n, seed=seed), strict=True)):
            np.testing.assert_array_equal(dense[:, i], count_twin(t, u, 100, n_in))


@pytest.mark.parametrize("rule", ["stratified", "published", "speaker"])
def test_the_split_is_the_official_one_whatever_the_key_says(folder, rule):
    splits = load_ssc(folder, n_steps=50, split=rule, val_fraction=0.5)
    assert {p: len(getattr(splits, p)) for p in SIZES} == SIZES
    assert splits.provenance["n_samples"] == SIZES
    assert splits.provenance["split"].startswith("official files")
    assert splits.train.n_classes == 35


def test_zipped_gzipped_and_plain_files_hold_the_same(folder):
    plain = load_ssc(folder, n_steps=50)
    for part in SIZES:
        zipped(folder / f"ssc_{part}.h5")
    packed = load_ssc(folder, n_steps=50)
    for part in SIZES:
        one, other = getattr(plain, part), getattr(packed, part)
        np.testing.assert_array_equal(one.step, other.step)
        np.testing.assert_array_equal(one.channel, other.channel)
    assert packed.provenance["files"]["valid"]["file"] == "ssc_valid.h5.zip"


def test_a_label_beyond_35_names_its_sample(folder, shd_file, spikes):
    shd_file(folder / "ssc_valid.h5", *spikes(3), [0, 34, 35])
    with pytest.raises(InputError, match="sample 2: label must be 0 to 34, got 35"):
        load_ssc(folder, n_steps=50)


def test_the_same_file_read_as_shd_and_as_ssc_is_cached_apart(
    tmp_path, shd_file, spikes
):
    for part in SIZES:
        shd_file(tmp_path / f"ssc_{part}.h5", *spikes(40))
        shutil.copy(tmp_path / f"ssc_{part}.h5", tmp_path / f"shd_{part}.h5")
    load_ssc(tmp_path, n_steps=50)
    config = DataConfig(dataset="shd", data_dir=str(tmp_path), n_steps=50)
    load(config, n_in=700, timestep_s=0.014, seed=0)
    sum_ = hashlib.sha256((tmp_path / "ssc_test.h5").read_bytes()).hexdigest()
    names = {path.name for path in (tmp_path / "cache").glob("*.npz")}
    assert names == {f"ssc-{sum_}.npz", f"shd-{sum_}.npz"}


def test_a_zip_file_of_two_members_is_refused_and_leaves_nothing(folder, tmp_path):
    (folder / "ssc_test.h5").unlink()
    with zipfile.ZipFile(folder / "ssc_test.h5.zip", "w") as archive:
        archive.write(folder / "ssc_valid.h5", "a")
        archive.write(folder / "ssc_valid.h5", "b")
    with pytest.raises(InputError, match="2 members instead of 1") as error:
        load_ssc(folder, n_steps=50)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").glob("*.partial"))


def test_data_of_unknown_origin_say_so_and_known_ones_are_named(folder, monkeypatch):
    assert load_ssc(folder, n_steps=50).name == "SSC format, unknown source"
    known = {
        part: hashlib.md5((folder / f"ssc_{part}.h5").read_bytes()).hexdigest()
        for part in SIZES
    }
    monkeypatch.setattr(ssc, "OFFICIAL_MD5", known)
    splits = load_ssc(folder, n_steps=50)
    assert splits.name == "SSC"
    assert splits.provenance["files"]["train"]["named_by"] == "md5"


@pytest.mark.parametrize("inside", [".", "ssc"])
def test_the_data_variable_is_looked_at(folder, tmp_path, monkeypatch, inside):
    root = tmp_path / "root"
    shutil.copytree(folder, root / inside)
    monkeypatch.setenv("DENRAM_DATA", str(root))
    assert ssc.source_files(None)["valid"] == root / inside / "ssc_valid.h5"


def test_a_folder_without_the_files_says_what_to_fetch(folder):
    (folder / "ssc_valid.h5").unlink()
    with pytest.raises(InputError, match=r"data_dir must hold ssc_valid\.h5\.zip or"):
        load_ssc(folder, n_steps=50)


def test_parameters_are_checked_before_anything_is_fetched(monkeypatch):
    def never(*args, **options):
        raise AssertionError("looked for files")

    monkeypatch.setattr(ssc, "local_files", never)
    with pytest.raises(InputError, match="n_in must be 1 to 700, got 701"):
        load(DataConfig(dataset="ssc"), n_in=701, timestep_s=0.005, seed=0)
    with pytest.raises(InputError, match="n_steps must be <= 100"):
        load(DataConfig(dataset="ssc"), n_in=700, timestep_s=0.014, seed=0)


def test_without_a_server_one_line_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="give their folder as --data_dir") as error:
        ssc.download("ssc_train.h5.zip", tmp_path, base_url="http://127.0.0.1:9/")
    assert all(name in str(error.value) for name in ssc.OFFICIAL_MD5)
    assert "\n" not in str(error.value)
