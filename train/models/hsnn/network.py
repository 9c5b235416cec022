"""hSNN on a chip: its layers, what they start from, and what a step costs."""

import itertools
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from msgspec.structs import replace

from denram.errors import DenRAMWarning, InputError
from denram.mapping import (
    MapConfig,
    check_errors,
    check_weight_range,
    stuck_devices,
)
from denram.train import delay_line, hierarchy, regularisers
from denram.train._protocol import Chips, Settings
from denram.train.data import SpikeSet
from denram.train.layered import LayeredNetwork, Learnt, draws_at_once
from denram.train.layers import Layer, Trace
from denram.train.models.hsnn.config import NetworkConfig
from denram.train.neurons import LIF, LeakyIntegrator
from denram.train.normalisation import NORMALISATIONS, Normalisation
from denram.train.synapses import CausalConvolution, Delayed, Dense
from denram.train.tau_errors import tau_errors
from denram.train.weight_chain import WeightChain, weight_chain, weight_devices

# decay of a step: at the start, and as it acts
CLIPS = {"none": ((1e-5, 0.9999),) * 2, "published": ((0.1, 0.99), (1e-5, 0.98))}


@dataclass(frozen=True)
class Penalties:
    """What hSNN adds to its loss; see `NetworkConfig`."""

    l2_lambda: float
    freq_lambda: float
    target_fr: float
    l2_alpha_sd: float
    of_alpha: bool
    published: bool

    def __call__(
        self,
        layers: Sequence[Learnt],
        spikes: Sequence[Trace],
        valid: Bool[Array, " batch"],
    ) -> Float[Array, ""]:
        """The sum of all penalties that are on."""
        total = jnp.float32(0.0)
        if self.l2_lambda:
            names = {"weights", "feedback", *(["norm"] if self.published else [])}
            held = [{k: v for k, v in one.items() if k in names} for one in layers]
            l2 = regularisers.unsquared if self.published else regularisers.squared
            total += self.l2_lambda * l2(held)
        if self.freq_lambda:
            rates = regularisers.rate_penalty(spikes, self.target_fr, valid)
            total += self.freq_lambda * rates
        if self.of_alpha:
            alphas = [one["alpha"] for one in layers]
            total += regularisers.alpha_penalty(alphas)
            total += self.l2_alpha_sd * regularisers.alpha_spread(alphas)
        return total


def arrays(config: Settings) -> dict[str, MapConfig]:
    """One array of delay devices for each layer that has delayed synapses."""
    own, sizes = config.network, layer_sizes(config)
    if own.delay_layers != "none" and own.convolution:
        raise InputError(
            f"delay_layers must be none with convolution, got {own.delay_layers!r}"
        )
    n = {"none": 0, "first": 1, "all": own.n_layers}[own.delay_layers]
    return {
        f"map-{number}": replace(config.map, n_in=pre, n_out=post)
        for number, (pre, post) in enumerate(sizes[:n], start=1)
    }


def layer_sizes(config: Settings) -> list[tuple[int, int]]:
    """Inputs and neurons of each layer."""
    hidden = [config.network.n_hid] * config.network.n_hidden
    widths = [config.map.n_in, *hidden, config.map.n_out]
    return list(itertools.pairwise(widths))


def network(
    config: Settings, chips: Chips, data: SpikeSet, *, members: int
) -> LayeredNetwork:
    """Put the network on a chip, for these data.

    Raises:
        InputError: other inputs or classes than the data, a decoder that does not fit
            their targets, or a hierarchy that cannot be.
    """
    own: NetworkConfig = config.network
    _check_data(config, data)
    kinds = _synapses(config, chips, data.n_steps, members)
    published = own.penalties == "published"
    return LayeredNetwork(
        layers=tuple(
            _layer(config, number, kind, data if number == 0 else None)
            for number, kind in enumerate(kinds)
        ),
        penalty=Penalties(
            own.l2_lambda,
            own.freq_lambda,
            own.target_fr,
            own.l2_alpha_sd,
            of_alpha=own.train_alpha or published,
            published=published,
        ),
        decoder=own.decoder,
        dropout_rate=own.dropout_rate,
        train_alpha=own.train_alpha,
        log_of_softmax=own.log_of_softmax,
        timestep_s=config.map.timestep,
        draws_at_once=draws_at_once(trace_bytes(config, data.n_steps)),
    )


def _check_data(config: Settings, data: SpikeSet) -> None:
    if config.map.n_in != data.n_in:
        raise InputError(
            f"n_in must be {data.n_in} for {data.name}, got {config.map.n_in}"
        )
    per_step = data.step_label is not None
    check(config, n_classes=data.n_classes, per_step=per_step, name=data.name)
    own = config.network
    if not own.convolution and (own.delta_ker or own.delta_dil):
        _warn("delta_ker and delta_dil change nothing without convolution")
    elif own.delta_ker and own.hierarchy_conv not in {"kernel", "both"}:
        _warn(f"delta_ker changes nothing with hierarchy_conv {own.hierarchy_conv!r}")
    _warn_of_cut_tau(config)


def check(
    config: Settings, *, n_classes: int, per_step: bool, name: str = "the data"
) -> None:
    """Refuse settings that cannot be a network, before data are loaded.

    Args:
        config: the run's settings.
        n_classes: of the data.
        per_step: whether the data have targets at single steps.
        name: of the data.

    Raises:
        InputError: the first rule that is broken.
    """
    own, chip = config.network, config.map
    check_errors(config.errors, threshold_factor=chip.threshold_factor)
    check_weight_range(chip)
    layer_taus(config)
    layer_taps(own)
    delayed = arrays(config)
    if chip.n_out != n_classes:
        raise InputError(
            f"n_out must be the number of classes of {name} ({n_classes}),"
            f" got {chip.n_out}"
        )
    if (own.decoder == "vmem_time") != per_step:
        targets = "one per step" if per_step else "one per sample"
        raise InputError(
            f"decoder must {'' if per_step else 'not '}be vmem_time for {name}, whose"
            f" targets are {targets}, got {own.decoder!r}"
        )
    for key in ("delay_read_noise", "dead_time"):  # they need a test spike by spike
        if getattr(config.errors, key):
            raise InputError(
                f"{key} must be off with model hsnn, got {getattr(config.errors, key)}"
            )
    if config.errors.train_on_targets and not delayed:
        raise InputError("train_on_targets must be off without delayed layers")


def _warn(text: str) -> None:
    warnings.warn(text, DenRAMWarning, stacklevel=3)


def _warn_of_cut_tau(config: Settings) -> None:
    """Say what a time constant becomes that the step or the clip cannot represent."""
    dt = alpha_timestep(config)
    clips = CLIPS[config.network.alpha_clip]
    starts, acts = (hierarchy.tau_range(clip, dt) for clip in clips)
    least = max(starts[0], acts[0])
    most = min(starts[1], acts[1], hierarchy.LONGEST_S)
    cut = [
        f"layer {number}: {1e3 * tau:.4g} ms acts as"
        f" {1e3 * min(max(tau, least), most):.4g} ms"
        for number, tau in enumerate(layer_taus(config), start=1)
        if not least <= tau <= most
    ]
    if cut:
        _warn(
            f"time constants must lie between {1e3 * least:.4g} and {1e3 * most:.4g} ms"
            f" for steps of {1e3 * dt:g} ms; {', '.join(cut)}"
        )


def alpha_timestep(config: Settings) -> float:
    """Time step that decays are made with, s."""
    return config.network.alpha_timestep or config.map.timestep


def layer_taus(config: Settings) -> list[float]:
    """Target time constant of each layer, the readout last, s."""
    own = config.network
    hidden = hierarchy.layer_tau(
        own.hierarchy_tau,
        own.n_hidden,
        tau_mem=own.tau_mem,
        delta_tau=own.delta_tau,
        tanh_coef=own.tanh_coef,
        tanh_center=own.tanh_center,
    )
    return [*map(float, hidden), own.tau_out]


def layer_taps(own: NetworkConfig) -> list[tuple[int, int]]:
    """Kernel and dilation of each layer; one tap for the readout."""
    if not own.convolution:
        return [(1, 1)] * own.n_layers
    delta = own.delta_ker if own.hierarchy_conv in {"kernel", "both"} else 0
    kernels = hierarchy.kernel_sizes(own.conv_kernel, delta, own.n_hidden)
    steps = hierarchy.dilations(own.conv_dilation, own.delta_dil, own.n_hidden)
    return [*zip(kernels, steps, strict=True), (1, 1)]


def _synapses(
    config: Settings, chips: Chips, n_steps: int, members: int
) -> list[Dense | CausalConvolution | Delayed]:
    found: list[Dense | CausalConvolution | Delayed] = []
    sizes, taps = layer_sizes(config), layer_taps(config.network)
    for number, (pre, post) in enumerate(sizes, start=1):
        kernel, dilation = taps[number - 1]
        chip = chips.get(f"map-{number}")
        if chip is not None:
            longest = min(chip.max_delay, n_steps - 1)  # what comes later is not seen
            batch = config.fit.batch_size
            plan = delay_line.plan(n_steps, longest, batch=batch, post=members * post)
            steps = jnp.asarray(chip.delay_steps, jnp.int32)
            found.append(Delayed(steps, jnp.asarray(chip.mask), plan))
        elif config.network.convolution and number < len(sizes):
            found.append(CausalConvolution(pre, post, kernel, dilation))
        else:
            found.append(Dense(pre, post))
    return found


def _layer(
    config: Settings,
    number: int,
    synapse: Dense | CausalConvolution | Delayed,
    data: SpikeSet | None,
) -> Layer:
    own: NetworkConfig = config.network
    seed = config.seed if config.chip_seed is None else config.chip_seed
    name, last = f"layer-{number + 1}", number + 1 == own.n_layers
    post = layer_sizes(config)[number][1]
    alpha, live = jnp.zeros(post), None
    if data is not None and config.noise.noise_range == "live":
        live = _live(synapse, data)
    neuron = LIF(alpha, own.v_thr, surrogate=own.surrogate)
    spread = tau_errors(config.errors, config.map, post, seed=seed, name=name)
    fed = own.recurrent and not last
    return Layer(
        synapse=synapse,
        chain=_chain(config, synapse.shape, seed, name),
        live=live,
        feedback=_chain(config, (post, post), seed, f"{name}-fb") if fed else None,
        norm=_normalisation(own),
        neuron=(
            LeakyIntegrator(alpha, floor=-math.inf, unit_gain=True)
            if last and own.decoder != "freq"
            else neuron
        ),
        tau_errors=spread,
        alpha_range=CLIPS[own.alpha_clip][1],
    )


def _live(
    synapse: Dense | CausalConvolution | Delayed, data: SpikeSet
) -> Bool[Array, "..."]:
    """Weights whose input ever spikes."""
    alive = np.ones(data.n_in, np.bool_)
    alive[data.dead_channels()] = False
    column = alive[:, None] if isinstance(synapse, Dense) else alive[None, :, None]
    live = np.broadcast_to(column, synapse.shape)
    present = synapse.present if isinstance(synapse, Delayed) else True
    return jnp.asarray(live & np.asarray(present))


def _chain(
    config: Settings, shape: tuple[int, ...], seed: int, name: str
) -> WeightChain:
    """The weight devices of one array; all arrays of the chip are made alike."""
    chip, errors = config.map, config.errors
    off_on = math.nan
    if chip.g_min is not None and chip.g_max is not None:
        off_on = chip.g_min / chip.g_max
    devices = weight_devices(
        config.noise,
        levels=chip.weight_levels,
        off_on=off_on,
        of="the chip",
    )
    stuck = stuck_devices(shape, errors, chip, seed=seed, name=name)
    return weight_chain(errors, devices, stuck)


def _normalisation(own: NetworkConfig) -> Normalisation:
    kind: Any = NORMALISATIONS[own.normalizer]
    settings: dict[str, Any] = {}
    if own.normalizer != "none":
        settings["shift"] = own.norm_bias_init
    if own.normalizer == "batch":
        settings["at_test"] = own.norm_at_test
    return kind(**settings)


def trace_bytes(config: Settings, n_steps: int) -> float:
    """Currents, normalised currents and spikes of one pass, bytes."""
    own, batch = config.network, config.fit.batch_size
    width = sum(
        (kernel + 3) * post
        for (_, post), (kernel, _) in zip(
            layer_sizes(config), layer_taps(own), strict=True
        )
    )
    return 4.0 * batch * n_steps * width
