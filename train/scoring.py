"""Predictions and accuracies, under as many noise draws as asked for."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from denram.train._protocol import Model, Params
from denram.train.data import SpikeSet, batch_indices
from denram.train.task import TEST, VALID, Batch, Task, decoded

_DRAWS_AT_ONCE = 20  # more share the encoded input in turns, so memory stays bounded
_PUBLISHED_TEST_SEED = 0  # the published code scores with a fresh PRNGKey(0)


@eqx.filter_jit
def predictions(
    model: Model,
    params: Params,
    batch: Batch,
    noise_std: Float[Array, ""],
    *,
    keys: PRNGKeyArray,
) -> Int[Array, "draw batch"]:
    """Predicted classes of one batch under each of `keys`' noise draws.

    The encoded input is shared by all draws.
    """
    encoded = model.encode(batch.x)

    def one(key: PRNGKeyArray) -> Array:
        logits = model.apply(params, encoded, key=key, noise_std=noise_std)
        return jnp.argmax(logits, axis=1)

    return jax.lax.map(one, keys, batch_size=_DRAWS_AT_ONCE)


def score(
    task: Task,
    params: Params,
    data: SpikeSet,
    batches: np.ndarray,
    noise_std: float,
    *,
    key: PRNGKeyArray,
    draws: int,
) -> tuple[Int[np.ndarray, "draw sample"], Int[np.ndarray, " sample"]]:
    """Predictions (draw, sample) and labels (sample,) over the given batches.

    One draw of the noise is one programmed chip: all batches see the same, except
    under the published evaluation, where each batch has its own.
    """
    found, labels = [], []
    for i, batch in enumerate(decoded(data, batches)):
        base = key if task.config.evaluation == "draws" else jax.random.fold_in(key, i)
        keys = jax.random.split(base, draws)
        classes = predictions(
            task.model, params, batch, jnp.float32(noise_std), keys=keys
        )
        valid = batches[i] >= 0
        found.append(np.asarray(classes)[:, valid])
        labels.append(data.label[batches[i][valid]])
    return np.concatenate(found, axis=1), np.concatenate(labels)


def valid_accuracy(task: Task, params: Params, epoch: int) -> float:
    """Mean accuracy on the validation set under the training noise."""
    published = task.config.evaluation == "published"
    data = task.splits.valid
    batches = batch_indices(
        len(data),
        batch_size=task.config.batch_size,
        seed=task.seed + 1,
        epoch=epoch,
        shuffle=published,
        drop_last=task.config.drop_last,
    )
    found, labels = score(
        task,
        params,
        data,
        batches,
        task.noise_std,
        key=task.key(VALID, epoch if published else 0),
        draws=1 if published else task.config.valid_draws,
    )
    return float(np.mean(found == labels))


def predict_test(
    task: Task, params: Params, noise_std: float | None = None
) -> tuple[Int[np.ndarray, "draw sample"], Int[np.ndarray, " sample"]]:
    """Predictions and labels of the test set, in file order.

    Args:
        task: model, data and settings.
        params: what was learnt.
        noise_std: level of the noise; None for the task's own test level.
    """
    published = task.config.evaluation == "published"
    batches = batch_indices(
        len(task.splits.test),
        batch_size=task.config.batch_size,
        seed=0,
        epoch=0,
        shuffle=False,
        drop_last=task.config.drop_last,
    )
    return score(
        task,
        params,
        task.splits.test,
        batches,
        task.test_noise_std if noise_std is None else noise_std,
        key=jax.random.key(_PUBLISHED_TEST_SEED) if published else task.key(TEST),
        draws=1 if published else task.config.eval_draws,
    )


def score_test(
    task: Task, params: Params, noise_std: float | None = None
) -> Float[np.ndarray, " draw"]:
    """Test accuracy of each noise draw."""
    found, labels = predict_test(task, params, noise_std)
    return np.mean(found == labels, axis=1)
