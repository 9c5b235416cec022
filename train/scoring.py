"""Predictions and accuracies, under as many noise draws as asked for."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from denram.errors import InputError
from denram.train._protocol import Model, Params
from denram.train.data import SpikeSet, batch_indices, decode
from denram.train.task import (
    TEST,
    VALID,
    Batch,
    FitConfig,
    Task,
    decoded,
    member,
    stacked,
)

_PUBLISHED_TEST_SEED = 0  # the published code scores with a fresh PRNGKey(0)


@eqx.filter_jit
def logits(
    models: Model,
    params: Params,
    batch: Batch,
    noise_std: Float[Array, " member"],
    *,
    keys: PRNGKeyArray,
) -> Float[Array, "member draw batch *time class_"]:
    """Logits of one batch, by every member under each of its noise draws.

    The encoded input is shared by all members and draws; a draw is one more column of
    the same program.

    Args:
        models: from `task.stacked`, as `params` are.
        params: what was learnt.
        batch: decoded samples.
        noise_std: one level per member.
        keys: (member, draw).
    """
    first = member(models, 0)
    encoded = first.encode(batch.x, batch.valid)

    def of_member(one: tuple[Model, Params, Array, Array]) -> Array:
        model, params, noise_std, keys = one

        def of_draw(key: PRNGKeyArray) -> Array:
            return model.apply(params, encoded, key=key, noise_std=noise_std)

        return jax.lax.map(of_draw, keys, batch_size=first.draws_at_once)

    return jax.lax.map(of_member, (models, params, noise_std, keys))


def score(
    tasks: Sequence[Task],
    params: Sequence[Params],
    data: SpikeSet,
    batches: np.ndarray,
    noise_std: Sequence[float],
    *,
    keys: Sequence[PRNGKeyArray],
    draws: int,
) -> tuple[
    Float[np.ndarray, "member draw sample *step class_"],
    Int[np.ndarray, "sample ..."],
]:
    """Logits (member, draw, sample, [step,] class) and labels over the given batches.

    Where the data have targets at single steps, the steps that are scored are kept. One
    draw of the noise is one programmed chip: all batches see the same, except
    under the published evaluation, where each batch has its own. Where nothing is
    random all draws are one.
    """
    repeats = 1
    if not any(noise_std) and not any(task.model.random for task in tasks):
        draws, repeats = 1, draws
    models, stack = stacked([task.model for task in tasks]), stacked(list(params))
    levels = jnp.asarray(noise_std, jnp.float32)
    per_batch = tasks[0].config.evaluation == "published"
    found, labels = [], []
    for i, batch in enumerate(decoded(data, batches)):
        bases = [jax.random.fold_in(key, i) if per_batch else key for key in keys]
        split = jnp.stack([jax.random.split(base, draws) for base in bases])
        valid = batches[i] >= 0
        scores = logits(models, stack, batch, levels, keys=split)
        found.append(_scored(np.asarray(scores)[:, :, valid], data, axis=3))
        labels.append(_scored(data.targets(batches[i][valid]), data, axis=1))
    every = np.concatenate(found, axis=2)
    return np.repeat(every, repeats, axis=1), np.concatenate(labels)


def _scored(values: np.ndarray, data: SpikeSet, *, axis: int) -> np.ndarray:
    """Without the steps of single targets that do not count."""
    return values if data.scored is None else values.compress(data.scored, axis)


def accuracies(
    found: Int[np.ndarray, "draw sample *step"],
    labels: Int[np.ndarray, "sample ..."],
    config: FitConfig,
) -> Float[np.ndarray, " draw"]:
    """Share of right predictions of each draw, averaged as the settings say.

    Args:
        found: predicted classes, in the order of the batches.
        labels: true classes.
        config: batch size, and what is averaged.
    """
    hits = (found == labels).reshape(len(found), len(labels), -1).mean(axis=2)
    if config.average == "samples":
        return hits.mean(axis=1)
    starts = np.arange(0, len(labels), config.batch_size)
    sizes = np.diff(np.append(starts, len(labels)))
    return (np.add.reduceat(hits, starts, axis=1) / sizes).mean(axis=1)


def valid_accuracies(
    tasks: Sequence[Task], params: Sequence[Params], epoch: int
) -> list[float]:
    """Mean accuracy of each network on the validation set under its training noise."""
    config = tasks[0].config
    published = config.evaluation == "published"
    data = tasks[0].splits.valid
    batches = batch_indices(
        len(data),
        batch_size=config.batch_size,
        seed=tasks[0].order_seed + 1,
        epoch=epoch,
        shuffle=published,
        drop_last=config.drop_last,
    )
    found, labels = score(
        tasks,
        params,
        data,
        batches,
        [task.noise_std for task in tasks],
        keys=[task.key(VALID, epoch if published else 0) for task in tasks],
        draws=1 if published else config.valid_draws,
    )
    return [
        float(accuracies(scores.argmax(axis=-1), labels, config).mean())
        for scores in found
    ]


def logits_test(
    task: Task, params: Params, noise_std: float | None = None
) -> tuple[
    Float[np.ndarray, "draw sample *step class_"], Int[np.ndarray, "sample ..."]
]:
    """Logits and labels of the test set, in file order.

    Args:
        task: model, data and settings.
        params: what was learnt.
        noise_std: level of the noise; None for the task's own test level.
    """
    task = task.deployed or task
    published = task.config.evaluation == "published"
    level = task.test_noise_std if noise_std is None else noise_std
    draws = 1 if published else task.config.eval_draws
    return set_logits(
        task, params, task.splits.test, level, key=key_of_test(task), draws=draws
    )


def key_of_test(task: Task) -> PRNGKeyArray:
    """The key that the test's draws come from."""
    published = task.config.evaluation == "published"
    return jax.random.key(_PUBLISHED_TEST_SEED) if published else task.key(TEST)


def set_logits(
    task: Task,
    params: Params,
    data: SpikeSet,
    noise_std: float,
    *,
    key: PRNGKeyArray,
    draws: int,
) -> tuple[
    Float[np.ndarray, "draw sample *step class_"], Int[np.ndarray, "sample ..."]
]:
    """Logits and labels of a set of samples, in its own order.

    Args:
        task: model and settings.
        params: what was learnt.
        data: the samples.
        noise_std: level of the noise.
        key: of the draws; equal keys are equal chips.
        draws: number of draws.
    """
    batches = batch_indices(
        len(data),
        batch_size=task.config.batch_size,
        seed=0,
        epoch=0,
        shuffle=False,
        drop_last=task.config.drop_last,
    )
    if task.events is not None:
        return _by_events(task, params, data, batches, noise_std, key=key, draws=draws)
    found, labels = score(
        [task], [params], data, batches, [noise_std], keys=[key], draws=draws
    )
    return found[0], labels


def _by_events(
    task: Task,
    params: Params,
    data: SpikeSet,
    batches: np.ndarray,
    noise_std: float,
    *,
    key: PRNGKeyArray,
    draws: int,
) -> tuple[
    Float[np.ndarray, "draw sample *step class_"], Int[np.ndarray, "sample ..."]
]:
    """`score` of one network, spike by spike."""
    assert task.events is not None
    if data.count is not None or data.unit != 1.0:
        raise InputError(
            "inputs must be binary for a test spike by spike (delay_read_noise,"
            f" dead_time), got the counts of {data.name}"
        )
    found, labels = [], []
    for indices in batches:
        real = indices[indices >= 0]
        x = decode(data, real)
        labels.append(data.label[real])
        found.append(
            [
                task.events(
                    params,
                    x,
                    key=one,
                    noise_std=noise_std,
                    read=read,
                    samples=real,
                )
                for read, one in enumerate(jax.random.split(key, draws))
            ]
        )
    return np.concatenate(found, axis=1), np.concatenate(labels)


def predict_test(
    task: Task, params: Params, noise_std: float | None = None
) -> tuple[Int[np.ndarray, "draw sample *step"], Int[np.ndarray, "sample ..."]]:
    """Predictions and labels of the test set, in file order.

    Arguments as `logits_test`.
    """
    found, labels = logits_test(task, params, noise_std)
    return found.argmax(axis=-1), labels


def score_test(
    task: Task, params: Params, noise_std: float | None = None
) -> Float[np.ndarray, " draw"]:
    """Test accuracy of each noise draw."""
    found, labels = predict_test(task, params, noise_std)
    return accuracies(found, labels, task.config)
