import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from commands import call, refused
from tiny import config

from denram.analysis.energy_formulas import FORMULAS, SYMBOLS
from denram.cli.energy import energy
from denram.config import as_dict, as_toml
from denram.mapping import build_map, open_map, save_map
from denram.train.data import load
from denram.train.run_store import save_run

SMALL = ["--set", "n_in=12", "--set", "n_train=60", "--set", "n_test=20"]
SMALL += ["--set", "n_steps=60", "--set", "n_delays=2", "--set", "max_delay=200"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def finished(tmp_path):
    """A run's folder as training leaves it, with weights that a test can know."""
    settings = config(g_min=1e-6, g_max=1e-5, weight_max=2.0)
    folder = tmp_path.with_name(f"{tmp_path.name}-run")
    folder.mkdir()
    (folder / "config.toml").write_text(as_toml(settings))
    save_map(build_map(settings.map, seed=1, noise_std=0.0), folder / "map.zarr")
    weights = np.full(settings.map.shape, 0.5)
    data = xr.Dataset({"weights": (("post", "pre", "tap"), weights)})
    data.attrs["config"] = json.dumps(as_dict(settings))
    save_run(data, folder / "run.zarr")
    return folder, settings


def report(folder):
    rows = json.loads((Path(folder) / "energy.json").read_text())
    return {row["symbol"]: row for row in rows if row["symbol"]}


def test_what_no_one_gives_is_unknown_and_nothing_else_is():
    code, out, err = call(energy, *SMALL, "--out", "e")
    assert (code, err) == (0, "")
    assert {p.name for p in Path("e").iterdir()} == {"energy.json", "energy.png"}
    rows = report("e")
    assert set(rows) == set(SYMBOLS) | set(FORMULAS)
    known = {name for name, row in rows.items() if row["value"] is not None}
    counted = {name for name, s in SYMBOLS.items() if not s.flag}
    assert known == counted | {"T", "B_sr", "N_w"}
    assert rows["N_syn"]["value"] == 12 * 20 * 2
    assert "supply: Vdd = unknown: give --supply_volt" in out
    assert "power of DenRAM: 5.3 nW  (published)" in out
    assert "not read in the paper" in out


def test_flags_make_numbers_and_every_row_says_its_formula_values_and_source():
    flags = ["--supply_volt", "1.2", "--comparator_event_joule", "1e-15"]
    code, out, _ = call(energy, *SMALL, *flags, "--charge", "threshold", "--out", "e")
    assert code == 0
    rows = report("e")
    n_ev, share = rows["N_ev"]["value"], 1 - np.exp(-1)
    assert rows["E_C"]["value"] == pytest.approx(n_ev * 1e-12 * 1.44 * share)
    assert rows["E_C"]["formula"] == "N_ev * C * Vdd**2 * s"
    assert rows["E_C"]["values"].startswith("N_ev = ")
    assert rows["Vdd"] == {
        "group": "constants",
        "symbol": "Vdd",
        "quantity": "supply",
        "formula": "",
        "values": "",
        "value": 1.2,
        "unit": "volt",
        "kind": "given",
        "source": "--supply_volt",
    }
    assert rows["E_den"]["kind"] == "partial from assumed values"
    assert "without E_lk, E_st, E_rd" in out
    assert "= N_ev * C * Vdd**2 * s;  N_ev = " in out


def test_a_card_brings_its_constants_with_kind_and_source():
    text = (Path(__file__).parents[1] / "devices/cards/denram-chip.toml").read_text()
    text += '\n[energy.comparator_static_watt]\nvalue = 2e-12\nunit = "watt"\n'
    text += 'kind = "assumed"\nsource = "assumed: an example"\n'
    Path("mine.toml").write_text(text)
    assert call(energy, *SMALL, "--card", "mine.toml", "--out", "e")[0] == 0
    rows = report("e")
    held = rows["P_cmp"]
    assert (held["value"], held["kind"]) == (2e-12, "assumed")
    assert held["source"] == "card: assumed: an example"
    assert rows["dt"]["value"] == 1e-3
    wanted = 480 * 2e-12 * rows["T"]["value"]
    assert rows["E_st"]["value"] == pytest.approx(wanted)
    assert rows["E_st"]["kind"] == "computed from assumed values"


def test_a_run_brings_its_data_its_chip_and_its_weights(finished):
    folder, settings = finished
    flags = ["--read_volt", "0.2", "--read_pulse_s", "1e-7", "--split", "valid"]
    code, _, err = call(energy, "--run", str(folder), *flags, "--out", "e")
    assert (code, err) == (0, "")
    rows, chip = report("e"), open_map(folder / "map.zarr")
    data = load(settings.data, n_in=12, timestep_s=chip.timestep_s, seed=settings.seed)
    assert rows["N_in"]["value"] == pytest.approx(np.diff(data.valid.offset).mean())
    assert rows["N_ev"]["value"] == pytest.approx(40 * rows["N_in"]["value"])
    # a pair: one device at g_min, the other a quarter of the way to g_max
    assert rows["G"]["value"] == pytest.approx(2e-6 + 0.25 * 9e-6)
    wanted = rows["N_ev"]["value"] * 0.04 * rows["G"]["value"] * 1e-7
    assert rows["E_rd"]["value"] == pytest.approx(wanted)


def test_the_same_question_again_names_the_same_folder():
    assert call(energy, *SMALL)[0] == 0
    assert "--out must not exist yet" in refused(energy, *SMALL)
    assert call(energy, *SMALL, "--add_joule", "1e-14")[0] == 0
    assert len(list(Path("energy").iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--supply_volt", "0"], "--supply_volt must be > 0"),
        (["--supply_volt", "nan"], "--supply_volt must be a finite number, got 'nan'"),
        (["--leakage_ampere", "-1e-12"], "--leakage_ampere must be >= 0"),
        (["--weight_bits", "1.5"], "--weight_bits must be a whole number, got '1.5'"),
        (["--weight_bits", "0"], "--weight_bits must be >= 1"),
        (["--card", "unobtainium"], "card must be one of"),
        (["--set", "r_muu=1"], "unknown key 'r_muu'"),
        (["--set", "n_in"], "--set must be KEY=VALUE, got 'n_in'"),
        (["--dataset", "mnist"], "'synthetic', 'shd'"),
        (["--dataset", "shd", "--data_dir", "nowhere"], "nowhere"),
        (["--charge", "half"], "'full', 'threshold'"),
        (["--run", "nowhere"], "cannot read nowhere/config.toml"),
        (["--run", "r", "--preset", "denram-2024"], "preset must not be given with"),
        (["--run", "r", "--set", "n_in=3"], "n_in must not be given with --run"),
        (["--out", "a/../b"], "--out must not climb"),
    ],
)
def test_a_wrong_command_line_is_one_line(arguments, message):
    assert message in refused(energy, *arguments)
    assert list(Path().iterdir()) == []


def test_every_symbol_that_can_be_given_has_a_flag_and_every_flag_is_in_the_help():
    out = call(energy, "--help")[1]
    for symbol in SYMBOLS.values():
        if symbol.flag:
            assert symbol.flag in out


def test_help_loads_nothing_heavy():
    script = (
        "import sys; from denram.cli.energy import energy; from denram.cli._options "
        "import run; code = run(energy, ['--help']); heavy = {'numba', 'jax', "
        "'xarray', 'matplotlib', 'scipy', 'zarr', 'numpy'} & set(sys.modules); "
        "sys.exit(repr(heavy) if heavy else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
