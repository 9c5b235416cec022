import dataclasses
import json

import numpy as np
import pytest
from scipy import stats

from denram.mapping import MapConfig, build_map, map_report, trailing_inputs
from denram.mapping.theory import expected, goodness_of_fit

LAW = stats.lognorm(s=0.4, scale=np.exp(np.log(500e9) - 0.08))


@pytest.fixture(scope="module")
def chip():
    return build_map(MapConfig(n_in=120), seed=42, noise_std=0.1)


@pytest.fixture(scope="module")
def report(chip):
    return map_report(chip, n_steps=150, dead_inputs=trailing_inputs(120, 10))


def test_theory_is_scipys_lognormal(report):
    assert report.theory.mean_ohm == pytest.approx(LAW.mean(), rel=1e-12)
    assert report.theory.median_ohm == pytest.approx(LAW.median(), rel=1e-12)
    assert report.theory.cv == pytest.approx(LAW.std() / LAW.mean(), rel=1e-12)
    # 200.5 steps of 5 ms through 1 pF
    clipped = LAW.sf(200.5 * 0.005 / 1e-12)
    assert report.theory.clipped_share == pytest.approx(clipped, rel=1e-9)


def test_theory_gives_the_published_moments(report):
    assert report.theory.median_ohm == pytest.approx(461.6e9, rel=1e-4)
    assert report.theory.cv == pytest.approx(0.4165, abs=1e-4)
    # 2.7 % are clipped to 200 in the published simulation, rounded ones included
    assert report.theory.clipped_share == pytest.approx(0.027, abs=1e-3)


def test_kolmogorov_smirnov_is_scipys(chip, report):
    theirs = stats.kstest(chip.resistance_ohm.ravel(), LAW.cdf)
    assert report.fit.statistic == pytest.approx(theirs.statistic, rel=1e-9)
    assert report.fit.p_value == pytest.approx(theirs.pvalue, rel=1e-2)
    assert report.fit.p_value > 0.01
    assert report.fit.n_tested == 120 * 20 * 16


@pytest.mark.parametrize("n", [20, 100, 1000])
def test_small_samples_get_nearly_the_exact_p_value(n):
    ohm = LAW.rvs(n, random_state=n)
    ours = goodness_of_fit(ohm, MapConfig()).p_value
    exact = stats.kstest(ohm, LAW.cdf, method="exact").pvalue
    # Stephens' correction for small n is itself good to about 0.02
    assert ours == pytest.approx(exact, abs=0.02)


def test_resistances_of_another_law_are_found_out(chip):
    config = MapConfig(**{**chip.config, "r_std": 0.42})
    wrong = dataclasses.replace(chip, config={**chip.config, "r_std": 0.42})
    p_value = map_report(wrong, n_steps=150).fit.p_value
    assert p_value is not None
    assert p_value < 1e-6
    law = stats.lognorm(s=0.42, scale=np.exp(np.log(500e9) - 0.42**2 / 2))
    theirs = stats.kstest(chip.resistance_ohm.ravel(), law.cdf).pvalue
    ours = goodness_of_fit(chip.resistance_ohm.ravel(), config).p_value
    assert ours == pytest.approx(theirs, rel=0.1)


def test_uniform_steps_are_tested_by_scipys_chi_square():
    config = MapConfig(n_in=100, max_delay=50, delay_distribution="uniform")
    chip = build_map(config, seed=3, noise_std=0.0)
    fit = map_report(chip, n_steps=60).fit
    theirs = stats.chisquare(np.bincount(chip.delay_steps.ravel(), minlength=51))
    assert fit.test == "chi-square"
    assert fit.statistic == pytest.approx(theirs.statistic, rel=1e-9)
    assert fit.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"delay_distribution": "pattern"}, "nothing to test"),
        ({"r_std": 0.0}, "all devices are equal"),
        ({"n_in": 1, "n_out": 1}, "too few"),
        ({"n_in": 5, "n_out": 2, "delay_distribution": "uniform"}, "too few"),
    ],
)
def test_where_no_test_applies_the_report_says_why(change, reason):
    chip = build_map(MapConfig(**{"n_in": 10, **change}), seed=0, noise_std=0.0)
    fit = map_report(chip, n_steps=150).fit
    assert (fit.test, fit.statistic, fit.p_value) == (None, None, None)
    assert reason in fit.note


@pytest.mark.parametrize("distribution", ["uniform", "pattern"])
def test_theory_of_aimed_steps_is_their_plain_average(distribution):
    config = MapConfig(
        n_in=2000, n_delays=8, max_delay=20, delay_distribution=distribution
    )
    chip = build_map(config, seed=1, noise_std=0.0)
    theory, ohm = expected(config), chip.resistance_ohm
    # 320 000 draws of relative spread 0.6: three standard errors are 0.3 %
    assert theory.mean_ohm == pytest.approx(ohm.mean(), rel=3e-3)
    assert theory.cv == pytest.approx(ohm.std() / ohm.mean(), rel=5e-3)
    assert theory.clipped_share == 0 == map_report(chip, n_steps=30).waste.clipped_share


def test_no_closed_form_is_claimed_for_varied_capacitors():
    assert expected(MapConfig(capacitor_sigma=0.1)).clipped_share is None


def test_delays_are_reported_in_steps_and_seconds(chip, report):
    steps = [int(step) for step in chip.delay_steps.ravel()]
    assert report.delay.mean_steps == pytest.approx(sum(steps) / len(steps))
    assert report.delay.std_steps == pytest.approx(float(np.std(steps)))
    assert (report.delay.min_steps, report.delay.max_steps) == (min(steps), 200)
    assert report.delay.mean_s == pytest.approx(report.delay.mean_steps * 0.005)
    assert report.delay.max_s == pytest.approx(1.0)


def test_counts_of_waste_are_those_of_plain_sets(chip, report):
    steps, counts = chip.delay_steps, {r.reason: r for r in report.waste.reasons}
    beyond = {tuple(at) for at in np.argwhere(steps >= 150)}
    dead = {(i, c, k) for i, c, k in np.ndindex(*steps.shape) if c >= 110}
    duplicate = {
        (i, c, k)
        for i, c, k in np.ndindex(*steps.shape)
        if steps[i, c, k] in steps[i, c, :k]
    }
    assert counts["beyond_window"].count == len(beyond)
    assert counts["dead_input"].count == len(dead) == 10 * 20 * 16
    assert counts["duplicate"].count == len(duplicate)
    # saturated ones lie beyond the window too, and nothing is below one step here
    assert report.waste.wasted == len(beyond | dead | duplicate)
    assert report.waste.effective == steps.size - report.waste.wasted
    assert report.waste.n_dead_inputs == 10


def test_the_first_wasted_synapses_are_named(chip, report):
    beyond = next(r for r in report.waste.reasons if r.reason == "beyond_window")
    assert beyond.first == np.argwhere(chip.delay_steps >= 150)[:5].tolist()


def test_the_measured_clipped_share_is_near_theory(report):
    n, p = report.n_synapses, report.theory.clipped_share
    # four standard errors of a binomial share
    assert abs(report.waste.clipped_share - p) < 4 * np.sqrt(p * (1 - p) / n)


def test_absent_devices_count_nowhere(chip):
    mask = np.zeros(chip.mask.shape, bool)
    mask[:, :50] = True
    report = map_report(dataclasses.replace(chip, mask=mask), n_steps=150)
    assert report.n_synapses == 20 * 50 * 16
    kept = chip.resistance_ohm[:, :50]
    assert report.resistance.mean_ohm == pytest.approx(float(kept.mean()))
    beyond = next(r for r in report.waste.reasons if r.reason == "beyond_window")
    assert beyond.count == int((chip.delay_steps[:, :50] >= 150).sum())


def test_the_report_is_plain_json(report):
    text = json.dumps(report.as_dict(), allow_nan=False)
    assert json.loads(text)["resistance"]["mean_ohm"] == report.resistance.mean_ohm
