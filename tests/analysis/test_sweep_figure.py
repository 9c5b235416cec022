from typing import Any, cast

import numpy as np
import pytest
from matplotlib.axes import Axes

from denram.analysis import Axis, Grid, schema
from denram.analysis.sweep_figure import sweep_figure, sweep_table

GRID = Grid(
    "fig4d",
    (
        Axis.of("network", ["D2", "D1"]),
        Axis.of("noise_std", [0.2, 0.0, 0.05, 0.1, 0.15]),
        Axis.of("seed", [42, 50, 9]),
    ),
)


@pytest.fixture
def data():
    """A sweep whose accuracies are all different; one cell is missing."""
    found = schema.mock().drop_vars(["noise_std", "test_accuracy_at"])
    found = found.assign_coords(noise_std=list(GRID.axes[1].labels))
    values = np.random.default_rng(0).random(found["test_accuracy"].shape)
    found["test_accuracy"] = found["test_accuracy"].dims, values
    found["status"][0, 0, 0] = schema.MISSING
    return found


def test_the_table_holds_means_and_sds_over_seeds_of_what_is_done(data):
    table = sweep_table(data, GRID).set_index(["network", "noise_std"])
    per_seed = data["test_accuracy"].values.mean(axis=-1)
    assert len(table) == 10
    row = table.loc[("D1", 0.05)]
    assert row["test_accuracy"] == pytest.approx(per_seed[1, 2].mean())
    assert row["test_accuracy_sd"] == pytest.approx(np.std(per_seed[1, 2], ddof=1))
    short = table.loc[("D2", 0.2)]
    assert short["test_accuracy"] == pytest.approx(per_seed[0, 0, 1:].mean())
    assert short["n_cells"] == 2


def test_the_figure_draws_each_line_in_the_order_of_x(data):
    axes = sweep_figure(data, GRID).axes[0]
    assert isinstance(axes, Axes)
    per_seed = data["test_accuracy"].values.mean(axis=-1)
    order = [1, 2, 3, 4, 0]
    drawn = [np.asarray(line.get_ydata()) for line in axes.lines]
    expected = [per_seed[1, i].mean() for i in order]
    assert any(y.size == 5 and np.allclose(y, expected) for y in drawn)
    assert axes.get_legend_handles_labels()[1] == ["network=D2", "network=D1"]
    assert axes.get_xlabel() == "noise_std"


def test_a_sweep_of_nothing_but_seeds_has_a_row_per_seed(data):
    one = data.isel(network=0, noise_std=0, drop=True)
    grid = Grid("g", (GRID.axes[2],))
    table = sweep_table(one, grid)
    assert list(table["seed"]) == [50, 9]
    counts = sweep_table(one, grid)["n_cells"].tolist()
    assert [type(n) for n in counts] == [int, int]
    assert counts == [1, 1]


def shown(text):
    """What matplotlib draws of a text, and whether it takes it for a formula."""
    found, is_math = cast(Any, text)._preprocess_math(text.get_text())
    return found, bool(is_math)


@pytest.mark.parametrize("network", ["a$b{$", "$", "$x$ and $y$", r"\$ 5 $_"])
def test_no_label_is_taken_for_a_formula(data, network, tmp_path):
    other = "plain"
    axes = (Axis.of("network", [network, other]), *GRID.axes[1:])
    data = data.assign_coords(network=[network, other])
    figure = sweep_figure(data, Grid("g", axes))
    figure.savefig(tmp_path / "lines.png")
    legend = figure.axes[0].get_legend()
    assert legend is not None
    assert shown(legend.get_texts()[0]) == (f"network={network}", False)
    across = data.isel(noise_std=0, drop=True)
    figure = sweep_figure(across, Grid("g", (axes[0], axes[2])))
    figure.savefig(tmp_path / "ticks.png")
    ticks = figure.axes[0].get_xticklabels()
    assert (network, False) in map(shown, ticks)
