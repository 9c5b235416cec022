import math
import os
from pathlib import Path

import numpy as np
import pytest

from denram.config import convert
from denram.errors import InputError
from denram.train.data import DataConfig, decode, load, mnist

WINDOW = {"mnist": 50, "s-mnist": 784, "ps-mnist": 784}


def load_form(folder, form, *, n_in=None, **keys):
    settings = {"dataset": form, "data_dir": str(folder), "n_steps": WINDOW[form]}
    config = convert(DataConfig, settings | keys)
    n_in = n_in or (784 if form == "mnist" else 1)
    return load(config, n_in=n_in, timestep_s=0.02, seed=3)


@pytest.fixture
def folder(tmp_path, digits, mnist_files):
    path = tmp_path / "data"
    path.mkdir()
    return mnist_files(path, digits)


def latency_twin(level, n_steps):
    """Time of one pixel's spike in whole numbers: x / (x - 0.2) = 5 p / (5 p - 255)."""
    if 5 * level < 255:
        return None
    if 5 * level == 255:
        return n_steps - 1
    return min(int(20 * math.log(5 * level / (5 * level - 255))), n_steps - 1)


@pytest.mark.parametrize("n_steps", [2, 5, 50, 100, 200])
def test_every_grey_level_spikes_when_the_formula_says(n_steps):
    expected = [latency_twin(level, n_steps) for level in range(256)]
    found = mnist.latency_steps(n_steps).tolist()
    assert [None if t == 65535 else t for t in found] == expected


def test_the_threshold_is_the_grey_level_51():
    assert mnist.latency_steps(50)[[0, 50, 51, 52, 255]].tolist() == [
        *(65535, 65535, 49, 49),
        # 20 ln(1 / 0.8) = 4.46
        4,
    ]


def test_each_bright_pixel_has_one_spike(folder, digits):
    splits = load_form(folder, "mnist")
    images = digits[1][0].reshape(20, 784)
    dense = decode(splits.test, range(20))
    expected = np.zeros((50, 20, 784), dtype=np.uint8)
    for i, c in np.ndindex(images.shape):
        step = latency_twin(int(images[i, c]), 50)
        if step is not None:
            expected[step, i, c] = 1
    np.testing.assert_array_equal(dense, expected)


def test_in_turn_each_step_holds_one_grey_level(folder, digits):
    splits = load_form(folder, "s-mnist")
    images = digits[1][0].reshape(20, 784)
    dense = decode(splits.test, range(20))
    assert dense.dtype == np.float32
    np.testing.assert_array_equal(
        dense[:, :, 0].T, (images.astype(np.float64) / 255).astype(np.float32)
    )


def test_one_order_of_the_pixels_serves_every_image_and_depends_on_the_seed(folder):
    def levels(form, **keys):
        splits = load_form(folder, form, **keys)
        return [
            decode(part, range(len(part)))[:, :, 0]
            for part in (splits.train, splits.test)
        ]

    order = np.random.Generator(np.random.Philox(key=[5, 784])).permutation(784)
    plain, mixed = levels("s-mnist"), levels("ps-mnist", data_seed=5)
    for one, other in zip(plain, mixed, strict=True):
        np.testing.assert_array_equal(one[order], other)
    again = levels("ps-mnist", data_seed=6)
    assert not np.array_equal(again[1], mixed[1])


def test_the_training_file_is_split_and_labels_come_along(folder):
    splits = load_form(folder, "mnist")
    assert [len(s) for s in (splits.train, splits.valid, splits.test)] == [40, 10, 20]
    assert np.bincount(splits.valid.label).tolist() == [1] * 10
    assert splits.test.label.tolist() == [i % 10 for i in range(20)]
    assert splits.train.n_classes == 10


def test_packed_and_unpacked_files_and_npz_hold_the_same(
    tmp_path, folder, digits, mnist_files
):
    (tmp_path / "plain").mkdir()
    plain = mnist_files(tmp_path / "plain", digits, packed=False)
    arrays = dict(
        zip(("x_train", "y_train", "x_test", "y_test"), sum(digits, ()), strict=True)
    )
    sums = []
    for number, save in enumerate((np.savez, np.savez_compressed)):
        (tmp_path / f"npz{number}").mkdir()
        save(tmp_path / f"npz{number}" / "mnist.npz", **arrays)
    for place in (folder, plain, tmp_path / "npz0", tmp_path / "npz1"):
        splits = load_form(place, "s-mnist")
        dense = decode(splits.train, range(40))
        sums.append((dense.tobytes(), splits.provenance["content_md5"]))
    assert all(one == sums[0] for one in sums)


def test_data_of_unknown_origin_say_so(folder):
    splits = load_form(folder, "s-mnist")
    assert splits.name == "s-MNIST format, unknown source"
    assert splits.provenance["named_by"] == "nothing"
    assert len(splits.provenance["files"]) == 4


@pytest.mark.parametrize("inside", [".", "mnist"])
def test_the_data_variable_is_looked_at(folder, tmp_path, monkeypatch, inside):
    root = tmp_path / "root"
    (root / inside).mkdir(parents=True)
    for path in folder.iterdir():
        path.rename(root / inside / path.name)
    monkeypatch.setenv("DENRAM_DATA", str(root))
    assert mnist.source_files(None)[0].parent == root / inside


def test_nothing_is_downloaded_and_the_line_says_what_to_fetch(
    folder, monkeypatch, tmp_path
):
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte") as error:
        load_form(folder, "mnist")
    assert "mnist.npz" in str(error.value)
    assert "\n" not in str(error.value)
    monkeypatch.setenv("DENRAM_DATA", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="data_dir must hold"):
        mnist.source_files(None)


@pytest.mark.parametrize(
    ("form", "n_in"), [("mnist", 783), ("mnist", 1), ("s-mnist", 784), ("ps-mnist", 2)]
)
def test_inputs_that_the_images_do_not_have_are_refused(folder, form, n_in):
    with pytest.raises(InputError, match=f"n_in must be .* for {form}, got {n_in}"):
        load_form(folder, form, n_in=n_in)


@pytest.mark.parametrize(
    ("form", "n_steps"), [("mnist", 1), ("mnist", 65535), ("s-mnist", 783)]
)
def test_a_window_that_the_images_do_not_have_is_refused(folder, form, n_steps):
    with pytest.raises(InputError, match="n_steps must be"):
        load_form(folder, form, n_steps=n_steps)


def real_folder():
    root = Path(os.environ.get("DENRAM_DATA") or "../shared/data")
    for place in (root, root / "mnist"):
        if (Path(__file__).parents[3] / place / "mnist.npz").is_file():
            return Path(__file__).parents[3] / place
    return pytest.skip(f"no mnist.npz in {root} or its mnist")


@pytest.mark.real_data
def test_the_real_images_are_the_official_ones():
    folder = real_folder()
    splits = load_form(folder, "s-mnist")
    assert splits.name == "s-MNIST"
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (
        *(48_000, 12_000),
        10_000,
    )
    with np.load(folder / "mnist.npz", allow_pickle=False) as arrays:
        images, labels = arrays["x_test"], arrays["y_test"]
    dense = decode(splits.test, range(200))[:, :, 0].T
    expected = (images[:200].reshape(200, 784) / 255).astype(np.float32)
    np.testing.assert_array_equal(dense, expected)
    assert splits.test.label.tolist() == labels.tolist()
    # the first ten digits of the test set, as every tutorial prints them
    assert splits.test.label[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
