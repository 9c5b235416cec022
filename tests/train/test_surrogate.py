import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from denram.train.surrogate import SURROGATES, spike

X = np.array([-3.0, -1.0, -0.5, -0.25, 0.0, 0.25, 0.49, 0.5, 1.0, 1.5, 2.0])


def _normal(x, sd):
    return stats.norm.pdf(x, scale=sd)


def _multi_gaussian(x):
    side = [stats.norm.pdf(x, loc=m, scale=3.0) for m in (0.5, -0.5)]
    return 0.5 * (1.15 * _normal(x, 0.5) - 0.15 * sum(side))


FORMULAS = {
    "box": lambda x: np.where(np.abs(x) < 0.5, 1.0, 0.0),
    "fast_sigmoid": lambda x: (10 * np.abs(x) + 1) ** -2.0,
    "triangle": lambda x: np.clip(1 - np.abs(x), 0, None),
    "gaussian": lambda x: 0.5 * _normal(x, 0.5),
    "multi_gaussian": _multi_gaussian,
    "exponential": lambda x: 0.5 * np.exp(-5 * np.abs(x)),
}


def test_every_surrogate_has_a_formula_here():
    assert set(FORMULAS) == set(SURROGATES)


@pytest.mark.parametrize("name", SURROGATES)
def test_forward_is_a_step_and_backward_is_the_formula(name):
    x = jnp.asarray(X, jnp.float32)
    np.testing.assert_array_equal(spike(x, name), X > 0)
    slope = jax.vmap(jax.grad(lambda v: spike(v, name)))(x)
    np.testing.assert_allclose(slope, FORMULAS[name](X), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", SURROGATES)
def test_a_surrogate_goes_through_jit_vmap_and_both_modes(name):
    x = jnp.asarray(X, jnp.float32)
    one = jax.jit(jax.vmap(jax.grad(lambda v: 3.0 * spike(v, name))))(x)
    tangent = jax.jvp(lambda v: spike(v, name), (x,), (jnp.full_like(x, 3.0),))[1]
    np.testing.assert_allclose(one, tangent, rtol=1e-6)


def test_multi_gaussian_has_the_values_of_its_paper():
    at = jnp.asarray([0, 0.25, 0.5, 1, 1.5, 2, 3, 5], jnp.float32)
    paper = [0.43911, 0.38527, 0.25886, 0.04345, -0.01232, -0.01570, -0.01210, -0.00510]
    np.testing.assert_allclose(SURROGATES["multi_gaussian"](at), paper, atol=6e-6)
    area = integrate.quad(_multi_gaussian, -60, 60, points=[0])[0]
    assert area == pytest.approx(0.425, abs=1e-6)
