"""DenRAM: one layer of leaky integrators behind many fixed random delays.

    I_i(t) = sum_j W~_ij x_c(j)(t - d_ij) + b~_i 1[t < n_steps]
    V_i(t) = max(0, exp(-dt / tau_mem) V_i(t - 1) + I_i(t))
    logit_i = max over t of V_i(t)

Delays come from the chip (`HardwareMap`) and stay; weights are learnt under noise.
Source: DenRAM, Nat. Commun. 15:3446 (2024), figure 4d, and its released simulation.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, PRNGKeyArray

from denram.config import Positive, Section, convert
from denram.devices import legacy_key, legacy_normal, legacy_split
from denram.errors import InputError
from denram.mapping import ErrorConfig, HardwareMap, MapConfig, stuck_weights
from denram.train import delay_line
from denram.train.event_line import event_predictions
from denram.train.jitter import jittered_taps
from denram.train.losses import cross_entropy
from denram.train.neurons import LeakyIntegrator, unroll
from denram.train.noise import (
    NoiseConfig,
    WeightDevices,
    largest,
    noisy,
    straight_through,
)
from denram.train.readout import max_over_time
from denram.train.weight_errors import WeightErrors, weight_errors

_JITTER_SIGMAS = 3.0  # training sees the jitter's mean, cut off here


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


class Jitter(eqx.Module):
    """Delays that vary from spike to spike, in the mean over spikes.

    Attributes:
        steps: every step that a synapse's delay may round to.
        shares: probability of each.
    """

    steps: Int[Array, "post pre more_taps"]
    shares: Float[Array, "post pre tap step"]

    def spread(
        self, weights: Float[Array, "post pre tap"]
    ) -> Float[Array, "post pre more_taps"]:
        """Weights shared out over the steps."""
        return (weights[..., None] * self.shares).reshape(self.steps.shape)


class DelayNetwork(eqx.Module):
    """The network on one chip. Build it with `build`."""

    delay_steps: Int[Array, "post pre tap"]
    present: Bool[Array, "post pre tap"]
    live: Bool[Array, "post pre tap"]
    neuron: LeakyIntegrator
    devices: WeightDevices
    weight_errors: WeightErrors | None
    bias_errors: WeightErrors | None
    jitter: Jitter | None
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

    @property
    def random(self) -> bool:
        """Whether two draws differ even without weight noise."""
        return self.weight_errors is not None or self.bias_errors is not None

    def ideal(self) -> "DelayNetwork":
        """The same network on weight devices without errors."""
        return replace(self, weight_errors=None, bias_errors=None)

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
        n_steps, steps = self.transform.n_steps, self.delay_steps
        if self.jitter is not None:
            weights, steps = self.jitter.spread(weights), self.jitter.steps
        current = delay_line.currents(
            encoded,
            weights,
            steps,
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
        key, key_programmed = jax.random.split(key) if self.random else (key, key)
        scale = self.devices.weight_max or range_
        pairs = ((weights, self.weight_errors), (bias, self.bias_errors))
        keys = jax.random.split(key_programmed)
        weights, bias = (
            w if e is None else straight_through(w, e.realised(w, scale, key=k))
            for (w, e), k in zip(pairs, keys, strict=True)
        )
        weights = jnp.where(self.present, weights, 0.0)
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
    longest = int(chip.delay_steps.max(initial=0))
    if config.max_delay_is_one_less and longest > 0:
        longest -= 1
    errors = convert(ErrorConfig, chip.errors)
    devices = _weight_devices(noise, chip)
    off = devices.weight_min / devices.weight_max if devices.weight_max else 0.0
    found = [
        weight_errors(errors, stuck, off=off, positive=devices.positive)
        for stuck in stuck_weights(chip, errors)
    ]
    return DelayNetwork(
        delay_steps=jnp.asarray(np.minimum(chip.delay_steps, longest), jnp.int32),
        present=jnp.asarray(chip.mask),
        live=jnp.asarray(chip.mask & ~dead_inputs[None, :, None]),
        neuron=LeakyIntegrator(jnp.exp(jnp.float32(-chip.timestep_s / config.tau_mem))),
        devices=devices,
        weight_errors=found[0],
        bias_errors=found[1],
        jitter=_jitter(chip, errors.delay_read_noise, longest),
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


@dataclass(frozen=True, eq=False)
class EventScorer:
    """The network spike by spike, each with its own jitter, elements with dead time.

    Attributes:
        model: weights and neurons.
        chip: delays before rounding.
        errors: which of the effects there are.
    """

    model: DelayNetwork
    chip: HardwareMap
    errors: ErrorConfig

    def __call__(
        self,
        params: dict[str, Array],
        x: Num[np.ndarray, "time batch pre"],
        *,
        key: PRNGKeyArray,
        noise_std: float,
        read: int,
        samples: Int[np.ndarray, " batch"],
    ) -> Float[np.ndarray, "batch class_"]:
        """Logits of some samples under one noise draw.

        Args:
            params: what was learnt.
            x: spikes.
            key: of the draw of weight noise and errors.
            noise_std: level of the weight noise.
            read: number of the draw, for the jitter.
            samples: numbers of the samples, for the jitter.
        """
        weights, bias = self.model.devices_read(params, key=key, noise_std=noise_std)
        return event_predictions(
            np.asarray(weights),
            np.asarray(bias),
            self.chip.delay_s,
            x,
            timestep_s=self.chip.timestep_s,
            max_delay=self.chip.max_delay,
            decay=np.asarray(self.model.neuron.alpha),
            n_steps=self.model.transform.n_steps,
            jitter_sigma=self.errors.delay_read_noise,
            dead_time=self.errors.dead_time,
            seed=self.chip.seed,
            read=read,
            samples=samples,
        )


def event_scorer(model: DelayNetwork, chip: HardwareMap) -> EventScorer | None:
    """What tests the network where convolution cannot: jitter and dead time.

    None where neither is asked for.
    """
    errors = convert(ErrorConfig, chip.errors)
    if not (errors.delay_read_noise or errors.dead_time):
        return None
    return EventScorer(model, chip, errors)


def _jitter(chip: HardwareMap, sigma: float, longest: int) -> Jitter | None:
    """The steps around each delay, those beyond the buffer at its end."""
    if not sigma:
        return None
    steps, shares = jittered_taps(
        chip.delay_s,
        sigma,
        timestep_s=chip.timestep_s,
        max_delay=chip.max_delay,
        n_sigma=_JITTER_SIGMAS,
    )
    post, pre, _ = chip.delay_s.shape
    steps = np.minimum(steps, longest).reshape(post, pre, -1)
    return Jitter(jnp.asarray(steps, jnp.int32), jnp.asarray(shares, jnp.float32))


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
