import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection

from denram.analysis.fit_figure import fit_figure
from denram.analysis.run_figures import save_figure

RANKS = np.arange(50)
MEASURED = np.geomspace(1e3, 1e5, 50)
FORETOLD = ["normal", "by_state", "shape", "table", "left_out"]


@pytest.fixture
def snapshot():
    """Three laws; one foretells open cells, whose resistance is infinite."""
    law = np.array([MEASURED * 1.1, MEASURED * 0.8, MEASURED * 2])
    law[1, -3:] = np.inf
    return xr.Dataset(
        {
            "measured_ohm": ("rank", MEASURED),
            "law_ohm": (("law", "rank"), law),
            "low_ohm": ("rank", 0.9 * law[0]),
            "high_ohm": ("rank", 1.2 * law[0]),
        },
        {"law": ["lognormal", "normal-g", "mixture"], "rank": RANKS},
        {
            "chosen_law": "lognormal",
            "title": "bench.csv: 50 devices",
            "verdict": "DIFFERS from lognormal: KS p = 0.005, AD p = 0.005",
            "drift_law": "drift law of a card",
        },
    )


@pytest.fixture
def series(snapshot):
    time, fine = np.array([0.1, 10, 1e4]), np.geomspace(0.1, 1e4, 30)
    rng = np.random.default_rng(0)
    distance = rng.random((2, 5, 3))
    distance[:, 4] = np.nan
    return snapshot.assign(
        mean_change=("time", [0.01, 0.02, 0.03]),
        sigma_change=("time", [0.1, 0.2, 0.3]),
        mean_law=("fine_time", 0.01 * np.log10(fine)),
        sigma_law=("fine_time", 0.1 * np.ones(30)),
        distance=(("quantity", "foretold", "time"), distance),
        floor=(("quantity", "time"), np.full((2, 3), 0.01)),
    ).assign_coords(
        time=time, fine_time=fine, quantity=["R", "change"], foretold=FORETOLD
    )


def axes_of(dataset):
    return [axes for axes in fit_figure(dataset).axes if isinstance(axes, Axes)]


def line(axes, label):
    return next(one for one in axes.lines if str(one.get_label()).startswith(label))


def test_quantiles_stand_against_those_of_every_law(snapshot):
    (axes,) = axes_of(snapshot)
    chosen = line(axes, "lognormal (chosen)")
    assert np.allclose(chosen.get_xdata(), 1.1 * MEASURED)
    assert np.allclose(chosen.get_ydata(), MEASURED)
    assert np.allclose(line(axes, "mixture").get_xdata(), 2 * MEASURED)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_title("left").startswith("DIFFERS from lognormal")
    # equal quantiles lie on the diagonal
    diagonal = axes.lines[-1]
    assert np.allclose(diagonal.get_xdata(), diagonal.get_ydata())


def test_the_band_is_that_of_the_ranks(snapshot):
    (axes,) = axes_of(snapshot)
    band = next(c for c in axes.collections if isinstance(c, PolyCollection))
    height = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert height.min() == pytest.approx(0.9 * 1.1 * 1e3)
    assert height.max() == pytest.approx(1.2 * 1.1 * 1e5)


def test_drift_and_halves_have_their_panels(series):
    quantiles, drift, array, change = axes_of(series)
    assert quantiles.get_xlabel() == "quantile of the law (Ω)"
    mean = np.asarray(line(drift, "mean, measured").get_ydata())
    assert list(mean) == [0.01, 0.02, 0.03]
    assert np.allclose(line(drift, "standard deviation, law").get_ydata(), 0.1)
    for axes, name in ((array, "R"), (change, "change")):
        part = series["distance"].sel(quantity=name, foretold="table")
        assert np.allclose(line(axes, "tabulated by state and").get_ydata(), part)
        assert np.allclose(line(axes, "between").get_ydata(), 0.01)
        labels = axes.get_legend_handles_labels()[1]
        assert "tabulated without this time" not in labels
        assert axes.get_xscale() == "log"


def test_equal_fits_make_equal_files(series, tmp_path):
    for name in ("a", "b"):
        save_figure(fit_figure(series), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
