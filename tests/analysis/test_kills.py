"""The kill test: whatever is killed, and whenever, the resumed store has the same bits.

Ten kills by default; DENRAM_KILLS=50 for the long form.
"""

import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from killable import CASES

from denram.analysis.sweep import run_sweep
from denram.analysis.sweep_store import STORE, SweepStore, results_sha256
from denram.analysis.verify import damages

N_KILLS = int(os.environ.get("DENRAM_KILLS", "10"))
DRIVER = Path(__file__).parents[1] / "sweep_driver.py"
# what is killed, in which case, with how many workers; taken in turn
KINDS = [
    ("driver", "plain", 0),
    ("worker", "plain", 2),
    ("driver", "training", 0),
    ("driver and workers", "plain", 2),
    ("driver", "plain", 0),
    ("worker", "training", 2),
    ("driver", "plain", 2),
    ("driver", "training", 0),
    ("driver", "plain", 1),
    ("driver", "plain", 0),
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Digest of each case's store, computed in one process without any kill."""
    digests = {}
    for case, (study, grid) in CASES.items():
        path = run_sweep(grid(), tmp_path_factory.mktemp(case) / "s", study=study())
        digests[case] = results_sha256(path)
    return digests


def _start(case, out, workers, *, stops=False):
    environment = {**os.environ, **({"KILLABLE_STOPS": "1"} if stops else {})}
    return subprocess.Popen(
        [sys.executable, str(DRIVER), case, str(out), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    )


def _held_marks(process):
    """Each mark, with the process that printed it stopped there; then let it go on."""
    for line in process.stdout:
        if line.startswith("mark "):
            _, pid, *words = line.split()
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                while psutil.Process(int(pid)).status() != psutil.STATUS_STOPPED:
                    pass
                yield int(pid), " ".join(words)
                os.kill(int(pid), signal.SIGCONT)


def _let_go(group):
    """Wake stopped processes of a group until none is left."""
    while True:
        try:
            os.killpg(group, signal.SIGCONT)
        except ProcessLookupError:
            return


def _end(process):
    """Leave no process behind, whatever went wrong."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _n_marks(case):
    """How many marks at least an undisturbed run prints."""
    study, grid = CASES[case]
    configs = [study().config(grid().flags((0, 0)), None)]
    arrays = len(study().layout(configs).variables) + 3  # and provenance and status
    return grid().n_cells * 2 * arrays


def _missing(case, out):
    path = out / STORE
    if not path.exists():
        return CASES[case][1]().n_cells
    return int((SweepStore(path).status() == 0).sum())


@pytest.mark.parametrize("number", range(N_KILLS))
def test_a_sweep_killed_at_any_moment_resumes_to_the_same_bits(
    number, tmp_path, undisturbed, request
):
    victim, case, workers = KINDS[number % len(KINDS)]
    chance = random.Random(number)
    moment = chance.randrange(1, int(0.95 * _n_marks(case)))
    out = tmp_path / "s"
    process = _start(case, out, workers, stops=True)
    request.addfinalizer(lambda: _end(process))
    marks = _held_marks(process)
    pid, where = [next(marks) for _ in range(moment)][-1]
    left = _missing(case, out)
    assert left > 0, "the kill must be mid-way"
    # half of the kills fall exactly at a mark, half while it goes on from there
    if chance.random() < 0.5:
        os.kill(pid, signal.SIGCONT)
    if victim == "worker":
        assert pid != process.pid
        os.kill(pid, signal.SIGKILL)
        for _ in marks:  # the others, and the worker that takes its place
            pass
        process.communicate()
        assert process.returncode == 0
    else:
        if victim == "driver":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        # resumed with another number of workers, beside workers that are still ending
        again = _start(case, out, 0 if workers else number % 3)
        _let_go(process.pid)
        process.communicate()
        _, errors = again.communicate()
        assert again.returncode == 0, errors
    assert results_sha256(out / STORE) == undisturbed[case]
    assert list(damages(out / STORE)) == []
    assert list(out.rglob("*.partial")) == []
    print(f"kill {number}: {victim}, {case}, {workers} workers, {where}, {left} left")
