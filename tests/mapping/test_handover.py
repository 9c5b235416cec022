import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from denram.errors import InputError
from denram.mapping import MapConfig, build_map, save_map
from denram.mapping.array_data import array_dataset
from denram.mapping.convention import read_convention
from denram.mapping.delay_band import delay_band
from denram.mapping.handover import SafeRange, Trained, hand_over, write_targets
from denram.mapping.measured import read_measured
from denram.mapping.measured_weights import measured_weights, save_weights
from denram.mapping.placement import Crossbar
from denram.mapping.rebuild import rebuild
from denram.mapping.store import open_map
from denram.mapping.weight_scale import weight_scale

G_MIN, G_MAX = 1e-5, 1e-4


def chip_of(**settings):
    values = {"n_in": 5, "n_out": 3, "n_delays": 2, "max_delay": 60, "r_mu": 150e9}
    return build_map(MapConfig(**{**values, **settings}), seed=3, noise_std=0.1)


def with_mask(chip, seed=0, share=0.7):
    mask = np.random.default_rng(seed).random(chip.mask.shape) < share
    mask[0, 0, 0] = True
    return replace(chip, mask=mask)


def trained(chip, *, weight_max=None, positive=False, levels=0, tolerance=0.1):
    random = np.random.default_rng(1)
    weights = random.normal(size=chip.mask.shape) * 0.2
    bias = random.normal(size=chip.mask.shape[0]) * 0.2
    if positive:
        weights, bias = np.abs(weights), np.abs(bias)
    if weight_max is not None:
        low = weight_max * G_MIN / G_MAX if positive else 0
        high = weight_max - (0 if positive else weight_max * G_MIN / G_MAX)
        weights = np.clip(weights, low if positive else -high, high)
        bias = np.clip(bias, low if positive else -high, high)
    weights = np.where(chip.mask, weights, 0.0)
    scale = weight_scale(
        weights,
        bias,
        g_min_siemens=G_MIN,
        g_max_siemens=G_MAX,
        weight_max=weight_max,
        positive=positive,
        levels=levels,
    )
    return Trained(weights, bias, scale, tolerance, "print")


def written(found, folder, *, change=lambda table: table, unit="ohm"):
    """A measured table made of the targets, and the path of it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_targets(found, folder)
    table = pd.read_csv(folder / "targets.csv")
    table[f"measured_{unit}"] = table[f"target_{unit}"]
    path = folder / "measured.csv"
    change(table).to_csv(path, index=False)
    return path


def assert_same_map(one, other):
    for name in ("delay_steps", "resistance_ohm", "delay_s", "mask"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize("unit", ["ohm", "siemens"])
@pytest.mark.parametrize(
    "settings", [{}, {"capacitor_sigma": 0.1}, {"sampler": "jax-legacy"}]
)
def test_measured_as_targeted_gives_the_same_map(tmp_path, unit, settings):
    chip = with_mask(chip_of(**settings))
    path = written(hand_over(chip, Crossbar(4, 3)), tmp_path, unit=unit)
    found = rebuild(chip, read_measured(path, unit=unit), provenance="a file")
    assert_same_map(found.chip, chip)
    assert found.chip.versions["measured"] == "a file"
    row = found.report["delay"]
    assert (row.devices, row.missing, row.outside) == (chip.mask.sum(), 0, 0)
    assert (found.weights, found.bias) == (None, None)
    save_map(found.chip, tmp_path / "map.zarr")
    assert_same_map(open_map(tmp_path / "map.zarr"), chip)


@budget(max_examples=25)
@given(
    st.tuples(*[st.integers(1, 6)] * 3),
    st.tuples(st.integers(1, 5), st.integers(2, 7), st.none() | st.integers(1, 4)),
    st.tuples(st.booleans(), st.sampled_from([None, 0.25]), st.sampled_from([0, 2, 5])),
    st.integers(0, 9),
)
def test_weights_and_map_come_back_for_any_shape_and_limit(
    tmp_path_factory, shape, limits, device, seed
):
    positive, weight_max, levels = device
    post, pre, tap = shape
    chip = with_mask(chip_of(n_in=pre, n_out=post, n_delays=tap), seed)
    levels = levels if weight_max else 0
    run = trained(chip, positive=positive, weight_max=weight_max, levels=levels)
    found = hand_over(chip, Crossbar(*limits), trained=run)
    n = int(chip.mask.sum())
    weights = {"weight_plus": n + post} | (
        {} if positive else {"weight_minus": n + post}
    )
    assert found.counts == {"delay": n, **weights}
    assert np.sum(found.tiles["devices"].to_numpy()) == len(found.table)
    # no two devices in one cell; what a column sums is within the fan-in
    places = found.table[["array", "row", "column"]].to_numpy()
    assert np.unique(places, axis=0).shape == places.shape
    on_column = np.unique(places[:, ::2], axis=0, return_counts=True)[1]
    assert on_column.max() <= (limits[2] or limits[0])
    folder = tmp_path_factory.mktemp("targets")
    path = written(found, folder)
    convention = read_convention(folder / "targets.json", chip)
    back = rebuild(chip, read_measured(path, unit="ohm"), convention=convention)
    assert_same_map(back.chip, chip)
    assert back.weights is not None
    assert back.bias is not None
    expected, bias = run.weights, run.bias
    if levels:  # the nearest level, by hand
        low = run.scale.lowest if positive else -run.scale.span
        step = run.scale.span / (levels - 1)
        expected, bias = (
            low + step * np.rint((w - low) / step) for w in (expected, bias)
        )
        # a tie may go either way
        tie = np.abs((run.weights - low) / step % 1 - 0.5) < 1e-6
        expected = np.where(chip.mask & ~tie, expected, back.weights)
    assert np.allclose(back.weights, expected, rtol=1e-12, atol=1e-12)
    assert np.allclose(back.bias, bias, rtol=1e-12, atol=1e-12)
    save_weights(back, folder)
    assert np.array_equal(measured_weights(folder)[0], back.weights)
    assert np.array_equal(measured_weights(folder)[1], back.bias)


@pytest.mark.parametrize("n", [0, 1, 3])
@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_the_band_is_what_rounds_to_so_many_steps(n, sigma):
    chip = chip_of(n_in=400, capacitor_sigma=sigma, r_std=0.9)
    low, high = delay_band(chip, n)
    factor = chip.delay_s / chip.resistance_ohm

    def beside(ohm):
        steps = np.minimum(np.rint(ohm * factor / chip.timestep_s), chip.max_delay)
        return np.abs(steps - chip.delay_steps)

    assert (low <= chip.resistance_ohm).all()
    assert (chip.resistance_ohm <= high).all()
    open_above = np.isinf(high)
    assert np.array_equal(open_above, chip.delay_steps + n >= chip.max_delay)
    assert np.array_equal(low == 0, chip.delay_steps - n <= 0)
    assert (beside(np.maximum(low, 1e-3)) <= n).all()
    assert (beside(np.where(open_above, 1e15, high)) <= n).all()
    # a billionth beyond the band it is one step more
    assert (beside(low * (1 - 1e-9))[low > 0] == n + 1).all()
    assert (beside(high * (1 + 1e-9))[~open_above] == n + 1).all()


def test_order_is_delays_first_then_by_place():
    chip = with_mask(chip_of())
    table = hand_over(chip, Crossbar(2, 4), trained=trained(chip)).table
    kind = (table["role"] != "delay").to_numpy()
    keys = list(zip(kind, table["array"], table["row"], table["column"], strict=True))
    assert keys == sorted(keys)
    assert np.array_equal(table["order"], np.arange(len(table)))


def test_targets_follow_the_published_law_and_the_weights_theirs():
    chip = chip_of()
    run = trained(chip, weight_max=0.3)
    table = hand_over(chip, Crossbar(8, 8), trained=run, tolerance_steps=1).table
    delays = table[table["role"] == "delay"]
    assert np.allclose(delays["delay_s"], 1e-12 * delays["target_ohm"], rtol=1e-12)
    assert np.allclose(table["target_siemens"] * table["target_ohm"], 1, rtol=1e-12)
    pairs = table[table["pre"] < 5].pivot_table(
        index=["post", "pre", "tap"], columns="role", values="target_siemens"
    )
    difference = (pairs["weight_plus"] - pairs["weight_minus"]).to_numpy()
    # the training's own scale: weight_max at the largest conductance
    expected = run.weights.ravel() * G_MAX / 0.3
    assert np.allclose(difference, expected, rtol=1e-9, atol=1e-18)
    own = table[table["role"] == "weight_plus"]
    siemens, margin = own["target_siemens"], 0.1 * (G_MAX - G_MIN)
    assert np.allclose(1 / own["tolerance_low_ohm"], siemens + margin, rtol=1e-12)
    assert np.allclose(
        1 / own["tolerance_high_ohm"], np.maximum(siemens - margin, 0), atol=1e-15
    )


def test_perturbed_devices_move_the_map_by_the_rc_law_and_are_counted(tmp_path):
    chip = chip_of(n_in=50)
    random = np.random.default_rng(5)
    factor = np.exp(0.05 * random.normal(size=chip.mask.sum()))

    def change(table):
        table["measured_ohm"] *= factor
        return table.sample(frac=1.0, random_state=1)  # a lab's own order

    found = hand_over(chip, Crossbar(16, 16), tolerance_steps=1)
    path = written(found, tmp_path, change=change)
    back = rebuild(chip, read_measured(path, unit="ohm"))
    ohm = np.empty(chip.mask.shape)
    table = found.table
    ohm[table["post"], table["pre"], table["tap"]] = table["target_ohm"] * factor
    assert np.array_equal(back.chip.resistance_ohm, ohm)
    steps = np.minimum(np.rint(1e-12 * ohm / 0.005), 60).astype(np.int32)
    assert np.array_equal(back.chip.delay_steps, steps)
    moved = np.abs(steps - chip.delay_steps)
    row = back.report["delay"]
    assert row.changed_steps == (moved > 0).sum()
    assert row.outside == (moved > 1).sum() > 0


def test_missing_devices_are_refused_or_masked(tmp_path):
    chip = chip_of()
    run = trained(chip)
    found = hand_over(chip, Crossbar(8, 8), trained=run)

    def change(table):
        lost = table["role"].eq("weight_minus") & table["post"].eq(2)
        lost &= table["pre"].eq(1) & table["tap"].eq(0)
        unread = table["role"].eq("delay") & table["post"].eq(0)
        unread &= table["pre"].eq(4) & table["tap"].eq(1)
        table.loc[unread, "measured_ohm"] = np.nan
        return table[~lost]

    table = read_measured(written(found, tmp_path, change=change), unit="ohm")
    convention = read_convention(tmp_path / "targets.json", chip)
    with pytest.raises(
        InputError, match=r"1 of 30 delay, 1 of 33 weight_minus devices"
    ):
        rebuild(chip, table, convention=convention)
    back = rebuild(chip, table, convention=convention, allow_missing=True)
    mask = np.ones(chip.mask.shape, bool)
    mask[2, 1, 0] = mask[0, 4, 1] = False
    assert np.array_equal(back.chip.mask, mask)
    assert np.array_equal(back.weights == 0, ~mask)
    assert np.isnan(back.siemens["weight_minus"][2, 1, 0])


def _doubled(table):
    return pd.concat([table, table.iloc[[3]]])


def _set(name, value, row=1):
    def change(table):
        table[name] = table[name].astype(object)
        table.loc[row, name] = value
        return table

    return change


def _swapped(table):
    table.loc[[0, 1], "column"] = table.loc[[1, 0], "column"].to_numpy()
    return table


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_doubled, "must be named once, got 1 doubled, the first delay at post"),
        (_set("post", 3), "devices of the map, got 1 others of 30"),
        (_set("pre", 5), "devices of the map, got 1 others of 30"),
        (_set("tap", -1), "tap must be a whole number >= 0, got -1 in line 3"),
        (_set("tap", 0.5), "tap must be a whole number >= 0, got 0.5 in line 3"),
        (_set("measured_ohm", 0), "measured_ohm must be finite and > 0, got 0 in"),
        (_set("measured_ohm", -2), "must be finite and > 0, got -2 in line 3 (1 of 30"),
        (_set("measured_ohm", "inf"), "must be finite and > 0, got inf"),
        (_set("measured_ohm", "open"), "must be a number, got 'open' in line 3"),
        (_set("measured_ohm", 2e-12), "must be in ohm throughout: 1 of 30 delay"),
        (_set("role", "dely"), "role must be one of delay, weight_plus"),
        (_swapped, "stand where they were exported to, got 2 of 30 elsewhere"),
        (lambda t: t.iloc[:0], "must hold at least one device, got none"),
        (lambda t: t.drop(columns="pre"), "the columns of targets.csv, not ['pre']"),
        (lambda t: t.drop(columns="measured_ohm"), "have the column measured_ohm, got"),
        (lambda t: t.assign(measured_siemens=1.0), "must have one measured column"),
        (lambda t: pd.concat([t, t["pre"]], axis=1), "must name each column once"),
        (lambda t: t.iloc[:7], "but 23 of 30 delay devices have none"),
    ],
)
def test_a_bad_table_is_one_clear_line(tmp_path, change, told):
    chip = chip_of()
    path = written(hand_over(chip, Crossbar(8, 8)), tmp_path, change=change)
    convention = read_convention(tmp_path / "targets.json", chip)
    with pytest.raises(InputError) as error:
        rebuild(chip, read_measured(path, unit="ohm"), convention=convention)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_need_their_convention_and_conventions_their_map(tmp_path):
    chip = chip_of()
    path = written(hand_over(chip, Crossbar(8, 8), trained=trained(chip)), tmp_path)
    table = read_measured(path, unit="ohm")
    with pytest.raises(InputError, match="weight devices need the"):
        rebuild(chip, table)
    other = build_map(MapConfig(n_in=5, n_out=3, n_delays=2), seed=4, noise_std=0.1)
    with pytest.raises(InputError, match="must belong to this map"):
        read_convention(tmp_path / "targets.json", other)
    (tmp_path / "targets.json").write_text('{"format": 3}')
    with pytest.raises(InputError, match="cannot be used"):
        read_convention(tmp_path / "targets.json", chip)
    with pytest.raises(InputError, match="must hold measured weights"):
        measured_weights(tmp_path)
    (tmp_path / "weights.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match="cannot be read"):
        measured_weights(tmp_path)


def test_what_lies_outside_the_safe_range_is_refused_or_clipped_and_counted():
    chip = chip_of(n_in=40)
    low, high = 100e9, 200e9
    outside = (chip.resistance_ohm < low) | (chip.resistance_ohm > high)
    below = int((chip.resistance_ohm < low).sum())
    with pytest.raises(InputError, match=f"got {below} delay devices below and"):
        hand_over(chip, Crossbar(8, 8), safe=SafeRange(low, high))
    safe = SafeRange(low, high, clip=True)
    found = hand_over(chip, Crossbar(8, 8), safe=safe)
    table = found.table
    assert found.n_clipped == outside.sum() > 0
    assert table["target_ohm"].between(low, high).all()
    assert np.allclose(table["delay_s"], 1e-12 * table["target_ohm"], rtol=1e-12)
    steps = np.minimum(np.rint(table["delay_s"] / 0.005), 60)
    assert np.array_equal(table["delay_steps"], steps)
    assert np.array_equal(table["target_siemens"], 1 / table["target_ohm"])
    run = trained(chip)
    with pytest.raises(InputError, match=r"got 0 weight devices below and \d+ above"):
        hand_over(
            chip, Crossbar(8, 8), trained=run, safe=SafeRange(weight_r_max_ohm=5e4)
        )
    with pytest.raises(InputError, match="r_min must be <= r_max"):
        hand_over(chip, Crossbar(8, 8), safe=SafeRange(2.0, 1.0))


def test_the_json_says_the_same_as_the_csv(tmp_path):
    chip = with_mask(chip_of())
    found = hand_over(chip, Crossbar(2, 4, 1), trained=trained(chip))
    write_targets(found, tmp_path)
    document = json.loads((tmp_path / "targets.json").read_text())
    table = pd.read_csv(tmp_path / "targets.csv")
    assert document["counts"] == found.counts
    start = 0
    for tile in document["tiles"]:
        rows = table.iloc[start : start + tile["devices"]]
        start += tile["devices"]
        assert (rows["array"] == tile["array"]).all()
        assert tile["utilisation"] == len(rows) / 8
        for name, values in tile["columns"].items():
            told = [math.nan if v is None else v for v in values]
            text = rows[name].dtype == object or rows[name].dtype == "str"
            same = (
                told == rows[name].tolist()
                if text
                else np.array_equal(told, rows[name], equal_nan=True)
            )
            assert same, name
    assert start == len(table)


def test_the_figures_data_are_the_targets():
    chip = chip_of()
    found = hand_over(chip, Crossbar(3, 4), trained=trained(chip))
    data = array_dataset(found)
    ohm = data["delay_ohm"].values
    for row, column in np.ndindex(3, 4):
        post, tap = divmod(column, 2)
        assert ohm[row, column] == chip.resistance_ohm[post, row, tap]
    # 5 inputs on 3 rows; 6 synapses on 4 columns, or on 2 pairs
    assert np.allclose(
        data["utilisation"].sel(kind="delay").values[:, :2] * 12, [[12, 6], [8, 4]]
    )
    # the biases' line: one device pair per neuron
    assert np.allclose(
        data["utilisation"].sel(kind="weight").values * 12, [[12, 12, 12], [10, 10, 10]]
    )
