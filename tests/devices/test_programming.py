import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import tolerance
from scipy import stats

from denram.devices import (
    LognormalProgramming,
    NoProgrammingError,
    NormalProgramming,
    Stream,
    TabulatedProgramming,
    standard_normal,
)
from denram.errors import InputError

SHAPE = (20, 63, 16)
TARGET_OHM = 2e9
TARGETS = np.full(SHAPE, TARGET_OHM)
Z = standard_normal(SHAPE, seed=1, stream=Stream("delay programming"))
TABLE = (-0.5, -0.1, 0.0, 0.05, 0.9)


def normal_in_conductance(sigma, reference_siemens):
    """The law of R / target: the inverse of a normal cut at a hundredth."""
    scale = sigma * reference_siemens * TARGET_OHM
    g = stats.truncnorm((0.01 - 1) / scale, np.inf, loc=1, scale=scale)
    return lambda ratio: g.sf(1 / np.asarray(ratio))


def tabulated(ratio):
    """Linear between the table's points, with all of the tails at its two ends."""
    n = len(TABLE)
    places = (np.arange(n) + 0.5) / n
    p = np.interp(np.log(ratio), TABLE, places)
    return np.where(np.log(ratio) >= TABLE[-1], 1.0, p)


# law, distribution function of R / target (None: no spread), its median
LAWS = {
    "none": (NoProgrammingError(), None, 1.0),
    "lognormal": (LognormalProgramming(0.3), stats.lognorm(0.3).cdf, 1.0),
    "wide lognormal": (LognormalProgramming(3.0), stats.lognorm(3.0).cdf, 1.0),
    "normal": (
        NormalProgramming(0.1),
        normal_in_conductance(0.1, 1 / TARGET_OHM),
        1.0,
    ),
    "wide normal": (
        NormalProgramming(2.0),
        normal_in_conductance(2.0, 1 / TARGET_OHM),
        None,
    ),
    "normal over a reference": (
        NormalProgramming(0.05, 1e-8),
        normal_in_conductance(0.05, 1e-8),
        None,
    ),
}
every_law = pytest.mark.parametrize(("law", "cdf", "median"), LAWS.values(), ids=LAWS)
every_law_and_table = pytest.mark.parametrize(
    "law",
    [law for law, _, _ in LAWS.values()] + [TabulatedProgramming(TABLE)],
    ids=[*LAWS, "tabulated"],
)


@every_law
def test_the_resistances_follow_the_law(law, cdf, median):
    ratio = law.apply(TARGETS, Z).ravel() / TARGET_OHM
    if cdf is None:
        np.testing.assert_array_equal(ratio, 1.0)
    else:
        assert stats.kstest(ratio, cdf).pvalue > 0.01
    if median is not None:
        at_median = law.apply(np.array([TARGET_OHM]), np.zeros(1))[0]
        assert at_median == pytest.approx(median * TARGET_OHM, rel=1e-12)


def test_the_mean_of_a_lognormal_lies_above_its_median():
    ratio = LognormalProgramming(0.3).apply(TARGETS, Z) / TARGET_OHM
    law = stats.lognorm(0.3)
    assert law.mean() == pytest.approx(math.exp(0.3**2 / 2))
    assert ratio.mean() == pytest.approx(
        law.mean(), abs=4 * law.std() / np.sqrt(Z.size)
    )


def test_the_conductance_keeps_its_mean_until_the_cut_is_felt():
    for sigma in (0.1, 1.0):
        g = TARGET_OHM / NormalProgramming(sigma).apply(TARGETS, Z)
        law = stats.truncnorm(-0.99 / sigma, np.inf, loc=1, scale=sigma)
        assert g.mean() == pytest.approx(law.mean(), abs=4 * law.std() / Z.size**0.5)
        assert g.min() >= 0.01 * (1 - 1e-12)
    narrow = TARGET_OHM / NormalProgramming(0.1).apply(TARGETS, Z)
    np.testing.assert_allclose(narrow, 1 + 0.1 * Z, rtol=1e-12)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_a_draw_is_the_quantile_of_the_cut_normal(sigma):
    z = np.linspace(-5, 5, 101)
    g = TARGET_OHM / NormalProgramming(sigma).apply(np.full(z.shape, TARGET_OHM), z)
    law = stats.truncnorm((0.01 - 1) / sigma, np.inf, loc=1, scale=sigma)
    np.testing.assert_allclose(law.cdf(g)[z < 0], stats.norm.cdf(z[z < 0]), rtol=1e-6)
    np.testing.assert_allclose(law.sf(g)[z > 0], stats.norm.sf(z[z > 0]), rtol=1e-6)


def test_a_table_gives_back_the_distribution_it_was_read_from():
    law = stats.gumbel_r(scale=0.2)
    quantiles = law.ppf((np.arange(200) + 0.5) / 200)
    ratio = TabulatedProgramming(tuple(quantiles)).apply(TARGETS, Z) / TARGET_OHM
    assert stats.kstest(np.log(ratio).ravel(), law.cdf).statistic < 0.5 / 200 + 0.01


def test_a_table_is_linear_between_even_probabilities_and_flat_beyond():
    ln_ratio = np.log(TabulatedProgramming(TABLE).apply(TARGETS, Z) / TARGET_OHM)
    inside = (ln_ratio > TABLE[0] + 1e-9) & (ln_ratio < TABLE[-1] - 1e-9)
    p = tabulated(np.exp(ln_ratio[inside]))
    np.testing.assert_allclose(p, stats.norm.cdf(Z[inside]), rtol=1e-9)
    for end, tail in ((TABLE[0], stats.norm.cdf(Z) < 0.1), (TABLE[-1], Z > 1.3)):
        np.testing.assert_allclose(ln_ratio[tail], end, rtol=1e-9)


@every_law_and_table
def test_jax_in_single_precision_agrees_with_numpy(law):
    exact = law.apply(TARGETS, Z)
    compiled = jax.jit(law.apply)(jnp.float32(TARGETS), jnp.float32(Z))
    assert compiled.dtype == jnp.float32
    assert compiled.shape == SHAPE
    np.testing.assert_allclose(compiled, exact, rtol=tolerance("float32"))


@every_law_and_table
def test_a_gradient_passes_to_the_target(law):
    def conductance(g):
        return (1 / law.apply(1 / g, jnp.float32(Z[0]))).sum()

    g = jnp.full(SHAPE[1:], 1 / TARGET_OHM, jnp.float32)
    slope = jax.grad(conductance)(g)
    assert bool(jnp.isfinite(slope).all())
    if not isinstance(law, NormalProgramming) or law.reference_siemens is None:
        # the error is a factor: the slope is that factor
        obtained = law.apply(TARGETS[0], Z[0])
        np.testing.assert_allclose(
            slope, TARGET_OHM / obtained, rtol=tolerance("float32")
        )


@pytest.mark.parametrize("make", [LognormalProgramming, NormalProgramming])
def test_a_traced_parameter_is_taken_unchecked(make):
    obtained = jax.jit(lambda sigma, r, z: make(sigma).apply(r, z))(
        jnp.float32(0.3), jnp.float32(TARGETS), jnp.float32(Z)
    )
    exact = make(0.3).apply(TARGETS, Z)
    np.testing.assert_allclose(obtained, exact, rtol=tolerance("float32"))
    still = make(jnp.float32(0.0)).apply(jnp.float32(TARGETS), jnp.float32(Z))
    np.testing.assert_allclose(still, TARGETS, rtol=1e-6)


@every_law_and_table
def test_a_larger_draw_moves_a_resistance_one_way_only(law):
    z = np.linspace(-8, 8, 1001)
    moved = np.diff(law.apply(np.full(z.shape, TARGET_OHM), z))
    assert (moved >= 0).all() or (moved <= 0).all()


@pytest.mark.parametrize("law", [LognormalProgramming(0.0), NormalProgramming(0.0)])
def test_without_spread_nothing_changes(law):
    np.testing.assert_array_equal(law.apply(TARGETS, Z), TARGETS)


@pytest.mark.parametrize("sigma", [-0.1, 10.5, np.nan, np.inf])
def test_bad_sigmas_are_refused(sigma):
    with pytest.raises(InputError, match=r"^sigma_ln must be "):
        LognormalProgramming(sigma)
    with pytest.raises(InputError, match=r"^sigma_relative must be "):
        NormalProgramming(sigma)


@pytest.mark.parametrize("reference", [0.0, -1e-6, np.nan, np.inf])
def test_bad_reference_conductances_are_refused(reference):
    with pytest.raises(InputError, match=r"^reference_siemens must be "):
        NormalProgramming(0.1, reference)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ((), "two numbers or more, got shape"),
        ((0.1,), "two numbers or more, got shape"),
        (((0.1, 0.2), (0.3, 0.4)), "two numbers or more, got shape"),
        ((0.1, np.nan), "hold no NaN"),
        ((0.0, np.inf), "within .*90, got inf"),
        ((0.2, 0.1), "ascend, got 0.2 before 0.1"),
    ],
)
def test_bad_tables_are_refused(table, message):
    with pytest.raises(InputError, match=f"^quantiles_ln must {message}|be {message}"):
        TabulatedProgramming(table)
