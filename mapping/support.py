"""Which device effect acts where: the table behind `denram-map --support`.

Every row is tested against the code: an effect is switched on, and what a map, a
training step and a test give must change where the table says so, and only there.
"""

from dataclasses import dataclass
from typing import Literal

# how an effect enters a forward pass
Entry = Literal[
    "map", "mean", "fixed", "each batch", "each draw", "each spike", "no", ""
]


@dataclass(frozen=True)
class Effect:
    """One slot of `ErrorConfig` or `MapConfig`.

    Attributes:
        name: as the field says it.
        keys: settings that switch it on for delays, then for weights, each without
            its role; or whole keys where there is one role only.
        clock: what it changes with.
        delay_training: how the delays of a training step feel it. `map`: through the
            delays of the map.
        delay_test: how a test does. `mean`: by its mean over spikes.
        weight_training: how the weights of a training step feel it.
        weight_test: how those of a test do; `fixed`: as the chip was made.
        membrane_training: how the neurons' time constants of a training step feel it.
        membrane_test: how those of a test do.
    """

    name: str
    keys: tuple[str, ...]
    clock: str
    delay_training: Entry
    delay_test: Entry
    weight_training: Entry
    weight_test: Entry
    membrane_training: Entry = ""
    membrane_test: Entry = ""


_MAP = ("map", "map")
_DRAWN = ("each batch", "each draw")
_NONE = ("", "")

EFFECTS: tuple[Effect, ...] = (
    Effect("device-to-device", ("r_std",), "chip", *_MAP, *_NONE),
    Effect(
        "programming error",
        ("programming", "programming_sigma", "programming_table"),
        "programming",
        *_MAP,
        *_DRAWN,
    ),
    Effect(
        "program-and-verify",
        ("verify_pulses", "verify_tolerance", "delay_verify_tolerance_steps"),
        "programming",
        *_MAP,
        *_DRAWN,
    ),
    Effect("stuck at HRS", ("stuck_hrs",), "chip", *_MAP, "fixed", "fixed"),
    Effect("stuck at LRS", ("stuck_lrs",), "chip", *_MAP, "fixed", "fixed"),
    Effect(
        "relaxation and drift",
        ("drift_nu", "drift_nu_sigma", "relaxation_sigma", "relaxation_power"),
        "time",
        *_MAP,
        *_DRAWN,
    ),
    Effect("read noise", ("read_noise",), "read", "mean", "each spike", *_DRAWN),
    Effect("temperature", ("activation_ev",), "time", *_MAP, "fixed", "fixed"),
    Effect("capacitor mismatch", ("capacitor_sigma",), "chip", *_MAP, *_NONE),
    Effect("comparator offset", ("comparator_sigma",), "chip", *_MAP, *_NONE),
    Effect("time constants", ("tau_sigma",), "chip", *_NONE, *_NONE, "fixed", "fixed"),
    Effect(
        "time constants, unknown",
        ("tau_redrawn",),
        "chip",
        *_NONE,
        *_NONE,
        *_DRAWN,
    ),
    Effect("dead time", ("dead_time",), "read", "no", "each spike", *_NONE),
    Effect("weight levels", ("weight_levels",), "", *_NONE, "fixed", "fixed"),
    Effect("weight noise (published)", ("noise_std",), "programming", *_NONE, *_DRAWN),
)


def support_rows() -> list[tuple[str, ...]]:
    """The table as text: effect, six entries, clock and settings."""
    return [
        (
            effect.name,
            *(
                entry or "-"
                for entry in (
                    effect.delay_training,
                    effect.delay_test,
                    effect.weight_training,
                    effect.weight_test,
                    effect.membrane_training,
                    effect.membrane_test,
                )
            ),
            effect.clock or "-",
            ", ".join(spelt_keys(effect)),
        )
        for effect in EFFECTS
    ]


def spelt_keys(effect: Effect) -> list[str]:
    """The settings that switch it on; `*` stands for `delay_` or `weight_`."""
    return [f"*{key}" if key in BOTH_ROLES else key for key in effect.keys]


BOTH_ROLES = frozenset(
    (
        "programming",
        "programming_sigma",
        "programming_table",
        "verify_pulses",
        "verify_tolerance",
        "stuck_hrs",
        "stuck_lrs",
        "drift_nu",
        "drift_nu_sigma",
        "relaxation_sigma",
        "relaxation_power",
        "read_noise",
        "activation_ev",
    )
)
