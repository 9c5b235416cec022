"""Sweeps of hierarchical networks by name, and the two families under device errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from denram.analysis import schema
from denram.analysis.grid import Axis, Grid
from denram.analysis.hsnn_conv_sweeps import CONV_SWEEPS
from denram.analysis.hsnn_sweep import HsnnSweep
from denram.analysis.hsnn_tau_sweeps import TAU_SWEEPS
from denram.errors import InputError

SWEEPS: Mapping[str, HsnnSweep] = {
    sweep.name: sweep for sweep in (*TAU_SWEEPS, *CONV_SWEEPS)
}

HARDWARE, EFFECT = "hsnn_hardware", "effect"
WEIGHT_NOISE, TAU_SPREAD = "noise_std", "tau_sigma"
NOISE_LEVELS, SPREADS = (0.05, 0.1, 0.15, 0.2), (0.1, 0.2, 0.4)
HSNN, DENRAM = "hsnn", "denram"  # parts: a store each, for they share no settings
_PART_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    HSNN: {
        "model": "hsnn",
        "hierarchy_tau": "tanh",
        "tau_mem": 0.1,
        "n_layers": 4,
        "n_hid": 128,
        "nb_epochs": 60,
    },
    DENRAM: {"model": "delays", "n_in": 256, "tau_mem": 0.015},
}


def _effects() -> Axis:
    """No error, weight noise, and spread of time constants; never both."""
    pairs = [(0.0, 0.0)]
    pairs += [(noise, 0.0) for noise in NOISE_LEVELS]
    pairs += [(0.0, spread) for spread in SPREADS]
    named = ["no error", *(f"weight noise {x:g}" for x in NOISE_LEVELS)]
    named += [f"time constants {x:g}" for x in SPREADS]
    return Axis.zipped(
        {
            WEIGHT_NOISE: [noise for noise, _ in pairs],
            TAU_SPREAD: [spread for _, spread in pairs],
            "tau_redrawn": [spread > 0 for _, spread in pairs],
        },
        name=EFFECT,
        labels=named,
    )


def hardware_grid(
    part: str,
    *,
    seeds: Sequence[int] | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | None = None,
) -> Grid:
    """One family under weight noise and under a spread of time constants, on SHD.

    Every error is there in training too, drawn anew for each batch, as DenRAM's is.

    Args:
        part: `hsnn`, with and without a hierarchy of 150 ms, or `denram`: its network
            of 256 inputs.
        seeds: other seeds than 0, 1, 2.
        settings: flat settings that win.
        preset: shipped preset beneath the settings.

    Raises:
        InputError: a setting that is an axis.
    """
    axes = [
        _effects(),
        Axis.of(schema.SEED, list((0, 1, 2) if seeds is None else seeds)),
    ]
    if part == HSNN:
        axes.insert(0, Axis.of("delta_tau", [0.15, 0.0]))
    base = {**_PART_SETTINGS[part], "dataset": "shd", "order_seed": 0}
    for key in settings or {}:
        if any(key in {axis.name, *axis.keys} for axis in axes):
            raise InputError(f"{key} is an axis of {HARDWARE} and must not be set")
    return Grid(f"{HARDWARE}_{part}", tuple(axes), {**base, **(settings or {})}, preset)
