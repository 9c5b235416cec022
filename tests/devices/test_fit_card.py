import tomllib
from dataclasses import replace

import numpy as np
import pytest

from denram.devices import load_card
from denram.devices.fit import FitSettings, fit_readings
from denram.devices.fit_card import CardHead, card_text
from denram.devices.fit_readings import Readings, Source
from denram.devices.fit_report import report
from denram.errors import InputError

HEAD = CardHead("mine", "CC0-1.0", origin="my bench")
QUICK = FitSettings(n_draws=100)


def readings(r, **more):
    n = len(r)
    made = Readings(
        np.asarray(r),
        np.zeros(n, np.int8),
        np.arange(n),
        None,
        None,
        Source("bench.csv", "ab" * 32, n, 0),
    )
    return replace(made, **more)


def loaded(folder, fit, role, head=HEAD):
    path = folder / "mine.toml"
    path.write_text(card_text(fit, role, head), encoding="utf-8")
    return load_card(path), tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def snapshot():
    r = np.exp(np.random.default_rng(0).normal(26, 0.4, 500))
    return fit_readings(readings(r), "ohm", QUICK)


def test_a_delay_card_is_read_back_with_its_values_and_sources(tmp_path, snapshot):
    head = replace(HEAD, circuit=(1e-12, 0.7))
    card, text = loaded(tmp_path, snapshot, "delay", head)
    law = snapshot.laws["lognormal"].law.parameters()
    assert card.resistance is not None
    assert card.resistance.mean_ohm == pytest.approx(law["mean_ohm"], rel=1e-5)
    assert card.resistance.sigma_ln == pytest.approx(law["sigma_ln"], rel=1e-5)
    assert set(text) == {"card", "hrs", "circuit"}
    mean = text["hrs"]["mean_ohm"]
    assert (mean["kind"], mean["unit"]) == ("measured", "ohm")
    assert "bench.csv, sha256 abababababab..., n = 500" in mean["source"]
    assert "not rejected" in mean["source"]
    assert "my bench; bench.csv, sha256 " + "ab" * 32 in card.source
    assert card.licence == "CC0-1.0"
    # what the user said is no measurement
    assert text["circuit"]["capacitance_farad"]["kind"] == "assumed"


def test_a_card_of_a_range_has_no_state(tmp_path, snapshot):
    head = replace(HEAD, one_state=False)
    card, text = loaded(tmp_path, snapshot, "weight", head)
    assert set(text["lrs"]) == {"g_min_siemens", "g_max_siemens"}
    g = 1 / snapshot.readings.resistance_ohm
    assert card.g_min_siemens == pytest.approx(np.quantile(g, 0.01), rel=1e-5)
    assert card.g_max_siemens == pytest.approx(np.quantile(g, 0.99), rel=1e-5)
    with pytest.raises(InputError, match="--card-out must have something to hold"):
        card_text(snapshot, "delay", head)


@pytest.mark.parametrize("long_tails", [False, True])
def test_levels_become_range_levels_and_programming_error(tmp_path, long_tails):
    rng = np.random.default_rng(1)
    level = np.repeat(np.arange(8), 250)
    gain = rng.standard_t(1.5, 2000) if long_tails else rng.standard_normal(2000)
    r = 1e6 * 0.7**level * np.exp(np.clip(0.1 * gain, -1, 1))
    fit = fit_readings(readings(r, level=level), "ohm", QUICK)
    card, text = loaded(tmp_path, fit, "weight")
    assert card.levels == 8
    assert card.g_max_siemens == pytest.approx(1e-6 / 0.7**7, rel=0.03)
    about = np.concatenate([np.log(r[level == k]) for k in range(8)])
    about -= np.repeat([np.log(np.median(r[level == k])) for k in range(8)], 250)
    sigma = text["lrs"]["programming_sigma_ln"]["value"]
    assert sigma == pytest.approx(np.sqrt(np.mean(about**2)), rel=1e-4)
    assert ("programming_quantiles" in text["lrs"]) == long_tails
    if long_tails:
        table = text["lrs"]["programming_quantiles"]["value"]
        assert table == pytest.approx(
            np.quantile(about, (np.arange(99) + 0.5) / 99), rel=1e-4, abs=1e-6
        )


def test_bands_of_the_reading_give_no_programming_error(tmp_path):
    g = np.random.default_rng(2).uniform(1e-6, 9e-6, 2000)
    level = np.floor(g * 1e6).astype(int)
    fit = fit_readings(readings(1 / g, level=level), "ohm", QUICK)
    _, text = loaded(tmp_path, fit, "weight")
    assert set(text["lrs"]) == {"g_min_siemens", "g_max_siemens", "levels"}


def test_the_report_is_plain_and_whole(snapshot):
    told = report(snapshot)
    assert told["n_devices"] == 500
    assert told["source"]["sha256"] == "ab" * 32
    law = told["laws"]["lognormal"]
    low, high = law["interval_95"]["sigma_ln"]
    assert low < law["parameters"]["sigma_ln"] < high
    assert law["n_draws"] == 100
    assert told["agrees"] is True
    assert told["chosen_law"] == "lognormal"


def test_the_same_seed_gives_the_same_fit(snapshot):
    assert report(fit_readings(snapshot.readings, "ohm", QUICK)) == report(snapshot)


def test_the_law_that_was_asked_for_is_judged():
    r = np.exp(np.random.default_rng(3).choice([10.0, 14.0], 400))
    r *= np.exp(0.1 * np.random.default_rng(4).standard_normal(400))
    fit = fit_readings(readings(r), "ohm", replace(QUICK, law="lognormal"))
    assert (fit.chosen, fit.agrees) == ("lognormal", False)
    assert fit_readings(readings(r), "ohm", QUICK).chosen == "mixture"


def test_a_second_state_is_not_seen_where_there_is_none():
    chosen = []
    for seed in range(20):
        r = np.exp(np.random.default_rng(seed).normal(26, 0.4, 200))
        chosen.append(fit_readings(readings(r), "ohm", FitSettings(n_draws=0)).chosen)
    assert chosen.count("lognormal") >= 19


def test_too_few_devices_and_a_single_value_are_refused():
    r = np.exp(np.random.default_rng(5).normal(10, 0.4, 40))
    with pytest.raises(
        InputError, match="30 devices with known readings or more, got 29"
    ):
        fit_readings(readings(r[:29]), "ohm", QUICK)
    with pytest.raises(InputError, match="readings must differ, got 5000 ohm"):
        fit_readings(readings(np.full(40, 5e3)), "ohm", QUICK)
    twice = readings(r, address=np.arange(40) // 2)
    with pytest.raises(InputError, match="--address must occur once at a time"):
        fit_readings(twice, "ohm", QUICK)
    with pytest.raises(InputError, match="--bootstrap must be 0 or >= 100, got 50"):
        fit_readings(readings(r), "ohm", FitSettings(n_draws=50))
    with pytest.raises(InputError, match="--half-split must stand with --time"):
        fit_readings(readings(r), "ohm", FitSettings(n_draws=0, half_split=True))
