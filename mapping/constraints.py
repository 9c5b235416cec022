"""What is asked of the chip: its size, its devices and its clock."""

from typing import Annotated, Literal

from msgspec import Meta

from denram.config import Count, Index, Positive, Section
from denram.devices import DeviceCard

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
    "clock.timestep_s": "timestep",
    "clock.max_delay": "max_delay",
    "lrs.g_min_siemens": "g_min",
    "lrs.g_max_siemens": "g_max",
    "lrs.levels": "weight_levels",
    "lrs.noise_std": "noise_std",
}
_WHOLE = {"max_delay", "weight_levels"}


def card_settings(card: DeviceCard) -> dict[str, int | float]:
    """The settings that a device card decides; what it leaves open is absent.

    All are keys of `MapConfig` but `noise_std`.
    """
    known = {CARD_KEYS.get(row.quantity): row.value for row in card.provenance()}
    return {
        key: int(value) if key in _WHOLE else value
        for key, value in known.items()
        if key is not None
    }
