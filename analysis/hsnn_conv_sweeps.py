"""Published sweeps over kernels and dilations, and the control they lack.

Source: as `hsnn_tau_sweeps`.
"""

from collections.abc import Mapping
from dataclasses import replace

from denram.analysis.grid import Axis
from denram.analysis.hsnn_sizes import (
    dilations,
    kernel_sizes,
    weight_count,
    width_of,
)
from denram.analysis.hsnn_sweep import HsnnSweep, Plot, Reading
from denram.analysis.hsnn_tau_sweeps import COMMON

_STEP = (
    *COMMON,
    "time constants belong to the real step of 7 ms (published: 14 ms, with the preset"
    " only)",
)
_CONVOLUTION = {
    "convolution": True,
    "conv_kernel": 5,
    "conv_dilation": 5,
    "hierarchy_conv": "none",
    "delta_ker": 0,
    "delta_dil": 0,
    "n_hid": 128,
    "timestep": 0.007,
    "dropout_rate": 0.4,
    "l2_lambda": 1e-4,
    "tau_mem": 0.02,
}


def _but(**others: object) -> dict[str, object]:
    """The convolution's settings, some of them replaced or, if None, left out."""
    found = {**_CONVOLUTION, **others}
    return {key: value for key, value in found.items() if value is not None}


FIG_S4A = HsnnSweep(
    name="hsnn_fig_s4a",
    published_as="hSNN_Figure_S4a",
    title="Accuracy against the dilation",
    dataset="shd",
    axes=(Axis.of("conv_dilation", [3, 5, 12, 24, 7]),),
    settings=_but(n_layers=4, conv_dilation=None),
    nb_epochs=60,
    seeds=range(10),
    plot=Plot(x="conv_dilation"),
    controls={"conv_dilation": (7,)},
    differs=(*_STEP, "--controls adds 7 steps, which an earlier version had"),
)

FIG_S4B = HsnnSweep(
    name="hsnn_fig_s4b",
    published_as="hSNN_Figure_S4b",
    title="Accuracy against the kernel",
    dataset="shd",
    axes=(Axis.of("conv_kernel", [3, 5, 7, 9]),),
    settings=_but(n_layers=4, conv_kernel=None),
    nb_epochs=60,
    seeds=range(10),
    plot=Plot(x="conv_kernel"),
    differs=_STEP,
)

_DELTA_KER = list(range(-4, 5))
_DELTA_DIL = list(range(-3, 4))
_KERNELS = {delta: kernel_sizes(5, delta, 2) for delta in _DELTA_KER}
_DILATIONS = {delta: dilations(5, delta, 2) for delta in _DELTA_DIL}


def _pair(sizes: tuple[int, ...]) -> str:
    return "/".join(map(str, sizes))


def _kernel_ticks(n_hid: Mapping[int, int], *, told: bool) -> dict[int, str]:
    """Taps of both layers, neurons per layer if they are to be told, and weights."""
    ticks = {}
    for delta, taps in _KERNELS.items():
        shape = _but(hierarchy_conv="kernel", delta_ker=delta, n_hid=n_hid[delta])
        width = [f"{n_hid[delta]}"] if told else []
        lines = [_pair(taps), *width, f"{weight_count(shape) / 1e3:.0f}k"]
        ticks[delta] = "\n".join(lines)
    return ticks


FIG_4B = HsnnSweep(
    name="hsnn_fig_4b",
    published_as="hSNN_Figure_4b",
    title="Accuracy against the hierarchy of kernels",
    dataset="shd",
    axes=(Axis.of("delta_ker", _DELTA_KER),),
    settings=_but(n_layers=3, hierarchy_conv="kernel", delta_ker=None),
    nb_epochs=60,
    seeds=range(10),
    plot=Plot(
        x="delta_ker",
        reference=("delta_ker", 0),
        readings={
            "delta_ker": Reading(
                "kernel, last minus first layer; taps of both; weights",
                words={0: "equal kernels"},
            )
        },
        ticks=_kernel_ticks(dict.fromkeys(_DELTA_KER, 128), told=False),
    ),
    differs=(*_STEP, "the number of weights changes too: hsnn_fig_4b_iso holds it"),
)

_WEIGHTS = weight_count(_but(n_layers=3))
_WIDTHS = {
    delta: width_of(_WEIGHTS, taps, n_in=700, n_out=20)
    for delta, taps in _KERNELS.items()
}

FIG_4B_ISO = replace(
    FIG_4B,
    name="hsnn_fig_4b_iso",
    published_as="",
    title="Accuracy against the hierarchy of kernels at an equal number of weights",
    axes=(Axis.zipped({"delta_ker": _DELTA_KER, "n_hid": [*_WIDTHS.values()]}),),
    settings=_but(n_layers=3, hierarchy_conv="kernel", delta_ker=None, n_hid=None),
    plot=replace(
        FIG_4B.plot,
        readings={
            "delta_ker": Reading(
                "kernel, last minus first layer; taps of both; neurons; weights",
                words={0: "equal kernels"},
            )
        },
        ticks=_kernel_ticks(_WIDTHS, told=True),
    ),
    differs=(
        *_STEP,
        "a control that was not published: neurons per layer are chosen so that the"
        " number of weights stays within a percent",
    ),
)

FIG_4D = HsnnSweep(
    name="hsnn_fig_4d",
    published_as="hSNN_Figure_4d",
    title="Accuracy against the hierarchy of dilations",
    dataset="shd",
    axes=(Axis.of("delta_dil", _DELTA_DIL),),
    settings=_but(n_layers=3, hierarchy_conv="dilation", delta_dil=None),
    nb_epochs=60,
    seeds=range(10),
    plot=Plot(
        x="delta_dil",
        reference=("delta_dil", 0),
        readings={
            "delta_dil": Reading(
                "dilation, last minus first layer; steps of both",
                words={0: "equal dilations"},
            )
        },
        ticks={delta: _pair(steps) for delta, steps in _DILATIONS.items()},
    ),
    differs=_STEP,
)

SHD_MAX = HsnnSweep(
    name="hsnn_shd_max",
    published_as="SHD_hCSNN_max_performance",
    title="Spoken digits at best, table 1",
    dataset="shd",
    axes=(Axis.of("use_test_as_valid", [True, False]),),
    settings=_but(
        n_layers=3,
        hierarchy_conv="kernel",
        delta_ker=3,
        delta_dil=2,
        train_alpha=True,
        freq_shift=10,
    ),
    nb_epochs=100,
    seeds=range(10),
    plot=Plot(x="use_test_as_valid"),
    controls={"use_test_as_valid": (False,)},
    differs=(
        *_STEP,
        "the published runs choose their epoch on the test set; --controls adds runs"
        " that choose it on the validation set",
    ),
)

_PLAIN, _HIERARCHY = "equal layers", "hierarchy"

SSC_MAX = HsnnSweep(
    name="hsnn_ssc_max",
    published_as="SSC_hCSNN_max_performance",
    title="Speech commands at best, table 2",
    dataset="ssc",
    axes=(
        Axis.zipped(
            {"delta_ker": [0, 3], "delta_dil": [0, 2]},
            name="kernels",
            labels=[_PLAIN, _HIERARCHY],
        ),
    ),
    settings=_but(
        n_layers=3,
        n_hid=256,
        hierarchy_conv="kernel",
        delta_ker=None,
        delta_dil=None,
        freq_shift=10,
    ),
    nb_epochs=60,
    seeds=range(10),
    plot=Plot(
        x="kernels",
        readings={
            "kernels": Reading(
                "kernels and dilations", words={_HIERARCHY: "kernels +3, dilations +2"}
            )
        },
    ),
    controls={"kernels": (_HIERARCHY,)},
    differs=(
        *_STEP,
        "--controls adds the hierarchy of table 2, which the released sweep has in a"
        " comment only",
    ),
)

CONV_SWEEPS = (
    FIG_S4A,
    FIG_S4B,
    FIG_4B,
    FIG_4B_ISO,
    FIG_4D,
    SHD_MAX,
    SSC_MAX,
)
