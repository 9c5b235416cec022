"""The data sets by name."""

from collections.abc import Mapping
from typing import Protocol

from denram.train.data.config import DataConfig
from denram.train.data.shd import load_shd
from denram.train.data.spikes import Splits
from denram.train.data.synthetic import make_synthetic


class Loader(Protocol):
    """What every data set offers."""

    def __call__(
        self, config: DataConfig, *, n_in: int, timestep_s: float, seed: int
    ) -> Splits:
        """Return the training, validation and test set."""
        ...


DATASETS: Mapping[str, Loader] = {"synthetic": make_synthetic, "shd": load_shd}


def load(config: DataConfig, *, n_in: int, timestep_s: float, seed: int) -> Splits:
    """Load the data set that `config.dataset` names.

    Args:
        config: the data set and how it is binned, reduced and split.
        n_in: number of network inputs.
        timestep_s: time step, s.
        seed: the run's seed, for the `published` split.

    Raises:
        InputError: see the data set's own loader.
    """
    loader = DATASETS[config.dataset]
    return loader(config, n_in=n_in, timestep_s=timestep_s, seed=seed)
