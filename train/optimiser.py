"""Adam with either count of steps, and the learning rate of an epoch."""

import math
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

B1, B2, EPS = 0.9, 0.999, 1e-8


class Schedule(Protocol):
    """The settings that `learning_rate` reads, a `FitConfig`."""

    @property
    def lr(self) -> float: ...  # noqa: D102  see FitConfig
    @property
    def lr_schedule(self) -> str: ...  # noqa: D102
    @property
    def lr_epochs(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def lr_decay(self) -> float: ...  # noqa: D102
    @property
    def lr_start_decay(self) -> int: ...  # noqa: D102
    @property
    def lr_decay_every(self) -> int: ...  # noqa: D102
    @property
    def nb_epochs(self) -> int: ...  # noqa: D102


def learning_rate(config: Schedule, epoch: int) -> float:
    """Step size of an epoch.

    `step`: lr up to and with epoch lr_epochs[0], then lr / 5, and lr / 20 after
    lr_epochs[1] (DenRAM's released code). `decay`: lr lr_decay^k, k = 1 in the epoch
    after lr_start_decay and one more every lr_decay_every epochs, for trainings of more
    than lr_start_decay + lr_decay_every epochs, else constant (hSNN's). `cosine`: half
    a cosine to zero over nb_epochs.

    Args:
        config: the schedule.
        epoch: counted from 0.
    """
    lr, start, every = config.lr, config.lr_start_decay, config.lr_decay_every
    match config.lr_schedule:
        case "cosine":
            return lr * (1 + math.cos(math.pi * epoch / config.nb_epochs)) / 2
        case "step":
            first, second = config.lr_epochs
            return lr / (1 if epoch <= first else 5 if epoch <= second else 20)
        case "decay" if start + every < config.nb_epochs and epoch > start:
            return lr * config.lr_decay ** (1 + (epoch - start - 1) // every)
    return lr


class EpochAdamState(NamedTuple):
    """First and second moments; the step count comes from outside."""

    mu: Any
    nu: Any


def adam(step: str) -> optax.GradientTransformationExtraArgs:
    """Adam's direction, to be scaled by -lr.

    Args:
        step: `update` counts bias correction in updates (Kingma and Ba 2015);
            `epoch` divides by 1 - beta^(epoch + 1) however many updates the moments
            have seen, as DenRAM's and hSNN's released codes do. Its `update` takes
            `epoch_count` = epoch + 1.
    """
    if step == "update":
        return optax.with_extra_args_support(optax.scale_by_adam(B1, B2, EPS))
    return optax.GradientTransformationExtraArgs(_init, _update)


def _init(params: optax.Params) -> EpochAdamState:
    zeros = jax.tree.map(jnp.zeros_like, params)
    return EpochAdamState(zeros, zeros)


def _update(
    updates: optax.Updates,
    state: Any,
    params: optax.Params | None = None,
    **extra: Any,
) -> tuple[optax.Updates, EpochAdamState]:
    del params
    epoch_count: Float[Array, ""] = extra["epoch_count"]
    mu = jax.tree.map(lambda m, g: B1 * m + (1 - B1) * g, state.mu, updates)
    nu = jax.tree.map(lambda v, g: B2 * v + (1 - B2) * g * g, state.nu, updates)
    m_scale, v_scale = 1 - B1**epoch_count, 1 - B2**epoch_count
    direction = jax.tree.map(
        lambda m, v: (m / m_scale) / (jnp.sqrt(v / v_scale) + EPS), mu, nu
    )
    return direction, EpochAdamState(mu, nu)
