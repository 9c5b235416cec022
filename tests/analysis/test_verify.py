import json
import random

import numpy as np
import pytest
from killable import Plain, plain_grid

from denram.analysis import Axis, Grid
from denram.analysis.repair import repair
from denram.analysis.rewrite import pack
from denram.analysis.sweep import run_sweep
from denram.analysis.sweep_store import SweepStore, open_sweep, results_sha256
from denram.analysis.verify import damages
from denram.errors import InputError


@pytest.fixture
def store(tmp_path):
    return run_sweep(plain_grid(), tmp_path / "s", study=Plain())


def chunks(store):
    return sorted(p for p in store.rglob("*") if p.is_file() and "c" in p.parts)


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_every_flipped_bit_is_found_and_the_cell_named(store):
    chance, files, found = random.Random(0), chunks(store), 0
    for _ in range(300):
        file = chance.choice(files)
        bit = chance.randrange(8 * file.stat().st_size)
        flip(file, bit)
        (damage,) = damages(store)
        assert damage.file == file.relative_to(store).as_posix()
        n_axes = len(plain_grid().shape)
        after = file.parts[file.parts.index("c") + 1 :][:n_axes]
        if damage.cell is not None:
            assert damage.cell == tuple(map(int, after))
        else:
            assert damage.file.split("/")[0] in plain_grid().dims
        found += 1
        flip(file, bit)
    assert found == 300
    assert list(damages(store)) == []


def test_every_lost_or_shortened_chunk_is_found(store):
    for file in chunks(store):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        assert len(list(damages(store))) == 1, file
        file.unlink()
        lost_status = file.is_relative_to(store / "status")
        # without its status a cell is simply not done yet
        assert len(list(damages(store))) == (0 if lost_status else 1)
        file.write_bytes(content)


def test_a_cell_whose_status_is_lost_is_computed_again_with_the_same_bits(store):
    before = results_sha256(store)
    (store / "status" / "c" / "1" / "1").unlink()
    assert int((open_sweep(store)["status"] == 1).sum()) == 7
    run_sweep(None, store.parent, study=Plain())
    assert results_sha256(store) == before


def test_repair_lets_damaged_cells_be_computed_again_with_the_same_bits(store):
    before = results_sha256(store)
    flip(store / "parts" / "c" / "2" / "1" / "0", 13)
    (damage,) = damages(store)
    with pytest.raises(InputError, match="verify"):
        open_sweep(store)
    assert damage.label == "a=3,b=1"
    assert damage.cells == (damage.cell,) == ((2, 1),)
    assert repair(store, study=Plain()).cells == [(2, 1)]
    seen = int((SweepStore(store).status() == 0).sum())
    assert seen == 1
    run_sweep(None, store.parent, study=Plain())
    assert results_sha256(store) == before
    assert list(damages(store)) == []


def test_repair_of_a_sweep_with_one_axis_keeps_its_labels(tmp_path):
    grid = Grid("plain", (Axis.of("a", [1.0, 2.0]),), study="plain")
    store = run_sweep(grid, tmp_path / "s", study=Plain())
    flip(store / "total" / "c" / "0", 9)
    assert repair(store).cells == [(0,)]
    assert list(damages(store)) == []
    np.testing.assert_array_equal(open_sweep(store)["a"], [1.0, 2.0])
    np.testing.assert_array_equal(SweepStore(store).status(), [0, 1])


def test_a_damaged_status_names_the_file(store):
    flip(store / "status" / "c" / "1" / "0", 3)
    with pytest.raises(InputError, match=r"status/c/1/0 is damaged \(cell \(1, 0\)\)"):
        SweepStore(store).status()


def test_a_changed_description_is_found(store):
    meta = json.loads((store / "zarr.json").read_text())
    grid = json.loads(meta["attributes"]["definition"])
    grid["axes"][0]["labels"][0] = grid["axes"][0]["keys"]["a"][0] = 7.0
    meta["attributes"]["definition"] = json.dumps(grid)
    (store / "zarr.json").write_text(json.dumps(meta))
    reasons = [damage.reason for damage in damages(store)]
    assert "its grid was changed" in reasons
    assert "its labels are not those of the grid" in reasons


def test_an_array_of_another_length_is_found(store):
    meta = json.loads((store / "total" / "zarr.json").read_text())
    meta["shape"][0] = 10**12
    (store / "total" / "zarr.json").write_text(json.dumps(meta))
    (damage,) = damages(store)
    assert damage.reason == f"a must have 4 positions, got {10**12}"
    with pytest.raises(InputError, match=r"damaged: total/zarr\.json: a must have"):
        open_sweep(store)


def test_flipped_bits_of_a_packed_store_are_found(store):
    grid = plain_grid()
    study = Plain()
    layout = study.layout(study.config(grid.flags(c), None) for c in grid.cells())
    pack(store, layout)
    chance, files = random.Random(1), chunks(store)
    for _ in range(100):
        file = chance.choice(files)
        bit = chance.randrange(8 * file.stat().st_size)
        flip(file, bit)
        (damage,) = damages(store)
        assert damage.file == file.relative_to(store).as_posix()
        flip(file, bit)


def test_a_lost_array_is_found_and_refused_everywhere(store):
    (store / "total" / "zarr.json").unlink()
    reasons = [(damage.file, damage.reason) for damage in damages(store)]
    assert reasons == [("total/zarr.json", "the file is missing")]
    for use in (open_sweep, SweepStore):
        with pytest.raises(InputError, match=r"total/zarr\.json: the file is missing"):
            use(store)


def test_a_damaged_store_is_not_packed(store):
    flip(store / "parts" / "c" / "2" / "1" / "0", 13)
    before = chunks(store)
    with pytest.raises(InputError, match=r"parts/c/2/1/0 is damaged \(a=3,b=1\)"):
        pack(store, Plain().layout([None]))
    assert chunks(store) == before


@pytest.mark.parametrize("how", ["empty", "a folder", "cut"])
def test_a_status_that_cannot_be_read_is_one_line(store, how):
    file = store / "status" / "c" / "1" / "0"
    content = file.read_bytes()
    file.unlink()
    if how == "a folder":
        file.mkdir()
    else:
        file.write_bytes(b"" if how == "empty" else content[:-1])
    with pytest.raises(InputError, match=r"status/c/1/0 is damaged \(cell \(1, 0\)\)"):
        run_sweep(None, store.parent, study=Plain())


def test_metadata_that_cannot_be_read_stop_an_extension_and_lose_nothing(store):
    meta = store / "words" / "zarr.json"
    content = meta.read_text()
    meta.write_text(content[:5])
    files = chunks(store)
    with pytest.raises(InputError, match=r"damaged: words/zarr\.json: cannot be read"):
        run_sweep(plain_grid(n_a=5), store.parent, study=Plain())
    assert chunks(store) == files
    meta.write_text(content)
    run_sweep(plain_grid(n_a=5), store.parent, study=Plain())
    assert (open_sweep(store)["status"] == 1).all()


def test_a_rewriting_killed_between_its_renames_is_put_right(store):
    before = results_sha256(store)
    store.rename(store.with_name(".sweep.zarr.aside"))
    run_sweep(None, store.parent, study=Plain())
    assert results_sha256(store) == before
    assert not store.with_name(".sweep.zarr.aside").exists()
