"""The distributions behind the map's figure, computed once, as labelled arrays."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from denram.config import convert
from denram.mapping.constraints import MapConfig
from denram.mapping.delays import rc_delay, resistance_law
from denram.mapping.hardware_map import HardwareMap

N_BINS = 80
N_STEP_BINS = 1000
_SHOWN_SHARE = 0.999
# wider than this, an even axis would show one bar
_LOG_RATIO = 30.0

Floats = NDArray[np.float64]


def map_histograms(chip: HardwareMap, *, n_steps: int) -> xr.Dataset:
    """Share of the devices per bin of resistance and delay, and per whole step.

    Args:
        chip: the map.
        n_steps: length of the input window, steps.

    Returns:
        For `resistance` (ohm) and `delay` (s, before rounding and saturation): edges
        `<x>_edge`, the share on this chip `<x>_share`, and for a lognormal the share by
        the law, `<x>_theory`. The largest 0.1 % lie outside the edges. Where the values
        spread too far for even bins, `<x>_edge` has the attribute scale = "log".
        `step_share`: share of the synapses between `step_edge`, one whole step each (or
        up to a thousand bins of more steps), the last one for max_delay alone.
    """
    config = convert(MapConfig, chip.config)
    edges = _step_edges(chip.max_delay)
    steps = chip.delay_steps[chip.mask]
    share = np.histogram(steps, edges)[0] / steps.size
    variables = {
        "step_edge": ("step_edge", edges, _text("delay", "timestep")),
        "step_share": ("step_bin", share, _text("share of synapses per bin", "1")),
    }
    dataset = xr.Dataset(variables, attrs=_attrs(chip, config, n_steps))
    # t = k R C, so that both share the law of R
    ohm_per_s = float(rc_delay(config).resistance_ohm(1.0))
    return dataset.assign(
        _distribution("resistance", "ohm", chip.resistance_ohm[chip.mask], config, 1.0)
        | _distribution("delay", "s", chip.delay_s[chip.mask], config, ohm_per_s)
    )


def _distribution(
    name: str, units: str, values: Floats, config: MapConfig, ohm_per_unit: float
) -> dict[str, Any]:
    step_ohm = float(rc_delay(config).resistance_ohm(config.timestep))
    whole_steps = config.delay_distribution != "lognormal"
    pitch = step_ohm / ohm_per_unit if whole_steps else 0.0
    edges, scale = _edges(values, pitch)
    counts, _ = np.histogram(values, edges)
    on_edges = _text(name, units) | {"scale": scale}
    on_chip = _text("share of devices per bin", "1")
    variables = {
        f"{name}_edge": (f"{name}_edge", edges, on_edges),
        f"{name}_share": (f"{name}_bin", counts / values.size, on_chip),
    }
    # with capacitor mismatch no closed form is left for the delay
    if not whole_steps and (config.capacitor_sigma == 0 or name == "resistance"):
        theory = np.diff(resistance_law(config).cdf(edges * ohm_per_unit))
        by_law = _text("share of devices per bin by the law", "1")
        variables[f"{name}_theory"] = f"{name}_bin", theory, by_law
    return variables


def _step_edges(max_delay: int) -> Floats:
    per_bin = -(-max_delay // N_STEP_BINS) or 1
    below = np.arange(0, max_delay, per_bin)
    return np.append(below, [max_delay, max_delay + 1]) - 0.5


def _edges(values: Floats, pitch: float) -> tuple[Floats, str]:
    """Edges of the bins, and the axis they suit.

    Args:
        values: what is to be counted.
        pitch: distance of the values that were aimed at, 0 for none.
    """
    low, high = float(values.min()), float(np.quantile(values, _SHOWN_SHARE))
    if pitch > 0:
        # bins of whole steps, or the steps would beat against the bins
        per_bin = max(1, round(high / pitch / N_BINS))
        n = int(high / pitch + 0.5) // per_bin + 1
        return (np.arange(n + 1.0) * per_bin - 0.5) * pitch, "linear"
    if high > _LOG_RATIO * float(np.median(values)):
        return np.geomspace(low, high, N_BINS + 1), "log"
    if high <= low * (1 + 1e-9):
        low, high = 0.9 * low, 1.1 * high
    return np.linspace(low, high, N_BINS + 1), "linear"


def _text(long_name: str, units: str) -> dict[str, str]:
    return {"long_name": long_name, "units": units}


def _attrs(chip: HardwareMap, config: MapConfig, n_steps: int) -> dict[str, Any]:
    steps, ohm = chip.delay_steps[chip.mask], chip.resistance_ohm[chip.mask]
    return {
        "shape": list(chip.mask.shape),
        "distribution": config.delay_distribution,
        "r_mu_ohm": config.r_mu,
        "r_std": config.r_std,
        "cap_farad": config.cap,
        "seed": chip.seed,
        "timestep_s": chip.timestep_s,
        "max_delay": chip.max_delay,
        "n_steps": n_steps,
        "mean_ohm": float(ohm.mean()),
        "mean_steps": float(steps.mean()),
        "median_delay_s": float(np.median(chip.delay_s[chip.mask])),
        "saturated_share": float(chip.saturated[chip.mask].mean()),
        "beyond_share": float((steps >= n_steps).mean()),
    }
