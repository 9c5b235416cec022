"""What a chip makes of its neurons' time constants."""

import numpy as np
from numpy.typing import NDArray

from denram.devices import standard_normal
from denram.mapping.constraints import MapConfig
from denram.mapping.delays import chip_stream


def tau_factors(
    n: int, sigma_ln: float, config: MapConfig, *, seed: int, name: str
) -> NDArray[np.float64]:
    """Time constant of each neuron over what it was meant to be: exp(sigma_ln N).

    The median is 1. A membrane leaks through a resistance R into a capacitor C, so that
    tau = R C spreads as they do; the lognormal form is the one that a circuit Monte
    Carlo of the hSNN authors' group found for analog time constants.

    Args:
        n: number of neurons.
        sigma_ln: standard deviation of ln tau, >= 0.
        config: which chip of the series.
        seed: of the chip.
        name: of the layer; each has its own draws.

    Source: law and values quoted from EIS-Hub, Memristor-Aware-Training.
    """
    stream = chip_stream(config, f"{name}-tau")
    z = standard_normal((n, 1, 1), seed=seed, stream=stream)[:, 0, 0]
    return np.exp(sigma_ln * z)
