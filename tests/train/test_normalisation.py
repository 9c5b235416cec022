import jax.numpy as jnp
import numpy as np
import pytest

from denram.train.normalisation import (
    NORMALISATIONS,
    BatchNormalisation,
    LayerNormalisation,
)

RANDOM = np.random.default_rng(0)
I = RANDOM.normal(2.0, 3.0, (9, 6, 4)).astype(np.float32)
VALID = np.array([True, True, False, True, True, False])
SCALE = np.array([1.0, 2.0, 0.5, -1.0], np.float32)
SHIFT = np.array([0.0, 1.0, -1.0, 0.3], np.float32)
LEARNT = {"scale": jnp.asarray(SCALE), "shift": jnp.asarray(SHIFT)}


def _apply(norm, statistics, *, valid=None, training, i=I):
    valid = None if valid is None else jnp.asarray(valid)
    return norm.apply(
        LEARNT, statistics, jnp.asarray(i), valid=valid, training=training
    )


def _expected(i, mean, var, eps=1e-5):
    return SCALE * (i - mean) / np.sqrt(var + eps) + SHIFT


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_kind_keeps_shapes_and_starts_as_the_identity_of_its_scale(name):
    norm = NORMALISATIONS[name]()
    learnt, statistics = norm.init(4)
    found, moved = norm.apply(
        learnt, statistics, jnp.asarray(I), valid=None, training=True
    )
    assert found.shape == I.shape
    assert moved.keys() == statistics.keys()


def test_training_normalises_by_the_valid_samples_over_batch_and_time():
    norm = BatchNormalisation()
    _, statistics = norm.init(4)
    found, moved = _apply(norm, statistics, valid=VALID, training=True)
    seen = I[:, VALID].reshape(-1, 4).astype(float)
    mean, var = seen.mean(axis=0), seen.var(axis=0)
    np.testing.assert_allclose(found, _expected(I, mean, var), atol=2e-4)
    np.testing.assert_allclose(moved["mean"], 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(moved["var"], 0.9 + 0.1 * var, rtol=1e-4)


def test_a_test_uses_the_running_statistics_and_leaves_them():
    norm, running = BatchNormalisation(), {"mean": jnp.ones(4), "var": jnp.full(4, 4.0)}
    found, moved = _apply(norm, running, valid=VALID, training=False)
    np.testing.assert_allclose(found, _expected(I, 1.0, 4.0), atol=2e-4)
    np.testing.assert_array_equal(moved["mean"], running["mean"])
    one, _ = _apply(norm, running, training=False, i=I[:, :1])
    np.testing.assert_allclose(one, found[:, :1], atol=1e-5)  # alone as in company


def test_the_published_test_depends_on_the_batch():
    norm, running = BatchNormalisation(at_test="batch"), {}
    _, running = norm.init(4)
    found, _ = _apply(norm, running, valid=VALID, training=False)
    seen = I[:, VALID].reshape(-1, 4).astype(float)
    expected = _expected(I, seen.mean(axis=0), seen.var(axis=0))
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_running_statistics_reach_those_of_the_data():
    norm = BatchNormalisation()
    _, running = norm.init(4)
    for seed in range(80):
        i = np.random.default_rng(seed).normal(5.0, 2.0, (50, 40, 4))
        _, running = _apply(norm, running, training=True, i=i.astype(np.float32))
    np.testing.assert_allclose(running["mean"], 5.0, atol=0.05)
    np.testing.assert_allclose(running["var"], 4.0, rtol=0.05)


def test_a_layer_is_normalised_over_its_neurons():
    found, _ = _apply(LayerNormalisation(), {}, training=True)
    mean, var = I.mean(-1, keepdims=True), I.var(-1, keepdims=True)
    np.testing.assert_allclose(found, _expected(I, mean, var, 1e-6), atol=2e-4)


def test_the_initial_shift_is_asked_for():
    learnt, _ = BatchNormalisation(shift=0.5).init(3)
    np.testing.assert_array_equal(learnt["shift"], 0.5)
