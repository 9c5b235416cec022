import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import call, refused
from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st
from tiny import SETTINGS

from denram.cli import map as map_command
from denram.cli import train as cli
from denram.cli._options import Number
from denram.config import field_types
from denram.errors import DenRAMError
from denram.train import FAMILIES, open_run, resolve
from denram.train.run_config import nested, sections

_FLAGS = ("n_in", "n_delays", "n_steps", "max_delay", "r_mu", "nb_epochs", "batch_size")
TINY = [a for k in _FLAGS for a in (f"--{k}", str(SETTINGS[k]))]
TINY += ["--eval_draws", "3"]
TINY += ["--set", "n_train=120", "--set", "n_test=40", "--set", "valid_draws=2"]
NUMBERS = {
    p.opts[0]: p
    for p in cli.command.params
    if isinstance(p.type, Number) and p.opts[0] != "--chips"  # no setting of a run
}


def model_of(flag):
    """The first family whose setting a flag is."""
    name = NUMBERS[flag].name
    known = (n for n in FAMILIES if any(name in s.__struct_fields__ for s in of(n)))
    return next(known, "delays")


def of(model):
    return sections(model).values()


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(*arguments):
    return call(cli.command, *arguments)


def test_a_run_ends_with_table_picture_and_next_command():
    code, out, err = train(*TINY, "--out", "run")
    assert (code, err) == (0, "")
    result = open_run(Path("run/run.zarr"))
    control = open_run(Path("run/without-delays/run.zarr"))
    for dataset in (result, control):
        assert f"{100 * float(dataset['test_accuracy'].mean()):.1f}" in out
    assert "no delays" in out
    assert "on synthetic spoken digits" in out
    assert "next: denram-analyze fig4d" in out
    assert result.attrs["protocol"] in out
    assert Path("run/curves.png").read_bytes().startswith(b"\x89PNG")
    assert Path("run/results.csv").read_text().startswith("n_in,n_delays,noise_std")
    chip = json.loads(control.attrs["config"])["map"]
    assert chip["max_delay"] == 0


def test_a_folder_in_use_is_refused_and_resuming_repeats_the_result():
    assert train(*TINY, "--no-control", "--out", "run")[0] == 0
    assert "out must not exist yet" in refused(cli.command, *TINY, "--out", "run")
    code, out, _ = train("--resume", "--no-control", "--out", "run")
    assert code == 0
    assert "Result" in out
    line = refused(cli.command, "--nb_epochs", "9", "--resume", "--out", "run")
    assert line.endswith("differs in nb_epochs: 3 -> 9\n")
    # as it was trained: the control is not added by resuming
    assert train("--resume", "--out", "run")[0] == 0
    assert not Path("run/without-delays").exists()


def test_a_map_made_by_denram_map_is_trained_on():
    flags = ["--n_in", "12", "--n_delays", "2", "--max_delay", "60", "--r_mu", "150e9"]
    assert call(map_command.command, *flags, "--seed", "3", "--out", "chip")[0] == 0
    rest = TINY[10:]
    assert "--nb_epochs" in rest
    code, _, err = train(*rest, "--map", "chip", "--no-control", "--out", "run")
    assert (code, err) == (0, "")
    config = json.loads(open_run(Path("run/run.zarr")).attrs["config"])
    assert (config["map"]["n_in"], config["map"]["max_delay"]) == (12, 60)
    line = refused(cli.command, "--map", "chip", "--n_in", "13", "--out", "other")
    assert "n_in is fixed by --map (12), got 13" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "nobody"], "nobody"),
        (["--dataset", "cifar"], "cifar"),
        (["--card", "unobtainium"], "unobtainium"),
        (["--set", "model=[1]"], "model must be one of delays, hsnn, got [1]"),
        (["--set", "lr_epochs=[nan,1]"], "lr_epochs[0] must be int, got nan"),
        (["--resume"], "--resume needs --out"),
        (["--resume", "--out", "nope"], "--resume needs --out, the folder of a run"),
        (["--config", "/dev/zero"], "/dev/zero must be a regular file"),
        (["--out", ""], "--out must be 1 to 64 of"),
        (["--model", "resnet"], "model must be one of delays, hsnn, got 'resnet'"),
        (["--set", "learning_rate=1"], "unknown key 'learning_rate'"),
        (["--set", "adam_step"], "--set must be KEY=VALUE"),
        (["--set", "adam_step=never"], "adam_step must be one of"),
        (["--map", "nowhere"], "nowhere"),
        (["--out", "../up"], "--out must not climb"),
        (["--out", "a\nb"], "--out must be 1 to 64"),
        (["--config", "nowhere.toml"], "cannot read nowhere.toml"),
        (["--dataset", "shd", "--data_dir", "nowhere"], "nowhere"),
        (["--batch_size", "1000000000"], "GB of memory"),
        (["--n_in", "1000000000"], "n_in must be 1 to 65534, got 1000000000"),
        (["--eval_draws", "100000000"], "eval_draws must be int <= 10000"),
        (["--weight_levels", "4"], "weight_max must be set"),
        (["--weight_levels", "1", "--weight_max", "1"], "weight_levels"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_left(arguments, message):
    assert message in refused(cli.command, *arguments)
    left = [path for path in Path().rglob("*") if path.name not in ("runs", ".lock")]
    assert [path for path in left if path.is_file()] == []


def test_a_broken_settings_file_is_one_line():
    Path("bad.toml").write_text("[fit]\nlr = -1\n")
    line = refused(cli.command, "--config", "bad.toml")
    assert "lr must be float > 0.0, got -1" in line
    Path("odd.toml").write_text("[fit]\nmomentum = 1\n")
    line = refused(cli.command, "--config", "odd.toml")
    assert "odd.toml: unknown key 'momentum'" in line
    Path("flat.toml").write_text("map = 3\n")
    line = refused(cli.command, "--config", "flat.toml", "--n_in", "8")
    assert "flat.toml: map must be a table, got 3" in line


def test_a_byte_order_mark_is_no_error():
    Path("bom.toml").write_bytes(b"\xef\xbb\xbfseed = 7\n")
    assert resolve(file=Path("bom.toml")).seed == 7


def test_a_card_is_refused_beside_a_map():
    flags = ["--n_in", "4", "--n_delays", "1"]
    assert call(map_command.command, *flags, "--out", "chip")[0] == 0
    line = refused(cli.command, "--map", "chip", "--card", "denram-chip")
    assert "--card must not be given with --map, got 'denram-chip'" in line


@pytest.mark.parametrize("end", ["full", "closed"])
def test_output_that_cannot_be_written_is_one_line(end):
    code = (
        "import sys; from denram.cli._options import run; from denram.cli import map;"
        " sys.exit(run(map.command, ['--n_in', '4', '--out', 'chip']))"
    )
    if end == "full":
        with open("/dev/full", "w") as full:
            found = subprocess.run(
                [sys.executable, "-c", code],
                check=False,
                stdout=full,
                stderr=-1,
                text=True,
            )
        assert found.returncode == 1
        assert found.stderr == "Error: cannot write: No space left on device\n"
    else:
        found = subprocess.run(
            f'"{sys.executable}" -c "{code}" | true; exit ${{PIPESTATUS[0]}}',
            check=False,
            shell=True,
            executable="/bin/bash",
            capture_output=True,
            text=True,
        )
        assert found.stderr == ""
    assert Path("chip/map.zarr").is_dir()


FULL_WIDTH_NINE = "\uff19"
TEXTS = ["nan", "inf", "-inf", "-1", "1e400", "", "ten", "1_0", "0x10", FULL_WIDTH_NINE]


@pytest.mark.parametrize("flag", NUMBERS)
@pytest.mark.parametrize("text", TEXTS)
def test_every_number_refuses_what_is_none_and_names_flag_and_value(flag, text):
    if (flag, text) == ("--delta_tau", "-1"):
        return  # a hierarchy may be turned round
    line = refused(cli.command, "--model", model_of(flag), flag, text)
    assert flag in line
    assert repr(text) in line


@given(st.sampled_from(sorted(NUMBERS)), st.floats() | st.integers() | st.text())
@budget(max_examples=300)
def test_no_number_passes_the_flag_and_breaks_the_record(flag, value):
    parameter = NUMBERS[flag]
    try:
        number = parameter.type.convert(str(value), parameter, None)
        config = resolve({"model": model_of(flag), parameter.name: number})
    except DenRAMError as error:
        lines = str(error).splitlines()
    else:
        names = sections(model_of(flag))
        tables = [config, *(getattr(config, name) for name in names)]
        held = next(t for t in tables if hasattr(t, parameter.name))
        lines = [flag] if getattr(held, parameter.name) == number else []
    assert len(lines) == 1


@pytest.mark.parametrize("model", FAMILIES)
def test_every_key_of_every_section_is_unique(model):
    keys = [key for cls in sections(model).values() for key in cls.__struct_fields__]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("flag", NUMBERS)
def test_every_flag_sets_a_key_with_its_type_and_shows_its_default(flag):
    parameter = NUMBERS[flag]
    if parameter.name == "seed":
        return
    model = model_of(flag)
    (section,) = nested({parameter.name: 0}, model)
    cls = sections(model)[section]
    assert parameter.name in field_types(cls)
    default = getattr(cls(), parameter.name)
    shown = (parameter.help or "").partition("default: ")[2].rstrip("]")
    if default is not None:
        assert float(shown) == pytest.approx(default)


def test_layers_win_in_the_order_of_the_help():
    Path("my.toml").write_text("[fit]\nlr = 3e-3\nbatch_size = 8\n")
    config = resolve({"batch_size": 4}, preset="denram-2024", file=Path("my.toml"))
    assert config.fit.lr == 3e-3
    assert config.fit.batch_size == 4
    assert config.fit.adam_step == "epoch"
    # the synthetic set's own defaults lie beneath the preset
    assert config.map.n_in == 64


def test_presets_hold_only_known_keys():
    from denram.config import preset_names

    for name in preset_names():
        resolve(preset=name)


def test_help_loads_nothing_heavy():
    heavy = ["jax", "numba", "xarray", "zarr", "scipy", "matplotlib", "numpy", "h5py"]
    code = (
        "import sys\n"
        "from denram.cli import analyze, train\n"
        "from denram.cli._options import run\n"
        "run(train.command, ['--help'])\n"
        "run(analyze.command, ['fig4d', '--help'])\n"
        f"print([name for name in {heavy} if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip().splitlines()[-1] == "[]"
