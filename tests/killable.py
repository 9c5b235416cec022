"""Studies that print a line at every place worth a kill, in whatever process they run.

Importing this module makes every write of a sweep's store print too, so that it also
holds in a worker, which imports it to unpack its task.
"""

import json
import os
import signal
import threading

import numpy as np
from tiny import SETTINGS

from denram.analysis.grid import Axis, Grid
from denram.analysis.study import Layout, Variable
from denram.analysis.sweep_store import SweepStore
from denram.analysis.train_study import TrainStudy
from denram.config import Section, convert, fingerprint
from denram.storage import write_text

N_PARTS = 3
_put = SweepStore._put


def mark(*words):
    """Print a line; with KILLABLE_STOPS set, stop until the one who reads it says so.

    So the reader knows where this process is, and it cannot end before it is killed.
    """
    line = " ".join(map(str, ("mark", os.getpid(), *words)))
    os.write(1, f"{line}\n".encode())  # at once, whatever else prints there
    if "KILLABLE_STOPS" in os.environ:
        # to this very thread: another could be stopped first while this one goes on
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


def _marked_put(store, name, cell, value):
    mark("before", name, *cell)
    _put(store, name, cell, value)
    mark("after", name, *cell)


setattr(SweepStore, "_put", _marked_put)  # noqa: B010  a method is replaced


class PlainConfig(Section, frozen=True):
    """What decides a plain cell."""

    a: float
    b: int = 0
    fail: bool = False
    die: bool = False

    @property
    def fingerprint(self):
        return fingerprint(self)


class Plain:
    """Cheap cells with parts that are kept in the cell's folder and resumed."""

    name = "plain"

    def config(self, flags, preset):
        return convert(PlainConfig, flags)

    def layout(self, configs):
        assert sum(1 for _ in configs) > 0
        parts = Variable(("part",), (N_PARTS,), text="one number per part")
        text = Variable(dtype=str, fill="", text="words")
        return Layout({"total": Variable(text="sum"), "parts": parts, "words": text})

    def kin(self, config):
        return str(config.b)

    def most_together(self, config):
        return 2

    def memory_bytes(self, config, members):
        return 0

    def seconds(self, config):
        return 0.0

    def headline(self, values):
        return f"total {values['total']:.3f}"

    def compute(self, configs, folders, on_progress):
        done = [self._parts(*pair) for pair in zip(configs, folders, strict=True)]
        on_progress(1, 1)
        for config in configs:
            if config.die:
                os.kill(os.getpid(), signal.SIGKILL)
            if config.fail:
                raise ValueError(f"a = {config.a} cannot be\nhad")
        # like a matrix product's, the last bits depend on who shares the program
        shared = sum(config.a for config in configs)
        return [
            {"total": float(p.sum() + 1e-3 * shared), "parts": p, "words": f"<{c.a}>"}
            for c, p in zip(configs, done, strict=True)
        ]

    def _parts(self, config, folder):
        folder.mkdir(parents=True, exist_ok=True)
        state = folder / "state.json"
        parts = json.loads(state.read_text()) if state.exists() else []
        while len(parts) < N_PARTS:
            bits = np.random.Philox(key=config.b, counter=[0, 0, 0, len(parts)])
            draw = float(np.random.Generator(bits).normal())
            parts.append(draw * config.a)
            mark("part", len(parts))
            write_text(state, json.dumps(parts))
        return np.array(parts)


class Training(TrainStudy):
    """Real trainings, telling their epochs."""

    def compute(self, configs, folders, on_progress):
        def told(done, total):
            mark("epoch", done)
            on_progress(done, total)

        mark("begin")
        return super().compute(configs, folders, told)


def plain_grid(n_a=4, n_b=2, **settings):
    axes = Axis.of("a", [1.0 + i for i in range(n_a)]), Axis.of("b", list(range(n_b)))
    return Grid("plain", axes, settings, study="plain")


def training_grid():
    axes = Axis.of("noise_std", [0.0, 0.3]), Axis.of("seed", [1, 2])
    return Grid("tiny", axes, {**SETTINGS, "nb_epochs": 2}, study="train")


CASES = {
    "plain": (Plain, plain_grid),
    "training": (Training, training_grid),
}
