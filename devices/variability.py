"""What makes one device differ from its state's law: three clocks, kept apart.

A chip is made once (`DeviceToDevice`), programmed now and then (`CycleToCycle`) and
read all the time (`ReadNoise`). Each piece maps resistances to resistances and asks for
exactly the counters that make its draw a fresh one:

    r = DeviceToDevice(0.2).apply(r, seed=1, chip=0)
    r = CycleToCycle(0.1).apply(r, seed=1, chip=0, cycle=3)
    r = ReadNoise(0.02).apply(r, seed=1, chip=0, cycle=3, read=7)

`population` keeps the delay devices and the weight devices of a chip independent.
"""

from dataclasses import dataclass

from denram.devices._arrays import Array, namespace, truncated_normal
from denram.devices._checks import FloatArray, positive_array, spread
from denram.devices.draws import (
    MAX_SIGMA_LN,
    Shape,
    Stream,
    lognormal,
    relative_factor,
)
from denram.errors import InputError

MAX_SIGMA_RELATIVE = 0.5
_REACH = 0.99  # of the conductance, as in `relative_factor`


@dataclass(frozen=True)
class DeviceToDevice:
    """Spread over the devices of a chip: `R exp(sigma_ln N)`, N fresh per chip.

    The factor has median 1 (mean exp(sigma_ln**2 / 2)).

    Attributes:
        sigma_ln: standard deviation of ln R that it adds, 0 to 10.
        population: which devices, such as "delay" or "weight".

    Raises:
        InputError: a parameter out of range.
    """

    sigma_ln: float
    population: str = "delay"

    def __post_init__(self) -> None:
        spread("sigma_ln", self.sigma_ln, MAX_SIGMA_LN)

    def apply(self, resistance_ohm: FloatArray, *, seed: int, chip: int) -> FloatArray:
        """Spread resistances (post, pre, tap) as on chip number `chip`.

        Raises:
            InputError: a resistance that is not finite and > 0, or a bad counter.
        """
        shape, r = _devices(resistance_ohm)
        stream = Stream(f"{self.population} device-to-device", chip)
        return r * lognormal(shape, 1.0, self.sigma_ln, seed=seed, stream=stream)


@dataclass(frozen=True)
class CycleToCycle:
    """Spread over programming cycles: `R exp(sigma_ln N)`, N fresh per cycle.

    The factor has median 1 (mean exp(sigma_ln**2 / 2)).

    Attributes:
        sigma_ln: standard deviation of ln R that it adds, 0 to 10.
        population: which devices, such as "delay" or "weight".

    Raises:
        InputError: a parameter out of range.
    """

    sigma_ln: float
    population: str = "delay"

    def __post_init__(self) -> None:
        spread("sigma_ln", self.sigma_ln, MAX_SIGMA_LN)

    def apply(
        self, resistance_ohm: FloatArray, *, seed: int, chip: int, cycle: int
    ) -> FloatArray:
        """Spread resistances (post, pre, tap) as after programming `cycle` of `chip`.

        Raises:
            InputError: a resistance that is not finite and > 0, or a bad counter.
        """
        shape, r = _devices(resistance_ohm)
        stream = Stream(f"{self.population} cycle-to-cycle", chip, cycle)
        return r * lognormal(shape, 1.0, self.sigma_ln, seed=seed, stream=stream)


@dataclass(frozen=True)
class ReadNoise:
    """Noise of one read: conductance `G (1 + sigma_relative N)`, N fresh per read.

    N is truncated alike on both sides so that 0.01 G is the least that is read.

    Attributes:
        sigma_relative: standard deviation over the conductance, 0 to 0.5.
        population: which devices, such as "delay" or "weight".

    Raises:
        InputError: a parameter out of range.
    """

    sigma_relative: float
    population: str = "delay"

    def __post_init__(self) -> None:
        spread("sigma_relative", self.sigma_relative, MAX_SIGMA_RELATIVE)

    def apply(
        self, resistance_ohm: FloatArray, *, seed: int, chip: int, cycle: int, read: int
    ) -> FloatArray:
        """Read resistances (post, pre, tap) once: read number `read` of that cycle.

        Raises:
            InputError: a resistance that is not finite and > 0, or a bad counter.
        """
        shape, r = _devices(resistance_ohm)
        stream = Stream(f"{self.population} read-noise", chip, cycle, read)
        return r / relative_factor(shape, self.sigma_relative, seed=seed, stream=stream)


def read_factor(z: Array, sigma_relative: Array) -> Array:
    """`1 + sigma_relative * N`: what one read multiplies a conductance by.

    The law of `ReadNoise` as a pure function: N is the draw `z`, truncated alike on
    both sides so that the factor stays between 0.01 and 1.99. Nothing is checked.

    Args:
        z: standard normals, any shape, NumPy or JAX.
        sigma_relative: standard deviation before truncation, 0 to 0.5; may be traced.
    """
    xp = namespace(z)
    sigma = xp.asarray(sigma_relative, dtype=z.dtype)
    reach = _REACH / xp.where(sigma > 0, sigma, 1.0)
    return 1.0 + sigma * truncated_normal(z, -reach, reach)


def _devices(resistance_ohm: FloatArray) -> tuple[Shape, FloatArray]:
    r = positive_array("resistance_ohm", resistance_ohm)
    if r.ndim != 3:
        raise InputError(f"resistance_ohm must be (post, pre, tap), got {r.shape}")
    post, pre, tap = r.shape
    return (post, pre, tap), r
