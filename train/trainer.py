"""The one trainer: epochs of Adam on any model of `_protocol`, and its evaluation.

An epoch is a pure function of (model, data, config, state): every random number comes
from the run's seed, the epoch and the batch, so a resumed run repeats the same bits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from denram.errors import DivergedError
from denram.train._protocol import Model, Params
from denram.train.data import batch_indices
from denram.train.optimiser import adam, learning_rate
from denram.train.scoring import score_test, valid_accuracy
from denram.train.task import TRAIN, Batch, FitConfig, Task, decoded


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
    config, epoch = task.config, len(state.history)
    params, opt_state, loss, accuracy = _train(task, state, epoch, on_batch)
    valid = valid_accuracy(task, params, epoch)
    gain = (valid - state.best_valid) / state.best_valid
    accepted = valid > state.best_valid and gain >= config.min_relative_gain
    tested = accepted and config.evaluation == "published"
    test = float(score_test(task, params)[0]) if tested else None
    row = Epoch(epoch, loss, accuracy, valid, test, accepted)
    state = replace(
        state, params=params, opt_state=opt_state, history=(*state.history, row)
    )
    if not accepted:
        return replace(state, stale=state.stale + 1)
    return replace(
        state, best_params=params, best_valid=valid, best_epoch=epoch, stale=0
    )


def _train(
    task: Task,
    state: FitState,
    epoch: int,
    on_batch: Callable[[int, int], None] | None,
) -> tuple[Params, Any, float, float]:
    config, data = task.config, task.splits.train
    lr = learning_rate(
        config.lr_schedule,
        epoch,
        lr=config.lr,
        steps=config.lr_epochs,
        nb_epochs=config.nb_epochs,
    )
    batches = batch_indices(
        len(data),
        batch_size=config.batch_size,
        seed=task.seed,
        epoch=epoch,
        shuffle=True,
        drop_last=config.drop_last,
    )
    params, opt_state = state.params, state.opt_state
    losses, corrects = [], []
    for i, batch in enumerate(decoded(data, batches)):
        params, opt_state, loss, correct = train_step(
            task.model,
            params,
            opt_state,
            batch,
            lr=jnp.float32(lr),
            epoch_count=jnp.float32(epoch + 1),
            noise_std=jnp.float32(task.noise_std),
            key=task.key(TRAIN, epoch, i),
            adam_step=config.adam_step,
        )
        if losses:  # one step behind, so that the host prepares the next batch
            _require_finite(losses[-1], epoch, i - 1)
        losses.append(loss)
        corrects.append(correct)
        if on_batch is not None:
            on_batch(i + 1, len(batches))
    _require_finite(losses[-1], epoch, len(batches) - 1)
    seen = int((batches >= 0).sum())
    mean_loss = float(np.mean(jax.device_get(losses)))
    return params, opt_state, mean_loss, float(sum(jax.device_get(corrects)) / seen)


def _require_finite(loss: Array, epoch: int, batch: int) -> None:
    if not np.isfinite(loss):
        raise DivergedError(
            f"loss must be finite, got {float(loss)} in epoch {epoch}, batch {batch};"
            " the last good checkpoint is kept (a smaller --lr may help)"
        )


@eqx.filter_jit
def train_step(
    model: Model,
    params: Params,
    opt_state: Any,
    batch: Batch,
    *,
    lr: Float[Array, ""],
    epoch_count: Float[Array, ""],
    noise_std: Float[Array, ""],
    key: PRNGKeyArray,
    adam_step: str,
) -> tuple[Params, Any, Float[Array, ""], Int[Array, ""]]:
    """One update. Returns params, optimiser state, loss and correct predictions.

    The loss comes back as NaN if it or a gradient is not finite.
    """
    encoded = model.encode(batch.x)

    def objective(params: Params) -> tuple[Array, Array]:
        logits = model.apply(params, encoded, key=key, noise_std=noise_std)
        return model.loss(logits, batch.labels, batch.valid), logits

    (loss, logits), grads = jax.value_and_grad(objective, has_aux=True)(params)
    updates, opt_state = adam(adam_step).update(
        grads, opt_state, params, epoch_count=epoch_count
    )
    params = jax.tree.map(lambda p, u: p - lr * u, params, updates)
    finite = [jnp.all(jnp.isfinite(g)) for g in jax.tree.leaves(grads)]
    loss = jnp.where(jnp.all(jnp.stack(finite)), loss, jnp.nan)
    hits = (jnp.argmax(logits, axis=1) == batch.labels) & batch.valid
    return params, opt_state, loss, jnp.sum(hits)
