"""What hSNN starts from, and what a training step of it costs."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray
from msgspec.structs import replace

from denram.train import delay_line
from denram.train._protocol import Chips, Settings
from denram.train.hierarchy import spread_tau
from denram.train.layered import LayeredNetwork, Learnt
from denram.train.models.hsnn.config import NetworkConfig
from denram.train.models.hsnn.plan import (
    CLIPS,
    alpha_timestep,
    arrays,
    layer_sizes,
    layer_taps,
    layer_taus,
    trace_bytes,
)
from denram.train.synapses import CausalConvolution, uniform_weights

# the released sweeps' list, made for 700 inputs, 128 neurons and 3 layers
_SWEEP_SCALES = [700**-0.5, *[128**-0.5] * 3]
_TRAINING = 3.0  # forward and backward pass over the forward pass alone


def initial_params(
    model: LayeredNetwork, config: Settings, chips: Chips
) -> dict[str, Any]:
    """Parameters before training, from the run's seed."""
    del chips
    keys = jax.random.split(jax.random.key(config.seed), config.network.n_layers)
    layers = [_layer(model, config, number, key) for number, key in enumerate(keys)]
    return model.with_statistics(layers)


def _layer(
    model: LayeredNetwork, config: Settings, number: int, key: PRNGKeyArray
) -> Learnt:
    own, layer = config.network, model.layers[number]
    key_tau, key_weights, key_feedback = jax.random.split(key, 3)
    if own.tied_init:
        key_feedback = key_weights
    post = layer_sizes(config)[number][1]
    bound = weight_bound(config, number, layer.synapse.fan_in)
    if isinstance(layer.synapse, CausalConvolution) and own.w_scale_rule != "fan_in":
        bound *= 2.0 / math.sqrt(layer.synapse.kernel)
    learnt: Learnt = {
        "weights": uniform_weights(layer.synapse.shape, bound, key=key_weights),
        "norm": layer.norm.init(post)[0],
        "alpha": _alpha(config, number, post, key=key_tau),
    }
    if layer.feedback is not None:
        bound = weight_bound(config, number, post)
        learnt["feedback"] = uniform_weights((post, post), bound, key=key_feedback)
    return learnt


def _alpha(config: Settings, number: int, n: int, *, key: PRNGKeyArray) -> Array:
    """Decays of a layer's neurons; the readout's are all alike."""
    own = config.network
    last = number + 1 == own.n_layers
    tau = spread_tau(
        layer_taus(config)[number],
        n,
        kind="homogeneous" if last else own.distrib_tau,
        sd=own.distrib_tau_sd,
        key=key,
    )
    return jnp.clip(jnp.exp(-alpha_timestep(config) / tau), *CLIPS[own.alpha_clip][0])


def weight_bound(config: Settings, number: int, fan_in: int) -> float:
    """S of U(-s, s) for the weights of one layer; see `NetworkConfig.w_scale_rule`."""
    own: NetworkConfig = config.network
    if own.w_scale_rule == "fan_in":
        return fan_in**-0.5
    scales = [config.map.n_in**-0.5, *[own.n_hid**-0.5] * own.n_layers]
    if own.w_scale_rule == "published-sweep":
        scales = _SWEEP_SCALES
    if len(scales) == own.n_layers:  # published: else they do not belong to layers
        return scales[number]
    return sum(scales) / len(scales)


NEXT = "denram-analyze hsnn_fig_2b   (accuracy against the hierarchy)"


def described(config: Settings) -> str:
    """The network in a few words."""
    own = config.network
    kind = "convolution, " if own.convolution else ""
    kind += "recurrent, " if own.recurrent else ""
    rule = "no hierarchy"
    if own.hierarchy_tau != "none":
        rule = f"{own.hierarchy_tau} {1e3 * own.delta_tau:+.4g} ms"
    return f"hSNN, {own.n_hidden} x {own.n_hid}, {kind}{rule}"


def slug(config: Settings) -> str:
    """The network's size, for a folder's name."""
    return f"hsnn-{config.network.n_hidden}x{config.network.n_hid}"


def results(config: Settings, accuracy: Mapping[str, float]) -> dict[str, str]:
    """A row of the released code's results table, by its columns.

    Args:
        config: the run's settings.
        accuracy: of `train`, `valid` and `test`.
    """
    own = config.network
    settings = {
        "seed": config.seed,
        "n_in": config.map.n_in,
        "n_hid": own.n_hid,
        "n_layers": own.n_layers,
        "tau_mem": own.tau_mem,
        "recurrent": own.recurrent,
        "decoder": own.decoder,
        "train_alpha": own.train_alpha,
        "hierarchy_tau": own.hierarchy_tau,
        "delta_tau": own.delta_tau,
        "normalizer": own.normalizer,
    }
    shares = {f"{name[:5]}_acc": accuracy[name] for name in ("train", "valid", "test")}
    named = {key.replace("valid", "val"): f"{v:.4f}" for key, v in shares.items()}
    return {key: str(value) for key, value in settings.items()} | named


def alike(network: NetworkConfig) -> NetworkConfig:
    """Without what changes numbers but not the structure of a program."""
    plain = NetworkConfig()
    values = (
        *("hierarchy_tau", "tau_mem", "delta_tau", "tau_out", "tanh_coef"),
        *("tanh_center", "distrib_tau", "distrib_tau_sd", "tied_init"),
        *("w_scale_rule", "alpha_timestep"),
    )
    return replace(network, **{name: getattr(plain, name) for name in values})


def memory_bytes(config: Settings, *, n_steps: int, members: int = 1) -> int:
    """Largest memory of a training step, estimated from its float32 arrays, bytes."""
    batch, pre = config.fit.batch_size, config.map.n_in
    weights = sum(_weights(config))
    # traces are kept for the backward pass; weights, gradients, two moments
    traces = 2.0 * members * trace_bytes(config, n_steps)
    spectra = sum(
        delay_line.memory_bytes(
            n_steps + array.max_delay,
            batch=batch,
            pre=array.n_in,
            post=members * array.n_out,
            tap=array.n_delays,
        )
        for array in arrays(config).values()
    )
    return int(5 * batch * n_steps * pre + traces + spectra + 16 * members * weights)


def step_multiplications(config: Settings, *, n_steps: int) -> int:
    """Multiply-adds of one training step, from which its time is estimated."""
    batch = config.fit.batch_size
    delayed = 0
    for array in arrays(config).values():
        longest = min(array.max_delay, n_steps - 1)
        plan = delay_line.plan(n_steps, longest, batch=batch, post=array.n_out)
        delayed += delay_line.multiplications(
            plan, batch=batch, pre=array.n_in, post=array.n_out
        )
    return int(_TRAINING * batch * n_steps * sum(_weights(config))) + delayed


def _weights(config: Settings) -> list[int]:
    own = config.network
    found = [
        kernel * pre * post
        for (pre, post), (kernel, _) in zip(
            layer_sizes(config), layer_taps(own), strict=True
        )
    ]
    return found + [own.n_hid**2] * (own.n_hidden if own.recurrent else 0)


def event_scorer(model: LayeredNetwork, config: Settings, chips: Chips) -> None:
    """The forward pass tests everything that this family models."""
    del model, config, chips
