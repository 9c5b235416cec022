"""hSNN on a chip: its layers, synapses and devices."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from denram.mapping import stuck_devices
from denram.train import delay_line
from denram.train._protocol import Chips, Settings
from denram.train.data import SpikeSet
from denram.train.layered import LayeredNetwork, draws_at_once
from denram.train.layers import Layer
from denram.train.models.hsnn.config import NetworkConfig
from denram.train.models.hsnn.penalties import Penalties
from denram.train.models.hsnn.plan import (
    CLIPS,
    check_data,
    layer_sizes,
    layer_taps,
    trace_bytes,
)
from denram.train.neurons import LIF, LeakyIntegrator
from denram.train.normalisation import NORMALISATIONS, Normalisation
from denram.train.synapses import CausalConvolution, Delayed, Dense
from denram.train.tau_errors import tau_errors
from denram.train.weight_chain import WeightChain, weight_chain, weight_devices


def network(
    config: Settings, chips: Chips, data: SpikeSet, *, members: int
) -> LayeredNetwork:
    """Put the network on a chip, for these data.

    Raises:
        InputError: other inputs or classes than the data, a decoder that does not fit
            their targets, or a hierarchy that cannot be.
    """
    own: NetworkConfig = config.network
    check_data(config, data)
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
