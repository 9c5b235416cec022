"""Sizes of hierarchical networks: kernels, dilations and weights, by plain counting."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from denram.config import load_profile

_WIDTH, _LAYERS, _KERNEL = 128, 3, 5


def kernel_sizes(kernel: int, delta: float, n_hidden: int) -> tuple[int, ...]:
    """Taps of each hidden layer: linspace(int(K - d/2), int(K + d/2), H), whole, >= 1.

    An odd delta loses a tap: (5, 1) of two layers gives 4 and 5.

    Args:
        kernel: mean number of taps, K.
        delta: taps of the last layer minus those of the first, d.
        n_hidden: hidden layers, H.
    """
    first, last = int(kernel - delta / 2), int(kernel + delta / 2)
    step = (last - first) / max(1, n_hidden - 1)
    sizes = [first + step * layer for layer in range(n_hidden)]
    if n_hidden > 1:
        sizes[-1] = last
    return tuple(max(1, int(size)) for size in sizes)


def dilations(dilation: int, delta: float, n_hidden: int) -> tuple[int, ...]:
    """Steps between taps of each hidden layer: D + (l - (H-1)/2) / (H-1) d, whole.

    Args:
        dilation: mean dilation, D, steps.
        delta: dilation of the last layer minus that of the first, d, steps.
        n_hidden: hidden layers, H > 1.
    """
    span = n_hidden - 1
    places = [(layer - span / 2) / span for layer in range(n_hidden)]
    return tuple(int(max(0, dilation + place * delta)) for place in places)


def weight_count(settings: Mapping[str, Any]) -> int:
    """Weights of a network, without normalisation and time constants.

    Args:
        settings: flat settings of a run; those of the data set where they say nothing.
    """
    profile = load_profile("hsnn", settings.get("dataset", "shd"))
    n_in, n_out = (settings.get(key, profile["map"][key]) for key in ("n_in", "n_out"))
    n_hid = settings.get("n_hid", profile.get("network", {}).get("n_hid", _WIDTH))
    n_hidden = settings.get("n_layers", _LAYERS) - 1
    taps = (1,) * n_hidden
    if settings.get("convolution", False):
        spread = settings.get("hierarchy_conv", "none") in {"kernel", "both"}
        delta = settings.get("delta_ker", 0) if spread else 0
        taps = kernel_sizes(settings.get("conv_kernel", _KERNEL), delta, n_hidden)
    fan_in = [n_in, *[n_hid] * (n_hidden - 1)]
    hidden = sum(k * n * n_hid for k, n in zip(taps, fan_in, strict=True))
    recurrent = n_hidden * n_hid**2 if settings.get("recurrent", False) else 0
    return hidden + recurrent + n_hid * n_out


def width_of(weights: int, taps: Sequence[int], *, n_in: int, n_out: int) -> int:
    """Neurons per layer that bring a convolutional network closest to a weight count.

    The positive root of (K_2 + ...) n^2 + (K_1 n_in + n_out) n = weights, rounded to
    the closer side.

    Args:
        weights: wanted, without normalisation and time constants.
        taps: of each hidden layer.
        n_in: inputs.
        n_out: classes.
    """
    a, b = sum(taps[1:]), taps[0] * n_in + n_out
    root = (math.sqrt(b**2 + 4 * a * weights) - b) / (2 * a) if a else weights / b
    low = max(1, math.floor(root))
    return min((low, low + 1), key=lambda n: abs(a * n**2 + b * n - weights))
