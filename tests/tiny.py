"""A run small enough for a test: 200 synthetic utterances, 12 inputs, 2 delays."""

from denram.train import resolve

SETTINGS = {
    "n_in": 12,
    "n_delays": 2,
    "n_train": 120,
    "n_test": 40,
    "n_steps": 60,
    "max_delay": 60,
    "r_mu": 150e9,
    "nb_epochs": 3,
    "lr": 1e-2,
    "batch_size": 32,
    "eval_draws": 3,
    "valid_draws": 2,
}


def config(**settings):
    """The tiny run's configuration with some settings replaced."""
    preset = settings.pop("preset", None)
    return resolve({**SETTINGS, **settings}, preset=preset)
