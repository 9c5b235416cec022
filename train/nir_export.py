"""A trained delay network in the Neuromorphic Intermediate Representation, and back.

NIR's Delay is elementwise, y_i(t) = x_i(t - tau_i), so a delay per synapse does not fit
it. The convention here gives every distinct (input, delay) pair one channel, which is
the smallest expansion: synapses of different neurons, or of one, that delay the same
input alike share it.

    Input (pre [+ 1]) -> Linear one-hot (channel, pre [+ 1]) -> Delay (channel), s
    -> Linear (post, channel) -> LI (post) -> Output (post)

Channels are sorted by input, then by delay. A bias acts only while the input lasts,
which no Affine node can say: it is one more input line, held at 1 for the first n_steps
steps and at 0 after them, with delay 0. It is left out if every bias is 0.

What NIR cannot say stands in the graph's metadata: the time step dt (delays are whole
steps, round(tau / dt)), the floor v >= 0 of the membrane, the readout (maximum over
time) and how long to run. LI means tau dv/dt = (v_leak - v) + r i; held constant over
a step this is v[t] = a v[t-1] + (1 - a) r i[t] with a = exp(-dt / tau), and with
r = 1 / (1 - a) it is the network's own v[t] = a v[t-1] + i[t], before the floor.

Source: NIR 1.0 (neuroir), nodes Input, Linear, Delay, LI, Output.
"""

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num
from numpy.typing import NDArray

from denram.errors import InputError
from denram.mapping import open_map
from denram.storage import replacing, require_memory
from denram.train import delay_line
from denram.train.data import DATASETS
from denram.train.models import delays
from denram.train.neurons import LeakyIntegrator, unroll
from denram.train.readout import max_over_time
from denram.train.run_config import RunConfig, from_dict, require_delays
from denram.train.run_store import open_run

CONVENTION = "denram-delays 1"
NODES = ("input", "fan_out", "delay", "weights", "membrane", "output")


@dataclass(frozen=True, eq=False)
class DelayedSynapses:
    """A trained network without its noise: all that decides its outputs.

    Attributes:
        weights: float32 (post, pre, tap), 0 where a device is absent.
        bias: float32 (post,), added to the current during the input.
        delay_steps: int32 (post, pre, tap), >= 0.
        timestep_s: dt, > 0.
        tau_mem_s: membrane time constant, > 0.
        n_steps: length of the input, steps, >= 1.

    Raises:
        InputError: a shape or value breaks these rules.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    delay_steps: NDArray[np.int32]
    timestep_s: float
    tau_mem_s: float
    n_steps: int

    def __post_init__(self) -> None:
        shape = self.weights.shape
        fit = len(shape) == 3 and self.delay_steps.shape == shape
        if not fit or self.bias.shape != shape[:1] or 0 in shape:
            raise InputError(
                f"weights and delay_steps must be (post, pre, tap), bias (post,),"
                f" got {shape}, {self.delay_steps.shape} and {self.bias.shape}"
            )
        if not (np.isfinite(self.weights).all() and np.isfinite(self.bias).all()):
            raise InputError("weights must be finite, got others")
        if self.delay_steps.min() < 0:
            raise InputError(f"delay_steps must be >= 0, got {self.delay_steps.min()}")
        for name in ("timestep_s", "tau_mem_s", "n_steps"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise InputError(f"{name} must be > 0 and finite, got {value}")

    @property
    def max_delay(self) -> int:
        """Longest delay of a synapse, steps."""
        return int(self.delay_steps.max())

    def logits(
        self, x: Num[Array, "time batch pre"] | NDArray[Any]
    ) -> Float[Array, "batch class_"]:
        """Largest membrane value of each neuron, by the trained network's own engine.

        Args:
            x: spikes of `n_steps` steps.
        """
        batch, post = x.shape[1], self.bias.size
        plan = delay_line.plan(self.n_steps, self.max_delay, batch=batch, post=post)
        current = delay_line.currents(
            delay_line.input_spectrum(jnp.asarray(x), plan),
            jnp.asarray(self.weights),
            jnp.asarray(self.delay_steps),
            plan,
            self.n_steps + self.max_delay,
        )
        current = current.at[: self.n_steps].add(jnp.asarray(self.bias)[None, None])
        alpha = jnp.exp(jnp.float32(-self.timestep_s / self.tau_mem_s))
        return max_over_time(unroll(LeakyIntegrator(alpha), current))


def trained_synapses(folder: str | Path) -> DelayedSynapses:
    """What a finished run learnt.

    Args:
        folder: of the run, with `run.zarr` and `map.zarr`.

    Raises:
        InputError: no finished run there, or of a family without fixed delays.
    """
    root = Path(folder)
    run = open_run(root / "run.zarr")
    config: RunConfig = from_dict(json.loads(run.attrs["config"]))
    require_delays(config, "NIR export")
    chip = open_map(root / "map.zarr")
    if "weights" not in run or "bias" not in run:
        raise InputError(f"{root / 'run.zarr'} must hold weights and bias")
    if run.attrs["map_fingerprint"] != chip.fingerprint:
        raise InputError(f"{root / 'map.zarr'} must be the map of its run")
    n_steps = DATASETS[config.data.dataset].n_steps(config.data, chip.timestep_s)
    model: Any = delays.build(
        config.network,
        config.noise,
        chip,
        n_steps=n_steps,
        dead_inputs=np.zeros(chip.mask.shape[1], np.bool_),
        batch_size=1,
    )
    return DelayedSynapses(
        weights=run["weights"].values.astype(np.float32),  # 0 where absent
        bias=run["bias"].values.astype(np.float32),
        delay_steps=np.asarray(model.delay_steps, np.int32),
        timestep_s=chip.timestep_s,
        tau_mem_s=config.network.tau_mem,
        n_steps=n_steps,
    )


def nir_graph(network: DelayedSynapses) -> Any:
    """The network as a `nir.NIRGraph`, by the convention of this module.

    Raises:
        InputError: every weight is 0, or the expansion would not fit in memory.
    """
    import nir

    pre, steps, weights = _channels(network)
    n_pre, n_post = network.weights.shape[1], network.bias.size
    has_bias = bool(network.bias.any())
    if has_bias:
        pre, steps = np.append(pre, n_pre), np.append(steps, 0)
        weights = np.concatenate([weights, network.bias[:, None]], axis=1)
    n_lines, n_channels = n_pre + has_bias, pre.size
    if not n_channels:
        raise InputError("weights must have one that is not 0, got none")
    require_memory(
        12 * n_channels * (n_lines + n_post),
        f"a fan-out of {n_lines} lines to {n_channels} channels",
    )
    fan_out = np.zeros((n_channels, n_lines), np.float32)
    fan_out[np.arange(n_channels), pre] = 1.0
    decay = math.exp(-network.timestep_s / network.tau_mem_s)
    gain = 1.0 / -math.expm1(-network.timestep_s / network.tau_mem_s)
    every = (
        nir.Input({"input": np.array([n_lines])}),
        nir.Linear(fan_out),
        nir.Delay(steps * network.timestep_s),
        nir.Linear(weights),
        nir.LI(
            tau=np.full(n_post, network.tau_mem_s),
            r=np.full(n_post, gain),
            v_leak=np.zeros(n_post),
        ),
        nir.Output({"output": np.array([n_post])}),
    )
    metadata = {
        "convention": CONVENTION,
        "dt": network.timestep_s,
        "n_steps": network.n_steps,
        "run_steps": network.n_steps + int(steps.max()),
        "alpha": decay,
        "membrane_floor": 0.0,
        "readout": "maximum over time",
        "bias_line": int(n_pre if has_bias else -1),
        "n_inputs": n_pre,
        "semantics": (
            "delay = round(tau / dt) steps;"
            " v[t] = max(membrane_floor, alpha v[t-1] + (1 - alpha) r i[t]), v[-1] = 0;"
            " input line bias_line, if >= 0, is 1 during the first n_steps steps"
        ),
    }
    nodes: dict[str, Any] = dict(zip(NODES, every, strict=True))
    edges: list[tuple[str, str]] = list(pairwise(NODES))
    return nir.NIRGraph(nodes, edges, metadata)


def network_from_nir(graph: Any) -> DelayedSynapses:
    """The network of a graph by this module's convention: `nir_graph` backwards.

    Taps that delay alike come back as one, with the sum of their weights; synapses of
    weight 0 do not come back. The outputs are the same to rounding.

    Raises:
        InputError: the graph is of another form.
    """
    meta = {key: _plain(value) for key, value in graph.metadata.items()}
    if meta.get("convention") != CONVENTION or set(graph.nodes) != set(NODES):
        raise InputError(
            f"a NIR graph must be of the convention {CONVENTION!r},"
            f" got {meta.get('convention')!r} with nodes {sorted(graph.nodes)}"
        )
    nodes = graph.nodes
    dt, n_pre = float(meta["dt"]), int(meta["n_inputs"])
    fan_out, weights = nodes["fan_out"].weight, nodes["weights"].weight
    one_hot = (np.count_nonzero(fan_out, axis=1) == 1) & (fan_out.sum(axis=1) == 1)
    if not one_hot.all():
        raise InputError("fan_out must have one 1 in each row, got others")
    pre = np.argmax(fan_out, axis=1)
    steps = np.rint(nodes["delay"].delay / dt).astype(np.int32)
    bias = np.zeros(weights.shape[0], np.float32)
    if int(meta["bias_line"]) >= 0:
        line = pre == int(meta["bias_line"])
        bias = weights[:, line].sum(axis=1).astype(np.float32)
        pre, steps, weights = pre[~line], steps[~line], weights[:, ~line]
    dense, delays = _taps(pre, steps, weights, n_pre)
    return DelayedSynapses(
        weights=dense,
        bias=bias,
        delay_steps=delays,
        timestep_s=dt,
        tau_mem_s=float(nodes["membrane"].tau[0]),
        n_steps=int(meta["n_steps"]),
    )


def write_nir(network: DelayedSynapses, path: Path) -> int:
    """Write the network to a NIR file, whole or not at all; returns its channels.

    Raises:
        InputError: as `nir_graph`.
        StorageError: the disk refused.
    """
    import nir

    graph = nir_graph(network)
    with replacing(path) as scratch:
        nir.write(scratch, graph)
    return int(graph.nodes["delay"].delay.size)


def read_nir(path: str | Path) -> DelayedSynapses:
    """Read a network from a NIR file that `write_nir` wrote.

    Raises:
        InputError: unreadable, or a graph of another form.
    """
    import nir

    try:
        return network_from_nir(nir.read(path))
    except Exception as error:  # a damaged file fails in as many ways as it has bytes
        told = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read as NIR: {told}") from None


def _channels(
    network: DelayedSynapses,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Distinct (input, delay) pairs with a weight, and (post, channel) weights."""
    post, pre, tap = np.nonzero(network.weights)
    width = network.max_delay + 1
    key = pre * width + network.delay_steps[post, pre, tap]
    pairs, channel = np.unique(key, return_inverse=True)
    weights = np.zeros((network.bias.size, pairs.size), np.float32)
    np.add.at(weights, (post, channel), network.weights[post, pre, tap])
    return pairs // width, pairs % width, weights


def _taps(
    pre: NDArray[np.int64],
    steps: NDArray[np.int32],
    weights: NDArray[np.float32],
    n_pre: int,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Channels as (post, pre, tap) weights and delays, as many taps as are needed."""
    n_post = weights.shape[0]
    post, channel = np.nonzero(weights)
    pair = post * n_pre + pre[channel]
    order = np.argsort(pair, kind="stable")
    post, channel, pair = post[order], channel[order], pair[order]
    first = np.searchsorted(pair, pair)  # where each synapse's neuron and input begin
    tap = np.arange(pair.size) - first
    n_tap = int(tap.max(initial=0)) + 1
    dense = np.zeros((n_post, n_pre, n_tap), np.float32)
    delays = np.zeros((n_post, n_pre, n_tap), np.int32)
    dense[post, pre[channel], tap] = weights[post, channel]
    delays[post, pre[channel], tap] = steps[channel]
    return dense, delays


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value
