import itertools

import pytest
import xarray as xr

from denram.analysis import fig4d_summary, schema, summary_rows


def _listed(sweep: xr.Dataset, first: tuple[str, ...]) -> xr.Dataset:
    """The same sweep as a store gives it that lists its arrays in another order."""
    names = [*first, *(name for name in sweep.variables if name not in first)]
    return xr.Dataset({name: sweep[name] for name in names}, attrs=sweep.attrs)


@pytest.mark.parametrize(
    "first", list(itertools.permutations((schema.NETWORK, schema.NOISE, schema.SEED)))
)
def test_rows_do_not_depend_on_the_order_in_which_a_store_lists_its_arrays(first):
    sweep = schema.mock()
    # by hand: networks outermost, noise levels in the grid's own order
    expected = [(n, x) for n in ("D2", "D1") for x in (0.0, 0.05, 0.1, 0.15, 0.2)]
    rows = summary_rows(fig4d_summary(_listed(sweep, first)))
    assert [(row["network"], row["noise_std"]) for row in rows] == expected
    assert list(rows[0]) == [
        "network",
        "noise_std",
        "mean",
        "sd",
        "draw_sd",
        "n_seeds",
    ]
