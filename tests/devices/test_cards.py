import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from denram import devices
from denram.devices import LognormalResistance, RCDelay, card_names, load_card
from denram.errors import InputError

CARDS = Path(devices.__file__).parent / "cards"


@pytest.fixture
def card():
    """The speech card as a dictionary that a test may spoil."""
    return tomllib.loads((CARDS / "denram-speech.toml").read_text("utf-8"))


@pytest.fixture
def read(tmp_path):
    def write_and_load(values):
        path = tmp_path / "own.toml"
        path.write_text(tomli_w.dumps(values), encoding="utf-8")
        return load_card(path)

    return write_and_load


NAN = float("nan")
TABLE = "hrs.programming_quantiles must"


def quantity(value, unit):
    return {"value": value, "unit": unit, "kind": "assumed", "source": "a test"}


def test_the_speech_card_holds_the_published_parameters():
    card = load_card("denram-speech")
    assert card.resistance == LognormalResistance(mean_ohm=500e9, sigma_ln=0.4)
    assert card.rc == RCDelay(1e-12, threshold_factor=1.0, capacitor_sigma=0.0)
    assert (card.timestep_s, card.max_delay, card.noise_std) == (5e-3, 200, 0.1)
    assert isinstance(card.max_delay, int)
    assert {row.kind for row in card.provenance()} == {"published"}


def test_the_chip_cards_delays_span_the_measured_range():
    card = load_card("denram-chip")
    rows = {row.quantity: row for row in card.provenance()}
    assert card.rc is not None
    assert card.resistance is not None
    delays = card.rc.delay_s(card.resistance.quantile([0.01, 0.99]))
    np.testing.assert_allclose(delays, [8.08e-3, 58.26e-3], rtol=1e-9)
    measured = [rows[f"measured.{end}_delay_s"] for end in ("shortest", "longest")]
    np.testing.assert_allclose([row.value for row in measured], [8.08e-3, 58.26e-3])
    for row in rows.values():
        assert row.kind == ("measured" if row in measured else "assumed")
        assert row.kind == "measured" or row.source.startswith(("assumed:", "derived:"))


def test_what_a_card_does_not_know_stays_unknown():
    card = load_card("denram-chip")
    weight = (card.g_min_siemens, card.g_max_siemens, card.levels, card.noise_std)
    assert weight == (None, None, None, None)


@pytest.mark.parametrize("name", card_names())
def test_provenance_lists_every_value_of_the_file_with_its_source(name):
    file = tomllib.loads((CARDS / f"{name}.toml").read_text("utf-8"))
    assert file.pop("card")["name"] == name
    listed = {row.quantity: row[1:] for row in load_card(name).provenance()}
    assert listed == {
        f"{group}.{key}": (
            entry["value"],
            entry["unit"],
            entry["kind"],
            entry["source"],
        )
        for group, entries in file.items()
        for key, entry in entries.items()
    }


def test_a_card_of_ones_own_may_describe_weight_devices(card, read):
    card["lrs"] |= {
        "g_min_siemens": quantity(1e-6, "siemens"),
        "g_max_siemens": quantity(1e-4, "siemens"),
        "levels": quantity(8, "1"),
    }
    own = read(card)
    assert (own.g_min_siemens, own.g_max_siemens, own.levels) == (1e-6, 1e-4, 8)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("hrs.mean_ohm.value", -1.0, "hrs.mean_ohm must be > 0 .*, got -1.0"),
        ("hrs.mean_ohm.value", float("nan"), "hrs.mean_ohm must be finite, got nan"),
        ("hrs.mean_ohm.value", float("inf"), "hrs.mean_ohm must be finite, got inf"),
        ("hrs.mean_ohm.value", "many", "hrs.mean_ohm.value must be float, got 'many'"),
        ("hrs.mean_ohm.unit", "Gohm", "hrs.mean_ohm must be in ohm, got 'Gohm'"),
        ("hrs.mean_ohm.kind", "guessed", "hrs.mean_ohm.kind must be one of"),
        ("hrs.mean_ohm.source", "", "hrs.mean_ohm.source must be .*, got ''"),
        ("hrs.mean_ohm.note", "x", "unknown key 'note'"),
        ("hrs.median_ohm", {}, "unknown key 'median_ohm'"),
        ("extra", {}, "unknown key 'extra'"),
        ("clock.timestep_s.value", 0.0, "clock.timestep_s must be > 0 .*, got 0.0"),
        ("clock.timestep_s.unit", "ms", "clock.timestep_s must be in second, got 'ms'"),
        (
            "clock.max_delay.value",
            1.5,
            "clock.max_delay must be a whole number .*, got 1.5",
        ),
        (
            "clock.max_delay.value",
            -1,
            "clock.max_delay must be a whole number .*, got -1",
        ),
        (
            "circuit.capacitor_sigma.value",
            0.6,
            "circuit.capacitor_sigma must be .*, got 0.6",
        ),
        ("lrs.noise_std.value", -0.1, "lrs.noise_std must be >= 0 .*, got -0.1"),
        ("lrs.levels", quantity(1, "1"), "lrs.levels must be .* from 2 .*, got 1"),
        ("lrs.g_min_siemens", quantity(0, "siemens"), "lrs.g_min_siemens must be > 0"),
        ("measured", 3, "measured must be object, got 3"),
        ("hrs.drift_nu", quantity(10.5, "1"), "hrs.drift_nu must be .*, got 10.5"),
        ("hrs.drift_nu", quantity(NAN, "1"), "hrs.drift_nu must be finite"),
        ("hrs.activation_ev", quantity(0.2, "eV"), "hrs.activation_ev must be in elec"),
        ("hrs.verify_pulses", quantity(0, "1"), "hrs.verify_pulses must be .* from 1 "),
        ("hrs.verify_tolerance", quantity(2, "1"), "hrs.verify_tolerance must be .*<="),
        ("hrs.relaxation_power", quantity(-1, "1"), "hrs.relaxation_power must be >="),
        ("hrs.read_noise", quantity(0.6, "1"), "hrs.read_noise must be .* got 0.6"),
        ("hrs.stuck_hrs_fraction", quantity(1.1, "1"), "hrs.stuck_hrs_fraction must"),
        ("hrs.reference_kelvin", quantity(0, "kelvin"), "hrs.reference_kelvin must be"),
        (
            "circuit.supply_volt",
            quantity(-1, "volt"),
            "circuit.supply_volt must be > 0",
        ),
        ("circuit.comparator_sigma", quantity(1, "1"), "circuit.comparator_sigma must"),
        ("energy", {"read_volt": quantity(0, "volt")}, "energy.read_volt must be > 0"),
        ("energy", {"fuel_joule": quantity(1, "joule")}, "unknown key 'fuel_joule'"),
        ("hrs.programming_quantiles", quantity([], "1"), f"{TABLE} be two numbers"),
        ("hrs.programming_quantiles", quantity([0.1], "1"), f"{TABLE} be two numbers"),
        ("hrs.programming_quantiles", quantity([1, 0], "1"), f"{TABLE} ascend, got 1"),
        ("hrs.programming_quantiles", quantity([0, NAN], "1"), f"{TABLE} hold no NaN"),
        (
            "hrs.programming_quantiles",
            quantity(0.1, "1"),
            r".*value must be array, got",
        ),
        ("hrs.programming_quantiles", quantity(["a"], "1"), r".*value\[0\] must be fl"),
        ("hrs.drift_nu", quantity([0.1, 0.2], "1"), "hrs.drift_nu.value must be float"),
        ("hrs", {"mean_ohm": {}}, "hrs.mean_ohm .*missing required field"),
    ],
)
def test_a_bad_card_is_refused_in_one_line(card, read, path, value, message):
    *parents, last = path.split(".")
    table = card
    for parent in parents:
        table = table[parent]
    table[last] = value
    with pytest.raises(InputError, match=rf"^card [^\n]*own.toml: {message}") as caught:
        read(card)
    assert "\n" not in str(caught.value)


def test_conductances_in_the_wrong_order_are_refused(card, read):
    card["lrs"] |= {
        "g_min_siemens": quantity(1e-4, "siemens"),
        "g_max_siemens": quantity(1e-4, "siemens"),
    }
    with pytest.raises(InputError, match="g_max_siemens must be > g_min_siemens"):
        read(card)


@pytest.mark.parametrize(
    ("group", "name", "other"),
    [
        ("hrs", "mean_ohm", "sigma_ln"),
        ("hrs", "sigma_ln", "mean_ohm"),
        ("circuit", "capacitance_farad", "threshold_factor"),
        ("circuit", "threshold_factor", "capacitance_farad"),
    ],
)
def test_half_of_a_law_is_refused(card, read, group, name, other):
    del card[group][name]
    message = rf"{group}\.{name} must be given where {group}\.{other} is"
    with pytest.raises(InputError, match=message):
        read(card)


@pytest.mark.parametrize("group", ["hrs", "lrs"])
def test_more_stuck_devices_than_there_are_are_refused(card, read, group):
    card[group] |= {
        "stuck_hrs_fraction": quantity(0.75, "1"),
        "stuck_lrs_fraction": quantity(0.5, "1"),
    }
    with pytest.raises(InputError, match=rf"{group}\.stuck .* must be <= 1, got 1\.25"):
        read(card)


def test_every_agreed_quantity_is_read_in_both_groups(card, read):
    values = {
        "programming_sigma_ln": (0.1, "1"),
        "programming_sigma_relative": (0.2, "1"),
        "programming_quantiles": ([-0.1, 0.0, 0.2], "1"),
        "verify_tolerance": (0.05, "1"),
        "verify_pulses": (20, "1"),
        "stuck_hrs_fraction": (0.01, "1"),
        "stuck_lrs_fraction": (0.02, "1"),
        "drift_nu": (-0.03, "1"),
        "drift_nu_sigma": (0.01, "1"),
        "relaxation_sigma_ln": (0.1, "1"),
        "relaxation_power": (0.5, "1"),
        "drift_start_s": (1e-3, "second"),
        "read_noise": (0.02, "1"),
        "activation_ev": (0.2, "electronvolt"),
        "reference_kelvin": (300, "kelvin"),
    }
    own = {name: quantity(*value) for name, value in values.items()}
    card["hrs"] |= own
    state = {"mean_ohm": quantity(1e4, "ohm"), "sigma_ln": quantity(0.1, "1")}
    card["lrs"] |= own | state
    card["circuit"] |= {
        "comparator_sigma": quantity(0.01, "1"),
        "supply_volt": quantity(1.2, "volt"),
    }
    card["energy"] = {
        "comparator_static_watt": quantity(1e-9, "watt"),
        "comparator_event_joule": quantity(1e-15, "joule"),
        "leakage_ampere": quantity(0, "ampere"),
        "read_volt": quantity(0.2, "volt"),
        "read_pulse_s": quantity(1e-8, "second"),
    }
    read_card = read(card)
    for group in ("hrs", "lrs"):
        for name, (value, _) in values.items():
            expected = tuple(value) if isinstance(value, list) else value
            assert read_card.value(f"{group}.{name}") == expected
    assert read_card.resistance == LognormalResistance(500e9, 0.4)
    assert read_card.weight_resistance == LognormalResistance(1e4, 0.1)
    assert read_card.rc == RCDelay(1e-12, comparator_sigma=0.01)
    assert read_card.value("circuit.supply_volt") == 1.2
    assert read_card.value("energy.leakage_ampere") == 0.0
    assert read_card.value("energy.read_pulse_s") == 1e-8


@pytest.mark.parametrize("group", ["hrs", "lrs", "circuit", "clock"])
def test_a_card_may_hold_one_group_alone(card, read, group):
    alone = read({"card": card["card"], group: card[group]})
    whole = read(card)
    assert [row.quantity for row in alone.provenance()] == [
        f"{group}.{name}" for name in card[group]
    ]
    groups = {
        "resistance": "hrs",
        "rc": "circuit",
        "timestep_s": "clock",
        "max_delay": "clock",
        "noise_std": "lrs",
    }
    for attribute, its_group in groups.items():
        known = getattr(whole, attribute) if its_group == group else None
        assert getattr(alone, attribute) == known
    assert alone.weight_resistance is None
    assert alone.value("hrs.drift_nu") is None


def test_a_spread_of_the_circuit_that_is_left_out_is_none(card, read):
    del card["circuit"]["capacitor_sigma"]
    assert read(card).rc == RCDelay(1e-12)


def test_an_unknown_card_is_refused_with_the_names_of_the_known_ones():
    with pytest.raises(InputError, match=r"one of denram-chip, .*, got 'sram'"):
        load_card("sram")
    with pytest.raises(InputError, match=r"cannot read .*missing.toml"):
        load_card("missing.toml")
