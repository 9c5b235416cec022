import gzip

import h5py
import numpy as np
import pytest


def sample_spikes(n_samples=12, seed=0):
    random = np.random.default_rng(seed)
    sizes = random.integers(5, 60, n_samples)
    times = [np.sort(random.uniform(0, 1.39, k)).astype(np.float16) for k in sizes]
    units = [random.integers(0, 700, k).astype(np.uint16) for k in sizes]
    return times, units


def write_h5(path, times, units, labels=None, speakers=None, *, chunks=None):
    n = len(times)
    labels = np.arange(n) % 20 if labels is None else labels
    speakers = np.arange(n) // 3 % 4 if speakers is None else speakers
    with h5py.File(path, "w") as file:
        for name, rows, kind in (("times", times, "f2"), ("units", units, "u2")):
            dtype = h5py.vlen_dtype(np.dtype(kind))
            data = file.create_dataset(f"spikes/{name}", (n,), dtype, chunks=chunks)
            for i, row in enumerate(rows):
                data[i] = row
        file["labels"] = np.asarray(labels).astype(np.uint16)
        file["extra/speaker"] = np.asarray(speakers).astype(np.uint16)
    return path


def idx_bytes(array):
    head = bytes([0, 0, 8, array.ndim])
    return head + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def write_idx(folder, parts, *, packed=True):
    """Write (images, labels) of the training and the test part as four idx files."""
    for part, (images, labels) in zip(("train", "t10k"), parts, strict=True):
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = idx_bytes(array.astype(np.uint8))
            path = folder / f"{part}-{name}-ubyte"
            if packed:
                path = path.with_name(path.name + ".gz")
                data = gzip.compress(data)
            path.write_bytes(data)
    return folder


def sample_images(n, seed):
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (n, 28, 28)).astype(np.uint8)
    images[random.random(images.shape) < 0.7] = 0
    return images, np.arange(n) % 10


@pytest.fixture
def digits():
    """Make random pictures of a training and a test part, with labels."""
    return sample_images(50, 1), sample_images(20, 2)


@pytest.fixture
def mnist_files():
    """Write idx files."""
    return write_idx


@pytest.fixture
def spikes():
    """Make random times and units of some samples."""
    return sample_spikes


@pytest.fixture
def shd_file():
    """Write a file in SHD's format."""
    return write_h5


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("DENRAM_CACHE", str(tmp_path / "cache"))
