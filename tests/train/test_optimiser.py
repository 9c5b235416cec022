import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denram.train.optimiser import adam, learning_rate
from denram.train.task import FitConfig


def _adam_by_hand(grads, steps):
    """Kingma and Ba (2015), algorithm 1, with the step counts given, in float64."""
    m = v = 0.0
    found = []
    for g, t in zip(grads, steps, strict=True):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        found.append((m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8))
    return found


@pytest.mark.parametrize(
    ("step", "counts"), [("update", [1, 2, 3, 4, 5, 6]), ("epoch", [1, 1, 1, 2, 2, 2])]
)
def test_adam_counts_updates_or_epochs(step, counts):
    grads = np.random.default_rng(0).standard_normal(6)
    optimiser = adam(step)
    params = {"w": jnp.zeros(1)}
    state = optimiser.init(params)
    for i, (g, expected) in enumerate(
        zip(grads, _adam_by_hand(grads, counts), strict=True)
    ):
        direction, state = optimiser.update(
            {"w": jnp.full(1, g, jnp.float32)},
            state,
            params,
            epoch_count=jnp.float32(1 + i // 3),
        )
        found = jax.tree.leaves(direction)[0]
        np.testing.assert_allclose(found, [expected], rtol=2e-4)


def _rates(schedule, epochs, lr=2e-4, nb_epochs=100):
    config = FitConfig(lr=lr, lr_schedule=schedule, nb_epochs=nb_epochs)
    return [learning_rate(config, epoch) for epoch in epochs]


def test_published_steps_of_the_learning_rate():
    found = _rates("step", (0, 33, 34, 66, 67, 99))
    assert found == pytest.approx([2e-4, 2e-4, 4e-5, 4e-5, 1e-5, 1e-5])


def test_cosine_starts_at_lr_and_halves_midway():
    assert _rates("cosine", (0, 50), lr=1e-3) == pytest.approx([1e-3, 5e-4])


def test_decay_halves_after_26_epochs_and_every_5_from_then_on():
    """Spec of hSNN: 0.01 halves at epochs 26, 31, ...; 7.8e-5 from epoch 56 of 60."""
    epochs = (0, 25, 26, 30, 31, 36, 55, 56, 59)
    expected = [1e-2, 1e-2, 5e-3, 5e-3, 2.5e-3, 1.25e-3, 1.5625e-4, 7.8125e-5]
    found = _rates("decay", epochs, lr=1e-2, nb_epochs=60)
    assert found == pytest.approx([*expected, 7.8125e-5])
    assert _rates("decay", (29,), lr=1e-2, nb_epochs=30) == [1e-2]


def test_constant_stays():
    assert _rates("constant", (0, 99)) == [2e-4, 2e-4]
