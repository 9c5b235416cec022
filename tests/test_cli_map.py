import contextlib
import io
import json
import math
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

import denram
from denram.cli import map as cli
from denram.cli._options import Number, run
from denram.config import field_types
from denram.errors import DenRAMWarning
from denram.mapping import MapConfig, open_map

NUMBERS = {p.opts[0]: p for p in cli.command.params if isinstance(p.type, Number)}
TINY = ["--n_in", "4", "--n_out", "2", "--n_delays", "3"]


def call(*arguments):
    """Exit code, standard output and standard error of `denram-map`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(cli.command, arguments)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def refused(*arguments, code=2):
    got, out, err = call(*arguments)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert err.startswith("Error: ")
    return err


def test_the_published_line_is_reproduced(tmp_path):
    arguments = ["--preset", "denram-2024", "--n_in", "256", "--seed", "42"]
    code, out, err = call(*arguments, "--out", "paper")
    assert (code, err) == (0, "")
    assert "mean 99.15 timesteps (496 ms)" in out
    assert "denram-train --map paper" in out
    report = json.loads((tmp_path / "paper" / "report.json").read_text())
    assert round(report["delay"]["mean_steps"], 2) == 99.15
    # 22 of the 256 channels stay empty: 22 x 20 x 16 synapses
    dead = next(r for r in report["waste"]["reasons"] if r["reason"] == "dead_input")
    assert (dead["count"], report["waste"]["n_dead_inputs"]) == (7040, 22)


def test_the_folder_holds_map_figure_and_report(tmp_path):
    code, _, _ = call(*TINY, "--seed", "7", "--out", "chip", "--json", "copy.json")
    assert code == 0
    assert {p.name for p in Path("chip").iterdir()} == {
        "map.zarr",
        "map.png",
        "report.json",
    }
    chip = open_map(tmp_path / "chip")
    assert (chip.delay_steps.shape, chip.seed) == ((2, 4, 3), 7)
    assert Path("chip/map.png").read_bytes().startswith(b"\x89PNG")
    assert Path("copy.json").read_text() == Path("chip/report.json").read_text()
    report = json.loads(Path("copy.json").read_text())
    assert report["delay"]["mean_steps"] == pytest.approx(chip.delay_steps.mean())


def test_the_default_folder_names_size_distribution_seed_and_settings():
    for cap in ("1e-12", "2e-12"):
        assert call(*TINY, "--seed", "5", "--cap", cap)[0] == 0
    names = sorted(path.name for path in Path("maps").iterdir())
    assert len(names) == 2
    assert all(name.startswith("4x3-lognormal-seed5-") for name in names)
    assert all(len(name.rpartition("-")[2]) == 8 for name in names)


def test_an_existing_folder_is_refused_and_left_alone():
    Path("taken").mkdir()
    assert "--out must not exist yet, got 'taken'" in refused(*TINY, "--out", "taken")
    assert list(Path("taken").iterdir()) == []


def test_an_existing_json_file_is_refused_before_anything_is_written():
    Path("kept.json").write_text("precious")
    assert "--json" in refused(*TINY, "--json", "kept.json", "--out", "new")
    assert Path("kept.json").read_text() == "precious"
    assert not Path("new").exists()


@pytest.mark.parametrize(
    "name", ["../up", "a b", "x" * 65, "-x", "CON", "new\nline", "é", "nul\0"]
)
def test_names_that_leave_the_folder_or_break_systems_are_refused(name):
    refused(*TINY, f"--out={name}")
    assert list(Path().iterdir()) == []


def test_flags_win_over_file_over_preset_over_card():
    Path("my.toml").write_text(
        'seed = 9\n[map]\nr_mu = 3e11\nsampler = "counter"\nmax_delay = 60\n'
        "[noise]\nnoise_std = 0.3\n[fit]\nlr = 1.0\n"
    )
    arguments = [*TINY, "--card", "denram-chip", "--preset", "denram-2024"]
    arguments += ["--config", "my.toml", "--max_delay", "70", "--out", "chip"]
    assert call(*arguments)[0] == 0
    chip = open_map("chip")
    assert (chip.seed, chip.noise_std) == (9, 0.3)
    assert (chip.max_delay, chip.timestep_s) == (70, 1e-3)
    assert (chip.config["r_mu"], chip.config["sampler"]) == (3e11, "counter")


def test_the_report_says_what_is_published_assumed_or_set_here():
    _, out, _ = call(*TINY, "--card", "denram-chip", "--r_std", "0.3", "--out", "chip")
    assert "cap = 1e-12 farad  (assumed: taken from the released simulation" in out
    assert "r_std = 0.3  (set for this map)" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[map]\nr_muu = 1.0", "unknown key 'r_muu'"),
        ("[mapp]\nr_mu = 1.0", "unknown key 'mapp'"),
        ("map = 3", "map must be a section"),
        ("[map]\nr_mu = nan", "r_mu must be a finite number"),
        ("[map]\nr_mu = 'big'", "r_mu must be float, got 'big'"),
        ("[map]\nmax_delay = -1", "max_delay must be int >= 0, got -1"),
        ("seed = -1", "seed must be int >= 0, got -1"),
        ("[map]\nn_in = 1\nn_in = 2", "must be valid TOML"),
        ("a = " + "[" * 1000, "must be valid TOML"),
    ],
)
def test_a_wrong_settings_file_is_refused_with_its_key(text, message):
    Path("bad.toml").write_text(text)
    assert message in refused(*TINY, "--config", "bad.toml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "denram-2099"], "preset must be one of"),
        (["--card", "unobtainium"], "card must be one of"),
        (["--config", "absent.toml"], "cannot read absent.toml"),
        (["--distribution", "normal"], "'lognormal', 'uniform', 'pattern'"),
        (["--n_inn", "3"], "--n_in"),
        (["--n_in"], "--n_in"),
        (["stray"], "stray"),
        (["--dead_inputs", "5"], "dead_inputs must be in [0, 4], got 5"),
        (["--weight_levels", "1"], "weight_levels must be 0"),
        (["--g_min", "1e-4"], "g_min and g_max"),
        (["--n_in", "1000000000"], "GB of memory"),
        (["--n_delays", "5000"], "n_delays must be <= 4096, got 5000"),
        (["--n_in", "1048577"], "n_in must be <= 1048576, got 1048577"),
        (["--sampler", "jax-legacy", "--chip", "1"], "chip must be 0"),
    ],
)
def test_a_wrong_command_line_is_one_line_on_standard_error(arguments, message):
    assert message in refused(*TINY, *arguments)
    assert list(Path().iterdir()) == []


VALUES = st.one_of(
    st.sampled_from(["nan", "inf", "-inf", "-0", "-0.0", "0", "-1", "1e400", "-1e400"]),
    st.sampled_from(["9" * 30, "9" * 5000, "", " ", "text", "1_0", "0x1", "٣", "1e5"]),
    st.floats().map(repr),
    st.integers().map(str),
    st.text(max_size=20),
)


@given(st.sampled_from(sorted(NUMBERS)), VALUES)
@budget(max_examples=300)
def test_no_number_makes_a_traceback(flag, value):
    # the disk and the figure are left out: they do not see the numbers
    with mock.patch.object(cli, "_write"):
        code, out, err = call(*TINY, "--out", "never", f"{flag}={value}")
    assert code in (0, 2)
    if code == 2:
        assert out == ""
        errors = [row for row in err.splitlines() if not row.startswith("Warning: ")]
        assert len(errors) == 1
        assert errors[0].startswith("Error: ")
        assert flag.removeprefix("--") in errors[0]
    else:
        number = float(value)
        assert math.isfinite(number)
        assert "synapses" in out


@pytest.mark.parametrize("flag", sorted(NUMBERS))
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e400", "", "text", "-1"])
def test_every_number_refuses_what_is_none_and_names_flag_and_value(flag, value):
    message = refused(*TINY, f"{flag}={value}")
    assert message.startswith(f"Error: {flag} must be ")
    assert message.rstrip().endswith(f"got {value!r}")


@pytest.mark.parametrize(
    "extreme",
    [
        ["--r_std", "10"],
        ["--r_std", "0"],
        ["--r_mu", "1e150"],
        ["--cap", "1e-150"],
        ["--max_delay", "1000000"],
        ["--max_delay", "0"],
        ["--timestep", "1e150"],
        ["--capacitor_sigma", "0.5"],
        ["--n_in", "1", "--n_out", "1", "--n_delays", "1"],
        ["--n_steps", "2147483647"],
        ["--distribution", "uniform", "--max_delay", "0"],
        ["--distribution", "pattern", "--seed", "4294967295"],
    ],
)
def test_extreme_but_legal_chips_are_mapped_drawn_and_saved(extreme):
    code, _, err = call(*TINY, *extreme, "--out", "chip")
    assert code == 0
    assert all(row.startswith("Warning: ") for row in err.splitlines())
    assert open_map("chip").delay_steps.min() >= 0


def test_saturation_is_warned_of_in_one_line():
    code, _, err = call(*TINY, "--r_mu", "1e14", "--out", "chip")
    assert code == 0
    assert err.startswith("Warning: 100.0 % of the delays saturate at max_delay")
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", [n for n in MapConfig.__struct_fields__])
def test_every_setting_of_a_map_has_a_flag_with_its_type_and_default(name):
    option = next(p for p in cli.command.params if p.name == name)
    assert isinstance(option, click.Option)
    default = MapConfig.__struct_defaults__[MapConfig.__struct_fields__.index(name)]
    if default is not None:
        shown = default if isinstance(default, str) else f"{default:g}"
        assert f"[default: {shown}]" in str(option.help)
    if isinstance(option.type, Number):
        assert option.type.is_int == Number(field_types(MapConfig)[name]).is_int


def test_help_answers_at_once_and_loads_nothing_heavy():
    script = (
        "import sys; from denram.cli.map import command; from denram.cli._options "
        "import run; code = run(command, ['--help']); heavy = {'numba', 'jax', "
        "'xarray', 'matplotlib', 'scipy', 'zarr', 'numpy'} & set(sys.modules); "
        "sys.exit(repr(heavy) if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--threshold_factor" in done.stdout


def test_version_is_the_packages():
    assert call("--version")[1].split()[-1] == denram.__version__


def test_other_peoples_warnings_are_passed_on():
    @click.command()
    def warns():
        warnings.warn("ours", DenRAMWarning, stacklevel=1)
        warnings.warn("theirs", UserWarning, stacklevel=1)

    err = io.StringIO()
    with contextlib.redirect_stderr(err), pytest.raises(UserWarning, match="theirs"):
        run(warns, [])
    assert err.getvalue() == "Warning: ours\n"


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "Error: interrupted"),
        (MemoryError(), 1, "Error: out of memory"),
        (click.UsageError("two\nlines"), 2, "Error: two lines"),
    ],
)
def test_interrupts_and_errors_become_one_line_and_a_code(raised, code, line):
    @click.command()
    def fails():
        raise raised

    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        assert run(fails, []) == code
    assert err.getvalue().strip() == line


def test_a_folder_that_cannot_be_written_is_refused():
    Path("file").write_text("")
    assert "is a file" in refused(*TINY, "--out", "file/chip")


def test_flags_of_the_weight_devices_reach_the_map():
    arguments = ["--g_min", "1e-6", "--g_max", "1e-4", "--weight_levels", "8"]
    assert call(*TINY, *arguments, "--noise_std", "0.05", "--out", "chip")[0] == 0
    chip = open_map("chip")
    assert (chip.g_min_siemens, chip.g_max_siemens) == (1e-6, 1e-4)
    assert (chip.weight_levels, chip.noise_std) == (8, 0.05)
    np.testing.assert_array_equal(chip.mask, True)


def test_a_report_inside_the_map_is_refused_before_anything_is_written():
    line = refused(*TINY, "--json", "new", "--out", "new")
    assert "--json must lie outside of --out (new), got 'new'" in line
    assert not Path("new").exists()


@pytest.mark.parametrize("columns", ["1", "20"])
def test_a_narrow_terminal_cuts_no_number(monkeypatch, columns):
    wide = call(*TINY, "--out", "wide")[1]
    monkeypatch.setenv("COLUMNS", columns)
    narrow = call(*TINY, "--out", "narrow")[1]
    assert narrow.replace("narrow", "wide") == wide
    assert "\u2026" not in narrow


def test_program_and_verify_leaves_a_row_per_device(tmp_path):
    out = tmp_path / "map"
    code, text, _ = call(
        *("--n_in", "4", "--n_out", "2", "--n_delays", "3", "--out", str(out)),
        *("--set", "delay_programming=lognormal"),
        *("--set", "delay_programming_sigma=0.3"),
        *("--set", "delay_verify_pulses=3", "--set", "delay_verify_tolerance=0.05"),
    )
    assert code == 0
    rows = (out / "programming.csv").read_text().splitlines()
    assert rows[0] == "post,pre,tap,resistance_ohm,pulses,accepted"
    assert len(rows) == 1 + 24
    accepted = sum(row.endswith(",1") for row in rows[1:])
    assert f"accepted {accepted} " in text
    told = json.loads((out / "report.json").read_text())["programming"]
    assert told["accepted"] == accepted
    assert len(told["failures"]) == told["failed"] == 24 - accepted


def test_the_survey_lists_chips_over_time(tmp_path):
    arguments = ("--n_in", "4", "--n_out", "2", "--chips", "2", "--times", "0,1e6")
    code, text, _ = call(
        *arguments, "--set", "delay_drift_nu=0.1", "--out", str(tmp_path / "m")
    )
    assert code == 0
    assert "2 from chip 0 on" in text
    assert "1 Ms" in text


def test_the_support_matrix_is_printed_without_a_map(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, text, _ = call("--support")
    assert code == 0
    assert "*programming_sigma" in text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments", [("--times", "-1"), ("--times", "a"), ("--chips", "3000000")]
)
def test_a_survey_that_cannot_be_made_leaves_no_map(arguments, tmp_path):
    out = tmp_path / "m"
    code, _, err = call("--n_in", "4", "--n_out", "2", *arguments, "--out", str(out))
    assert code == 2
    assert err.count("\n") == 1
    assert not out.exists()
