from dataclasses import replace

import numpy as np
import pytest
import scipy.stats as st

from denram.devices.fit_drift import DriftLaw, fit_drift, moments
from denram.devices.fit_halves import half_split, split, state_table
from denram.devices.fit_levels import fit_levels, foretell
from denram.devices.fit_readings import KNOWN, OPEN, Readings, Source
from denram.devices.fit_series import build_series, time_groups
from denram.devices.fit_tests import bootstrap
from denram.errors import InputError

TIMES = np.array([0.0, 0.1, 1.0, 10.0, 100.0, 1e4, 1e6])
TRUTH = DriftLaw(0.01, 0.008, 0.1, 0.4, 0.05)


def series_readings(law=TRUTH, n_cells=4000, seed=0, times=TIMES):
    """Cells that drift by the law, shuffled."""
    rng = np.random.default_rng(seed)
    nu = rng.normal(law.nu, law.nu_sigma, n_cells)[:, None]
    gain = rng.standard_normal(n_cells)[:, None]
    log_time = np.log(1 + times / law.start_s)
    decades = np.log10(1 + times / law.start_s)
    y = nu * log_time + law.sigma * gain * decades**law.power
    first = np.exp(rng.normal(11, 0.5, n_cells))[:, None]
    order = rng.permutation(n_cells * times.size)
    n = order.size
    return Readings(
        (first * np.exp(y)).ravel()[order],
        np.full(n, KNOWN, np.int8),
        np.repeat(np.arange(n_cells), times.size)[order],
        np.tile(times, n_cells)[order],
        None,
        Source("f", "", n, 0),
    )


def test_moments_of_the_law_are_its_formula():
    mean, sigma = TRUTH.moments(np.array([0.0, 3.0]))
    log_time = np.log(1 + 3 / 0.05)
    assert mean == pytest.approx([0, 0.01 * log_time])
    decades = log_time / np.log(10)
    variance = (0.008 * log_time) ** 2 + (0.1 * decades**0.4) ** 2
    assert sigma == pytest.approx([0, variance**0.5])


def test_the_series_is_every_cell_over_its_own_first_reading():
    readings = series_readings(n_cells=50)
    series = build_series(readings)
    for cell in (0, 17):
        rows = readings.address == cell
        assert readings.time_s is not None
        order = np.argsort(readings.time_s[rows])
        r = readings.resistance_ohm[rows][order]
        assert series.change[cell] == pytest.approx(np.log(r / r[0]))
    n, mean, sigma = moments(series)
    assert list(n) == [50] * TIMES.size
    assert mean == pytest.approx(series.change.mean(axis=0))
    assert sigma == pytest.approx(series.change.std(axis=0))


def test_a_drift_that_is_known_is_found_within_its_bootstrap_interval():
    series = build_series(series_readings())
    law = fit_drift(series)
    assert law is not None
    assert law.converged

    def again(cells):
        refitted = fit_drift(series.take(cells), start=law)
        return {} if refitted is None else refitted.parameters()

    rng = np.random.default_rng(1)
    found = bootstrap(series.n_cells, again, n_draws=100, rng=rng)
    for name, value in TRUTH.parameters().items():
        low, high = found[name]
        margin = 0.3 * (high - low)
        assert low - margin < value < high + margin


def test_the_bootstrap_of_a_mean_is_its_standard_error():
    x = np.random.default_rng(2).normal(3, 2, 400)
    rng = np.random.default_rng(3)
    draws = {"n_draws": 3000, "rng": rng}
    low, high = bootstrap(400, lambda i: {"m": float(x[i].mean())}, **draws)["m"]
    error = x.std() / 20
    expected = st.norm(x.mean(), error).ppf([0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(expected), abs=0.1 * error)


def test_times_that_belong_together_are_one():
    times = np.array([0, 0, 0.0100, 0.0112, 0.98, 1.02, 80, 97, 119, 1000.0])
    middle, group = time_groups(times)
    assert list(group) == [0, 0, 1, 1, 2, 2, 3, 3, 3, 4]
    assert middle == pytest.approx([0, 0.0106, 1.0, 97, 1000])


def test_an_unbroken_run_of_times_is_cut_into_octaves():
    times = np.geomspace(1, 100, 500)
    _, group = time_groups(times)
    for g in range(group.max() + 1):
        part = times[group == g]
        assert part.max() <= 2 * part.min()


def test_censored_changes_count_by_their_probability():
    readings = series_readings(n_cells=20_000, times=TIMES[:4])
    limit = float(np.quantile(readings.resistance_ohm, 0.97))
    beyond = readings.resistance_ohm >= limit
    cut = replace(
        readings,
        resistance_ohm=np.minimum(readings.resistance_ohm, limit),
        kind=np.where(beyond, OPEN, KNOWN).astype(np.int8),
    )
    _, mean, sigma = moments(build_series(cut))
    expected = TRUTH.moments(TIMES[:4])
    assert mean[1:] == pytest.approx(expected[0][1:], abs=0.004)
    assert sigma[1:] == pytest.approx(expected[1][1:], rel=0.04)


def test_cells_that_were_not_read_do_not_pass_for_a_drift():
    readings = series_readings(n_cells=20_000)
    whole = build_series(readings)
    assert readings.time_s is not None
    # high resistances relax three times as much, and at 10 s hardly others are read
    high = (whole.first_ohm > np.median(whole.first_ohm))[readings.address]
    r0 = whole.first_ohm[readings.address]
    more = r0 * (readings.resistance_ohm / r0) ** np.where(high, 3, 1)
    rng = np.random.default_rng(8)
    read = (readings.time_s != 10) | (rng.random(high.size) < np.where(high, 1, 0.1))
    uneven = replace(readings, resistance_ohm=more)
    _, mean, sigma = moments(build_series(uneven))
    n, found, spread = moments(build_series(uneven.take(read)))
    assert n[3] == pytest.approx(11_000, rel=0.02)
    assert found[3] == pytest.approx(mean[3], abs=0.01)
    assert spread[3] == pytest.approx(sigma[3], rel=0.02)


def test_few_times_give_no_drift_law():
    assert fit_drift(build_series(series_readings(times=TIMES[:3]))) is None


def test_series_that_are_none_are_refused():
    readings = series_readings(n_cells=40)
    with pytest.raises(InputError, match="--time must be given"):
        build_series(replace(readings, time_s=None))
    with pytest.raises(InputError, match="two times or more, got only 0 s"):
        build_series(readings.take(readings.time_s == 0))
    twice = np.concatenate([np.arange(readings.size), [0]])
    with pytest.raises(InputError, match="--address must occur once"):
        build_series(readings.take(twice))


def test_halves_are_foretold_as_well_as_they_agree_if_the_law_holds():
    series = build_series(series_readings(n_cells=6000))
    rows = half_split(series, seed=1, foretell_first=lambda half: half.first_ohm)
    assert [row.time_s for row in rows[1::2]] == list(TIMES[1:])
    for row in rows[1:]:
        # 1.63 sqrt(1/n + 1/m) is exceeded by one pair of equal samples in a hundred
        bound = 1.63 * (1 / row.n_first + 1 / row.n_second) ** 0.5
        assert row.floor < bound
        assert row.normal is not None
        assert row.normal < bound
        assert row.table is not None
        assert row.table < bound


def test_a_law_that_misses_is_seen():
    readings = series_readings(n_cells=3000)
    rng = np.random.default_rng(5)
    tails = np.exp(np.clip(0.2 * rng.standard_t(1.2, readings.size), -20, 20))
    tails[readings.time_s == 0] = 1
    heavy = replace(readings, resistance_ohm=readings.resistance_ohm * tails)
    row = half_split(build_series(heavy), seed=0, foretell_first=lambda h: h.first_ohm)
    change = [r for r in row if r.quantity == "change"]
    assert all(r.normal is not None and r.normal > 0.1 for r in change)
    assert all(r.table is not None and r.table < 0.05 for r in change)


def test_the_split_takes_every_cell_once():
    first, second = split(101, 3)
    assert sorted([*first, *second]) == list(range(101))
    assert (first.size, second.size) == (50, 51)


def test_the_table_holds_quantiles_of_each_state():
    series = build_series(series_readings(n_cells=1600))
    table = state_table(series)
    assert table.change.shape == (16, TIMES.size, 99)
    low = series.first_ohm <= table.edges_ohm[1]
    assert low.sum() == pytest.approx(100, abs=2)
    middle = np.median(series.change[low, 3])
    assert table.change[0, 3, 49] == pytest.approx(middle, abs=0.01)


def test_levels_give_back_medians_and_spread():
    rng = np.random.default_rng(0)
    level = np.repeat([0, 1, 2, 7], [2000, 2000, 2000, 20])
    sigma = np.array([0.2, 0.1, 0.05, 0, 0, 0, 0, 0.1])
    target = np.array([5e5, 1e5, 2e4, 1, 1, 1, 1, 1e3])
    r = target[level] * np.exp(sigma[level] * rng.standard_normal(level.size))
    found = fit_levels(r, level)
    assert (list(found.n_cells), found.n_rare) == ([2000, 2000, 2000], 1)
    assert found.median_ohm == pytest.approx([5e5, 1e5, 2e4], rel=0.02)
    assert found.sigma_ln == pytest.approx([0.2, 0.1, 0.05], rel=0.05)
    pooled = np.sqrt(np.mean([0.04, 0.01, 0.0025]))
    assert found.pooled_sigma_ln == pytest.approx(pooled, rel=0.03)
    expected = np.quantile(foretell(found), [0.1, 0.5, 0.9])
    assert expected == pytest.approx(
        np.quantile(r[level < 7], [0.1, 0.5, 0.9]), rel=0.05
    )


def test_levels_made_from_the_reading_are_told_from_targets():
    rng = np.random.default_rng(1)
    g = rng.uniform(1e-6, 9e-6, 3000)
    assert fit_levels(1 / g, np.floor(g * 1e6).astype(int)).bands
    level = rng.integers(1, 9, 3000)
    assert not fit_levels(np.exp(rng.normal(0, 0.3, 3000)) / level, level).bands
