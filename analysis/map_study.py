"""Chips as a study: what each configuration's devices and delays come out as."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from denram.analysis.study import Layout, Values, Variable
from denram.mapping import Waste, build_map, map_report
from denram.train import RunConfig, resolve

_SCALARS = {
    "mean_ohm": ("ohm", "arithmetic mean of the resistances"),
    "median_ohm": ("ohm", "median of the resistances"),
    "cv": ("1", "standard deviation of the resistances over their mean"),
    "mean_delay_s": ("s", "arithmetic mean of the delays, after rounding"),
    "std_delay_s": ("s", "standard deviation of the delays, after rounding"),
    "clipped_share": ("1", "share of delays beyond max_delay"),
    "wasted_share": ("1", "share of synapses with no work of their own"),
}
_REASON = "reason"


class MapStudy:
    """Draw one chip per cell and report on it; nothing is trained."""

    name = "map"

    def config(self, flags: Mapping[str, Any], preset: str | None) -> RunConfig:
        """The whole configuration; chip, seeds and window are used."""
        return resolve(flags, preset=preset)

    def layout(self, configs: Iterable[RunConfig]) -> Layout:
        """Moments of resistances and delays, and wasted synapses by reason."""
        del configs
        variables = {k: Variable(units=u, text=t) for k, (u, t) in _SCALARS.items()}
        text = "share of synapses wasted, by reason; one can have several"
        reasons = [reason.label for reason in Waste]
        wasted = Variable((_REASON,), (len(reasons),), text=text)
        return Layout({**variables, "wasted_by": wasted}, {_REASON: reasons})

    def kin(self, config: RunConfig) -> str:
        """Chips are drawn one by one."""
        return config.fingerprint

    def most_together(self, config: RunConfig) -> int:
        """One."""
        del config
        return 1

    def memory_bytes(self, config: RunConfig, members: int) -> int:
        """Arrays of one chip and of its report."""
        return 60 * members * int(np.prod(config.map.shape))

    def seconds(self, config: RunConfig) -> float:
        """By drawing this very chip."""
        _report(config)  # compiles
        began = time.perf_counter()
        _report(config)
        return time.perf_counter() - began

    def headline(self, values: Values) -> str:
        """Mean delay and wasted synapses."""
        wasted = 100 * values["wasted_share"]
        return f"mean delay {values['mean_delay_s']:.3g} s, {wasted:.1f} % wasted"

    def compute(
        self,
        configs: Sequence[RunConfig],
        folders: Sequence[Path],
        on_progress: Callable[[int, int], None],
    ) -> list[Values]:
        """Draw and report; the folders stay unused."""
        del folders, on_progress
        return [_report(config) for config in configs]


def _report(config: RunConfig) -> Values:
    seed = config.seed if config.chip_seed is None else config.chip_seed
    chip = build_map(config.map, seed=seed, noise_std=config.noise.noise_std)
    report = map_report(chip, n_steps=config.data.n_steps)
    waste = report.waste
    return {
        "mean_ohm": report.resistance.mean_ohm,
        "median_ohm": report.resistance.median_ohm,
        "cv": report.resistance.cv,
        "mean_delay_s": report.delay.mean_s,
        "std_delay_s": report.delay.std_s,
        "clipped_share": waste.clipped_share,
        "wasted_share": waste.wasted_percent / 100,
        "wasted_by": np.array([count.percent for count in waste.reasons]) / 100,
    }
