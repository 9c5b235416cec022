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
