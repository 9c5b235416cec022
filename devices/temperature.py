"""Temperature: thermally activated conduction, R(T) = R(T0) exp(E/k (1/T - 1/T0))."""

from dataclasses import dataclass

import numpy as np

from denram.devices._arrays import Array, known, namespace
from denram.devices._checks import positive, positive_array, spread
from denram.errors import InputError

# k / e of the SI of 2019, in which both are exact (CODATA 2018 and since)
BOLTZMANN_EV_PER_KELVIN = 1.380649e-23 / 1.602176634e-19
MAX_ACTIVATION_EV = 10.0


@dataclass(frozen=True)
class Arrhenius:
    """A resistance that falls as temperature rises.

    Attributes:
        activation_ev: activation energy E, electronvolt, 0 to 10; 0 for no dependence.
        reference_kelvin: T0, at which the resistances are as programmed, > 0.

    Raises:
        InputError: a parameter out of range (unless it is traced).
    """

    activation_ev: float
    reference_kelvin: float

    def __post_init__(self) -> None:
        if known(self.activation_ev):
            spread("activation_ev", self.activation_ev, MAX_ACTIVATION_EV)
        if known(self.reference_kelvin):
            positive("reference_kelvin", self.reference_kelvin)

    def factor(self, temperature_kelvin: Array) -> Array:
        """`R(T) / R(T0) = exp(E / k * (1 / T - 1 / T0))`.

        Args:
            temperature_kelvin: T > 0, a number or an array of any library.

        Raises:
            InputError: T <= 0, or a factor that no float holds (unless T is traced).
        """
        t, t0 = temperature_kelvin, self.reference_kelvin
        checked = known(t) and known(t0) and known(self.activation_ev)
        if known(t):
            array = positive_array("temperature_kelvin", t)
            t = float(t) if array.ndim == 0 else array
        energy = self.activation_ev / BOLTZMANN_EV_PER_KELVIN
        with np.errstate(over="ignore", under="ignore"):
            # the difference of the inverses, without its cancellation
            factor = namespace(t).exp(energy * ((t0 - t) / t0 / t))
        if checked and not (np.isfinite(factor).all() and np.all(factor > 0)):
            raise InputError(
                f"temperature_kelvin must give a finite factor exp(E/k (1/T - 1/T0)),"
                f" got {temperature_kelvin}"
            )
        return float(factor) if checked and isinstance(t, float) else factor
