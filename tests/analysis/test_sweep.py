import json

import numpy as np
import pytest
import xarray as xr
import zarr
from tiny import SETTINGS

from denram.analysis import (
    fig4d_grid,
    fig4d_published,
    fig4d_summary,
    run_sweep,
    schema,
)
from denram.analysis.run_figures import fig4d_figure, training_figure
from denram.analysis.sweep import Grid, open_sweep
from denram.errors import InputError
from denram.train import open_run

GRID = Grid(
    name="tiny",
    networks={"a": {"n_in": 12}, "b": {"n_in": 8}},
    noise_std=(0.0, 0.3),
    seeds=(1,),
    settings={**{k: v for k, v in SETTINGS.items() if k != "n_in"}, "nb_epochs": 1},
)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    out = tmp_path_factory.mktemp("sweeps") / "tiny"
    seen = []
    dataset = run_sweep(GRID, out, on_cell=lambda *cell: seen.append(cell))
    return out, dataset, seen


def test_every_cell_is_done_and_holds_its_own_run(swept):
    out, dataset, _ = swept
    assert (dataset["status"] == 1).all()
    for network, noise_std, seed in GRID.cells():
        folder = out / "cells" / GRID.config(network, noise_std, seed).fingerprint[:16]
        run = open_run(folder / "run.zarr")
        cell = dataset.sel(network=network, noise_std=noise_std, seed=seed)
        np.testing.assert_array_equal(cell["test_accuracy"], run["test_accuracy"])
        assert float(cell["valid_accuracy"]) == run.attrs["best_valid_accuracy"]
        assert json.loads(run.attrs["config"])["noise"]["noise_std"] == noise_std


def test_a_finished_sweep_computes_nothing_again(swept):
    out, dataset, _ = swept
    seen = []
    again = run_sweep(GRID, out, on_cell=lambda *cell: seen.append(cell))
    assert seen == []
    xr.testing.assert_identical(again, dataset)


def test_a_cell_that_is_not_done_is_repeated_alone_with_the_same_result(swept):
    out, dataset, _ = swept
    for name, value in (("status", 0.0), ("test_accuracy", np.nan)):
        array = zarr.open_array(out / "sweep.zarr" / name, mode="r+")
        array[1, 0, 0] = value
    seen = []
    again = run_sweep(GRID, out, on_cell=lambda *cell: seen.append(cell[:3]))
    assert seen == [("b", 0.0, 1)] * 2
    xr.testing.assert_identical(again, dataset)


def test_no_chunk_holds_two_cells(swept):
    out, _, _ = swept
    for name in ("test_accuracy", "valid_accuracy", "status"):
        array = zarr.open_array(out / "sweep.zarr" / name, mode="r")
        assert array.chunks[:3] == (1, 1, 1)
        assert array.shards is None


def test_the_store_says_what_it_is(swept):
    _, dataset, _ = swept
    assert dataset.attrs["dataset"] == "synthetic spoken digits"
    assert dataset["noise_std"].attrs["units"] == "1"
    assert "seed" in dataset.attrs["protocol"]


def test_another_grid_in_the_same_folder_is_refused(swept):
    out, _, _ = swept
    other = Grid("tiny", GRID.networks, (0.5,), (1,), GRID.settings)
    with pytest.raises(InputError, match="must hold the same grid"):
        run_sweep(other, out, on_cell=lambda *_: None)


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(InputError, match="out must hold a sweep"):
        open_sweep(tmp_path)


def test_a_truncated_store_is_refused_in_one_line(tmp_path):
    dataset = schema.mock()
    path = tmp_path / "sweep.zarr"
    dataset.to_zarr(path, consolidated=False)
    meta = path / "zarr.json"
    meta.write_text(meta.read_text()[:50])
    with pytest.raises(InputError, match="cannot be read"):
        open_sweep(tmp_path)


def test_template_is_nan_until_done():
    empty = schema.template(["a"], [0.0, 0.1], [1, 2, 3], 5)
    assert empty["test_accuracy"].isnull().all()
    assert (empty["status"] == 0).all()
    assert empty["test_accuracy"].sizes == {
        "network": 1,
        "noise_std": 2,
        "seed": 3,
        "draw": 5,
    }


def test_the_papers_grid_is_thirty_runs():
    grid = fig4d_grid("shd")
    cells = list(grid.cells())
    assert len(cells) == 30
    config = grid.config("D2", 0.15, 9)
    assert (config.map.n_in, config.network.tau_mem) == (256, 15e-3)
    assert (config.noise.noise_std, config.seed) == (0.15, 9)
    assert config.data.dataset == "shd"


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
    data["status"].loc[{"network": "D1", "noise_std": 0.0, "seed": 9}] = 0
    line = fig4d_summary(data, fig4d_published()).sel(network="D1", noise_std=0.0)
    assert int(line["n_seeds"]) == 2
    assert float(line["mean"]) == pytest.approx(0.7)
    assert float(line["sd"]) == pytest.approx(np.std([0.8, 0.6], ddof=1))
    assert float(line["draw_sd"]) == pytest.approx(np.std([0.9, 0.7], ddof=1) / 2)
    assert float(line["difference"]) == pytest.approx(0.7 - 0.9010667, abs=1e-6)


def test_figure_shows_each_network_and_the_published_points():
    summary = fig4d_summary(schema.mock(), fig4d_published())
    axes = fig4d_figure(summary).axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert sorted(labels) == ["D1", "D1 published", "D2", "D2 published"]
    assert axes.get_ylim() == (20, 102)
    drawn = [np.asarray(line.get_ydata()) for line in axes.lines]
    heights = [y for y in drawn if y.size == 5]
    assert any(np.allclose(h, 80.0) for h in heights)


def test_figure_hides_no_point_below_the_papers_range():
    axes = fig4d_figure(fig4d_summary(schema.mock(accuracy=0.07))).axes[0]
    assert axes.get_ylim() == (0, 102)


def test_training_figure_shows_the_curves_of_the_run(swept):
    out, _, _ = swept
    folder = next((out / "cells").iterdir())
    run = open_run(folder / "run.zarr")
    loss, accuracy = training_figure(run).axes[:2]
    np.testing.assert_array_equal(_heights(loss, 0), run["train_loss"])
    np.testing.assert_allclose(_heights(accuracy, 1), 100 * run["valid_accuracy"])


def _heights(axes, line):
    return np.asarray(axes.lines[line].get_ydata())
