"""What a device card may say: its tables, and the unit and range of every quantity."""

from collections.abc import Callable, Iterator
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from denram.config import LARGEST, Section
from denram.devices._checks import positive, spread, whole
from denram.devices.draws import MAX_SIGMA_LN
from denram.devices.drift import MAX_NU
from denram.devices.program_verify import MAX_PULSES
from denram.devices.programming import TabulatedProgramming
from denram.devices.rc import MAX_STEPS
from denram.devices.temperature import MAX_ACTIVATION_EV
from denram.devices.variability import MAX_SIGMA_RELATIVE
from denram.errors import InputError

Value = float | tuple[float, ...]
_Kind = Literal["measured", "published", "assumed"]
_Text = Annotated[str, Meta(min_length=1)]


class Quantity(Section, frozen=True):
    """One value of a card."""

    value: float
    unit: str
    kind: _Kind
    source: _Text


class QuantityTable(Section, frozen=True):
    """A quantity that is a table of numbers."""

    value: tuple[float, ...]
    unit: str
    kind: _Kind
    source: _Text


class ProvenanceRow(NamedTuple):
    """One value of a card and where it comes from.

    `value` is a float, and a tuple of floats for `programming_quantiles`.
    """

    quantity: str
    value: Value
    unit: str
    kind: str
    source: str


class Head(Section, frozen=True):
    """What the card itself is."""

    name: _Text
    description: _Text
    licence: _Text
    source: _Text


class Measured(Section, frozen=True):
    """Kept for the record, used by nothing."""

    shortest_delay_s: Quantity | None = None
    longest_delay_s: Quantity | None = None


class _State(Section, frozen=True):
    """What is known of either resistive state, and of its devices' errors."""

    mean_ohm: Quantity | None = None
    sigma_ln: Quantity | None = None
    programming_sigma_ln: Quantity | None = None
    programming_sigma_relative: Quantity | None = None
    programming_quantiles: QuantityTable | None = None
    verify_tolerance: Quantity | None = None
    verify_pulses: Quantity | None = None
    stuck_hrs_fraction: Quantity | None = None
    stuck_lrs_fraction: Quantity | None = None
    drift_nu: Quantity | None = None
    drift_nu_sigma: Quantity | None = None
    relaxation_sigma_ln: Quantity | None = None
    relaxation_power: Quantity | None = None
    drift_start_s: Quantity | None = None
    read_noise: Quantity | None = None
    activation_ev: Quantity | None = None
    reference_kelvin: Quantity | None = None


class HRS(_State, frozen=True):
    """High-resistance state: the delay devices."""


class Circuit(Section, frozen=True):
    """The delay element."""

    capacitance_farad: Quantity | None = None
    threshold_factor: Quantity | None = None
    capacitor_sigma: Quantity | None = None
    comparator_sigma: Quantity | None = None
    supply_volt: Quantity | None = None


class Clock(Section, frozen=True):
    """The simulated clock."""

    timestep_s: Quantity | None = None
    max_delay: Quantity | None = None


class LRS(_State, frozen=True):
    """Low-resistance state: the weight devices."""

    g_min_siemens: Quantity | None = None
    g_max_siemens: Quantity | None = None
    levels: Quantity | None = None
    noise_std: Quantity | None = None


class Neuron(Section, frozen=True):
    """How the membranes spread."""

    tau_sigma_ln: Quantity | None = None


class Energy(Section, frozen=True):
    """What the circuit consumes."""

    comparator_static_watt: Quantity | None = None
    comparator_event_joule: Quantity | None = None
    leakage_ampere: Quantity | None = None
    read_volt: Quantity | None = None
    read_pulse_s: Quantity | None = None


class CardFile(Section, frozen=True):
    """A card as its file holds it; every table but `[card]` may be left out."""

    card: Head
    measured: Measured = Measured()
    hrs: HRS = HRS()
    circuit: Circuit = Circuit()
    clock: Clock = Clock()
    lrs: LRS = LRS()
    neuron: Neuron = Neuron()
    energy: Energy = Energy()


def rows(file: CardFile) -> Iterator[ProvenanceRow]:
    """Every quantity that the card gives, in the file's order of groups, checked.

    Raises:
        InputError: another unit than the quantity's, or a value out of range.
    """
    for group in file.__struct_fields__[1:]:
        section = getattr(file, group)
        for name in section.__struct_fields__:
            quantity = getattr(section, name)
            if quantity is None:
                continue
            label, (unit, check) = f"{group}.{name}", _RULES[name]
            if quantity.unit != unit:
                raise InputError(f"{label} must be in {unit}, got {quantity.unit!r}")
            check(label, quantity.value)
            yield ProvenanceRow(
                label, quantity.value, unit, quantity.kind, quantity.source
            )


def _at_most(largest: float) -> Callable[[str, float], object]:
    return lambda name, value: spread(name, value, largest)


def _whole(smallest: int, largest: int) -> Callable[[str, float], object]:
    return lambda name, value: whole(
        name, int(value) if value.is_integer() else value, smallest, largest
    )


def _exponent(name: str, value: float) -> None:
    if not -MAX_NU <= value <= MAX_NU:
        raise InputError(f"{name} must be finite, within +-{MAX_NU:g}, got {value}")


def _quantiles(name: str, value: tuple[float, ...]) -> None:
    try:
        TabulatedProgramming(value)
    except InputError as error:
        raise InputError(str(error).replace("quantiles_ln", name, 1)) from None


_NON_NEGATIVE = _at_most(LARGEST)
_FRACTION = _at_most(1.0)
_SPREAD = _at_most(MAX_SIGMA_LN)
# quantity -> SI unit, and its range: the ranges that the laws themselves accept
_RULES: dict[str, tuple[str, Callable[..., object]]] = {
    "mean_ohm": ("ohm", positive),
    "sigma_ln": ("1", _SPREAD),
    "programming_sigma_ln": ("1", _SPREAD),
    "programming_sigma_relative": ("1", _SPREAD),
    "programming_quantiles": ("1", _quantiles),
    "verify_tolerance": ("1", _FRACTION),
    "verify_pulses": ("1", _whole(1, MAX_PULSES)),
    "stuck_hrs_fraction": ("1", _FRACTION),
    "stuck_lrs_fraction": ("1", _FRACTION),
    "drift_nu": ("1", _exponent),
    "drift_nu_sigma": ("1", _SPREAD),
    "relaxation_sigma_ln": ("1", _SPREAD),
    "relaxation_power": ("1", _FRACTION),
    "drift_start_s": ("second", positive),
    "read_noise": ("1", _at_most(MAX_SIGMA_RELATIVE)),
    "activation_ev": ("electronvolt", _at_most(MAX_ACTIVATION_EV)),
    "reference_kelvin": ("kelvin", positive),
    "g_min_siemens": ("siemens", positive),
    "g_max_siemens": ("siemens", positive),
    "levels": ("1", _whole(2, MAX_STEPS)),
    "noise_std": ("1", _at_most(10.0)),
    "tau_sigma_ln": ("1", _SPREAD),
    "capacitance_farad": ("farad", positive),
    "threshold_factor": ("1", positive),
    "capacitor_sigma": ("1", _at_most(MAX_SIGMA_RELATIVE)),
    "comparator_sigma": ("1", _at_most(MAX_SIGMA_RELATIVE)),
    "supply_volt": ("volt", positive),
    "timestep_s": ("second", positive),
    "max_delay": ("steps", _whole(0, MAX_STEPS)),
    "shortest_delay_s": ("second", positive),
    "longest_delay_s": ("second", positive),
    "comparator_static_watt": ("watt", _NON_NEGATIVE),
    "comparator_event_joule": ("joule", _NON_NEGATIVE),
    "leakage_ampere": ("ampere", _NON_NEGATIVE),
    "read_volt": ("volt", positive),
    "read_pulse_s": ("second", positive),
}
