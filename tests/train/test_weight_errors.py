"""Device errors of weights: laws against SciPy, gradients, verified pulse by pulse."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from tiny import config as tiny_config

from denram.errors import InputError
from denram.mapping import ErrorConfig, build_map, stuck_weights
from denram.train.models.delays import DelayNetwork
from denram.train.weight_errors import WeightErrors, weight_errors

N = 40_000
HEALTHY = np.zeros((2, 1), np.int8)


def errors_of(
    *, off: float = 0.0, positive: bool = False, stuck: np.ndarray = HEALTHY, **settings
) -> WeightErrors | None:
    return weight_errors(ErrorConfig(**settings), stuck, off=off, positive=positive)


def realised(w: float, *, scale: float = 1.0, **settings) -> np.ndarray:
    found = errors_of(**settings)
    assert found is not None
    draws = found.realised(jnp.full(N, w), scale, key=jax.random.key(0))
    return np.asarray(draws, np.float64)


def test_without_errors_there_is_nothing_to_apply() -> None:
    assert errors_of() is None
    assert errors_of(time_s=1e9) is None  # nothing drifts
    assert errors_of(weight_drift_nu=0.1) is None  # no time has passed
    assert errors_of(delay_programming="lognormal") is None


@pytest.mark.parametrize("w", [0.5, -0.5])
def test_a_lognormal_error_is_of_the_resistance(w: float) -> None:
    got = realised(w, weight_programming="lognormal", weight_programming_sigma=0.2)
    law = stats.norm(scale=0.2)
    assert stats.kstest(np.log(got / w), law.cdf).pvalue > 0.01


def test_a_normal_error_is_of_the_largest_conductance() -> None:
    settings = {"weight_programming": "normal", "weight_programming_sigma": 0.05}
    got = realised(1.0, scale=2.0, positive=True, **settings)
    assert stats.kstest(got, stats.norm(1.0, 0.05 * 2.0).cdf).pvalue > 0.01
    # of a pair both devices err, the one at 0 upwards alone
    pair = realised(1.0, scale=2.0, **settings)
    mean = 1.0 - 2.0 * 0.05 / np.sqrt(2 * np.pi)
    assert pair.mean() == pytest.approx(mean, abs=5 * pair.std() / np.sqrt(N))


def test_a_table_is_followed_quantile_by_quantile() -> None:
    table = (-0.3, -0.05, 0.0, 0.02, 0.5)
    got = realised(0.7, weight_programming="tabulated", weight_programming_table=table)
    found = np.quantile(np.log(0.7 / got), (np.arange(5) + 0.5) / 5)
    np.testing.assert_allclose(found, table, atol=0.01)


@pytest.mark.parametrize("pulses", [1, 3, 10])
@pytest.mark.parametrize("law", ["lognormal", "normal"])
def test_verification_in_one_draw_is_verification_pulse_by_pulse(
    pulses: int, law: str
) -> None:
    tolerance, sigma, w = 0.05, 0.1, 0.6
    got = realised(
        w,
        positive=True,
        weight_programming=law,
        weight_programming_sigma=sigma,
        weight_verify_pulses=pulses,
        weight_verify_tolerance=tolerance,
    )
    rng = np.random.default_rng(1)
    kept = np.full(N, np.nan)
    for _ in range(pulses):
        z = rng.standard_normal(N)
        pulse = w * np.exp(-sigma * z) if law == "lognormal" else w + sigma * z
        ratio = w / pulse  # R over its target
        good = (kept > w / (1 + tolerance)) & (kept < w / (1 - tolerance))
        kept = np.where(good, kept, pulse)
        del ratio
    found: Any = stats.ks_2samp(got, kept)
    assert found.pvalue > 0.01


def test_stuck_devices_are_at_the_ends_of_the_range() -> None:
    stuck = np.array([[1], [0]], np.int8)
    got = realised(0.8, off=0.1, stuck=stuck, weight_stuck_hrs=0.5)
    np.testing.assert_allclose(got, 0.0, atol=1e-6)  # plus at g_min like minus
    stuck = np.array([[0], [2]], np.int8)
    got = realised(0.5, off=0.1, stuck=stuck, weight_stuck_lrs=0.5)
    np.testing.assert_allclose(got, 0.1 + 0.5 - 1.0, atol=1e-6)


def test_relaxation_spreads_as_the_power_of_the_decades() -> None:
    settings = {"weight_relaxation_sigma": 0.1, "weight_relaxation_power": 1.0}
    got = realised(0.5, positive=True, time_s=999.0, **settings)
    assert stats.kstest(np.log(got / 0.5), stats.norm(scale=0.3).cdf).pvalue > 0.01


def test_drift_lowers_a_conductance_by_its_power_law() -> None:
    got = realised(0.5, positive=True, weight_drift_nu=0.05, time_s=999.0)
    np.testing.assert_allclose(got, 0.5 * 1000**-0.05, rtol=1e-5)


def test_read_noise_is_relative_to_the_conductance() -> None:
    got = realised(0.5, positive=True, weight_read_noise=0.1)
    assert stats.kstest(got, stats.norm(0.5, 0.05).cdf).pvalue > 0.01


def test_a_device_that_is_off_has_no_error_but_a_normal_one() -> None:
    got = realised(
        0.0,
        weight_programming="lognormal",
        weight_programming_sigma=1.0,
        weight_relaxation_sigma=0.5,
        time_s=1e5,
        weight_read_noise=0.2,
    )
    np.testing.assert_array_equal(got, 0.0)


def test_the_gradient_passes_straight_through_and_is_finite_at_zero() -> None:
    from denram.train import prepare
    from denram.train.task import decoded

    task = prepare(
        tiny_config(
            weight_programming="normal",
            weight_programming_sigma=0.1,
            weight_verify_pulses=3,
            weight_verify_tolerance=0.1,
            weight_relaxation_sigma=0.1,
            time_s=1e3,
            noise_std=0.0,
        )
    )
    model, params = task.model, task.params
    assert isinstance(model, DelayNetwork)
    params = {**params, "weights": params["weights"].at[:, ::2].set(0.0)}
    batch = next(iter(decoded(task.splits.train, np.arange(8)[None])))
    encoded, key = model.encode(batch.x), jax.random.key(1)

    def loss(weights: jax.Array) -> jax.Array:
        logits = model.apply(
            {**params, "weights": weights}, encoded, key=key, noise_std=0.0
        )
        return model.loss(logits, batch.labels, batch.valid)

    got = jax.grad(loss)(params["weights"])
    assert np.isfinite(got).all()
    # the same forward weights without any device: the gradient there
    held, bias = model.devices_read(params, key=key, noise_std=0.0)
    plain = model.ideal()

    def ideal_loss(weights: jax.Array) -> jax.Array:
        logits = plain.apply(
            {"weights": weights, "bias": bias}, encoded, key=key, noise_std=0.0
        )
        return plain.loss(logits, batch.labels, batch.valid)

    np.testing.assert_allclose(got, jax.grad(ideal_loss)(held), rtol=1e-4, atol=1e-7)


def test_stuck_weights_are_binomial_and_belong_to_the_chip() -> None:
    config = tiny_config()
    chip = build_map(config.map, seed=1, noise_std=0.0)
    errors = ErrorConfig(weight_stuck_hrs=0.2, weight_stuck_lrs=0.1)
    weights, bias = stuck_weights(chip, errors)
    assert weights.shape == (2, *chip.mask.shape)
    assert bias.shape == (2, chip.mask.shape[0])
    for kind, share in ((1, 0.2), (2, 0.1)):
        found = int((weights == kind).sum())
        assert stats.binomtest(found, weights.size, share).pvalue > 0.001
    other, _ = stuck_weights(build_map(config.map, seed=2, noise_std=0.0), errors)
    assert (other != weights).any()
    again, _ = stuck_weights(chip, errors)
    np.testing.assert_array_equal(again, weights)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"weight_programming_sigma": 0.1}, "weight_programming must be"),
        ({"weight_programming": "tabulated"}, "weight_programming_table must be"),
        (
            {"weight_programming": "lognormal", "weight_verify_pulses": 2},
            "weight_verify_tolerance must be > 0",
        ),
    ],
)
def test_settings_that_contradict_are_refused(settings, named: str) -> None:
    with pytest.raises(InputError, match=named):
        errors_of(**settings)
