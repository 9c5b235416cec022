"""The network put on a chip, its initial parameters, and what it costs."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from denram.config import convert
from denram.devices import legacy_key, legacy_normal, legacy_split
from denram.errors import InputError
from denram.mapping import ErrorConfig, HardwareMap, MapConfig, stuck_weights
from denram.train import delay_line
from denram.train._protocol import Chips, Settings
from denram.train.data import SpikeSet
from denram.train.jitter import jittered_taps
from denram.train.models.delays.network import DelayNetwork, Jitter, NetworkConfig
from denram.train.neurons import LeakyIntegrator
from denram.train.noise import NoiseConfig
from denram.train.tau_errors import tau_errors
from denram.train.weight_chain import weight_chain, weight_devices

MAP = "map"  # its one array of delays
_JITTER_SIGMAS = 3.0  # training sees the jitter's mean, cut off here


def arrays(config: Settings) -> dict[str, MapConfig]:
    """The one array of delay devices."""
    return {MAP: config.map}


def network(
    config: Settings, chips: Chips, data: SpikeSet, *, members: int
) -> DelayNetwork:
    """Put the network on a chip, for these data.

    Raises:
        InputError: see `build`; or the data have more classes than there are neurons,
            or targets of single steps.
    """
    chip = chips[MAP]
    check(config, n_classes=data.n_classes, per_step=data.step_label is not None)
    if data.n_classes > chip.delay_steps.shape[0]:
        raise InputError(
            f"n_out must be >= the number of classes ({data.n_classes}),"
            f" got {chip.delay_steps.shape[0]}"
        )
    dead = np.zeros(data.n_in, np.bool_)
    dead[data.dead_channels()] = True
    return build(
        config.network,
        config.noise,
        chip,
        n_steps=data.n_steps,
        dead_inputs=dead,
        batch_size=config.fit.batch_size,
        members=members,
    )


def check(config: Settings, *, n_classes: int, per_step: bool) -> None:
    """Refuse settings that cannot be a network, before data are loaded.

    Raises:
        InputError: levels without a range, or targets of single steps.
    """
    del n_classes
    if per_step:
        raise InputError("dataset must have one class per sample for model delays")
    if config.map.weight_levels and config.noise.weight_max is None:
        raise InputError(
            f"weight_max must be set for {config.map.weight_levels} weight_levels"
        )


def initial_params(
    model: DelayNetwork, config: Settings, chips: Chips
) -> dict[str, Array]:
    """Parameters before training, from the run's seed.

    `jax-legacy` repeats the published chain: one split for the weights, one for the
    delays unless they are a pattern, one for the bias.
    """
    if config.network.init_sampler == "counter":
        return model.init(key=jax.random.key(config.seed))
    key, key_weights = legacy_split(legacy_key(config.seed))
    if chips[MAP].config.get("delay_distribution") != "pattern":
        key, _ = legacy_split(key)
    _, key_bias = legacy_split(key)
    post, pre, tap = model.delay_steps.shape
    weights = legacy_normal(key_weights, (post, pre * tap)).reshape(post, pre, tap)
    bias = legacy_normal(key_bias, (post,))
    return model.scaled(jnp.asarray(weights), jnp.asarray(bias))


def memory_bytes(config: Settings, *, n_steps: int, members: int = 1) -> int:
    """Largest memory of a training step, estimated from its float32 arrays, bytes."""
    chip = config.map
    return delay_line.memory_bytes(
        n_steps + chip.max_delay,
        batch=config.fit.batch_size,
        pre=chip.n_in,
        post=members * chip.n_out,
        tap=chip.n_delays,
    )


def step_multiplications(config: Settings, *, n_steps: int) -> int:
    """Multiply-adds of one training step, from which its time is estimated."""
    chip, batch = config.map, config.fit.batch_size
    transform = delay_line.plan(n_steps, chip.max_delay, batch=batch, post=chip.n_out)
    return delay_line.multiplications(
        transform, batch=batch, pre=chip.n_in, post=chip.n_out
    )


NEXT = "denram-analyze fig4d   (accuracy against noise)"


def described(config: Settings) -> str:
    """The network in a few words."""
    return f"{config.map.n_delays} delays per input"


def slug(config: Settings) -> str:
    """The network's size, for a folder's name."""
    return f"{config.map.n_in}x{config.map.n_delays}"


def results(config: Settings, accuracy: Mapping[str, float]) -> dict[str, str]:
    """A row of the published results table, by its columns.

    Args:
        config: the run's settings.
        accuracy: of `train`, `valid` and `test`.
    """
    chip = config.map
    return {
        "n_in": f"{chip.n_in}",
        "n_delays": f"{chip.n_delays}",
        "noise_std": f"{config.noise.noise_std:.2f}",
        "max_delay": f"{chip.max_delay}",
        "tau_mem": f"{config.network.tau_mem:.3f}",
        "r_mu": f"{chip.r_mu:.0f}",
        "r_std": f"{chip.r_std:.2f}",
        "seed": f"{config.seed}",
        "test_acc": f"{accuracy['test']:.4f}",
    }


def alike(network: NetworkConfig) -> NetworkConfig:
    """Nothing is removed: a program holds one network's settings."""
    return network


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
    devices = weight_devices(
        noise,
        levels=chip.weight_levels,
        off_on=chip.g_min_siemens / chip.g_max_siemens,
    )
    stuck, stuck_bias = stuck_weights(chip, errors)
    series = convert(MapConfig, chip.config)
    n_out = chip.delay_steps.shape[0]
    return DelayNetwork(
        delay_steps=jnp.asarray(np.minimum(chip.delay_steps, longest), jnp.int32),
        present=jnp.asarray(chip.mask),
        live=jnp.asarray(chip.mask & ~dead_inputs[None, :, None]),
        neuron=LeakyIntegrator(jnp.exp(jnp.float32(-chip.timestep_s / config.tau_mem))),
        weight_chain=weight_chain(errors, devices, stuck),
        bias_chain=weight_chain(errors, devices, stuck_bias),
        tau_errors=tau_errors(errors, series, n_out, seed=chip.seed, name="neuron"),
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
