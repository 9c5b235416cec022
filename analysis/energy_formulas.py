"""What an inference takes: the symbols, and the formulas over them.

DenRAM's side follows the events: each input spike reaches every delay synapse of its
channel, charges a capacitor there, switches a comparator and reads a weight device.
The digital delay lines keep the same whole-step delays and add the same weights, so
that their accuracy is the idealised network's. Not counted anywhere: neurons, bias
currents, programming, routing, clock trees, converters.

A formula's text is Python over the symbols, and a test evaluates it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, sqrt

ANALOG, SHIFT, RING, RECURRENT, AREA = (
    "DenRAM",
    "digital: shift registers",
    "digital: ring buffers in SRAM",
    "recurrent net",
    "area",
)


@dataclass(frozen=True)
class Symbol:
    """A number that the formulas take.

    Attributes:
        meaning: what it is.
        unit: SI, or 1.
        flag: what sets it on the command line; empty if it is counted.
        card: its quantity of a device card, `group.name`, if it has one.
        lowest: smallest value.
        open: the smallest value itself is not allowed.
        whole: only whole numbers.
    """

    meaning: str
    unit: str
    flag: str = ""
    card: str = ""
    lowest: float = 0.0
    open: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Formula:
    """One quantity from symbols and from formulas before it.

    Attributes:
        group: table that it stands in.
        name: what it is.
        unit: of the result.
        text: the formula, in Python.
        compute: the same; its parameters are the symbols.
        note: what it assumes.
        total: a sum, which is partial where a term is unknown.
    """

    group: str
    name: str
    unit: str
    text: str
    compute: Callable[..., float]
    note: str = ""
    total: bool = False


SYMBOLS: Mapping[str, Symbol] = {
    "N_in": Symbol("input spikes per inference, mean", "1"),
    "N_ev": Symbol("delay-synapse events per inference, mean", "1"),
    "N_syn": Symbol("delay synapses on the chip", "1"),
    "N_cmp": Symbol("comparators on the chip", "1"),
    "N_ch": Symbol("input channels", "1"),
    "N_out": Symbol("neurons", "1"),
    "N_dev": Symbol("resistive devices per synapse", "1"),
    "D": Symbol("longest delay, steps", "1"),
    "K_in": Symbol("steps of the input window", "1"),
    "K": Symbol("steps of an inference, until the last delayed spike", "1"),
    "dt": Symbol("length of a step", "second"),
    "t_ev": Symbol("delay of an event, mean", "second"),
    "C": Symbol("capacitance", "farad", card="circuit.capacitance_farad"),
    "s": Symbol("share of the supply that the capacitor is charged to", "1"),
    "Vdd": Symbol("supply", "volt", "--supply_volt", "circuit.supply_volt", open=True),
    "I_leak": Symbol(
        "leakage of a charged capacitor",
        "ampere",
        "--leakage_ampere",
        "energy.leakage_ampere",
    ),
    "P_cmp": Symbol(
        "a comparator at rest",
        "watt",
        "--comparator_static_watt",
        "energy.comparator_static_watt",
    ),
    "E_cmp": Symbol(
        "a comparator's switching",
        "joule",
        "--comparator_event_joule",
        "energy.comparator_event_joule",
    ),
    "V_rd": Symbol("read voltage", "volt", "--read_volt", "energy.read_volt"),
    "t_rd": Symbol("read pulse", "second", "--read_pulse_s", "energy.read_pulse_s"),
    "G": Symbol("conductance read per event, mean", "siemens", "--read_siemens"),
    "E_ff": Symbol("clocking one flip-flop", "joule", "--flipflop_clock_joule"),
    "E_tog": Symbol("a flip-flop's toggle", "joule", "--flipflop_toggle_joule"),
    "E_bit": Symbol("reading or writing a memory bit", "joule", "--memory_bit_joule"),
    "E_add": Symbol("adding a weight", "joule", "--add_joule"),
    "B_w": Symbol("bits of a weight", "1", "--weight_bits", lowest=1, whole=True),
    "B_acc": Symbol("bits of a sum", "1", "--accumulator_bits", lowest=1, whole=True),
    "N_par": Symbol(
        "parameters of a recurrent net of equal accuracy",
        "1",
        "--recurrent_parameters",
        lowest=1,
        whole=True,
    ),
    "N_hid": Symbol("its hidden spikes per inference", "1", "--hidden_spikes"),
    "E_mac": Symbol("a multiply-accumulate", "joule", "--mac_joule"),
    "E_syn": Symbol("a synaptic operation", "joule", "--synop_joule"),
    "c_A": Symbol(
        "capacitance per area",
        "farad/m2",
        "--capacitor_density_farad_per_m2",
        open=True,
    ),
    "A_dev": Symbol("area of a resistive device", "m2", "--device_area_m2"),
    "A_cmp": Symbol("area of a comparator", "m2", "--comparator_area_m2"),
}

FORMULAS: Mapping[str, Formula] = {
    "T": Formula(
        ANALOG, "time of an inference", "second", "K * dt", lambda K, dt: K * dt
    ),
    "E_C": Formula(
        ANALOG,
        "capacitors, charge from the supply",
        "joule",
        "N_ev * C * Vdd**2 * s",
        lambda N_ev, C, Vdd, s: N_ev * C * Vdd**2 * s,
        "charge C s Vdd at Vdd, C (s Vdd)**2 / 2 of it stored; every spike is served",
    ),
    "E_lk": Formula(
        ANALOG,
        "leakage over the delays",
        "joule",
        "N_ev * I_leak * Vdd * t_ev",
        lambda N_ev, I_leak, Vdd, t_ev: N_ev * I_leak * Vdd * t_ev,
        "at the full supply for the whole delay: at most",
    ),
    "E_st": Formula(
        ANALOG,
        "comparators at rest",
        "joule",
        "N_cmp * P_cmp * T",
        lambda N_cmp, P_cmp, T: N_cmp * P_cmp * T,
        "always on",
    ),
    "E_sw": Formula(
        ANALOG,
        "comparators switching",
        "joule",
        "N_ev * E_cmp",
        lambda N_ev, E_cmp: N_ev * E_cmp,
    ),
    "E_rd": Formula(
        ANALOG,
        "weight reads",
        "joule",
        "N_ev * V_rd**2 * G * t_rd",
        lambda N_ev, V_rd, G, t_rd: N_ev * V_rd**2 * G * t_rd,
    ),
    "E_den": Formula(
        ANALOG,
        "energy per inference",
        "joule",
        "E_C + E_lk + E_st + E_sw + E_rd",
        lambda E_C, E_lk, E_st, E_sw, E_rd: E_C + E_lk + E_st + E_sw + E_rd,
        total=True,
    ),
    "P_den": Formula(
        ANALOG, "mean power", "watt", "E_den / T", lambda E_den, T: E_den / T
    ),
    "E_w": Formula(
        SHIFT,
        "weight reads",
        "joule",
        "N_ev * B_w * E_bit",
        lambda N_ev, B_w, E_bit: N_ev * B_w * E_bit,
    ),
    "E_sum": Formula(
        SHIFT, "additions", "joule", "N_ev * E_add", lambda N_ev, E_add: N_ev * E_add
    ),
    "B_sr": Formula(
        SHIFT,
        "bits",
        "1",
        "N_ch * D",
        lambda N_ch, D: N_ch * D,
        "one register per channel, tapped where its synapses need it",
    ),
    "E_clk": Formula(
        SHIFT,
        "clocking",
        "joule",
        "B_sr * K * E_ff",
        lambda B_sr, K, E_ff: B_sr * K * E_ff,
        "every bit in every step",
    ),
    "E_tg": Formula(
        SHIFT,
        "toggles",
        "joule",
        "2 * N_in * D * E_tog",
        lambda N_in, D, E_tog: 2 * N_in * D * E_tog,
        "each spike raises and clears each of D bits; spikes in a row do less",
    ),
    "E_sr": Formula(
        SHIFT,
        "energy per inference",
        "joule",
        "E_w + E_sum + E_clk + E_tg",
        lambda E_w, E_sum, E_clk, E_tg: E_w + E_sum + E_clk + E_tg,
        total=True,
    ),
    "X_sr": Formula(
        SHIFT,
        "over DenRAM's energy",
        "1",
        "E_sr / E_den",
        lambda E_sr, E_den: E_sr / E_den,
    ),
    "B_rb": Formula(
        RING,
        "bits",
        "1",
        "N_out * (D + 1) * B_acc",
        lambda N_out, D, B_acc: N_out * (D + 1) * B_acc,
        "a sum per neuron and future step",
    ),
    "E_rmw": Formula(
        RING,
        "updates",
        "joule",
        "2 * N_ev * B_acc * E_bit",
        lambda N_ev, B_acc, E_bit: 2 * N_ev * B_acc * E_bit,
        "a read and a write per event",
    ),
    "E_dr": Formula(
        RING,
        "draining",
        "joule",
        "2 * N_out * K * B_acc * E_bit",
        lambda N_out, K, B_acc, E_bit: 2 * N_out * K * B_acc * E_bit,
        "a read and a clear per neuron and step",
    ),
    "E_rb": Formula(
        RING,
        "energy per inference",
        "joule",
        "E_w + E_sum + E_rmw + E_dr",
        lambda E_w, E_sum, E_rmw, E_dr: E_w + E_sum + E_rmw + E_dr,
        "weight reads and additions as with shift registers",
        total=True,
    ),
    "X_rb": Formula(
        RING,
        "over DenRAM's energy",
        "1",
        "E_rb / E_den",
        lambda E_rb, E_den: E_rb / E_den,
    ),
    "N_w": Formula(
        RECURRENT,
        "parameters of DenRAM's network",
        "1",
        "N_syn + N_out",
        lambda N_syn, N_out: N_syn + N_out,
        "weights and biases; delays are not trained",
    ),
    "X_par": Formula(
        RECURRENT,
        "parameters over DenRAM's",
        "1",
        "N_par / N_w",
        lambda N_par, N_w: N_par / N_w,
    ),
    "H": Formula(
        RECURRENT,
        "hidden neurons",
        "1",
        "(sqrt((N_ch + N_out)**2 + 4 * N_par) - N_ch - N_out) / 2",
        lambda N_ch, N_out, N_par: (
            (sqrt((N_ch + N_out) ** 2 + 4 * N_par) - N_ch - N_out) / 2
        ),
        "N_par = N_ch H + H**2 + H N_out, all to all",
    ),
    "M": Formula(
        RECURRENT,
        "multiply-accumulates, dense",
        "1",
        "K_in * N_par",
        lambda K_in, N_par: K_in * N_par,
        "every weight in every step",
    ),
    "S": Formula(
        RECURRENT,
        "synaptic operations, event-driven",
        "1",
        "N_in * H + N_hid * (H + N_out)",
        lambda N_in, H, N_hid, N_out: N_in * H + N_hid * (H + N_out),
    ),
    "E_md": Formula(
        RECURRENT,
        "energy per inference, dense",
        "joule",
        "M * E_mac",
        lambda M, E_mac: M * E_mac,
    ),
    "E_so": Formula(
        RECURRENT,
        "energy per inference, event-driven",
        "joule",
        "S * E_syn",
        lambda S, E_syn: S * E_syn,
    ),
    "X_md": Formula(
        RECURRENT,
        "dense, over DenRAM's energy",
        "1",
        "E_md / E_den",
        lambda E_md, E_den: E_md / E_den,
    ),
    "X_so": Formula(
        RECURRENT,
        "event-driven, over DenRAM's energy",
        "1",
        "E_so / E_den",
        lambda E_so, E_den: E_so / E_den,
    ),
    "A_C": Formula(
        AREA,
        "capacitors",
        "m2",
        "N_syn * C / c_A",
        lambda N_syn, C, c_A: N_syn * C / c_A,
    ),
    "A_R": Formula(
        AREA,
        "resistive devices",
        "m2",
        "N_dev * N_syn * A_dev",
        lambda N_dev, N_syn, A_dev: N_dev * N_syn * A_dev,
    ),
    "A_q": Formula(
        AREA,
        "comparators",
        "m2",
        "N_cmp * A_cmp",
        lambda N_cmp, A_cmp: N_cmp * A_cmp,
    ),
    "A": Formula(
        AREA,
        "area",
        "m2",
        "A_C + A_R + A_q",
        lambda A_C, A_R, A_q: A_C + A_R + A_q,
        total=True,
    ),
}


def swing(threshold_factor: float, charge: str) -> float:
    """Share of the supply that a capacitor is charged to.

    Args:
        threshold_factor: k.
        charge: `full`: the source stays on, s = 1; `threshold`: it is switched off at
            the crossing, s = 1 - exp(-k).
    """
    return 1.0 if charge == "full" else 1 - exp(-threshold_factor)
