"""Files of a whole store: metadata and labels, whose damage must never go unseen."""

import json
import random
import shutil

import numpy as np
import pytest
from killable import Plain, plain_grid

from denram.analysis import Axis, Grid, open_sweep, run_sweep
from denram.analysis.repair import repair
from denram.analysis.rewrite import pack
from denram.analysis.slices import SweepView
from denram.analysis.sweep_store import STORE, SweepStore, read_head, results_sha256
from denram.analysis.verify import damages
from denram.errors import InputError

LAYOUT = Plain().layout([None])
ZIPPED = Grid(
    "zipped",
    (Axis.zipped({"r_std": [0.2, 0.4], "r_mu": [1e9, 2e9]}), Axis.of("chip_seed", [0])),
    {"n_in": 4},
    study="map",
)
USES = [open_sweep, SweepStore, SweepView, lambda path: pack(path, LAYOUT)]


@pytest.fixture
def store(tmp_path):
    return run_sweep(plain_grid(n_a=2), tmp_path / "s", study=Plain())


@pytest.fixture(scope="module")
def zipped(tmp_path_factory):
    return run_sweep(ZIPPED, tmp_path_factory.mktemp("zipped") / "s")


def edit(file, change):
    """Change a JSON file in place."""
    meta = json.loads(file.read_text())
    change(meta)
    file.write_text(json.dumps(meta))


def rename_dimension(meta):
    meta["dimension_names"][0] = "q"


def without_digests(store):
    """As the first versions wrote it."""

    def change(meta):
        del meta["attributes"]["files"], meta["attributes"]["seal"]

    edit(store / "zarr.json", change)


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "unsealed"])
def test_a_renamed_dimension_hides_no_lost_result(store, sealed):
    if not sealed:
        without_digests(store)
    edit(store / "total" / "zarr.json", rename_dimension)
    (store / "total" / "c" / "0" / "0").unlink()
    assert [d.file for d in damages(store)] == ["total/zarr.json"]
    files = sorted(store.rglob("*"))
    for use in USES:
        with pytest.raises(InputError, match=r"damaged.*total/zarr\.json|total/zarr"):
            use(store)
    assert sorted(store.rglob("*")) == files


def test_repair_makes_metadata_again_and_then_finds_the_lost_result(store):
    before = results_sha256(store)
    edit(store / "total" / "zarr.json", rename_dimension)
    (store / "total" / "c" / "0" / "1").unlink()
    mended = repair(store, study=Plain())
    assert (mended.files, mended.cells) == (["total/zarr.json"], [(0, 1)])
    assert mended.left == []
    run_sweep(None, store.parent, study=Plain())
    assert results_sha256(store) == before


def test_every_flipped_bit_of_the_metadata_is_found_and_refused(store):
    chance, files = random.Random(0), sorted(store.rglob("zarr.json"))
    assert len(files) == 10  # six arrays, two of provenance, and two groups
    for _ in range(400):
        file = chance.choice(files)
        content = file.read_bytes()
        bit = chance.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        file.write_bytes(flipped)
        try:
            found = [damage.file for damage in damages(store)]
        except InputError:  # not even its own description can be read
            found = [file.relative_to(store).as_posix()]
        # a byte between two words may change nothing of what a root says
        same = file.parent == store and json.loads(content) == _read(file)
        assert same or file.relative_to(store).as_posix() in found, (file, bit)
        if not same:
            with pytest.raises(InputError):
                open_sweep(store)
        file.write_bytes(content)
    assert list(damages(store)) == []


def _read(file):
    try:
        return json.loads(file.read_text())
    except ValueError:
        return None


def test_every_lost_or_changed_label_is_found_refused_and_made_again(zipped, tmp_path):
    store = tmp_path / "s" / STORE
    shutil.copytree(zipped.parent, store.parent)
    before = results_sha256(store)
    files = [store / name / "c" / "0" for name in ("r_std", "r_mu", "reason")]
    files.append(store / "chip_seed" / "c" / "0")  # a label that equals the fill
    for file in files:
        content = file.read_bytes()
        for new in (None, content[:-1], content[::-1]):
            file.unlink()
            if new is not None:
                file.write_bytes(new)
            assert [store / d.file for d in damages(store)] == [file]
            for use in (open_sweep, SweepStore, SweepView):
                with pytest.raises(InputError, match="is damaged: "):
                    use(store)
            assert repair(store).files == [file.relative_to(store).as_posix()]
            assert results_sha256(store) == before


@pytest.mark.parametrize("name", ["r_std", "r_mu", "reason"])
def test_a_lost_label_of_a_store_without_digests_is_found(zipped, tmp_path, name):
    store = tmp_path / "s" / STORE
    shutil.copytree(zipped.parent, store.parent)
    without_digests(store)
    assert not read_head(store).sealed
    assert list(damages(store)) == []
    (store / name / "c" / "0").unlink()
    assert [d.file.split("/")[0] for d in damages(store)] == [name]
    if name != "reason":
        with pytest.raises(InputError, match=f"{name}: its labels are not those"):
            open_sweep(store)


def test_a_store_that_declares_a_vast_status_is_refused_before_it_is_read(store):
    def change(meta):
        meta["shape"] = [10**7, 10**7]

    edit(store / "status" / "zarr.json", change)
    for use in (*USES, lambda path: run_sweep(None, path.parent, study=Plain())):
        with pytest.raises(InputError, match=r"must have 2 positions, got 10000000"):
            use(store)
    with pytest.raises(InputError, match=f"denram-analyze verify {store} names"):
        open_sweep(store)


def test_a_store_stays_sealed_when_it_is_extended_packed_and_unpacked(store):
    def digests():
        found = read_head(store)
        assert found.sealed
        assert list(damages(store)) == []

    run_sweep(plain_grid(n_a=3), store.parent, study=Plain())
    digests()
    pack(store, LAYOUT)
    digests()
    run_sweep(plain_grid(n_a=4), store.parent, study=Plain())
    digests()
    assert not read_head(store).packed


def test_repair_of_a_packed_store_loses_only_the_cells_of_the_damaged_chunk(
    store, monkeypatch
):
    before, whole = open_sweep(store), results_sha256(store)
    monkeypatch.setattr(
        "denram.analysis.sweep_store._packed_chunks", lambda s, inner, _: (1, 2, *inner)
    )
    pack(store, LAYOUT)
    file = store / "parts" / "c" / "1" / "0" / "0"
    file.write_bytes(file.read_bytes()[:-1])
    (damage,) = damages(store)
    assert damage.cells == ((1, 0), (1, 1))
    with pytest.raises(InputError, match="--repair"):
        run_sweep(plain_grid(n_a=3), store.parent, study=Plain())
    mended = repair(store, study=Plain())
    assert (mended.cells, mended.left) == ([(1, 0), (1, 1)], [])
    np.testing.assert_array_equal(SweepStore(store).status(), [[1, 1], [0, 0]])
    held = open_sweep(store)
    for name in ("total", "parts", "words"):
        np.testing.assert_array_equal(held[name][0], before[name][0])
    run_sweep(None, store.parent, study=Plain())
    assert results_sha256(store) == whole


@pytest.mark.parametrize("name", ["status", "provenance/record"])
def test_repair_of_a_packed_store_whose_status_is_damaged(store, name):
    whole = results_sha256(store)
    pack(store, LAYOUT)
    (store / name / "c" / "0" / "0").write_bytes(b"")
    assert len(repair(store, study=Plain()).cells) == 4
    run_sweep(None, store.parent, study=Plain())
    assert results_sha256(store) == whole
