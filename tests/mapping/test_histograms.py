import numpy as np
import pytest
from scipy import stats

from denram.mapping import MapConfig, build_map, map_histograms


def histograms(n_steps=150, **settings):
    chip = build_map(MapConfig(**{"n_in": 60, **settings}), seed=4, noise_std=0.0)
    return chip, map_histograms(chip, n_steps=n_steps)


@pytest.mark.parametrize("r_std", [0.4, 1.5])
def test_theory_is_scipys_probability_of_each_bin(r_std):
    _, dataset = histograms(r_std=r_std, threshold_factor=0.7)
    law = stats.lognorm(s=r_std, scale=np.exp(np.log(500e9) - r_std**2 / 2))
    by_scipy = np.diff(law.cdf(dataset["resistance_edge"].values))
    np.testing.assert_allclose(dataset["resistance_theory"], by_scipy, atol=1e-12)
    ohm = dataset["delay_edge"].values / (0.7 * 1e-12)
    np.testing.assert_allclose(
        dataset["delay_theory"], np.diff(law.cdf(ohm)), atol=1e-12
    )


def test_shares_are_counts_of_what_lies_between_the_edges():
    chip, dataset = histograms()
    edges = dataset["delay_edge"].values
    third = (chip.delay_s >= edges[3]) & (chip.delay_s < edges[4])
    assert float(dataset["delay_share"][3]) == pytest.approx(third.mean())
    assert float(dataset["delay_share"].sum()) == pytest.approx(0.999, abs=1e-4)


def test_step_shares_are_those_of_the_saturated_steps():
    chip, dataset = histograms()
    assert dataset["step_edge"].values.tolist() == [k - 0.5 for k in range(202)]
    assert float(dataset["step_share"][200]) == (chip.delay_steps == 200).mean()
    assert float(dataset["step_share"].sum()) == pytest.approx(1.0)
    assert dataset.attrs["beyond_share"] == (chip.delay_steps >= 150).mean()


def test_a_million_steps_become_a_thousand_bins_and_one_for_the_saturated():
    chip, dataset = histograms(max_delay=1_000_000, timestep=0.5e-6)
    assert dataset.sizes["step_bin"] == 1001
    assert dataset["step_edge"].values[-2:].tolist() == [999_999.5, 1_000_000.5]
    assert float(dataset["step_share"][-1]) == (chip.delay_steps == 10**6).mean()
    assert float(dataset["step_share"].sum()) == pytest.approx(1.0)


def test_uniform_steps_fill_even_bins():
    # 80 bins over 200 steps would hold two or three steps each
    _, dataset = histograms(n_in=500, delay_distribution="uniform")
    steps_per_bin = np.diff(dataset["delay_edge"].values) / 0.005
    np.testing.assert_allclose(steps_per_bin, round(steps_per_bin[0]), rtol=1e-9)
    inner = dataset["delay_share"].values[:-1]
    assert inner.std() / inner.mean() < 0.05
    assert "delay_theory" not in dataset


def test_a_wide_law_gets_bins_of_equal_ratio():
    _, dataset = histograms(r_std=2.0)
    edges = dataset["resistance_edge"]
    assert edges.attrs["scale"] == "log"
    ratio = edges.values[1:] / edges.values[:-1]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


def test_no_law_is_drawn_for_delays_through_varied_capacitors():
    _, dataset = histograms(capacitor_sigma=0.2)
    assert "delay_theory" not in dataset
    assert "resistance_theory" in dataset


@pytest.mark.parametrize(
    "settings",
    [
        {"r_std": 0.0},
        {"n_in": 1, "n_out": 1, "n_delays": 1},
        {"delay_distribution": "pattern", "max_delay": 0},
        {"delay_distribution": "pattern", "n_delays": 1},
        {"delay_distribution": "uniform", "max_delay": 5000},
    ],
)
def test_edges_rise_and_hold_all_devices_in_degenerate_cases(settings):
    _, dataset = histograms(**settings)
    for name in ("resistance", "delay"):
        assert (np.diff(dataset[f"{name}_edge"]) > 0).all()
        assert float(dataset[f"{name}_share"].sum()) > 0.99
