"""Program-and-verify of millions of devices, beside a plain NumPy loop over pulses.

    python benchmarks/program_verify.py [--devices N] [--json FILE]

Both do the same: every device gets pulses until its resistance is within the tolerance
or the budget is spent. The loop draws by NumPy's own generator for all devices at once.
"""

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from denram.devices import LognormalProgramming, ProgramVerify, Stream, relative_band

CASES = ((0.1, 0.1, 20), (0.1, 0.05, 50), (0.4, 0.05, 100))
REPEATS = 3


def plain(target: np.ndarray, sigma: float, tolerance: float, pulses: int) -> int:
    """Devices accepted by a loop over pulses."""
    rng = np.random.default_rng(0)
    kept, open_ = target.ravel().copy(), np.arange(target.size)
    for _ in range(pulses):
        aim = target.ravel()[open_]
        kept[open_] = aim * np.exp(sigma * rng.standard_normal(open_.size))
        open_ = open_[np.abs(kept[open_] / aim - 1) > tolerance]
        if not open_.size:
            break
    return target.size - open_.size


def seconds(call: Callable[[], object]) -> float:
    """Median of a few calls."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


@click.command()
@click.option("--devices", default=4_480_000, show_default=True)
@click.option("--json", "file", type=click.Path(path_type=Path), default=None)
def main(devices: int, file: Path | None) -> None:
    """Print devices per second of both, and their ratio."""
    shape = (20, max(1, devices // 320), 16)
    target = np.exp(np.random.default_rng(1).normal(26.8, 0.4, shape))
    rows = []
    for sigma, tolerance, pulses in CASES:
        verify = ProgramVerify(LognormalProgramming(sigma), pulses)
        low, high = relative_band(target, tolerance)
        stream = Stream("benchmark")
        small = np.s_[:, :1, :]
        verify.program(target[small], low[small], high[small], seed=0, stream=stream)
        own = seconds(
            lambda v=verify, lo=low, hi=high: v.program(
                target, lo, hi, seed=0, stream=Stream("benchmark")
            )
        )
        loop = seconds(lambda s=sigma, t=tolerance, n=pulses: plain(target, s, t, n))
        row = {
            "sigma_ln": sigma,
            "tolerance": tolerance,
            "pulses": pulses,
            "devices": int(target.size),
            "seconds": own,
            "loop_seconds": loop,
            "ratio": loop / own,
        }
        rows.append(row)
        print(
            f"sigma {sigma:g}, tolerance {tolerance:g}, {pulses} pulses:"
            f" {own:.2f} s, {target.size / own / 1e6:.1f} M devices/s;"
            f" loop {loop:.2f} s, {loop / own:.1f} times as long"
        )
    if file is not None:
        file.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
