import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from denram.train.losses import cross_entropy

LOGITS = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
LABELS = np.array([0, 4, 2, 2, 1, 3])


@pytest.mark.parametrize("log_of_softmax", [False, True])
def test_loss_is_scipys_mean_over_valid_samples(log_of_softmax):
    valid = np.array([True, True, False, True, False, True])
    found = cross_entropy(
        jnp.asarray(LOGITS),
        jnp.asarray(LABELS),
        jnp.asarray(valid),
        log_of_softmax=log_of_softmax,
    )
    expected = -log_softmax(LOGITS, axis=1)[np.arange(6), LABELS][valid].mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_padding_alone_costs_nothing():
    none = jnp.zeros(6, bool)
    assert float(cross_entropy(jnp.asarray(LOGITS), jnp.asarray(LABELS), none)) == 0.0


def test_only_the_published_form_underflows():
    logits, labels = jnp.asarray([[0.0, 200.0]]), jnp.asarray([0])
    valid = jnp.asarray([True])
    assert float(cross_entropy(logits, labels, valid)) == pytest.approx(200.0)
    published = cross_entropy(logits, labels, valid, log_of_softmax=True)
    assert np.isinf(float(published))
