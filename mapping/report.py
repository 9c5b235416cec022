"""The report on a map: its devices against theory, its delays, its wasted synapses."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denram.config import convert
from denram.mapping.constraints import MapConfig
from denram.mapping.hardware_map import HardwareMap
from denram.mapping.theory import Expected, Fit, expected, goodness_of_fit
from denram.mapping.waste import Waste, waste_flags

N_LISTED = 5


@dataclass(frozen=True)
class Measured:
    """Moments of the resistances on this chip.

    Attributes:
        mean_ohm: arithmetic mean.
        median_ohm: median.
        cv: standard deviation over mean.
    """

    mean_ohm: float
    median_ohm: float
    cv: float


@dataclass(frozen=True)
class DelayReport:
    """Moments of the delays after rounding and saturation.

    Attributes:
        mean_steps: arithmetic mean, steps; so the others.
        median_steps: median.
        std_steps: standard deviation.
        min_steps: shortest.
        max_steps: longest.
        mean_s: arithmetic mean, s; so the others.
        median_s: median.
        std_s: standard deviation.
        min_s: shortest.
        max_s: longest.
    """

    mean_steps: float
    median_steps: float
    std_steps: float
    min_steps: int
    max_steps: int
    mean_s: float
    median_s: float
    std_s: float
    min_s: float
    max_s: float


@dataclass(frozen=True)
class WasteCount:
    """Synapses wasted for one reason.

    Attributes:
        reason: name of the `Waste` flag, in lower case.
        meaning: one line.
        count: synapses.
        percent: of all synapses.
        first: the first few as (post, pre, tap).
    """

    reason: str
    meaning: str
    count: int
    percent: float
    first: list[list[int]]


@dataclass(frozen=True)
class WasteReport:
    """All wasted synapses.

    Attributes:
        n_steps: length of the input window, steps.
        n_dead_inputs: channels that never spike.
        reasons: a count per reason; a synapse can stand under several.
        wasted: synapses with at least one reason.
        wasted_percent: of all synapses.
        effective: synapses without a reason.
        clipped_share: share of delays beyond max_delay.
        clipped_share_theory: the same from the law, None without a closed form.
    """

    n_steps: int
    n_dead_inputs: int
    reasons: list[WasteCount]
    wasted: int
    wasted_percent: float
    effective: int
    clipped_share: float
    clipped_share_theory: float | None


@dataclass(frozen=True)
class MapReport:
    """What `denram-map` prints.

    Attributes:
        shape: devices as (post, pre, tap).
        n_synapses: devices that are there.
        resistance: on this chip.
        theory: by the law.
        fit: how well the two agree.
        delay: in steps and seconds.
        waste: synapses that do no work of their own.
    """

    shape: tuple[int, ...]
    n_synapses: int
    resistance: Measured
    theory: Expected
    fit: Fit
    delay: DelayReport
    waste: WasteReport

    def as_dict(self) -> dict[str, Any]:
        """Plain nested values, ready for JSON."""
        return asdict(self)


def map_report(
    chip: HardwareMap,
    *,
    n_steps: int,
    dead_inputs: NDArray[np.bool_] | None = None,
) -> MapReport:
    """Compare a map with theory and count its wasted synapses.

    Args:
        chip: the map.
        n_steps: length of the input window, steps.
        dead_inputs: (pre,) True for channels that never spike; None: all are live.

    Raises:
        InputError: `n_steps` < 1, or `dead_inputs` does not fit the map.
    """
    config = convert(MapConfig, chip.config)
    ohm = chip.resistance_ohm[chip.mask]
    theory = expected(config)
    mean = float(ohm.mean())
    return MapReport(
        shape=chip.mask.shape,
        n_synapses=ohm.size,
        resistance=Measured(mean, float(np.median(ohm)), float(ohm.std()) / mean),
        theory=theory,
        fit=goodness_of_fit(ohm, config),
        delay=_delay_report(chip),
        waste=_waste_report(chip, n_steps, dead_inputs, theory),
    )


def _delay_report(chip: HardwareMap) -> DelayReport:
    steps = chip.delay_steps[chip.mask]
    mean, median = float(steps.mean()), float(np.median(steps))
    std, low, high = float(steps.std()), int(steps.min()), int(steps.max())
    in_steps = mean, median, std, low, high
    return DelayReport(*in_steps, *(value * chip.timestep_s for value in in_steps))


def _waste_report(
    chip: HardwareMap,
    n_steps: int,
    dead_inputs: NDArray[np.bool_] | None,
    theory: Expected,
) -> WasteReport:
    flags = waste_flags(chip, n_steps=n_steps, dead_inputs=dead_inputs)
    present, wasted = int(chip.mask.sum()), int(np.count_nonzero(flags))
    return WasteReport(
        n_steps=n_steps,
        n_dead_inputs=0 if dead_inputs is None else int(dead_inputs.sum()),
        reasons=[_count(flags, reason, present) for reason in Waste],
        wasted=wasted,
        wasted_percent=100 * wasted / present,
        effective=present - wasted,
        clipped_share=int((chip.saturated & chip.mask).sum()) / present,
        clipped_share_theory=theory.clipped_share,
    )


def _count(flags: NDArray[np.uint8], reason: Waste, present: int) -> WasteCount:
    marked = np.flatnonzero(flags & np.uint8(reason))
    first = np.unravel_index(marked[:N_LISTED], flags.shape)
    return WasteCount(
        reason=reason.label,
        meaning=reason.meaning,
        count=marked.size,
        percent=100 * marked.size / present,
        first=np.stack(first, axis=1).tolist(),
    )
