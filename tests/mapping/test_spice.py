import itertools
import math
import re
import shutil
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from denram.errors import DenRAMError, InputError
from denram.mapping import MapConfig, build_map
from denram.mapping.pulse_response import Pulse, pulse_delay_s
from denram.mapping.spice import (
    DelayElement,
    first_addresses,
    map_elements,
    netlist,
    ngspice_delay_s,
    ngspice_path,
    relative_difference,
)

HALF_UP = 1 - math.exp(-1)  # k = 1
needs_ngspice = pytest.mark.skipif(
    shutil.which("ngspice") is None,
    reason="ngspice is not installed: the circuit's delays are not simulated",
)


def simulated(element, pulse):
    text = netlist(element, pulse)
    return ngspice_delay_s(text, program=ngspice_path(), timeout_s=30)


class _Crossing:
    """SciPy's event: it ends the integration."""

    terminal, direction = True, 1

    def __init__(self, theta):
        self.theta = theta

    def __call__(self, t, v):
        return v[0] - self.theta


def integrated_delay_s(theta, rise, width):
    """Crossing of v' = source - v by a Runge-Kutta method, tau = supply = 1."""
    corners = [0, rise, rise + width, 2 * rise + width]

    v = [0.0]
    for begin, end in itertools.pairwise(corners):
        found = solve_ivp(
            lambda t, v: [np.interp(t, corners, [0, 1, 1, 0]) - v[0]],
            (begin, end),
            v,
            method="DOP853",
            events=_Crossing(theta),
            rtol=1e-10,
            atol=1e-13,
            max_step=(end - begin) / 10,
        )
        if found.t_events[0].size:
            return found.t_events[0][0] - rise / 2
        v = found.y[:, -1]
    return math.inf


def test_the_model_is_the_integrated_circuit_on_rise_top_and_fall():
    random = np.random.default_rng(1)
    where = []
    for _ in range(120):
        rise, theta = 10 ** random.uniform(-3, 2), random.uniform(0.02, 0.98)
        width = 10 ** random.uniform(-2, 1)
        wanted = integrated_delay_s(theta, rise, width)
        found = pulse_delay_s(1.0, 1.0, theta, Pulse(1.0, rise, width))
        assert found + rise / 2 == pytest.approx(wanted + rise / 2, rel=1e-7)
        where.append(np.searchsorted([rise, rise + width, 1e9], wanted + rise / 2))
    assert set(where) == {0, 1, 2, 3}


@given(
    st.floats(1e9, 1e12), st.floats(1e-13, 1e-11), st.floats(0.05, 4), st.floats(0, 0.1)
)
def test_on_the_top_the_delay_is_k_r_c_and_the_rises_share(r, c, k, share):
    tau = r * c
    rise = max(share * k * tau, 1e-12)
    found = pulse_delay_s(r, c, -2.5 * math.expm1(-k), Pulse(2.5, rise))
    half = rise / tau / 2
    assert found == pytest.approx(
        tau * (k + math.log(math.sinh(half) / half)), rel=1e-9
    )
    assert found == pytest.approx(k * tau, rel=1e-2)


@given(st.floats(1e-12, 1e6), st.floats(0.001, 0.999))
def test_no_rise_is_too_short_or_too_long_for_the_closed_forms(rise, theta):
    found = float(pulse_delay_s(1.0, 1.0, theta, Pulse(1.0, rise))) + rise / 2
    # between a step at the beginning and one at the end of the rise
    assert -math.log1p(-theta) * (1 - 1e-9) <= found + 1e-12
    assert found <= (rise - math.log1p(-theta)) * (1 + 1e-9)


def test_a_shorter_pulse_never_crosses_and_a_longer_one_does_not_matter():
    r, c, rise = 1e11, 1e-12, 1e-6
    full = float(pulse_delay_s(r, c, HALF_UP, Pulse(1.0, rise)))
    for width, wanted in ((0.999 * full, math.inf), (1.001 * full, full)):
        assert pulse_delay_s(r, c, HALF_UP, Pulse(1.0, rise, width)) == wanted
    assert pulse_delay_s(r, c, 1.0, Pulse(1.0, rise)) == math.inf


def test_many_elements_are_computed_at_once_as_one_by_one():
    r = np.geomspace(1e9, 1e12, 7)
    v = np.linspace(0.1, 1.05, 7)
    pulse = Pulse(1.0, 1e-3, 0.3)
    each = [float(pulse_delay_s(a, 1e-12, b, pulse)) for a, b in zip(r, v, strict=True)]
    np.testing.assert_array_equal(pulse_delay_s(r, 1e-12, v, pulse), each)
    assert np.isinf(each).any()
    assert np.isfinite(each).any()


@needs_ngspice
@pytest.mark.parametrize("offset", [-0.1, 0.0, 0.1])
@pytest.mark.parametrize("resistance", np.geomspace(1e9, 1e12, 7))
def test_ngspice_agrees_from_1_gohm_to_1_tohm_with_offset(resistance, offset):
    element = DelayElement(resistance, 1e-12, HALF_UP + offset)
    wanted = -resistance * 1e-12 * math.log1p(-HALF_UP - offset)
    assert simulated(element, Pulse(1.0)) == pytest.approx(wanted, rel=1e-5)


@needs_ngspice
@pytest.mark.parametrize("resistance", [1e9, 3e10, 1e12])
@pytest.mark.parametrize(
    ("rise", "width"), [(0.1, 5.0), (0.5, 0.4), (3.0, 1e-3), (1e-6, 1.002), (0.4, 0.7)]
)
def test_ngspice_agrees_with_finite_edges_and_widths(resistance, rise, width):
    tau = resistance * 1e-12
    pulse = Pulse(1.8, rise * tau, width * tau)
    element = DelayElement(resistance, 1e-12, 1.8 * HALF_UP)
    model = element.delay_s(pulse)
    assert math.isfinite(model) == (rise + width > 1.1 or width > 1)
    assert abs(relative_difference(model, simulated(element, pulse))) < 2e-4


@needs_ngspice
@pytest.mark.parametrize("width", [1e-6, 0.5, 0.998])
def test_neither_ngspice_nor_the_model_lets_a_short_pulse_cross(width):
    element = DelayElement(1e12, 1e-12, HALF_UP)
    pulse = Pulse(1.0, 1e-6, width)
    assert element.delay_s(pulse) == simulated(element, pulse) == math.inf


@needs_ngspice
def test_the_comparison_would_notice_a_leak_of_one_part_in_a_hundred():
    element, pulse = DelayElement(1e12, 1e-12, HALF_UP), Pulse(1.0)
    leaky = netlist(element, pulse).replace(
        "Rload", "Rleak cap 0 100000000000000.0\nRload"
    )
    share = 1 / 1.01  # the leak divides the voltage and shortens the time constant
    wanted = -share * math.log1p(-HALF_UP / share)
    found = ngspice_delay_s(leaky, program=ngspice_path())
    assert found == pytest.approx(wanted, rel=1e-5)
    assert abs(relative_difference(element.delay_s(pulse), found)) > 1e-3


@needs_ngspice
def test_ngspice_gives_the_delays_of_a_sampled_map():
    config = MapConfig(n_in=4, n_out=2, n_delays=3, capacitor_sigma=0.1)
    chip = build_map(config, seed=5, noise_std=0.0)
    places = first_addresses(chip, 5)
    for element in map_elements(chip, places, supply_volt=1.2):
        found = simulated(element, Pulse(1.2))
        assert found == pytest.approx(chip.delay_s[element.address], rel=1e-5)


def test_elements_of_a_map_have_its_r_its_own_c_and_one_threshold():
    config = MapConfig(
        n_in=50, n_out=4, n_delays=5, capacitor_sigma=0.1, threshold_factor=0.7
    )
    chip = build_map(config, seed=5, noise_std=0.0)
    found = map_elements(
        chip, first_addresses(chip, 1000), supply_volt=2.0, offset_volt=0.1
    )
    assert [e.address for e in found] == list(np.ndindex(4, 50, 5))
    np.testing.assert_array_equal(
        [e.resistance_ohm for e in found], chip.resistance_ohm.ravel()
    )
    c = np.array([e.capacitance_farad for e in found])
    assert c.std() / c.mean() == pytest.approx(0.1, rel=0.1)
    wanted = 2.0 * (1 - math.exp(-0.7)) + 0.1
    np.testing.assert_allclose([e.threshold_volt for e in found], wanted, rtol=1e-12)


def test_absent_devices_are_left_out_and_refused():
    chip = build_map(MapConfig(n_in=2, n_out=1, n_delays=2), seed=1, noise_std=0.0)
    chip.mask[0, 0, 1] = False
    assert first_addresses(chip, 9) == [(0, 0, 0), (0, 1, 0), (0, 1, 1)]
    with pytest.raises(InputError, match=r"must be one that is there, got \(0, 0, 1\)"):
        map_elements(chip, [(0, 0, 1)], supply_volt=1.0)
    with pytest.raises(InputError, match="device's pre must be 0 to 1, got 2"):
        map_elements(chip, [(0, 2, 0)], supply_volt=1.0)


@given(
    st.floats(1e-3, 1e18), st.floats(1e-18, 1e-3), st.floats(1e-3, 1e3), st.integers(0)
)
def test_a_netlist_holds_nothing_but_its_words_and_numbers(r, c, supply, place):
    element = DelayElement(r, c, supply / 2, (place, 0, 1))
    text = netlist(element, Pulse(supply))
    words = re.sub(r"(?<![A-Za-z])[-+]?[0-9]+([.][0-9]+)?(e[-+]?[0-9]+)?", "#", text)
    assert words == netlist_words()


def netlist_words():
    return (
        "RC delay element (#, #, #)\n"
        "Vsource source # PULSE(# # # # # # #)\n"
        "Rdelay source cap #\n"
        "Cdelay cap # # IC=#\n"
        "Bcompare out # V=#*(#+tanh(#*(V(cap)#)))\n"
        "Rload out # #\n"
        ".options gmin=# reltol=# abstol=# vntol=# chgtol=#\n"
        ".tran # # # # UIC\n"
        ".measure tran delay TRIG V(source) VAL=# RISE=# TARG V(out) VAL=# RISE=#\n"
        ".end\n"
    )


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo first; echo 'no room' >&2; exit 3", r"\(exit code 3\): no room"),
        ("exit 1", r"\(exit code 1\): it said nothing"),
        ("echo 'delay = much'", r"\(exit code 0\): delay = much"),
        ("echo gone; echo 'Note: nothing'", r"\(exit code 0\): gone"),
        ("sleep 20", "took longer than 0.5 s"),
    ],
)
def test_a_failing_ngspice_gives_its_last_line(tmp_path, script, message):
    fake = tmp_path / "ngspice"
    fake.write_text(f"#!/bin/sh\n{script.replace('sleep', 'exec sleep')}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(DenRAMError, match=message):
        ngspice_delay_s("", program=str(fake), timeout_s=0.5)


def test_an_ngspice_that_cannot_start_is_one_line(tmp_path):
    with pytest.raises(DenRAMError, match="ngspice cannot start: No such file"):
        ngspice_delay_s("", program=str(tmp_path / "absent"))


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["resistance_ohm", "threshold_volt"])
def test_values_that_no_element_has_are_refused(name, value):
    values = {"resistance_ohm": 1e9, "capacitance_farad": 1e-12, "threshold_volt": 0.5}
    with pytest.raises(InputError, match=f"{name} must be > 0 and finite, got {value}"):
        DelayElement(**{**values, name: value})
    with pytest.raises(InputError, match=f"{name} must be finite and > 0, got {value}"):
        pulse_delay_s(**{**values, name: value}, pulse=Pulse(1.0))


@pytest.mark.parametrize("name", ["supply_volt", "rise_s", "width_s"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan])
def test_pulses_that_no_source_gives_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} must be > 0 and finite, got {value}"):
        Pulse(**{"supply_volt": 1.0, name: value})


def test_differences_are_over_the_model_and_infinite_where_one_never_crosses():
    assert relative_difference(2.0, 2.1) == pytest.approx(0.05)
    assert relative_difference(-2.0, -2.1) == pytest.approx(-0.05)
    assert relative_difference(math.inf, math.inf) == 0
    assert relative_difference(1.0, math.inf) == relative_difference(math.inf, 1.0)
    assert relative_difference(1.0, math.inf) == math.inf
