import csv
import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from commands import call, refused
from scipy import stats

from denram.analysis import schema
from denram.analysis.compare import compare_datasets, compare_paths
from denram.analysis.grid import Axis, Grid
from denram.analysis.metrics import holm, wilson
from denram.analysis.study import Layout, Variable
from denram.analysis.sweep_store import Head, SweepStore, create
from denram.cli.compare import compare
from denram.errors import InputError
from denram.train.run_store import save_run

LEVELS = [0.0, 0.1, 0.2]


def _sweep(seed: int, shift: float = 0.0, seeds=(1, 2, 3)) -> xr.Dataset:
    """A sweep (noise_std, seed) in memory; B's shift grows with the noise."""
    rng = np.random.default_rng(seed)
    shape = (3, len(seeds))
    mean = rng.normal(0.7, 0.02, (*shape, 1)) + shift * np.arange(3)[:, None, None]
    draws = np.concatenate([mean - 0.01, mean + 0.01], axis=-1)
    return xr.Dataset(
        {
            "test_accuracy": (("noise_std", "seed", "draw"), draws),
            "status": (("noise_std", "seed"), np.full(shape, schema.DONE, np.int8)),
        },
        {"noise_std": LEVELS, "seed": list(seeds)},
    )


def _per_seed(sweep: xr.Dataset, level: float) -> np.ndarray:
    return sweep["test_accuracy"].sel(noise_std=level).values.mean(axis=-1)


def _check(row, test):
    low, high = test.confidence_interval()
    assert row["p"] == pytest.approx(test.pvalue)
    assert row["difference"] - row["ci95"] == pytest.approx(low)
    assert row["difference"] + row["ci95"] == pytest.approx(high)


def test_the_same_seeds_are_tested_in_pairs_as_scipy_does():
    a, b = _sweep(0), _sweep(1, 0.02)
    # in another order, which must not matter
    found = compare_datasets(a, b.isel(seed=[2, 0, 1], noise_std=[1, 2, 0]))
    assert found.table["paired"].all()
    for row in found.rows():
        one, other = (_per_seed(x, row["noise_std"]) for x in (a, b))
        assert row["a"] == pytest.approx(one.mean())
        assert row["b"] == pytest.approx(other.mean())
        _check(row, stats.ttest_rel(other, one))
    assert [row["noise_std"] for row in found.rows()] == LEVELS


def test_other_seeds_are_tested_by_their_means_as_scipy_does():
    a, b = _sweep(0), _sweep(1, 0.02, seeds=(3, 4, 5, 6))
    b["status"].loc[{"noise_std": 0.1, "seed": 4}] = schema.FAILED
    found = compare_datasets(a, b)
    assert not found.table["paired"].any()
    assert found.table["n_b"].values.tolist() == [4, 3, 4]
    for row in found.rows():
        one, other = (_per_seed(x, row["noise_std"]) for x in (a, b))
        other = other[b["status"].sel(noise_std=row["noise_std"]).values == schema.DONE]
        _check(row, stats.ttest_ind(other, one, equal_var=False))


def test_a_seed_that_is_missing_on_one_side_ends_the_pairing_of_its_point_alone():
    a, b = _sweep(0), _sweep(1)
    b["status"][0, 0] = schema.MISSING
    found = compare_datasets(a, b)
    assert found.table["paired"].values.tolist() == [False, True, True]
    assert "paired t at 2 of 3 points" in found.verdict[1]


def test_holm_multiplies_by_the_tests_left_and_never_falls():
    # by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, then 0.04 raised to the one before
    found = holm(np.array([0.01, 0.04, math.nan, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, math.nan, 0.06, 0.02])
    assert holm(np.array([])).size == 0


def test_holm_rejects_what_the_step_down_rule_rejects():
    rng = np.random.default_rng(2)
    for _ in range(200):
        p = rng.uniform(0, 0.1, 6) ** 2
        rejected = set()
        for step, i in enumerate(sorted(range(6), key=lambda k: p[k])):
            if p[i] > 0.05 / (6 - step):
                break
            rejected.add(i)
        assert set(np.flatnonzero(holm(p) <= 0.05)) == rejected


@pytest.mark.parametrize(("k", "n"), [(0, 20), (7, 20), (20, 20), (1961, 2264)])
def test_wilsons_interval_is_scipys(k, n):
    low, high = wilson(xr.DataArray(k / n), n)
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert (float(low), float(high)) == pytest.approx(tuple(expected), abs=1e-12)


def _spread(means) -> xr.Dataset:
    """Three seeds at each level whose values are mean - 0.01, mean, mean + 0.01."""
    sweep = _sweep(0)
    values = np.array(means)[:, None] + np.array([-0.01, 0.0, 0.01])
    sweep["test_accuracy"].values[:] = values[:, :, None]
    return sweep


def test_the_verdict_counts_points_by_direction():
    a = _spread([0.5, 0.5, 0.5])
    b = _spread([0.8, 0.2, 0.501])
    # the seeds move against one another, so that differences vary by 0.02
    b["test_accuracy"].values[:] = b["test_accuracy"].values[:, ::-1]
    found = compare_datasets(a, b)
    assert found.verdict[0] == (
        "B is better than A at 1 of 3 points (Holm-corrected p < 0.05), worse at 1;"
        " elsewhere no difference was shown."
    )
    a, b = (x.rename(test_accuracy="wasted_share") for x in (a, b))
    found = compare_datasets(a, b, "wasted_share")
    assert found.verdict[0].startswith("B is higher than A at 1 of 3 points")


def test_one_seed_allows_no_statement_about_significance():
    a, b = (_sweep(x, seeds=(1,)) for x in (0, 1))
    found = compare_datasets(a, b)
    assert len(found.verdict) == 1
    assert (
        "No statement about significance is possible: a side has one seed"
        in (found.verdict[0])
    )
    assert all(math.isnan(row["p"]) and math.isnan(row["ci95"]) for row in found.rows())


def test_values_that_never_vary_are_not_tested():
    a, b = (schema.mock(accuracy=x) for x in (0.8, 0.7))
    found = compare_datasets(a, b)
    assert found.verdict == [
        "At 10 of 10 points no value varies over seed, so that there is no test."
    ]


def test_seeds_and_chips_together_are_the_replicates():
    a, b = (_sweep(x, seeds=(1, 2, 3, 4)) for x in (0, 1))
    crossed = []
    for side in (a, b):
        chips = [side.isel(seed=s).assign_coords(seed=[1, 2]) for s in ([0, 1], [2, 3])]
        crossed.append(xr.concat(chips, xr.Variable("chip_seed", [7, 8])))
    found = compare_datasets(*crossed)
    assert found.table["n_a"].values.tolist() == [4, 4, 4]
    for row in found.rows():
        one, other = (_per_seed(x, row["noise_std"]) for x in (a, b))
        _check(row, stats.ttest_rel(other, one))
    assert "Every combination of seed and chip_seed" in found.verdict[-1]


def test_only_points_of_both_that_are_done_on_both_sides_count():
    a = _sweep(0)
    b = _sweep(1).assign_coords(noise_std=[0.1, 0.2, 0.3])
    a["status"].loc[{"noise_std": 0.2}] = schema.MISSING
    found = compare_datasets(a, b)
    assert [row["noise_std"] for row in found.rows()] == [0.1]
    assert "Points not done on both sides: 1." in found.verdict
    a["status"][:] = schema.MISSING
    with pytest.raises(InputError, match="a point that is done on both sides"):
        compare_datasets(a, b)
    with pytest.raises(InputError, match=r"got noise_std 0\.0, .* in A and 5, 6, 7"):
        compare_datasets(a, b.assign_coords(noise_std=[5, 6, 7]))


def test_sweeps_of_other_axes_are_refused():
    other = _sweep(1).rename(noise_std="lr")
    with pytest.raises(InputError, match="must have the same axes but for seed"):
        compare_datasets(_sweep(0), other)


def test_an_unknown_variable_is_refused_with_those_that_are_there():
    with pytest.raises(InputError, match=r"one of .*valid_accuracy, got 'dataset'"):
        compare_datasets(schema.mock(), schema.mock(), "dataset")


def _store(folder: Path, values, lr: float = 0.1, labels=("D2", "D1")) -> Path:
    """A sweep on disk, one value per (network, seed)."""
    n_in = {"D2": 256, "D1": 700, "D3": 64}
    networks = Axis.zipped(
        {"n_in": [n_in[x] for x in labels]}, name="network", labels=list(labels)
    )
    grid = Grid("tiny", (networks, Axis.of("seed", [5, 6])), {"lr": lr})
    path = folder / "sweep.zarr"
    folder.mkdir()
    layout = Layout({"test_accuracy": Variable(("draw",), (1,))})
    create(path, Head(grid, (grid.shape,), {"numpy": "1"}), layout)
    store = SweepStore(path)
    for cell, value in zip(grid.cells(), itertools.chain(*values), strict=True):
        store.write(cell, {"test_accuracy": [value]}, {})
    return folder


def test_stores_are_compared_with_their_settings_and_labels(tmp_path):
    a = _store(tmp_path / "a", [[0.5, 0.6], [0.7, 0.8]])
    b = _store(tmp_path / "b", [[0.4, 0.6], [0.1, 0.1]], 0.2, ("D1", "D3"))
    found = compare_paths(a, b / "sweep.zarr")
    assert found.changes == [
        "lr: 0.1 -> 0.2",
        "network only in A: D2",
        "network only in B: D3",
    ]
    (row,) = found.rows()
    assert (row["network"], row["n_a"]) == ("D1", 2)
    assert row["difference"] == pytest.approx((0.4 - 0.7 + 0.6 - 0.8) / 2)
    assert row["p"] == pytest.approx(stats.ttest_rel([0.4, 0.6], [0.7, 0.8]).pvalue)
    # t = -5 with one degree of freedom: p = 2 atan(1 / 5) / pi
    assert found.verdict[0] == "No difference between A and B was shown (p = 0.126)."


def test_the_command_prints_and_writes_the_same_table(tmp_path):
    a = _store(tmp_path / "a", [[0.5, 0.6], [0.7, 0.8]])
    b = _store(tmp_path / "b", [[0.4, 0.6], [0.1, 0.1]], 0.2)
    code, out, err = call(compare, str(a), str(b), "--csv", str(tmp_path / "t.csv"))
    assert (code, err) == (0, "")
    assert "lr: 0.1 -> 0.2" in out
    with (tmp_path / "t.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["network"] for row in rows] == ["D2", "D1"]
    assert [float(row["difference"]) for row in rows] == pytest.approx([-0.05, -0.65])
    assert "-65.00" in out
    assert "paired t at 2 of 2 points" in out


def test_a_sweep_is_identical_to_itself(tmp_path):
    a = _store(tmp_path / "a", [[0.5, 0.6], [0.7, 0.8]])
    code, out, _ = call(compare, str(a), str(a))
    assert code == 0
    assert "settings and versions are the same" in out
    assert out.endswith("of A and B are identical, and so are their settings.\n")


def _run(folder: Path, accuracies, *, seed: int = 1, n_test: int = 50) -> Path:
    config = {"seed": seed, "data": {"data_dir": str(folder), "n_in": 12}}
    run = xr.Dataset(
        {"test_accuracy": ("draw", np.array(accuracies))},
        {"draw": np.arange(len(accuracies))},
        {
            "config": json.dumps(config),
            "versions": json.dumps({"numpy": "1"}),
            "dataset": "made up",
            "n_test": n_test,
        },
    )
    save_run(run, folder / "run.zarr")
    return folder


def test_two_trainings_are_compared_over_their_noise_draws(tmp_path):
    one, other = [0.5, 0.52, 0.56], [0.6, 0.64, 0.62]
    a, b = _run(tmp_path / "a", one), _run(tmp_path / "b", other, seed=2, n_test=100)
    found = compare_paths(a, b / "run.zarr")
    assert found.changes == ["seed: 1 -> 2"]
    (row,) = found.rows()
    assert not row["paired"]
    _check(row, stats.ttest_ind(other, one, equal_var=False))
    for name, draws, n in (("a", one, 50), ("b", other, 100)):
        share, z = np.mean(draws), 1.959964
        centre = (share + z**2 / 2 / n) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + (z / 2 / n) ** 2)
        interval = (row[f"{name}_low"], row[f"{name}_high"])
        assert interval == pytest.approx((centre - half, centre + half), abs=1e-6)
    assert found.verdict[0].startswith(
        "By Welch's t over noise draws: B is better than A (p = 0.0"
    )
    assert any("says nothing about other seeds" in line for line in found.verdict)
    assert "50 and 100 test samples" in found.verdict[-1]
    code, out, _ = call(compare, str(a), str(b))
    assert code == 0
    assert "A, samples" in out


def test_one_noise_draw_allows_no_statement(tmp_path):
    a, b = _run(tmp_path / "a", [0.5]), _run(tmp_path / "b", [0.7])
    found = compare_paths(a, b)
    assert found.verdict[0] == (
        "No statement about significance is possible from one noise draw."
    )
    assert found.changes == []


def test_a_copy_of_a_run_elsewhere_is_identical(tmp_path):
    a, b = (_run(tmp_path / name, [0.5, 0.6]) for name in "ab")
    assert compare_paths(a, b).verdict == [
        "The results of A and B are identical, and so are their settings."
    ]


def test_bad_input_is_one_line_and_writes_nothing(tmp_path):
    run = str(_run(tmp_path / "run", [0.5, 0.6]))
    sweep = str(_store(tmp_path / "sweep", [[0.5, 0.6], [0.7, 0.8]]))
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "zarr.json").write_text("{")
    table = tmp_path / "table.csv"
    for arguments, message in (
        ((run, sweep), "A and B must be of one kind, got a run"),
        ((run, str(tmp_path)), "B must be a sweep or a finished run, got"),
        ((str(broken), run), "cannot be read"),
        ((sweep, sweep, "--variable", "colour"), "variable must be one of test_acc"),
        ((sweep, sweep, "--csv", str(broken)), "--csv must be a file"),
        ((sweep, sweep, "--csv", "../up"), "--csv must not climb"),
    ):
        extra = () if "--csv" in arguments else ("--csv", str(table))
        assert message in refused(compare, *arguments, *extra)
        assert not table.exists()
