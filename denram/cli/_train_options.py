"""The flags of `denram-train`: of every family, and of each one."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from denram.cli._options import choice, number
from denram.config import (
    Count,
    Fraction,
    Index,
    NonNegative,
    Positive,
    Seed,
    preset_names,
)

F = TypeVar("F", bound=Callable[..., Any])
DATASETS = ("synthetic", "shd", "ssc", "mts_xor", "mnist", "s-mnist", "ps-mnist")


def truth(flag: str, text: str) -> Callable[[F], F]:
    """A flag that stands alone for true, or is followed by true or false."""
    return click.option(
        flag,
        type=click.BOOL,
        is_flag=False,
        flag_value=True,
        default=None,
        metavar="[true|false]",
        help=text,
    )


def every_family() -> list[Callable[[F], F]]:
    """Data, clock, noise, training."""
    return [
        click.option(
            "--model", help="Network family: delays or hsnn.  [default: delays]"
        ),
        choice(
            "--dataset",
            DATASETS,
            "Data set.",
            default="synthetic",
            alias="--dataset_name",
        ),
        click.option("--data_dir", metavar="FOLDER", help="Where its files lie."),
        number("--n_in", Count, "Input channels.", default=700),
        number("--n_out", Count, "Neurons that are read out.", default=20),
        number("--seed", Seed, "Devices, weights, batches and noise.", default=42),
        number("--tau_mem", Positive, "Membrane time constant, s.", default=20e-3),
        number(
            "--noise_std",
            NonNegative,
            "Weight noise over max|w|.",
            default=0.1,
            alias="--noise_sd",
        ),
        number("--test_noise_std", NonNegative, "The same at test.  [as trained]"),
        number("--nb_epochs", Count, "Most epochs.", default=100, alias="--n_epochs"),
        number("--lr", Positive, "Adam's step size.", default=1.5e-3),
        number("--batch_size", Count, "Samples per update.", default=64),
        number("--patience", Count, "Epochs without a better validation.", default=25),
        number("--eval_draws", Count, "Noise draws of the test accuracy.", default=20),
        number("--timestep", Positive, "Length of one step, s.", default=0.005),
        number("--n_steps", Count, "Input window, steps.", default=150),
        click.option(
            "--positive_weights/--signed_weights",
            default=None,
            help="One device per weight, or a differential pair.  [default: signed]",
        ),
        number("--weight_max", Positive, "Largest |w| of a device.  [unbounded]"),
        number("--weight_levels", Index, "Levels of a device, 0: any.", default=0),
        number("--tau_sigma", NonNegative, "Spread of ln tau over neurons.", default=0),
    ]


def of_delays() -> list[Callable[[F], F]]:
    """Delay devices; for hsnn with --set delay_layers=first or all."""
    return [
        number("--n_delays", Count, "Synapses per input and neuron.", default=16),
        number("--r_mu", Positive, "Mean resistance, ohm.", default=500e9),
        number("--r_std", NonNegative, "Standard deviation of ln R.", default=0.4),
        number("--max_delay", Index, "Longest delay of the chip, steps.", default=200),
        number("--cap", Positive, "Capacitance, farad.", default=1e-12),
        choice(
            "--distribution",
            ("lognormal", "uniform", "pattern"),
            "How the delays are distributed.",
            default="lognormal",
            key="delay_distribution",
        ),
    ]


def of_hsnn() -> list[Callable[[F], F]]:
    """Time-constant hierarchy; refused for other families."""
    return [
        number("--n_hid", Count, "hsnn: neurons of a hidden layer.", default=128),
        number("--n_layers", Count, "hsnn: layers with the readout.", default=3),
        choice(
            "--hierarchy_tau",
            ("none", "linear", "tanh"),
            "hsnn: how tau changes with depth.",
            default="none",
        ),
        number("--delta_tau", float, "hsnn: last minus first tau, s.", default=0.075),
        choice(
            "--distrib_tau",
            ("uniform", "normal", "lognormal", "homogeneous"),
            "hsnn: spread of a layer's tau.",
            default="uniform",
        ),
        number("--distrib_tau_sd", Fraction, "hsnn: its width.", default=0.2),
        truth("--train_alpha", "hsnn: learn the time constants."),
        truth("--recurrent", "hsnn: hidden layers feed themselves."),
        truth("--convolution", "hsnn: dilated causal convolution in time."),
        choice(
            "--normalizer",
            ("batch", "layer", "none"),
            "hsnn: of currents.",
            default="batch",
        ),
        choice(
            "--decoder",
            ("cum", "sum", "vmax", "vlast", "freq", "vmem_time"),
            "hsnn: from membranes to scores.",
            default="cum",
        ),
        number("--l2_lambda", NonNegative, "hsnn: weight of L2.", default=0),
        number("--freq_lambda", NonNegative, "hsnn: of the spike counts.", default=0),
        number(
            "--dropout_rate",
            Fraction,
            "hsnn: dropout of hidden spikes.",
            default=0.1,
            alias="--dropout",
        ),
        click.option("--verbose", type=click.BOOL, hidden=True, expose_value=False),
    ]


def settings_options(command: F) -> F:
    """The flags that set keys of a run's configuration, and presets."""
    options = [*every_family(), *of_delays(), *of_hsnn()]
    options += [
        click.option("--card", help="Device card: a shipped name or a TOML file."),
        choice("--preset", preset_names(), "Shipped settings."),
        click.option("--config", "config_file", metavar="FILE.toml", help="Settings."),
        click.option(
            "--set",
            "others",
            metavar="KEY=VALUE",
            multiple=True,
            help="Any other key of the settings file, such as adam_step=epoch.",
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command
