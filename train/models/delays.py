"""DenRAM: one layer of leaky integrators behind many fixed random delays.

    I_i(t) = sum_j W~_ij x_c(j)(t - d_ij) + b~_i 1[t < n_steps]
    V_i(t) = max(0, exp(-dt / tau_mem) V_i(t - 1) + I_i(t))
    logit_i = max over t of V_i(t)

Delays come from the chip (`HardwareMap`) and stay; weights are learnt under noise.
Source: DenRAM, Nat. Commun. 15:3446 (2024), figure 4d, and its released simulation.
"""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from denram.config import Positive, Section
from denram.devices import legacy_key, legacy_normal, legacy_split
from denram.errors import InputError
from denram.mapping import HardwareMap, MapConfig
from denram.train import delay_line
from denram.train.losses import cross_entropy
from denram.train.neurons import LeakyIntegrator, unroll
from denram.train.noise import NoiseConfig, WeightDevices, largest, noisy
from denram.train.readout import max_over_time


class NetworkConfig(Section, frozen=True):
    """DenRAM's network.

    Attributes:
        tau_mem: membrane time constant, s (paper: 20 ms for 700 inputs, 15 for 256).
        w_scale: initial weights are |N(0, 1)| w_scale / sqrt(n_in).
        pos_w: take the absolute value of the initial weights (not of the bias).
        max_delay_is_one_less: a delay of the buffer's whole length acts as one step
            less (published off-by-one: 200 behaves as 199).
        log_of_softmax: the published loss, log of softmax instead of log-softmax.
        init_sampler: `counter`, or `jax-legacy` for the published initial weights.
    """

    tau_mem: Positive = 20e-3
    w_scale: Positive = 0.3
    pos_w: bool = True
    max_delay_is_one_less: bool = False
    log_of_softmax: bool = False
    init_sampler: Literal["counter", "jax-legacy"] = "counter"


class DelayNetwork(eqx.Module):
    """The network on one chip. Build it with `build`."""

    delay_steps: Int[Array, "post pre tap"]
    present: Bool[Array, "post pre tap"]
    live: Bool[Array, "post pre tap"]
    neuron: LeakyIntegrator
    devices: WeightDevices
    transform: delay_line.Transform = eqx.field(static=True)
    w_scale: float = eqx.field(static=True)
    pos_w: bool = eqx.field(static=True)
    range_over_all: bool = eqx.field(static=True)
    log_of_softmax: bool = eqx.field(static=True)

    def init(self, *, key: PRNGKeyArray) -> dict[str, Array]:
        """Half-normal weights (post, pre, tap) and normal bias (post,)."""
        key_weights, key_bias = jax.random.split(key)
        shape = self.delay_steps.shape
        return self.scaled(
            jax.random.normal(key_weights, shape),
            jax.random.normal(key_bias, shape[:1]),
        )

    def scaled(
        self, weights: Float[Array, "post pre tap"], bias: Float[Array, " post"]
    ) -> dict[str, Array]:
        """Initial parameters from standard normal numbers."""
        scale = self.w_scale / np.sqrt(self.delay_steps.shape[1])
        weights = jnp.abs(weights) if self.pos_w else weights
        return {"weights": weights * scale, "bias": bias * scale}

    def stored(self, params: dict[str, Array]) -> dict[str, Array]:
        """What the devices hold before noise, by name, for the run's store."""
        weights, bias = self.devices_read(params, key=jax.random.key(0), noise_std=0.0)
        return {"weights": weights, "bias": bias}

    def encode(self, x: Num[Array, "time batch pre"]) -> Float[Array, "..."]:
        """The input's spectrum, which no weight enters."""
        return delay_line.input_spectrum(x, self.transform)

    def apply(
        self,
        params: dict[str, Array],
        encoded: Float[Array, "..."],
        *,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> Float[Array, "batch class_"]:
        """Logits of one batch under one noise draw; the key is consumed."""
        weights, bias = self.devices_read(params, key=key, noise_std=noise_std)
        current = self.current(weights, bias, encoded)
        return max_over_time(unroll(self.neuron, current))

    def current(
        self,
        weights: Float[Array, "post pre tap"],
        bias: Float[Array, " post"],
        encoded: Float[Array, "..."],
    ) -> Float[Array, "time batch post"]:
        """Currents until the last delayed spike has passed; bias during the input."""
        n_steps = self.transform.n_steps
        current = delay_line.currents(
            encoded,
            weights,
            self.delay_steps,
            self.transform,
            n_steps + self.transform.max_delay,
        )
        return current.at[:n_steps].add(bias)

    def devices_read(
        self,
        params: dict[str, Array],
        *,
        key: PRNGKeyArray,
        noise_std: Float[Array, ""] | float,
    ) -> tuple[Float[Array, "post pre tap"], Float[Array, " post"]]:
        """Weights and bias as the devices give them in one read."""
        weights = self.devices.effective(params["weights"])
        weights = jnp.where(self.present, weights, 0.0)
        bias = self.devices.effective(params["bias"])
        if self.range_over_all:
            range_ = jnp.maximum(largest(weights), largest(bias))
        else:
            range_ = largest(weights, self.live)
        key_weights, key_bias = jax.random.split(key)
        return (
            noisy(weights, range_, noise_std, key=key_weights),
            noisy(bias, range_, noise_std, key=key_bias),
        )

    def loss(
        self,
        logits: Float[Array, "batch class_"],
        labels: Int[Array, " batch"],
        valid: Bool[Array, " batch"],
    ) -> Float[Array, ""]:
        """Cross entropy of the maximum membrane values."""
        return cross_entropy(logits, labels, valid, log_of_softmax=self.log_of_softmax)


def initial_params(
    model: DelayNetwork, config: NetworkConfig, chip: HardwareMap, *, seed: int
) -> dict[str, Array]:
    """Parameters before training, from the run's seed.

    `jax-legacy` repeats the published chain: one split for the weights, one for the
    delays unless they are a pattern, one for the bias.
    """
    if config.init_sampler == "counter":
        return model.init(key=jax.random.key(seed))
    key, key_weights = legacy_split(legacy_key(seed))
    if chip.config.get("delay_distribution") != "pattern":
        key, _ = legacy_split(key)
    _, key_bias = legacy_split(key)
    post, pre, tap = model.delay_steps.shape
    weights = legacy_normal(key_weights, (post, pre * tap)).reshape(post, pre, tap)
    bias = legacy_normal(key_bias, (post,))
    return model.scaled(jnp.asarray(weights), jnp.asarray(bias))


def memory_bytes(
    chip: MapConfig, *, batch_size: int, n_steps: int, members: int = 1
) -> int:
    """Largest memory of a training step, estimated from its float32 arrays, bytes."""
    n_transform = n_steps + chip.max_delay
    post = members * chip.n_out
    columns = (batch_size + post) * chip.n_in + 4 * batch_size * post
    # the input as floats and its spectrum; the kernel, its spectrum and their gradients
    return 4 * (3 * n_transform * columns + 12 * members * math.prod(chip.shape))


def step_multiplications(chip: MapConfig, *, batch_size: int, n_steps: int) -> int:
    """Multiply-adds of one training step, from which its time is estimated."""
    transform = delay_line.plan(
        n_steps, chip.max_delay, batch=batch_size, post=chip.n_out
    )
    return delay_line.multiplications(
        transform, batch=batch_size, pre=chip.n_in, post=chip.n_out
    )


def build(
    config: NetworkConfig,
    noise: NoiseConfig,
    chip: HardwareMap,
    *,
    n_steps: int,
    dead_inputs: np.ndarray,
    batch_size: int,
    members: int = 1,
) -> DelayNetwork:
    """Put the network on a chip.

    Args:
        config: the network's own settings.
        noise: weight constraints and what max|w| is taken over.
        chip: delays, masks and weight devices.
        n_steps: length of the input window, steps.
        dead_inputs: (pre,) True for input channels that never spike.
        batch_size: samples per batch, to choose the engine's transform.
        members: networks trained in one program, for the same choice.

    Raises:
        InputError: the chip's shape does not fit, or levels without a weight_max.
    """
    n_in = chip.delay_steps.shape[1]
    if dead_inputs.shape != (n_in,):
        raise InputError(
            f"map must have as many inputs as the data ({dead_inputs.size}), got {n_in}"
        )
    delay_steps, max_delay = chip.delay_steps, int(chip.delay_steps.max(initial=0))
    if config.max_delay_is_one_less and max_delay > 0:
        delay_steps = np.minimum(delay_steps, max_delay - 1)
    return DelayNetwork(
        delay_steps=jnp.asarray(delay_steps, jnp.int32),
        present=jnp.asarray(chip.mask),
        live=jnp.asarray(chip.mask & ~dead_inputs[None, :, None]),
        neuron=LeakyIntegrator(jnp.exp(jnp.float32(-chip.timestep_s / config.tau_mem))),
        devices=_weight_devices(noise, chip),
        transform=delay_line.plan(
            n_steps,
            chip.max_delay,
            batch=batch_size,
            post=members * chip.delay_steps.shape[0],
        ),
        w_scale=config.w_scale,
        pos_w=config.pos_w,
        range_over_all=noise.noise_range == "all",
        log_of_softmax=config.log_of_softmax,
    )


def _weight_devices(noise: NoiseConfig, chip: HardwareMap) -> WeightDevices:
    """Range and levels of the chip's weight devices, in weight units."""
    if chip.weight_levels and noise.weight_max is None:
        raise InputError(
            f"weight_max must be set when the map has {chip.weight_levels} levels"
        )
    off_on = chip.g_min_siemens / chip.g_max_siemens  # NaN where unknown
    weight_min = (noise.weight_max or 0.0) * off_on
    return WeightDevices(
        positive=noise.positive_weights,
        weight_max=noise.weight_max,
        weight_min=0.0 if math.isnan(weight_min) else weight_min,
        levels=chip.weight_levels,
    )
