"""A trained network at later times and on other chips, as it is or compensated.

Three answers to a chip that has drifted:
    `none`: nothing is done;
    `time_scale`: one global factor, the median over the delays, is taken out of all of
        them (a threshold, a supply or a clock can do that);
    `readout`: besides, gain and offset of every neuron's score are fitted again on the
        validation set, on the chip as it is; devices are not touched.
"""

from dataclasses import replace

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from msgspec import structs
from scipy.optimize import minimize

from denram.errors import InputError
from denram.mapping import aged_map, rescaled, time_scale
from denram.train._protocol import Chips, Params
from denram.train.chips import MAP, chip_seed
from denram.train.prepare import prepare
from denram.train.run_config import RunConfig
from denram.train.scoring import (
    accuracies,
    key_of_test,
    logits_test,
    score_test,
    set_logits,
)
from denram.train.task import Task

Scores = Float[np.ndarray, "draw sample *step class_"]
COMPENSATIONS = ("none", "time_scale", "readout")
_RIDGE = 1e-3  # keeps gain and offset finite where validation is perfect


def with_times(
    result: xr.Dataset,
    task: Task,
    config: RunConfig,
    chips: Chips,
    params: Params,
) -> xr.Dataset:
    """Add `test_accuracy_at_time` (test_time_s, compensation, draw) to a run's result.

    Args:
        result: of the run; returned as it is if no times are asked for.
        task: the run's.
        config: the run's; `noise.test_times_s` are the times.
        chips: the run's, at the time it was trained.
        params: what was learnt.
    """
    times = config.noise.test_times_s
    if not times:
        return result
    rows = [over_time(task, config, chips, params, time_s=t) for t in times]
    values = np.stack([row.accuracy for row in rows])
    dims = ("test_time_s", "compensation", "draw")
    attrs = {"units": "1", "long_name": "test accuracy since programming"}
    result["test_accuracy_at_time"] = (dims, values, attrs)
    scales = [row.time_scale for row in rows]
    result["delay_growth"] = ("test_time_s", scales, {"units": "1"})
    names = np.array(COMPENSATIONS, dtype=object)  # zarr knows text of any length only
    return result.assign_coords(test_time_s=list(times), compensation=names)


class AtTime:
    """Scores at one time.

    Attributes:
        accuracy: (compensation, draw).
        time_scale: by which the delays have grown, in the median.
    """

    def __init__(self, accuracy: np.ndarray, time_scale: float) -> None:
        self.accuracy = accuracy
        self.time_scale = time_scale


def over_time(
    task: Task,
    config: RunConfig,
    chips: Chips,
    params: Params,
    *,
    time_s: float,
) -> AtTime:
    """Test accuracy `time_s` after programming, compensated in each way.

    Raises:
        InputError: a time before programming.
    """
    task = task.deployed or task
    aged = {name: aged_map(chip, time_s) for name, chip in chips.items()}
    grown = [time_scale(aged[name], chip) for name, chip in chips.items()]
    factor = float(np.median(grown)) if grown else 1.0
    tested = structs.replace(config.errors, train_on_targets=False, time_s=time_s)
    on_chip = structs.replace(config, errors=tested)
    plain, found, labels = _scored(task, on_chip, aged, params)
    scaled, kept = plain, found
    back = {name: rescaled(chip, factor) for name, chip in aged.items()}
    if any(
        not np.array_equal(back[name].delay_steps, aged[name].delay_steps)
        for name in aged
    ):
        scaled, kept, labels = _scored(task, on_chip, back, params)
    rows = [
        accuracies(found.argmax(axis=-1), labels, task.config),
        accuracies(kept.argmax(axis=-1), labels, task.config),
        recalibrated_accuracy(scaled, params, kept, labels),
    ]
    return AtTime(np.stack(rows), factor)


def _scored(
    task: Task, config: RunConfig, chips: Chips, params: Params
) -> tuple[Task, Scores, Int[np.ndarray, "sample ..."]]:
    """The task on another chip, and its scores of the test set."""
    later = prepare(config, splits=task.splits, chip=chips)
    moved = replace(task, model=later.model, events=later.events)
    return moved, *logits_test(moved, params)


def with_chips(
    result: xr.Dataset,
    task: Task,
    config: RunConfig,
    chips: Chips,
    params: Params,
) -> xr.Dataset:
    """Add `test_accuracy_on_chip` (test_chip, draw): the weights moved as they are.

    Raises:
        InputError: the run's chip was given, so that there is no next one to draw.
    """
    first, n = config.map.chip + 1, config.noise.test_chips
    if not n:
        return result
    if any("measured" in chip.versions for chip in chips.values()):
        raise InputError(f"test_chips must be 0 on a measured map, got {n}")
    seed = chips[MAP].seed if MAP in chips else chip_seed(config)
    rows = []
    for number in range(first, first + n):
        moved = structs.replace(
            config, map=structs.replace(config.map, chip=number), chip_seed=seed
        )
        other = prepare(moved, splits=task.splits)
        rows.append(score_test(other, params))
    attrs = {"units": "1", "long_name": "test accuracy on chips not trained for"}
    result["test_accuracy_on_chip"] = (("test_chip", "draw"), np.stack(rows), attrs)
    return result.assign_coords(test_chip=np.arange(first, first + n))


def recalibrated_accuracy(
    task: Task,
    params: Params,
    tested: Scores,
    labels: Int[np.ndarray, "sample ..."],
) -> Float[np.ndarray, " draw"]:
    """Test accuracy of each draw after its own gains and offsets were fitted.

    They are fitted on the validation set, on the very chip that is then tested.

    Args:
        task: on that chip.
        params: what was learnt.
        tested: scores of the test set, of each draw.
        labels: of the test set.
    """
    published = task.config.evaluation == "published"
    seen, seen_labels = set_logits(
        task,
        params,
        task.splits.valid,
        task.test_noise_std,
        key=key_of_test(task),
        draws=1 if published else task.config.eval_draws,
    )
    found = []
    for fit, test in zip(seen, tested, strict=True):
        gain, offset = readout(fit.reshape(-1, fit.shape[-1]), seen_labels.ravel())
        found.append((gain * test + offset).argmax(axis=-1))
    return accuracies(np.stack(found), labels, task.config)


def readout(
    scores: Float[np.ndarray, "sample class_"], labels: Int[np.ndarray, " sample"]
) -> tuple[Float[np.ndarray, " class_"], Float[np.ndarray, " class_"]]:
    """Gain and offset per neuron that lower the cross entropy, from 1 and 0.

    Args:
        scores: of the samples to fit on.
        labels: their classes.
    """
    n, n_classes = scores.shape
    z = scores.astype(np.float64)
    hot = np.eye(n_classes)[labels]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        gain, offset = flat[:n_classes], flat[n_classes:]
        a = gain * z + offset
        a -= a.max(axis=1, keepdims=True)
        log_p = a - np.log(np.exp(a).sum(axis=1, keepdims=True))
        pull = np.concatenate([gain - 1.0, offset])
        error = (np.exp(log_p) - hot) / n
        slope = np.concatenate([(error * z).sum(axis=0), error.sum(axis=0)])
        value = -(log_p * hot).sum() / n + _RIDGE * (pull @ pull) / 2
        return float(value), slope + _RIDGE * pull

    start = np.concatenate([np.ones(n_classes), np.zeros(n_classes)])
    best = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return best[:n_classes], best[n_classes:]
