"""hSNN's layer-by-layer step beside one plain scan over time, in the same process.

Both take loss, gradient and Adam of one batch, with the same normalisation by given
statistics (so that a scan over time can do it at all) and without dropout. The plain
scan holds all layers in its body: a product per layer and time step. Ours takes each
layer's currents for all steps in one product, then scans the membranes alone. `trained`
is what the trainer really does: batch statistics, dropout and noise included.

    python benchmarks/layered.py [--quick] [--json FILE]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from denram.train import prepare, resolve, reuse_memory
from denram.train.data import SpikeSet, Splits
from denram.train.losses import cross_entropy
from denram.train.neurons import LIF, LeakyIntegrator, linear_trace, unroll
from denram.train.readout import DECODERS
from denram.train.surrogate import spike
from denram.train.task import Batch, decoded, stacked
from denram.train.trainer import start, train_step

BATCH, N_IN, N_OUT, DENSITY = 256, 700, 20, 0.08
CASES = {
    "4 x 32, 100 steps": (32, 100),
    "4 x 32, 200 steps": (32, 200),
    "4 x 128, 100 steps": (128, 100),
    "4 x 128, 200 steps": (128, 200),
}
N_LAYERS = 4


def spikes(n_steps: int) -> SpikeSet:
    """As many random events as a batch of recordings has."""
    random = np.random.default_rng(0)
    per_sample = int(DENSITY * n_steps * N_IN)
    n = BATCH * per_sample
    return SpikeSet.from_events(
        random.integers(0, n_steps, n).astype(np.uint16),
        random.integers(0, N_IN, n).astype(np.uint16),
        np.arange(0, n + 1, per_sample),
        label=np.arange(BATCH) % N_OUT,
        speaker=np.full(BATCH, -1),
        n_in=N_IN,
        n_steps=n_steps,
        n_classes=N_OUT,
        name="random",
        counts=True,
    )


def task_of(n_hid: int, n_steps: int) -> tuple[Any, Batch]:
    """A network as the trainer has it, and a batch."""
    data = spikes(n_steps)
    config = resolve(
        {
            "model": "hsnn",
            "dataset": "shd",
            "timestep": 1.4 / n_steps,
            "n_hid": n_hid,
            "n_layers": N_LAYERS,
            "hierarchy_tau": "tanh",
            "delta_tau": 0.15,
        }
    )
    task = prepare(config, splits=Splits(data, data, data, {}))
    return task, next(iter(decoded(data, np.arange(BATCH)[None])))


def plain_scan(params: Any, x: Any, labels: Any, alphas: list[Any]) -> Any:
    """Loss of one scan over time with all layers in its body."""
    layers, statistics = params["layers"], params["statistics"]

    def step(state: list[Any], now: Any) -> tuple[list[Any], Any]:
        z, after = now.astype(jnp.float32), []
        for n, (one, held, (v, s)) in enumerate(
            zip(layers, statistics, state, strict=True)
        ):
            i = (z @ one["weights"] - held["mean"]) / jnp.sqrt(held["var"] + 1e-5)
            i = one["norm"]["scale"] * i + one["norm"]["shift"]
            last = n + 1 == len(layers)
            u = alphas[n] * v + ((1 - alphas[n]) * i if last else i - s)
            z = u if last else spike(u - 1.0, "box")
            after.append((u, z))
        return after, z

    rest = [
        tuple(jnp.zeros((x.shape[1], one["alpha"].size)) for _ in "vs")
        for one in layers
    ]
    trace = jax.lax.scan(step, rest, x)[1]
    return cross_entropy(DECODERS["cum"](trace), labels, jnp.ones(x.shape[1], bool))


def by_layers(params: Any, x: Any, labels: Any, model: Any) -> Any:
    """The same loss, layer by layer, by the trainer's own network."""
    scores = model.apply(
        params, model.encode(x, None), key=jax.random.key(0), noise_std=0.0
    )
    return cross_entropy(scores, labels, jnp.ones(x.shape[1], bool))


def updated(loss: Callable[..., Any]) -> Any:
    """Loss, gradient and a step down it, compiled."""

    def step(params: Any, x: Any, labels: Any) -> Any:
        value, gradient = jax.value_and_grad(loss)(params, x, labels)
        return value, jax.tree.map(lambda p, g: p - 1e-3 * g, params, gradient)

    return jax.jit(step)


def trained(task: Any, batch: Batch) -> Callable[[], Any]:
    """The trainer's own step."""
    state = start(task)
    return partial(
        train_step,
        stacked([task.model]),
        stacked([state.params]),
        stacked([state.opt_state]),
        batch,
        lr=jnp.float32(1e-2),
        epoch_count=jnp.float32(1),
        noise_std=jnp.zeros(1),
        keys=jnp.stack([jax.random.key(0)]),
        adam_step="update",
    )


def medians(calls: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each call; they take turns, after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        jax.block_until_ready(call())
    for _ in range(repeats):
        for name, call in calls.items():
            began = time.perf_counter()
            jax.block_until_ready(call())
            found[name].append(time.perf_counter() - began)
    return {name: float(np.median(row)) for name, row in found.items()}


def case(n_hid: int, n_steps: int, repeats: int) -> dict[str, float]:
    """Times and memory of one size."""
    task, batch = task_of(n_hid, n_steps)
    model, params = task.model, dict(task.params)
    # as after a training: some per cent of the steps have a spike
    params["statistics"] = [
        {"mean": s["mean"], "var": 0.02 * s["var"]} for s in params["statistics"]
    ]
    alphas = [
        layer.alpha(p) for layer, p in zip(model.layers, params["layers"], strict=True)
    ]
    plain = updated(lambda p, x, y: plain_scan(p, x, y, alphas))
    ours = updated(lambda p, x, y: by_layers(p, x, y, model))
    given = params, batch.x, batch.labels
    losses = float(plain(*given)[0]), float(ours(*given)[0])
    assert abs(losses[0] - losses[1]) < 2e-3 * abs(losses[0]), losses
    seconds = medians(
        {
            "plain": partial(plain, *given),
            "layers": partial(ours, *given),
            "trained": trained(task, batch),
        },
        repeats,
    )
    memory = {
        f"{name}_bytes": float(
            step.lower(*given).compile().memory_analysis().temp_size_in_bytes
        )
        for name, step in (("plain", plain), ("layers", ours))
    }
    return {**seconds, "ratio": seconds["plain"] / seconds["layers"], **memory}


def scans(repeats: int) -> dict[str, float]:
    """Ways to run 100 steps of one layer, forward and gradient, seconds."""
    i = jax.random.normal(jax.random.key(0), (100, BATCH, 32))
    alpha = jnp.full(32, 0.9)
    readout = LeakyIntegrator(alpha, floor=-jnp.inf, unit_gain=True)

    def rows(loop: int) -> Callable[[Any], Any]:
        flat = LIF(jnp.broadcast_to(alpha, i.shape[1:]).ravel())

        def run(x: Any) -> Any:
            def step(state: Any, now: Any) -> Any:
                return flat.step(state, now)

            long = x.reshape(x.shape[0], -1)
            return jax.lax.scan(step, flat.init(long.shape[1:]), long, unroll=loop)[1]

        return run

    def apart(x: Any) -> Any:
        neuron = LIF(alpha)

        def step(state: Any, now: Any) -> Any:
            return neuron.step(state, now)

        return jax.lax.scan(step, neuron.init(x.shape[1:]), x)[1]

    ways: dict[str, Callable[[Any], Any]] = {
        "spiking, (batch, neuron)": apart,
        "spiking, one row": lambda x: unroll(LIF(alpha), x),
        **{f"spiking, one row, {n} steps a turn": rows(n) for n in (4, 8)},
        "readout, scan": lambda x: unroll(readout, x),
        "readout, associative scan": lambda x: linear_trace(readout, x),
    }

    def gradient(way: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return jax.jit(jax.grad(lambda x: jnp.sum(way(x) ** 2)))

    calls = {name: partial(gradient(way), i) for name, way in ways.items()}
    return medians(calls, repeats)


def show(figures: dict[str, Any]) -> None:
    """Tables in the terminal."""
    page = Console(width=110)
    table = Table(title=f"hSNN, batch {BATCH}, {N_IN} inputs; {figures['machine']}")
    columns = ["", "plain scan, ms", "by layers, ms", "ratio", "trainer, ms", "MB"]
    for name in columns:
        table.add_column(name, justify="left" if not name else "right")
    for name, row in figures["cases"].items():
        ms = {key: f"{1e3 * row[key]:.0f}" for key in ("plain", "layers", "trained")}
        megabytes = f"{row['plain_bytes'] / 1e6:.0f} / {row['layers_bytes'] / 1e6:.0f}"
        table.add_row(
            name,
            ms["plain"],
            ms["layers"],
            f"{row['ratio']:.2f}",
            ms["trained"],
            megabytes,
        )
    page.print(table)
    for name, seconds in figures["scans_s"].items():
        page.print(f"{name:>36}  {1e3 * seconds:6.2f} ms")


def main() -> None:
    """Measure, show, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smallest size alone")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    reuse_memory()
    cases = dict(list(CASES.items())[:1]) if given.quick else CASES
    figures = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "jax": jax.__version__,
        "cases": {name: case(*size, given.repeats) for name, size in cases.items()},
        "scans_s": scans(given.repeats),
    }
    show(figures)
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
