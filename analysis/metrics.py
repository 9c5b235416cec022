"""Numbers derived from a sweep: Dataset in, Dataset out."""

import xarray as xr

from denram.analysis.schema import DRAW, NETWORK, NOISE, SEED, STATUS, TEST


def fig4d_summary(
    sweep: xr.Dataset, published: xr.DataArray | None = None
) -> xr.Dataset:
    """Accuracy per network and noise level, over seeds.

    Each seed counts with its mean over noise draws; `sd` is over seeds (ddof = 1, as
    in the paper; NaN for one seed), `draw_sd` the mean over seeds of the sd over draws.

    Args:
        sweep: a store of the fig4d grid; cells not done are left out.
        published: test accuracies to set beside, or None.

    Returns:
        Variables (network, noise_std): mean, sd, draw_sd, n_seeds, and where published
        ones are given, published_mean, published_sd, difference. Fractions.
    """
    done = sweep[TEST].where(sweep[STATUS] == 1)
    per_seed = done.mean(DRAW)
    summary = xr.Dataset(
        {
            "mean": per_seed.mean(SEED),
            "sd": per_seed.std(SEED, ddof=1),
            "draw_sd": done.std(DRAW, ddof=1).mean(SEED),
            "n_seeds": per_seed.notnull().sum(SEED),
        },
        attrs=sweep.attrs,
    )
    if published is not None:
        summary["published_mean"] = published.mean(SEED)
        summary["published_sd"] = published.std(SEED, ddof=1)
        summary["difference"] = summary["mean"] - summary["published_mean"]
    return summary


def summary_rows(summary: xr.Dataset) -> list[dict[str, float | str]]:
    """The summary as a flat table, one row per network and noise level.

    Rows and columns keep one order: that of the dimensions of a dataset that was read
    from a store varies with the order in which the store lists its arrays.
    """
    frame = summary.to_dataframe(dim_order=[NETWORK, NOISE]).reset_index()
    return frame.to_dict("records")
