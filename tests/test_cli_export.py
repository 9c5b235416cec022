import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call, refused
from tiny import config

from denram.cli import map as map_command
from denram.cli import train as train_command
from denram.cli.export import export, import_
from denram.mapping import build_map, open_map, save_map
from denram.mapping.measured_weights import measured_weights
from denram.storage import versions
from denram.train import open_run, run

G = ["--g_min", "1e-5", "--g_max", "1e-4"]
ONE = ["--columns", "1"]
OTHER = ["--targets", "none.json"]
SIZE = ["--rows", "8", "--columns", "16", "--fan_in", "5"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A map, and a finished run on it."""
    folder = tmp_path_factory.mktemp("made")
    settings = config(nb_epochs=1, n_train=60, positive_weights=False)
    chip = build_map(settings.map, seed=7, noise_std=0.1)
    save_map(chip, folder / "map.zarr")
    run(settings, folder / "run", chip=chip)
    return folder


@pytest.fixture(scope="module")
def lab(made):
    assert call(export, "--map", str(made), "--out", str(made / "lab"))[0] == 0
    return made / "lab"


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def measured(folder, *, change=lambda table: table, unit="ohm"):
    table = pd.read_csv(f"{folder}/targets.csv")
    table[f"measured_{unit}"] = table[f"target_{unit}"]
    change(table).to_csv("measured.csv", index=False)


def test_a_map_goes_to_the_lab_and_comes_back(made):
    code, out, err = call(export, "--map", str(made), *SIZE, "--out", "lab")
    assert (code, err) == (0, "")
    assert Path("lab/array.png").read_bytes().startswith(b"\x89PNG")
    # 12 inputs on 5 rows, 20 x 2 synapses on 16 columns
    assert "delay: 9 arrays, 41.67 % of their cells used" in out
    document = json.loads(Path("lab/targets.json").read_text())
    assert document["crossbar"] == {"rows": 8, "columns": 16, "fan_in": 5}
    assert sum(tile["devices"] for tile in document["tiles"]) == 480
    assert document["versions"] == versions()
    measured("lab", unit="siemens")
    flags = ["--map", str(made), "--targets", "lab/targets.json", "--out", "back"]
    code, out, err = call(import_, "measured.csv", "--unit", "siemens", *flags)
    assert (code, err) == (0, "")
    chip, back = open_map(made), open_map("back")
    assert back.fingerprint == chip.fingerprint
    assert np.array_equal(back.resistance_ohm, chip.resistance_ohm)
    record = json.loads(Path("back/import.json").read_text())
    assert record["devices"]["delay"] == {
        "devices": 480, "missing": 0, "outside": 0, "changed_steps": 0,
    }  # fmt: skip
    assert "measured.csv, SHA-256" in back.versions["measured"]
    assert not Path("back/weights.npz").exists()


def test_a_runs_weights_come_back_as_they_were(made):
    arguments = ["--map", str(made), "--run", str(made / "run"), *SIZE, *G]
    code, out, err = call(export, *arguments, "--out", "lab")
    assert (code, err) == (0, "")
    table = pd.read_csv("lab/targets.csv")
    assert table["role"].value_counts().to_dict() == {
        "weight_plus": 500, "weight_minus": 500, "delay": 480,
    }  # fmt: skip
    measured("lab")
    Path("measured.csv").rename("lab/measured.csv")  # beside its targets.json
    flags = ["--map", str(made), "--unit", "ohm", "--out", "back"]
    code, out, err = call(import_, "lab/measured.csv", *flags)
    assert (code, err) == (0, "")
    assert "weights.npz" in out
    weights, bias = measured_weights("back")
    stored = open_run(made / "run" / "run.zarr")
    assert np.allclose(weights, stored["weights"], rtol=1e-12, atol=1e-14)
    assert np.allclose(bias, stored["bias"], rtol=1e-12, atol=1e-14)


def test_the_rebuilt_map_is_trained_on(made, lab):
    random = np.random.default_rng(2)

    def change(table):
        table["measured_ohm"] *= np.exp(0.2 * random.normal(size=len(table)))
        return table[table["order"] != 5]

    measured(lab, change=change)
    flags = ["--map", str(made), "--unit", "ohm", "--out", "back"]
    assert "1 of 480 delay devices" in refused(import_, "measured.csv", *flags)
    code, out, err = call(import_, "measured.csv", *flags, "--allow_missing")
    assert (code, err) == (0, "")
    assert "1 synapses are masked" in out
    small = ["--nb_epochs", "1", "--eval_draws", "2", "--n_steps", "60"]
    small += ["--set", "n_train=60", "--set", "n_test=40", "--no-control"]
    code, _, err = call(
        train_command.command, "--map", "back", *small, "--out", "again"
    )
    assert (code, err) == (0, "")
    result, chip = open_run(Path("again/run.zarr")), open_map("back")
    assert result.attrs["map_fingerprint"] == chip.fingerprint
    assert (result["weights"].values[~chip.mask] == 0).all()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--map must be given, got none"),
        (["--map", "{map}"], "--out must be given, got none"),
        (["--map", "nothing", "--out", "lab"], "map nothing cannot be used"),
        (["--map", "{map}", "--out", "lab", "--rows", "0"], "--rows must be >= 1"),
        (
            ["--map", "{map}", "--out", "lab", "--r_max", "5e5"],
            "targets must lie in the safe range of 0 to 500000 ohm, got 0 delay devices"
            " below and 480 above, of 480; --clip moves them",
        ),
        (
            ["--map", "{map}", "--out", "lab", "--r_min", "2", "--r_max", "1"],
            "r_min must be <= r_max",
        ),
        (
            ["--map", "{map}", "--run", "{map}/run", "--out", "lab"],
            "g_min and g_max must be given to export weights",
        ),
        (
            [
                "--map",
                "{map}",
                "--run",
                "{map}/run",
                "--columns",
                "1",
                "--out",
                "lab",
                *G,
            ],
            "columns must be >= 2",
        ),
        (["--map", "{map}", "--run", "{map}", "--out", "lab"], "run must be a finish"),
    ],
)
def test_what_cannot_be_exported_is_one_line(made, arguments, told):
    arguments = [text.replace("{map}", str(made)) for text in arguments]
    assert told in refused(export, *arguments)
    assert not Path("lab").exists()


def test_a_run_on_another_map_is_refused(made):
    flags = ["--n_in", "12", "--n_delays", "2", "--max_delay", "60"]
    assert call(map_command.command, *flags, "--out", "other")[0] == 0
    arguments = ["--map", "other", "--run", str(made / "run"), *G, "--out", "lab"]
    assert "--run must be a run on this map" in refused(export, *arguments)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["measured.csv", "--map", "{map}", "--out", "b"], "--unit must be given"),
        (["none.csv", "--map", "{map}", "--unit", "ohm", "--out", "b"], "cannot read"),
        (["measured.csv", "--unit", "ohm", "--out", "b"], "--map must be given"),
        (
            ["measured.csv", "--map", "{map}", "--unit", "siemens", "--out", "b"],
            "must have the column measured_siemens, got ['measured_ohm']",
        ),
        (
            ["measured.csv", "--map", "{map}", "--unit", "ohm", "--out", "b", *OTHER],
            "cannot read none.json",
        ),
    ],
)
def test_what_cannot_be_imported_is_one_line(made, lab, arguments, told):
    measured(lab)
    arguments = [text.replace("{map}", str(made)) for text in arguments]
    assert told in refused(import_, *arguments)
    assert not Path("b").exists()


def test_clipped_targets_are_counted_and_drawn(made):
    arguments = ["--map", str(made), "--r_min", "1e11", "--r_max", "2e11", "--clip"]
    code, out, _ = call(export, *arguments, "--out", "lab")
    assert code == 0
    ohm = open_map(made).resistance_ohm
    n = int(((ohm < 1e11) | (ohm > 2e11)).sum())
    assert f"{n} targets moved into the safe range" in out
    table = pd.read_csv("lab/targets.csv")
    assert np.count_nonzero(table["safe_range"].to_numpy() == "clipped") == n
