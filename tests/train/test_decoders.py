import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from denram.train.losses import cross_entropy
from denram.train.readout import DECODERS

V = np.random.default_rng(0).normal(0, 2, (11, 5, 3)).astype(np.float32)
# class probabilities as spec and released code write them: (time, batch, class)
PROBABILITIES = {
    "cum": lambda v: softmax(softmax(v, axis=-1).sum(axis=0), axis=-1),
    "sum": lambda v: softmax(v.mean(axis=0), axis=-1),
    "vmax": lambda v: softmax(v.max(axis=0), axis=-1),
    "vlast": lambda v: softmax(v[-1], axis=-1),
    "freq": lambda v: softmax(v.sum(axis=0), axis=-1),
    "vmem_time": lambda v: softmax(v, axis=-1).swapaxes(0, 1),
}


@pytest.mark.parametrize("name", DECODERS)
def test_softmax_of_the_scores_is_the_published_probability(name):
    found = jax.nn.softmax(DECODERS[name](jnp.asarray(V)))
    np.testing.assert_allclose(found, PROBABILITIES[name](V), rtol=2e-5, atol=1e-7)


def test_every_decoder_has_a_formula_here():
    assert set(DECODERS) == set(PROBABILITIES)


def test_targets_of_single_steps_are_averaged_over_steps_and_valid_samples():
    random = np.random.default_rng(1)
    logits = random.standard_normal((4, 6, 2)).astype(np.float32)
    labels, valid = random.integers(0, 2, (4, 6)), np.array([True, True, False, True])
    log_p = log_softmax(logits.astype(float), axis=-1)
    picked = [log_p[b, t, labels[b, t]] for b in (0, 1, 3) for t in range(6)]
    for published in (False, True):
        found = cross_entropy(
            jnp.asarray(logits),
            jnp.asarray(labels, jnp.int32),
            jnp.asarray(valid),
            log_of_softmax=published,
            epsilon=1e-12 if published else 0.0,
        )
        assert float(found) == pytest.approx(-np.mean(picked), rel=1e-5)
