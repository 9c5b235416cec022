import stat
import zipfile

import numpy as np
import pytest

from denram.errors import InputError
from denram.train.data._unpack import unpack

CONTENT = np.random.default_rng(0).integers(0, 8, 50_000).astype(np.uint8).tobytes()


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "some.h5.zip"
    write(path, ("some.h5", CONTENT))
    return path


def write(path, *members, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in members:
            archive.writestr(name, data)


def unpacked(path, max_bytes=50_000):
    target = path.with_name("target")
    unpack(path, target, max_bytes)
    return target.read_bytes()


def refusal(path, max_bytes=50_000):
    with pytest.raises(InputError) as error:
        unpacked(path, max_bytes)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("some.h5.zip must ")
    return message


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_the_only_member_of_a_zip_file_is_unpacked(packed, kind):
    write(packed, ("some.h5", CONTENT), kind=kind)
    assert unpacked(packed) == CONTENT


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/b/c.h5", "C:\\evil"])
def test_no_path_is_taken_from_the_zip_file(packed, tmp_path, name):
    write(packed, (name, CONTENT))
    assert unpacked(packed) == CONTENT
    assert {p.name for p in tmp_path.iterdir()} == {"some.h5.zip", "target"}
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("n", [0, 2, 3000])
def test_a_zip_file_holds_exactly_one_member(packed, n):
    write(packed, *((f"{i}.h5", CONTENT[:9]) for i in range(n)))
    assert f"{n} members instead of 1" in refusal(packed)


def test_a_folder_or_a_link_or_a_device_is_no_plain_file(packed):
    write(packed, ("folder/", b""))
    assert "no plain file" in refusal(packed)
    for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFDIR):
        info = zipfile.ZipInfo("some.h5")
        info.external_attr = (kind | 0o777) << 16
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(info, "/etc/passwd")
        assert "no plain file" in refusal(packed)


def test_encrypted_members_and_rare_compressions_are_refused(packed):
    for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        write(packed, ("some.h5", CONTENT), kind=kind)
        assert "compression of type" in refusal(packed)
    write(packed, ("some.h5", CONTENT))
    data = bytearray(packed.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    packed.write_bytes(data)
    assert "encrypted" in refusal(packed)


def test_a_zip_bomb_stops_at_the_limit(packed):
    assert unpacked(packed, 50_000) == CONTENT
    assert "at most 49999 bytes" in refusal(packed, 49_999)
    write(packed, ("some.h5", bytes(100 << 20)))
    assert packed.stat().st_size < 200_000
    assert "at most 50000 bytes" in refusal(packed)
    assert packed.with_name("target").stat().st_size <= 50_000


def test_a_member_that_lies_about_its_size_is_cut_there_and_refused(packed):
    write(packed, ("some.h5", bytes(10 << 20)))
    data = bytearray(packed.read_bytes())
    central = data.index(b"PK\x01\x02")
    for at in (22, central + 24):
        data[at : at + 4] = (1000).to_bytes(4, "little")
    packed.write_bytes(data)
    assert "must be whole zip" in refusal(packed)
    assert packed.with_name("target").stat().st_size <= 1000


def test_a_truncated_zip_file_is_refused(packed):
    data = packed.read_bytes()
    for keep in (0, 10, len(data) // 2, len(data) - 1):
        packed.write_bytes(data[:keep])
        assert "must be whole zip" in refusal(packed)
    packed.write_text("text named zip")
    assert "must be whole zip" in refusal(packed)


def test_a_flipped_bit_never_gives_other_content(packed):
    whole, random = packed.read_bytes(), np.random.default_rng(1)
    refused = 0
    ends = np.concatenate([np.arange(60), len(whole) - 1 - np.arange(90)])
    places = np.concatenate([ends, random.integers(0, len(whole), 150)])
    for at in places:
        data = bytearray(whole)
        data[at] ^= 1 << random.integers(8)
        packed.write_bytes(data)
        try:
            assert unpacked(packed) == CONTENT
        except InputError:
            refused += 1
    assert refused > 150


def test_the_disk_is_not_blamed_on_the_file(packed):
    missing = packed.parent / "absent" / "target"
    with pytest.raises(FileNotFoundError):
        unpack(packed, missing, 10)


def test_an_unreadable_zip_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        unpacked(tmp_path / "absent.zip")
