"""The measured arrays of three technologies, where they are at hand."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats as st

from denram.devices import card_names, load_card
from denram.devices.fit_drift import fit_drift
from denram.devices.fit_halves import half_split, split
from denram.devices.fit_levels import fit_levels
from denram.devices.fit_read_noise import fit_read_noise
from denram.devices.fit_readings import Columns, Meaning, read_readings
from denram.devices.fit_series import build_series

pytestmark = pytest.mark.real_data
RELAXATION = Columns("3", address="1", time="2", level="6", header=False)


@pytest.fixture(scope="module")
def folder():
    given = os.environ.get("DENRAM_DATA")
    root = Path(given) if given else Path(__file__).parents[3] / "shared" / "data"
    for found in (root / "rram", root):
        if (found / "techB_relaxation.tsv.gz").exists():
            return found
    pytest.skip(f"no techB_relaxation.tsv.gz under {root}; set DENRAM_DATA to run it")


@pytest.fixture(scope="module")
def series(folder):
    meaning = Meaning("ohm", drop_bad=True)
    found = {}
    for tech in "bc":
        path = folder / f"tech{tech.upper()}_relaxation.tsv.gz"
        found[tech] = build_series(read_readings(path, RELAXATION, meaning))
    return found


@pytest.mark.parametrize("tech", ["b", "c"])
def test_the_shipped_card_is_the_fit_of_the_array(series, tech):
    card = {row.quantity: row for row in load_card(f"rram-tech-{tech}").provenance()}
    law = fit_drift(series[tech])
    assert law is not None
    for name, value in law.parameters().items():
        row = card[f"lrs.{name}"]
        assert row.kind == "measured"
        assert row.value == pytest.approx(value, rel=1e-3, abs=1e-6)
    levels = fit_levels(series[tech].first_ohm, series[tech].level)
    # levels do not overlap: they were made from the reading
    assert levels.bands
    assert "lrs.programming_sigma_ln" not in card
    assert card["lrs.levels"].value == levels.median_ohm.size == 32
    g_max = card["lrs.g_max_siemens"].value
    assert g_max == pytest.approx(1 / levels.median_ohm[-1], rel=1e-5)


@pytest.mark.parametrize("tech", ["b", "c"])
def test_half_of_the_cells_foretells_the_other_at_every_time(series, tech):
    whole = series[tech]
    rows = half_split(whole, seed=0, foretell_first=lambda half: half.first_ohm)
    assert {row.time_s for row in rows} == set(whole.time_s)
    first, second = split(whole.n_cells, 0)
    last = whole.change[:, -1]
    y = [last[cells][np.isfinite(last[cells])] for cells in (first, second)]
    floor: Any = st.ks_2samp(*y, method="asymp")
    assert rows[-1].floor == pytest.approx(floor.statistic)
    for row in rows[1:]:
        bound = 1.95 * (1 / row.n_first + 1 / row.n_second) ** 0.5  # p = 0.001
        assert row.floor < bound
        assert row.table is not None
        assert row.table < bound
        assert row.normal is not None
        # the normal law misses: a card says so
        assert row.normal > row.table


def test_the_read_noise_of_the_card_is_that_of_the_series(folder):
    found = fit_read_noise(folder / "techA_read_noise.tsv.gz", unit="siemens", skip=2)
    assert (found.relative.size, found.n_reads) == (5, 100_000)
    card = {row.quantity: row for row in load_card("rram-tech-a").provenance()}
    assert card["lrs.read_noise"].value == pytest.approx(found.median, rel=1e-5)


def test_a_bake_has_two_times_and_no_drift_law(folder):
    columns = Columns("3", address="1", time="2", where=(("5", "260"),), header=False)
    bake = build_series(
        read_readings(folder / "techA_bake.tsv.gz", columns, Meaning("ohm"))
    )
    assert (bake.n_cells, bake.time_s.size) == (16384, 2)
    assert fit_drift(bake) is None
    rows = half_split(bake, seed=0, foretell_first=lambda half: half.first_ohm)
    assert all(row.table is not None and row.table < 0.03 for row in rows)


def test_the_cards_of_the_arrays_ship():
    assert {f"rram-tech-{tech}" for tech in "abc"} <= set(card_names())
