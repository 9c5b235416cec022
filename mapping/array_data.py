"""What the figure of the arrays shows: how full each one is, and first targets."""

from typing import Any

import numpy as np
import xarray as xr

from denram.mapping.handover import Handover

_MOST_CELLS = 1024  # rows or columns of an array that are drawn


def array_dataset(found: Handover) -> xr.Dataset:
    """What `denram.analysis.array_figure` draws.

    Returns:
        `utilisation` (kind, tile_row, tile_column), NaN outside a kind's grid; and of
        each kind's first array `<kind>_ohm` (row, column), NaN in empty cells.
    """
    bar = found.metadata["crossbar"]
    kind, array, down, across, used = (
        found.tiles[name].to_numpy()
        for name in ("kind", "array", "tile_row", "tile_column", "utilisation")
    )
    kinds = list(dict.fromkeys(map(str, kind)))
    filled = np.full((len(kinds), down.max() + 1, across.max() + 1), np.nan)
    variables: dict[str, Any] = {}
    for i, name in enumerate(kinds):
        own = kind == name
        filled[i, down[own], across[own]] = used[own]
        first = int(array[own][0])
        here = found.table["array"].to_numpy() == first
        row, column, target = (
            found.table[key].to_numpy()[here] for key in ("row", "column", "target_ohm")
        )
        shown = min(bar["rows"], _MOST_CELLS), min(bar["columns"], _MOST_CELLS)
        ohm, here = np.full(shown, np.nan), (row < shown[0]) & (column < shown[1])
        ohm[row[here], column[here]] = target[here]
        variables[f"{name}_ohm"] = (
            ("row", "column"),
            ohm,
            {
                "units": "ohm",
                "long_name": "target resistance",
                "array": first,
                "whole": shown == (bar["rows"], bar["columns"]),
            },
        )
    dims = ("kind", "tile_row", "tile_column")
    variables["utilisation"] = (dims, filled, {"units": "1"})
    shape = found.metadata["map"]["shape"]
    attrs = {**bar, "shape": shape, "clipped": found.n_clipped}
    return xr.Dataset(variables, {"kind": kinds}, attrs)
