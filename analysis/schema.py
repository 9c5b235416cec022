"""Names of a sweep's variables and attributes, and a made-up sweep for tests."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

NETWORK, NOISE, SEED, DRAW, EPOCH = "network", "noise_std", "seed", "draw", "epoch"
FIG4D = (NETWORK, NOISE, SEED)  # its axes
TEST, VALID, CLEAN = "test_accuracy", "valid_accuracy", "test_accuracy_without_noise"
TEST_AT, TEST_LEVEL = "test_accuracy_at", "scored_noise_std"
TEST_TIME, TIME, COMPENSATION = (
    "test_accuracy_at_time",
    "test_time_s",
    "compensation",
)
TEST_CHIP, CHIP = "test_accuracy_on_chip", "test_chip"
GROWTH = "delay_growth"
TIME_CONSTANT, EIGENVALUE = "time_constant", "recurrent_eigenvalue"
HIDDEN_LAYER, NEURON = "hidden_layer", "neuron"
BEST, EPOCHS, CONFUSION = "best_epoch", "n_epochs", "confusion"
PER_EPOCH = "epoch_"  # prefix of curves
DATASET, PROTOCOL = "dataset_name", "protocol"

STATUS = "status"
MISSING, DONE, FAILED = 0, 1, 2

PROVENANCE = "provenance"  # group beside the results: what differs from run to run
RECORD, WALL = "record", "wall_s"

UNITS = {
    "time_s": "s",
    "r_mu": "ohm",
    "cap": "F",
    "tau_mem": "s",
    "timestep": "s",
    "max_delay": "steps",
    "n_steps": "steps",
    "nb_epochs": "epochs",
}  # of configuration keys that are not plain numbers or names


def mock(*, n_seeds: int = 3, n_draws: int = 4, accuracy: float = 0.8) -> "xr.Dataset":
    """A finished fig4d sweep with one accuracy everywhere, for tests."""
    import numpy as np
    import xarray as xr

    levels = [0.0, 0.05, 0.1, 0.15, 0.2]
    cell = {NETWORK: ["D2", "D1"], NOISE: levels, SEED: [42, 50, 9][:n_seeds]}
    coords = {**cell, DRAW: np.arange(n_draws), TEST_LEVEL: levels}
    dims = {
        TEST: (*cell, DRAW),
        VALID: tuple(cell),
        CLEAN: tuple(cell),
        TEST_AT: (*cell, TEST_LEVEL, DRAW),
    }
    shapes = {k: [len(coords[d]) for d in v] for k, v in dims.items()}
    filled = {k: (dims[k], np.full(shapes[k], accuracy)) for k in dims}
    shape = [len(values) for values in cell.values()]
    text = np.full(shape, "mock", dtype=object)
    dataset = xr.Dataset(
        {
            **filled,
            STATUS: (tuple(cell), np.full(shape, DONE, np.int8)),
            DATASET: (tuple(cell), text),
            PROTOCOL: (tuple(cell), text.copy()),
        },
        coords,
    )
    dataset.attrs = {"grid": "fig4d"}
    return dataset
