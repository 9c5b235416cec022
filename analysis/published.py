"""Published values that a reproduction is compared with."""

import numpy as np
import xarray as xr

from denram.analysis.schema import NETWORK, NOISE, SEED

# DenRAM, Nat. Commun. 15:3446 (2024), figure 4d: the released results file, test
# accuracy in % by noise level (rows) and seed (columns 42, 50, 9), on SHD. One noise
# draw per batch, 2,240 of 2,264 test samples.
_FIG4D_PERCENT = {
    "D2": [
        [86.29, 86.16, 87.54],
        [86.16, 86.25, 85.62],
        [82.46, 82.32, 81.38],
        [77.68, 77.19, 77.14],
        [70.98, 72.72, 71.92],
    ],
    "D1": [
        [90.27, 89.60, 90.45],
        [88.48, 90.00, 90.71],
        [86.65, 87.32, 87.63],
        [82.86, 82.23, 84.20],
        [78.88, 77.14, 79.24],
    ],
}


def fig4d_published() -> xr.DataArray:
    """Test accuracy (network, noise_std, seed) of the paper's figure 4d, as fractions.

    D1: 700 inputs, tau_mem 20 ms. D2: 256 inputs, tau_mem 15 ms. On SHD only.
    """
    return xr.DataArray(
        np.array(list(_FIG4D_PERCENT.values())) / 100,
        dims=(NETWORK, NOISE, SEED),
        coords={
            NETWORK: list(_FIG4D_PERCENT),
            NOISE: [0.0, 0.05, 0.1, 0.15, 0.2],
            SEED: [42, 50, 9],
        },
        attrs={"source": "DenRAM, Nat. Commun. 15:3446 (2024), figure 4d"},
    )
