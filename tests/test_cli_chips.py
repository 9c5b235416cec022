"""`denram-train --chips`, and `denram-analyze yield`, `drift` and `coprogram`."""

import csv

import numpy as np
import pytest
import xarray as xr
from commands import call, refused
from scipy.stats import binomtest
from tiny import SETTINGS

from denram.analysis import open_sweep
from denram.analysis.chip_metrics import chip_accuracies, coprogrammed, yields
from denram.cli.analyze import command as analyze
from denram.cli.train import command as train

TINY = [
    part
    for key, value in {**SETTINGS, "nb_epochs": 1}.items()
    for part in ("--set", f"{key}={value}")
    if key != "nb_epochs"
]


def rows_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_chips_are_trained_each_in_its_folder_and_listed(tmp_path) -> None:
    out = tmp_path / "series"
    arguments = (*TINY, "--nb_epochs", "1", "--chips", "2", "--out", str(out))
    code, text, _ = call(train, *arguments)
    assert code == 0
    assert "2 chips, each trained for" in text
    one, other = (
        xr.open_zarr(out / f"chip-{i}" / "map.zarr", consolidated=False)["delay_steps"]
        for i in (0, 1)
    )
    assert (one != other).any()
    code, again, _ = call(train, *arguments, "--resume")
    assert code == 0  # a finished series is only listed
    assert again.split("Chips")[1] == text.split("Chips")[1]


def test_yield_counts_chips_with_wilsons_interval(tmp_path) -> None:
    out = tmp_path / "yield"
    code, _, err = call(
        analyze,
        *("yield", *TINY, "--nb_epochs", "1", "--chips", "3", "--values", "0,0.5"),
        *("--spec", "1,99", "--out", str(out)),
    )
    assert code == 0, err
    assert (out / "yield.png").stat().st_size > 10_000
    sweep = open_sweep(out)
    assert dict(sweep["status"].sizes) == {
        "weight_programming_sigma": 2,
        "chip_seed": 3,
    }
    accuracy = chip_accuracies(sweep)
    for row in rows_of(out / "yield.csv"):
        at = accuracy.sel(
            weight_programming_sigma=float(row["weight_programming_sigma"])
        )
        passed = int((at.values >= float(row["spec"]) / 100).sum())
        interval = binomtest(passed, 3).proportion_ci(method="wilson")
        assert float(row["yield"]) == pytest.approx(100 * passed / 3)
        assert float(row["low"]) == pytest.approx(100 * interval.low)
        assert float(row["high"]) == pytest.approx(100 * interval.high)
    # drawn again without computing
    code, _, _ = call(analyze, "yield", "--store", str(out), "--spec", "50")
    assert code == 0
    assert {row["spec"] for row in rows_of(out / "yield.csv")} == {"50.0"}


def test_a_transfer_moves_one_chips_weights_to_others(tmp_path) -> None:
    out = tmp_path / "moved"
    code, _, err = call(
        analyze,
        *("yield", *TINY, "--nb_epochs", "1", "--chips", "2", "--transfer"),
        *("--against", "delay_stuck", "--values", "0,0.1", "--out", str(out)),
    )
    assert code == 0, err
    assert chip_accuracies(open_sweep(out)).dims == ("delay_stuck_hrs", "chip")


def test_drift_writes_accuracy_over_time_by_compensation(tmp_path) -> None:
    out = tmp_path / "drift"
    code, _, err = call(
        analyze,
        *("drift", *TINY, "--nb_epochs", "1", "--chips", "2", "--times", "1,1e6"),
        *("--set", "delay_drift_nu=0.05", "--out", str(out)),
    )
    assert code == 0, err
    rows = rows_of(out / "drift.csv")
    assert [float(row["time_s"]) for row in rows] == [0.0, 1.0, 1e6]
    assert float(rows[2]["delay_growth"]) == pytest.approx((1 + 1e6) ** 0.05, rel=1e-6)
    sweep = open_sweep(out)
    at = sweep["test_accuracy_at_time"].sel(test_time_s=1e6, compensation="none")
    assert float(rows[2]["none"]) == pytest.approx(100 * float(at.mean()))


def test_coprogramming_compares_targets_with_outcomes(tmp_path) -> None:
    out = tmp_path / "co"
    code, _, err = call(
        analyze,
        *("coprogram", *TINY, "--nb_epochs", "1", "--chips", "2", "--values", "0.5"),
        *("--out", str(out)),
    )
    assert code == 0, err
    rows = rows_of(out / "coprogram.csv")
    assert [float(r["delay_programming_sigma"]) for r in rows] == [0.0, 0.5]
    # without an error both are the same training
    assert rows[0]["on_targets"] == rows[0]["on_outcomes"]


def test_recovery_is_the_share_of_what_was_lost() -> None:
    accuracy = np.array([[[0.9], [0.9]], [[0.5], [0.8]], [[0.899], [0.9]]])
    key = "delay_programming_sigma"
    dims = (key, "train_on_targets", "chip_seed")
    coords = {key: [0.0, 0.2, 0.01], "train_on_targets": [True, False]}
    sweep = xr.Dataset(
        {
            "test_accuracy": ((*dims, "draw"), accuracy[..., None]),
            "status": (dims, np.ones(accuracy.shape, np.int8)),
        },
        coords,
    )
    found = coprogrammed(sweep)["recovered"].values
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(0.3 / 0.4)


def test_yields_leave_out_chips_that_are_not_done() -> None:
    accuracy = xr.DataArray(
        [[0.9, np.nan, 0.7], [np.nan] * 3], dims=("x", "chip"), coords={"x": [0, 1]}
    )
    found = yields(accuracy, [0.8])
    assert found["n"].values[:, 0].tolist() == [2, 0]
    assert found["yield_"].values[0, 0] == 0.5
    assert np.isnan(found["yield_"].values[1, 0])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("yield", "--spec", "0"), "--spec must be"),
        (("yield", "--values", "1,1"), "--values must not name a value twice"),
        (("yield", "--set", "chip_seed=1"), "chip_seed is an axis"),
        (("drift",), "drift needs devices that drift"),
        (("drift", "--times", "-1"), "--times must be"),
        (("drift", "--set", "time_s=5", "--set", "delay_drift_nu=1"), "time_s is an"),
        (("coprogram", "--set", "train_on_targets=true"), "is an axis"),
        (("yield", "--store", "/nowhere"), "/nowhere"),
    ],
)
def test_bad_input_is_one_line(arguments, named, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert named in refused(analyze, *arguments)
    assert not list(tmp_path.iterdir())


def test_a_measured_chip_is_needed_to_evaluate(tmp_path) -> None:
    assert "--evaluate needs --map" in refused(train, *TINY, "--evaluate")


def test_a_folder_without_the_data_is_refused_before_anything_runs(tmp_path) -> None:
    arguments = ("fig4d", "--dataset", "shd", "--data_dir", str(tmp_path / "none"))
    assert "data_dir must hold" in refused(
        analyze, *arguments, "--out", str(tmp_path / "sweep")
    )
    assert not (tmp_path / "sweep").exists()
