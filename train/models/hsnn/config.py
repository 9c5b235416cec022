"""hSNN's settings. Defaults are the released code's, except where it errs."""

from typing import Annotated, Literal

from msgspec import Meta

from denram.config import Count, Fraction, NonNegative, Positive, Section

Layers = Annotated[int, Meta(ge=2, le=100)]
Taps = Annotated[int, Meta(ge=1, le=10_000)]
Change = Annotated[int, Meta(ge=-10_000, le=10_000)]
Seconds = Annotated[float, Meta(ge=-1e3, le=1e3)]
Rate = Annotated[float, Meta(ge=0, lt=1)]
# of a card: the clock of its delay elements, which is not this network's
CARD_KEYS_LEFT = frozenset({"timestep", "max_delay"})


class NetworkConfig(Section, frozen=True):
    """hSNN's network. Inputs, classes and time step belong to [map].

    Attributes:
        n_hid: neurons of each hidden layer.
        n_layers: layers, the readout included.
        recurrent: hidden layers feed themselves, but no neuron itself.
        convolution: hidden layers see their input's past through dilated taps.
        conv_kernel: taps.
        conv_dilation: steps from tap to tap.
        hierarchy_conv: `kernel` or `both`: kernels change with depth by `delta_ker`.
            (Published: dilations change with depth by `delta_dil` whatever this is, and
            so they do here.)
        delta_ker: last minus first kernel.
        delta_dil: last minus first dilation.
        delay_layers: which layers have delayed synapses, `n_delays` per input and
            neuron, drawn as [map] says: `first`, `all` (the readout too) or `none`.
        hierarchy_tau: how time constants change with depth (published as False).
        tau_mem: mean of the first and last layer's time constant, s.
        delta_tau: last minus first time constant, s.
        tau_out: of the readout, s.
        tanh_coef: width of the tanh over depth 0 to 1.
        tanh_center: its centre.
        distrib_tau: spread of a layer's neurons around its time constant; published
            values of any other name, such as True, meant `homogeneous`.
        distrib_tau_sd: relative (`uniform`, half the width; `normal`), or of ln tau.
        train_alpha: the decays of hidden layers are learnt. (The published factor 0.1
            on their gradient does nothing under Adam and is left out.)
        normalizer: of currents, over batch and time, over a layer's neurons, or none.
        decoder: from the readout's membranes to scores; see `denram.train.readout`.
        surrogate: slope of a spike.
        v_thr: threshold.
        dropout_rate: of hidden spikes, in training.
        l2_lambda: weight of the L2 penalty.
        freq_lambda: weight of the penalty on spike counts.
        target_fr: spikes per neuron and sample that it aims at.
        l2_alpha_sd: weight of the penalty on the spread of a layer's decays.
        norm_bias_init: initial shift of the normalisation.
        norm_at_test: `running` statistics at test, or the `batch`'s own (published: a
            sample's score then depends on who shares its batch).
        alpha_timestep: time step that decays are made with, s; None: the real one
            (published: 14 ms for bins of 7 ms, so that time constants are halved).
        alpha_clip: `none`: decays from 1e-5 to 0.9999; `published`: drawn between 0.1
            and 0.99 and cut at 0.98, which caps tau at 693 ms for steps of 14 ms.
        w_scale_rule: initial weights are U(-s, s). `fan_in`: s = 1 / sqrt(weights per
            neuron); the published rules come from a list for 700 inputs and 128
            neurons, `published-sweep` (its entries for 4 layers, else their mean
            0.0757), or for this network's sizes, `published-main` (always its mean);
            published kernels have 2 s / sqrt(taps).
        tied_init: recurrent weights start as the input weights where both are square
            (published, by a key used twice).
        penalties: `corrected`: squared L2 of the weights, penalties on decays where
            they are learnt; `published`: norm, not squared, of weights, scales and
            shifts, and penalties on decays that nobody learns.
        log_of_softmax: the published loss, ln(softmax + 1e-12).
    """

    n_hid: Count = 128
    n_layers: Layers = 3
    recurrent: bool = False
    convolution: bool = False
    conv_kernel: Taps = 5
    conv_dilation: Taps = 5
    hierarchy_conv: Literal["none", "kernel", "dilation", "both"] = "none"
    delta_ker: Change = 0
    delta_dil: Change = 0
    delay_layers: Literal["none", "first", "all"] = "none"
    hierarchy_tau: Literal["none", "linear", "tanh"] = "none"
    tau_mem: Positive = 0.1
    delta_tau: Seconds = 0.075
    tau_out: Positive = 0.2
    tanh_coef: Positive = 0.5
    tanh_center: Fraction = 0.5
    distrib_tau: Literal["uniform", "normal", "lognormal", "homogeneous"] = "uniform"
    distrib_tau_sd: Fraction = 0.2
    train_alpha: bool = False
    normalizer: Literal["batch", "layer", "none"] = "batch"
    decoder: Literal["cum", "sum", "vmax", "vlast", "freq", "vmem_time"] = "cum"
    surrogate: Literal[
        "box", "fast_sigmoid", "triangle", "gaussian", "multi_gaussian", "exponential"
    ] = "box"
    v_thr: Positive = 1.0
    dropout_rate: Rate = 0.1
    l2_lambda: NonNegative = 0.0
    freq_lambda: NonNegative = 0.0
    target_fr: NonNegative = 12.0
    l2_alpha_sd: NonNegative = 1e-2
    norm_bias_init: Seconds = 0.0
    norm_at_test: Literal["running", "batch"] = "running"
    alpha_timestep: Positive | None = None
    alpha_clip: Literal["none", "published"] = "none"
    w_scale_rule: Literal["fan_in", "published-sweep", "published-main"] = "fan_in"
    tied_init: bool = False
    penalties: Literal["corrected", "published"] = "corrected"
    log_of_softmax: bool = False

    @property
    def n_hidden(self) -> int:
        """Hidden layers."""
        return self.n_layers - 1
