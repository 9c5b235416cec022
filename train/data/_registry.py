"""The data sets by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from denram.train.data import mnist, mts_xor, shd, ssc, synthetic
from denram.train.data.binning import window_steps
from denram.train.data.config import DataConfig
from denram.train.data.spikes import Splits


class Loader(Protocol):
    """What every data set offers."""

    def __call__(
        self, config: DataConfig, *, n_in: int, timestep_s: float, seed: int
    ) -> Splits:
        """Return the training, validation and test set."""
        ...


@dataclass(frozen=True)
class DataSet:
    """A data set, and what is known of it before it is loaded.

    Args:
        load: makes the training, validation and test set.
        n_steps: window in steps of a configuration and a time step, s; raises
            InputError where the set cannot have that window.
        n_classes: number of classes.
        n_samples: samples before the validation set is taken out, and test samples.
        require_files: raises InputError if a data folder is given and lacks a file;
            nothing is downloaded.
        per_step: whether every time step has a target of its own.
    """

    load: Loader
    n_steps: Callable[[DataConfig, float], int]
    n_classes: int
    n_samples: Callable[[DataConfig], tuple[int, int]]
    require_files: Callable[[str | None], None]
    per_step: bool = False


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
    loader = DATASETS[config.dataset].load
    splits = loader(config, n_in=n_in, timestep_s=timestep_s, seed=seed)
    return _leaking(splits) if config.use_test_as_valid else splits


def _leaking(splits: Splits) -> Splits:
    """Put the test set in the place of the validation set, and say so."""
    counts = splits.provenance["n_samples"] | {"valid": len(splits.test)}
    leak = {"n_samples": counts, "valid": "the test set (use_test_as_valid)"}
    provenance = {**splits.provenance, **leak}
    return replace(splits, valid=splits.test, provenance=provenance)


def _window(config: DataConfig, timestep_s: float) -> int:
    return window_steps(config.n_steps, config.truncation, timestep_s)


def _asked(config: DataConfig) -> tuple[int, int]:
    return config.n_train, config.n_test


def _nothing(data_dir: str | None) -> None:
    del data_dir


def _in_folder(find: Callable[[str | None], object]) -> Callable[[str | None], None]:
    def require(data_dir: str | None) -> None:
        if data_dir is not None:
            find(data_dir)

    return require


_MNIST = DataSet(
    load=mnist.load_mnist,
    n_steps=lambda config, _: mnist.mnist_steps(config),
    n_classes=mnist.N_CLASSES,
    n_samples=lambda _: (60_000, 10_000),
    require_files=_in_folder(mnist.source_files),
)
DATASETS: Mapping[str, DataSet] = {
    "synthetic": DataSet(
        load=synthetic.make_synthetic,
        n_steps=_window,
        n_classes=synthetic.N_CLASSES,
        n_samples=_asked,
        require_files=_nothing,
    ),
    "shd": DataSet(
        load=shd.load_shd,
        n_steps=_window,
        n_classes=shd.FORMAT.n_classes,
        n_samples=lambda _: (8156, 2264),
        require_files=_in_folder(shd.source_files),
    ),
    "ssc": DataSet(
        load=ssc.load_ssc,
        n_steps=_window,
        n_classes=ssc.FORMAT.n_classes,
        n_samples=lambda _: (75_466, 20_382),
        require_files=_in_folder(ssc.source_files),
    ),
    "mts_xor": DataSet(
        load=mts_xor.make_mts_xor,
        n_steps=lambda config, _: mts_xor.mts_xor_steps(config),
        n_classes=mts_xor.N_CLASSES,
        n_samples=_asked,
        require_files=_nothing,
        per_step=True,
    ),
    **dict.fromkeys(mnist.FORMS, _MNIST),
}
