import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil
import pytest
import xarray as xr
import zarr
from killable import Plain, plain_grid
from tiny import SETTINGS

from denram.analysis import Axis, Grid, SweepWatch, open_sweep, run_sweep
from denram.analysis.folder import owned, set_aside
from denram.analysis.map_study import MapStudy
from denram.analysis.programs import programs
from denram.analysis.rewrite import pack
from denram.analysis.sweep import Engine, built_by, plan
from denram.analysis.sweep_store import (
    STORE,
    Head,
    SweepStore,
    create,
    read_head,
    results_sha256,
)
from denram.analysis.train_study import TrainStudy
from denram.analysis.workers import joined_cluster, local_cluster
from denram.errors import BusyError, InputError, StorageError
from denram.mapping import build_map
from denram.train import open_run, resolve

TINY = Grid(
    "tiny",
    (
        Axis.zipped({"n_in": [12, 8]}, name="network", labels=["a", "b"]),
        Axis.of("noise_std", [0.0, 0.3]),
        Axis.of("seed", [1]),
    ),
    {
        **{k: v for k, v in SETTINGS.items() if k != "n_in"},
        "nb_epochs": 2,
        "test_noise_levels": [0.0, 0.3],
    },
)


def swept(grid, out, **more):
    """Run a sweep; returns its path and the cells that were computed."""
    seen = []
    more.setdefault("study", Plain() if grid is None or grid.name == "plain" else None)
    watch = SweepWatch(on_cell=seen.append)
    path = run_sweep(grid, out, watch=watch, **more)
    return path, [outcome.cell for outcome in seen]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path, cells = swept(TINY, tmp_path_factory.mktemp("sweeps") / "tiny")
    assert len(cells) == 4
    return path


def test_every_cell_holds_its_own_run(trained):
    data = open_sweep(trained)
    assert (data["status"] == 1).all()
    for cell in TINY.cells():
        config = resolve(TINY.flags(cell))
        run = open_run(trained.parent / "cells" / config.fingerprint[:16] / "run.zarr")
        held = data[dict(zip(TINY.dims, cell, strict=True))]
        np.testing.assert_array_equal(held["test_accuracy"], run["test_accuracy"])
        np.testing.assert_array_equal(held["epoch_train_loss"], run["train_loss"])
        n = run.sizes["true_class"]
        np.testing.assert_array_equal(held["confusion"][:n, :n], run["confusion"])
        assert float(held["valid_accuracy"]) == run.attrs["best_valid_accuracy"]
        assert str(held["protocol"].values) == run.attrs["protocol"]
        assert SweepStore(trained).record(cell)["fingerprint"] == config.fingerprint


def test_a_network_scored_at_its_own_level_agrees_with_its_test_accuracy(trained):
    data = open_sweep(trained)
    for i, level in enumerate([0.0, 0.3]):
        own = data["test_accuracy"].sel(noise_std=level)
        at = data["test_accuracy_at"].sel(noise_std=level, scored_noise_std=level)
        np.testing.assert_array_equal(own, at, err_msg=str(i))


def test_plain_xarray_opens_the_store_with_labels_and_units(trained):
    with xr.open_zarr(trained, consolidated=False) as data:
        assert list(data["network"].values) == ["a", "b"]
        assert list(data["n_in"].values) == [12, 8]
        assert data["epoch_train_loss"].attrs["units"] == "nat"
        assert data["test_accuracy"].dims == (*TINY.dims, "draw")
    with xr.open_datatree(trained, engine="zarr", consolidated=False) as tree:
        assert (tree["provenance"]["wall_s"] > 0).all()


def test_kin_is_what_one_program_can_compute():
    study = TrainStudy()

    def kin(**flags):
        return study.kin(resolve({**SETTINGS, **flags}))

    one = kin(seed=1, noise_std=0.1, chip_seed=3)
    assert one == kin(seed=1, noise_std=0.2, chip_seed=4)
    assert one != kin(seed=2, noise_std=0.1, chip_seed=3)
    assert one != kin(seed=1, n_in=8)
    assert kin(seed=1, order_seed=5) == kin(seed=2, order_seed=5)


@pytest.mark.parametrize("study", [Plain(), TrainStudy()], ids=["plain", "train"])
def test_no_chunk_holds_two_cells(study, tmp_path):
    """Read-modify-write of a shared chunk would lose rows without an error (F4)."""
    grid = plain_grid() if study.name == "plain" else TINY
    planned = plan(grid, tmp_path / "x", study=study)
    layout = study.layout(planned.configs.values())
    create(tmp_path / "s.zarr", Head(grid, (grid.shape,), built_by()), layout)
    names = [p.parent for p in (tmp_path / "s.zarr").rglob("zarr.json")]
    checked = 0
    for name in names:
        array = zarr.open(name, mode="r")
        if isinstance(array, zarr.Group):
            continue
        meta = cast(Any, array.metadata)
        dims = meta.dimension_names or ()
        if dims[: len(grid.dims)] == grid.dims:
            assert array.chunks[: len(grid.dims)] == (1,) * len(grid.dims)
            assert array.shards is None
            assert meta.codecs[-1].to_dict()["name"] == "crc32c"
            checked += 1
    assert checked == len(layout.variables) + 3


def test_a_finished_sweep_computes_nothing_again(tmp_path):
    path, cells = swept(plain_grid(), tmp_path / "s")
    before = results_sha256(path)
    assert len(cells) == 8
    assert swept(None, tmp_path / "s")[1] == []
    assert results_sha256(path) == before


@pytest.mark.parametrize("order", ["reversed", "one by one", "two workers", "dask"])
def test_order_and_number_of_workers_do_not_change_a_bit(order, tmp_path):
    path, _ = swept(plain_grid(), tmp_path / "a")
    grid = plain_grid()
    if order in ("reversed", "one by one"):
        cells = list(grid.cells())
        for cell in reversed(cells) if order == "reversed" else cells[::3] + cells:
            only = {a.name: a.labels[i] for a, i in zip(grid.axes, cell, strict=True)}
            swept(grid, tmp_path / "b", only=only)
    elif order == "two workers":
        swept(grid, tmp_path / "b", engine=Engine(workers=2))
    else:
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            dashboard_address=cast(str, None),
            host="127.0.0.1",
        ) as cluster:
            engine = Engine(scheduler=cast(Any, cluster).scheduler_address)
            swept(grid, tmp_path / "b", engine=engine)
    assert results_sha256(tmp_path / "b" / STORE) == results_sha256(path)


def test_new_labels_extend_the_store_and_old_cells_stay(tmp_path):
    path, _ = swept(plain_grid(n_a=2), tmp_path / "s")
    before = open_sweep(path)
    grid = plain_grid(n_a=4, n_b=3)
    _, cells = swept(grid, tmp_path / "s")
    assert len(cells) == 12 - 4
    after = open_sweep(path)
    for name in ("total", "parts"):
        np.testing.assert_array_equal(after[name][:2, :2], before[name])
    assert (after["status"] == 1).all()
    assert read_head(path).shapes == ((2, 2), (4, 3))


def test_cells_added_later_never_join_a_program_of_earlier_ones():
    grid = plain_grid(n_a=3, n_b=1)
    study = Plain()
    configs = {c: study.config(grid.flags(c), None) for c in grid.cells()}
    todo = list(grid.cells())
    together = programs(grid, [(3, 1)], study, configs, todo)
    grown = programs(grid, [(1, 1), (3, 1)], study, configs, todo)
    assert [p.cells for p in together] == [((0, 0), (1, 0)), ((2, 0),)]
    assert [p.cells for p in grown] == [((0, 0),), ((1, 0), (2, 0))]


def test_a_failing_cell_is_marked_with_its_reason_and_the_others_are_stored(tmp_path):
    fail = Axis.of("fail", [False, True])
    grid = Grid("plain", (Axis.of("a", [1.0, 2.0]), fail), study="plain")
    path, cells = swept(grid, tmp_path / "s")
    store = SweepStore(path)
    np.testing.assert_array_equal(store.status(), [[1, 2], [1, 2]])
    assert len(cells) == 4
    record = store.record((0, 1))
    assert record["error"] == "ValueError: a = 1.0 cannot be had"
    assert record["status"] == "failed"
    assert swept(None, tmp_path / "s")[1] == []
    assert swept(None, tmp_path / "s", retry_failed=True)[1] == [(0, 1), (1, 1)]


def test_a_cell_that_kills_its_worker_is_given_up_after_three_tries(tmp_path, capfd):
    axes = Axis.of("a", [1.0, 2.0, 3.0]), Axis.of("die", [False, True])
    grid = Grid("plain", axes, study="plain")
    only = {"die": False}
    path, _ = swept(grid, tmp_path / "s", engine=Engine(workers=2), only=only)
    only = {"die": True, "a": 2.0}
    path, cells = swept(grid, tmp_path / "s", engine=Engine(workers=2), only=only)
    assert cells == [(1, 1)]
    store = SweepStore(path)
    np.testing.assert_array_equal(store.status(), [[1, 0], [1, 2], [1, 0]])
    assert store.record((1, 1))["error"] == "its worker died 3 times"


def test_a_second_process_is_refused_and_told_who_works_there(tmp_path):
    (tmp_path / "s").mkdir()
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from denram.analysis.sweep import owned\n"
        "with owned(Path(sys.argv[1])):\n print('held', flush=True)\n sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"process {holder.pid} on ") as refused:
            swept(plain_grid(), tmp_path / "s")
        assert refused.value.exit_code == 75
        holder.communicate("")
    assert len(swept(plain_grid(), tmp_path / "s")[1]) == 8


def test_another_grid_in_the_same_folder_is_refused_with_the_difference(tmp_path):
    swept(plain_grid(), tmp_path / "s")
    with pytest.raises(InputError, match="fail: None -> False"):
        swept(plain_grid(fail=False), tmp_path / "s")


def test_other_code_or_libraries_are_refused_with_the_difference(tmp_path):
    path, _ = swept(plain_grid(), tmp_path / "s", only={"a": 1.0})
    meta = json.loads((path / "zarr.json").read_text())
    held = json.loads(meta["attributes"]["built_by"])
    del meta["attributes"]["files"], meta["attributes"]["seal"]
    meta["attributes"]["built_by"] = json.dumps({**held, "jax": "0.1.0", "code": "x"})
    (path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match=r"jax 0\.1\.0 -> .*; code x -> \w+"):
        swept(None, tmp_path / "s")
    aside = set_aside(tmp_path / "s")
    assert aside == tmp_path / "s.old-1"
    assert aside is not None
    assert len(swept(plain_grid(), tmp_path / "s")[1]) == 8
    assert (SweepStore(aside / STORE).status() == 1).sum() == 2


def test_a_cell_that_breaks_a_rule_is_named_before_anything_runs(tmp_path):
    axes = Axis.of("n_in", [4, 0]), Axis.of("seed", [1, 2])
    with pytest.raises(InputError, match="cell n_in=0,seed=1: n_in must be"):
        run_sweep(Grid("g", axes), tmp_path / "s")
    with pytest.raises(InputError, match="cell colour=1: unknown key 'colour'"):
        run_sweep(Grid("g", (Axis.of("colour", [1]),)), tmp_path / "s")
    assert list(tmp_path.iterdir()) == []


def test_a_newer_store_is_refused(tmp_path):
    path, _ = swept(plain_grid(), tmp_path / "s")
    meta = json.loads((path / "zarr.json").read_text())
    meta["attributes"]["format"] = 99
    (path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(InputError, match="must be of format 1, got 99; a newer"):
        swept(None, tmp_path / "s")
    with pytest.raises(InputError, match="a newer version"):
        open_sweep(path)


def test_a_scheduler_that_does_not_answer_is_one_line():
    with (
        pytest.raises(InputError, match="scheduler must answer within 2 s"),
        joined_cluster("tcp://127.0.0.1:9", timeout_s=2),
    ):
        pass


def test_packing_keeps_every_value_and_adding_labels_unpacks(tmp_path):
    path, _ = swept(plain_grid(n_a=2), tmp_path / "s")
    before = open_sweep(path)
    files = sum(1 for p in path.rglob("*") if p.is_file())
    study = Plain()
    grid = read_head(path).grid
    layout = study.layout(study.config(grid.flags(c), None) for c in grid.cells())
    pack(path, layout)
    xr.testing.assert_equal(open_sweep(path), before)
    assert sum(1 for p in path.rglob("*") if p.is_file()) < files
    np.testing.assert_array_equal(SweepStore(path).status(), before["status"])
    with pytest.raises(InputError, match="must not be packed already"):
        pack(path, layout)
    assert len(swept(plain_grid(n_a=3), tmp_path / "s")[1]) == 2
    after = open_sweep(path)
    np.testing.assert_array_equal(after["parts"][:2], before["parts"])
    assert [str(w) for w in after["words"][:2, 0].values] == ["<1.0>", "<2.0>"]


def test_an_unfinished_store_is_not_packed(tmp_path):
    path, _ = swept(plain_grid(), tmp_path / "s", only={"a": 1.0})
    with pytest.raises(InputError, match="6 of 8 cells"):
        pack(path, Plain().layout([None]))


def test_a_map_sweep_agrees_with_the_chips_drawn_one_by_one(tmp_path):
    axes = Axis.of("r_std", [0.2, 0.4]), Axis.of("chip_seed", [3, 4])
    grid = Grid("chips", axes, {"n_in": 8, "cap": 1e-13}, study="map")
    path, _ = swept(grid, tmp_path / "s")
    data = open_sweep(path)
    for cell in grid.cells():
        config = MapStudy().config(grid.flags(cell), None)
        chip = build_map(config.map, seed=[3, 4][cell[1]], noise_std=0.1)
        delay_s = chip.delay_steps[chip.mask] * chip.timestep_s
        held = data[dict(zip(grid.dims, cell, strict=True))]
        assert float(held["mean_delay_s"]) == pytest.approx(delay_s.mean())
        assert float(held["mean_ohm"]) == pytest.approx(chip.resistance_ohm.mean())
    assert data["mean_ohm"].attrs["units"] == "ohm"


def test_what_a_cell_warned_of_is_kept_beside_it(tmp_path):
    grid = Grid("chips", (Axis.of("chip_seed", [1]),), {"n_in": 8}, study="map")
    grid = Grid("chips", grid.axes, {"n_in": 8, "r_mu": 5e12}, study="map")
    path, _ = swept(grid, tmp_path / "s")
    (told,) = SweepStore(path).record((0,))["warnings"]
    assert "saturate at max_delay" in told


@pytest.mark.parametrize("n_bytes", [0, 40, 300])
def test_a_disk_that_refuses_is_one_line_and_finished_cells_stay(tmp_path, n_bytes):
    """RLIMIT_FSIZE stands for a full disk where none can be mounted (F5)."""
    path, _ = swept(plain_grid(), tmp_path / "s", only={"a": 1.0})
    before = open_sweep(path)
    code = (
        "import resource, signal, sys\nfrom test_sweep import swept\n"
        "from killable import plain_grid\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({n_bytes}, {n_bytes}))\n"
        "import denram.errors\n"
        "try:\n swept(plain_grid(), sys.argv[1])\n"
        "except denram.errors.StorageError as error:\n"
        " sys.stderr.write(str(error)); sys.exit(error.exit_code)\n"
    )
    here = Path(__file__).parent
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        env={**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1, found.stderr
    assert found.stderr.startswith("cannot write "), found.stderr
    assert found.stderr.count("\n") == 0
    after = open_sweep(path)
    np.testing.assert_array_equal(after["parts"][0], before["parts"][0])
    swept(None, tmp_path / "s")
    assert (open_sweep(path)["status"] == 1).all()
    assert list((tmp_path / "s").rglob("*.partial")) == []


def test_the_lock_of_a_dead_process_does_not_count(tmp_path):
    (tmp_path / ".lock").write_text("")
    (tmp_path / ".owner.json").write_text('{"pid": 1, "host": "gone"}')
    with owned(tmp_path):
        assert json.loads((tmp_path / ".owner.json").read_text())["pid"] == os.getpid()


def test_a_file_in_place_of_the_store_is_refused(tmp_path):
    (tmp_path / STORE).write_text("mine")
    with pytest.raises((InputError, StorageError)):
        swept(plain_grid(), tmp_path)
    assert (tmp_path / STORE).read_text() == "mine"


def test_a_local_cluster_listens_on_loopback_alone():
    environment = dict(os.environ)
    with local_cluster(1) as client:
        assert client.submit(os.getenv, "NPROC").result() == "2"
        client.submit(sum, [1, 2]).result()
        here = psutil.Process()
        sockets = [
            c.laddr.ip
            for process in (here, *here.children(recursive=True))
            for c in process.net_connections()
            if c.status == psutil.CONN_LISTEN
        ]
        assert sockets
        assert set(sockets) == {"127.0.0.1"}
        port = client.scheduler_info()["services"]["dashboard"]
        for page in ("status", "health", "json/counts.json", "info/main/workers.html"):
            with pytest.raises(urllib.error.HTTPError, match="404") as refused:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}")
            refused.value.close()
    assert dict(os.environ) == environment


@pytest.mark.parametrize("name", ["total", "part", "status", "provenance"])
def test_an_axis_with_the_name_of_a_result_is_refused(tmp_path, name):
    axis = Axis.zipped({"a": [1.0, 2.0]}, name=name)
    with pytest.raises(InputError, match=f"name of a result, got '{name}'"):
        swept(Grid("plain", (axis,), study="plain"), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_the_data_set_can_be_an_axis(tmp_path):
    grid = Grid("g", (Axis.of("dataset", ["synthetic"]),), {**SETTINGS, "nb_epochs": 1})
    path, _ = swept(grid, tmp_path / "s")
    assert str(open_sweep(path)["dataset_name"].values[0]) == "synthetic spoken digits"


@pytest.mark.parametrize("value", [True, "a,b", [1, [2, "x"]], 2**62, -1.5])
def test_any_plain_label_survives_the_store(tmp_path, value):
    axis = Axis.zipped({"a": [1.0]}, name="x", labels=[value])
    swept(Grid("plain", (axis,), study="plain"), tmp_path / "s")
    assert read_head(tmp_path / "s" / STORE).grid.axes[0].labels == (value,)
    held = open_sweep(tmp_path / "s")["x"].values[0]
    assert held == (json.dumps(value) if isinstance(value, list) else value)
    assert swept(None, tmp_path / "s")[1] == []


def test_a_folder_with_something_else_is_refused_and_one_with_grids_is_not(tmp_path):
    (tmp_path / "grid.toml").write_text("")
    assert len(swept(plain_grid(n_a=1, n_b=1), tmp_path)[1]) == 1
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.pdf").write_text("mine")
    with pytest.raises(InputError, match=r"holds thesis\.pdf"):
        swept(plain_grid(), other)
    assert [p.name for p in other.iterdir()] == ["thesis.pdf"]


def test_scored_levels_that_differ_between_cells_are_refused(tmp_path):
    axis = Axis.of("test_noise_levels", [[0.1], [0.2]])
    with pytest.raises(InputError, match="must be the same in every cell"):
        swept(Grid("g", (axis,), dict(SETTINGS)), tmp_path / "s")
    twice = Grid("g", (Axis.of("seed", [1]),), {"test_noise_levels": [0.1, 0.1]})
    with pytest.raises(InputError, match="must not name a level twice"):
        swept(twice, tmp_path / "s")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "tls://127.0.0.1:9"])
def test_a_scheduler_that_does_not_answer_leaves_dask_as_it_was(address):
    from dask import config as dask_config
    from dask.delayed import delayed
    from distributed.client import Client

    from denram.analysis.workers import joined_cluster

    with (
        pytest.raises(InputError, match="scheduler must answer"),
        joined_cluster(address, timeout_s=2.0),
    ):
        pass
    assert dask_config.get("scheduler", None) is None
    with pytest.raises(ValueError, match="No clients found"):
        Client.current()
    # what the process computes by dask goes to no cluster that is gone
    assert delayed(sum)([1, 2]).compute() == 3
