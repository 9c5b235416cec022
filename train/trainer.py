"""The one trainer: epochs of Adam on any models of `_protocol`, and its evaluation.

It trains one network, or many of one structure on the same batches in one program.

An epoch is a pure function of (model, data, config, state): every random number comes
from the run's seed, the epoch and the batch, so a resumed run repeats the same bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from denram.errors import DivergedError
from denram.train._protocol import Model, Outcome, Params
from denram.train.data import batch_indices
from denram.train.optimiser import adam, learning_rate
from denram.train.scoring import score_test, valid_accuracies
from denram.train.task import (
    TRAIN,
    Batch,
    FitConfig,
    Task,
    decoded,
    member,
    stacked,
)


@dataclass(frozen=True)
class Epoch:
    """One row of the epoch table. Accuracies are fractions; test is None if not run."""

    epoch: int
    train_loss: float
    train_accuracy: float
    valid_accuracy: float
    test_accuracy: float | None
    accepted: bool


@dataclass(frozen=True)
class FitState:
    """Everything that the next epoch depends on."""

    params: Params
    opt_state: Any
    best_params: Params
    best_valid: float = 1e-5
    best_epoch: int = -1
    stale: int = 0
    history: tuple[Epoch, ...] = ()

    def finished(self, config: FitConfig) -> bool:
        """Whether epochs or patience are used up."""
        return len(self.history) >= config.nb_epochs or self.stale >= config.patience


def start(task: Task) -> FitState:
    """The state before the first epoch."""
    params = task.params
    opt_state = adam(task.config.adam_step).init(params)
    return FitState(params=params, opt_state=opt_state, best_params=params)


def run_epoch(
    task: Task, state: FitState, *, on_batch: Callable[[int, int], None] | None = None
) -> FitState:
    """Train one epoch, validate, and keep the parameters if they are better.

    Args:
        task: model, data and settings.
        state: where the last epoch ended.
        on_batch: called with (batches done, batches in all).

    Raises:
        DivergedError: a loss or gradient was not finite; `state` is still good.
    """
    return run_epoch_together([task], [state], on_batch=on_batch)[0]


def run_epoch_together(
    tasks: Sequence[Task],
    states: Sequence[FitState],
    *,
    going: Sequence[bool] | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> list[FitState]:
    """`run_epoch` for many networks in one program, which see the same batches.

    Args:
        tasks: of one structure, on the same data, with equal `config`.
        states: where each network's last epoch ended; after one epoch count, where
            they are going on.
        going: False for a network that keeps its state. It is computed all the same,
            so that the program and the other networks' bits do not change.
        on_batch: called with (batches done, batches in all).

    Raises:
        DivergedError: a loss or gradient was not finite; the states are still good.
    """
    going = [True] * len(tasks) if going is None else going
    epoch = len(states[list(going).index(True)].history)
    trained = _train(tasks, states, epoch, on_batch)
    valid = valid_accuracies(tasks, [t.params for t in trained], epoch)
    return [
        _judged(task, state, new, accuracy) if goes else state
        for task, state, new, accuracy, goes in zip(
            tasks, states, trained, valid, going, strict=True
        )
    ]


@dataclass(frozen=True)
class _Trained:
    """One network after the updates of an epoch."""

    params: Params
    opt_state: Any
    loss: float
    accuracy: float


def _judged(task: Task, state: FitState, new: _Trained, valid: float) -> FitState:
    """The state after an epoch: accepted as the best so far, or one more stale."""
    config, epoch = task.config, len(state.history)
    gain = (valid - state.best_valid) / state.best_valid
    better = valid > state.best_valid
    if config.accept_ties:
        better = valid >= state.best_valid
    accepted = better and gain >= config.min_relative_gain
    tested = accepted and config.evaluation == "published"
    test = float(score_test(task, new.params)[0]) if tested else None
    row = Epoch(epoch, new.loss, new.accuracy, valid, test, accepted)
    state = replace(
        state,
        params=new.params,
        opt_state=new.opt_state,
        history=(*state.history, row),
    )
    if not accepted:
        return replace(state, stale=state.stale + 1)
    return replace(
        state, best_params=new.params, best_valid=valid, best_epoch=epoch, stale=0
    )


def _train(
    tasks: Sequence[Task],
    states: Sequence[FitState],
    epoch: int,
    on_batch: Callable[[int, int], None] | None,
) -> list[_Trained]:
    config, data = tasks[0].config, tasks[0].splits.train
    lr = learning_rate(config, epoch)
    batches = batch_indices(
        len(data),
        batch_size=config.batch_size,
        seed=tasks[0].order_seed,
        epoch=epoch,
        shuffle=True,
        drop_last=config.drop_last,
    )
    models = stacked([task.model for task in tasks])
    params = stacked([state.params for state in states])
    opt_state = stacked([state.opt_state for state in states])
    noise_std = jnp.asarray([task.noise_std for task in tasks], jnp.float32)
    augment, seed = tasks[0].augment, tasks[0].order_seed

    def changed(x: np.ndarray, batch: int) -> np.ndarray:
        return x if augment is None else augment(x, seed=seed, epoch=epoch, batch=batch)

    losses, corrects = [], []
    for i, batch in enumerate(decoded(data, batches, changed)):
        params, opt_state, loss, correct = train_step(
            models,
            params,
            opt_state,
            batch,
            lr=jnp.float32(lr),
            epoch_count=jnp.float32(epoch + 1),
            noise_std=noise_std,
            keys=jnp.stack([task.key(TRAIN, epoch, i) for task in tasks]),
            adam_step=config.adam_step,
        )
        if losses:  # one step behind, so that the host prepares the next batch
            _require_finite(losses[-1], tasks, epoch, i - 1)
        losses.append(loss)
        corrects.append(correct)
        if on_batch is not None:
            on_batch(i + 1, len(batches))
    _require_finite(losses[-1], tasks, epoch, len(batches) - 1)
    seen = int((batches >= 0).sum())
    mean_loss = np.mean(jax.device_get(losses), axis=0)
    accuracy = np.sum(jax.device_get(corrects), axis=0) / seen
    return [
        _Trained(member(params, i), member(opt_state, i), float(loss), float(share))
        for i, (loss, share) in enumerate(zip(mean_loss, accuracy, strict=True))
    ]


def _require_finite(
    losses: Array, tasks: Sequence[Task], epoch: int, batch: int
) -> None:
    for loss, task in zip(np.asarray(losses), tasks, strict=True):
        if not np.isfinite(loss):
            which = "" if len(tasks) == 1 else f", noise_std {task.noise_std:g}"
            raise DivergedError(
                f"loss must be finite, got {float(loss)} in epoch {epoch}, batch"
                f" {batch}, seed {task.seed}{which}; the last good checkpoint is kept"
                " (a smaller --lr may help)"
            )


@eqx.filter_jit
def train_step(
    models: Model,
    params: Params,
    opt_state: Any,
    batch: Batch,
    *,
    lr: Float[Array, ""],
    epoch_count: Float[Array, ""],
    noise_std: Float[Array, " member"],
    keys: PRNGKeyArray,
    adam_step: str,
) -> tuple[Params, Any, Float[Array, " member"], Float[Array, " member"]]:
    """One update of every member on one batch, whose encoding they share.

    `models`, `params` and `opt_state` come from `task.stacked`. Returns params,
    optimiser state, loss and correct predictions (of a sample with targets at single
    steps, the share of its steps). A loss comes back as NaN if it or a
    gradient is not finite.
    """
    encoded = member(models, 0).encode(batch.x, batch.valid)

    def update(
        model: Model, params: Params, opt_state: Any, noise_std: Array, key: Array
    ) -> tuple[Params, Any, Array, Array]:
        def objective(params: Params) -> tuple[Array, Outcome]:
            return model.objective(
                params,
                encoded,
                batch.labels,
                batch.valid,
                key=key,
                noise_std=noise_std,
            )

        (loss, outcome), grads = jax.value_and_grad(objective, has_aux=True)(params)
        updates, opt_state = adam(adam_step).update(
            grads, opt_state, params, epoch_count=epoch_count
        )
        params = jax.tree.map(lambda p, u: p - lr * u, params, updates)
        params = {**params, **outcome.moved}
        finite = [jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(grads)]
        loss = jnp.where(jnp.all(jnp.stack(finite)), loss, jnp.nan)
        hits = jnp.argmax(outcome.scores, axis=-1) == batch.labels
        share = jnp.mean(hits.reshape(hits.shape[0], -1), axis=1, dtype=jnp.float32)
        return params, opt_state, loss, jnp.sum(jnp.where(batch.valid, share, 0.0))

    return eqx.filter_vmap(update)(models, params, opt_state, noise_std, keys)
