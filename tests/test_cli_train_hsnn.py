import json
from pathlib import Path

import click
import pytest
from commands import call, refused

from denram.cli import nir as nir_command
from denram.cli import train as cli
from denram.train import open_run

TINY = ["--model", "hsnn", "--n_in", "12", "--n_hid", "6", "--n_steps", "30"]
TINY += ["--batch_size", "32", "--eval_draws", "2"]
TINY += ["--set", "n_train=120", "--set", "n_test=40"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def parsed(*arguments):
    return cli.command.make_context("denram-train", list(arguments)).params


def config_of(folder):
    return json.loads(open_run(Path(folder) / "run.zarr").attrs["config"])


def test_the_released_flags_train_and_the_table_has_its_columns():
    code, out, err = call(
        cli.command,
        *TINY,
        *("--n_epochs", "2", "--dataset_name", "synthetic", "--recurrent"),
        *("--hierarchy_tau", "tanh", "--delta_tau", "0.1", "--dropout", "0.2"),
        *("--noise_sd", "0.1", "--verbose", "True", "--save_dir_name", "run"),
    )
    assert (code, err) == (0, "")
    assert "hSNN, 2 x 6, recurrent, tanh +100 ms" in out
    assert "next: denram-analyze hsnn_fig_2b" in out
    held = config_of("run")
    assert held["noise"]["noise_std"] == 0.1
    assert held["network"]["dropout_rate"] == 0.2
    assert held["fit"]["nb_epochs"] == 2
    head, row = Path("run/results.csv").read_text().splitlines()
    assert head == (
        "seed,n_in,n_hid,n_layers,tau_mem,recurrent,decoder,train_alpha,"
        "hierarchy_tau,delta_tau,normalizer,train_acc,val_acc,test_acc"
    )
    assert row.startswith("42,12,6,3,0.1,True,cum,False,tanh,0.1,batch,")
    assert Path("run/curves.png").read_bytes().startswith(b"\x89PNG")
    assert not Path("run/map.zarr").exists()
    # it is no network that a command for single maps knows
    line = refused(nir_command.nir_export, "run", "--out", "net.nir")
    assert "NIR export must be of model delays, got hsnn" in line
    again = call(cli.command, "--resume", "--out", "run")
    assert again[0] == 0


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--recurrent"], True),
        (["--recurrent", "true"], True),
        (["--recurrent", "True"], True),
        (["--recurrent", "False"], False),
        (["--recurrent", "0"], False),
        (["--recurrent", "--n_hid", "3"], True),
        ([], None),
    ],
)
def test_a_truth_stands_alone_or_is_spelt(arguments, value):
    assert parsed(*arguments)["recurrent"] is value


def test_a_truth_that_is_none_is_refused():
    with pytest.raises(click.BadParameter, match="'maybe' is not a valid boolean"):
        parsed("--recurrent", "maybe")


def test_delayed_synapses_of_every_layer_are_kept_as_maps():
    flags = ["--set", "delay_layers=all", "--n_delays", "2", "--max_delay", "20"]
    flags += ["--r_mu", "50e9", "--n_epochs", "1", "--out", "run"]
    assert call(cli.command, *TINY, *flags)[0] == 0
    assert sorted(p.name for p in Path("run").glob("map*")) == [
        "map-1.zarr",
        "map-2.zarr",
        "map-3.zarr",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n_layers", "1"], "n_layers must be int >= 2, got 1"),
        (
            ["--hierarchy_tau", "tanh", "--n_layers", "2"],
            "n_layers must be >= 3 (2 hidden layers and the readout)",
        ),
        (
            ["--hierarchy_tau", "linear", "--delta_tau", "0.3"],
            "delta_tau must leave every time constant > 0 around tau_mem 0.1 s",
        ),
        (["--delta_tau", "nan"], "--delta_tau must be a finite number, got 'nan'"),
        (["--set", "conv_kernel=0"], "conv_kernel must be int >= 1, got 0"),
        (["--set", "conv_dilation=0"], "conv_dilation must be int >= 1, got 0"),
        (["--n_out", "10"], "n_out must be the number of classes of synthetic"),
        (["--decoder", "vmem_time"], "decoder must not be vmem_time"),
        (["--dataset", "mnist", "--data_dir", "nowhere"], "nowhere"),
        (["--dataset", "s-mnist", "--n_in", "2"], "n_in must be 1 for s-mnist, got 2"),
        (["--control"], "--control is of model delays, got hsnn"),
        (["--batch_size", "1000000000"], "GB of memory"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_left(arguments, message):
    base = [a for a in TINY if "--dataset" not in arguments or a not in TINY[2:]]
    assert message in refused(cli.command, *base, *arguments)
    left = [path for path in Path().rglob("*") if path.name not in ("runs", ".lock")]
    assert [path for path in left if path.is_file()] == []


def test_settings_of_one_family_are_refused_for_another():
    line = refused(cli.command, "--n_hid", "3")
    assert "unknown key 'n_hid' for model delays: it belongs to hsnn" in line
