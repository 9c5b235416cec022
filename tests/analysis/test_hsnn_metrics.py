import numpy as np
import pytest
from hsnn_sweeps import mock

from denram.analysis import schema
from denram.analysis.hsnn_grids import DENRAM, HSNN, SWEEPS, hardware_grid
from denram.analysis.hsnn_metrics import (
    boost_map,
    hardware_summary,
    layer_rows,
    point_summary,
    rows_of,
    spectra,
    time_constants,
    weights_of,
)
from denram.analysis.hsnn_published import hsnn_published, published_layers
from denram.analysis.hsnn_sweep import hsnn_grid
from denram.errors import InputError

NAN = float("nan")


def random_sweep(name, *, data="SHD", **options):
    """A sweep of which no two draws are alike."""
    grid = hsnn_grid(SWEEPS[name], **options)
    rng = np.random.default_rng(3)
    return grid, mock(grid, lambda _: rng.uniform(0.2, 0.9, 2), data=data)


def summary_of(name, sweep):
    return point_summary(sweep, SWEEPS[name], hsnn_published(name))


def test_points_hold_numpys_quantiles_over_seeds_of_the_mean_over_draws():
    _, sweep = random_sweep("hsnn_fig_2c")
    sweep["status"].loc[{"n_layers": 4, "n_hid": 64, "seed": 2}] = schema.FAILED
    summary = summary_of("hsnn_fig_2c", sweep)
    at = {"n_layers": 4, "n_hid": 64, "delta_tau": 0.15}
    seeds = sweep["test_accuracy"].sel(at).values.mean(axis=1)
    seeds = np.delete(seeds, 2)
    point = summary.sel(at)
    assert int(point["n"]) == 5
    assert float(point["mean"]) == pytest.approx(seeds.mean())
    expected = np.quantile(seeds, [0.15, 0.5, 0.85])
    found = [float(point[name]) for name in ("q15", "median", "q85")]
    assert found == pytest.approx(expected)


def test_what_is_not_done_is_left_out_and_numbers_rise():
    grid, sweep = random_sweep("hsnn_fig_2b", data="MTS-XOR", seeds=[4, 1])
    sweep["status"][:] = schema.MISSING
    for delta in (0.4, -0.2):
        sweep["status"].loc[{"n_layers": 4, "delta_tau": delta}] = schema.DONE
    sweep = sweep.isel(delta_tau=slice(None, None, -1))
    summary = summary_of("hsnn_fig_2b", sweep)
    assert summary["delta_tau"].values.tolist() == [-0.2, 0.4]
    assert summary["n_layers"].values.tolist() == [4]
    assert summary["reference"].isnull().all()
    rows = rows_of(summary, weights_of(grid))
    assert [(row["delta_tau"], row["n"]) for row in rows] == [(-0.2, 2), (0.4, 2)]
    # 40 x 10, 10 x 10 twice, 10 x 2
    assert {row["weights"] for row in rows} == {620}


def test_curve_and_reference_are_of_one_statistic():
    # a failed seed moves the mean, not the median
    accuracy = {0.0: [0.9, 0.91, 0.2], 0.1: [0.93, 0.94, 0.95]}
    grid = hsnn_grid(
        SWEEPS["hsnn_fig_2b"],
        seeds=[0, 1, 2],
        values={"delta_tau": [0.0, 0.1], "n_layers": [4]},
    )
    sweep = mock(grid, lambda at: accuracy[at["delta_tau"]][at["seed"]], data="MTS-XOR")
    summary = summary_of("hsnn_fig_2b", sweep)
    np.testing.assert_allclose(summary["reference"], 0.9)
    # published medians, read off the plot: 92.8 and 92.7
    difference = summary["difference"].sel(n_layers=4)
    np.testing.assert_allclose(difference, [0.90 - 0.928, 0.94 - 0.927])
    # of the convergence runs 3, none is of 3 hidden layers
    assert summary["also_published"].isnull().all()


def test_single_published_runs_are_taken_by_the_curves_statistic():
    grid, sweep = random_sweep("hsnn_fig_2b", data="MTS-XOR")
    summary = summary_of("hsnn_fig_2b", sweep)
    other = summary["also_published"].sel(n_layers=3)
    expected = {0.0: np.median([89.0, 89.9, 91.1, 88.0, 86.9])}
    expected[0.4] = np.median([94.8, 92.2, 93.3, 94.4, 82.6])
    for delta, value in zip(other["delta_tau"].values, 100 * other.values, strict=True):
        assert value == pytest.approx(expected.get(delta, NAN), nan_ok=True)
    del grid


@pytest.mark.parametrize(
    ("name", "data", "comparable"),
    [
        ("hsnn_fig_s2c", "SHD", True),
        ("hsnn_fig_s2c", "shd-regen", False),
        ("hsnn_fig_s2c", "SHD, shd-regen", False),
        ("hsnn_fig_s4a", "SHD", False),  # invalid
        ("hsnn_fig_5b", "MNIST", False),  # none published
    ],
)
def test_a_difference_is_given_on_the_same_valid_data_only(name, data, comparable):
    _, sweep = random_sweep(name, data=data)
    summary = summary_of(name, sweep)
    assert summary.attrs["comparable"] is comparable
    if "difference" in summary:
        assert bool(summary["difference"].notnull().all()) is comparable
        assert summary["published"].notnull().any()


def test_what_was_not_published_is_nan():
    _, sweep = random_sweep("hsnn_fig_2c")
    summary = summary_of("hsnn_fig_2c", sweep)
    assert summary["published"].sel(n_hid=64).isnull().all()
    at = summary.sel(n_hid=128, n_layers=6, delta_tau=0.15)
    assert float(at["published"]) == pytest.approx(0.8828)
    assert float(at["published_sd"]) == pytest.approx(0.0080)


@pytest.mark.parametrize("name", ["hsnn_shd_max", "hsnn_ssc_max", "hsnn_fig_s6"])
def test_points_of_words_and_truths_find_their_published_value(name):
    _, sweep = random_sweep(name, controls=True, data=SWEEPS[name].data_name)
    text = {
        str(dim): np.array([str(x) for x in sweep[dim].values], np.dtypes.StringDType())
        for dim in sweep["status"].dims
        if sweep[dim].dtype.kind not in "biuf"
    }
    rows = rows_of(summary_of(name, sweep.assign_coords(text)))
    found = [100 * row["published"] for row in rows]
    expected = {
        "hsnn_shd_max": [94.67, 94.12],
        "hsnn_ssc_max": [78.18, 79.20],
        "hsnn_fig_s6": [NAN, NAN, np.mean([85.64, 84.03, 86.28, 85.40, 86.97]), NAN],
    }
    assert found == pytest.approx(expected[name], nan_ok=True)


def test_a_gain_is_a_median_minus_the_references_median():
    grid, sweep = random_sweep("hsnn_fig_s2e")
    medians = np.median(sweep["test_accuracy"].values.mean(axis=2), axis=1)
    by_shape = dict(zip(grid.axes[0].labels, medians, strict=True))
    gain = boost_map(sweep, SWEEPS["hsnn_fig_s2e"], hsnn_published("hsnn_fig_s2e"))
    for coef in (0.1, 0.25, 0.5, 1.0):
        for centre in (0.0, 0.25, 0.5, 0.75, 1.0):
            at = gain.sel(tanh_coef=coef, tanh_center=centre)
            own = by_shape[f"{coef:g}/{centre:g}"] - by_shape["one time constant"]
            assert float(at["boost"]) == pytest.approx(own)
    at = gain.sel(tanh_coef=0.5, tanh_center=0.5)
    assert float(at["difference"]) == pytest.approx(float(at["boost"]) - 0.041)
    assert len(rows_of(gain)) == 20


def test_without_its_reference_a_gain_is_unknown():
    _, sweep = random_sweep("hsnn_fig_s2e", controls=False)
    gain = boost_map(sweep, SWEEPS["hsnn_fig_s2e"])
    assert gain["boost"].isnull().all()
    assert gain["median"].notnull().all()


def test_time_constants_are_pooled_over_seeds_by_layer():
    name = "hsnn_fig_3_mts"
    grid = hsnn_grid(SWEEPS[name], seeds=[0, 1])
    rng = np.random.default_rng(5)
    values = {seed: rng.lognormal(-2, 0.5, (3, 40)) for seed in (0, 1)}
    for held in values.values():
        held[2, 30:] = NAN  # a layer of fewer neurons
    layers = {schema.TIME_CONSTANT: lambda at: values[at["seed"]]}
    sweep = mock(grid, lambda _: 0.9, data="MTS-XOR", layers=layers)
    found = time_constants(sweep, published_layers(name))
    for layer in range(3):
        pooled = np.concatenate([values[seed][layer] for seed in (0, 1)])
        pooled = pooled[np.isfinite(pooled)]
        at = found.isel(hidden_layer=layer)
        own = [float(at[key]) for key in ("low", "median", "high")]
        assert own == pytest.approx(np.quantile(pooled, [0.35, 0.5, 0.85]))
        counts, _ = np.histogram(pooled, found["edge"].values)
        np.testing.assert_allclose(at["share"], counts / pooled.size)
        assert counts.sum() == pooled.size
    assert found["published"].values.tolist() == [0.047, 0.045, 0.102]
    rows = layer_rows(found)
    assert [row["hidden_layer"] for row in rows] == [1, 2, 3]
    assert rows[1]["published"] == 0.045


def test_equal_time_constants_are_one_bin():
    grid = hsnn_grid(SWEEPS["hsnn_fig_3_mts"], seeds=[0])
    layers = {schema.TIME_CONSTANT: lambda _: np.full((2, 4), 0.2)}
    found = time_constants(mock(grid, lambda _: 0.9, layers=layers))
    assert found["share"].max("bin").values.tolist() == [1.0, 1.0]


def test_spectra_are_means_and_quartiles_of_the_seeds_that_are_done():
    grid = hsnn_grid(SWEEPS["hsnn_fig_s6_mts"], seeds=[0, 1, 2, 3])
    rng = np.random.default_rng(6)
    held = {}

    def sorted_moduli(at):
        values = -np.sort(-rng.random((3, 10)), axis=1)
        return held.setdefault((at["initial_weights"], at["seed"]), values)

    layers = {schema.EIGENVALUE: sorted_moduli}
    sweep = mock(grid, lambda _: 0.7, data="MTS-XOR", layers=layers)
    sweep["status"].loc[{"seed": 3}] = schema.MISSING
    found = spectra(sweep)
    of_three = np.stack([held["equal", seed] for seed in (0, 1, 2)])
    at = found.sel(initial_weights="equal")
    np.testing.assert_allclose(at["mean"], of_three.mean(axis=0))
    np.testing.assert_allclose(at["low"], np.quantile(of_three, 0.25, axis=0))
    np.testing.assert_allclose(at["high"], np.quantile(of_three, 0.75, axis=0))
    assert found.attrs["n_seeds"] == 3
    row = layer_rows(found)[4]
    assert (row["initial_weights"], row["hidden_layer"]) == ("equal", 2)
    assert row["mean"] == pytest.approx(of_three[:, 1, 0].mean())


@pytest.mark.parametrize("of", [time_constants, spectra])
def test_a_store_without_layers_is_refused(of):
    grid = hsnn_grid(SWEEPS["hsnn_fig_3"], seeds=[0])
    with pytest.raises(InputError, match="store must hold"):
        of(mock(grid, lambda _: 0.9))


def test_families_stand_side_by_side_with_what_each_error_costs():
    hsnn = mock(
        hardware_grid(HSNN, seeds=[0, 1]),
        lambda at: 0.9 - 0.1 * (at["effect"] != "no error") + 0.02 * at["seed"],
    )
    denram = mock(hardware_grid(DENRAM, seeds=[0, 1]), lambda _: 0.8)
    summary = hardware_summary({HSNN: hsnn, DENRAM: denram})
    rows = rows_of(summary)
    assert len(rows) == 3 * 8
    costs = {(r["network"], r["effect"]): r["change"] for r in rows}
    one = "hSNN, one time constant"
    assert costs[one, "no error"] == 0
    assert costs[one, "weight noise 0.2"] == pytest.approx(-0.1)
    assert costs["DenRAM, delays", "time constants 0.4"] == pytest.approx(0)
    assert rows[0]["mean"] == pytest.approx(0.91)
    alone = hardware_summary({DENRAM: denram})
    assert alone["network"].values.tolist() == ["DenRAM, delays"]
