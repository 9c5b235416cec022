import gzip
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as s

from denram.devices import fit_table
from denram.devices.fit_read_noise import fit_read_noise
from denram.devices.fit_readings import Columns, Meaning, read_readings
from denram.devices.fit_units import check_title
from denram.errors import InputError

OHM = Meaning("ohm")
TEXT = "cell,R,t\n7,1000,0\n9,2000.5,1e-3\n"


def read(folder, text, columns=None, meaning=OHM, name="m.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_readings(path, columns or Columns("R", address="cell"), meaning)


def refused(folder, text, columns=None, meaning=OHM):
    with pytest.raises(InputError) as caught:
        read(folder, text, columns, meaning)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("start", ["", "\ufeff", "# made by hand\n"])
def test_separators_packing_and_comments_change_nothing(tmp_path, mark, packed, start):
    raw = (start + TEXT.replace(",", mark)).encode()
    raw = gzip.compress(raw) if packed else raw
    columns = Columns("R", address="cell", time="t")
    found = read(tmp_path, raw, columns, name="x.gz" if packed else "x.csv")
    assert list(found.resistance_ohm) == [1000, 2000.5]
    assert found.time_s is not None
    assert list(found.time_s) == [0, 1e-3]
    assert list(found.address) == [0, 1]
    assert found.source.sha256 == hashlib.sha256(raw).hexdigest()
    assert (found.source.n_readings, found.source.n_dropped) == (2, 0)


def test_columns_go_by_number_without_header(tmp_path):
    text = TEXT.partition("\n")[2]
    columns = Columns("2", address="1", time="3", header=False)
    found = read(tmp_path, text, columns)
    assert list(found.resistance_ohm) == [1000, 2000.5]
    rule = "--column must be a number from 1 to 3, got '4'"
    assert rule in refused(tmp_path, text, Columns("4", header=False))


def test_a_single_column_needs_no_name(tmp_path):
    found = read(tmp_path, "1e3\n2e3\n", Columns(header=False))
    assert list(found.resistance_ohm) == [1e3, 2e3]
    assert "--column must be one of cell, R, t" in refused(tmp_path, TEXT, Columns())


def test_siemens_and_seconds_become_resistances(tmp_path):
    text = "x\n1e-6\n4e-6\n"
    found = read(tmp_path, text, Columns(), Meaning("siemens"))
    assert found.resistance_ohm == pytest.approx([1e6, 2.5e5])
    meaning = Meaning("seconds", factor=1e-3, k_c_farad=0.5e-12)
    found = read(tmp_path, "x\n100\n250\n", Columns(), meaning)
    assert found.resistance_ohm == pytest.approx([0.2e12, 0.5e12])


def test_open_cells_are_censored_at_the_limit(tmp_path):
    text = "R\n1000\ninf\nopen\nOL\n9000\n10\n"
    limits = Meaning("ohm", above_ohm=8000.0, below_ohm=50.0)
    found = read(tmp_path, text, Columns(), limits)
    assert list(found.kind) == [0, 1, 1, 1, 1, -1]
    assert list(found.resistance_ohm) == [1000, 8000, 8000, 8000, 8000, 50]
    message = refused(tmp_path, text, Columns())
    assert "--above must be given, ohm, where cells are open: got 'inf'" in message


def test_a_column_may_say_what_is_censored(tmp_path):
    text = "R,c\n10,0\n20,1\n30,-1\n40,open\n50,\n"
    found = read(tmp_path, text, Columns("R", censored="c"))
    assert list(found.kind) == [0, 1, -1, 1, 0]
    message = refused(tmp_path, "R,c\n10,perhaps\n", Columns("R", censored="c"))
    assert "--censored must hold 0, 1 or -1, got 'perhaps' in row 1" in message


def test_where_picks_rows_by_text_or_number(tmp_path):
    text = "R,T\n10,100\n20,140\n30,100.0\n"
    columns = Columns("R", where=(("T", "140"),))
    assert list(read(tmp_path, text, columns).resistance_ohm) == [20]
    columns = Columns("R", where=(("T", "1.4e2"),))
    assert list(read(tmp_path, text, columns).resistance_ohm) == [20]
    columns = Columns("R", where=(("T", "9"),))
    assert "--where must leave rows, got none with T=9" in refused(
        tmp_path, text, columns
    )


@pytest.mark.parametrize("word", ["-5", "0", "nan", "", "abc", "1,5e3", "-inf", "0x10"])
def test_what_is_no_reading_is_refused_or_left_out(tmp_path, word):
    text = f"R;t\n100;0\n{word};0\n200;0\n"
    message = refused(tmp_path, text, Columns("R"))
    assert f"--column must hold numbers > 0, got {word!r} in row 2" in message
    found = read(tmp_path, text, Columns("R"), Meaning("ohm", drop_bad=True))
    assert list(found.resistance_ohm) == [100, 200]
    assert found.source.n_dropped == 1


@pytest.mark.parametrize("word", ["-1", "nan", "soon"])
def test_times_before_programming_are_refused(tmp_path, word):
    text = f"R,t\n100,0\n100,{word}\n"
    message = refused(tmp_path, text, Columns("R", time="t"))
    assert f"--time must be >= 0 s since programming, got {word!r} in row 2" in message


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"R\n", "readings below its header, got none"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "NUL bytes"),
        (b"R\n\xff\xfe\xfa\n", "a text file in UTF-8"),
        (gzip.compress(b"R\n1\n" * 1000)[:-20], "a whole gzip file"),
        (b"\x1f\x8bnothing", "a whole gzip file"),
        (b"R,t\n1,2\n1,2,3\n", "must be a table"),
        (b'R,t\n"1,2\n', "must be a table"),
        (b"R,R\n1,2\n", "--column must name one column, got 'R' 2 times"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path, raw, rule):
    assert rule in refused(tmp_path, raw, Columns("R"))


def test_missing_files_and_folders_are_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(InputError, match="cannot read"):
            read_readings(path, Columns("R"), OHM)


def test_huge_files_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(fit_table, "LARGEST_TEXT", 1000)
    bomb = gzip.compress(b"1\n" * 100_000)
    assert len(bomb) < 1000
    message = refused(tmp_path, bomb, Columns(header=False))
    assert "at most 1000 bytes of text" in message
    message = refused(tmp_path, b"1\n" * 600, Columns(header=False))
    assert "at most 1000 bytes" in message


def test_numbers_of_another_unit_are_refused(tmp_path):
    siemens = "R\n1e-5\n2e-5\n"
    message = refused(tmp_path, siemens, Columns())
    assert "got 1e-05 to 2e-05 ohm with ohm" in message
    mixed = Meaning("ohm", factor=1e3)
    message = refused(tmp_path, "R\n1e-4\n2e7\n", Columns(), mixed)
    assert "--unit must be one for the whole column" in message


@pytest.mark.parametrize(
    ("title", "unit", "factor"),
    [
        ("R [kohm]", "ohm", 1.0),
        ("R (S)", "ohm", 1.0),
        ("resistance_Mohm", "ohm", 1.0),
        ("delay/ms", "seconds", 1.0),
        ("G [\N{GREEK SMALL LETTER MU}S]", "siemens", 1.0),
        ("R [\N{GREEK CAPITAL LETTER OMEGA}]", "siemens", 1.0),
        ("R [ohm]", "ohm", 1e3),
    ],
)
def test_units_that_the_header_contradicts_are_refused(title, unit, factor):
    with pytest.raises(InputError, match="must agree with the header"):
        check_title(title, unit, factor)


@pytest.mark.parametrize(
    ("title", "unit", "factor"),
    [
        ("R [kohm]", "ohm", 1e3),
        ("G_uS", "siemens", 1e-6),
        ("delay (ms)", "seconds", 1e-3),
        ("R", "siemens", 1.0),
        ("cells", "ohm", 1.0),
        ("reads", "siemens", 1.0),
    ],
)
def test_units_that_the_header_does_not_contradict_pass(title, unit, factor):
    check_title(title, unit, factor)


@given(s.lists(s.floats(1e-1, 1e9), min_size=1, max_size=20))
def test_numbers_survive_text(tmp_path_factory, values):
    text = "\n".join(["R", *map(repr, values)])
    found = read(tmp_path_factory.mktemp("t"), text, Columns())
    assert found.resistance_ohm == pytest.approx(np.array(values), rel=1e-12)


def test_read_noise_is_that_of_the_series(tmp_path):
    rng = np.random.default_rng(0)
    g = 1e-5 * (1 + 0.02 * rng.standard_normal((3, 20_000)))
    g[2] += np.where(np.arange(20_000) < 10_000, 1e-6, -1e-6)  # a slow change
    path = tmp_path / "noise.csv"
    np.savetxt(path, np.column_stack([[0, 1, 2], g]), delimiter=",")
    found = fit_read_noise(path, unit="siemens", skip=1)
    assert found.relative[:2] == pytest.approx([0.02, 0.02], rel=0.02)
    assert found.relative[2] == pytest.approx((0.02**2 + 0.1**2) ** 0.5, rel=0.02)
    assert found.step == pytest.approx([0.02] * 3, rel=0.03)
    assert found.median == pytest.approx(0.02, rel=0.02)
    with pytest.raises(InputError, match=r"reads > 0, got 0.0 in line 1"):
        fit_read_noise(path, unit="siemens")
    path.write_text("1,2,3\n")
    with pytest.raises(InputError, match="got 3 in line 1"):
        fit_read_noise(path, unit="siemens")
