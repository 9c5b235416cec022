"""Published values of the hierarchical networks, with where each comes from.

Source: arXiv 2407.18838 and the outputs that its released notebooks held. Accuracies
are fractions. The attribute `kind` says how far to trust a value: `released` (output
of a notebook), `plot` (read off a plot, within 0.2 points, or 1 where the plot gives
whole points), `invalid` (there is a mistake in it, `source` says which).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from denram.analysis.schema import HIDDEN_LAYER, SEED

RELEASED, PLOT, INVALID = "released", "plot", "invalid"
SD = "sd"  # coordinate: over seeds, where it was published

_FIG_2C = {
    32: {
        0.15: ([81.89, 85.60, 84.82, 85.79], [1.89, 1.18, 1.67, 1.72]),
        0.0: ([79.77, 81.18, 82.67, 82.23], [1.31, 1.35, 2.10, 1.56]),
    },
    128: {
        0.15: ([86.06, 87.26, 88.08, 88.28], [1.31, 2.13, 0.64, 0.80]),
        0.0: ([82.18, 85.19, 86.36, 85.97], [1.02, 2.09, 1.35, 0.55]),
    },
}  # by neurons per layer and delta; columns are 2 to 5 hidden layers

_BOOST = [
    [2.4, 3.8, 2.9, 2.7, 3.0],
    [2.2, 2.4, 3.7, 2.1, 2.9],
    [2.5, 2.9, 4.1, 3.8, 3.4],
    [2.7, 2.5, 3.1, 2.2, 3.7],
]  # rows are coefficients, columns centres


def _array(
    percent: Any,
    coords: Mapping[str, Sequence[Any]],
    *,
    kind: str,
    source: str,
    sd: Any = None,
    per: float = 100,
) -> xr.DataArray:
    plain = {
        name: np.array(labels, object) if isinstance(labels[0], str) else list(labels)
        for name, labels in coords.items()
    }
    found = xr.DataArray(
        np.asarray(percent, float) / per,
        plain,
        list(plain),
        attrs={"kind": kind, "source": source},
    )
    if sd is not None:
        found = found.assign_coords({SD: (list(plain), np.asarray(sd, float) / per)})
    return found


def _fig_2c() -> list[xr.DataArray]:
    values = [
        [[_FIG_2C[n][d][i] for d in (0.0, 0.15)] for n in (32, 128)] for i in (0, 1)
    ]
    mean, sd = (np.moveaxis(np.array(v), -1, 0) for v in values)
    axes = {"n_layers": [3, 4, 5, 6], "n_hid": [32, 128], "delta_tau": [0.0, 0.15]}
    source = "figure 2c, mean and sd over seeds"
    return [_array(mean, axes, sd=sd, kind=RELEASED, source=source)]


def _fig_s2e() -> list[xr.DataArray]:
    axes = {
        "tanh_coef": [0.1, 0.25, 0.5, 1.0],
        "tanh_center": [0.0, 0.25, 0.5, 0.75, 1.0],
    }
    source = "figure S2e: gain over one time constant, medians"
    return [_array(_BOOST, axes, kind=RELEASED, source=source)]


def _fig_s2c() -> list[xr.DataArray]:
    deltas = [-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15, 0.18]
    values = [79.8, 81.4, 81.3, 82.2, 82.4, 83.9, 85.8, 84.5]
    return [_array(values, {"delta_tau": deltas}, kind=PLOT, source="figure S2c")]


def _fig_s2b() -> list[xr.DataArray]:
    plot = _array(
        [81.1, 81.6, 81.6, 78.3],
        {"tau_mem": [0.05, 0.1, 0.2, 0.3]},
        kind=PLOT,
        source="figure S2b, titled 5 hidden layers of 32 neurons; the released sweep"
        " has 3 of 128",
    )
    older = _array(
        [82.3, 84.1, 85.4, 83.7, 81.8],
        {"tau_mem": [0.01, 0.05, 0.1, 0.2, 0.4]},
        kind=PLOT,
        source="an older figure S2b, 3 hidden layers of 128 neurons, homogeneous",
    )
    return [older, plot]


def _fig_2a() -> list[xr.DataArray]:
    axes = {
        "n_layers": [3, 4],
        "tau_mem": [0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.6],
    }
    values = [[50, 57, 61, 80, 86, 86, 86, 86], [50, 57, 68, 89, 91, 91, 91, 91]]
    return [_array(values, axes, kind=PLOT, source="figure 2a, whole points")]


def _fig_2b() -> list[xr.DataArray]:
    axes = {
        "n_layers": [3, 4],
        "delta_tau": [-0.5, -0.4, -0.2, -0.1, 0.0, 0.1, 0.2, 0.4, 0.5],
    }
    values = [
        [75.0, 77.4, 83.8, 86.1, 88.3, 91.5, 92.4, 94.0, 94.8],
        [91.1, 90.9, 91.4, 91.7, 92.8, 92.7, 93.5, 94.4, 95.8],
    ]
    runs = [[89.0, 89.9, 91.1, 88.0, 86.9], [94.8, 92.2, 93.3, 94.4, 82.6]]
    seeds = {"n_layers": [3], "delta_tau": [0.0, 0.4], SEED: range(5)}
    source = "convergence runs, five seeds"
    return [
        _array(values, axes, kind=PLOT, source="figure 2b"),
        _array([runs], seeds, kind=RELEASED, source=source),
    ]


def _fig_s6() -> list[xr.DataArray]:
    axes = {"n_hid": [128], "initial_weights": ["published"], SEED: range(5)}
    values = [[[85.64, 84.03, 86.28, 85.40, 86.97]]]
    source = "recurrent networks after 10 epochs"
    return [_array(values, axes, kind=RELEASED, source=source)]


def _fig_s6_mts() -> list[xr.DataArray]:
    values = [87.57, 86.84, 80.36, 81.27, 73.39, 65.74, 71.88, 90.33, 66.52, 70.30]
    axes = {"initial_weights": ["published"], SEED: range(10)}
    source = "recurrent networks after 20 epochs"
    return [_array([values], axes, kind=RELEASED, source=source)]


def _fig_3() -> list[xr.DataArray]:
    values = [84.79, 82.87, 83.97, 82.94, 79.30]
    source = "trained time constants, test accuracy of five seeds"
    return [_array(values, {SEED: range(5)}, kind=RELEASED, source=source)]


def _fig_4b() -> list[xr.DataArray]:
    values = [90.0, 90.5, 90.7, 90.8, 91.3, 91.9, 91.8, 92.0, 92.2]
    axes = {"delta_ker": range(-4, 5)}
    return [_array(values, axes, kind=PLOT, source="figure 4b")]


def _fig_4d() -> list[xr.DataArray]:
    values = [90.7, 90.6, 90.6, 91.3, 91.8, 92.1, 91.7]
    axes = {"delta_dil": range(-3, 4)}
    return [_array(values, axes, kind=PLOT, source="figure 4d")]


def _fig_s4a() -> list[xr.DataArray]:
    return [
        _array(
            [92.0, 91.1, 92.7, 91.9, 92.8],
            {"conv_dilation": [3, 5, 7, 12, 24]},
            kind=INVALID,
            source="figure S4, dilation panel: drawn from the kernel sweep's results,"
            " picked by the dilation sweep's rows",
        )
    ]


def _fig_s4b() -> list[xr.DataArray]:
    axes = {"conv_kernel": [3, 5, 7, 9]}
    values = [92.6, 92.8, 91.7, 91.7]
    return [_array(values, axes, kind=PLOT, source="figure S4, kernel panel")]


def _shd_max() -> list[xr.DataArray]:
    source = "table 1 with augmentation; without it 92.23 +- 1.14 %"
    axes = {"use_test_as_valid": [True, False]}
    sd = [0.66, 0.73]
    return [_array([94.67, 94.12], axes, sd=sd, kind=RELEASED, source=source)]


def _ssc_max() -> list[xr.DataArray]:
    axes = {"kernels": ["equal layers", "hierarchy"]}
    sd = [0.14, 0.15]
    return [_array([78.18, 79.20], axes, sd=sd, kind=RELEASED, source="table 2")]


def _ssc_hierarchy() -> list[xr.DataArray]:
    axes, sd = {"delta_tau": [0.0, 0.15]}, [0.13, 0.27]
    return [_array([71.00, 73.07], axes, sd=sd, kind=RELEASED, source="table 2")]


_PUBLISHED = {
    "hsnn_fig_2a": _fig_2a,
    "hsnn_fig_2b": _fig_2b,
    "hsnn_fig_2c": _fig_2c,
    "hsnn_fig_3": _fig_3,
    "hsnn_fig_4b": _fig_4b,
    "hsnn_fig_4d": _fig_4d,
    "hsnn_fig_s2b": _fig_s2b,
    "hsnn_fig_s2c": _fig_s2c,
    "hsnn_fig_s2e": _fig_s2e,
    "hsnn_fig_s4a": _fig_s4a,
    "hsnn_fig_s4b": _fig_s4b,
    "hsnn_fig_s6": _fig_s6,
    "hsnn_fig_s6_mts": _fig_s6_mts,
    "hsnn_shd_max": _shd_max,
    "hsnn_ssc_hierarchy": _ssc_hierarchy,
    "hsnn_ssc_max": _ssc_max,
}


def hsnn_published(name: str) -> list[xr.DataArray]:
    """Published values of a sweep, the one to compare with first; none for many.

    Args:
        name: of the sweep.

    Returns:
        Arrays over the sweep's axes, and over `seed` where single runs are known;
        coordinate `sd` where a standard deviation over seeds was published.
    """
    return _PUBLISHED[name]() if name in _PUBLISHED else []


def published_layers(name: str) -> xr.DataArray | None:
    """Published median time constant (hidden_layer), s, after training; or None.

    They are those kept by training, cut at an alpha of 0.99; what acted in the forward
    pass was cut at 0.98.

    Args:
        name: of the sweep.
    """
    values = {
        "hsnn_fig_3": [97, 186, 189, 247, 304],
        "hsnn_fig_3_mts": [47, 45, 102],
    }
    if name not in values:
        return None
    axes = {HIDDEN_LAYER: range(len(values[name]))}
    source = "figure 3, layer medians"
    if name == "hsnn_fig_3_mts":
        source += "; test accuracies 99.05 to 99.36 %"
    return _array(values[name], axes, kind=RELEASED, source=source, per=1000)
