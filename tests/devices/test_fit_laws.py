from itertools import pairwise

import numpy as np
import pytest
import scipy.stats as st
from scipy.integrate import quad

from denram.devices.fit_laws import LAWS, fit_law
from denram.devices.fit_readings import KNOWN, OPEN, Readings, Source
from denram.devices.fit_tests import censor, distances, fitness


def readings(r, kind=None):
    n = len(r)
    kind = np.full(n, KNOWN, np.int8) if kind is None else kind
    source = Source("file", "0" * 64, n, 0)
    return Readings(np.asarray(r), kind, np.arange(n), None, None, source)


@pytest.fixture(scope="module")
def sample():
    """Two states, so that no law is degenerate."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(10, 0.4, 700), rng.normal(11.5, 0.3, 500)])
    return readings(np.exp(x))


def test_lognormal_is_scipys(sample):
    law = fit_law("lognormal", sample)
    shape, _, scale = st.lognorm.fit(sample.resistance_ohm, floc=0)
    told = law.parameters()
    assert told["sigma_ln"] == pytest.approx(shape, rel=1e-6)
    assert told["median_ohm"] == pytest.approx(scale, rel=1e-6)
    scipys = st.lognorm(shape, scale=scale)
    assert told["mean_ohm"] == pytest.approx(scipys.mean(), rel=1e-6)
    expected = st.lognorm.logpdf(sample.resistance_ohm, shape, scale=scale).sum()
    assert law.log_likelihood == pytest.approx(expected)
    assert law.aic == pytest.approx(4 - 2 * expected)


@pytest.mark.parametrize("name", LAWS)
def test_the_likelihood_is_that_of_the_derivative_of_the_distribution(name, sample):
    law = fit_law(name, sample)
    r = sample.resistance_ohm
    density = (law.cdf(r * (1 + 1e-5)) - law.cdf(r * (1 - 1e-5))) / (2e-5 * r)
    assert law.log_likelihood == pytest.approx(np.log(density).sum(), rel=1e-5)


@pytest.mark.parametrize("name", LAWS)
def test_quantiles_and_distribution_are_inverse(name, sample):
    law = fit_law(name, sample)
    p = np.linspace(0.001, 0.9, 50)
    assert law.cdf(law.quantile(p)) == pytest.approx(p, abs=1e-9)


@pytest.mark.parametrize("name", LAWS)
def test_samples_follow_the_law(name, sample):
    law = fit_law(name, sample)
    r = law.sample(20_000, np.random.default_rng(1))
    assert st.kstest(r[np.isfinite(r)], law.cdf).pvalue > 0.01 or name == "normal-g"
    assert np.isinf(r).mean() == pytest.approx(1 - law.cdf(np.inf), abs=0.01)


def test_the_right_law_has_the_smallest_aic():
    rng = np.random.default_rng(4)
    made = {
        "lognormal": np.exp(rng.normal(12, 0.5, 2000)),
        "normal-g": 1 / rng.normal(5e-5, 1e-5, 2000),
        "mixture": np.exp(
            np.concatenate([rng.normal(9, 0.2, 1000), rng.normal(12, 0.4, 1000)])
        ),
    }
    for truth, r in made.items():
        aic = {name: fit_law(name, readings(r)).aic for name in LAWS}
        assert min(aic, key=lambda name: aic[name]) == truth


def test_a_mixture_gives_back_what_it_was_made_of():
    rng = np.random.default_rng(5)
    low, high = rng.normal(9, 0.2, 6000), rng.normal(12, 0.4, 4000)
    told = fit_law("mixture", readings(np.exp(np.concatenate([low, high]))))
    found = told.parameters()
    assert found["share_low"] == pytest.approx(0.6, abs=0.01)
    assert np.log(found["median_low_ohm"]) == pytest.approx(low.mean(), abs=0.01)
    assert found["sigma_ln_high"] == pytest.approx(high.std(), abs=0.01)


def test_distances_are_those_of_the_textbook(sample):
    law = fit_law("lognormal", sample)
    ks, ad = distances(law, sample)
    told = law.parameters()
    scipys = st.lognorm(told["sigma_ln"], scale=told["median_ohm"])
    expected = st.kstest(sample.resistance_ohm, scipys.cdf)
    assert ks == pytest.approx(expected.statistic, abs=1e-12)
    u, n = np.sort(scipys.cdf(sample.resistance_ohm)), sample.size
    i = np.arange(1, n + 1)
    series = (2 * i - 1) * (np.log(u) + np.log1p(-u[::-1]))
    assert ad == pytest.approx(-n - series.mean(), rel=1e-9)


def test_censored_distances_are_integrals_over_what_is_known(sample):
    limit = float(np.quantile(sample.resistance_ohm, 0.8))
    cut = censor(sample.resistance_ohm, readings([1.0, limit], np.array([0, OPEN])))
    law = fit_law("lognormal", cut)
    ks, ad = distances(law, cut)
    u = np.sort(law.cdf(sample.resistance_ohm))
    stop = float(law.cdf(limit))

    def gap(x):
        return np.searchsorted(u, x, side="right") / u.size - x

    grid = np.linspace(0, stop, 200_001)
    assert ks == pytest.approx(np.abs(gap(grid)).max(), abs=1e-5)
    edges = np.concatenate([[0.0], u[u < stop], [stop]])
    pieces = [
        quad(lambda x: gap(x) ** 2 / (x * (1 - x)), a, b)[0]
        for a, b in pairwise(edges)
        if b - a > 1e-12
    ]
    assert ad == pytest.approx(u.size * sum(pieces), rel=1e-4)


def test_p_values_agree_with_scipys_monte_carlo():
    r = readings(np.exp(np.random.default_rng(6).normal(8, 1, 60) ** 2 / 40))
    rng = np.random.default_rng(7)
    found = fitness(fit_law("lognormal", r), r, n_draws=2000, rng=rng)
    x = np.log(r.resistance_ohm)
    for statistic, p in (("ks", found.ks_p), ("ad", found.ad_p)):
        theirs = st.goodness_of_fit(
            st.norm, x, statistic=statistic, n_mc_samples=2000, rng=8
        ).pvalue
        # both are shares of 2000 draws, and scipy's sd has ddof = 1
        assert p == pytest.approx(theirs, abs=0.05)


def test_p_values_are_even_if_the_law_holds():
    rng = np.random.default_rng(9)
    p = []
    for _ in range(60):
        drawn = readings(np.exp(rng.normal(10, 0.3, 80)))
        law = fit_law("lognormal", drawn)
        p.append(fitness(law, drawn, n_draws=99, rng=rng).ad_p)
    assert st.kstest(p, "uniform").pvalue > 0.01
