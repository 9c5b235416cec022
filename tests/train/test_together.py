import shutil

import numpy as np
import pytest
import xarray as xr
from tiny import config

from denram.errors import DivergedError, InputError
from denram.train import Watch, open_run, run, run_together

LEVELS = (0.0, 0.1, 0.3)


def _configs(**settings):
    return [config(noise_std=level, **settings) for level in LEVELS]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    outs = [folder / f"noise-{level}" for level in LEVELS]
    return outs, run_together(_configs(), outs)


def test_each_network_is_the_one_that_it_is_alone(together, tmp_path):
    for level, result in zip(LEVELS, together[1], strict=True):
        alone = run(config(noise_std=level), tmp_path / str(level))
        assert result.attrs["fingerprint"] == alone.attrs["fingerprint"]
        assert result.attrs["protocol"] == alone.attrs["protocol"]
        np.testing.assert_allclose(result["train_loss"], alone["train_loss"], rtol=2e-4)
        # Adam's first steps are lr x sign(gradient): rounding may turn a gradient of 0
        close = np.isclose(result["weights"], alone["weights"], atol=1e-4)
        assert close.mean() > 0.99


def test_a_folder_holds_what_a_run_alone_would_leave(together):
    outs, results = together
    for out, result in zip(outs, results, strict=True):
        names = {path.name for path in out.iterdir() if path.name[0] != "."}
        assert names == {
            "config.toml",
            "map.zarr",
            "checkpoints",
            "run.zarr",
            "results.csv",
        }
        xr.testing.assert_identical(open_run(out / "run.zarr"), result)


def test_networks_interrupted_at_different_epochs_resume_to_the_same_bits(
    together, tmp_path
):
    class Stop(Exception):
        pass

    rows = []

    def on_epoch(row):
        rows.append(row.epoch)
        if len(rows) == 5:  # two networks saved their second epoch, the third did not
            raise Stop

    outs = [tmp_path / str(level) for level in LEVELS]
    with pytest.raises(Stop):
        run_together(_configs(), outs, watches=[Watch(on_epoch=on_epoch)] * 3)
    saved = [sorted(p.name for p in (out / "checkpoints").iterdir()) for out in outs]
    assert [len(names) for names in saved] == [2, 2, 1]
    results = run_together(_configs(), outs, resume=True)
    for result, whole in zip(results, together[1], strict=True):
        xr.testing.assert_identical(result, whole)


def test_a_network_that_stops_early_keeps_its_epochs_and_the_others_go_on(tmp_path):
    settings = [config(nb_epochs=10, patience=1, lr=0.1, noise_std=x) for x in LEVELS]
    results = run_together(settings, [tmp_path / str(x) for x in LEVELS])
    epochs = [result.sizes["epoch"] for result in results]
    assert min(epochs) < max(epochs) < 10  # patience ended them at different epochs
    for result, n_epochs in zip(results, epochs, strict=True):
        assert n_epochs - 1 - int(result.attrs["best_epoch"]) == 1


def test_a_finished_network_is_opened_beside_one_that_is_not(together, tmp_path):
    outs = [tmp_path / str(level) for level in LEVELS]
    for source, out in zip(together[0], outs, strict=True):
        shutil.copytree(source, out)
    shutil.rmtree(outs[1] / "run.zarr")
    results = run_together(_configs(), outs, resume=True)
    for result, whole in zip(results, together[1], strict=True):
        xr.testing.assert_identical(result, whole)


def test_seeds_and_chips_go_together_when_they_share_the_order(tmp_path):
    settings = [config(seed=seed, order_seed=1, nb_epochs=1) for seed in (1, 2)]
    one, two = run_together(settings, [tmp_path / "1", tmp_path / "2"])
    assert one.attrs["best_epoch"] == 0
    assert not np.array_equal(one["weights"], two["weights"])
    alone = run(settings[1], tmp_path / "alone")
    np.testing.assert_allclose(two["train_loss"], alone["train_loss"], rtol=2e-4)


@pytest.mark.parametrize(
    ("one", "two", "message"),
    [
        ({"seed": 1}, {"seed": 2}, "seed must be equal .* order_seed is set"),
        ({"lr": 1e-3}, {"lr": 1e-2}, "fit must be equal"),
        ({"n_train": 100}, {"n_train": 120}, "data must be equal"),
        ({"n_delays": 1}, {"n_delays": 2}, "must have one structure"),
    ],
)
def test_networks_that_cannot_share_a_program_are_refused(tmp_path, one, two, message):
    settings = [config(nb_epochs=1, **one), config(nb_epochs=1, **two)]
    with pytest.raises(InputError, match=message):
        run_together(settings, [tmp_path / "a", tmp_path / "b"])


def test_a_network_that_diverges_is_named(tmp_path, monkeypatch):
    from denram.train import trainer

    monkeypatch.setattr(trainer, "learning_rate", lambda *_, **__: float("inf"))
    with pytest.raises(DivergedError, match=r"seed 42, noise_std 0"):
        run_together(_configs(), [tmp_path / str(level) for level in LEVELS])
