"""Sweeps over chips as numbers: yield, accuracy over time, gain of co-programming."""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from denram.analysis import schema
from denram.analysis.chip_grids import CHIP_AXIS
from denram.analysis.metrics import mean_ci95, over, wilson
from denram.errors import InputError

SPEC, PASSED = "spec", "yield_"


def chip_accuracies(sweep: xr.Dataset) -> xr.DataArray:
    """Mean test accuracy of each chip over its draws; NaN where it is not done.

    Returns:
        Over the sweep's axis and `chip`.

    Raises:
        InputError: the sweep has no chips.
    """
    done = sweep[schema.STATUS] == schema.DONE
    if schema.TEST_CHIP in sweep:
        values = sweep[schema.TEST_CHIP].where(done).mean(schema.DRAW)
        return values.rename({schema.CHIP: "chip"})
    if CHIP_AXIS not in sweep.dims:
        raise InputError(f"store must have chips: an axis {CHIP_AXIS}, or test_chips")
    values = sweep[schema.TEST].where(done).mean(schema.DRAW)
    return values.rename({CHIP_AXIS: "chip"})


def yields(accuracy: xr.DataArray, specs: Sequence[float]) -> xr.Dataset:
    """Share of chips that reach an accuracy, with Wilson's 95 % interval.

    Args:
        accuracy: as `chip_accuracies` gives it.
        specs: accuracies to be reached, each in (0, 1].

    Returns:
        `yield_`, `low`, `high`, `n` chips, over the axis and `spec`; NaN where no chip
        is done.
    """
    spec = xr.DataArray(list(specs), dims=SPEC, coords={SPEC: list(specs)})
    known = accuracy.notnull()
    n = known.sum("chip")
    passed = ((accuracy >= spec) & known).sum("chip") / n.where(n > 0)
    low, high = wilson(passed, n.where(n > 0))
    n = n.broadcast_like(passed)
    return xr.Dataset({PASSED: passed, "low": low, "high": high, "n": n})


def over_time(sweep: xr.Dataset) -> xr.Dataset:
    """Accuracy since programming, per compensation: mean over chips with 95 % CI.

    Returns:
        `mean`, `sd` and `n` over chips, `ci95` (half width), `draw_sd` (mean over
        chips of the sd over draws), over (test_time_s, compensation); `delay_growth`.

    Raises:
        InputError: the sweep was not scored over time.
    """
    if schema.TEST_TIME not in sweep:
        raise InputError("store must hold accuracies over time (test_times_s)")
    done = sweep[schema.STATUS] == schema.DONE
    axes = list(sweep[schema.STATUS].dims)
    values = sweep[schema.TEST_TIME].where(done)
    summary = over(values.mean(schema.DRAW), axes)
    summary["ci95"] = mean_ci95(summary)
    summary["draw_sd"] = values.std(schema.DRAW, ddof=1).mean(axes)
    summary[schema.GROWTH] = sweep[schema.GROWTH].where(done).mean(axes)
    return summary.transpose(schema.TIME, schema.COMPENSATION, ...)


def coprogrammed(sweep: xr.Dataset) -> xr.Dataset:
    """What training against measured delays recovers of what their error cost.

    Returns:
        Over the programming error: `on_targets`, `on_outcomes` (means over chips),
        their `_ci95`, `n`, and `recovered`: the difference over what the error cost,
        reference (sigma 0) minus `on_targets`; NaN where nothing was lost.
    """
    done = sweep[schema.STATUS] == schema.DONE
    values = sweep[schema.TEST].where(done).mean(schema.DRAW)
    summary = over(values, CHIP_AXIS)
    summary["ci95"] = mean_ci95(summary)
    naive, fitted = (
        summary.sel(train_on_targets=side, drop=True) for side in (True, False)
    )
    key = "delay_programming_sigma"
    reference = fitted["mean"].sel({key: 0.0}, drop=True)
    lost = reference - naive["mean"]
    gained = fitted["mean"] - naive["mean"]
    return xr.Dataset(
        {
            "on_targets": naive["mean"],
            "on_targets_ci95": naive["ci95"],
            "on_outcomes": fitted["mean"],
            "on_outcomes_ci95": fitted["ci95"],
            "n": fitted["n"],
            # less than a tenth of a percentage point is no loss to speak of
            "recovered": xr.where(lost > 1e-3, gained / lost, np.nan),
        }
    )
