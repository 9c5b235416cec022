import math
import subprocess
import sys
from inspect import signature

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from denram.analysis.energy import (
    COMPUTED,
    PARTIAL,
    PUBLISHED,
    UNKNOWN,
    Constant,
    constant_rows,
    evaluate,
    published_rows,
)
from denram.analysis.energy_figure import energy_figure
from denram.analysis.energy_formulas import FORMULAS, SYMBOLS, swing
from denram.analysis.energy_inputs import (
    activity,
    activity_rows,
    conductance_siemens,
    constants,
    energy_dataset,
)
from denram.devices import load_card
from denram.errors import InputError
from denram.mapping import MapConfig, build_map
from denram.train.data import SpikeSet

# exponents of kilogram, metre, second, ampere
_UNITS = {
    "1": (0, 0, 0, 0),
    "second": (0, 0, 1, 0),
    "ampere": (0, 0, 0, 1),
    "volt": (1, 2, -3, -1),
    "farad": (-1, -2, 4, 2),
    "siemens": (-1, -2, 3, 2),
    "joule": (1, 2, -2, 0),
    "watt": (1, 2, -3, 0),
    "m2": (0, 2, 0, 0),
    "farad/m2": (-1, -4, 4, 2),
}


class Dimension:
    def __init__(self, powers):
        self.powers = powers

    def _powers(self, other):
        return other.powers if isinstance(other, Dimension) else _UNITS["1"]

    def __mul__(self, other):
        both = zip(self.powers, self._powers(other), strict=True)
        return Dimension(tuple(a + b for a, b in both))

    __rmul__ = __mul__

    def __truediv__(self, other):
        both = zip(self.powers, self._powers(other), strict=True)
        return Dimension(tuple(a - b for a, b in both))

    def __pow__(self, n):
        return Dimension(tuple(a * n for a in self.powers))

    def __add__(self, other):
        assert self.powers == self._powers(other), "a sum of different dimensions"
        return self

    __radd__ = __sub__ = __add__


def unit_of(name):
    return (SYMBOLS.get(name) or FORMULAS[name]).unit


def evaluated(text, values, sqrt=math.sqrt):
    return eval(text, {"__builtins__": {}, "sqrt": sqrt}, values)


@pytest.mark.parametrize("name", FORMULAS)
def test_each_formulas_text_is_what_is_computed(name):
    formula = FORMULAS[name]
    random = np.random.default_rng(len(name))
    parts = list(signature(formula.compute).parameters)
    for _ in range(20):
        values = {part: float(random.uniform(0.5, 50)) for part in parts}
        wanted = evaluated(formula.text, values)
        assert formula.compute(**values) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_each_formulas_unit_is_that_of_its_parts(name):
    formula = FORMULAS[name]
    names = signature(formula.compute).parameters
    parts = {name: Dimension(_UNITS[unit_of(name)]) for name in names}
    found = evaluated(formula.text, parts, sqrt=lambda x: x**0.5)
    assert found.powers == _UNITS[formula.unit]


def test_a_formula_only_takes_symbols_and_formulas_before_it():
    known = set(SYMBOLS)
    assert not known & set(FORMULAS)
    for name, formula in FORMULAS.items():
        assert set(signature(formula.compute).parameters) <= known
        known.add(name)


def all_known(**changed):
    """A number for each symbol, chosen so that a hand can compute with it."""
    values = {name: 2.0 for name in SYMBOLS} | {
        "N_in": 10,
        "N_ev": 1000,
        "N_syn": 400,
        "N_cmp": 400,
        "N_ch": 5,
        "N_out": 4,
        "D": 20,
        "K_in": 80,
        "K": 100,
        "dt": 0.01,
        "t_ev": 0.1,
        "C": 1e-12,
        "s": 1.0,
        "Vdd": 2.0,
        "I_leak": 1e-13,
        "P_cmp": 1e-12,
        "E_cmp": 3e-15,
        "V_rd": 0.5,
        "t_rd": 1e-6,
        "G": 1e-6,
        "E_ff": 1e-15,
        "E_tog": 2e-15,
        "E_bit": 1e-14,
        "E_add": 5e-14,
        "B_w": 8,
        "B_acc": 16,
        "N_par": 22,
        "N_hid": 6,
        "E_mac": 1e-12,
        "E_syn": 1e-13,
        "c_A": 2e-3,
        "A_dev": 1e-12,
        "A_cmp": 1e-10,
    }
    values |= changed
    return {name: Constant(v, "given", name) for name, v in values.items()}


def results(known):
    return {row.symbol: row for row in evaluate(known)}


def test_every_quantity_is_the_one_computed_by_hand():
    wanted = {
        "T": 1.0,
        "E_C": 4e-9,  # 1000 x 1 pF x 4 V^2
        "E_lk": 2e-11,  # 1000 x 0.1 pA x 2 V x 0.1 s
        "E_st": 4e-10,  # 400 x 1 pW x 1 s
        "E_sw": 3e-12,
        "E_rd": 2.5e-10,  # 1000 x 0.25 V^2 x 1 uS x 1 us
        "E_den": 4.673e-9,
        "P_den": 4.673e-9,
        "E_w": 8e-11,
        "E_sum": 5e-11,
        "B_sr": 100,
        "E_clk": 1e-11,
        "E_tg": 8e-13,
        "E_sr": 1.408e-10,
        "X_sr": 1.408e-10 / 4.673e-9,
        "B_rb": 4 * 21 * 16,
        "E_rmw": 3.2e-10,
        "E_dr": 1.28e-10,
        "E_rb": 5.78e-10,
        "X_rb": 5.78e-10 / 4.673e-9,
        "N_w": 404,
        "X_par": 22 / 404,
        "H": 2.0,  # 5 x 2 + 2 x 2 + 2 x 4 = 22
        "M": 1760,
        "S": 10 * 2 + 6 * (2 + 4),
        "E_md": 1.76e-9,
        "E_so": 5.6e-12,
        "X_md": 1.76e-9 / 4.673e-9,
        "X_so": 5.6e-12 / 4.673e-9,
        "A_C": 2e-7,
        "A_R": 8e-10,
        "A_q": 4e-8,
        "A": 2.408e-7,
    }
    found = results(all_known())
    assert {name: row.value for name, row in found.items()} == pytest.approx(wanted)
    assert {row.kind for row in found.values()} == {COMPUTED}


@given(
    st.sampled_from(["Vdd", "C", "N_ev", "K", "D", "V_rd", "E_bit"]),
    st.floats(0.01, 100),
)
def test_energies_scale_as_physics_says(name, factor):
    power = {
        "Vdd": {"E_C": 2, "E_lk": 1, "E_st": 0, "E_rd": 0},
        "C": {"E_C": 1, "E_lk": 0, "A_C": 1},
        "N_ev": {"E_C": 1, "E_lk": 1, "E_sw": 1, "E_rd": 1, "E_st": 0, "E_rmw": 1},
        "K": {"E_st": 1, "E_clk": 1, "E_dr": 1, "E_C": 0, "E_tg": 0},
        "D": {"B_sr": 1, "E_clk": 1, "E_tg": 1, "E_C": 0},
        "V_rd": {"E_rd": 2, "E_C": 0},
        "E_bit": {"E_w": 1, "E_rmw": 1, "E_dr": 1, "E_clk": 0},
    }[name]
    before = all_known()
    after = {**before, name: Constant((before[name].value or 0) * factor, "given", "")}
    one, two = results(before), results(after)
    for symbol, n in power.items():
        wanted = (one[symbol].value or 0) * factor**n
        assert two[symbol].value == pytest.approx(wanted, rel=1e-9)


@given(st.sets(st.sampled_from([n for n in SYMBOLS if SYMBOLS[n].flag])))
def test_what_is_unknown_is_never_made_up(lost):
    known = {name: v for name, v in all_known().items() if name not in lost}
    found = results(known)
    full = results(all_known())
    for name, formula in FORMULAS.items():
        parts = signature(formula.compute).parameters
        gone = [
            p for p in parts if p in lost or (p in found and found[p].value is None)
        ]
        row = found[name]
        if not gone and row.kind == COMPUTED:
            assert row.value == full[name].value
        elif formula.total and len(gone) < len(parts):
            assert row.kind == PARTIAL
            kept = [p for p in parts if p not in gone]
            assert row.value == pytest.approx(sum(found[p].value or 0 for p in kept))
        elif name == "P_den" and not gone:
            assert row.kind == PARTIAL
        else:
            assert (row.value, row.kind) == (None, UNKNOWN)
        if gone:
            assert any(SYMBOLS[s].flag in row.source for s in lost)


def test_a_ratio_of_a_partial_sum_is_unknown_and_says_why():
    known = all_known()
    del known["G"]
    found = results(known)
    assert found["E_den"].kind == PARTIAL
    assert found["E_den"].source == "without E_rd; unknown: give --read_siemens"
    assert found["E_den"].value == pytest.approx(4.423e-9)
    assert found["X_sr"].value is None
    assert found["X_sr"].source == "unknown: E_den is partial"
    assert found["E_sr"].kind == COMPUTED


def test_assumed_values_are_marked_in_all_that_comes_of_them():
    known = all_known()
    known["P_cmp"] = Constant(1e-12, "assumed", "a guess")
    found = results(known)
    for name in ("E_st", "E_den", "P_den", "X_sr", "X_md"):
        assert found[name].kind == "computed from assumed values"
    for name in ("E_C", "E_sr", "A"):
        assert found[name].kind == COMPUTED
    del known["G"]
    assert results(known)["E_den"].kind == "partial from assumed values"


def test_no_division_by_zero_becomes_a_number():
    zero = dict.fromkeys(("N_ev", "P_cmp"), 0.0)
    found = results(all_known(**zero))
    assert found["E_den"].value == 0
    assert (found["X_sr"].value, found["X_sr"].kind) == (None, UNKNOWN)


def test_constants_and_what_the_page_says_have_rows_with_sources():
    rows = constant_rows({"C": Constant(1e-12, "assumed", "a card")})
    assert [row.symbol for row in rows] == list(SYMBOLS)
    by_name = {row.symbol: row for row in rows}
    assert (by_name["C"].value, by_name["C"].source) == (1e-12, "a card")
    assert by_name["Vdd"].source == "unknown: give --supply_volt"
    assert [row.value for row in published_rows()] == [5.30e-9, 16, 35, 5]
    assert all("ECG" in row.source for row in published_rows())
    assert len(PUBLISHED) == 4


def test_the_swing_is_one_or_what_the_threshold_needs():
    assert swing(1.0, "full") == 1.0
    assert swing(math.log(2), "threshold") == pytest.approx(0.5)


def chip_and_spikes(seed, *, n_in=5, n_out=3, n_tap=2, n_samples=6):
    random = np.random.default_rng(seed)
    config = MapConfig(n_in=n_in, n_out=n_out, n_delays=n_tap, max_delay=30)
    chip = build_map(config, seed=seed, noise_std=0.0)
    chip.mask[:] = random.random(chip.mask.shape) < 0.7
    chip.mask[0, 0, 0] = True
    dense = random.random((n_samples, 9, n_in)) < 0.2
    dense[:, :, 2] = False
    sample, step, channel = np.nonzero(dense)
    spikes = SpikeSet(
        step=step.astype(np.uint16),
        channel=channel.astype(np.uint16),
        offset=np.searchsorted(sample, np.arange(n_samples + 1)),
        label=np.zeros(n_samples, np.int16),
        speaker=np.zeros(n_samples, np.int16),
        n_in=n_in,
        n_steps=9,
        n_classes=2,
        name="toy",
    )
    return chip, spikes, dense


@pytest.mark.filterwarnings("ignore::denram.errors.DenRAMWarning")
@given(st.integers(0, 1000))
@settings(max_examples=25)
def test_events_are_counted_as_one_by_one(seed):
    chip, spikes, dense = chip_and_spikes(seed)
    events, delays, counts = np.zeros(6, int), [], np.zeros(6, int)
    for i, _, c in zip(*np.nonzero(dense), strict=True):
        counts[i] += 1
        for o, k in np.ndindex(3, 2):
            if chip.mask[o, c, k]:
                events[i] += 1
                delays.append(chip.delay_s[o, c, k])
    found = activity(spikes, chip)
    np.testing.assert_array_equal(found.spikes, counts)
    np.testing.assert_array_equal(found.events, events)
    np.testing.assert_array_equal(found.per_channel, dense.sum(axis=(0, 1)))
    assert found.live <= 4
    assert found.delay_s == pytest.approx(np.mean(delays))
    rows = {row.quantity: row.value for row in activity_rows(found)}
    per_live = rows["spikes per live channel and inference"]
    assert per_live == pytest.approx(counts.mean() / found.live)


@pytest.mark.filterwarnings("ignore::denram.errors.DenRAMWarning")
def test_symbols_come_from_data_map_card_and_flags():
    chip, spikes, _ = chip_and_spikes(1)
    card = load_card("denram-speech")
    found = activity(spikes, chip)
    known = constants(found, chip, card, {"Vdd": 1.2, "B_w": 4}, positive=True)
    assert known["N_ev"].value == found.events.mean()
    assert (known["K_in"].value, known["K"].value) == (9, 39)
    assert (known["N_syn"].value, known["N_cmp"].kind) == (chip.mask.sum(), "assumed")
    assert (known["C"].value, known["C"].kind) == (1e-12, "published")
    assert (known["Vdd"].value, known["Vdd"].kind) == (1.2, "given")
    assert known["N_dev"].value == 2
    assert "P_cmp" not in known
    pair = constants(found, chip, card, {}, positive=False, charge="threshold")
    assert pair["N_dev"].value == 3
    assert pair["s"].value == pytest.approx(1 - math.exp(-1))
    on_chip = constants(found, chip, load_card("denram-chip"), {}, positive=True)
    assert (on_chip["C"].kind, on_chip["t_ev"].kind) == (
        "assumed",
        "counted, from assumed resistances",
    )


@pytest.mark.filterwarnings("ignore::denram.errors.DenRAMWarning")
def test_silence_costs_no_events_and_leaves_their_delay_unknown():
    chip, spikes, _ = chip_and_spikes(1)
    silent = spikes.select([0])
    silent = SpikeSet(
        step=silent.step[:0],
        channel=silent.channel[:0],
        offset=np.zeros(2, np.int64),
        label=silent.label,
        speaker=silent.speaker,
        n_in=5,
        n_steps=9,
        n_classes=2,
        name="silence",
    )
    found = activity(silent, chip)
    card = load_card("denram-speech")
    known = constants(found, chip, card, {"Vdd": 1.0, "I_leak": 1e-15}, positive=True)
    assert known["N_ev"].value == 0
    assert "t_ev" not in known
    rows = results(known)
    assert rows["E_C"].value == 0
    assert rows["E_lk"].value is None
    energy_figure(energy_dataset(list(rows.values()), found)).draw_without_rendering()


@pytest.mark.filterwarnings("ignore::denram.errors.DenRAMWarning")
def test_conductance_is_that_of_the_devices_that_spikes_read():
    config = MapConfig(n_in=5, n_out=3, n_delays=2, g_min=1e-6, g_max=5e-6)
    chip = build_map(config, seed=1, noise_std=0.0)
    _, spikes, dense = chip_and_spikes(1)
    found = activity(spikes, chip)
    weights = np.random.default_rng(0).uniform(-1, 1, chip.mask.shape)
    pair = conductance_siemens(weights, chip, positive=False, weight_max=1.0)
    assert pair is not None
    # both devices rest at g_min and one of them carries |w|
    np.testing.assert_allclose(pair, 2e-6 + 4e-6 * np.abs(weights))
    single = conductance_siemens(weights, chip, positive=True, weight_max=None)
    largest = np.abs(weights).max()
    assert single is not None
    np.testing.assert_allclose(single, 1e-6 + 4e-6 * np.maximum(weights, 0) / largest)
    card = load_card("denram-speech")
    known = constants(found, chip, card, {}, positive=False, conductance=pair)
    read = [pair[:, c] for _, _, c in zip(*np.nonzero(dense), strict=True)]
    assert known["G"].value == pytest.approx(np.mean(read))
    chip, _, _ = chip_and_spikes(1)
    assert conductance_siemens(weights, chip, positive=True, weight_max=None) is None


@pytest.mark.filterwarnings("ignore::denram.errors.DenRAMWarning")
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Vdd": 0.0}, "supply_volt must be > 0, got 0.0"),
        ({"I_leak": -1.0}, "leakage_ampere must be >= 0, got -1.0"),
        ({"B_w": 1.5}, "weight_bits must be a whole number >= 1, got 1.5"),
        ({"P_cmp": math.nan}, "comparator_static_watt must be >= 0, got nan"),
        ({"E_add": math.inf}, "add_joule must be >= 0, got inf"),
    ],
)
def test_constants_out_of_range_are_refused_by_their_flags_name(given, message):
    chip, spikes, _ = chip_and_spikes(1)
    found = activity(spikes, chip)
    with pytest.raises(InputError, match=message):
        constants(found, chip, load_card("denram-speech"), given, positive=True)


@pytest.mark.filterwarnings("ignore::denram.errors.DenRAMWarning")
def test_data_of_another_width_or_without_samples_are_refused():
    chip, spikes, _ = chip_and_spikes(1)
    other = build_map(MapConfig(n_in=4, n_out=2, n_delays=1), seed=0, noise_std=0.0)
    with pytest.raises(InputError, match="n_in must be 4 as on the chip, got 5"):
        activity(spikes, other)
    with pytest.raises(InputError, match="at least one sample"):
        activity(spikes.select([]), chip)


@pytest.mark.filterwarnings("ignore::denram.errors.DenRAMWarning")
def test_the_figure_marks_known_partial_and_unknown_terms():
    chip, spikes, _ = chip_and_spikes(1)
    known = all_known()
    del known["G"]
    rows = evaluate(known)
    data = energy_dataset(rows, activity(spikes, chip))
    figure = energy_figure(data)
    figure.draw_without_rendering()
    energy, histogram = figure.axes
    terms = [row for row in rows if row.unit == "joule"]
    assert [t.get_text() for t in energy.get_yticklabels()] == [
        row.quantity for row in terms
    ]
    marks = [float(np.asarray(line.get_xdata())[0]) for line in energy.lines]
    assert marks == [row.value for row in terms if row.value is not None]
    told = [text.get_text().strip() for text in energy.texts]
    assert told.count("unknown") == 1
    assert sum("(partial)" in text for text in told) == 1
    heights = [patch.get_height() for patch in histogram.patches]  # pyright: ignore[reportAttributeAccessIssue]
    assert sum(heights) == 6


def test_the_figure_needs_neither_training_nor_devices():
    script = (
        "import sys, denram.analysis.energy_figure; "
        "sys.exit(', '.join(m for m in sys.modules if m.startswith(('denram.train', "
        "'denram.mapping', 'denram.devices', 'jax'))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")
