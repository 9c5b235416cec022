from dataclasses import replace as with_

import numpy as np
import pytest
from msgspec.structs import replace
from tiny import config

from denram.errors import InputError
from denram.mapping import ErrorConfig
from denram.train import prepare, score_test
from denram.train.ageing import COMPENSATIONS, over_time, readout
from denram.train.chips import MAP, drawn_chip, targets
from denram.train.models.delays import DelayNetwork, EventScorer
from denram.train.run import run, score_given
from denram.train.run_store import open_run
from denram.train.scoring import logits_test
from denram.train.task import Task


def network(task: Task) -> DelayNetwork:
    """The task's network, of which the family is known here."""
    assert isinstance(task.model, DelayNetwork)
    return task.model


LATER = {
    "delay_drift_nu": 0.05,
    "delay_relaxation_sigma": 0.02,
    "weight_relaxation_sigma": 0.1,
}


def test_the_readout_fit_is_the_logistic_regression_of_gain_and_offset() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 3000)
    scores = 2.0 * rng.standard_normal((3000, 4))
    scores[np.arange(3000), labels] += 3.0
    gain, offset = readout(scores, labels)

    def loss(gain: np.ndarray, offset: np.ndarray) -> float:
        a = gain * scores + offset
        log_p = a - np.log(np.exp(a).sum(axis=1, keepdims=True))
        pull = ((gain - 1) ** 2).sum() + (offset**2).sum()
        return -log_p[np.arange(3000), labels].mean() + 1e-3 * pull / 2

    best = loss(gain, offset)
    assert best < loss(np.ones(4), np.zeros(4))
    for i in range(4):  # a minimum: every single step makes it worse
        for step in (-1e-2, 1e-2):
            moved = np.eye(4)[i] * step
            assert loss(gain + moved, offset) > best
            assert loss(gain, offset + moved) > best


def test_the_readout_fit_undoes_gains_and_offsets_of_neurons() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 2000)
    clean = rng.standard_normal((2000, 3))
    clean[np.arange(2000), labels] += 4.0
    scores = clean * np.array([1.0, 0.3, 2.0]) + np.array([0.0, 3.0, -2.0])
    gain, offset = readout(scores, labels)
    restored = ((gain * scores + offset).argmax(axis=1) == labels).mean()
    assert restored > (scores.argmax(axis=1) == labels).mean() + 0.05
    assert restored == pytest.approx((clean.argmax(axis=1) == labels).mean(), abs=0.02)


def test_at_time_zero_nothing_has_changed_but_by_the_readout() -> None:
    settings = config(**LATER)
    chip = drawn_chip(settings)
    task = prepare(settings, chip=chip)
    now = over_time(task, settings, {MAP: chip}, task.params, time_s=0.0)
    expected = score_test(task, task.params)
    np.testing.assert_array_equal(now.accuracy[0], expected)
    np.testing.assert_array_equal(now.accuracy[1], expected)
    assert now.time_scale == 1.0


def test_a_later_time_is_a_chip_that_is_used_later() -> None:
    settings = config(**LATER)
    chip = drawn_chip(settings)
    task = prepare(settings, chip=chip)
    late = over_time(task, settings, {MAP: chip}, task.params, time_s=1e6)
    own = replace(settings, errors=replace(settings.errors, time_s=1e6))
    direct = prepare(own, splits=task.splits)
    np.testing.assert_array_equal(late.accuracy[0], score_test(direct, task.params))
    assert late.time_scale == pytest.approx((1e6 + 1) ** 0.05, rel=0.02)


def test_a_common_drift_of_delays_is_undone_by_the_time_scale() -> None:
    settings = config(delay_drift_nu=0.1, noise_std=0.0)
    chip = drawn_chip(settings)
    task = prepare(settings, chip=chip)
    late = over_time(task, settings, {MAP: chip}, task.params, time_s=1e4)
    fresh = score_test(task, task.params)
    np.testing.assert_array_equal(late.accuracy[1], fresh)
    assert (late.accuracy[0] != fresh).any()


def test_times_and_chips_are_stored_with_the_run(tmp_path) -> None:
    settings = config(
        **LATER, nb_epochs=1, test_times_s=[0.0, 1e5], test_chips=2, eval_draws=2
    )
    run(settings, tmp_path / "run")
    found = open_run(tmp_path / "run" / "run.zarr")
    over = found["test_accuracy_at_time"]
    assert over.dims == ("test_time_s", "compensation", "draw")
    assert list(found["compensation"].values) == list(COMPENSATIONS)
    np.testing.assert_array_equal(
        over.sel(test_time_s=0.0, compensation="none").values,
        found["test_accuracy"].values,
    )
    # the same weights on the second chip of the series, put there by hand
    moved = replace(settings, map=replace(settings.map, chip=1), chip_seed=42)
    task = prepare(moved)
    params = {name: found[name].values for name in ("weights", "bias")}
    expected = score_test(task, params)
    np.testing.assert_array_equal(
        found["test_accuracy_on_chip"].sel(test_chip=1).values, expected
    )


def test_training_on_targets_tests_on_the_chip_obtained(tmp_path) -> None:
    settings = config(
        delay_programming="lognormal",
        delay_programming_sigma=0.5,
        train_on_targets=True,
        noise_std=0.0,
    )
    chip = drawn_chip(settings)
    task = prepare(settings, chip=chip)
    meant = targets(settings, {MAP: chip})[MAP]
    np.testing.assert_array_equal(
        np.asarray(network(task).delay_steps), meant.delay_steps
    )
    assert task.deployed is not None
    np.testing.assert_array_equal(
        np.asarray(network(task.deployed).delay_steps), chip.delay_steps
    )
    known = replace(settings, errors=replace(settings.errors, train_on_targets=False))
    np.testing.assert_array_equal(
        score_test(task, task.params), score_test(prepare(known), task.params)
    )


def test_given_weights_score_as_the_run_that_trained_them(tmp_path) -> None:
    settings = config(nb_epochs=2, noise_std=0.0)
    trained = run(settings, tmp_path / "run")
    chip = drawn_chip(settings)
    weights, bias = (trained[n].values.astype(float) for n in ("weights", "bias"))
    found = score_given(settings, tmp_path / "given", chip, weights=weights, bias=bias)
    np.testing.assert_array_equal(found["test_accuracy"], trained["test_accuracy"])
    assert found.attrs["best_valid_accuracy"] == trained.attrs["best_valid_accuracy"]
    assert found.sizes["epoch"] == 0
    with pytest.raises(InputError, match="weights must be"):
        score_given(settings, tmp_path / "no", chip, weights=weights[1:], bias=bias)


def test_jitter_and_dead_time_are_tested_spike_by_spike() -> None:
    """Without either the events' logits are those of the convolution."""

    plain = prepare(config(noise_std=0.0, eval_draws=1))
    by_events = EventScorer(network(plain), drawn_chip(config()), ErrorConfig())
    one, labels = logits_test(plain, plain.params)
    other, _ = logits_test(with_(plain, events=by_events), plain.params)
    np.testing.assert_allclose(other, one, atol=1e-5)
    jittered = prepare(config(noise_std=0.0, eval_draws=2, delay_read_noise=0.2))
    draws, _ = logits_test(jittered, plain.params)
    assert (draws[0] != draws[1]).any()
    assert labels.size == 40
