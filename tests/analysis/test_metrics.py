import itertools
import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from tiny import config

from denram.analysis import fig4d_published, fig4d_summary, schema, summary_rows
from denram.analysis.metrics import dataset_names, matrix_rows, noise_matrix
from denram.train import run

RNG = np.random.default_rng(3)
LEVELS = (0.0, 0.05, 0.1, 0.15, 0.2)


def _varied() -> xr.Dataset:
    """A sweep of which no two values are alike; the diagonal is drawn as in a run."""
    sweep = schema.mock(n_seeds=3, n_draws=4)
    for name in (schema.TEST, schema.TEST_AT):
        sweep[name].values[:] = RNG.uniform(0.2, 0.9, sweep[name].shape)
    for i in range(len(LEVELS)):
        sweep[schema.TEST_AT][:, i, :, i] = sweep[schema.TEST][:, i]
    return sweep


def _listed(sweep: xr.Dataset, first: tuple[str, ...]) -> xr.Dataset:
    """The same sweep as a store gives it that lists its arrays in another order."""
    names = [*first, *(name for name in sweep.variables if name not in first)]
    return xr.Dataset({name: sweep[name] for name in names}, attrs=sweep.attrs)


@pytest.mark.parametrize(
    "first", list(itertools.permutations((schema.NETWORK, schema.NOISE, schema.SEED)))
)
def test_rows_do_not_depend_on_the_order_in_which_a_store_lists_its_arrays(first):
    sweep = schema.mock()
    # by hand: networks outermost, noise levels rising
    expected = [(n, x) for n in ("D2", "D1") for x in LEVELS]
    listed = _listed(sweep, first)
    rows = summary_rows(fig4d_summary(listed))
    assert [(row["network"], row["noise_std"]) for row in rows] == expected
    columns = ["network", "noise_std", "mean", "sd", "draw_sd", "n_seeds", "ci95"]
    assert list(rows[0]) == columns
    matrix = noise_matrix(listed)
    assert matrix is not None
    rows = matrix_rows(matrix)
    expected = [(n, x, y) for n in ("D2", "D1") for x in LEVELS for y in LEVELS]
    names = ["network", "noise_std", "scored_noise_std"]
    assert [tuple(row[name] for name in names) for row in rows] == expected
    assert list(rows[0]) == [*names, "mean", "sd", "n_seeds"]


def test_published_means_are_those_of_the_papers_figure():
    published = fig4d_published()
    mean, sd = 100 * published.mean("seed"), 100 * published.std("seed", ddof=1)
    # specification, "expected results": mean and sd over seeds
    expected = {
        "D2": [[86.66, 86.01, 82.05, 77.34, 71.87], [0.76, 0.34, 0.59, 0.30, 0.87]],
        "D1": [[90.11, 89.73, 87.20, 83.10, 78.42], [0.45, 1.14, 0.50, 1.01, 1.12]],
    }
    for name, (means, sds) in expected.items():
        np.testing.assert_allclose(mean.sel(network=name), means, atol=0.006)
        np.testing.assert_allclose(sd.sel(network=name), sds, atol=0.006)


def test_summary_counts_only_finished_cells_and_each_seed_once():
    data = schema.mock(n_seeds=3, n_draws=2)
    data["test_accuracy"].loc[{"network": "D1", "noise_std": 0.0}] = [
        [0.9, 0.7],
        [0.6, 0.6],
        [0.1, 0.1],
    ]
    data["status"].loc[{"network": "D1", "noise_std": 0.0, "seed": 9}] = schema.FAILED
    line = fig4d_summary(data, fig4d_published()).sel(network="D1", noise_std=0.0)
    assert int(line["n_seeds"]) == 2
    assert float(line["mean"]) == pytest.approx(0.7)
    assert float(line["sd"]) == pytest.approx(np.std([0.8, 0.6], ddof=1))
    assert float(line["draw_sd"]) == pytest.approx(np.std([0.9, 0.7], ddof=1) / 2)
    assert float(line["difference"]) == pytest.approx(0.7 - 0.9010667, abs=1e-6)


def test_intervals_are_those_of_scipy():
    sweep, published = _varied(), fig4d_published()
    summary = fig4d_summary(sweep, published)
    for name, level in itertools.product(("D1", "D2"), LEVELS):
        at = {"network": name, "noise_std": level}
        ours = sweep["test_accuracy"].sel(at).values.mean(axis=1)
        theirs = published.sel(at).values
        line = summary.sel(at)
        for sample, mean, ci95 in (
            (ours, "mean", "ci95"),
            (theirs, "published_mean", "published_ci95"),
        ):
            low, high = stats.t.interval(
                0.95, sample.size - 1, sample.mean(), stats.sem(sample)
            )
            assert float(line[mean] - line[ci95]) == pytest.approx(low)
            assert float(line[mean] + line[ci95]) == pytest.approx(high)
        interval = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
        centre, half = float(line["difference"]), float(line["difference_ci95"])
        assert (centre - half, centre + half) == pytest.approx(interval)


def test_one_seed_has_no_interval():
    summary = fig4d_summary(schema.mock(n_seeds=1, n_draws=1), fig4d_published())
    for name in ("sd", "ci95", "draw_sd", "difference_ci95"):
        assert summary[name].isnull().all()
    np.testing.assert_allclose(summary["mean"], 0.8)
    assert summary["difference"].notnull().all()
    assert summary["published_ci95"].notnull().all()


def test_a_sweep_with_nothing_done_gives_nan_and_names_no_data():
    sweep = schema.mock()
    sweep["status"][:] = schema.MISSING
    summary = fig4d_summary(sweep, fig4d_published())
    assert summary["mean"].isnull().all()
    assert (summary["n_seeds"] == 0).all()
    assert summary.attrs["dataset"] == ""


def test_what_was_not_published_is_nan_and_noise_levels_rise():
    sweep = schema.mock().isel(noise_std=[4, 0, 2])
    sweep = sweep.assign_coords(noise_std=[0.2, 0.0, 0.1 + 1e-12])
    unknown = sweep.isel(network=[0]).assign_coords(network=["D3"])
    sweep = xr.concat([sweep, unknown], "network")
    more = sweep.isel(noise_std=[0]).assign_coords(noise_std=[0.07])
    sweep = xr.concat([sweep, more], "noise_std")
    summary = fig4d_summary(sweep, fig4d_published())
    np.testing.assert_allclose(summary["noise_std"], [0.0, 0.07, 0.1, 0.2])
    expected = [90.11, math.nan, 87.20, 78.42]  # the paper's D1
    found = 100 * summary["published_mean"].sel(network="D1")
    np.testing.assert_allclose(found, expected, atol=0.006)
    for name in ("published_mean", "difference", "difference_ci95"):
        assert summary[name].sel(network="D3").isnull().all()
    np.testing.assert_allclose(summary["mean"], 0.8)


def test_the_text_of_a_store_is_text_in_the_table():
    sweep = schema.mock()
    text = np.array(["D2", "D1"], np.dtypes.StringDType())
    sweep = sweep.assign_coords(network=text, n_in=("network", [256, 700]))
    rows = summary_rows(fig4d_summary(sweep, fig4d_published()))
    assert [type(row["network"]) for row in rows] == [str] * 10
    assert "n_in" not in rows[0]
    assert all(math.isfinite(float(row["published_mean"])) for row in rows)


def test_matrix_holds_means_over_draws_then_seeds_of_finished_cells():
    sweep = _varied()
    sweep["status"][1, 2, 0] = schema.MISSING
    matrix = noise_matrix(sweep)
    assert matrix is not None
    for i, j, k in np.ndindex(2, 5, 5):
        seeds = [
            sum(sweep[schema.TEST_AT].values[i, j, s, k]) / 4
            for s in range(3)
            if (i, j, s) != (1, 2, 0)
        ]
        cell = matrix.isel(network=i, noise_std=j, scored_noise_std=k)
        assert int(cell["n_seeds"]) == len(seeds)
        assert float(cell["mean"]) == pytest.approx(np.mean(seeds))
        assert float(cell["sd"]) == pytest.approx(np.std(seeds, ddof=1))


def test_the_matrix_diagonal_is_the_summary_whatever_the_order_of_levels():
    sweep = _varied().isel(noise_std=[3, 0, 4, 1, 2], scored_noise_std=[2, 4, 1, 0, 3])
    matrix, summary = noise_matrix(sweep), fig4d_summary(sweep)
    assert matrix is not None
    for k, level in enumerate(LEVELS):
        assert float(matrix["scored_noise_std"][k]) == level
        for name in ("mean", "sd"):
            np.testing.assert_array_equal(matrix[name][:, k, k], summary[name][:, k])
    off = matrix["mean"].sel(noise_std=0.0, scored_noise_std=0.1)
    assert not np.allclose(off, summary["mean"].sel(noise_std=0.0))


def test_a_run_scored_at_its_own_level_scores_as_in_its_test(tmp_path):
    levels = (0.0, 0.5, 1.0)
    settings = config(noise_std=0.5, test_noise_levels=levels, nb_epochs=1)
    result = run(settings, tmp_path / "run")
    at = result["test_accuracy_at"]
    own = at.sel(test_noise_std=0.5).values
    np.testing.assert_array_equal(own, result["test_accuracy"].values)
    clean = result.attrs["test_accuracy_without_noise"]
    np.testing.assert_array_equal(at.sel(test_noise_std=0.0), np.full(3, clean))


def test_a_sweep_without_further_levels_has_no_matrix():
    assert noise_matrix(schema.mock().drop_vars(schema.TEST_AT)) is None


def test_data_are_named_by_the_cells_that_are_done():
    sweep = schema.mock()
    sweep["dataset_name"][0, 0, 0] = "SHD"
    sweep["dataset_name"][1, 0, 0] = "never"
    sweep["status"][1, 0, 0] = schema.FAILED
    assert dataset_names(sweep) == "SHD, mock"
    assert fig4d_summary(sweep).attrs["dataset"] == "SHD, mock"
