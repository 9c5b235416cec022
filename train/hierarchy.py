"""Time constants, kernels and dilations that change with depth, and their spread.

Depth counts hidden layers from the input. Source of all formulas: hSNN (temporal
hierarchy in spiking networks, arXiv 2407.18838), released code.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from numpy.typing import NDArray

from denram.errors import InputError

LONGEST_S = 10.0  # no time constant is longer (released code)
TauHierarchy = Literal["none", "linear", "tanh"]
Spread = Literal["uniform", "normal", "lognormal", "homogeneous"]


def layer_tau(
    kind: TauHierarchy,
    n_hidden: int,
    *,
    tau_mem: float,
    delta_tau: float,
    tanh_coef: float = 0.5,
    tanh_center: float = 0.5,
) -> NDArray[np.float64]:
    """Target time constant of each hidden layer, s.

    none: tau_mem. linear: even steps from tau_mem - delta / 2 to tau_mem + delta / 2.
    tanh: with x from 0 to 1 over the layers, h = tanh((x - centre) / coef),

        r = (h - min h) / max(h - min h) - 1/2,    tau = tau_mem + r delta

    Args:
        kind: of the hierarchy.
        n_hidden: hidden layers.
        tau_mem: mean of the first and the last layer, s.
        delta_tau: last minus first, s; negative turns the hierarchy round.
        tanh_coef: width of the tanh, in depth from 0 to 1.
        tanh_center: centre of the tanh, likewise.

    Raises:
        InputError: fewer layers than a hierarchy needs, or a time constant that is not
            > 0.
    """
    if kind == "none":
        return np.full(n_hidden, tau_mem)
    if n_hidden < 2:
        raise InputError(
            f"n_layers must be >= 3 (2 hidden layers and the readout) for hierarchy_tau"
            f" {kind}, got {n_hidden + 1}"
        )
    if kind == "linear":
        tau = np.linspace(tau_mem - delta_tau / 2, tau_mem + delta_tau / 2, n_hidden)
    else:
        h = np.tanh((np.linspace(0, 1, n_hidden) - tanh_center) / tanh_coef)
        h = h - h.min()
        tau = tau_mem + (h / np.abs(h).max() - 0.5) * delta_tau
    if tau.min() <= 0:
        raise InputError(
            f"delta_tau must leave every time constant > 0 around tau_mem"
            f" {tau_mem:g} s, got {delta_tau:g} s: layer {int(tau.argmin()) + 1}"
            f" would have {tau.min():g} s"
        )
    return tau


def kernel_sizes(kernel: int, delta: int, n_hidden: int) -> list[int]:
    """Taps of each hidden layer: int of an even ladder, at least 1.

    The ladder goes from int(kernel - delta / 2) to int(kernel + delta / 2), so that an
    odd delta is one tap less (published).

    Raises:
        InputError: fewer layers than a hierarchy needs.
    """
    if delta and n_hidden < 2:
        raise InputError(
            f"n_layers must be >= 3 (2 hidden layers and the readout) for delta_ker"
            f" {delta}, got {n_hidden + 1}"
        )
    ends = int(kernel - delta / 2), int(kernel + delta / 2)
    return [max(1, int(k)) for k in np.linspace(*ends, n_hidden)]


def dilations(dilation: int, delta: int, n_hidden: int) -> list[int]:
    """Dilation of each hidden layer, int(D + (l - h / 2) / h delta), h = n_hidden - 1.

    Raises:
        InputError: fewer layers than a hierarchy needs, or a dilation below 1.
    """
    if not delta:
        return [dilation] * n_hidden
    if n_hidden < 2:
        raise InputError(
            f"n_layers must be >= 3 (2 hidden layers and the readout) for delta_dil"
            f" {delta}, got {n_hidden + 1}"
        )
    h = n_hidden - 1
    found = [int(max(0, dilation + (l - h / 2) / h * delta)) for l in range(n_hidden)]
    if min(found) < 1:
        raise InputError(
            f"delta_dil must leave every dilation >= 1 around {dilation}, got {delta}"
        )
    return found


def spread_tau(
    tau: float, n: int, *, kind: Spread, sd: float, key: PRNGKeyArray
) -> Float[Array, " neuron"]:
    """Time constants of a layer's neurons around their target, s, within 1e-10 to 10.

    uniform: tau U(1 - sd, 1 + sd); normal: tau (1 + sd N); lognormal: tau exp(sd N);
    homogeneous: tau.

    Args:
        tau: target, s.
        n: neurons.
        kind: of the spread.
        sd: relative, or of ln tau.
        key: consumed.
    """
    match kind:
        case "uniform":
            found = tau * jax.random.uniform(key, (n,), minval=1 - sd, maxval=1 + sd)
        case "normal":
            found = tau * (1 + sd * jax.random.normal(key, (n,)))
        case "lognormal":
            found = tau * jnp.exp(sd * jax.random.normal(key, (n,)))
        case "homogeneous":
            found = jnp.full((n,), tau, jnp.float32)
    return jnp.clip(found, 1e-10, LONGEST_S)


def tau_range(alpha: tuple[float, float], timestep_s: float) -> tuple[float, float]:
    """Time constants that decay factors between two bounds stand for, s.

    tau = -dt / ln alpha; 693 ms for 0.98 and steps of 14 ms.
    """
    low, high = (-timestep_s / math.log(a) for a in alpha)
    return low, high
