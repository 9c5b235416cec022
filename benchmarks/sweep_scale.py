"""What a sweep costs by itself: 100,000 cells that cost nothing, and real ones.

    python benchmarks/sweep_scale.py [--cells N] [--json FILE] [--real]

Planned, written, resumed, verified, packed and opened: seconds and bytes per cell, and
files. --real: the same trainings in this process and on two local workers.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from denram.analysis import Axis, Grid, run_sweep
from denram.analysis.rewrite import pack
from denram.analysis.slices import SweepView
from denram.analysis.study import Layout, Variable
from denram.analysis.sweep import plan
from denram.analysis.sweep_store import STORE, SweepStore, open_sweep
from denram.analysis.verify import damages
from denram.config import Section, convert, fingerprint


class Nothing(Section, frozen=True):
    """A configuration of no consequence."""

    a: int
    b: int

    @property
    def fingerprint(self) -> str:
        return fingerprint(self)


class Free:
    """Cells that cost nothing: one number each."""

    name = "free"

    def config(self, flags, preset):
        return convert(Nothing, flags)

    def layout(self, configs):
        return Layout({"value": Variable(text="a + b")})

    def kin(self, config):
        return str(config.a)

    def most_together(self, config):
        return 1000

    def memory_bytes(self, config, members):
        return 0

    def seconds(self, config):
        return 0.0

    def headline(self, values):
        return ""

    def compute(self, configs, folders, on_progress):
        return [{"value": float(config.a + config.b)} for config in configs]


def size(path: Path) -> dict[str, float]:
    files = [p.stat() for p in path.rglob("*") if p.is_file()]
    return {
        "files": len(files),
        "mb": sum(f.st_size for f in files) / 1e6,
        "mb_on_disk": sum(512 * f.st_blocks for f in files) / 1e6,
    }


def timed(found: dict, name: str, call):
    began = time.perf_counter()
    result = call()
    found[name] = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{name:>26}  {found[name]:9.2f} s   (peak memory {peak:.0f} MB)", flush=True)
    return result


def scale(n_cells: int, folder: Path) -> dict:
    n_b = 100
    axes = Axis.of("a", list(range(n_cells // n_b))), Axis.of("b", list(range(n_b)))
    grid, study = Grid("scale", axes, study="free", together=1000), Free()
    found: dict = {"cells": n_cells}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    timed(found, "plan_s", lambda: plan(grid, folder / "s", study=study))
    path = folder / "s" / STORE
    timed(found, "write_s", lambda: run_sweep(grid, folder / "s", study=study))
    timed(found, "resume_nothing_s", lambda: run_sweep(None, folder / "s", study=study))
    store = SweepStore(path)
    for cell in list(grid.cells())[::100]:
        store.forget(cell)
    timed(
        found, "resume_one_in_100_s", lambda: run_sweep(None, folder / "s", study=study)
    )
    found["unpacked"] = size(path)
    timed(found, "status_unpacked_s", lambda: SweepStore(path).status())
    timed(found, "explore_open_unpacked_s", lambda: SweepView(path).values("value"))
    assert timed(found, "verify_s", lambda: list(damages(path))) == []
    layout = study.layout([])
    timed(found, "pack_s", lambda: pack(path, layout))
    found["packed"] = size(path)
    data = timed(found, "open_packed_s", lambda: open_sweep(path))
    timed(found, "explore_open_packed_s", lambda: SweepView(path).values("value"))
    expected = np.add.outer(np.arange(n_cells // n_b), np.arange(n_b))
    np.testing.assert_array_equal(data["value"], expected)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found["peak_memory_bytes_per_cell"] = 1e3 * (peak - before) / n_cells
    for name in ("plan_s", "write_s", "resume_nothing_s", "pack_s"):
        found[name.replace("_s", "_ms_per_cell")] = 1e3 * found[name] / n_cells
    print(f"{'unpacked':>26}  {found['unpacked']}\n{'packed':>26}  {found['packed']}")
    return found


REAL = [
    "sweep", "--set", "noise_std=0.0,0.1", "--seeds", "1,2,3,4,5,6,7,8",
    "--set", "patience=1000",
]  # fmt: skip


def real(folder: Path, epochs: int) -> dict[str, float]:
    """Wall time of 16 trainings in 8 programs, process start included."""
    found = {}
    code = "from denram.cli.analyze import main; main()"
    for name, more in (("one_process_s", []), ("two_workers_s", ["--workers", "2"])):
        command = [
            sys.executable,
            "-c",
            code,
            *REAL,
            "--out",
            str(folder / name),
            *more,
        ]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found[name] = time.perf_counter() - began
        print(f"{name:>26}  {found[name]:9.2f} s")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=100_000, help="a multiple of 100")
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--real", action="store_true", help="trainings, on workers too")
    parser.add_argument("--epochs", type=int, default=30, help="of the trainings")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir="."))
    try:
        found = (
            real(folder, arguments.epochs)
            if arguments.real
            else scale(arguments.cells, folder)
        )
    finally:
        shutil.rmtree(folder)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
