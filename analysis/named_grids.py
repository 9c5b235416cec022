"""Grids that have a name of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from denram.analysis import schema
from denram.analysis.grid import Axis, Grid
from denram.errors import InputError


def fig4d_grid(
    dataset: str,
    *,
    seeds: Sequence[int] | None = None,
    noise_std: Sequence[float] | None = None,
    settings: Mapping[str, Any] | None = None,
    preset: str | None = None,
) -> Grid:
    """The paper's noise figure, or a smaller one of the same shape.

    Every network is also scored at each of the named noise levels, whatever it was
    trained with.

    Args:
        dataset: `shd` is the paper's grid: D2 (256 inputs, tau_mem 15 ms) and D1 (700
            inputs, 20 ms), five noise levels, seeds 42, 50, 9. On `synthetic`, two
            smaller networks, three levels and two seeds show its shape in minutes.
        seeds: other seeds.
        noise_std: other noise levels in training.
        settings: flat settings for all runs, such as nb_epochs; not the axes.
        preset: shipped preset beneath the settings.

    Raises:
        InputError: a setting that is an axis of the grid, or a value named twice.
    """
    if dataset == "shd":
        networks = Axis.zipped(
            {"n_in": [256, 700], "tau_mem": [15e-3, 20e-3]},
            name=schema.NETWORK,
            labels=["D2", "D1"],
        )
        levels, all_seeds = (0.0, 0.05, 0.1, 0.15, 0.2), (42, 50, 9)
    else:
        labels = ["32 inputs", "64 inputs"]
        networks = Axis.zipped({"n_in": [32, 64]}, name=schema.NETWORK, labels=labels)
        levels, all_seeds = (0.0, 0.1, 0.2), (42, 50)
    given = {"test_noise_levels": list(levels), **(settings or {})}
    for key in given:
        if key in {"dataset", schema.NOISE, schema.SEED, *networks.keys}:
            raise InputError(f"{key} is an axis of fig4d's grid and must not be set")
    axes = (
        networks,
        Axis.of(schema.NOISE, levels if noise_std is None else noise_std),
        Axis.of(schema.SEED, all_seeds if seeds is None else seeds),
    )
    return Grid("fig4d", axes, {"dataset": dataset, **given}, preset)
