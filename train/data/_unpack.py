"""Packed files of strangers: read in blocks, whole or not at all."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from denram.errors import InputError

BLOCK = 1 << 20
_DAMAGE_IN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


def readable(path: Path) -> IO[bytes]:
    """Open a file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def unpack(path: Path, target: Path, max_bytes: int) -> None:
    """Unpack a .gz of one member, or a .zip of one plain file, into `target`.

    Raises:
        InputError: truncated, damaged, larger than `max_bytes` when unpacked, or more
            than that one member.
    """
    blocks = unzipped(path) if path.suffix == ".zip" else gunzipped(path)
    with target.open("wb") as plain:
        for block in limited(blocks, path.name, max_bytes):
            plain.write(block)


def limited(blocks: Iterable[bytes], name: str, max_bytes: int) -> Iterator[bytes]:
    """Pass blocks on until they are more than `max_bytes` together.

    Raises:
        InputError: they are.
    """
    total = 0
    for block in blocks:
        total += len(block)
        if total > max_bytes:
            raise InputError(f"{name} must unpack to at most {max_bytes} bytes")
        yield block


def gunzipped(path: Path) -> Iterator[bytes]:
    """Content of exactly one gzip member.

    Raises:
        InputError: truncated, damaged, or bytes after the member.
    """
    inflater = zlib.decompressobj(wbits=31)
    with readable(path) as packed:
        try:
            while not inflater.eof:
                block = inflater.unconsumed_tail or packed.read(BLOCK)
                if not block:
                    raise EOFError("a truncated file")
                yield inflater.decompress(block, 16 * BLOCK)
            if inflater.unused_data or packed.read(1):
                raise EOFError("bytes after its end")
        except (zlib.error, EOFError) as error:
            raise InputError(f"{path.name} must be whole gzip, got: {error}") from None


def unzipped(path: Path) -> Iterator[bytes]:
    """Content of a zip file's only member, whose name is not looked at.

    Raises:
        InputError: truncated, damaged, or anything but one plain member.
    """
    with readable(path) as packed:
        try:
            with zipfile.ZipFile(packed) as archive:
                info = _only_member(archive)
                with archive.open(info) as member:
                    while block := member.read(BLOCK):
                        yield block
                    if member.tell() != info.file_size:
                        raise EOFError("a truncated member")
        except InputError:
            raise
        except _DAMAGE_IN_ZIP as error:
            said = str(error).splitlines() or [type(error).__name__]
            raise InputError(f"{path.name} must be whole zip, got: {said[0]}") from None


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) != 1:
        raise ValueError(f"{len(members)} members instead of 1")
    info = members[0]
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or kind not in (0, stat.S_IFREG):
        raise ValueError("a member that is no plain file")
    if info.flag_bits & 1:
        raise ValueError("an encrypted member")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"compression of type {info.compress_type}")
    return info
