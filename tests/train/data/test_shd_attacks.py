import gzip
import hashlib
import struct
from dataclasses import replace

import h5py
import numpy as np
import pytest

from denram.errors import InputError
from denram.train.data import _flat
from denram.train.data._flat import load_flat


def refusal(path, tmp_path, *, ordered=True, format=_flat.SHD):
    with pytest.raises(InputError) as error:
        load_flat(path, "sum", tmp_path / "cache", ordered=ordered, format=format)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(path.name)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["shd-sum.lock"]
    return message


@pytest.mark.parametrize("value", [-0.1, 1.4, 2.0, np.nan, np.inf, -np.inf])
def test_a_time_outside_the_recording_names_its_sample(
    tmp_path, shd_file, spikes, value
):
    times, units = spikes()
    times[7][-1] = value
    message = refusal(shd_file(tmp_path / "bad.h5", times, units), tmp_path)
    assert "sample 7: times must be >= 0 and < 1.4 s, got" in message


def test_a_unit_beyond_700_names_its_sample(tmp_path, shd_file, spikes):
    times, units = spikes()
    units[11][0] = 700
    message = refusal(shd_file(tmp_path / "bad.h5", times, units), tmp_path)
    assert "sample 11: units must be 0 to 699, got 700" in message


def test_a_label_beyond_20_names_its_sample(tmp_path, shd_file, spikes):
    path = shd_file(tmp_path / "bad.h5", *spikes(5), labels=[0, 1, 20, 3, 4])
    message = refusal(path, tmp_path)
    assert "sample 2: label must be 0 to 19, got 20" in message


def test_ragged_lengths_name_their_sample(tmp_path, shd_file, spikes):
    times, units = spikes()
    units[3] = units[3][:-1]
    message = refusal(shd_file(tmp_path / "bad.h5", times, units), tmp_path)
    n = len(times[3])
    assert f"sample 3 has {n} times but {n - 1} units" in message


def test_falling_times_are_refused_unless_the_file_is_known(tmp_path, shd_file):
    times = [
        np.array([0.1, 0.2]),
        np.array([]),
        np.array([0.3, 0.125]),
        np.array([0.0]),
    ]
    units = [np.arange(len(t)) for t in times]
    path = shd_file(tmp_path / "bad.h5", times, units)
    assert "sample 2: times must never fall, got 0.125" in refusal(path, tmp_path)
    flat = load_flat(path, "known", tmp_path / "cache", ordered=False)
    assert flat.offset.tolist() == [0, 2, 2, 4, 5]


def test_numbers_of_samples_must_agree(tmp_path, shd_file, spikes):
    path = shd_file(tmp_path / "bad.h5", *spikes(5), labels=[0, 1])
    assert "/labels must have 5 samples, got 2" in refusal(path, tmp_path)


@pytest.fixture
def good(tmp_path, shd_file, spikes):
    return shd_file(tmp_path / "good.h5", *spikes())


def packed(path, data):
    gz = path.with_name("x.h5.gz")
    gz.write_bytes(data)
    return gz


def test_a_truncated_gzip_file_is_refused(tmp_path, good):
    data = gzip.compress(good.read_bytes())
    for cut in (0, 5, len(data) // 2, len(data) - 1):
        assert "truncated" in refusal(packed(good, data[:cut]), tmp_path)


def test_a_wrong_gzip_checksum_is_refused(tmp_path, good):
    data = bytearray(gzip.compress(good.read_bytes()))
    data[-8] ^= 1
    assert "incorrect data check" in refusal(packed(good, data), tmp_path)


@pytest.mark.parametrize("tail", [b"\0", b"more", gzip.compress(b"a second member")])
def test_bytes_after_the_gzip_member_are_refused(tmp_path, good, tail):
    data = gzip.compress(good.read_bytes()) + tail
    assert "bytes after its end" in refusal(packed(good, data), tmp_path)


def test_a_gzip_bomb_stops_at_the_limit(tmp_path, good):
    size = good.stat().st_size
    small = replace(_flat.SHD, max_h5_bytes=size)
    whole = packed(good, gzip.compress(good.read_bytes()))
    fits = load_flat(whole, "fits", tmp_path / "ok", ordered=True, format=small)
    assert fits.offset.size == 13
    bomb = packed(good, gzip.compress(bytes(50 * size)))
    assert f"at most {size} bytes" in refusal(bomb, tmp_path, format=small)


def replace_data(path, name, make):
    with h5py.File(path, "r+") as file:
        del file[name]
        make(file)
    return path


def test_external_storage_is_not_read(tmp_path, good):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(24))

    def make(file):
        file.create_dataset("labels", (12,), "u2", external=[(str(secret), 0, 24)])

    assert "external" in refusal(replace_data(good, "labels", make), tmp_path)


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/extra/speaker"), h5py.ExternalLink("o.h5", "/labels")]
)
def test_links_are_not_followed(tmp_path, good, link):
    def make(file):
        file["labels"] = link

    message = refusal(replace_data(good, "labels", make), tmp_path)
    assert f"labels must be stored in the file, got a {type(link).__name__}" in message


def test_a_linked_group_is_not_followed(tmp_path, good):
    with h5py.File(good, "r+") as file:
        file.move("spikes", "moved")
        file["spikes"] = h5py.SoftLink("/moved")
    assert "spikes must be stored in the file" in refusal(good, tmp_path)


def test_a_virtual_data_set_is_not_read(tmp_path, good):
    layout = h5py.VirtualLayout((12,), "u2")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "labels", (12,))

    def make(file):
        file.create_virtual_dataset("labels", layout)

    assert "virtual" in refusal(replace_data(good, "labels", make), tmp_path)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("spikes/times", h5py.string_dtype()),
        ("spikes/times", h5py.vlen_dtype(np.dtype("u1"))),
        ("spikes/times", np.dtype("f4")),
        ("spikes/units", h5py.vlen_dtype(h5py.ref_dtype)),
        ("spikes/units", h5py.vlen_dtype(np.dtype("f4"))),
        ("labels", h5py.ref_dtype),
        ("labels", np.dtype("S5")),
        ("labels", np.dtype("f4")),
        ("extra/speaker", h5py.vlen_dtype(np.dtype("u1"))),
    ],
)
def test_other_types_than_plain_numbers_are_refused(tmp_path, good, name, dtype):
    def make(file):
        file.create_dataset(name, (12,), dtype)

    message = refusal(replace_data(good, name, make), tmp_path)
    assert f"{name.split('/')[-1]} must hold plain numbers" in message


def test_a_missing_or_huge_data_set_is_refused(tmp_path, good):
    def make(file):
        file.create_dataset("labels", (10**13,), "u2", chunks=(1000,))

    assert "1 to 1000000 samples" in refusal(
        replace_data(good, "labels", make), tmp_path
    )
    replace_data(good, "labels", lambda file: None)
    assert "labels must be in the file, but is missing" in refusal(good, tmp_path)


def test_text_named_h5_is_refused(tmp_path):
    path = tmp_path / "not.h5"
    path.write_text("this is no HDF5 file")
    assert "damaged HDF5" in refusal(path, tmp_path)


def mutant(data, seed):
    random = np.random.default_rng(seed)
    out = bytearray(data)
    kind = seed % 5
    if kind == 0:
        del out[random.integers(1, len(out)) :]
    elif kind in (1, 2):
        for at in random.integers(0, len(out), random.integers(1, 51)):
            out[at] = random.integers(0, 256)
    elif kind == 3:
        for at in random.integers(0, 4096, random.integers(1, 20)):
            out[at] = random.integers(0, 256)
    else:
        at = 4096 * random.integers(0, len(out) // 4096)
        out[at : at + 4096] = bytes(4096)
    return bytes(out)


def within_the_rules(flat):
    starts = flat.offset[:-1][np.diff(flat.offset) > 0]
    falls = np.flatnonzero(flat.times[1:] < flat.times[:-1]) + 1
    return (
        ((flat.times >= 0) & (flat.times < 1.4)).all()
        and flat.units.max(initial=0) < 700
        and 0 <= flat.label.min() <= flat.label.max() < 20
        and flat.times.size == flat.units.size == flat.offset[-1]
        and np.isin(falls, starts).all()
    )


@pytest.mark.parametrize("seed", range(30))
def test_a_damaged_file_neither_hangs_nor_gets_through(
    tmp_path, monkeypatch, shd_file, spikes, seed
):
    monkeypatch.setattr(_flat, "READ_LIMIT_S", 1.5)
    path = shd_file(tmp_path / "mutant.h5", *spikes(200))
    path.write_bytes(mutant(path.read_bytes(), seed))
    try:
        flat = load_flat(path, "sum", tmp_path / "cache", ordered=True)
    except InputError as refused:
        flat = str(refused)
    if isinstance(flat, str):
        assert "\n" not in flat
        assert not list((tmp_path / "cache").glob("*.npz"))
    else:
        assert within_the_rules(flat)


def test_a_reader_that_hangs_is_stopped(tmp_path, monkeypatch, good):
    monkeypatch.setattr(_flat, "READ_LIMIT_S", 0.01)
    assert "must be readable in" in refusal(good, tmp_path)


def test_the_checksums_are_those_of_hashlib(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(struct.pack("<1000d", *range(1000)) * 300)
    data = path.read_bytes()
    assert _flat.checksums(path) == {
        "md5": hashlib.md5(data).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    with pytest.raises(InputError, match="cannot read"):
        _flat.checksums(tmp_path / "absent")
