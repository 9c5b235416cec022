"""The event engine beside the convolution, evaluating the same samples.

SHD-like input: 700 channels, 150 steps, about 8,000 spikes per sample, 20 neurons with
16 delays per input and neuron. Both are timed from spikes to logits, in turns, in one
process; the convolution is the trained model's own evaluation.

    python benchmarks/event_line.py [--batch N] [--repeats N]
"""

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numba
import numpy as np
from rich.console import Console
from rich.table import Table

from denram.mapping import MapConfig, build_map
from denram.train import reuse_memory
from denram.train.event_line import event_predictions
from denram.train.models.delays import NetworkConfig, build
from denram.train.noise import NoiseConfig

N_STEPS, N_IN, SPIKES = 150, 700, 8000
JITTER = 0.1  # assumed, to time the draws; no device's
EFFECTS = {
    "events": {},
    "events, dead time": {"dead_time": True},
    "events, jitter": {"jitter_sigma": JITTER},
    "events, jitter and dead time": {"jitter_sigma": JITTER, "dead_time": True},
}


def evaluations(batch: int) -> tuple[dict[str, Callable[[], Any]], int]:
    """Functions from the same spikes to logits, and how many spikes there are."""
    chip = build_map(MapConfig(), seed=42, noise_std=0.0)
    network = build(
        NetworkConfig(),
        NoiseConfig(),
        chip,
        n_steps=N_STEPS,
        dead_inputs=np.zeros(N_IN, bool),
        batch_size=batch,
    )
    params, key = network.init(key=jax.random.key(0)), jax.random.key(1)
    rng = np.random.default_rng(0)
    density = SPIKES / (N_STEPS * N_IN)
    x = (rng.random((N_STEPS, batch, N_IN)) < density).astype(np.uint8)

    @eqx.filter_jit
    def convolution(x: Any) -> Any:
        return network.apply(params, network.encode(x), key=key, noise_std=0.0)

    stored = {name: np.asarray(v) for name, v in network.stored(params).items()}
    events = {
        "delay_s": chip.delay_s,
        "spikes": x,
        "timestep_s": chip.timestep_s,
        "max_delay": chip.max_delay,
        "decay": float(network.neuron.alpha),
        "n_steps": N_STEPS,
        **stored,
    }
    steps: dict[str, Callable[[], Any]] = {
        "convolution": lambda: convolution(jnp.asarray(x))
    }
    for name, effects in EFFECTS.items():
        steps[name] = lambda effects=effects: event_predictions(**events, **effects)
    return steps, int(x.sum()) * 16 * 20


def times(
    steps: dict[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Medians of wall time and of this process's CPU time, s; the steps take turns."""
    wall = {name: [] for name in steps}
    cpu = {name: [] for name in steps}
    for i in range(repeats + 1):
        for name, step in steps.items():
            start, busy = time.perf_counter(), time.process_time()
            jax.block_until_ready(step())
            if i > 0:  # the first call compiles
                wall[name].append(time.perf_counter() - start)
                cpu[name].append(time.process_time() - busy)
    medians = (
        {name: float(np.median(row)) for name, row in rows.items()}
        for rows in (wall, cpu)
    )
    return next(medians), next(medians)


def main() -> None:
    parser = argparse.ArgumentParser(description="Event engine timings")
    parser.add_argument("--batch", type=int, default=64, help="samples")
    parser.add_argument("--repeats", type=int, default=7, help="timed calls of each")
    arguments = parser.parse_args()
    reuse_memory()
    steps, synaptic_events = evaluations(arguments.batch)
    wall, cpu = times(steps, arguments.repeats)
    table = Table(
        title=f"{arguments.batch} samples, {synaptic_events / arguments.batch:.3g}"
        f" synaptic events each; {len(os.sched_getaffinity(0))} cores,"
        f" {numba.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    )
    for column in ("", "samples/s", "time over convolution", "CPU ms per sample"):
        table.add_column(column, justify="right" if column else "left")
    for name in steps:
        table.add_row(
            name,
            f"{arguments.batch / wall[name]:.0f}",
            f"{wall[name] / wall['convolution']:.1f}",
            f"{1e3 * cpu[name] / arguments.batch:.2f}",
        )
    console = Console(width=88)
    console.print(table)
    difference = np.abs(steps["events"]() - np.asarray(steps["convolution"]())).max()
    console.print(f"largest difference of the logits without effects: {difference:.1e}")


if __name__ == "__main__":
    main()
