"""MNIST's files: four idx files, or the same arrays in one mnist.npz."""

import hashlib
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.train.data._unpack import BLOCK, gunzipped, readable

N_CLASSES = 10
SIDE = 28
# MNIST has 60 000; a file that claims more than this allocates nothing
MAX_IMAGES = 1_000_000
# MD5 of the unpacked official files, as many public loaders pin them
OFFICIAL_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
NPZ = "mnist.npz"
# the arrays of either, in the order of `OFFICIAL_MD5`, and their dimensions
NPZ_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_NDIMS = (3, 1, 3, 1)
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    SyntaxError,
    ValueError,
)


@dataclass(frozen=True)
class Images:
    """Pictures of one part.

    Args:
        pixels: grey levels, shape (n, 784), row after row.
        label: digit of each picture.
        official: whether both are MNIST's own, by MD5.
        md5: of images and labels as the unpacked idx files would have it.
    """

    pixels: NDArray[np.uint8]
    label: NDArray[np.int16]
    official: bool
    md5: dict[str, str]


def image_files(folder: Path) -> list[Path] | None:
    """The four idx files in official order, or the npz file; None if incomplete."""
    found = []
    for name in OFFICIAL_MD5:
        there = [p for p in (folder / f"{name}.gz", folder / name) if p.is_file()]
        found += there[:1]
    if len(found) == len(OFFICIAL_MD5):
        return found
    return [folder / NPZ] if (folder / NPZ).is_file() else None


def read_images(files: list[Path]) -> dict[str, Images]:
    """Training and test pictures of `image_files`.

    Raises:
        InputError: one line with file, rule and value.
    """
    if len(files) == 1:
        arrays, sources = _read_npz(files[0]), [files[0].name] * 4
    else:
        arrays = [_read_idx(p, n) for p, n in zip(files, _NDIMS, strict=True)]
        sources = [path.name for path in files]
    return {
        part: _checked(arrays[i : i + 2], list(OFFICIAL_MD5)[i : i + 2], sources[i + 1])
        for i, part in ((0, "train"), (2, "test"))
    }


def _checked(arrays: list[NDArray[Any]], names: list[str], source: str) -> Images:
    images, label = arrays
    if images.shape[0] != label.size:
        raise InputError(
            f"{source} must have a label for each of {images.shape[0]} images,"
            f" got {label.size}"
        )
    if not 0 <= label.min() <= label.max() < N_CLASSES:
        worst = label.min() if label.min() < 0 else label.max()
        raise InputError(f"{source}: labels must be 0 to {N_CLASSES - 1}, got {worst}")
    small = label.astype(np.uint8)
    md5 = {name: _idx_md5(a) for name, a in zip(names, (images, small), strict=True)}
    official = all(OFFICIAL_MD5[name] == sum_ for name, sum_ in md5.items())
    pixels = images.reshape(-1, SIDE * SIDE)
    return Images(pixels, label.astype(np.int16), official, md5)


def _idx_md5(array: NDArray[np.uint8]) -> str:
    """MD5 of the idx file that holds this array."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    sum_ = hashlib.md5(head, usedforsecurity=False)
    sum_.update(np.ascontiguousarray(array).data)
    return sum_.hexdigest()


def _read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """Read an idx file of bytes; its header bounds what is read of it."""
    header_bytes = 4 + 4 * ndim
    data, size = bytearray(), math.inf
    for block in gunzipped(path) if path.suffix == ".gz" else _blocks(path):
        data += block
        if size == math.inf and len(data) >= header_bytes:
            size = header_bytes + math.prod(_idx_shape(data, ndim, path.name))
        if len(data) > size:
            break
    if len(data) != size:
        got = f"more than {size}" if len(data) > size else len(data)
        rule = header_bytes if size == math.inf else size
        raise InputError(f"{path.name} must have {rule} bytes, got {got}")
    shape = _idx_shape(data, ndim, path.name)
    return np.frombuffer(data, np.uint8, offset=header_bytes).reshape(shape)


def _idx_shape(data: bytearray, ndim: int, name: str) -> tuple[int, ...]:
    if data[:4] != bytes([0, 0, 8, ndim]):
        raise InputError(
            f"{name} must begin with 0000080{ndim}, got {bytes(data[:4]).hex()}"
        )
    shape = np.frombuffer(data, ">u4", count=ndim, offset=4).tolist()
    return _image_shape(tuple(shape), ndim, name)


def _image_shape(shape: tuple[int, ...], ndim: int, name: str) -> tuple[int, ...]:
    """Refuse what is no row of pictures or labels, before it is allocated."""
    if len(shape) != ndim or shape[1:] != (SIDE, SIDE)[: ndim - 1]:
        rule = f"n x {SIDE} x {SIDE} images" if ndim > 1 else "a row of labels"
        raise InputError(f"{name} must hold {rule}, got {shape}")
    if not 1 <= shape[0] <= MAX_IMAGES:
        raise InputError(f"{name} must hold 1 to {MAX_IMAGES} images, got {shape[0]}")
    return shape


def _blocks(path: Path) -> Iterator[bytes]:
    with readable(path) as file:
        while block := file.read(BLOCK):
            yield block


def _read_npz(path: Path) -> list[NDArray[Any]]:
    """Read the four arrays, each after its header fits and never as a pickle."""
    arrays = []
    with readable(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                for name, ndim in zip(NPZ_ARRAYS, _NDIMS, strict=True):
                    info = archive.getinfo(f"{name}.npy")
                    with archive.open(info) as member:
                        where = f"{path.name}: {name}"
                        arrays.append(_read_npy(member, info.file_size, where, ndim))
        except InputError:
            raise
        except _DAMAGE as error:
            said = str(error).splitlines() or [type(error).__name__]
            raise InputError(
                f"{path.name} must be a whole npz file, got: {said[0]}"
            ) from None
    return arrays


def _read_npy(member: IO[bytes], size_bytes: int, name: str, ndim: int) -> NDArray[Any]:
    np.lib.format.read_magic(member)
    shape, by_column, dtype = np.lib.format.read_array_header_1_0(member)
    _image_shape(shape, ndim, name)
    if dtype.kind not in ("u" if ndim > 1 else "iu") or (ndim > 1 and dtype != "u1"):
        raise InputError(f"{name} must hold grey levels or labels, got {dtype}")
    n_bytes = math.prod(shape) * dtype.itemsize
    if by_column or member.tell() + n_bytes != size_bytes:
        raise InputError(f"{name} must have {n_bytes} bytes as its header says")
    data = member.read()
    return np.frombuffer(data, dtype).reshape(shape)
