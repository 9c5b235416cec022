"""Lognormal resistances per second, as a ratio to NumPy's own sampler in one run."""

import argparse
import time
from collections.abc import Callable

import numba
import numpy as np

from denram.devices import LognormalResistance, Stream

POST, TAP = 20, 16


def best_seconds(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000_000, help="resistances")
    parser.add_argument("--repeats", type=int, default=3, help="the best one counts")
    arguments = parser.parse_args()
    law = LognormalResistance(mean_ohm=500e9, sigma_ln=0.4)
    stream = Stream("delay-resistance")
    shape = (POST, max(1, arguments.n // (POST * TAP)), TAP)
    size = shape[0] * shape[1] * shape[2]
    generator = np.random.default_rng(0)

    start = time.perf_counter()
    law.sample((1, 1, 1), seed=42, stream=stream)
    print(f"compiling {time.perf_counter() - start:.1f} s")
    theirs = best_seconds(
        lambda: generator.lognormal(law.mu_ln, law.sigma_ln, size), arguments.repeats
    )
    print(f"NumPy, 1 thread: {theirs:.2f} s for {size:.3g}")
    for threads in range(1, numba.get_num_threads() + 1):
        numba.set_num_threads(threads)
        ours = best_seconds(
            lambda: law.sample(shape, seed=42, stream=stream), arguments.repeats
        )
        print(f"denram, {threads} threads: {ours:.2f} s")
        print(f"  NumPy's time over ours: {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
