import numpy as np
import pytest
import scipy.stats as st
from hypothesis import given
from hypothesis import strategies as s
from scipy.optimize import minimize

from denram.devices.censored import Censored, fit_components
from denram.errors import InputError

NONE = np.empty(0)


def cut(x, low=-np.inf, high=np.inf):
    """Values censored at two limits."""
    known = x[(x > low) & (x < high)]
    above, below = (x >= high).sum(), (x <= low).sum()
    return Censored(known, np.full(above, high), np.full(below, low))


@pytest.mark.parametrize(
    ("low", "high"), [(-np.inf, 4.0), (2.5, np.inf), (1.0, 3.5), (-np.inf, 1.0)]
)
def test_censored_normal_agrees_with_scipy(low, high):
    data = cut(np.random.default_rng(1).normal(3, 2, 3000), low, high)
    found = fit_components(data)
    told = st.CensoredData(data.exact, left=data.below, right=data.above)
    mean, sigma = st.norm.fit(told)
    assert found.converged
    assert found.mean[0] == pytest.approx(mean, abs=2e-3)
    assert found.sigma[0] == pytest.approx(sigma, abs=2e-3)
    law = (mean, sigma)
    best = st.norm.logpdf(data.exact, *law).sum()
    best += st.norm.logsf(data.above, *law).sum()
    best += st.norm.logcdf(data.below, *law).sum()
    # scipy's simplex may stop a little below the top, never may ours
    assert found.log_likelihood == pytest.approx(best, abs=1e-3)


@given(s.floats(-1e6, 1e6), s.floats(1e-6, 1e6), s.integers(0, 99))
def test_without_censoring_it_is_mean_and_standard_deviation(mean, sigma, seed):
    x = mean + sigma * np.random.default_rng(seed).standard_normal(40)
    if np.ptp(x) == 0:
        return
    found = fit_components(Censored(x, NONE, NONE))
    assert found.mean[0] == pytest.approx(x.mean(), rel=1e-9, abs=1e-9 * sigma)
    assert found.sigma[0] == pytest.approx(x.std(), rel=1e-6)
    expected = st.norm.logpdf(x, x.mean(), x.std()).sum()
    assert found.log_likelihood == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_two_components_reach_the_top_that_a_direct_search_finds():
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(0, 1, 900), rng.normal(4, 0.5, 600)])
    data = cut(x, high=4.6)

    def cost(p):
        w = 1 / (1 + np.exp(-p[0]))
        a, b = (p[1], np.exp(p[2])), (p[3], np.exp(p[4]))
        density = w * st.norm.pdf(data.exact, *a)
        known = np.log(density + (1 - w) * st.norm.pdf(data.exact, *b)).sum()
        tail = w * st.norm.sf(4.6, *a) + (1 - w) * st.norm.sf(4.6, *b)
        return -known - data.above.size * np.log(tail)

    best = minimize(cost, [0.4, 0, 0, 4, -0.7], method="BFGS")
    found = fit_components(data, 2)
    assert found.converged
    assert found.log_likelihood == pytest.approx(-best.fun, abs=1e-3)
    weight = 1 / (1 + np.exp(-best.x[0]))
    expected = [weight, best.x[1], np.exp(best.x[2]), best.x[3], np.exp(best.x[4])]
    got = [found.weight[0], found.mean[0], found.sigma[0], found.mean[1]]
    assert [*got, found.sigma[1]] == pytest.approx(expected, abs=5e-3)


def test_a_component_that_collapses_on_one_value_is_told():
    x = np.concatenate([np.full(50, 1.0), np.random.default_rng(3).normal(5, 1, 200)])
    assert not fit_components(Censored(x, NONE, NONE), 2).converged


def test_one_value_is_refused():
    with pytest.raises(InputError, match="two different known values"):
        fit_components(Censored(np.full(9, 2.0), np.full(3, 4.0), NONE))
