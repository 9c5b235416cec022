"""Training steps per second of the delay engine, beside the published form.

Both forms compute the same loss and the same gradient on the same batch in the same
process; the published form gathers every synapse at every time step inside a scan.

    python benchmarks/delay_engine.py [--json FILE] [--repeats 5] [--slow_repeats 1]
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from denram.mapping import MapConfig, build_map
from denram.train.models.delays import NetworkConfig, build
from denram.train.noise import NoiseConfig
from denram.train.optimiser import adam
from denram.train.task import Batch, stacked
from denram.train.trainer import train_step

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles import published_membrane_maximum

N_STEPS, BATCH, DENSITY = 150, 64, 0.05
# name: inputs, membrane time constant in s
NETWORKS = {"d1": (700, 20e-3), "d2": (256, 15e-3)}


def seconds(step: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Compile time and median time of a call."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        jax.block_until_ready(step())
        times.append(time.perf_counter() - start)
    return times[0], float(np.median(times[1:]))


def network(n_in: int, tau_mem: float) -> tuple[Any, Any, Batch]:
    chip = build_map(MapConfig(n_in=n_in), seed=42, noise_std=0.1)
    model = build(
        NetworkConfig(tau_mem=tau_mem),
        NoiseConfig(),
        chip,
        n_steps=N_STEPS,
        dead_inputs=np.zeros(n_in, np.bool_),
        batch_size=BATCH,
    )
    rng = np.random.default_rng(0)
    x = (rng.random((N_STEPS, BATCH, n_in)) < DENSITY).astype(np.uint8)
    labels = jnp.asarray(rng.integers(0, 20, BATCH), jnp.int32)
    batch = Batch(jnp.asarray(x), labels, jnp.ones(BATCH, bool))
    return model, model.init(key=jax.random.key(0)), batch


def engine_step(model: Any, params: Any, batch: Batch) -> Callable[[], Any]:
    """Forward, gradient, noise and Adam, as the trainer does them."""
    state = adam("update").init(params)
    return lambda: train_step(
        stacked([model]),
        stacked([params]),
        stacked([state]),
        batch,
        lr=jnp.float32(2e-4),
        epoch_count=jnp.float32(1),
        noise_std=jnp.full(1, 0.1, jnp.float32),
        keys=jax.random.split(jax.random.key(1), 1),
        adam_step="update",
    )


@eqx.filter_jit
@eqx.filter_value_and_grad
def engine_loss(params: Any, model: Any, batch: Batch) -> Any:
    """The engine's loss without noise, and its gradient."""
    encoded = model.encode(batch.x)
    logits = model.apply(params, encoded, key=jax.random.key(0), noise_std=0.0)
    return model.loss(logits, batch.labels, batch.valid)


@eqx.filter_jit
@eqx.filter_value_and_grad
def published_loss(params: Any, model: Any, batch: Batch) -> Any:
    """The same loss as the published simulation computes it, and its gradient."""
    logits = published_membrane_maximum(
        batch.x.transpose(1, 0, 2).astype(jnp.float32),
        params["weights"],
        params["bias"],
        model.delay_steps,
        alpha=model.neuron.alpha,
        max_delay=model.transform.max_delay,
    )
    return model.loss(logits, batch.labels, batch.valid)


def measure(name: str, repeats: int, slow_repeats: int) -> dict[str, float]:
    model, params, batch = network(*NETWORKS[name])
    compile_s, step_s = seconds(engine_step(model, params, batch), repeats)
    row = {f"{name}_step_s": step_s, f"{name}_compile_s": compile_s}
    if slow_repeats:
        loss, grads = engine_loss(params, model, batch)
        slow_loss, slow_grads = published_loss(params, model, batch)
        _, slow_s = seconds(lambda: published_loss(params, model, batch), slow_repeats)
        errors = [abs(float(loss - slow_loss)) / abs(float(slow_loss))]
        for fast, slow in zip(
            jax.tree.leaves(grads), jax.tree.leaves(slow_grads), strict=True
        ):
            errors.append(float(jnp.abs(fast - slow).max() / jnp.abs(slow).max()))
        row |= {
            f"{name}_published_s": slow_s,
            f"{name}_step_ratio": slow_s / step_s,
            f"{name}_relative_error": max(errors),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the figures here")
    parser.add_argument("--networks", default="d1,d2", help="which of d1,d2")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--slow_repeats", type=int, default=1, help="0: engine only")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"machine": platform.machine(), "jax": jax.__version__}
    for name in arguments.networks.split(","):
        figures |= measure(name, arguments.repeats, arguments.slow_repeats)
    for key, value in figures.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        print(f"{key:>22}  {shown}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
