"""Device cards: what is known of a technology, each value with unit and source.

A card is a TOML file. `[card]` names it; every other table `[group.quantity]` holds
`value`, `unit` (SI), `kind` (measured, published or assumed) and `source`. The groups
are `hrs` (high-resistance state: delay devices), `lrs` (low-resistance state: weight
devices), `circuit`, `clock` and `measured` (kept for the record, used by nothing).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, TypedDict

from msgspec import Meta

from denram.config import Section, convert, load_toml
from denram.devices._checks import positive, spread, whole
from denram.devices.rc import MAX_STEPS, RCDelay
from denram.devices.resistance import LognormalResistance
from denram.errors import InputError

_FOLDER = Path(__file__).parent / "cards"
_Text = Annotated[str, Meta(min_length=1)]


class Quantity(Section, frozen=True):
    """One value of a card."""

    value: float
    unit: str
    kind: Literal["measured", "published", "assumed"]
    source: _Text


class _Head(Section, frozen=True):
    name: _Text
    description: _Text
    licence: _Text
    source: _Text


class _HRS(Section, frozen=True):
    mean_ohm: Quantity
    sigma_ln: Quantity


class _LRS(Section, frozen=True):
    g_min_siemens: Quantity | None = None
    g_max_siemens: Quantity | None = None
    levels: Quantity | None = None
    noise_std: Quantity | None = None


class _Circuit(Section, frozen=True):
    capacitance_farad: Quantity
    threshold_factor: Quantity
    capacitor_sigma: Quantity


class _Clock(Section, frozen=True):
    timestep_s: Quantity
    max_delay: Quantity


class _Measured(Section, frozen=True):
    shortest_delay_s: Quantity | None = None
    longest_delay_s: Quantity | None = None


class _CardFile(Section, frozen=True):
    card: _Head
    hrs: _HRS
    circuit: _Circuit
    clock: _Clock
    lrs: _LRS = _LRS()
    measured: _Measured = _Measured()


_UNITS = {
    "mean_ohm": "ohm",
    "sigma_ln": "1",
    "g_min_siemens": "siemens",
    "g_max_siemens": "siemens",
    "levels": "1",
    "noise_std": "1",
    "capacitance_farad": "farad",
    "threshold_factor": "1",
    "capacitor_sigma": "1",
    "timestep_s": "second",
    "max_delay": "steps",
    "shortest_delay_s": "second",
    "longest_delay_s": "second",
}


class ProvenanceRow(NamedTuple):
    """One value of a card and where it comes from."""

    quantity: str
    value: float
    unit: str
    kind: str
    source: str


@dataclass(frozen=True)
class DeviceCard:
    """A technology, as a card describes it. What a card leaves out is None.

    Attributes:
        name: of the card.
        description: one line.
        licence: of the card's text.
        source: of the card as a whole.
        resistance: law of the delay devices' high-resistance state.
        rc: the delay element.
        timestep_s: simulated time step.
        max_delay: longest delay, in steps.
        g_min_siemens: lowest conductance of a weight device.
        g_max_siemens: highest conductance of a weight device.
        levels: distinct conductances of a weight device.
        noise_std: weight noise, a fraction of the largest |weight|.
        quantities: the rows of `provenance`.
    """

    name: str
    description: str
    licence: str
    source: str
    resistance: LognormalResistance
    rc: RCDelay
    timestep_s: float
    max_delay: int
    g_min_siemens: float | None
    g_max_siemens: float | None
    levels: int | None
    noise_std: float | None
    quantities: tuple[ProvenanceRow, ...]

    def provenance(self) -> tuple[ProvenanceRow, ...]:
        """Every value with its unit, kind (measured, ...) and source."""
        return self.quantities


def card_names() -> list[str]:
    """Names of the cards that ship with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_card(name_or_path: str | Path) -> DeviceCard:
    """Read a card that ships with the package, or a file (`*.toml`, or a path).

    Raises:
        InputError: no such card or file, an unknown key, another unit than SI, or a
            value that is out of range.
    """
    text = str(name_or_path)
    is_path = isinstance(name_or_path, Path) or "/" in text or text.endswith(".toml")
    if not is_path and text not in card_names():
        raise InputError(f"card must be one of {', '.join(card_names())}, got {text!r}")
    values = load_toml(Path(text) if is_path else _FOLDER / f"{text}.toml")
    try:
        return _card(convert(_CardFile, values))
    except InputError as error:
        raise InputError(f"card {text}: {error}") from None


def _card(file: _CardFile) -> DeviceCard:
    rows = tuple(_rows(file))
    known = {row.quantity.partition(".")[2]: row.value for row in rows}
    return DeviceCard(
        name=file.card.name,
        description=file.card.description,
        licence=file.card.licence,
        source=file.card.source,
        resistance=LognormalResistance(known["mean_ohm"], known["sigma_ln"]),
        rc=RCDelay(
            known["capacitance_farad"],
            known["threshold_factor"],
            known["capacitor_sigma"],
        ),
        timestep_s=positive("timestep_s", known["timestep_s"]),
        max_delay=_whole("max_delay", known["max_delay"], 0),
        quantities=rows,
        **_weight_device(known),
    )


def _rows(file: _CardFile) -> Iterator[ProvenanceRow]:
    """Every quantity that the card gives; its unit and finiteness are checked here."""
    for group in ("measured", "hrs", "circuit", "clock", "lrs"):
        section = getattr(file, group)
        for name in section.__struct_fields__:
            quantity = getattr(section, name)
            if quantity is None:
                continue
            label, unit = f"{group}.{name}", _UNITS[name]
            if quantity.unit != unit:
                raise InputError(f"{label} must be in {unit}, got {quantity.unit!r}")
            if not math.isfinite(quantity.value):
                raise InputError(f"{label} must be finite, got {quantity.value}")
            yield ProvenanceRow(
                label, quantity.value, unit, quantity.kind, quantity.source
            )


class _WeightDevice(TypedDict):
    g_min_siemens: float | None
    g_max_siemens: float | None
    levels: int | None
    noise_std: float | None


def _weight_device(known: dict[str, float]) -> _WeightDevice:
    """What the card says of weight devices; unknown stays None."""
    for name in ("g_min_siemens", "g_max_siemens"):
        if name in known:
            positive(name, known[name])
    g_min, g_max = known.get("g_min_siemens"), known.get("g_max_siemens")
    if g_min is not None and g_max is not None and g_max <= g_min:
        raise InputError(f"g_max_siemens must be > g_min_siemens, got {g_max}")
    levels, noise = known.get("levels"), known.get("noise_std")
    return _WeightDevice(
        g_min_siemens=g_min,
        g_max_siemens=g_max,
        levels=None if levels is None else _whole("levels", levels, 2),
        noise_std=None if noise is None else spread("noise_std", noise, 10.0),
    )


def _whole(name: str, value: float, smallest: int) -> int:
    return whole(name, int(value) if value.is_integer() else value, smallest, MAX_STEPS)
