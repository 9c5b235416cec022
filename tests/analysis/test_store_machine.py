"""A store under create, run, kill, corrupt, verify, pack, extend, copy and rename.

Beside it stands a dictionary of what each cell must hold. 30 examples by default;
DENRAM_EXAMPLES=200 for the long form.
"""

import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from killable import Plain, plain_grid

from denram.analysis import open_sweep, run_sweep
from denram.analysis.programs import programs
from denram.analysis.repair import repair
from denram.analysis.rewrite import pack
from denram.analysis.sweep_store import STORE, SweepStore, read_head
from denram.analysis.verify import damages
from denram.errors import InputError

EXAMPLES = int(os.environ.get("DENRAM_EXAMPLES", "30"))
_replace = os.replace


class Killed(BaseException):
    """Stands for SIGKILL: nothing may catch it and go on."""


class Quiet(Plain):
    """Cells whose values follow from their configuration and their program alone."""

    def compute(self, configs, folders, on_progress):
        del folders, on_progress
        shared = sum(config.a for config in configs)
        return [
            {
                "total": config.a * 10 + config.b + 1e-3 * shared,
                "parts": np.arange(3) + config.a,
                "words": f"{config.a}/{config.b}",
            }
            for config in configs
        ]


class Machine(RuleBasedStateMachine):
    """The store beside its model: cell to total, for every cell that is done."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.out = self.root / "s"
        self.study = Quiet()
        self.shapes = []
        self.done: dict[tuple[int, ...], float] = {}
        self.damaged: set[tuple[int, ...]] = set()
        self.packed = False
        self.names = 0

    @property
    def path(self):
        return self.out / STORE

    def grid(self):
        return plain_grid(*self.shapes[-1])

    def expected(self):
        """Total of every cell, from the programs that the grid's history makes."""
        grid = self.grid()
        configs = {c: self.study.config(grid.flags(c), None) for c in grid.cells()}
        todo = list(grid.cells())
        found = {}
        for program in programs(grid, self.shapes, self.study, configs, todo):
            shared = sum(configs[cell].a for cell in program.cells)
            for cell in program.cells:
                own = configs[cell]
                found[cell] = own.a * 10 + own.b + 1e-3 * shared
        return found

    @initialize(n_a=st.integers(1, 3), n_b=st.integers(1, 2))
    def create(self, n_a, n_b):
        self.shapes = [(n_a, n_b)]

    @rule(where=st.data(), cells=st.booleans())
    def run_some(self, where, cells):
        if self.damaged:
            return
        grid = self.grid()
        only = {}
        if cells:
            only = {"a": where.draw(st.sampled_from(grid.axes[0].labels))}
        run_sweep(grid, self.out, study=self.study, only=only)
        for cell, total in self.expected().items():
            if not cells or grid.axes[0].labels[cell[0]] == only["a"]:
                self.done[cell] = total
                if cell not in self.before:
                    self.packed = False

    @rule(at=st.integers(1, 40))
    @precondition(lambda self: not self.damaged)
    def run_and_be_killed(self, at):
        count = 0

        def replace(source, target):
            nonlocal count
            count += 1
            if count == at:
                raise Killed
            _replace(source, target)

        with mock.patch("os.replace", replace):
            try:
                run_sweep(self.grid(), self.out, study=self.study)
            except Killed:
                pass
        self.learn()

    def learn(self):
        """After a kill, what is done is right, and as much as the store says."""
        self.packed = self.path.exists() and read_head(self.path).packed
        if not self.path.exists():
            return
        status = SweepStore(self.path).status()
        expected = self.expected()
        for cell in self.done:
            assert status[cell] == 1, "a finished cell was lost"
        for cell in map(tuple, np.argwhere(status == 1).tolist()):
            self.done[cell] = expected[cell]

    @rule(n_a=st.integers(0, 1), n_b=st.integers(0, 1))
    @precondition(lambda self: not self.damaged and self.path.exists())
    def extend(self, n_a, n_b):
        held = self.shapes[-1]
        new = (min(4, held[0] + n_a), min(3, held[1] + n_b))
        if new != held:
            self.shapes.append(new)
            run_sweep(self.grid(), self.out, study=self.study, only={"a": 1.0})
            self.learn()

    @rule(where=st.data(), cut=st.booleans())
    @precondition(lambda self: self.done and not self.packed and not self.damaged)
    def corrupt(self, where, cut):
        cell = where.draw(st.sampled_from(sorted(self.done)))
        name = where.draw(st.sampled_from(["total", "parts/", "words"]))
        inner = ["0"] if name.endswith("/") else []
        file = self.path.joinpath(name.strip("/"), "c", *map(str, cell), *inner)
        content = bytearray(file.read_bytes())
        if cut:
            file.write_bytes(content[: where.draw(st.integers(0, len(content) - 1))])
        else:
            content[where.draw(st.integers(0, len(content) - 1))] ^= 4
            file.write_bytes(content)
        self.damaged.add(cell)

    @rule()
    @precondition(lambda self: self.damaged)
    def verify_and_repair(self):
        found = {d.cell for d in damages(self.path) if d.cell is not None}
        assert found == self.damaged
        assert repair(self.path).cells == sorted(found)
        for cell in found:
            del self.done[cell]
        self.damaged.clear()

    @rule()
    @precondition(lambda self: self.path.exists() and not self.damaged)
    def pack(self):
        grid = self.grid()
        layout = self.study.layout(
            self.study.config(grid.flags(c), None) for c in grid.cells()
        )
        finished = len(self.done) == grid.n_cells
        try:
            pack(self.path, layout)
            assert finished
            assert not self.packed
            self.packed = True
        except InputError:
            assert self.packed or not finished

    @rule(copy=st.booleans())
    @precondition(lambda self: self.out.exists())
    def copy_or_rename(self, copy):
        self.names += 1
        new = self.root / f"s{self.names}"
        if copy:
            shutil.copytree(self.out, new)
        else:
            self.out.rename(new)
        self.out = new

    @invariant()
    def store_agrees_with_the_model(self):
        self.before = set(self.done)
        if not self.path.exists():
            assert not self.done
            return
        if self.damaged:
            return
        assert list(damages(self.path)) == []
        data = open_sweep(self.path)
        status = data["status"].values
        assert {tuple(c) for c in np.argwhere(status == 1).tolist()} == set(self.done)
        for cell, total in self.done.items():
            assert float(data["total"].values[cell]) == total
        # data may be ahead of the status, and are right then
        early = {tuple(c) for c in np.argwhere(status == 0).tolist()}
        for cell, total in self.expected().items():
            held = float(data["total"].values[cell])
            assert cell not in early or np.isnan(held) or held == total

    def teardown(self):
        shutil.rmtree(self.root)


def test_a_store_agrees_with_its_model_through_whatever_happens_to_it():
    run_state_machine_as_test(
        Machine,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=12, deadline=None),
    )
