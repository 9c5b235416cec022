import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import constants

from denram.devices import BOLTZMANN_EV_PER_KELVIN, Arrhenius
from denram.errors import InputError


def test_boltzmanns_constant_is_codatas():
    known = constants.physical_constants["Boltzmann constant in eV/K"][0]
    assert pytest.approx(known, rel=1e-9) == BOLTZMANN_EV_PER_KELVIN
    assert BOLTZMANN_EV_PER_KELVIN == constants.k / constants.e


@pytest.mark.parametrize("temperature", [77.0, 299.999, 300.0, 358.15, 1000.0])
def test_the_factor_is_arrheniuss(temperature):
    k = constants.k / constants.e
    expected = math.exp(0.2 / k * (1 / temperature - 1 / 300.0))
    factor = Arrhenius(0.2, 300.0).factor(temperature)
    assert type(factor) is float
    assert factor == pytest.approx(expected, rel=1e-12)


def test_resistances_fall_with_temperature_and_are_as_programmed_at_the_reference():
    factor = Arrhenius(0.3, 300.0).factor(np.array([250.0, 300.0, 350.0]))
    assert factor[0] > factor[1] == 1.0 > factor[2]
    np.testing.assert_array_equal(Arrhenius(0.0, 300.0).factor([1.0, 400.0]), 1.0)


def test_the_slope_over_the_inverse_temperature_is_the_activation_energy():
    t = np.linspace(250, 400, 7)
    slope, _ = np.polyfit(
        1 / (constants.k / constants.e * t), np.log(Arrhenius(0.17, 300.0).factor(t)), 1
    )
    assert slope == pytest.approx(0.17, rel=1e-9)


def test_jax_in_single_precision_agrees_with_numpy():
    t = np.linspace(250, 400, 31)
    traced = jax.jit(lambda e, t0, t: Arrhenius(e, t0).factor(t))
    compiled = traced(jnp.float32(0.2), jnp.float32(300.0), jnp.float32(t))
    assert compiled.dtype == jnp.float32
    np.testing.assert_allclose(compiled, Arrhenius(0.2, 300.0).factor(t), rtol=1e-5)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_temperatures_not_above_zero_are_refused(bad):
    with pytest.raises(InputError, match=r"^reference_kelvin must be "):
        Arrhenius(0.2, bad)
    with pytest.raises(InputError, match=r"^temperature_kelvin must be "):
        Arrhenius(0.2, 300.0).factor(bad)
    with pytest.raises(InputError, match=r"^temperature_kelvin must be "):
        Arrhenius(0.2, 300.0).factor(np.array([300.0, bad]))


@pytest.mark.parametrize("bad", [-0.1, 11.0, np.nan])
def test_bad_activation_energies_are_refused(bad):
    with pytest.raises(InputError, match=r"^activation_ev must be "):
        Arrhenius(bad, 300.0)


def test_a_factor_no_float_holds_is_refused():
    with pytest.raises(InputError, match=r"must give a finite factor .*, got 1\.0"):
        Arrhenius(10.0, 300.0).factor(1.0)
