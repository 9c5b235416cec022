"""The delay engine beside the published form, on the same batch in the same process.

A step of the engine is what the trainer does: forward, gradient, noise and Adam. The
published form gathers every synapse at every time step inside a scan; its time is that
of loss and gradient alone, in slices of 16 samples, which on a CPU is several times
faster than the whole batch at once (20 GB of intermediates) and so kinder to it.

    python benchmarks/delay_engine.py [--quick] [--json FILE] [--png FILE]
"""

import argparse
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from denram.errors import DenRAMWarning
from denram.mapping import MapConfig, build_map
from denram.train import delay_line, reuse_memory
from denram.train.models.delays import NetworkConfig, build
from denram.train.noise import NoiseConfig
from denram.train.optimiser import adam
from denram.train.scoring import logits as predictions
from denram.train.task import Batch, stacked
from denram.train.trainer import train_step

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from delay_engine_report import figure, show
from oracles import published_membrane_maximum

N_STEPS, BATCH, DENSITY, SLICE = 150, 64, 0.06, 16
TAU_MEM = {700: 20e-3, 256: 15e-3}
D1, D2 = {"n_in": 700}, {"n_in": 256}
TRAINING_SAMPLES = 6525  # 80 % of SHD's training file, to name an epoch
PATHS = {
    "two phases": {"phases": 2, "dft_matrix": True},
    "one phase": {"phases": 1, "dft_matrix": True},
    "fft": {"phases": 1, "dft_matrix": False},
}


def network(
    *, batch_size: int = BATCH, members: int = 1, seed: int = 42, **chip: Any
) -> tuple[Any, Any, Batch]:
    """A network, its parameters and a random batch."""
    config = MapConfig(**chip)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DenRAMWarning)  # delays may saturate here
        map_ = build_map(config, seed=seed, noise_std=0.1)
    model = build(
        NetworkConfig(tau_mem=TAU_MEM.get(config.n_in, 20e-3)),
        NoiseConfig(),
        map_,
        n_steps=N_STEPS,
        dead_inputs=np.zeros(config.n_in, np.bool_),
        batch_size=batch_size,
        members=members,
    )
    rng = np.random.default_rng(0)
    x = (rng.random((N_STEPS, batch_size, config.n_in)) < DENSITY).astype(np.uint8)
    labels = jnp.asarray(rng.integers(0, 20, batch_size), jnp.int32)
    batch = Batch(jnp.asarray(x), labels, jnp.ones(batch_size, bool))
    return model, model.init(key=jax.random.key(seed)), batch


def engine_step(pairs: list[tuple[Any, Any]], batch: Batch) -> partial[Any]:
    """One update of (model, params) pairs, as the trainer does it."""
    n = len(pairs)
    models, params = (stacked(list(part)) for part in zip(*pairs, strict=True))
    state = stacked([adam("update").init(params) for _, params in pairs])
    noise_std, keys = jnp.full(n, 0.1), jax.random.split(jax.random.key(1), n)
    return partial(
        train_step,
        models,
        params,
        state,
        batch,
        lr=jnp.float32(2e-4),
        epoch_count=jnp.float32(1),
        noise_std=noise_std,
        keys=keys,
        adam_step="update",
    )


def times(
    steps: dict[Any, Callable[[], Any]], repeats: int
) -> tuple[dict[Any, float], dict[Any, float]]:
    """First call and median of the later ones, seconds; the steps take turns."""
    first, later = {}, {name: [] for name in steps}
    for name, step in steps.items():
        start = time.perf_counter()
        jax.block_until_ready(step())
        first[name] = time.perf_counter() - start
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            jax.block_until_ready(step())
            later[name].append(time.perf_counter() - start)
    return first, {name: float(np.median(row)) for name, row in later.items()}


@eqx.filter_value_and_grad
def engine_loss(params: Any, model: Any, batch: Batch) -> Any:
    """The engine's loss without noise, and its gradient."""
    encoded = model.encode(batch.x)
    logits = model.apply(params, encoded, key=jax.random.key(0), noise_std=0.0)
    return model.loss(logits, batch.labels, batch.valid)


@eqx.filter_value_and_grad
def published_loss(params: Any, model: Any, batch: Batch) -> Any:
    """The same loss as the published simulation computes it, and its gradient."""
    logits = published_membrane_maximum(
        batch.x.transpose(1, 0, 2).astype(params["bias"].dtype),
        params["weights"],
        params["bias"],
        model.delay_steps,
        alpha=model.neuron.alpha,
        max_delay=model.transform.max_delay,
    )
    return model.loss(logits, batch.labels, batch.valid)


def part(batch: Batch, size: int, start: int = 0) -> Batch:
    rows = slice(start, start + size)
    return Batch(batch.x[:, rows], batch.labels[rows], batch.valid[rows])


def published_seconds(model: Any, params: Any, batch: Batch, repeats: int) -> float:
    """Median time of the published form for the batch, slice by slice."""
    step = eqx.filter_jit(published_loss)
    slices = [part(batch, SLICE, start) for start in range(0, BATCH, SLICE)]
    jax.block_until_ready(step(params, model, slices[0]))  # compile
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        for one in slices:
            jax.block_until_ready(step(params, model, one))
        found.append(time.perf_counter() - start)
    return float(np.median(found))


def lowered(step: partial[Any]) -> Any:
    """The program of a jitted function for its arguments."""
    return step.func.lower(*step.args, **step.keywords)


def memory_bytes(program: Any) -> int:
    """What XLA reserves for a compiled step: arguments, results, intermediates."""
    found = program.compile().compiled.memory_analysis()
    return (
        found.temp_size_in_bytes
        + found.argument_size_in_bytes
        + found.output_size_in_bytes
    )


def relative_error(model: Any, params: Any, batch: Batch) -> float:
    """Of loss and gradients, float32 engine against float64 published form."""
    few = part(batch, 4)
    loss, grads = eqx.filter_jit(engine_loss)(params, model, few)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), params)
        slow_loss, slow = eqx.filter_jit(published_loss)(wide, model, few)
        errors = [abs(float(loss) - float(slow_loss)) / abs(float(slow_loss))]
        for name in grads:
            exact = np.asarray(slow[name])
            difference = np.abs(np.asarray(grads[name], np.float64) - exact).max()
            errors.append(float(difference / np.abs(exact).max()))
    return max(errors)


def against_published(name: str, chip: dict[str, int], quick: bool) -> dict[str, Any]:
    model, params, batch = network(**chip)
    steps = {
        path: engine_step(
            [(replace(model, transform=replace(model.transform, **how)), params)], batch
        )
        for path, how in PATHS.items()
    }
    chosen = next(
        path
        for path, how in PATHS.items()
        if replace(model.transform, **how) == model.transform
    )
    if quick:
        steps = {chosen: steps[chosen]}
    first, later = times(steps, 7 if quick else 15)
    slow_s = published_seconds(model, params, batch, 1 if quick else 5)
    engine_memory = memory_bytes(lowered(engine_step([(model, params)], batch)))
    slow_memory = memory_bytes(
        eqx.filter_jit(published_loss).lower(params, model, batch)
    )
    return {
        f"{name}_path": chosen,
        f"{name}_step_s": later[chosen],
        f"{name}_published_s": slow_s,
        f"{name}_step_ratio": slow_s / later[chosen],
        f"{name}_path_step_s": later,
        f"{name}_first_call_s": first[chosen],
        f"{name}_epoch_s": later[chosen] * -(-TRAINING_SAMPLES // BATCH),
        f"{name}_memory_bytes": engine_memory,
        f"{name}_published_memory_bytes": slow_memory,
        f"{name}_memory_ratio": engine_memory / slow_memory,
        f"{name}_relative_error": relative_error(model, params, batch),
    }


def scaling(quick: bool) -> dict[str, dict[int, float]]:
    """Step time of D1 along each size, the others as they are."""
    axes: dict[str, tuple[int, ...]] = {
        "n_delays": (16, 64) if quick else (1, 4, 16, 64),
        "max_delay": (100, 200) if quick else (50, 100, 200, 400),
    }
    if not quick:
        axes |= {"batch_size": (16, 32, 64, 128), "n_in": (175, 350, 700, 1400)}
    found = {}
    for axis, values in axes.items():
        steps = {}
        for value in values:
            sizes: dict[str, Any] = {**D1, axis: value}
            model, params, batch = network(**sizes)
            steps[value] = engine_step([(model, params)], batch)
        found[axis] = times(steps, 7)[1]
    return found


def together(chip: dict[str, int], counts: tuple[int, ...]) -> dict[int, float]:
    """Step time per network of many networks in one program."""
    steps = {}
    for n in counts:
        nets = [network(members=n, seed=seed, **chip) for seed in range(n)]
        steps[n] = engine_step(
            [(model, params) for model, params, _ in nets], nets[0][2]
        )
    return {n: seconds / n for n, seconds in times(steps, 5)[1].items()}


def evaluation(chip: dict[str, int], draws: int = 20) -> dict[str, float]:
    """Seconds for 20 noise draws of one batch: one call, and one call per draw."""
    model, params, batch = network(**chip)
    models, stack, level = stacked([model]), stacked([params]), jnp.full(1, 0.1)
    keys = jax.random.split(jax.random.key(0), draws)

    def batched() -> Any:
        return predictions(models, stack, batch, level, keys=keys[None])

    def one_by_one() -> Any:
        return [
            predictions(models, stack, batch, level, keys=key[None, None])
            for key in keys
        ]

    return times({"batched": batched, "one by one": one_by_one}, 3)[1]


def machine() -> dict[str, Any]:
    """The machine by its own figures: peak arithmetic and memory traffic."""
    a = jnp.asarray(np.random.default_rng(0).standard_normal((2048, 2048)), jnp.float32)
    b = jnp.zeros(2**24, jnp.float32)
    product, copy = jax.jit(jnp.matmul), jax.jit(lambda x: x + 1)
    found = times({"product": lambda: product(a, a), "copy": lambda: copy(b)}, 9)[1]
    name = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown CPU",
    )
    device = jax.devices()[0]
    return {
        "machine": f"{name}, {len(os.sched_getaffinity(0))} cores"
        if device.platform == "cpu"
        else device.device_kind,
        "jax": jax.__version__,
        "peak_flop_per_s": 2 * 2048**3 / found["product"],
        "memory_bytes_per_s": 2 * b.nbytes / found["copy"],
    }


def floor(n_in: int, figures: dict[str, Any]) -> dict[str, float]:
    """Least time of a step: its products at the peak, then its traffic."""
    post, batch = 20, BATCH
    transform = delay_line.plan(N_STEPS, 200, batch=batch, post=post)
    rows = 2 * transform.n_freq * transform.phases
    multiplications = delay_line.multiplications(
        transform, batch=batch, pre=n_in, post=post
    )
    spectra = 4 * rows * n_in * (batch + post)
    # each spectrum written once, read once forward; the input's once more backward
    traffic = 3 * spectra + 4 * rows * n_in * post
    arithmetic_s = 2 * multiplications / figures["peak_flop_per_s"]
    traffic_s = traffic / figures["memory_bytes_per_s"]
    return {
        "gflop": 2e-9 * multiplications,
        "arithmetic_s": arithmetic_s,
        "traffic_gbyte": 1e-9 * traffic,
        "traffic_s": traffic_s,
        "floor_s": arithmetic_s + traffic_s,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--png", metavar="FILE", help="and the scaling plots here")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and sizes")
    arguments = parser.parse_args()
    quick = arguments.quick
    reuse_memory()  # as the commands do, before JAX allocates anything
    began = time.perf_counter()
    figures: dict[str, Any] = machine()
    for name, chip in (("d1", D1), ("d2", D2)):
        figures |= against_published(name, chip, quick)
        figures[f"{name}_floor"] = floor(chip["n_in"], figures)
    figures["scaling_s"] = scaling(quick)
    delays = figures["scaling_s"]["n_delays"]
    figures["delays_64_over_16"] = delays[64] / delays[16]
    figures["peak_memory_ratio"] = figures["d1_memory_ratio"]
    figures["max_relative_error"] = max(
        figures["d1_relative_error"], figures["d2_relative_error"]
    )
    counts = (1, 5) if quick else (1, 5, 15)
    chips = {"d2": D2} if quick else {"d1": D1, "d2": D2}
    figures["together_s"] = {
        name: together(chip, counts) for name, chip in chips.items()
    }
    figures["evaluation_s"] = {name: evaluation(chip) for name, chip in chips.items()}
    figures["quick"], figures["seconds"] = quick, time.perf_counter() - began
    show(figures)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.png or arguments.json:
        png = arguments.png or Path(arguments.json).with_suffix(".png")
        figure(figures).savefig(png, dpi=140)
        print(f"drawn: {png}")


if __name__ == "__main__":
    main()
