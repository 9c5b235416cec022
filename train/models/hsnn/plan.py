"""What hSNN's settings say of each layer, and whether they can be."""

import itertools
import warnings

from msgspec.structs import replace

from denram.errors import DenRAMWarning, InputError
from denram.mapping import MapConfig, check_errors, check_weight_range
from denram.train import hierarchy
from denram.train._protocol import Settings
from denram.train.data import SpikeSet
from denram.train.models.hsnn.config import NetworkConfig

# decay of a step: at the start, and as it acts
CLIPS = {"none": ((1e-5, 0.9999),) * 2, "published": ((0.1, 0.99), (1e-5, 0.98))}


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


def layer_taps(own: NetworkConfig) -> list[tuple[int, int]]:
    """Kernel and dilation of each layer; one tap for the readout."""
    if not own.convolution:
        return [(1, 1)] * own.n_layers
    delta = own.delta_ker if own.hierarchy_conv in {"kernel", "both"} else 0
    kernels = hierarchy.kernel_sizes(own.conv_kernel, delta, own.n_hidden)
    steps = hierarchy.dilations(own.conv_dilation, own.delta_dil, own.n_hidden)
    return [*zip(kernels, steps, strict=True), (1, 1)]


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


def check_data(config: Settings, data: SpikeSet) -> None:
    """Refuse settings that do not fit the data, and warn of those in vain.

    Warns:
        DenRAMWarning: a setting that changes nothing, or a time constant that is cut.

    Raises:
        InputError: other inputs than the data's, or see `check`.
    """
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


def _warn(text: str) -> None:
    warnings.warn(text, DenRAMWarning, stacklevel=3)


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
