"""HardwareMap: what one chip makes of a network's delays and weights."""

import hashlib
import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from denram.config import as_dict
from denram.errors import DenRAMWarning, InputError
from denram.mapping.constraints import MapConfig
from denram.mapping.delay_errors import aged_delays
from denram.mapping.delays import draw_delays
from denram.mapping.errors import IDEAL, ErrorConfig, check_errors
from denram.mapping.weights import check_levels
from denram.storage import require_memory, versions

DIMS = ("post", "pre", "tap")
DTYPES = {
    "delay_steps": np.dtype(np.int32),
    "resistance_ohm": np.dtype(np.float64),
    "delay_s": np.dtype(np.float64),
    "mask": np.dtype(np.bool_),
}
_ATTRS = {
    "delay_steps": ("delay after rounding and saturation", "timestep"),
    "resistance_ohm": ("resistance of the delay device", "ohm"),
    "delay_s": ("delay of the RC element before rounding and saturation", "s"),
    "mask": ("the device is there", "1"),
}
_AXES = {"post": "neuron", "pre": "input channel", "tap": "parallel synapse"}
_SCALARS = ("timestep_s", "max_delay", "weight_levels", "noise_std", "seed")
_RANGES = ("g_min_siemens", "g_max_siemens")
# arrays of the map, and the largest temporaries of drawing, reporting and saving
_BYTES_PER_DEVICE = 100


@dataclass(frozen=True, eq=False)
class HardwareMap:
    """One chip: a delay, a resistance and a presence for each synapse.

    Attributes:
        delay_steps: int32 (post, pre, tap), in [0, max_delay].
        resistance_ohm: float64 (post, pre, tap), finite, > 0.
        delay_s: float64 (post, pre, tap), finite, >= 0; before rounding and saturation.
        mask: bool (post, pre, tap), False where the device is absent.
        timestep_s: length of one step, > 0.
        max_delay: longest delay the chip can keep, steps.
        g_min_siemens: smallest conductance of a weight device, NaN if unknown.
        g_max_siemens: largest conductance of a weight device, NaN if unknown.
        weight_levels: programmable levels of a weight device, 0 for continuous.
        noise_std: weight noise as a fraction of max|w|.
        seed: what the devices were drawn from.
        config: the `MapConfig` in plain values.
        errors: the `ErrorConfig` in plain values; empty for ideal devices.
        versions: libraries that made the map.

    Raises:
        InputError: a shape, dtype or value breaks these rules.
    """

    delay_steps: NDArray[np.int32]
    resistance_ohm: NDArray[np.float64]
    delay_s: NDArray[np.float64]
    mask: NDArray[np.bool_]
    timestep_s: float
    max_delay: int
    g_min_siemens: float
    g_max_siemens: float
    weight_levels: int
    noise_std: float
    seed: int
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    errors: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_arrays()
        if not 0 < self.timestep_s < math.inf:
            raise InputError(
                f"timestep_s must be > 0 and finite, got {self.timestep_s}"
            )
        if not 0 <= self.noise_std < math.inf:
            raise InputError(f"noise_std must be >= 0 and finite, got {self.noise_std}")
        check_levels(self.weight_levels)
        low, high = self.g_min_siemens, self.g_max_siemens
        known = not (math.isnan(low) and math.isnan(high))
        if known and not 0 < low < high < math.inf:
            raise InputError(
                f"g_min and g_max must hold 0 < g_min < g_max, got {low} and {high}"
            )

    def _check_arrays(self) -> None:
        shape = self.delay_steps.shape
        if len(shape) != 3 or 0 in shape:
            raise InputError(f"delay_steps must be (post, pre, tap), got {shape}")
        for name, dtype in DTYPES.items():
            array = getattr(self, name)
            if array.shape != shape or array.dtype != dtype:
                raise InputError(
                    f"{name} must be {dtype} of shape {shape},"
                    f" got {array.dtype} of shape {array.shape}"
                )
        if not self.mask.any():
            raise InputError("mask must hold at least one device, got none")
        _check_span("delay_steps", self.delay_steps, 0, self.max_delay)
        _check_span("resistance_ohm", self.resistance_ohm, math.ulp(0.0), None)
        _check_span("delay_s", self.delay_s, 0.0, None)

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Where the device's own delay rounds to more than `max_delay`."""
        return self.delay_s > (self.max_delay + 0.5) * self.timestep_s

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what a run takes from the chip: delays and mask."""
        digest = hashlib.sha256()
        for array in (self.delay_steps, self.mask):
            digest.update(str((array.dtype.str, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def to_dataset(self) -> xr.Dataset:
        """The map as labelled arrays; nested attributes are JSON text."""
        variables = {
            name: (DIMS, getattr(self, name), {"long_name": text, "units": units})
            for name, (text, units) in _ATTRS.items()
        }
        coords = {
            dim: (dim, np.arange(n), {"long_name": _AXES[dim], "units": "1"})
            for dim, n in zip(DIMS, self.delay_steps.shape, strict=True)
        }
        attrs: dict[str, Any] = {"title": "DenRAM hardware map"}
        attrs |= {name: getattr(self, name) for name in _SCALARS}
        ranges = {name: getattr(self, name) for name in _RANGES}
        attrs |= {name: g for name, g in ranges.items() if not math.isnan(g)}
        attrs["config"] = json.dumps(dict(self.config), sort_keys=True)
        if self.errors:
            attrs["errors"] = json.dumps(dict(self.errors), sort_keys=True)
        attrs["versions"] = json.dumps(dict(self.versions), sort_keys=True)
        return xr.Dataset(variables, coords, attrs)

    @classmethod
    def from_dataset(cls, dataset: xr.Dataset) -> "HardwareMap":
        """The inverse of `to_dataset`.

        Raises:
            InputError: a variable or attribute is missing or breaks a rule.
        """
        missing = [name for name in DTYPES if name not in dataset]
        wanted = (*_SCALARS, "config", "versions")
        missing += [name for name in wanted if name not in dataset.attrs]
        if missing:
            raise InputError(f"a map must hold {missing[0]}")
        attrs = dataset.attrs
        return cls(
            **{name: dataset[name].transpose(*DIMS).values for name in DTYPES},
            **{name: attrs[name] for name in _SCALARS},
            **{name: attrs.get(name, math.nan) for name in _RANGES},
            config=json.loads(attrs["config"]),
            versions=json.loads(attrs["versions"]),
            errors=json.loads(attrs.get("errors", "{}")),
        )


def build_map(
    config: MapConfig,
    *,
    seed: int,
    noise_std: float,
    errors: ErrorConfig = IDEAL,
) -> HardwareMap:
    """Draw the devices of one chip, as they are when it is used.

    Args:
        config: size, devices and clock of the chip.
        seed: what the devices are drawn from.
        noise_std: weight noise as a fraction of max|w|.
        errors: what makes the devices differ from what they were meant to be.

    Warns:
        DenRAMWarning: more than half of the delays saturate.

    Raises:
        InputError: a value breaks a rule, or the map would not fit in memory.
    """
    n_devices = math.prod(config.shape)
    require_memory(
        n_devices * _BYTES_PER_DEVICE,
        f"a map of {config.n_in} inputs x {config.n_out} neurons"
        f" x {config.n_delays} delays",
    )
    check_errors(errors, threshold_factor=config.threshold_factor)
    drawn = draw_delays(config, seed=seed)
    aged = aged_delays(drawn, config, errors, seed=seed)
    chip = HardwareMap(
        **aged.delays._asdict(),
        mask=aged.mask,
        timestep_s=config.timestep,
        max_delay=config.max_delay,
        g_min_siemens=math.nan if config.g_min is None else config.g_min,
        g_max_siemens=math.nan if config.g_max is None else config.g_max,
        weight_levels=config.weight_levels,
        noise_std=noise_std,
        seed=seed,
        config=as_dict(config),
        versions=versions(),
        errors={} if errors == IDEAL else as_dict(errors),
    )
    share = float(chip.saturated.mean())
    if share > 0.5:
        warnings.warn(
            f"{100 * share:.1f} % of the delays saturate at max_delay"
            f" ({config.max_delay} steps): lower r_mu or cap, or raise max_delay",
            DenRAMWarning,
            stacklevel=2,
        )
    return chip


def _check_span(name: str, array: NDArray[Any], low: float, high: float | None) -> None:
    # NaN fails both comparisons of the extremes, infinity the finite one
    lowest, highest = array.min(), array.max()
    if high is None:
        rule, good = "finite and > 0", lowest >= low and math.isfinite(highest)
        rule = rule if low > 0 else "finite and >= 0"
    else:
        rule, good = f"in [{low}, {high}]", lowest >= low and highest <= high
    if not good:
        raise InputError(f"{name} must be {rule}, got {lowest} to {highest}")
