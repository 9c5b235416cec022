"""What the energy formulas start from: counted spikes, a chip, a card, and flags."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from denram.analysis.energy import ASSUMED, Constant, Row
from denram.analysis.energy_formulas import SYMBOLS, swing
from denram.devices import DeviceCard
from denram.errors import InputError
from denram.mapping import HardwareMap, WeightRange
from denram.train.data import SpikeSet

Floats = NDArray[np.float64]
COUNTED, GIVEN = "counted", "given"


@dataclass(frozen=True, eq=False)
class Activity:
    """How busy a chip is on a data set.

    Attributes:
        spikes: input spikes of each sample, (sample,).
        per_channel: spikes of each channel, all samples, (pre,).
        events: delay-synapse events of each sample, (sample,).
        delay_s: delay of an event, mean over all; NaN if there is none.
        n_steps: length of the input window, steps.
        name: what the data are.
    """

    spikes: NDArray[np.int64]
    per_channel: NDArray[np.int64]
    events: NDArray[np.int64]
    delay_s: float
    n_steps: int
    name: str

    @property
    def live(self) -> int:
        """Channels with at least one spike."""
        return int(np.count_nonzero(self.per_channel))


def activity(spikes: SpikeSet, chip: HardwareMap) -> Activity:
    """Count the events of a data set on a chip.

    Args:
        spikes: the data set, of as many channels as the chip has.
        chip: its synapses and their delays.

    Raises:
        InputError: other channels than the chip's, no sample, or graded events.
    """
    n_pre = chip.mask.shape[1]
    if spikes.n_in != n_pre:
        raise InputError(f"n_in must be {n_pre} as on the chip, got {spikes.n_in}")
    if not len(spikes):
        raise InputError("the data set must hold at least one sample, got none")
    if spikes.count is not None or spikes.unit != 1.0:
        raise InputError(
            f"inputs must be binary to count events, got the counts of {spikes.name}"
        )
    synapses = chip.mask.sum(axis=(0, 2))
    per_channel = np.bincount(spikes.channel, minlength=n_pre)
    reached = np.concatenate([[0], np.cumsum(synapses[spikes.channel])])
    return Activity(
        spikes=np.diff(spikes.offset),
        per_channel=per_channel,
        events=np.diff(reached[spikes.offset]),
        delay_s=_event_mean(chip.delay_s, chip, per_channel),
        n_steps=spikes.n_steps,
        name=spikes.name,
    )


def _event_mean(
    values: Floats, chip: HardwareMap, per_channel: NDArray[np.int64]
) -> float:
    """Mean of a device's property over events; NaN if there is none."""
    events = int(per_channel @ chip.mask.sum(axis=(0, 2)))
    total = per_channel @ np.where(chip.mask, values, 0.0).sum(axis=(0, 2))
    return float(total / events) if events else float("nan")


def conductance_siemens(
    weights: Floats, chip: HardwareMap, *, positive: bool, weight_max: float | None
) -> Floats | None:
    """Conductance that a read of each weight meets; both devices of a pair.

    Args:
        weights: as the devices hold them, (post, pre, tap).
        chip: with the range of conductances; None is returned where it is unknown.
        positive: one device per weight, else a differential pair.
        weight_max: weight at the largest conductance; None for the largest |weight|.
    """
    low, high = chip.g_min_siemens, chip.g_max_siemens
    largest = float(np.abs(weights).max()) if weight_max is None else weight_max
    if np.isnan(low) or np.isnan(high) or largest == 0:
        return None
    scale = WeightRange(low, high, largest)
    bounded = np.clip(weights, 0 if positive else -largest, largest)
    if positive:
        return scale.conductance_siemens(bounded)
    plus, minus = scale.pair_siemens(bounded)
    return plus + minus


def constants(
    found: Activity,
    chip: HardwareMap,
    card: DeviceCard,
    given: Mapping[str, float],
    *,
    positive: bool,
    charge: str = "full",
    conductance: Floats | None = None,
) -> dict[str, Constant]:
    """Every symbol that is known, with its source.

    Args:
        found: from `activity`.
        chip: the chip.
        card: constants that no flag gives.
        given: symbol to value, from flags; they win.
        positive: one weight device per synapse, else a differential pair.
        charge: `full` or `threshold`, see `swing`.
        conductance: from `conductance_siemens`.

    Raises:
        InputError: a value outside its symbol's range.
    """
    known = _counted(found, chip, positive)
    known |= _circuit(chip, card, charge)
    known["t_ev"] = _delay(found, card)
    if conductance is not None:
        mean = _event_mean(conductance, chip, found.per_channel)
        known["G"] = Constant(mean, COUNTED, "trained weights, weighted by spikes")
    rows = {row.quantity: row for row in card.provenance()}
    for name, symbol in SYMBOLS.items():
        row = rows.get(symbol.card)
        if name not in known and row is not None and isinstance(row.value, float | int):
            known[name] = Constant(float(row.value), row.kind, f"card: {row.source}")
    for name, value in given.items():
        known[name] = Constant(_checked(name, value), GIVEN, SYMBOLS[name].flag)
    lost = [name for name, held in known.items() if held.value != held.value]
    return {name: held for name, held in known.items() if name not in lost}


def _counted(found: Activity, chip: HardwareMap, positive: bool) -> dict[str, Constant]:
    post, pre, _ = chip.mask.shape
    data, on_map = f"{found.name}, {found.spikes.size} samples", "the map"
    steps = found.n_steps + chip.max_delay
    devices = "one device for the delay, " + (
        "one for the weight" if positive else "a pair for a signed weight"
    )
    return {
        "N_in": Constant(float(found.spikes.mean()), COUNTED, data),
        "N_ev": Constant(float(found.events.mean()), COUNTED, f"{data}, on the map"),
        "N_syn": Constant(int(chip.mask.sum()), COUNTED, on_map),
        "N_cmp": Constant(
            int(chip.mask.sum()),
            ASSUMED,
            "one per delay synapse; the circuit is unknown",
        ),
        "N_ch": Constant(pre, COUNTED, on_map),
        "N_out": Constant(post, COUNTED, on_map),
        "N_dev": Constant(2 if positive else 3, COUNTED, devices),
        "D": Constant(chip.max_delay, COUNTED, on_map),
        "K_in": Constant(found.n_steps, COUNTED, "the data's window"),
        "K": Constant(steps, COUNTED, "window and longest delay"),
        "dt": Constant(chip.timestep_s, COUNTED, on_map),
    }


def _circuit(chip: HardwareMap, card: DeviceCard, charge: str) -> dict[str, Constant]:
    rows = {row.quantity: row for row in card.provenance()}
    farad, k = float(chip.config["cap"]), float(chip.config["threshold_factor"])

    def held(value: float, quantity: str) -> tuple[str, str]:
        row = rows.get(quantity)
        if row is not None and row.value == value:
            return row.kind, f"card: {row.source}"
        return GIVEN, "settings of the map"

    how = "source on until full" if charge == "full" else "source off at the crossing"
    share = swing(k, charge)
    return {
        "C": Constant(farad, *held(farad, "circuit.capacitance_farad")),
        "s": Constant(share, ASSUMED, f"--charge {charge}: {how}"),
    }


def _delay(found: Activity, card: DeviceCard) -> Constant:
    kinds = {r.kind for r in card.provenance() if r.quantity.startswith("hrs.")}
    doubt = f", from {ASSUMED} resistances" if ASSUMED in kinds else ""
    source = "the map's delays before saturation, weighted by spikes"
    return Constant(found.delay_s, COUNTED + doubt, source)


def _checked(name: str, value: float) -> float:
    symbol = SYMBOLS[name]
    low, flag = symbol.lowest, symbol.flag.removeprefix("--")
    good = np.isfinite(value) and (value > low if symbol.open else value >= low)
    if not good or (symbol.whole and value != round(value)):
        rule = f"{'>' if symbol.open else '>='} {low:g}"
        rule = f"a whole number {rule}" if symbol.whole else rule
        raise InputError(f"{flag} must be {rule}, got {value}")
    return value


def activity_rows(found: Activity) -> list[Row]:
    """Spikes per inference and per live channel, as rows."""
    data = f"{found.name}, {found.spikes.size} samples"
    n, total = found.spikes.size, int(found.spikes.sum())
    per_live = total / n / found.live if found.live else None
    rows: list[tuple[str, str, float | None]] = [
        ("spikes per inference, smallest", "", int(found.spikes.min())),
        ("spikes per inference, median", "", float(np.median(found.spikes))),
        ("spikes per inference, largest", "", int(found.spikes.max())),
        ("live channels", "", found.live),
        ("spikes per live channel and inference", "N_in / live", per_live),
    ]
    return [
        Row("activity", "", name, text, "", value, "1", COUNTED, data)
        for name, text, value in rows
    ]


def energy_dataset(rows: list[Row], found: Activity) -> xr.Dataset:
    """What the figure needs: energies by term, and spikes by sample.

    Args:
        rows: of `evaluate`.
        found: from `activity`.
    """
    terms = [row for row in rows if row.unit == "joule"]
    values = [np.nan if row.value is None else row.value for row in terms]
    return xr.Dataset(
        {
            "energy_joule": ("term", values, {"units": "J"}),
            "spikes": ("sample", found.spikes, {"units": "1"}),
            "channel_spikes": (
                "pre",
                found.per_channel / found.spikes.size,
                {"units": "1"},
            ),
        },
        coords={
            "group": ("term", [row.group for row in terms]),
            "quantity": ("term", [row.quantity for row in terms]),
            "kind": ("term", [row.kind for row in terms]),
        },
        attrs={"dataset": found.name},
    )
