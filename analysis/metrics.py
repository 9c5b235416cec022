"""Numbers derived from a sweep: Dataset in, Dataset out."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.special import ndtri, stdtrit

from denram.analysis.schema import (
    DATASET,
    DONE,
    DRAW,
    NETWORK,
    NOISE,
    SEED,
    STATUS,
    TEST,
    TEST_AT,
    TEST_LEVEL,
)

_LEVEL_TOLERANCE = 1e-9  # within which a noise level is a published one


def over(values: xr.DataArray, dim: Any) -> xr.Dataset:
    """Mean, standard deviation and count along a dimension, NaN left out.

    Args:
        values: any quantity.
        dim: along which values are replicates of one another, or several such.

    Returns:
        Variables without `dim`: mean, sd (ddof = 1; NaN for fewer than two), n.
    """
    n = values.notnull().sum(dim)
    mean = values.sum(dim) / n.where(n > 0)
    squares = ((values - mean) ** 2).sum(dim)
    return xr.Dataset(
        {"mean": mean, "sd": np.sqrt(squares / (n - 1).where(n > 1)), "n": n}
    )


def half_width(error: xr.DataArray, degrees: xr.DataArray) -> xr.DataArray:
    """Half the width of a 95 % confidence interval, by Student's t.

    Args:
        error: standard error of the estimate.
        degrees: of freedom; NaN gives NaN.
    """
    return error * xr.apply_ufunc(stdtrit, degrees, 0.975)


def mean_ci95(sample: xr.Dataset) -> xr.DataArray:
    """Half width of the 95 % confidence interval of a mean, as `over` returns it."""
    n = sample["n"]
    degrees = (n - 1).where(n > 1)
    return half_width(sample["sd"] / np.sqrt(n.where(n > 1)), degrees)


def welch(one: xr.Dataset, other: xr.Dataset) -> xr.Dataset:
    """Standard error and degrees of freedom of a difference of two means.

    Welch's for unequal variances, with the degrees of Welch and Satterthwaite.

    Args:
        one: as `over` returns it.
        other: likewise, of the same coordinates.

    Returns:
        Variables error and degrees, NaN with fewer than two values on a side; degrees
        are NaN also where no side varies.
    """
    (n1, v1), (n2, v2) = (
        (side["n"].where(side["n"] > 1), side["sd"] ** 2) for side in (one, other)
    )
    variance = v1 / n1 + v2 / n2
    below = (v1 / n1) ** 2 / (n1 - 1) + (v2 / n2) ** 2 / (n2 - 1)
    return xr.Dataset(
        {"error": np.sqrt(variance), "degrees": variance**2 / below.where(below > 0)}
    )


def holm(p: np.ndarray) -> np.ndarray:
    """P-values corrected for being several, by Holm's step-down rule.

    Args:
        p: one per test; NaN stays NaN and counts as no test.
    """
    order = np.argsort(p)[: np.isfinite(p).sum()]  # NaN sorts last
    steps = p[order] * np.arange(order.size, 0, -1)
    corrected = np.full(p.shape, np.nan)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def wilson(
    share: xr.DataArray, n: int | xr.DataArray
) -> tuple[xr.DataArray, xr.DataArray]:
    """Wilson's 95 % interval of a probability of which a share of n trials was seen.

    Args:
        share: of trials that succeeded.
        n: trials.
    """
    z = float(ndtri(0.975))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return centre - half, centre + half


def dataset_names(sweep: xr.Dataset) -> str:
    """Names of the data that the cells done were trained on, joined; empty if none."""
    dims = sweep[STATUS].dims
    names = sweep[DATASET].transpose(*dims).values[sweep[STATUS].values == DONE]
    return ", ".join(dict.fromkeys(str(name) for name in names if str(name)))


def fig4d_summary(
    sweep: xr.Dataset, published: xr.DataArray | None = None
) -> xr.Dataset:
    """Accuracy per network and noise level, over seeds.

    Each seed counts with its mean over noise draws; `sd` is over seeds (ddof = 1, as
    in the paper; NaN for one seed), `draw_sd` the mean over seeds of the sd over draws.
    Every `ci95` is half the width of a 95 % confidence interval: Student's for a mean
    over seeds, Welch's for a difference of two; NaN where a side has one seed.

    Args:
        sweep: a store of the fig4d grid; cells not done are left out.
        published: test accuracies (network, noise_std, seed) to set beside, or None.

    Returns:
        Variables (network, noise_std), noise levels rising: mean, sd, draw_sd, n_seeds,
        ci95, and where published ones are given, published_mean, published_sd,
        published_ci95, difference and difference_ci95, NaN for what was not published.
        Fractions. `attrs["dataset"]` names the data.
    """
    draws = over(_finished(sweep, TEST), DRAW)
    seeds = over(draws["mean"], SEED)
    summary = xr.Dataset(
        {
            "mean": seeds["mean"],
            "sd": seeds["sd"],
            "draw_sd": over(draws["sd"], SEED)["mean"],
            "n_seeds": seeds["n"],
            "ci95": mean_ci95(seeds),
        },
        attrs={**sweep.attrs, "dataset": dataset_names(sweep)},
    )
    if published is not None:
        theirs = over(_published_at(published, summary), SEED)
        summary["published_mean"] = theirs["mean"]
        summary["published_sd"] = theirs["sd"]
        summary["published_ci95"] = mean_ci95(theirs)
        summary["difference"] = seeds["mean"] - theirs["mean"]
        apart = welch(seeds, theirs)
        summary["difference_ci95"] = half_width(apart["error"], apart["degrees"])
    return summary


def noise_matrix(sweep: xr.Dataset) -> xr.Dataset | None:
    """Accuracy at every noise level of the test, by the noise of the training.

    Args:
        sweep: a store of the fig4d grid; cells not done are left out.

    Returns:
        Variables (network, noise_std, scored_noise_std), both levels rising: mean over
        seeds of the mean over draws, sd over seeds, n_seeds; where both levels are
        equal, the mean is that of `fig4d_summary`. None if the sweep scored its
        networks at no further level.
    """
    if TEST_AT not in sweep:
        return None
    draws = over(_finished(sweep, TEST_AT).sortby(TEST_LEVEL), DRAW)
    matrix = over(draws["mean"], SEED).rename(n="n_seeds")
    return matrix.assign_attrs(sweep.attrs, dataset=dataset_names(sweep))


def _finished(sweep: xr.Dataset, name: str) -> xr.DataArray:
    """One variable, NaN in cells not done, noise rising, networks as plain text."""
    found = sweep[name].where(sweep[STATUS] == DONE).reset_coords(drop=True)
    found = found.transpose(NETWORK, NOISE, SEED, ...).sortby(NOISE)
    return found.assign_coords({NETWORK: found[NETWORK].values.astype(object)})


def _published_at(published: xr.DataArray, summary: xr.Dataset) -> xr.DataArray:
    named = published.assign_coords(
        {NETWORK: published[NETWORK].values.astype(object)}
    ).reindex({NETWORK: summary[NETWORK]})
    return named.sortby(NOISE).reindex(
        {NOISE: summary[NOISE]}, method="nearest", tolerance=_LEVEL_TOLERANCE
    )


def summary_rows(summary: xr.Dataset) -> list[dict[str, float | str]]:
    """The summary as a flat table, one row per network and noise level.

    Rows and columns keep one order: that of the dimensions of a dataset that was read
    from a store varies with the order in which the store lists its arrays.
    """
    frame = summary.to_dataframe(dim_order=[NETWORK, NOISE]).reset_index()
    return frame.to_dict("records")


def matrix_rows(matrix: xr.Dataset) -> list[dict[str, float | str]]:
    """The matrix as a flat table, a row per network and pair of levels, in one order.

    Args:
        matrix: as `noise_matrix` returns it.
    """
    frame = matrix.to_dataframe(dim_order=[NETWORK, NOISE, TEST_LEVEL]).reset_index()
    return frame.to_dict("records")
