import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny import config

from denram.config import as_toml
from denram.errors import DenRAMWarning, InputError
from denram.mapping import build_map, open_map
from denram.train import open_run, run
from denram.train import run as run_training

# three kills by default; DENRAM_KILLS=20 for the long form
N_KILLS = int(os.environ.get("DENRAM_KILLS", "3"))
DRIVER = Path(__file__).parents[1] / "kill_driver.py"


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return out, run(config(), out)


def test_a_finished_run_says_everything_about_itself(finished):
    out, result = finished
    assert result.attrs["dataset"] == "synthetic spoken digits"
    assert "40 test samples x 3 noise draws" in result.attrs["protocol"]
    assert result.sizes["epoch"] == 3
    assert result.sizes["draw"] == 3
    assert int(result["confusion"].sum()) == 3 * 40
    xr.testing.assert_identical(open_run(out / "run.zarr"), result)


def test_accuracy_is_the_diagonal_of_the_confusion(finished):
    _, result = finished
    hits = np.trace(result["confusion"].values)
    assert float(result["test_accuracy"].mean()) == pytest.approx(hits / 120)


def test_results_have_the_published_columns_and_formats(finished):
    out, result = finished
    header, row = (out / "results.csv").read_text().splitlines()
    assert header == (
        "n_in,n_delays,noise_std,max_delay,tau_mem,r_mu,r_std,seed,test_acc"
    )
    accuracy = float(result["test_accuracy"].mean())
    assert row == f"12,2,0.10,60,0.020,150000000000,0.40,42,{accuracy:.4f}"


def test_the_map_is_kept_beside_the_run(finished):
    out, _ = finished
    chip = build_map(config().map, seed=42, noise_std=0.1)
    np.testing.assert_array_equal(
        open_map(out / "map.zarr").delay_steps, chip.delay_steps
    )


def test_an_existing_folder_is_refused_and_untouched(finished):
    out, _ = finished
    before = sorted(path.name for path in out.iterdir())
    with pytest.raises(InputError, match="out must not exist yet"):
        run(config(), out)
    assert sorted(path.name for path in out.iterdir()) == before


def test_resuming_a_finished_run_opens_it(finished):
    out, result = finished
    xr.testing.assert_identical(run(config(), out, resume=True), result)


def test_resuming_with_other_settings_is_refused_with_the_difference(finished):
    out, _ = finished
    with pytest.raises(InputError, match=r"lr: 0.01 -> 0.5"):
        run(config(lr=0.5), out, resume=True)


def test_a_given_map_is_trained_on(tmp_path):
    chip = build_map(config().map, seed=7, noise_std=0.1)
    run_training(config(nb_epochs=1), tmp_path / "run", chip=chip)
    kept = open_map(tmp_path / "run" / "map.zarr")
    np.testing.assert_array_equal(kept.delay_steps, chip.delay_steps)


def test_another_map_on_resume_is_refused(finished):
    out, _ = finished
    chip = build_map(config().map, seed=7, noise_std=0.1)
    (out / "run.zarr").rename(out.parent / "aside")
    try:
        with pytest.raises(InputError, match="map must be the one the run began with"):
            run(config(), out, resume=True, chip=chip)
    finally:
        (out.parent / "aside").rename(out / "run.zarr")


def test_the_published_preset_runs_with_its_own_protocol(tmp_path):
    settings = config(preset="denram-2024", n_steps=60, batch_size=16, nb_epochs=2)
    result = run(settings, tmp_path / "run")
    assert result.sizes["draw"] == 1
    assert result.attrs["n_test"] == 32
    assert "one noise draw per batch" in result.attrs["protocol"]


def test_a_diverging_run_keeps_its_last_good_checkpoint(tmp_path, monkeypatch):
    from denram.errors import DivergedError
    from denram.train import trainer

    def poisoned(schedule, epoch, **_):
        return 1e-3 if epoch == 0 else float("inf")

    monkeypatch.setattr(trainer, "learning_rate", poisoned)
    with pytest.raises(DivergedError, match="in epoch 1"):
        run(config(), tmp_path / "run")
    names = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert names == ["epoch_000001"]
    monkeypatch.undo()
    assert run(config(), tmp_path / "run", resume=True).sizes["epoch"] == 3


def _start(out):
    env = {**os.environ, "PYTHONPATH": str(DRIVER.parent)}
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(out)],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )


def _lines_until_finished(out):
    with _start(out) as process:
        assert process.stdout is not None
        lines = [line.strip() for line in process.stdout]
    assert lines[-1] == "finished"
    return lines


@pytest.mark.timeout(60 * (2 + N_KILLS))
def test_a_run_killed_at_any_moment_resumes_to_the_same_bits(tmp_path, finished):
    lines = _lines_until_finished(tmp_path / "whole")
    xr.testing.assert_identical(open_run(tmp_path / "whole" / "run.zarr"), finished[1])
    # half of the kills fall while something is being flushed to disk
    moments = {
        kind: [i for i, line in enumerate(lines[:-1]) if line.startswith(kind)]
        for kind in ("sync", "batch")
    }
    random = np.random.default_rng(int(os.environ.get("DENRAM_KILL_SEED", "1")))
    for kill in range(N_KILLS):
        out = tmp_path / f"killed-{kill}"
        moment = random.choice(moments[("sync", "batch")[kill % 2]])
        with _start(out) as process:
            assert process.stdout is not None
            for _ in range(moment + 1):
                assert process.stdout.readline().strip() != "finished"
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, "the kill must be mid-way"
        result = run(config(), out, resume=True)
        xr.testing.assert_identical(result, finished[1])
        assert not list(out.rglob("*.partial"))


@pytest.mark.usefixtures("finished")
def test_two_runs_in_one_folder_at_once_are_refused(tmp_path):
    import filelock

    out = tmp_path / "run"
    out.mkdir()
    with filelock.FileLock(out / ".lock"):
        with pytest.raises(InputError, match="must not be in use by another run"):
            run(config(), out, resume=True)


def test_too_few_neurons_for_the_classes_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"n_out must be >= .*\(20\), got 19"):
        run(config(n_out=19), tmp_path / "run")


def test_a_batch_beyond_memory_is_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match=r"needs .* GB of memory"):
        run(config(batch_size=10**9), tmp_path / "run")
    assert not (tmp_path / "run" / "config.toml").exists()


def test_saturated_delays_are_a_warning_with_the_percentage(tmp_path):
    with pytest.warns(DenRAMWarning, match=r"100.0 % of the delays saturate"):
        run(config(r_mu=500e12, nb_epochs=1), tmp_path / "run")


def _copy(finished, target):
    shutil.copytree(finished[0], target)
    return target


def test_a_finished_run_is_not_handed_out_for_other_settings(finished, tmp_path):
    out = _copy(finished, tmp_path / "run")
    (out / "config.toml").write_text(as_toml(config(lr=0.5)))
    with pytest.raises(InputError, match=r"has others \(is .*config.toml missing"):
        run(config(lr=0.5), out, resume=True)


def test_a_finished_run_is_not_handed_out_for_another_chip(finished, tmp_path):
    out = _copy(finished, tmp_path / "run")
    other = build_map(config().map, seed=7, noise_std=0.1)
    with pytest.raises(InputError, match="map must be the one the run began with"):
        run(config(), out, resume=True, chip=other)


def test_the_run_names_its_chip(tmp_path):
    one, two = (build_map(config().map, seed=seed, noise_std=0.1) for seed in (7, 8))
    settings = config(nb_epochs=1, n_train=60, n_test=20)
    first = run(settings, tmp_path / "7", chip=one)
    second = run(settings, tmp_path / "8", chip=two)
    assert (first.attrs["map_seed"], second.attrs["map_seed"]) == (7, 8)
    assert first.attrs["map_fingerprint"] != second.attrs["map_fingerprint"]


def test_lost_results_are_written_again(finished, tmp_path):
    out = _copy(finished, tmp_path / "run")
    before = (out / "results.csv").read_text()
    (out / "results.csv").unlink()
    run(config(), out, resume=True)
    assert (out / "results.csv").read_text() == before


def test_a_folder_of_something_else_is_refused_and_untouched(tmp_path):
    (tmp_path / "notes").write_text("mine")
    (tmp_path / ".draft.partial").write_text("mine too")
    with pytest.raises(InputError, match=r"has no config.toml \(it holds notes\)"):
        run(config(), tmp_path, resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".draft.partial",
        "notes",
    ]


def test_a_refused_run_does_not_block_the_corrected_one(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(InputError, match="n_out must be"):
        run(config(n_out=19), out)
    assert run(config(nb_epochs=1), out).sizes["epoch"] == 1


def test_a_damaged_result_is_scored_again_from_the_checkpoints(finished, tmp_path):
    out = _copy(finished, tmp_path / "run")
    (out / "run.zarr" / "zarr.json").write_text("{")
    with pytest.raises(InputError, match="move it away and resume to score again"):
        run(config(), out, resume=True)
    (out / "run.zarr").rename(tmp_path / "aside")
    xr.testing.assert_identical(run(config(), out, resume=True), finished[1])
