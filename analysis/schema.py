"""Names of a sweep's dimensions and variables, and its empty template."""

from typing import Any

import numpy as np
import xarray as xr

NETWORK, NOISE, SEED, DRAW = "network", "noise_std", "seed", "draw"
CELL = (NETWORK, NOISE, SEED)
TEST, VALID, CLEAN = "test_accuracy", "valid_accuracy", "test_accuracy_without_noise"
BEST, EPOCHS, STATUS = "best_epoch", "n_epochs", "status"
DONE = 1  # a status that is not DONE means: not computed yet

_CELL_VARIABLES = {
    VALID: "best validation accuracy, under the training noise",
    CLEAN: "test accuracy with the noise switched off",
    BEST: "epoch whose parameters were kept",
    EPOCHS: "epochs trained",
    STATUS: "1 when the cell is complete; written last",
}


def template(
    networks: list[str], noise_std: list[float], seeds: list[int], n_draws: int
) -> xr.Dataset:
    """A sweep before any cell is computed: every value NaN, every status 0.

    Args:
        networks: names of the networks.
        noise_std: noise levels, fraction of max|w|.
        seeds: seeds of the runs.
        n_draws: noise draws of each test accuracy.
    """
    shape = (len(networks), len(noise_std), len(seeds))
    variables: dict[str, Any] = {
        TEST: (
            (*CELL, DRAW),
            np.full((*shape, n_draws), np.nan),
            {"units": "1", "long_name": "test accuracy of each noise draw"},
        )
    }
    for name, text in _CELL_VARIABLES.items():
        fill = 0.0 if name == STATUS else np.nan
        attrs = {"units": "1", "long_name": text}
        variables[name] = (CELL, np.full(shape, fill), attrs)
    coords = {
        # of variable length: zarr has no specification for fixed-length text
        NETWORK: np.array(networks, dtype=object),
        NOISE: (NOISE, noise_std, {"units": "1", "long_name": "noise over max|w|"}),
        SEED: seeds,
        DRAW: np.arange(n_draws),
    }
    return xr.Dataset(variables, coords)


def mock(*, n_seeds: int = 3, n_draws: int = 4, accuracy: float = 0.8) -> xr.Dataset:
    """A finished sweep of the paper's shape with one accuracy everywhere, for tests."""
    noise, seeds = [0.0, 0.05, 0.1, 0.15, 0.2], [42, 50, 9][:n_seeds]
    dataset = template(["D2", "D1"], noise, seeds, n_draws)
    for name in (TEST, VALID, CLEAN):
        dataset[name] = xr.full_like(dataset[name], accuracy)
    dataset[STATUS] = xr.full_like(dataset[STATUS], DONE)
    dataset.attrs = {"grid": "fig4d", "dataset": "mock", "protocol": "mock"}
    return dataset
