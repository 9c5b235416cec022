import gzip
import hashlib
import http.server
import shutil
import threading

import h5py
import numpy as np
import pytest

from denram.config import convert
from denram.errors import InputError
from denram.train.data import DataConfig, decode, load, shd


@pytest.fixture
def folder(tmp_path, shd_file, spikes):
    path = tmp_path / "data"
    path.mkdir()
    shd_file(path / "shd_train.h5", *spikes(100, seed=1))
    shd_file(path / "shd_test.h5", *spikes(30, seed=2))
    return path


@pytest.fixture
def pack():
    def gz(path):
        packed = path.with_name(path.name + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
        return packed

    return gz


def load_shd(folder, *, n_in=700, seed=0, timestep_s=0.005, **keys):
    config = convert(DataConfig, {"dataset": "shd", "data_dir": str(folder), **keys})
    return load(config, n_in=n_in, timestep_s=timestep_s, seed=seed)


def published_twin(times, units, n_in):
    """The published tensor: digitise, sub-sample, pad, cut. Shape (280, n_in)."""
    dense = np.zeros((280, 700), dtype=np.uint8)
    edges = np.linspace(0, 1.4, 280)
    for t, u in zip(times, units, strict=True):
        dense[np.digitize(float(t), edges), u] = 1
    kept = dense[:, :: -(-700 // n_in)]
    return np.pad(kept, ((0, 0), (0, n_in - kept.shape[1])))


@pytest.mark.parametrize("n_in", [64, 256, 700])
def test_published_settings_make_the_published_tensor(folder, spikes, n_in):
    splits = load_shd(folder, n_in=n_in, binning="published", channels="stride")
    times, units = spikes(30, seed=2)
    dense = decode(splits.test, range(30))
    for i in range(30):
        twin = published_twin(times[i], units[i], n_in)
        np.testing.assert_array_equal(dense[:, i], twin[:150])


def test_without_truncation_all_280_steps_are_kept(folder, spikes):
    splits = load_shd(folder, truncation=False, binning="published")
    times, units = spikes(30, seed=2)
    dense = decode(splits.test, range(30))
    assert dense.shape == (280, 30, 700)
    np.testing.assert_array_equal(dense[:, 3], published_twin(times[3], units[3], 700))


def test_pooling_keeps_the_spikes_of_all_700_channels(folder, spikes):
    splits = load_shd(folder, n_in=64)
    times, units = spikes(30, seed=2)
    expected = np.zeros((150, 64))
    for t, u in zip(times[5], units[5], strict=True):
        if float(t) < 0.75:
            expected[int(float(t) / 0.005), int(u) * 64 // 700] = 1
    np.testing.assert_array_equal(decode(splits.test, [5])[:, 0], expected)


@pytest.mark.parametrize("n_in", [64, 700])
def test_counts_are_the_sums_of_the_published_sparse_tensor(folder, spikes, n_in):
    keys = {"binning": "published", "channels": "stride", "truncation": False}
    splits = load_shd(folder, n_in=n_in, inputs="count", timestep_s=0.7, **keys)
    binary = load_shd(folder, n_in=n_in, timestep_s=0.7, **keys)
    times, units = spikes(30, seed=2)
    edges, stride = np.linspace(0, 1.4, 2), -(-700 // n_in)
    summed = np.zeros((2, 30, n_in), dtype=np.int64)
    for i in range(30):
        for t, u in zip(times[i], units[i], strict=True):
            if u % stride == 0:
                summed[np.digitize(float(t), edges), i, u // stride] += 1
    np.testing.assert_array_equal(decode(splits.test, range(30)), summed)
    np.testing.assert_array_equal(decode(binary.test, range(30)), summed > 0)
    assert summed.max() > 1
    assert splits.provenance["inputs"] == "count"


def test_labels_and_speakers_come_along(folder):
    splits = load_shd(folder)
    assert splits.test.label.tolist() == [i % 20 for i in range(30)]
    assert splits.test.speaker.tolist() == [i // 3 % 4 for i in range(30)]
    assert (len(splits.train), len(splits.valid)) == (80, 20)


def test_packed_and_unpacked_files_hold_the_same(folder, pack):
    plain = load_shd(folder)
    for part in ("train", "test"):
        pack(folder / f"shd_{part}.h5")
    packed = load_shd(folder)
    np.testing.assert_array_equal(plain.train.step, packed.train.step)
    np.testing.assert_array_equal(plain.train.channel, packed.train.channel)


def test_a_file_without_speakers_has_unknown_speakers(folder):
    with h5py.File(folder / "shd_test.h5", "r+") as file:
        del file["extra"]
    assert set(load_shd(folder).test.speaker) == {-1}


def test_the_provenance_names_files_and_checksums(folder):
    splits = load_shd(folder, split="published")
    sums = splits.provenance["files"]["train"]
    data = (folder / "shd_train.h5").read_bytes()
    assert sums["file"] == "shd_train.h5"
    assert sums["md5"] == hashlib.md5(data).hexdigest()
    assert sums["sha256"] == hashlib.sha256(data).hexdigest()
    assert splits.provenance["split"] == "published"
    assert splits.provenance["n_samples"] == {"train": 80, "valid": 20, "test": 30}


def test_data_of_unknown_origin_say_so(folder):
    assert load_shd(folder).name == "SHD format, unknown source"


def test_a_readme_can_say_that_the_data_are_regenerated(folder):
    (folder / "README.md").write_text("# shd-regen: real spoken digits\n")
    splits = load_shd(folder)
    assert splits.name == splits.test.name == "shd-regen"
    assert splits.provenance["files"]["test"]["named_by"] == "README.md"


def test_files_of_two_origins_are_both_named(folder, monkeypatch):
    md5 = hashlib.md5((folder / "shd_test.h5").read_bytes()).hexdigest()
    monkeypatch.setitem(shd.KNOWN_MD5, md5, "SHD")
    assert load_shd(folder).name == "SHD format, unknown source + SHD"


def test_known_checksums_name_the_data(tmp_path):
    official = shd.OFFICIAL_MD5["shd_train.h5.gz"]
    assert shd.source_name(tmp_path / "x.h5", official) == ("SHD", "md5")
    regenerated = "e1ea289ac4fdf360b31ac03d6e756f5b"
    assert shd.source_name(tmp_path / "x.h5", regenerated) == ("shd-regen", "md5")


@pytest.mark.parametrize("inside", [".", "shd"])
def test_the_data_variable_is_looked_at(folder, tmp_path, monkeypatch, inside):
    root = tmp_path / "root"
    shutil.copytree(folder, root / inside)
    monkeypatch.setenv("DENRAM_DATA", str(root))
    assert shd.source_files(None)["test"] == root / inside / "shd_test.h5"


def test_a_folder_without_the_files_says_what_to_fetch(folder):
    (folder / "shd_test.h5").unlink()
    with pytest.raises(InputError, match=r"data_dir must hold shd_test.h5.gz") as error:
        load_shd(folder)
    assert "https://zenkelab.org/datasets/" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "served"
    root.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(root))

        def log_message(self, format, *args):
            del format, args

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield root, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


def test_a_download_is_kept_if_its_checksum_is_right(server, tmp_path, monkeypatch):
    root, url = server
    (root / "shd_train.h5.gz").write_bytes(b"spikes")
    right = {"shd_train.h5.gz": hashlib.md5(b"spikes").hexdigest()}
    monkeypatch.setattr(shd, "OFFICIAL_MD5", right)
    path = shd.download("shd_train.h5.gz", tmp_path / "got", base_url=url)
    assert path.read_bytes() == b"spikes"


def test_a_download_with_a_wrong_checksum_leaves_nothing(server, tmp_path):
    root, url = server
    (root / "shd_train.h5.gz").write_bytes(b"other bytes")
    with pytest.raises(InputError, match="wrong checksum"):
        shd.download("shd_train.h5.gz", tmp_path / "got", base_url=url)
    assert list((tmp_path / "got").iterdir()) == []


def test_without_a_server_one_line_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="give their folder as --data_dir") as error:
        shd.download("shd_train.h5.gz", tmp_path, base_url="http://127.0.0.1:9/")
    assert "\n" not in str(error.value)
