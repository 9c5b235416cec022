"""Sweeps of hierarchical networks as numbers: Dataset in, Dataset out."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from denram.analysis import schema
from denram.analysis.grid import Grid
from denram.analysis.hsnn_grids import DENRAM, EFFECT, HSNN, TAU_SPREAD, WEIGHT_NOISE
from denram.analysis.hsnn_published import INVALID, SD
from denram.analysis.hsnn_sizes import weight_count
from denram.analysis.hsnn_sweep import HsnnSweep, Plot
from denram.analysis.metrics import dataset_names
from denram.errors import InputError

LOW, HIGH = 0.15, 0.85  # quantiles over seeds, as in the published figures
_NEAR = 1e-9  # within which two labels are one
_N_BINS = 40
NETWORK = "network"


def accuracies(sweep: xr.Dataset) -> xr.DataArray:
    """Test accuracy of each finished cell, the mean over its draws."""
    done = sweep[schema.STATUS] == schema.DONE
    found = sweep[schema.TEST].mean(schema.DRAW).where(done).reset_coords(drop=True)
    texts = [d for d in found.dims if found[d].dtype.kind not in "biuf"]
    return found.assign_coords(
        {dim: np.array([str(x) for x in found[dim].values], object) for dim in texts}
    )


def over_seeds(values: xr.DataArray) -> xr.Dataset:
    """n, mean, median, and the 15 % and 85 % quantiles over seeds, NaN left out."""
    n = values.notnull().sum(schema.SEED)
    known = values.where(n > 0, 0.0)  # so that no quantile is of nothing
    low, middle, high = (
        known.quantile(q, schema.SEED).where(n > 0).drop_vars("quantile")
        for q in (LOW, 0.5, HIGH)
    )
    mean = known.mean(schema.SEED).where(n > 0)
    return xr.Dataset({"n": n, "mean": mean, "median": middle, "q15": low, "q85": high})


def point_summary(
    sweep: xr.Dataset,
    named: HsnnSweep,
    published: Sequence[xr.DataArray] = (),
) -> xr.Dataset:
    """Accuracy at each point of a sweep that has a finished cell.

    Args:
        sweep: a store of the named sweep; cells not done are left out.
        named: which sweep it is.
        published: as `hsnn_published` gives it.

    Returns:
        Over the axes without the seeds, numbers rising: n, mean, median, q15, q85;
        `reference`: the plot's statistic at its reference; `published`,
        `published_sd`, `also_published`: the published values in their order;
        `difference`: statistic minus published, NaN unless both are of the same data
        and the published value is valid. Fractions. Attributes: `dataset`,
        `comparable`, `n_seeds`, and `kind` and `source` of each published variable.
    """
    plot = named.plot
    summary = _known(over_seeds(accuracies(sweep)))
    names = dataset_names(sweep)
    first = published[0] if published else None
    valid = first is not None and first.attrs["kind"] != INVALID
    summary.attrs = {
        "dataset": names,
        "comparable": bool(valid and names == named.data_name),
        "n_seeds": int(summary["n"].max()) if summary["n"].size else 0,
    }
    if plot.reference is not None:
        axis, label = plot.reference
        summary["reference"] = _at(summary[plot.statistic], axis, label)
    if first is None or plot.kind == "heat":
        return summary
    summary = summary.merge(_beside(published, summary, plot), combine_attrs="override")
    apart = summary[plot.statistic] - summary["published"]
    summary["difference"] = apart if summary.attrs["comparable"] else apart * np.nan
    return summary


def _beside(
    published: Sequence[xr.DataArray], summary: xr.Dataset, plot: Plot
) -> xr.Dataset:
    """Published values at the summary's points, by name."""
    found = xr.Dataset()
    for name, values in zip(("published", "also_published"), published, strict=False):
        theirs = _aligned(_reduced(values, plot), summary)
        found[name] = theirs.assign_attrs(values.attrs)
    if SD in published[0].coords:
        spread = published[0][SD].reset_coords(drop=True)
        found["published_sd"] = _aligned(spread, summary)
    return found


def _known(summary: xr.Dataset) -> xr.Dataset:
    """Without labels of which nothing is done; numbers rise."""
    for dim in summary["n"].dims:
        others = [d for d in summary["n"].dims if d != dim]
        summary = summary.isel({dim: (summary["n"].sum(others) > 0).values})
        if summary[dim].dtype.kind in "if":
            summary = summary.sortby(dim)
    return summary


def _at(values: xr.DataArray, axis: str, label: Any) -> xr.DataArray:
    """Values at one label of an axis, for every label of it; NaN if it is not there."""
    found = [i for i, own in enumerate(values[axis].values) if _same(own, label)]
    if not found:
        return values * np.nan
    return values.isel({axis: found[0]}, drop=True).broadcast_like(values)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) or isinstance(other, str):
        return str(one) == str(other)
    return math.isclose(one, other, rel_tol=_NEAR, abs_tol=_NEAR)


def _reduced(values: xr.DataArray, plot: Plot) -> xr.DataArray:
    """Single runs by the statistic of the curve that they are set beside."""
    plain = values.reset_coords(drop=True)
    if schema.SEED not in plain.dims:
        return plain
    median = plot.statistic == "median"
    return plain.median(schema.SEED) if median else plain.mean(schema.SEED)


def _aligned(values: xr.DataArray, summary: xr.Dataset) -> xr.DataArray:
    """Values at the summary's labels, NaN where there is none."""
    for dim in values.dims:
        labels = summary[dim].values
        found = [
            [i for i, held in enumerate(values[dim].values) if _same(held, label)][:1]
            for label in labels
        ]
        picked = values.isel({dim: [at[0] if at else 0 for at in found]})
        there = xr.DataArray([bool(at) for at in found], dims=[dim])
        values = picked.assign_coords({dim: labels}).where(there)
    return values.transpose(*(d for d in summary["n"].dims if d in values.dims))


def boost_map(
    sweep: xr.Dataset, named: HsnnSweep, published: Sequence[xr.DataArray] = ()
) -> xr.Dataset:
    """Gain of each shape of a hierarchy: its median minus that of the reference.

    Returns:
        Over (tanh_coef, tanh_center): what `point_summary` gives of each shape;
        `boost`, NaN until the reference has a seed; `published`, where there is any,
        and `difference`. Attributes as those of `point_summary`.
    """
    summary = point_summary(sweep, named, published)
    summary["boost"] = summary["median"] - summary["reference"]
    axis, label = named.plot.reference or ("", "")
    shapes = [str(name) for name in summary[axis].values if not _same(name, label)]
    places = [tuple(map(float, name.split("/"))) for name in shapes]
    rows, columns = (sorted({place[i] for place in places}) for i in (0, 1))
    coords = {"tanh_coef": rows, "tanh_center": columns}
    empty = xr.DataArray(np.full((len(rows), len(columns)), np.nan), coords, [*coords])
    found = xr.Dataset(
        {str(name): empty.copy() for name in summary}, attrs=summary.attrs
    )
    for shape, (coef, centre) in zip(shapes, places, strict=True):
        for name in summary:
            found[name].loc[coef, centre] = float(summary[name].sel({axis: shape}))
    found["n"] = found["n"].fillna(0).astype(int)
    if published:
        theirs = _aligned(published[0], found).assign_attrs(published[0].attrs)
        found["published"] = theirs
        apart = found["boost"] - theirs
        found["difference"] = apart if summary.attrs["comparable"] else apart * np.nan
    return found


def time_constants(
    sweep: xr.Dataset, published: xr.DataArray | None = None
) -> xr.Dataset:
    """Time constants of the neurons of every finished run, layer by layer.

    Args:
        sweep: a store whose runs say their time constants.
        published: medians (hidden_layer), s, or None.

    Returns:
        Variables over hidden_layer, s: `median`, `low`, `high` (35 % and 85 %
        quantiles) and `published`; `share` (hidden_layer, bin) of neurons between
        edges `edge`, on a logarithmic scale.

    Raises:
        InputError: the store holds none.
    """
    values = _layers(sweep, schema.TIME_CONSTANT)
    pooled = [d for d in values.dims if d != schema.HIDDEN_LAYER]
    flat = values.stack(every=pooled).transpose(schema.HIDDEN_LAYER, "every").values
    low, high = np.nanmin(flat), np.nanmax(flat)
    room = 0.0 if high > low else 0.05  # equal values have a bin about them
    edges = np.geomspace(low * (1 - room), high * (1 + room), _N_BINS + 1)
    edges[[0, -1]] = low * (1 - room), high * (1 + room)  # rounding loses the ends
    counts = np.stack([np.histogram(row[np.isfinite(row)], edges)[0] for row in flat])
    layer = schema.HIDDEN_LAYER
    quantiles = np.nanquantile(flat, [0.35, 0.5, 0.85], axis=1)
    found = xr.Dataset(
        {
            **{
                n: (layer, q)
                for n, q in zip(("low", "median", "high"), quantiles, strict=True)
            },
            "share": ((layer, "bin"), counts / counts.sum(1, keepdims=True)),
        },
        {"edge": edges},
        {"dataset": dataset_names(sweep), "n_seeds": int(values.sizes[schema.SEED])},
    )
    if published is not None and published.size == found.sizes[layer]:
        found["published"] = (layer, published.values)
    return found


def spectra(sweep: xr.Dataset) -> xr.Dataset:
    """Sorted absolute eigenvalues of the recurrent weights, layer by layer.

    Returns:
        Over the axes without the seeds, hidden_layer and neuron (the rank): `mean`,
        and `low` and `high`, the 25 % and 75 % quantiles over seeds.

    Raises:
        InputError: the store holds none.
    """
    values = _layers(sweep, schema.EIGENVALUE)
    known = values.notnull().any(schema.SEED)
    filled = values.where(known, 0.0)
    found = {"mean": filled.mean(schema.SEED)} | {
        name: filled.quantile(q, schema.SEED).drop_vars("quantile")
        for name, q in (("low", 0.25), ("high", 0.75))
    }
    return xr.Dataset(
        {name: each.where(known) for name, each in found.items()},
        attrs={
            "dataset": dataset_names(sweep),
            "n_seeds": int(values.sizes[schema.SEED]),
        },
    )


def _layers(sweep: xr.Dataset, name: str) -> xr.DataArray:
    """A quantity of neurons in finished cells; labels of which none is done dropped."""
    if name not in sweep:
        raise InputError(f"store must hold {name} of every run")
    found = sweep[name].where(sweep[schema.STATUS] == schema.DONE)
    found = found.reset_coords(drop=True)
    dims = sweep[schema.STATUS].dims
    for dim in dims:
        found = found.dropna(dim, how="all")
    if not found.size:
        raise InputError(f"store must hold {name} of a finished run")
    found = found.dropna(schema.HIDDEN_LAYER, how="all")
    return found.transpose(*dims, schema.HIDDEN_LAYER, schema.NEURON)


def weights_of(grid: Grid) -> dict[tuple[Any, ...], int]:
    """Weights of the networks of a grid, by the labels of all axes but the seeds."""
    found = {}
    for cell in grid.cells():
        pairs = zip(grid.axes, cell, strict=True)
        labels = (a.labels[i] for a, i in pairs if a.name != schema.SEED)
        found.setdefault(tuple(labels), weight_count(grid.flags(cell)))
    return found


def hardware_summary(parts: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """Both families under weight noise and under a spread of time constants.

    Args:
        parts: stores by part, `hsnn` and `denram`, one or both.

    Returns:
        Over (network, effect): what `over_seeds` gives, `change`, the mean minus that
        without any error; coordinates noise_std and tau_sigma of each effect.
    """
    found, sizes = [], {}
    for part, sweep in parts.items():
        values = over_seeds(accuracies(sweep))
        for name in (WEIGHT_NOISE, TAU_SPREAD):
            sizes[name] = (EFFECT, np.asarray(sweep[name].values, float))
        deltas = [None] if part == DENRAM else list(values["delta_tau"].values)
        for delta in deltas:
            one = values if delta is None else values.sel(delta_tau=delta, drop=True)
            found.append(one.expand_dims({NETWORK: [_network(part, delta)]}))
    summary = xr.concat(found, NETWORK, join="outer").assign_coords(sizes)
    fresh = (summary[WEIGHT_NOISE] == 0) & (summary[TAU_SPREAD] == 0)
    first = summary["mean"].where(fresh).max(EFFECT)
    summary["change"] = summary["mean"] - first
    names = dict.fromkeys(dataset_names(sweep) for sweep in parts.values())
    return summary.assign_attrs(dataset=", ".join(filter(None, names)))


def _network(part: str, delta: Any) -> str:
    if part == HSNN:
        spread = f"hierarchy of {1e3 * float(delta):g} ms"
        return f"hSNN, {spread if delta else 'one time constant'}"
    return "DenRAM, delays"


def rows_of(
    summary: xr.Dataset, weights: Mapping[tuple[Any, ...], int] | None = None
) -> list[dict[str, Any]]:
    """A summary as a flat table, a row per point that has a finished cell.

    Args:
        summary: any of this module over its points, with `n`.
        weights: as `weights_of` gives them, or None.
    """
    dims = [str(dim) for dim in summary["n"].dims]
    names = [n for n in summary.data_vars if set(summary[n].dims) <= {*dims}]
    rows = []
    for labels in itertools.product(*(summary[dim].values.tolist() for dim in dims)):
        at = summary.sel(dict(zip(dims, labels, strict=True)))
        if int(at["n"]):
            row = dict(zip(dims, labels, strict=True))
            row |= {str(name): at[name].item() for name in names}
            if weights is not None:
                row["weights"] = weights.get(tuple(labels), 0)
            rows.append(row)
    return rows


def layer_rows(layers: xr.Dataset) -> list[dict[str, Any]]:
    """A row per layer: time constants, s, or the largest absolute eigenvalue.

    Args:
        layers: as `time_constants` or `spectra` gives them.
    """
    if schema.NEURON in layers.dims:
        layers = layers.isel({schema.NEURON: 0}, drop=True)  # the largest comes first
    names = [n for n in layers.data_vars if "bin" not in layers[n].dims]
    dims = [str(dim) for dim in layers[names[0]].dims]
    rows = []
    for place in np.ndindex(*(layers.sizes[dim] for dim in dims)):
        at = layers.isel(dict(zip(dims, place, strict=True)))
        row = {d: at[d].item() for d in dims if d != schema.HIDDEN_LAYER}
        row[schema.HIDDEN_LAYER] = place[dims.index(schema.HIDDEN_LAYER)] + 1
        rows.append(row | {str(name): at[name].item() for name in names})
    return rows
