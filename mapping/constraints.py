"""What is asked of the chip: its size, its devices and its clock."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from denram.config import Count, Index, Positive, Section
from denram.devices import DeviceCard
from denram.errors import InputError

# the histogram of steps and the delay buffer are as long as the largest delay
MaxDelay = Annotated[int, Meta(ge=0, le=1_000_000)]
# what the samplers of denram.devices accept
SigmaLn = Annotated[float, Meta(ge=0, le=10)]
Mismatch = Annotated[float, Meta(ge=0, le=0.5)]


class MapConfig(Section, frozen=True):
    """Everything that decides a map, but for the seed.

    Attributes:
        n_in: input channels (dimension `pre`).
        n_out: neurons (dimension `post`).
        n_delays: parallel synapses per input and neuron (dimension `tap`).
        delay_distribution: `lognormal`: as the devices are; `uniform`: whole steps from
            0 to max_delay, each as likely; `pattern`: the same even ladder everywhere.
        r_mu: arithmetic mean of the resistance, ohm.
        r_std: standard deviation of ln R (not of R, despite the published name).
        cap: capacitance of the delay element, farad.
        threshold_factor: k in delay = k R C (published simulation: 1).
        capacitor_sigma: relative mismatch of the capacitors.
        timestep: length of one step, s.
        max_delay: longest delay the chip can keep, steps; longer ones saturate.
        sampler: `counter`, or `jax-legacy` for the generator of the published code.
        g_min: smallest conductance of a weight device, siemens, if known.
        g_max: largest conductance of a weight device, siemens, if known.
        weight_levels: programmable levels of a weight device, 0 for continuous.
        chip: which chip of the series; each has its own devices.
    """

    n_in: Count = 700
    n_out: Count = 20
    n_delays: Count = 16
    delay_distribution: Literal["lognormal", "uniform", "pattern"] = "lognormal"
    r_mu: Positive = 500e9
    r_std: SigmaLn = 0.4
    cap: Positive = 1e-12
    threshold_factor: Positive = 1.0
    capacitor_sigma: Mismatch = 0.0
    timestep: Positive = 0.005
    max_delay: MaxDelay = 200
    sampler: Literal["counter", "jax-legacy"] = "counter"
    g_min: Positive | None = None
    g_max: Positive | None = None
    weight_levels: Index = 0
    chip: Index = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """Devices as (post, pre, tap)."""
        return self.n_out, self.n_in, self.n_delays


# which setting a quantity of a device card decides; noise_std belongs to [noise]
CARD_KEYS = {
    "hrs.mean_ohm": "r_mu",
    "hrs.sigma_ln": "r_std",
    "circuit.capacitance_farad": "cap",
    "circuit.threshold_factor": "threshold_factor",
    "circuit.capacitor_sigma": "capacitor_sigma",
    "circuit.comparator_sigma": "comparator_sigma",
    "clock.timestep_s": "timestep",
    "clock.max_delay": "max_delay",
    "lrs.g_min_siemens": "g_min",
    "lrs.g_max_siemens": "g_max",
    "lrs.levels": "weight_levels",
    "lrs.noise_std": "noise_std",
    "neuron.tau_sigma_ln": "tau_sigma",
}
_ROLES = {"hrs": "delay", "lrs": "weight"}
# keys of [errors], after `delay_` or `weight_`
_ERROR_KEYS = {
    "verify_tolerance": "verify_tolerance",
    "verify_pulses": "verify_pulses",
    "stuck_hrs_fraction": "stuck_hrs",
    "stuck_lrs_fraction": "stuck_lrs",
    "drift_nu": "drift_nu",
    "drift_nu_sigma": "drift_nu_sigma",
    "relaxation_sigma_ln": "relaxation_sigma",
    "relaxation_power": "relaxation_power",
    "read_noise": "read_noise",
    "activation_ev": "activation_ev",
}
# one setting for both roles; the first role that a card gives decides
_SHARED_KEYS = {
    "drift_start_s": "drift_start_s",
    "reference_kelvin": "reference_kelvin",
}
CARD_KEYS |= {
    f"{group}.{quantity}": f"{role}_{key}"
    for group, role in _ROLES.items()
    for quantity, key in _ERROR_KEYS.items()
}
CARD_KEYS |= {
    f"{group}.{quantity}": key
    for group in _ROLES
    for quantity, key in _SHARED_KEYS.items()
}
# the first one that a card gives is the law of the programming error
_LAWS = {
    "programming_quantiles": ("tabulated", "programming_table"),
    "programming_sigma_ln": ("lognormal", "programming_sigma"),
    "programming_sigma_relative": ("normal", "programming_sigma"),
}
_WHOLE = {"max_delay", "weight_levels", "delay_verify_pulses", "weight_verify_pulses"}


def card_settings(card: DeviceCard) -> dict[str, Any]:
    """The settings that a device card decides; what it leaves open is absent.

    All are keys of `MapConfig` or `ErrorConfig` but `noise_std`.

    Raises:
        InputError: delay and weight devices whose drift begins at different times.
    """
    values: dict[str, Any] = {row.quantity: row.value for row in card.provenance()}
    known: dict[str, Any] = {}
    for quantity, value in values.items():
        key = CARD_KEYS.get(quantity)
        if key is None:
            continue
        if known.get(key, value) != value:
            raise InputError(
                f"card {card.name}: {quantity} must be the same in hrs and lrs,"
                f" got {known[key]} and {value}"
            )
        known[key] = int(value) if key in _WHOLE else value
    for group, role in _ROLES.items():
        for quantity, (law, key) in _LAWS.items():
            if f"{group}.{quantity}" in values:
                known[f"{role}_programming"] = law
                known[f"{role}_{key}"] = values[f"{group}.{quantity}"]
                break
    return known
