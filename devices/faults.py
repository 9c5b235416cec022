"""Stuck devices: what neither programming nor time moves any more."""

from dataclasses import dataclass

from denram.devices._arrays import Array, known, namespace
from denram.devices._checks import spread
from denram.errors import InputError

HEALTHY, STUCK_HRS, STUCK_LRS = 0, 1, 2


@dataclass(frozen=True)
class StuckFaults:
    """Independent faults, fixed when a chip is made.

    With the same draws a larger fraction keeps every fault of a smaller one, as long as
    the two fractions leave each other room.

    Attributes:
        hrs_fraction: probability of a device stuck in its high-resistance state.
        lrs_fraction: probability of one stuck in its low-resistance state.

    Raises:
        InputError: a fraction outside [0, 1], or two that exceed 1 together.
    """

    hrs_fraction: float = 0.0
    lrs_fraction: float = 0.0

    def __post_init__(self) -> None:
        if not (known(self.hrs_fraction) and known(self.lrs_fraction)):
            return
        spread("hrs_fraction", self.hrs_fraction, 1.0)
        spread("lrs_fraction", self.lrs_fraction, 1.0)
        together = self.hrs_fraction + self.lrs_fraction
        if together > 1:
            raise InputError(
                f"hrs_fraction + lrs_fraction must be <= 1, got {together}"
            )

    def kinds(self, u: Array) -> Array:
        """HEALTHY (0), STUCK_HRS (1) or STUCK_LRS (2) for every device, as int8.

        Args:
            u: independent uniforms in (0, 1), any shape, NumPy or JAX.
        """
        xp = namespace(u)
        lrs = xp.where(1.0 - u < self.lrs_fraction, STUCK_LRS, HEALTHY)
        return xp.where(u < self.hrs_fraction, STUCK_HRS, lrs).astype(xp.int8)
