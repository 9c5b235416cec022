"""Device cards: what is known of a technology, each value with unit and source.

A card is a TOML file. `[card]` names it; every other table `[group.quantity]` holds
`value`, `unit` (SI), `kind` (measured, published or assumed) and `source`. The groups,
each of which may be left out, are `hrs` (high-resistance state: delay devices), `lrs`
(low-resistance state: weight devices), `circuit`, `clock`, `energy` and `measured`
(kept for the record, used by nothing). `quantities.py` lists what each may hold.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from denram.config import convert, load_toml
from denram.devices.faults import StuckFaults
from denram.devices.quantities import CardFile, ProvenanceRow, Value, rows
from denram.devices.rc import RCDelay
from denram.devices.resistance import LognormalResistance
from denram.errors import InputError

_FOLDER = Path(__file__).parent / "cards"


@dataclass(frozen=True)
class DeviceCard:
    """A technology, as a card describes it. What a card leaves out is None.

    Attributes:
        name: of the card.
        description: one line.
        licence: of the card's text.
        source: of the card as a whole.
        resistance: law of the delay devices' high-resistance state.
        weight_resistance: law of the weight devices' low-resistance state.
        rc: the delay element; a spread that the card leaves out is 0 in it.
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
    resistance: LognormalResistance | None
    weight_resistance: LognormalResistance | None
    rc: RCDelay | None
    timestep_s: float | None
    max_delay: int | None
    g_min_siemens: float | None
    g_max_siemens: float | None
    levels: int | None
    noise_std: float | None
    quantities: tuple[ProvenanceRow, ...]

    def provenance(self) -> tuple[ProvenanceRow, ...]:
        """Every value with its unit, kind (measured, ...) and source."""
        return self.quantities

    def value(self, quantity: str) -> Value | None:
        """The value of a quantity, such as "hrs.drift_nu"; None if it is unknown."""
        found = (row.value for row in self.quantities if row.quantity == quantity)
        return next(found, None)


def card_names() -> list[str]:
    """Names of the cards that ship with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_card(name_or_path: str | Path) -> DeviceCard:
    """Read a card that ships with the package, or a file (`*.toml`, or a path).

    Raises:
        InputError: no such card or file, an unknown key, another unit than SI, a
            value that is out of range, or one without another that it needs.
    """
    text = str(name_or_path)
    is_path = isinstance(name_or_path, Path) or "/" in text or text.endswith(".toml")
    if not is_path and text not in card_names():
        raise InputError(f"card must be one of {', '.join(card_names())}, got {text!r}")
    values = load_toml(Path(text) if is_path else _FOLDER / f"{text}.toml")
    try:
        return _card(convert(CardFile, values))
    except InputError as error:
        raise InputError(f"card {text}: {error}") from None


def _card(file: CardFile) -> DeviceCard:
    quantities = tuple(rows(file))
    known: dict[str, Any] = {row.quantity: row.value for row in quantities}
    _check_together(known)
    return DeviceCard(
        name=file.card.name,
        description=file.card.description,
        licence=file.card.licence,
        source=file.card.source,
        resistance=_resistance("hrs", known),
        weight_resistance=_resistance("lrs", known),
        rc=_rc(known),
        timestep_s=known.get("clock.timestep_s"),
        max_delay=_count(known.get("clock.max_delay")),
        g_min_siemens=known.get("lrs.g_min_siemens"),
        g_max_siemens=known.get("lrs.g_max_siemens"),
        levels=_count(known.get("lrs.levels")),
        noise_std=known.get("lrs.noise_std"),
        quantities=quantities,
    )


def _check_together(known: dict[str, Any]) -> None:
    """What no value says alone."""
    g_min, g_max = known.get("lrs.g_min_siemens"), known.get("lrs.g_max_siemens")
    if g_min is not None and g_max is not None and g_max <= g_min:
        raise InputError(f"lrs.g_max_siemens must be > g_min_siemens, got {g_max}")
    for group in ("hrs", "lrs"):
        names = (f"{group}.stuck_{state}_fraction" for state in ("hrs", "lrs"))
        fractions = (known.get(name, 0.0) for name in names)
        try:
            StuckFaults(*fractions)
        except InputError as error:
            raise InputError(f"{group}.stuck {error}") from None


def _resistance(group: str, known: dict[str, Any]) -> LognormalResistance | None:
    pair = _both(known, f"{group}.mean_ohm", f"{group}.sigma_ln")
    return None if pair is None else LognormalResistance(*pair)


def _rc(known: dict[str, Any]) -> RCDelay | None:
    pair = _both(known, "circuit.capacitance_farad", "circuit.threshold_factor")
    if pair is None:
        return None
    return RCDelay(
        *pair,
        capacitor_sigma=known.get("circuit.capacitor_sigma", 0.0),
        comparator_sigma=known.get("circuit.comparator_sigma", 0.0),
    )


def _both(known: dict[str, Any], first: str, second: str) -> tuple[Any, Any] | None:
    """Two values of which neither means anything alone."""
    if (first in known) != (second in known):
        given, absent = (first, second) if first in known else (second, first)
        raise InputError(f"{absent} must be given where {given} is, got nothing")
    return (known[first], known[second]) if first in known else None


def _count(value: float | None) -> int | None:
    return None if value is None else int(value)
