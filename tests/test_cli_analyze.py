import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from commands import call, refused

from denram.analysis import open_sweep
from denram.analysis.sweep_store import STORE, SweepStore
from denram.cli import analyze as cli

TINY = ["--noise_std", "0,0.5", "--seeds", "1", "--nb_epochs", "1", "--eval_draws", "2"]
TINY += ["--set", "n_train=60", "--set", "n_test=20", "--set", "n_steps=60"]
TINY += ["--set", "max_delay=60", "--set", "r_mu=150e9", "--set", "n_delays=2"]
MAP = ["sweep", "--study", "map", "--set", "n_in=8", "--set", "cap=1e-13"]
DENRAM = [sys.executable, "-c", "from denram.cli.analyze import main; main()"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_fig4d_runs_its_grid_and_then_only_draws_again():
    code, out, err = call(cli.command, "fig4d", *TINY, "--out", "figure")
    assert (code, err) == (0, "")
    assert "4 cells: 0 done, 0 failed, 4 to be computed" in out
    assert "4/4 network=64 inputs,noise_std=0.5,seed=1  test " in out
    assert "4 trainings, smaller than the paper's grid" in out
    assert "on synthetic spoken digits" in out
    sweep = open_sweep("figure")
    rows = _rows("figure/fig4d.csv")
    assert len(rows) == 4
    for row in rows:
        cell = sweep["test_accuracy"].sel(
            network=row["network"], noise_std=float(row["noise_std"]), seed=1
        )
        assert float(row["mean"]) == pytest.approx(float(cell.mean()))
        assert row["n_seeds"] == "1"
    assert "published_mean" not in rows[0]
    assert len(_rows("figure/fig4d_matrix.csv")) == 2 * 2 * 3
    assert Path("figure/fig4d.png").read_bytes().startswith(b"\x89PNG")
    assert Path("figure/fig4d.pdf").read_bytes().startswith(b"%PDF")
    before = Path("figure/fig4d.csv").read_text()
    code, out, _ = call(cli.command, "fig4d", *TINY, "--out", "figure")
    assert code == 0
    assert "4 done, 0 failed, 0 to be computed" in out
    assert Path("figure/fig4d.csv").read_text() == before
    call(cli.command, "fig4d", "--store", "figure", "--out", "redrawn")
    assert Path("redrawn/fig4d.csv").read_text() == before
    assert not Path("redrawn/sweep.zarr").exists()


def _rows(path):
    with Path(path).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_sweep_writes_store_table_and_picture_and_grows():
    arguments = [*MAP, "--set", "r_std=0.2,0.4", "--chips", "3"]
    code, out, err = call(cli.command, *arguments)
    assert (code, err) == (0, "")
    (folder,) = Path("sweeps").iterdir()
    rows = _rows(folder / "sweep.csv")
    data = open_sweep(folder)
    for row, r_std in zip(rows, (0.2, 0.4), strict=True):
        delays = data["mean_delay_s"].sel(r_std=r_std).values
        assert float(row["r_std"]) == r_std
        assert float(row["mean_delay_s"]) == pytest.approx(delays.mean())
        assert float(row["mean_delay_s_sd"]) == pytest.approx(delays.std(ddof=1))
        assert row["n_cells"] == "3"
    assert (folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    more = [*MAP, "--set", "r_std=0.2,0.4,0.6", "--chips", "3"]
    code, out, _ = call(cli.command, *more)
    assert "9 cells: 6 done, 0 failed, 3 to be computed" in out
    assert [p.name for p in Path("sweeps").iterdir()] == [folder.name]


def test_a_sweep_takes_its_grid_from_a_file():
    Path("grid.toml").write_text(
        'study = "map"\nchips = 2\n[settings]\nn_in = 8\ncap = 1e-13\n[axes]\n'
        "r_std = [0.2, 0.4]\n"
    )
    assert call(cli.command, "sweep", "grid.toml", "--out", "s")[0] == 0
    assert open_sweep("s")["mean_ohm"].sizes == {"r_std": 2, "chip_seed": 2}


def test_a_dry_run_says_what_it_would_do_and_writes_nothing():
    arguments = [*MAP, "--set", "r_std=0.2,0.4", "--chips", "3", "--dry-run"]
    code, out, _ = call(cli.command, *arguments)
    assert code == 0
    assert "cells  6, of which 0 need no run" in out
    assert "an estimate, within a factor of 2" in out
    arguments = ["fig4d", *TINY, "--dry-run"]
    code, out, _ = call(cli.command, *arguments)
    assert "programs  2" in out
    assert list(Path().iterdir()) == []


def test_a_failed_cell_is_listed_with_its_command_and_the_code_is_3():
    arguments = ["sweep", "--set", "n_train=20", "--set", "n_test=20"]
    arguments += ["--set", "n_in=8,12", "--set", "nb_epochs=1", "--set", "n_delays=2"]
    arguments += ["--set", "n_out=1,20"]
    code, out, err = call(cli.command, *arguments, "--out", "s")
    assert (code, err) == (3, "")
    assert "Failed  2 cells" in out
    assert "n_in=8,n_out=1: n_out must be >= the number of classes" in out
    command = "denram-analyze sweep --out s --only n_in=8,n_out=1 --retry-failed"
    assert command in out
    np.testing.assert_array_equal(SweepStore(Path("s") / STORE).status(), [[2, 1]] * 2)
    code, out, _ = call(cli.command, *command.split()[1:])
    assert code == 3
    assert "4 cells: 2 done, 2 failed, 1 to be computed" in out


def test_verify_names_damage_and_the_next_run_mends_it():
    arguments = [*MAP, "--set", "r_std=0.2,0.4", "--chips", "2", "--out", "s"]
    call(cli.command, *arguments)
    code, out, _ = call(cli.command, "verify", "s")
    assert code == 0
    assert "4 cells, 0 damaged" in out
    digest = out.split()[-1]
    file = Path("s") / STORE / "wasted_by" / "c" / "1" / "0" / "0"
    file.write_bytes(file.read_bytes()[:-3])
    code, out, _ = call(cli.command, "verify", "s", "--repair")
    assert code == 3
    assert "r_std=0.4,chip_seed=0: wasted_by/c/1/0/0: " in out
    assert call(cli.command, "sweep", "--out", "s")[0] == 0
    assert call(cli.command, "verify", "s")[1].split()[-1] == digest
    code, out, _ = call(cli.command, "pack", "s")
    assert code == 0
    assert call(cli.command, "verify", "s")[0] == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["here", "workers"])
def test_a_signal_ends_a_sweep_in_time_and_says_how_to_go_on(number, code, workers):
    # a job in a shell's background is started deaf to SIGINT
    hear = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    start = [*DENRAM[:-1], f"{hear}; {DENRAM[-1]}"]
    arguments = [*start, "fig4d", "--seeds", "1", "--out", "s", *workers]
    with subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "to be computed" in line:
                break
        while workers and not list(Path("s").glob("cells/*/config.toml")):
            pass
        process.send_signal(number)
        began = time.monotonic()
        _, errors = process.communicate()
        spent = time.monotonic() - began
    assert process.returncode == code, errors
    assert spent < 10, "two seconds are the aim; this guards against never"
    assert "interrupted; resume with: " in errors
    assert "Traceback" not in errors
    assert list(Path("s").rglob("*.partial")) == []
    assert (SweepStore(Path("s") / STORE).status() == 0).all()


def test_two_stores_are_compared():
    for name, r_std in (("a", "0.2"), ("b", "0.4")):
        settings = ["--set", f"r_std={r_std}", "--set", "n_delays=2,4", "--chips", "3"]
        call(cli.command, *MAP, *settings, "--out", name)
    code, out, err = call(cli.command, "compare", "a", "b", "--variable", "cv")
    assert (code, err) == (0, "")
    assert "r_std" in out
    assert "at 2 of 2 points" in out


def test_a_file_in_place_of_the_folder_is_refused_and_kept():
    Path("taken").write_text("mine")
    assert "out must be a folder, got taken" in refused(
        cli.command, "fig4d", "--out", "taken"
    )
    assert [path.read_text() for path in Path().iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fig4d", "--seeds", "1,1"], "--seeds must not name a value twice"),
        (["fig4d", "--seeds", "1,x"], "--seeds must be a whole number, got 'x'"),
        (["fig4d", "--noise_std", "nan"], "--noise_std must be a finite number"),
        (["fig4d", "--noise_std", "-0.1"], "--noise_std must be >= 0"),
        (["fig4d", "--set", "n_in=8"], "n_in is an axis of fig4d's grid"),
        (["fig4d", "--set", "noise_std=0"], "noise_std is an axis of fig4d's grid"),
        (["fig4d", "--set", "dataset=shd"], "dataset is an axis of fig4d's grid"),
        (["fig4d", "--out", ""], "--out must be 1 to 64 of"),
        (["fig4d", "--set", "colour=red"], "unknown key 'colour'"),
        (["fig4d", "--store", "nothing"], "store must be a sweep or its folder"),
        (["fig4d", "--out", "../up"], "out must not climb"),
        (["fig4d", "--only", "seed=7"], "seed must be one of 42, 50, got '7'"),
        (["sweep"], "a sweep needs GRID.toml, --set, or --out of one"),
        (["sweep", "--out", "x"], "a new sweep needs a grid, and "),
        (["sweep", "none.toml"], "cannot read none.toml"),
        (["sweep", "--set", "n_in=8"], "a sweep must have 1 to 12 axes, got 0"),
        (["sweep", "--set", "colour=1,2"], "cell colour=1: unknown key 'colour'"),
        (["sweep", "--set", "n_in=8,0"], "cell n_in=0: n_in must be"),
        (["sweep", "--set", "n_in=8,nan"], "a value of n_in must be finite"),
        (["sweep", "--set", "n_in=,"], "n_in"),
        (["sweep", "--seeds", ""], "--seeds must have at least one value, got none"),
        (["sweep", "--chips", "0"], "--chips must be >= 1"),
        (["sweep", "--seeds", "1", "--workers", "0"], "--workers must be >= 1"),
        (["sweep", "--seeds", "1", "--workers", "900"], "--workers must be <= "),
        (["sweep", "--seeds", "1", "--dashboard"], "--dashboard needs --workers"),
        (["sweep", "--seeds", "1", "--scheduler", "x"], "--scheduler must be like tcp"),
        (["sweep", "--seeds", "1", "--scheduler", "tcp://h:99999999"], "like tcp://"),
        (["sweep", "--seeds", "1", "--scheduler", "http://h:1"], "like tcp://"),
        (["sweep", "--seeds", "1", "--scheduler", "tcp://h"], "like tcp://"),
        (["sweep", "--force-new", "--out", "x"], "--force-new needs a grid"),
        (["sweep", "--seeds", "1", "--only", 'seed="1'], "--only must be AXIS=VALUE"),
        (["sweep", "--seeds", "1,2", "--only", "seed=1,"], "--only must be AXIS=VALUE"),
        (
            ["sweep", "--seeds", "1", "--workers", "2", "--scheduler", "tcp://x:1"],
            "--scheduler must not be given with --workers",
        ),
        (["sweep", "--seeds", "1", "--only", "x"], "--only must be AXIS=VALUE"),
        (["sweep", "--seeds", "1,2", "--only", "seed=1,seed=2"], "must name seed once"),
        (["sweep", "--seeds", "1", "--only", "x=1"], "axis must be one of seed"),
        (["sweep", "--seeds", "1", "--together", "0"], "--together must be >= 1"),
        (["verify", "nothing"], "store must be a sweep or its folder"),
        (["pack", "nothing"], "store must be a sweep or its folder"),
        (["explore", "nothing", "--no-browser"], "store must be a sweep or its folder"),
        (["compare", "nothing", "nothing"], "nothing"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(arguments, message):
    assert message in refused(cli.command, *arguments)
    assert list(Path().iterdir()) == []


def test_a_scheduler_that_is_not_there_is_refused_and_nothing_is_lost():
    arguments = [*MAP, "--chips", "2", "--out", "s"]
    arguments += ["--scheduler", "tcp://127.0.0.1:9"]
    assert "scheduler must answer" in refused(cli.command, *arguments)
    assert list(Path().iterdir()) == []
    call(cli.command, *arguments[:-2])
    assert (open_sweep("s")["status"] == 1).all()


def test_help_starts_without_the_heavy_libraries():
    code = (
        "import sys\nfrom denram.cli.analyze import command\n"
        "try:\n command(['sweep', '--help'])\nexcept SystemExit:\n pass\n"
        "import json\nprint(json.dumps(sorted(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    loaded = set(json.loads(out.splitlines()[-1]))
    heavy = {"jax", "numba", "xarray", "zarr", "distributed", "bokeh", "matplotlib"}
    assert loaded & (heavy | {"scipy", "pandas", "numpy"}) == set()


def test_a_writer_that_was_killed_leaves_nothing_behind():
    call(cli.command, *MAP, "--chips", "2", "--out", "s")
    litter = Path("s") / STORE / "mean_ohm" / "c" / "0.abc.partial"
    litter.write_text("half")
    os.remove(Path("s") / STORE / "status" / "c" / "0")
    assert call(cli.command, "sweep", "--out", "s")[0] == 0
    assert not litter.exists()


GROWN = [*MAP, "--set", "r_std=0.2,0.4", "--chips", "2", "--out", "s"]


@pytest.fixture
def small():
    """A finished sweep in the folder s, and what all its files hold."""
    assert call(cli.command, *GROWN)[0] == 0
    return files("s")


def files(folder):
    found = {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}
    return {p: x for p, x in found.items() if p.name != ".lock"}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "r_std=0.2,-4"], "cell r_std=-4,chip_seed=0: r_std must be"),
        (["--set", "r_std=1,2", "--scheduler", "tls://127.0.0.1:9"], "must answer"),
        (["--set", "r_std=1,2", "--only", "r_std=7"], "r_std must be one of"),
    ],
)
def test_force_new_moves_nothing_that_it_cannot_replace(small, more, message):
    arguments = [*MAP, "--chips", "2", "--out", "s", "--force-new", *more]
    assert message in refused(cli.command, *arguments)
    assert files("s") == small
    assert [p.name for p in Path().iterdir()] == ["s"]


def test_force_new_moves_no_folder_without_a_sweep():
    Path("important").mkdir()
    Path("important/thesis.doc").write_text("mine")
    for more in ([], ["--dry-run"]):
        arguments = [*MAP, "--chips", "2", "--out", "important", "--force-new", *more]
        assert "important holds thesis.doc" in refused(cli.command, *arguments)
    assert [str(p) for p in Path().rglob("*")] == [
        "important",
        "important/thesis.doc",
    ]


def test_force_new_sets_a_sweep_aside_and_its_dry_run_says_what_it_would_do(small):
    other = [*MAP, "--set", "n_delays=2", "--chips", "3", "--out", "s", "--force-new"]
    code, out, _ = call(cli.command, *other, "--dry-run")
    assert code == 0
    assert "cells  3, of which 0 need no run" in out
    assert files("s") == small
    code, out, err = call(cli.command, *other)
    assert (code, err) == (0, "")
    assert "set aside: " in out
    aside = {Path("s", *p.parts[1:]): x for p, x in files("s.old-1").items()}
    assert aside == small
    assert open_sweep("s")["status"].sizes == {"chip_seed": 3}


def test_a_dry_run_counts_the_failed_cells_that_are_tried_again(small):
    store = SweepStore(Path("s") / STORE)
    store.fail((1, 0), {"error": "made up"})
    for more, done in ([], 4), (["--retry-failed"], 3), (["--only", "r_std=0.4"], 1):
        _, out, _ = call(cli.command, "sweep", "--out", "s", "--dry-run", *more)
        asked = 2 if "--only" in more else 4
        assert f"cells  {asked}, of which {done} need no run" in out


def test_the_store_itself_can_be_named_to_go_on(small):
    code, out, _ = call(cli.command, "sweep", "--out", f"s/{STORE}")
    assert code == 0
    assert "4 done, 0 failed, 0 to be computed" in out
    assert set(files("s")) == set(small)


def test_verify_counts_missing_cells_and_repairs_what_all_cells_share(small):
    (Path("s") / STORE / "status" / "c" / "0" / "1").unlink()
    code, out, _ = call(cli.command, "verify", "s")
    assert code == 0
    assert "3 done, 0 failed, 1 missing" in out
    meta = Path("s") / STORE / "cv" / "zarr.json"
    meta.write_text(meta.read_text().replace("r_std", "r_stD"))
    code, out, _ = call(cli.command, "verify", "s", "--repair")
    assert code == 3
    assert "whole sweep: cv/zarr.json: its dimensions must begin with r_std" in out
    assert "made again: cv/zarr.json" in out
    assert "will be computed" not in out
    assert "cannot be repaired" not in out
    assert call(cli.command, "sweep", "--out", "s")[0] == 0
    # the results again, but not how long they took
    assert {p: x for p, x in files("s").items() if "provenance" not in p.parts} == {
        p: x for p, x in small.items() if "provenance" not in p.parts
    }


def test_verify_says_what_cannot_be_repaired(small):
    root = Path("s") / STORE / "zarr.json"
    meta = json.loads(root.read_text())
    meta["attributes"]["grid"] = "another"
    root.write_text(json.dumps(meta))
    code, out, _ = call(cli.command, "verify", "s", "--repair")
    assert code == 3
    assert "1 files cannot be repaired; put a copy of them back" in out
    assert out.count("whole sweep: zarr.json: it is not what was written") == 2
    assert "will be computed" not in out


def test_a_packed_store_is_repaired(small):
    call(cli.command, "pack", "s")
    file = Path("s") / STORE / "cv" / "c" / "0" / "0"
    file.write_bytes(b"damaged")
    assert "verify s/sweep.zarr --repair" in refused(
        cli.command, *MAP, "--set", "r_std=0.2,0.4", "--chips", "3", "--out", "s"
    ).replace(str(Path.cwd()) + "/", "")
    code, out, _ = call(cli.command, "verify", "s", "--repair")
    assert code == 3
    assert "4 cells will be computed by the next run" in out
    assert call(cli.command, "sweep", "--out", "s")[0] == 0
    assert call(cli.command, "verify", "s")[0] == 0
    assert Path("s/sweep.csv").read_bytes() == small[Path("s/sweep.csv")]


def test_a_store_written_before_digests_is_said_to_be(small):
    root = Path("s") / STORE / "zarr.json"
    meta = json.loads(root.read_text())
    del meta["attributes"]["files"], meta["attributes"]["seal"]
    root.write_text(json.dumps(meta))
    code, out, _ = call(cli.command, "verify", "s")
    assert code == 0
    assert "written before digests" in out


def test_a_page_is_not_written_over_a_folder(small):
    Path("pages").mkdir()
    assert "--html must be a file, got the folder pages" in refused(
        cli.command, "explore", "s", "--html", "pages"
    )


def test_a_label_with_commas_can_be_asked_for(small):
    Path("grid.toml").write_text(
        'study = "map"\n[settings]\nn_in = 4\n[[zip]]\nname = "x"\n'
        'labels = ["a,b=c", "d"]\nr_std = [0.1, 0.2]\n'
    )
    only = 'x="a,b=c"'
    assert call(cli.command, "sweep", "grid.toml", "--out", "t", "--only", only)[0] == 0
    np.testing.assert_array_equal(SweepStore(Path("t") / STORE).status(), [1, 0])


def test_an_axis_that_does_not_set_the_key_it_is_named_for_is_refused():
    Path("grid.toml").write_text(
        'study = "map"\n[settings]\nn_in = 4\n[[zip]]\nname = "r_mu"\n'
        "r_std = [0.1, 0.2]\n"
    )
    told = refused(cli.command, "sweep", "grid.toml", "--out", "t")
    assert "an axis named r_mu must set r_mu, but it sets r_std" in told
    assert not Path("t").exists()


def test_a_table_of_no_replicates_counts_in_numbers():
    call(cli.command, *MAP, "--set", "r_std=0.2,0.4", "--out", "s")
    assert [row["n_cells"] for row in _rows("s/sweep.csv")] == ["1", "1"]
