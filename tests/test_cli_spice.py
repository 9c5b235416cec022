import csv
import math
import shutil
from pathlib import Path

import pytest
from commands import call, refused

from denram.cli.spice import spice
from denram.mapping import MapConfig, build_map, save_map

needs_ngspice = pytest.mark.skipif(
    shutil.which("ngspice") is None,
    reason="ngspice is not installed: netlists are not run",
)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def chip():
    config = MapConfig(n_in=3, n_out=2, n_delays=2, threshold_factor=0.7)
    chip = build_map(config, seed=3, noise_std=0.0)
    save_map(chip, "map.zarr")
    return chip


def rows(folder):
    with (Path(folder) / "delays.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_netlists_of_a_map_and_their_delays_are_written(chip):
    arguments = ["--map", "map.zarr", "--device", "1,2,0", "--device", "0,0,1"]
    code, out, err = call(spice, *arguments, "--out", "decks")
    assert (code, err) == (0, "")
    assert {p.name for p in Path("decks").iterdir()} == {
        "delay_1_2_0.cir",
        "delay_0_0_1.cir",
        "delays.csv",
    }
    found = rows("decks")
    for row, place in zip(found, ((1, 2, 0), (0, 0, 1)), strict=True):
        assert (int(row["post"]), int(row["pre"]), int(row["tap"])) == place
        assert float(row["resistance_ohm"]) == chip.resistance_ohm[place]
        assert float(row["map_delay_s"]) == chip.delay_s[place]
        assert float(row["model_delay_s"]) == pytest.approx(chip.delay_s[place])
        assert float(row["threshold_volt"]) == pytest.approx(1 - math.exp(-0.7))
        assert row["ngspice_delay_s"] == ""
        deck = (Path("decks") / row["netlist"]).read_text().splitlines()
        assert f"Rdelay source cap {float(chip.resistance_ohm[place])!r}" in deck
    assert "delay_1_2_0" in out
    assert "with --run" in out


def test_the_first_devices_are_taken_when_none_is_named(chip):
    assert call(spice, "--map", "map.zarr", "--first", "5", "--out", "a")[0] == 0
    assert [r["netlist"] for r in rows("a")][-1] == "delay_0_2_0.cir"
    assert call(spice, "--map", "map.zarr", "--out", "b")[0] == 0
    assert len(rows("b")) == 10


@needs_ngspice
def test_ngspice_is_run_and_compared(chip):
    arguments = ["--map", "map.zarr", "--first", "3", "--rise", "1e-4"]
    code, out, err = call(spice, *arguments, "--run", "--out", "decks")
    assert (code, err) == (0, "")
    assert "ngspice and model agree" in out
    for row in rows("decks"):
        assert abs(float(row["relative_difference"])) < 1e-5
        assert float(row["ngspice_delay_s"]) == pytest.approx(
            float(row["map_delay_s"]), rel=1e-5
        )


@needs_ngspice
def test_a_pulse_that_is_too_short_never_crosses_and_says_so():
    values = ["--resistance", "1e9", "--resistance", "1e12", "--width", "0.1"]
    code, out, _ = call(spice, *values, "--run", "--out", "decks")
    assert code == 0
    assert out.count("never") == 2
    short, long = rows("decks")
    assert float(short["model_delay_s"]) == pytest.approx(1e-3)
    assert (long["model_delay_s"], long["ngspice_delay_s"]) == ("inf", "inf")


def fake_ngspice(monkeypatch, script):
    program = Path("bin/ngspice")
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent.resolve()}:/usr/bin:/bin")


def test_a_difference_of_more_than_a_thousandth_is_code_3(monkeypatch):
    fake_ngspice(monkeypatch, "echo 'delay = 1.002e-3 targ= 1 trig= 0'")
    code, out, _ = call(spice, "--resistance", "1e9", "--run", "--out", "decks")
    assert code == 3
    assert "DIFFER: largest difference 0.2 %" in out
    assert float(rows("decks")[0]["ngspice_delay_s"]) == 1.002e-3


def test_a_failing_ngspice_is_one_line_and_writes_nothing(monkeypatch):
    fake_ngspice(monkeypatch, "echo 'timestep too small' >&2; exit 1")
    code, out, err = call(spice, "--resistance", "1e9", "--run", "--out", "decks")
    assert (code, out) == (1, "")
    line = "Error: delay_0.cir: ngspice failed (exit code 1): timestep too small\n"
    assert err == line
    assert not Path("decks").exists()


def test_without_ngspice_netlists_are_written_but_run_is_refused(monkeypatch):
    monkeypatch.setenv("PATH", str(Path.cwd()))
    line = refused(spice, "--resistance", "1e9", "--run")
    assert "ngspice must be installed to run netlists (--run), got none" in line
    assert call(spice, "--resistance", "1e9")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--map or --resistance must be given"),
        (["--first", "3"], "--device and --first must stand with --map"),
        (["--resistance", "nan"], "--resistance must be a finite number, got 'nan'"),
        (["--resistance", "1e9\n.include x"], "--resistance must be a finite number"),
        (["--resistance", "0"], "--resistance must be > 0"),
        (
            ["--resistance", "1e-150", "--rise", "1e150", "--cap", "1e-150"],
            "rise_s / R C must be finite",
        ),
        (["--resistance", "1e9", "--rise", "0"], "--rise must be > 0"),
        (["--resistance", "1e9", "--width", "0"], "--width must be > 0"),
        (["--resistance", "1e9", "--offset_volt", "-1"], "threshold_volt must be > 0"),
        (
            ["--resistance", "1", "--threshold_volt", "1", "--threshold_factor", "1"],
            "--threshold_factor must not stand with --threshold_volt",
        ),
        (["--map", "m", "--cap", "1"], "--cap must not stand with --map"),
        (["--map", "m", "--resistance", "1"], "--resistance must not stand with --map"),
        (["--map", "absent"], "map absent cannot be used"),
        (["--map", "m", "--device", "1,2"], "--device must be POST,PRE,TAP, got '1,2'"),
        (["--map", "m", "--device", "1,2,-3"], "--device must be POST,PRE,TAP"),
        (["--map", "m", "--first", "0"], "--first must be >= 1, got '0'"),
        (["--map", "map.zarr", "--device", "9,0,0"], "post must be 0 to 1, got 9"),
        (
            ["--map", "map.zarr", "--device", "0,0,0", "--first", "2"],
            "--first must not stand with --device",
        ),
        (["--resistance", "1e9", "--out", "a b"], "--out must be 1 to 64"),
        (["--resistance", "1e9", "--timeout", "0"], "--timeout must be > 0"),
    ],
)
def test_a_wrong_command_line_is_one_line(chip, arguments, message):
    assert message in refused(spice, *arguments)
    assert [p.name for p in Path().iterdir()] == ["map.zarr"]


def test_what_exists_is_not_written_over():
    assert call(spice, "--resistance", "1e9")[0] == 0
    line = refused(spice, "--resistance", "1e9")
    assert "--out must not exist yet" in line
