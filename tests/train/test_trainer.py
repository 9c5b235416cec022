from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import config

from denram.errors import DivergedError
from denram.train import run_epoch, score_test, start
from denram.train.run import prepare
from denram.train.scoring import predict_test
from denram.train.task import decoded, stacked
from denram.train.trainer import FitState, train_step


@pytest.fixture(scope="module")
def task():
    return prepare(config())


@pytest.fixture(scope="module")
def trained(task):
    state = start(task)
    for _ in range(3):
        state = run_epoch(task, state)
    return state


def _same(one: FitState, other: FitState) -> bool:
    a, b = (
        jax.tree.leaves((s.params, s.opt_state, s.best_params)) for s in (one, other)
    )
    equal = all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    return equal and one.history == other.history


def test_training_lowers_the_loss_and_beats_chance(trained):
    losses = [epoch.train_loss for epoch in trained.history]
    assert losses[-1] < losses[0]
    accuracies = [epoch.train_accuracy for epoch in trained.history]
    assert accuracies[-1] > max(accuracies[0], 1.5 / 20)


def test_the_same_seed_repeats_the_same_bits(task, trained):
    state = start(task)
    for _ in range(3):
        state = run_epoch(task, state)
    assert _same(state, trained)


def test_another_seed_gives_another_run(task, trained):
    other = replace(task, seed=43)
    assert not _same(run_epoch(other, start(other)), trained)


def test_the_kept_parameters_are_those_of_the_best_validation(task):
    state, best = start(task), 1e-5
    for _ in range(3):
        state = run_epoch(task, state)
        row = state.history[-1]
        assert row.accepted == (row.valid_accuracy > best)
        best = max(best, row.valid_accuracy)
    assert state.best_valid == best
    assert state.best_epoch == int(
        np.argmax([row.valid_accuracy for row in state.history])
    )


def test_small_gains_are_thrown_away_only_in_the_published_protocol(task):
    fit = replace_fit(task, min_relative_gain=0.9)
    state = replace(start(fit), best_valid=0.99)
    state = run_epoch(fit, state)
    assert not state.history[-1].accepted
    assert state.stale == 1


def replace_fit(task, **settings):
    from msgspec.structs import replace as changed

    return replace(task, config=changed(task.config, **settings))


def test_training_stops_when_patience_is_used_up(task):
    fit = replace_fit(task, patience=2, nb_epochs=50).config
    state = start(task)
    assert not state.finished(fit)
    assert replace(state, stale=2).finished(fit)


def test_padding_of_the_last_batch_changes_neither_loss_nor_gradient(task):
    data, params = task.splits.train, start(task).params

    def loss(params, batch):
        encoded = task.model.encode(batch.x)
        key = jax.random.key(0)
        logits = task.model.apply(params, encoded, key=key, noise_std=0.1)
        return task.model.loss(logits, batch.labels, batch.valid)

    whole = next(decoded(data, np.arange(6)[None]))
    padded = next(decoded(data, np.array([[0, 1, 2, 3, 4, 5, -1, -1]])))
    (a, grads), (b, grads_padded) = (
        jax.value_and_grad(loss)(params, batch) for batch in (whole, padded)
    )
    assert float(a) == pytest.approx(float(b), rel=1e-5)
    for name in grads:
        np.testing.assert_allclose(grads[name], grads_padded[name], atol=1e-6)


def test_a_step_is_adam_on_the_gradient(task):
    state, batch = start(task), next(decoded(task.splits.train, np.arange(8)[None]))
    params, _, _, _ = train_step(
        stacked([task.model]),
        stacked([state.params]),
        stacked([state.opt_state]),
        batch,
        lr=jnp.float32(1e-3),
        epoch_count=jnp.float32(1),
        noise_std=jnp.zeros(1),
        keys=jax.random.split(jax.random.key(0), 1),
        adam_step="update",
    )
    moved = np.asarray(params["weights"][0] - state.params["weights"])
    # the first step of Adam is lr wherever the gradient is not zero
    assert np.abs(moved).max() == pytest.approx(1e-3, rel=1e-3)


def test_later_epochs_and_the_last_smaller_batch_compile_nothing():
    task = prepare(config(batch_size=28))
    assert len(task.splits.train) % task.config.batch_size  # the last one is smaller
    compiled = []

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        del duration_secs
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    state = run_epoch(task, start(task))
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.jit(lambda x: x * 3.25)(jnp.ones(7))
        assert compiled  # the event is still called so
        compiled.clear()
        run_epoch(task, run_epoch(task, state))
        assert not compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_every_test_sample_is_scored_under_every_draw(task, trained):
    found, labels = predict_test(task, trained.best_params)
    assert found.shape == (3, 40)
    np.testing.assert_array_equal(labels, task.splits.test.label)
    assert len({row.tobytes() for row in found}) > 1


def test_draws_without_noise_are_equal_and_follow_the_network(task, trained):
    found, _ = predict_test(task, trained.best_params, noise_std=0.0)
    batch = next(decoded(task.splits.test, np.arange(40)[None]))
    logits = task.model.apply(
        trained.best_params,
        task.model.encode(batch.x),
        key=jax.random.key(1),
        noise_std=0.0,
    )
    np.testing.assert_array_equal(found, np.tile(np.argmax(logits, 1), (3, 1)))


def test_published_scoring_leaves_out_the_last_batch(task, trained):
    published = replace_fit(task, evaluation="published", drop_last=True)
    found, _ = predict_test(published, trained.best_params)
    assert found.shape == (1, 32)


def test_more_noise_costs_accuracy(task):
    state = start(task)
    for _ in range(15):
        state = run_epoch(task, state)
    seen = replace(task, splits=replace(task.splits, test=task.splits.train))
    clean, noisy = (
        score_test(seen, state.params, noise_std=level).mean() for level in (0.0, 2.0)
    )
    assert clean > 0.4
    assert noisy < clean - 0.3


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_the_run_at_once(task, poison):
    state = start(task)
    weights = state.params["weights"].at[0, 0, 0].set(poison)
    broken = replace(state, params={**state.params, "weights": weights})
    with pytest.raises(DivergedError, match="loss must be finite, got nan in epoch 0"):
        run_epoch(task, broken)
