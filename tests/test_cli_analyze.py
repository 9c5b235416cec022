import csv
from pathlib import Path

import pytest
from commands import call, refused

from denram.analysis import open_sweep
from denram.cli import analyze as cli

TINY = ["--noise_std", "0,0.5", "--seeds", "1", "--nb_epochs", "1", "--eval_draws", "2"]
TINY += ["--set", "n_train=60", "--set", "n_test=20", "--set", "n_steps=60"]
TINY += ["--set", "max_delay=60", "--set", "r_mu=150e9", "--set", "n_delays=2"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_fig4d_runs_its_grid_and_then_only_draws_again():
    code, out, err = call(cli.command, "fig4d", *TINY, "--out", "figure")
    assert (code, err) == (0, "")
    assert "4/4 after" in out
    assert "about 0 s left" in out
    assert "4 trainings, smaller than the paper's grid" in out
    assert "on synthetic spoken digits" in out
    sweep = open_sweep("figure")
    with Path("figure/fig4d.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        cell = sweep["test_accuracy"].sel(
            network=row["network"], noise_std=float(row["noise_std"]), seed=1
        )
        assert float(row["mean"]) == pytest.approx(float(cell.mean()))
        assert row["n_seeds"] == "1"
    assert "published_mean" not in rows[0]
    assert Path("figure/fig4d.png").read_bytes().startswith(b"\x89PNG")
    assert Path("figure/fig4d.pdf").read_bytes().startswith(b"%PDF")
    before = Path("figure/fig4d.csv").read_text()
    code, out, _ = call(cli.command, "fig4d", *TINY, "--out", "figure")
    assert code == 0
    assert " left" not in out
    assert Path("figure/fig4d.csv").read_text() == before
    assert call(cli.command, "fig4d", "--draw_only", "--out", "figure")[0] == 0


def test_a_file_in_place_of_the_folder_is_refused_and_kept():
    Path("taken").write_text("mine")
    assert "out must be a folder, got taken" in refused(
        cli.command, "fig4d", "--out", "taken"
    )
    assert [path.read_text() for path in Path().iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "1,1"], "--seeds must not name a value twice"),
        (["--seeds", "1,x"], "--seeds must be a whole number, got 'x'"),
        (["--noise_std", "nan"], "--noise_std must be a finite number, got 'nan'"),
        (["--noise_std", "-0.1"], "--noise_std must be >= 0"),
        (["--set", "n_in=8"], "n_in is an axis of fig4d's grid and must not be set"),
        (["--set", "noise_std=0"], "noise_std is an axis of fig4d's grid"),
        (["--set", "dataset=shd"], "dataset is an axis of fig4d's grid"),
        (["--out", ""], "--out must be 1 to 64 of"),
        (["--set", "colour=red"], "unknown key 'colour'"),
        (["--draw_only", "--out", "nothing"], "out must hold a sweep"),
        (["--out", "../up"], "out must not climb"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, message):
    assert message in refused(cli.command, "fig4d", *arguments)
    assert list(Path().iterdir()) == []
