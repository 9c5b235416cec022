import gzip
import io
import os
import zipfile

import numpy as np
import pytest

from denram.errors import InputError
from denram.train.data import _images
from denram.train.data._images import image_files, read_images

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
NAMES = ("x_train", "y_train", "x_test", "y_test")


@pytest.fixture
def folder(tmp_path, digits, mnist_files):
    return mnist_files(tmp_path, digits)


@pytest.fixture
def archive(tmp_path, digits):
    path = tmp_path / "mnist.npz"
    np.savez_compressed(path, **dict(zip(NAMES, sum(digits, ()), strict=True)))
    return path


def refusal(folder):
    files = image_files(folder)
    assert files is not None
    with pytest.raises(InputError) as error:
        read_images(files)
    message = str(error.value)
    assert "\n" not in message
    return message


def rewritten(folder, name, change):
    path = folder / name
    data = bytearray(gzip.decompress(path.read_bytes()))
    change(data)
    path.write_bytes(gzip.compress(data))


def dims(data, *values):
    data[4 : 4 + 4 * len(values)] = np.array(values, ">u4").tobytes()


@pytest.mark.parametrize("magic", ["00000801", "00000d03", "50360a32", "ffffffff"])
def test_a_wrong_magic_number_is_refused(folder, magic):
    def change(data):
        data[:4] = bytes.fromhex(magic)

    rewritten(folder, IMAGES, change)
    assert refusal(folder) == f"{IMAGES} must begin with 00000803, got {magic}"


@pytest.mark.parametrize("n", [49, 51, 20, 1])
def test_a_size_other_than_the_header_says_is_refused(folder, n):
    rewritten(folder, IMAGES, lambda data: dims(data, n))
    more = n < 50
    got = f"more than {16 + 784 * n}" if more else 16 + 784 * 50
    assert refusal(folder) == f"{IMAGES} must have {16 + 784 * n} bytes, got {got}"


@pytest.mark.parametrize("keep", [0, 3, 15, 16, 1000])
def test_a_file_that_ends_early_is_refused(folder, keep):
    def change(data):
        del data[keep:]

    rewritten(folder, IMAGES, change)
    assert f"{IMAGES} must have" in refusal(folder)


@pytest.mark.parametrize("shape", [(2**32 - 1,), (0,), (10**6 + 1,)])
def test_a_count_beyond_reason_is_refused_before_it_is_allocated(folder, shape):
    rewritten(folder, IMAGES, lambda data: dims(data, *shape))
    assert f"must hold 1 to 1000000 images, got {shape[0]}" in refusal(folder)


@pytest.mark.parametrize(
    "sides", [(2**32 - 1, 2**32 - 1), (14, 56), (28, 0), (65536, 65536)]
)
def test_pictures_of_other_sides_are_refused_before_they_are_allocated(folder, sides):
    rewritten(folder, IMAGES, lambda data: dims(data, 50, *sides))
    expected = f"must hold n x 28 x 28 images, got (50, {sides[0]}, {sides[1]})"
    assert expected in refusal(folder)


def test_a_label_beyond_9_is_refused(folder):
    def change(data):
        data[8 + 17] = 10

    rewritten(folder, LABELS, change)
    assert refusal(folder) == f"{LABELS}: labels must be 0 to 9, got 10"


def test_each_image_needs_a_label(folder):
    def change(data):
        dims(data, 49)
        del data[-1]

    rewritten(folder, LABELS, change)
    assert "must have a label for each of 50 images, got 49" in refusal(folder)


def test_a_damaged_gzip_file_is_refused(folder):
    path = folder / IMAGES
    data = path.read_bytes()
    for bad in (data[:-1], data[: len(data) // 2], data[:-8] + bytes(8), b"", b"text"):
        path.write_bytes(bad)
        assert f"{IMAGES} must be whole gzip" in refusal(folder)
    for tail in (b"\0", gzip.compress(b"a second member")):
        path.write_bytes(data + tail)
        assert "bytes after its end" in refusal(folder)


def test_a_gzip_bomb_stops_at_the_size_the_header_says(folder):
    rewritten(folder, IMAGES, lambda data: data.extend(bytes(200 << 20)))
    assert refusal(folder).endswith(f"got more than {16 + 784 * 50}")


def test_an_unreadable_file_is_one_line(folder, monkeypatch):
    files = image_files(folder)
    assert files is not None
    files[2].unlink()
    with pytest.raises(InputError, match="cannot read"):
        read_images(files)


def saved(archive, digits, **changes):
    arrays = dict(zip(NAMES, sum(digits, ()), strict=True)) | changes
    np.savez(archive, **{k: v for k, v in arrays.items() if v is not None})
    return archive.parent


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((50, 784), np.uint8)}, "x_train must hold n x 28 x 28"),
        ({"x_train": np.zeros((50, 28, 28), np.float32)}, "grey levels or labels"),
        ({"y_train": np.zeros(50)}, "y_train must hold grey levels or labels"),
        ({"y_train": np.zeros((50, 1), np.uint8)}, "y_train must hold a row of labels"),
        ({"y_train": np.full(50, -1)}, "labels must be 0 to 9, got -1"),
        ({"y_train": np.full(50, 2**63, np.uint64)}, "labels must be 0 to 9"),
        ({"y_test": np.zeros(19, np.int64)}, "a label for each of 20 images, got 19"),
        ({"y_test": None}, "y_test.npy"),
        ({"x_test": np.zeros((28, 28, 20), np.uint8).T}, "as its header says"),
    ],
)
def test_an_npz_file_of_other_arrays_is_refused(archive, digits, changes, message):
    assert message in refusal(saved(archive, digits, **changes))


def test_a_pickle_in_the_npz_file_is_not_opened(archive, digits, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "boom"),)

    bomb = np.array([Bomb()] * 50, dtype=object)
    assert "got object" in refusal(saved(archive, digits, y_train=bomb))
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("n", [51, 10**6, 10**15, 2**63, 10**40, -1])
def test_a_header_that_claims_more_than_its_member_allocates_nothing(
    archive, digits, n
):
    data = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (n, 28, 28)}
    np.lib.format.write_array_header_1_0(data, header)
    data.write(digits[0][0].tobytes())
    with zipfile.ZipFile(archive) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(archive, "w") as new:
        for name, member in members.items():
            new.writestr(name, data.getvalue() if "x_train" in name else member)
    message = refusal(archive.parent)
    assert "bytes as its header says" in message or "1 to 1000000 images" in message


def test_a_damaged_npz_file_never_gives_other_arrays(archive, digits):
    whole, random = archive.read_bytes(), np.random.default_rng(0)
    refused = 0
    for seed in range(300):
        data = bytearray(whole)
        if seed % 3:
            at = random.integers(0, len(data) * 8)
            data[at // 8] ^= 1 << at % 8
        else:
            del data[random.integers(0, len(data)) :]
        archive.write_bytes(data)
        try:
            found = read_images([archive])
        except InputError:
            refused += 1
            continue
        for part, (images, labels) in zip(("train", "test"), digits, strict=True):
            assert np.array_equal(found[part].pixels, images.reshape(-1, 784))
            assert np.array_equal(found[part].label, labels)
    assert refused > 200


def test_md5_of_the_content_is_that_of_the_idx_file(folder):
    import hashlib

    files = image_files(folder)
    assert files is not None
    found = read_images(files)
    for path in files:
        name = path.name.removesuffix(".gz")
        sum_ = hashlib.md5(gzip.decompress(path.read_bytes())).hexdigest()
        assert (found["train"].md5 | found["test"].md5)[name] == sum_
    assert not found["train"].official


def test_content_with_the_official_sums_is_called_official(folder, monkeypatch):
    files = image_files(folder)
    assert files is not None
    sums = {
        k: v for images in read_images(files).values() for k, v in images.md5.items()
    }
    monkeypatch.setattr(_images, "OFFICIAL_MD5", sums)
    assert all(images.official for images in read_images(files).values())
