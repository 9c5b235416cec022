import datetime
import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denram.analysis.grid import Axis, Grid, spelt, united
from denram.analysis.grid_file import grid_of, load_grid, spec_of_flags
from denram.cli._cells import selected
from denram.errors import InputError


def grid(*axes, **settings):
    return Grid("g", axes, settings)


TODAY = datetime.date(2026, 1, 2)
# texts that could be taken for something else where they are spelt
ODD = st.text(st.sampled_from([*'abc1,="\\ \n\t[]é$']), max_size=8)


def labelled(*labels, name="x"):
    return Axis.zipped({"r_std": [0.1, 0.2]}, name=name, labels=labels)


def test_cells_are_every_combination_with_the_last_axis_fastest():
    made = grid(Axis.of("r_std", [0.2, 0.4]), Axis.of("seed", [1, 2, 3]), n_in=8)
    found = [tuple(sorted(made.flags(c).items())) for c in made.cells()]
    expected = [
        (("n_in", 8), ("r_std", r), ("seed", s))
        for r, s in itertools.product([0.2, 0.4], [1, 2, 3])
    ]
    assert found == expected


def test_zipped_keys_move_together_under_one_name():
    axis = Axis.zipped(
        {"n_in": [256, 700], "tau_mem": [0.015, 0.02]},
        name="network",
        labels=["D2", "D1"],
    )
    made = grid(axis)
    assert made.flags((1,)) == {"n_in": 700, "tau_mem": 0.02}
    assert made.label((0,)) == "network=D2"


def test_flags_make_settings_axes_and_one_zipped_axis():
    spec = spec_of_flags(
        ["nb_epochs=5", "r_std=0.2,0.4", "lr_epochs=[1, 2],[3, 4]", "split=speaker"],
        ["n_in=8,16", "cap=1e-12,2e-12"],
        seeds=[1, 2],
        chips=3,
    )
    made = grid_of(spec)
    assert made.dims == ("n_in", "r_std", "lr_epochs", "chip_seed", "seed")
    assert made.settings == {"nb_epochs": 5, "split": "speaker"}
    assert made.axes[0].keys == {"n_in": (8, 16), "cap": (1e-12, 2e-12)}
    assert made.axes[2].labels == ([1, 2], [3, 4])
    assert made.axes[3].labels == (0, 1, 2)


def test_a_file_and_flags_are_laid_over_one_another(tmp_path):
    file = tmp_path / "grid.toml"
    file.write_text(
        'name = "mine"\nseeds = [4]\n[settings]\nn_in = 8\nr_std = 0.1\n'
        '[axes]\ntau_mem = [0.01, 0.02]\n[[zip]]\nname = "x"\nlabels = ["a"]\ncap = [1]'
    )
    made = load_grid(file, spec_of_flags(["r_std=0.2,0.3", "tau_mem=0.05"], []))
    assert made.name == "mine"
    assert made.dims == ("x", "r_std", "seed")
    assert made.settings == {"n_in": 8, "tau_mem": 0.05}


def test_whole_numbers_among_real_ones_become_real():
    assert Axis.of("noise_std", [0, 0.1]).labels == (0.0, 0.1)
    assert Axis.of("seed", [0, 1]).labels == (0, 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Axis.of("r_std", []), "r_std must have at least one value"),
        (lambda: Axis.of("r_std", [0.1, 0.1]), "must not name a value twice: 0.1"),
        (
            lambda: Axis.of("r_std", [0.1, float("nan")]),
            "a value of r_std must be finite, got nan",
        ),
        (lambda: Axis.of("a", [2, True]), "a must not mix numbers with true or false"),
        (lambda: Axis.of("a", [1, "1"]), "a must not name a value twice: '1'"),
        (lambda: Axis.of("a", [[1, [2]], [1, [2]]]), "must not name a value twice"),
        (lambda: Axis.of("zarr.json", [1]), "must not be zarr.json"),
        (lambda: labelled(TODAY, 1), "a value of x must be a number, text"),
        (lambda: labelled(float("nan"), 1.0), "a value of x must be finite"),
        (lambda: labelled(2, True), "x must not mix numbers with true or false"),
        (lambda: labelled(2**63 - 1, 2**63), "a whole number of x must fit in 64"),
        (lambda: labelled(1, "1"), "x must not name a value twice: '1'"),
        (lambda: labelled({"a": 1}, {"a": 2}), "a value of x must be a number, text"),
        (labelled, "x must have at least one value, got none"),
        (lambda: labelled(1, 2, name="Zarr.json"), "must not be zarr.json"),
        (lambda: labelled(1, 2, name="__x"), "must not be zarr.json or start with"),
        (lambda: Axis.of("r std", [1]), "name of an axis must be 1 to 64"),
        (lambda: Axis.zipped({"a": [1, 2], "b": [1]}), "b must have as many values"),
        (lambda: Axis.zipped({}), "must have at least one key"),
        (grid, "must have 1 to 12 axes, got 0"),
        (lambda: grid(Axis.of("a", [1]), Axis.of("a", [2])), "one axis only"),
        (lambda: grid(Axis.of("a", [1]), a=2), "must not be set as well"),
        (
            lambda: grid(*(Axis.of(k, list(range(100))) for k in "abcd")),
            "at most 1000000 cells, got 100000000",
        ),
        (lambda: spec_of_flags(["a"], []), "--set must be KEY=VALUE"),
        (lambda: spec_of_flags(["a=1", "a=2"], []), "--set must name a once"),
        (lambda: spec_of_flags(["a="], []), "must not be empty"),
        (lambda: spec_of_flags([], ["a=1,2", "a=3,4"]), "--zip must name a once"),
        (lambda: grid_of(spec_of_flags([], [], chips=0)), "chips must be in"),
    ],
)
def test_a_grid_that_makes_no_sense_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 1", "unknown key 'colour'"),
        ("[axes]\nr_std = 0.2", "r_std must be a list of values, got 0.2"),
        ("seeds = 3", "seeds must be array"),
        ("study = 'dance'", "study must be one of the allowed names"),
        ("[[zip]]\nname = 3\nn_in = [1]", "name must be text, got 3"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path, text, message):
    file = tmp_path / "grid.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load_grid(file)


def test_select_takes_any_spelling_of_a_number():
    made = grid(Axis.of("r_mu", [1e11, 3e11]), Axis.of("seed", [1, 2]))
    for text in ("3e+11", "300000000000", "300e9", 3e11):
        assert list(made.select({"r_mu": text})) == [(1, 0), (1, 1)]
    with pytest.raises(
        InputError, match=r"r_mu must be one of 1e\+11, 3e\+11, got '5'"
    ):
        list(made.select({"r_mu": "5"}))
    with pytest.raises(InputError, match="axis must be one of r_mu, seed, got 'x'"):
        list(made.select({"x": "5"}))


@pytest.mark.parametrize("value", [0.1, 1e11, 1 / 3, 0.1 + 0.2, 5e-324, 2])
def test_a_spelt_number_keeps_its_value(value):
    assert float(spelt(value)) == value


def test_a_grid_comes_back_from_its_plain_form():
    made = grid(Axis.zipped({"a": [1, 2], "b": ["x", "y"]}), Axis.of("c", [0.5]), d=1)
    again = Grid.from_dict(made.as_dict())
    assert again == made
    assert again.fingerprint == made.fingerprint


def test_where_the_data_lie_makes_no_other_grid():
    here, there = grid(Axis.of("a", [1]), data_dir="x"), grid(Axis.of("a", [1]))
    assert here.fingerprint == there.fingerprint


def test_united_puts_new_labels_after_the_held_ones():
    held = grid(Axis.of("a", [1, 3]), Axis.of("b", [1]))
    asked = grid(Axis.of("a", [2, 3]), Axis.of("b", [1, 0]))
    both = united(held, asked)
    assert [axis.labels for axis in both.axes] == [(1, 3, 2), (1, 0)]


def test_united_refuses_another_meaning_of_a_label():
    held = grid(Axis.zipped({"a": [1]}, name="n", labels=["x"]))
    asked = grid(Axis.zipped({"a": [2]}, name="n", labels=["x"]))
    with pytest.raises(InputError, match="n=x must mean what it means in the store"):
        united(held, asked)


def test_united_names_what_differs():
    with pytest.raises(InputError, match="n_in: 1 -> 2"):
        united(grid(Axis.of("a", [1]), n_in=1), grid(Axis.of("a", [1]), n_in=2))


LABELS = st.one_of(ODD, st.lists(st.one_of(st.integers(-9, 9), ODD), max_size=3))


@given(st.lists(LABELS, min_size=1, max_size=4), st.data())
def test_only_takes_every_label_as_it_is_spelt(labels, data):
    try:
        made = grid(Axis.of("x", labels), Axis.of("y", [1.5, 2.0]))
    except InputError:  # two that are spelt alike
        return
    cell = data.draw(st.sampled_from(list(made.cells())))
    assert list(made.select(selected(made.label(cell)))) == [cell]


def test_a_value_of_many_lists_is_one_short_line():
    value = 1
    for _ in range(300):
        value = [value]
    with pytest.raises(InputError, match="r_std must be at most 8 lists deep") as told:
        Axis.of("r_std", [value, 2])
    assert len(str(told.value)) < 200


def test_a_grid_that_is_too_large_is_refused_at_once():
    values = ",".join(str(x / 100) for x in range(11))
    began = time.perf_counter()
    with pytest.raises(InputError, match="at most 1000000 cells, got 1100000"):
        grid_of(spec_of_flags([f"r_std={values}"], [], chips=100_000))
    long = Axis.of("seed", list(range(100_000)))
    both = united(grid(long), grid(Axis.of("seed", list(range(50_000, 150_000)))))
    assert both.shape == (150_000,)
    # quadratic in the labels, each would take half a minute
    assert time.perf_counter() - began < 5
