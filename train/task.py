"""What a run begins with and keeps: settings, model, data, keys; and its batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, Num, PRNGKeyArray
from msgspec import Meta

from denram.config import Count, Fraction, Index, Positive, Section, Seed
from denram.errors import InputError
from denram.train._protocol import EventScorer, Model, Params
from denram.train.data import SpikeSet, Splits, decode

_Tree = TypeVar("_Tree", bound=Any)

# more draws say nothing new about a mean, and each is a pass over the test set
Draws = Annotated[int, Meta(ge=1, le=10_000)]


class FitConfig(Section, frozen=True):
    """How to train and how to score.

    Attributes:
        lr: Adam's step size. Published: 2e-4, with the published count of steps. The
            default is the best of 2e-4, 5e-4 and 1.5e-3 by validation accuracy after 5
            epochs (66.5, 76.7, 79.9 %; 256 inputs, noise 0.1, shd-regen, seed 42).
        lr_schedule: `step` (DenRAM: lr/5 and lr/20 after the two epochs of
            `lr_epochs`), `decay` (hSNN: times `lr_decay` after the epoch
            `lr_start_decay` and every `lr_decay_every` epochs from then on, if the
            training is long enough to get there twice), `cosine` to zero over
            nb_epochs, or `constant`.
        lr_epochs: last epochs of the first and the second plateau of `step`.
        lr_decay: factor of `decay` (hSNN: 0.5).
        lr_start_decay: last epoch of the first plateau of `decay` (hSNN: 25).
        lr_decay_every: epochs of each further plateau of `decay` (hSNN: 5).
        nb_epochs: most epochs to train.
        batch_size: samples per update.
        patience: epochs without acceptance before stopping.
        min_relative_gain: relative rise of the validation accuracy that counts
            (DenRAM: 0.01, which discards genuinely better networks).
        accept_ties: of epochs equally good in validation the last is kept (hSNN), not
            the first.
        adam_step: count bias correction in updates, or in epochs (published).
        evaluation: `draws` scores every sample under `eval_draws` noise draws;
            `published` scores whole batches, one fresh draw per batch, and validates
            on a random subset each epoch.
        drop_last: leave out the last, smaller batch of an epoch (published).
        eval_draws: noise draws of the test accuracy.
        valid_draws: noise draws of each epoch's validation, the same every epoch.
        average: accuracy over all samples, or the mean over batches of each batch's
            own (hSNN, where the last, smaller batch counts as much as a whole one).
        order_seed: seed of the order of batches; None for the run's own. Runs with
            the same order can be trained in one program.
    """

    lr: Positive = 1.5e-3
    lr_schedule: Literal["step", "decay", "cosine", "constant"] = "cosine"
    lr_epochs: tuple[Index, Index] = (33, 66)
    lr_decay: Fraction = 0.5
    lr_start_decay: Index = 25
    lr_decay_every: Count = 5
    nb_epochs: Count = 100
    batch_size: Count = 64
    patience: Count = 25
    min_relative_gain: Fraction = 0.0
    accept_ties: bool = False
    adam_step: Literal["update", "epoch"] = "update"
    evaluation: Literal["draws", "published"] = "draws"
    drop_last: bool = False
    eval_draws: Draws = 20
    valid_draws: Draws = 4
    average: Literal["samples", "batches"] = "samples"
    order_seed: Seed | None = None


@dataclass(frozen=True)
class Task:
    """What a run begins with and keeps: model, parameters, data, settings, keys.

    `deployed` is the same run on the chip that is tested, where another was trained on.
    `events` scores the test set where the model's own forward pass cannot. `chip` names
    the chip beside the seed: its noise is its own. The first chip of a
    run's own seed has no name. `augment` changes the samples of a training batch, given
    the keywords seed, epoch and batch.
    """

    model: Model
    params: Params
    splits: Splits
    config: FitConfig
    noise_std: float
    test_noise_std: float
    seed: int
    chip: tuple[int, ...] = ()
    events: EventScorer | None = None
    deployed: "Task | None" = None
    augment: Callable[..., np.ndarray] | None = None

    @property
    def order_seed(self) -> int:
        """Seed of the order of batches."""
        own = self.config.order_seed
        return self.seed if own is None else own

    def key(self, *path: int) -> PRNGKeyArray:
        """The key of one place in the run, such as (TRAIN, epoch, batch).

        Chips of one seed are programmed and read on their own.
        """
        key = jax.random.key(self.seed)
        for part in (*path, *self.chip):
            key = jax.random.fold_in(key, part)
        return key


TRAIN, VALID, TEST = 1, 2, 3


def stacked(trees: Sequence[_Tree]) -> _Tree:
    """Records of one structure as one, every array with a leading axis over them.

    Raises:
        InputError: their structures or shapes differ.
    """
    shapes = {str(jax.tree.map(jnp.shape, tree)) for tree in trees}
    if len(shapes) > 1 or len({jax.tree.structure(tree) for tree in trees}) > 1:
        raise InputError("networks must have one structure to be trained together")
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def member(tree: _Tree, index: int) -> _Tree:
    """One record of a stack."""
    return jax.tree.map(lambda leaf: leaf[index], tree)


@dataclass(frozen=True)
class Batch:
    """A decoded batch; `valid` is False for the padding of the last one."""

    x: Num[Array, "time batch pre"]
    labels: Int[Array, "batch ..."]
    valid: Bool[Array, " batch"]


jax.tree_util.register_dataclass(Batch, ["x", "labels", "valid"], [])


def decoded(
    data: SpikeSet,
    batches: np.ndarray,
    change: Callable[[np.ndarray, int], np.ndarray] | None = None,
) -> Iterator[Batch]:
    """Decode batch after batch of (n_batches, batch) indices, -1 for padding.

    Args:
        data: the samples.
        batches: indices of each batch.
        change: of a decoded batch and its number, such as an augmentation.
    """
    for i, indices in enumerate(batches):
        x = decode(data, indices)
        yield Batch(
            jnp.asarray(x if change is None else change(x, i)),
            jnp.asarray(data.targets(indices), jnp.int32),
            jnp.asarray(indices >= 0),
        )
