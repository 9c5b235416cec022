import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from denram.devices import LognormalResistance, ResistanceDistribution, Stream
from denram.errors import InputError

STREAM = Stream("delay-resistance")
LAWS = [
    LognormalResistance(500e9, 0.4),
    LognormalResistance(10e3, 0.02),
    LognormalResistance(1.0, 2.0),
]
law_of = pytest.mark.parametrize("law", LAWS, ids=str)


@law_of
def test_quantile_is_the_inverse_of_cdf(law: ResistanceDistribution):
    p = np.linspace(0.001, 0.999, 101)
    np.testing.assert_allclose(law.cdf(law.quantile(p)), p, rtol=1e-11)


@law_of
def test_pdf_is_the_derivative_of_cdf(law: ResistanceDistribution):
    a, b = law.quantile([0.01, 0.9])
    area, _ = integrate.quad(law.pdf, a, b, epsrel=1e-10)
    assert area == pytest.approx(0.89, rel=1e-9)


@law_of
def test_samples_follow_the_cdf(law: ResistanceDistribution):
    drawn = law.sample((20, 63, 16), seed=42, stream=STREAM)
    assert drawn.shape == (20, 63, 16)
    assert stats.kstest(drawn.ravel(), law.cdf).pvalue > 0.01


@law_of
def test_all_resistances_are_positive(law: ResistanceDistribution):
    np.testing.assert_array_equal(law.cdf([-np.inf, -1.0, 0.0]), 0.0)
    np.testing.assert_array_equal(law.pdf([-np.inf, -1.0, 0.0, np.inf]), 0.0)
    assert law.cdf(np.inf) == 1.0
    np.testing.assert_array_equal(law.quantile([0.0, 1.0]), [0.0, np.inf])


@law_of
def test_what_is_no_number_is_refused(law: ResistanceDistribution):
    for method in (law.pdf, law.cdf, law.quantile):
        with pytest.raises(InputError, match="NaN"):
            method([0.5, np.nan])
        with pytest.raises(InputError, match="must be numbers, got str"):
            method("many")
    for bad in (-1e-9, 1.5, np.inf):
        with pytest.raises(InputError, match=f"probability must be .*, got {bad}"):
            law.quantile([0.5, bad])


@law_of
def test_lognormal_agrees_with_scipy(law: LognormalResistance):
    theirs = stats.lognorm(
        s=law.sigma_ln, scale=law.mean_ohm / np.exp(law.sigma_ln**2 / 2)
    )
    p = np.linspace(0.001, 0.999, 101)
    r = theirs.ppf(p)
    np.testing.assert_allclose(law.quantile(p), r, rtol=1e-12)
    np.testing.assert_allclose(law.cdf(r), p, rtol=1e-11)
    np.testing.assert_allclose(
        law.pdf(r), stats.lognorm.pdf(r, law.sigma_ln, 0, theirs.median()), rtol=1e-11
    )
    ours = (law.mean_ohm, law.median_ohm, law.std_ohm, law.cv, law.mu_ln)
    moments = (theirs.mean(), theirs.median(), theirs.std())
    expected = (*moments, theirs.std() / theirs.mean(), np.log(theirs.median()))
    np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-15)


def test_published_law_has_the_numbers_of_the_specification():
    law = LognormalResistance(500e9, 0.4)
    assert law.median_ohm == pytest.approx(461.6e9, abs=0.05e9)
    assert law.std_ohm == pytest.approx(208.3e9, abs=0.05e9)
    assert law.cv == pytest.approx(0.4165, abs=5e-5)
    delays_ms = 1e-12 * law.quantile([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]) * 1e3
    published = [182, 239, 352, 462, 605, 891, 1171]
    np.testing.assert_allclose(delays_ms, published, atol=0.7)
    assert 1 - law.cdf(1.0 / 1e-12) == pytest.approx(0.027, abs=5e-4)


def test_the_ideal_technology_gives_every_device_the_mean():
    law = LognormalResistance(500e9, 0.0)
    assert law.median_ohm == law.mean_ohm
    assert (law.sample((2, 3, 4), seed=1, stream=STREAM) == 500e9).all()
    np.testing.assert_array_equal(law.quantile([0.0, 0.5, 1.0]), 500e9)
    np.testing.assert_array_equal(law.cdf([499e9, 500e9, 501e9]), [0, 1, 1])
    np.testing.assert_array_equal(law.pdf([499e9, 500e9, 501e9]), [0, np.inf, 0])
    assert law.cv == 0.0


@given(
    mean=st.sampled_from([0.0, -0.0, -1.0, 1e151, np.nan, np.inf, -np.inf, "x", None]),
)
def test_a_mean_that_is_not_positive_is_refused(mean):
    with pytest.raises(InputError, match=r"^mean_ohm must be [^\n]*, got [^\n]*$"):
        LognormalResistance(mean, 0.4)


@pytest.mark.parametrize("sigma", [-1e-300, 10.1, np.nan, np.inf, "x"])
def test_a_spread_out_of_range_is_refused(sigma):
    with pytest.raises(InputError, match=r"^sigma_ln must be [^\n]*, got [^\n]*$"):
        LognormalResistance(500e9, sigma)


@pytest.mark.parametrize("mean", [1e-150, 1e150])
def test_the_widest_legal_laws_stay_finite(mean):
    drawn = LognormalResistance(mean, 10.0).sample((20, 63, 16), seed=1, stream=STREAM)
    assert np.isfinite(drawn).all()
    assert (drawn > 0).all()
