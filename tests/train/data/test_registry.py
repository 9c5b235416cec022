from typing import get_args, get_type_hints

import numpy as np
import pytest

from denram.config import convert
from denram.errors import InputError
from denram.train.data import DATASETS, DataConfig, decode, load, make_synthetic

ROOMS = ("ssc", "shd", "mnist", "s-mnist", "ps-mnist")
CLASSES = {
    "synthetic": 20,
    "shd": 20,
    "ssc": 35,
    "mts_xor": 2,
    **dict.fromkeys(ROOMS[2:], 10),
}


@pytest.fixture
def folder(tmp_path, shd_file, spikes, mnist_files, digits):
    for seed, name in enumerate(("shd_train", "shd_test")):
        shd_file(tmp_path / f"{name}.h5", *spikes(50, seed=seed))
    for seed, name in enumerate(("ssc_train", "ssc_valid", "ssc_test")):
        shd_file(tmp_path / f"{name}.h5", *spikes(50, seed=seed))
    return mnist_files(tmp_path, digits)


def small(name, folder, **keys):
    n_steps = {"mts_xor": 40, "s-mnist": 784, "ps-mnist": 784}.get(name, 50)
    settings = {"dataset": name, "n_steps": n_steps, "n_train": 40, "n_test": 20}
    return convert(DataConfig, settings | {"data_dir": str(folder)} | keys)


def inputs(name):
    return {"mnist": 784, "s-mnist": 1, "ps-mnist": 1}.get(name, 40)


def test_every_name_of_the_configuration_is_a_data_set():
    names = get_args(get_type_hints(DataConfig)["dataset"])
    assert set(names) == set(DATASETS) == set(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_known_beforehand_is_what_is_loaded(folder, name):
    known, config = DATASETS[name], small(name, folder)
    known.require_files(config.data_dir)
    splits = load(config, n_in=inputs(name), timestep_s=0.005, seed=0)
    for part in (splits.train, splits.valid, splits.test):
        assert part.n_steps == known.n_steps(config, 0.005)
        assert part.n_classes == known.n_classes == CLASSES[name]
        assert part.n_in == inputs(name)
        assert set(np.unique(part.label)) <= set(range(CLASSES[name]))


@pytest.mark.parametrize("name", CLASSES)
def test_the_leak_is_the_test_set_and_leaves_the_training_set_alone(folder, name):
    honest, leaking = (
        load(
            small(name, folder, use_test_as_valid=leak),
            n_in=inputs(name),
            timestep_s=0.005,
            seed=0,
        )
        for leak in (False, True)
    )
    assert leaking.valid is leaking.test
    for part in ("train", "test"):
        one, other = getattr(honest, part), getattr(leaking, part)
        np.testing.assert_array_equal(one.step, other.step)
        np.testing.assert_array_equal(one.label, other.label)
    counts = leaking.provenance["n_samples"]
    assert counts["valid"] == counts["test"] == len(leaking.test)
    assert counts["train"] == len(honest.train)
    assert "test set" in leaking.provenance["valid"]
    assert "valid" not in honest.provenance


def test_published_counts_of_samples_are_known_without_a_file():
    config = DataConfig(n_train=77, n_test=33)
    found = {name: known.n_samples(config) for name, known in DATASETS.items()}
    assert found == {
        "synthetic": (77, 33),
        "shd": (8156, 2264),
        "ssc": (75_466, 20_382),
        "mts_xor": (77, 33),
        **dict.fromkeys(ROOMS[2:], (60_000, 10_000)),
    }


def test_windows_are_known_without_a_file():
    def window(name, dt=0.005, **keys):
        return DATASETS[name].n_steps(small(name, ".", **keys), dt)

    for name in ("synthetic", "shd", "ssc"):
        assert window(name) == 50
        assert window(name, truncation=False) == 280
        assert window(name, 0.014, truncation=False) == 100
        with pytest.raises(InputError, match="n_steps must be <= 280"):
            window(name, n_steps=281)
    assert window("mts_xor", n_steps=100) == 100
    assert window("mts_xor", n_steps=25, truncation=False) == 25
    assert window("mnist", n_steps=2) == 2
    assert window("ps-mnist") == window("s-mnist") == 784
    for name, bad in (("mts_xor", 10), ("mts_xor", 101), ("mnist", 1)):
        with pytest.raises(InputError, match="n_steps must be"):
            window(name, n_steps=bad)
    for name in ("s-mnist", "ps-mnist"):
        with pytest.raises(InputError, match="n_steps must be 784"):
            window(name, n_steps=783)


@pytest.mark.parametrize("name", ROOMS)
def test_a_given_folder_must_hold_the_files(tmp_path, name):
    with pytest.raises(InputError, match="data_dir must hold") as error:
        DATASETS[name].require_files(str(tmp_path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", CLASSES)
def test_no_folder_requires_no_file_and_no_network(monkeypatch, name):
    import socket

    def never(*args, **options):
        raise AssertionError("went to the network")

    monkeypatch.setattr(socket, "socket", never)
    DATASETS[name].require_files(None)


def test_synthetic_counts_are_zero_where_binary_is():
    def dense(inputs):
        config = DataConfig(n_steps=50, n_train=40, n_test=20, inputs=inputs)
        spikes = make_synthetic(config, n_in=16, timestep_s=0.02, seed=0).train
        return decode(spikes, range(len(spikes)))

    np.testing.assert_array_equal(dense("binary"), dense("count") > 0)
    assert dense("count").max() > 1
