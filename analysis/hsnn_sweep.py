"""What a sweep of hierarchical networks is: its grid, and how it is drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from denram.analysis import schema
from denram.analysis.grid import Axis, Grid
from denram.errors import InputError

PUBLISHED_PRESET = "hsnn-2024"
DATA_NAMES = {
    "shd": "SHD",
    "ssc": "SSC",
    "mts_xor": "MTS-XOR",
    "mnist": "MNIST",
    "s-mnist": "s-MNIST",
}  # as results name their data
_STEPS_S = {"shd": 0.014, "ssc": 0.014, "mts_xor": 0.01, "mnist": 0.02} | {
    "s-mnist": 1 / 784
}
Kind = Literal["curves", "heat", "time constants", "spectra"]
_FREE = {"data_dir", "eval_draws", "valid_draws"}  # they make no other experiment


@dataclass(frozen=True)
class Reading:
    """How people read the labels of an axis: `scale * label + shift` in a unit.

    Attributes:
        text: what the axis is.
        unit: of the values shown.
        scale: of the labels.
        shift: added after the scale.
        line: format of one value, for a line's name.
        words: labels that are read as words.
    """

    text: str
    unit: str = ""
    scale: float = 1.0
    shift: float = 0.0
    line: str = "{:g}"
    words: Mapping[Any, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Of an axis of a figure."""
        return f"{self.text} ({self.unit})" if self.unit else self.text

    def value(self, label: float) -> float:
        """The value shown for a label."""
        return self.scale * label + self.shift

    def named(self, label: Any) -> str:
        """A label as the name of a line or point."""
        if isinstance(label, str) or label in self.words:
            return self.words.get(label, str(label))
        return self.line.format(self.value(label))


_DELTA = "{:+g} ms from first to last layer"
READINGS: Mapping[str, Reading] = {
    "n_layers": Reading("hidden layers", shift=-1, line="{:g} hidden layers"),
    "n_hid": Reading("neurons per layer", line="{:g} neurons"),
    "tau_mem": Reading("time constant", "ms", 1e3, line="{:g} ms"),
    "delta_tau": Reading(
        "time constant, last minus first layer",
        "ms",
        1e3,
        line=_DELTA,
        words={0.0: "one time constant"},
    ),
    "noise_rate": Reading("background spikes per channel and step"),
    "conv_kernel": Reading("kernel", "taps"),
    "conv_dilation": Reading("dilation", "steps"),
    "delta_ker": Reading("kernel, last minus first layer", "taps", line="{:+g}"),
    "delta_dil": Reading("dilation, last minus first layer", "steps", line="{:+g}"),
    "recurrent": Reading(
        "recurrence", words={False: "feed-forward", True: "recurrent"}
    ),
    "use_test_as_valid": Reading(
        "epoch chosen on",
        words={True: "the test set (published)", False: "the validation set"},
    ),
}


@dataclass(frozen=True)
class Plot:
    """How a sweep is drawn.

    Attributes:
        x: axis across; empty for a figure of layers.
        lines: axes that make lines; the first is told by colour, the second by style.
        kind: of the figure.
        statistic: over seeds, of the points and of the reference alike.
        reference: axis and label that the others are compared with, or None.
        log: the axis across is logarithmic.
        readings: of axes that are read otherwise than in `READINGS`.
        ticks: text beneath some labels of the axis across.
    """

    x: str = ""
    lines: tuple[str, ...] = ()
    kind: Kind = "curves"
    statistic: Literal["mean", "median"] = "mean"
    reference: tuple[str, Any] | None = None
    log: bool = False
    readings: Mapping[str, Reading] = field(default_factory=dict)
    ticks: Mapping[Any, str] = field(default_factory=dict)

    def reading(self, axis: str) -> Reading:
        """How the labels of an axis are read."""
        return self.readings.get(axis, READINGS.get(axis, Reading(axis)))


@dataclass(frozen=True)
class HsnnSweep:
    """A sweep by name: what is run, and how it is drawn.

    Attributes:
        name: of the command and the store.
        title: what it shows, one line.
        dataset: name of the data set in the settings.
        axes: all but the seeds.
        settings: flat settings beyond the data set's own.
        nb_epochs: of each run.
        seeds: of each point.
        plot: how it is drawn.
        published_as: name of the published sweep; empty if there is none.
        differs: how the defaults differ from the published sweep, one text each.
        controls: labels of axes that the published sweep lacks.
        with_controls: these are run unless told otherwise.
        alpha_timestep: time step that the published decays were made for, s; with the
            preset only; None for the data set's own.
    """

    name: str
    title: str
    dataset: str
    axes: tuple[Axis, ...]
    settings: Mapping[str, Any]
    nb_epochs: int
    seeds: Sequence[int]
    plot: Plot
    published_as: str = ""
    differs: tuple[str, ...] = ()
    controls: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    with_controls: bool = False
    alpha_timestep: float | None = None

    @property
    def data_name(self) -> str:
        """As results name the data that were published."""
        return DATA_NAMES[self.dataset]


def published_axes(sweep: HsnnSweep) -> tuple[Axis, ...]:
    """The axes without their controls."""
    return tuple(
        _without(axis, sweep.controls.get(axis.name, ())) for axis in sweep.axes
    )


def _without(axis: Axis, labels: Sequence[Any]) -> Axis:
    kept = [i for i, label in enumerate(axis.labels) if label not in labels]
    keys = {k: tuple(values[i] for i in kept) for k, values in axis.keys.items()}
    return Axis(axis.name, tuple(axis.labels[i] for i in kept), keys)


def hsnn_grid(
    sweep: HsnnSweep,
    *,
    seeds: Sequence[int] | None = None,
    controls: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    values: Mapping[str, Sequence[Any]] | None = None,
    preset: str | None = None,
) -> Grid:
    """The grid of a named sweep, or a smaller one of the same shape.

    Args:
        sweep: a value of `denram.analysis.hsnn_grids.SWEEPS`.
        seeds: other seeds.
        controls: run what the published sweep lacks; None for the sweep's own default.
        settings: flat settings that win; one that is an axis is its only value.
        values: of axes, instead of the sweep's own.
        preset: shipped preset beneath the settings.

    Raises:
        InputError: values of what is no axis, or of keys that move with others.
    """
    own = settings or {}
    asked = sweep.with_controls if controls is None else controls
    axes = sweep.axes if asked else published_axes(sweep)
    given = _given_values(sweep.name, axes, own, values or {})
    axes = tuple(_revalued(axis, given.get(axis.name)) for axis in axes)
    fixed = {key: value for key, value in own.items() if key not in given}
    quirks = _quirks(sweep) if preset == PUBLISHED_PRESET else {}
    every = Axis.of(schema.SEED, list(sweep.seeds if seeds is None else seeds))
    return Grid(
        sweep.name,
        (*axes, every),
        {**_base(sweep), **sweep.settings, **quirks, **fixed},
        preset,
    )


def _given_values(
    name: str,
    axes: Sequence[Axis],
    settings: Mapping[str, Any],
    values: Mapping[str, Sequence[Any]],
) -> dict[str, Sequence[Any]]:
    """Values of axes that a user gives; a setting that is an axis is its only one."""
    alone = {axis.name for axis in axes if tuple(axis.keys) == (axis.name,)}
    for key in (*values, *settings):
        homes = [axis.name for axis in axes if key in {axis.name, *axis.keys}]
        home = schema.SEED if key == schema.SEED else next(iter(homes), None)
        if home is not None and key not in alone:
            raise InputError(f"{key} belongs to the axis {home} and must not be set")
        if key in values and home is None:
            raise InputError(f"{key} must have one value: it is no axis of {name}")
    return {key: [settings[key]] for key in settings if key in alone} | dict(values)


def _quirks(sweep: HsnnSweep) -> dict[str, Any]:
    """What the preset cannot say for every sweep alike."""
    own = sweep.alpha_timestep
    return {"alpha_timestep": _STEPS_S[sweep.dataset] if own is None else own}


def _base(sweep: HsnnSweep) -> dict[str, Any]:
    """What every sweep sets: no weight noise, so that one draw says all."""
    return {
        "model": "hsnn",
        "dataset": sweep.dataset,
        "nb_epochs": sweep.nb_epochs,
        "order_seed": 0,  # so that the seeds can share one program
        "noise_std": 0.0,
        "eval_draws": 1,
        "valid_draws": 1,
    }


def _revalued(axis: Axis, values: Sequence[Any] | None) -> Axis:
    if values is None:
        return axis
    real = all(type(label) is float for label in axis.labels)
    plain = [float(v) if real and type(v) is int else v for v in values]
    return Axis.of(axis.name, plain)


def changes(sweep: HsnnSweep, grid: Grid) -> list[str]:
    """Settings of a grid that are not the sweep's own, as `key value (own)`."""
    own = hsnn_grid(sweep, preset=grid.preset).settings
    axes = {key for axis in grid.axes for key in axis.keys}
    return [
        f"{key} {grid.settings.get(key, 'default')} ({own.get(key, 'default')})"
        for key in sorted({*own, *grid.settings} - _FREE - axes)
        if own.get(key) != grid.settings.get(key)
    ]
