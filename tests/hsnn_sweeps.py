"""A made-up sweep of hierarchical networks: every number is the test's own."""

import numpy as np
import xarray as xr

from denram.analysis import schema
from denram.analysis.study import Layout, Variable
from denram.analysis.sweep_store import STORE, Head, SweepStore, create


def mock(grid, accuracy, *, data="SHD", n_draws=2, layers=None):
    """A finished store of a grid, as it is read.

    Args:
        grid: its axes.
        accuracy: labels of a cell by axis -> accuracy of all its draws.
        data: name of the data.
        n_draws: noise draws of each cell.
        layers: name of a variable (hidden_layer, neuron) -> its values by labels.
    """
    values = np.zeros((*grid.shape, n_draws))
    cells = {cell: _labels(grid, cell) for cell in grid.cells()}
    for cell, labels in cells.items():
        values[cell] = accuracy(labels)
    coords = {axis.name: list(axis.labels) for axis in grid.axes}
    for axis in grid.axes:
        moved = {k: v for k, v in axis.keys.items() if k != axis.name}
        coords |= {key: (axis.name, list(v)) for key, v in moved.items()}
    text = np.full(grid.shape, data, dtype=object)
    found = xr.Dataset(
        {
            schema.TEST: ((*grid.dims, schema.DRAW), values),
            schema.STATUS: (grid.dims, np.full(grid.shape, schema.DONE, np.int8)),
            schema.DATASET: (grid.dims, text),
            schema.PROTOCOL: (grid.dims, np.full(grid.shape, "mock", dtype=object)),
        },
        coords,
    )
    inner = (schema.HIDDEN_LAYER, schema.NEURON)
    for name, of in (layers or {}).items():
        parts = [np.asarray(of(labels)) for labels in cells.values()]
        found[name] = (
            (*grid.dims, *inner),
            np.stack(parts).reshape(*grid.shape, *parts[0].shape),
        )
    return found


def _labels(grid, cell):
    return {a.name: a.labels[i] for a, i in zip(grid.axes, cell, strict=True)}


def store(folder, grid, accuracy, *, data="SHD", layers=None, undone=()):
    """The same on disk, as a sweep that ran leaves it; some cells are missing."""
    made = mock(grid, accuracy, data=data, layers=layers)
    inner = {
        name: tuple(str(d) for d in made[name].dims if d not in grid.dims)
        for name in (schema.TEST, *(layers or {}))
    }
    variables = {
        name: Variable(dims, tuple(made.sizes[d] for d in dims))
        for name, dims in inner.items()
    }
    texts = (schema.DATASET, schema.PROTOCOL)
    variables |= {name: Variable(dtype=str, fill="") for name in texts}
    path = folder / STORE
    folder.mkdir(parents=True)
    create(path, Head(grid, (grid.shape,), {}), Layout(variables))
    held = SweepStore(path)
    for cell in grid.cells():
        if cell not in undone:
            held.write(cell, {n: made[n].values[cell] for n in variables}, {})
    return made
