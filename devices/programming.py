"""Programming error: what one programming makes of the resistance that was asked for.

Each law is a pure function of the target and of a standard normal draw per device, in
the array library of its inputs (NumPy, or JAX inside a compiled step):

    z = standard_normal(target_ohm.shape, seed=1, stream=Stream("delay programming"))
    resistance_ohm = LognormalProgramming(0.1).apply(target_ohm, z)
"""

from dataclasses import dataclass
from typing import Protocol

from denram.devices._arrays import Array, known, namespace, ndtr, truncated_normal
from denram.devices._checks import numbers, positive, spread
from denram.devices.draws import MAX_SIGMA_LN
from denram.errors import InputError

MAX_LN_RATIO = 90.0  # 39 decades, as far as MAX_SIGMA_LN reaches
_LEAST = 0.01  # of the target conductance, as in `relative_factor`


class ProgrammingLaw(Protocol):
    """What every law of programming error can do."""

    def apply(self, resistance_ohm: Array, z: Array) -> Array:
        """Resistances obtained, in ohm, where `resistance_ohm` was asked for.

        Args:
            resistance_ohm: targets, each finite and > 0; they are not checked.
            z: standard normals, independent, of the same shape and library.
        """
        ...


@dataclass(frozen=True)
class NoProgrammingError:
    """Every device gets its target: the published idealisation."""

    def apply(self, resistance_ohm: Array, z: Array) -> Array:
        """The targets."""
        del z
        return resistance_ohm


@dataclass(frozen=True)
class LognormalProgramming:
    """`R = target * exp(sigma_ln * z)`: the median is the target.

    Attributes:
        sigma_ln: standard deviation of ln R about ln target, 0 to 10.

    Raises:
        InputError: a parameter out of range (unless it is traced).
    """

    sigma_ln: float

    def __post_init__(self) -> None:
        if known(self.sigma_ln):
            spread("sigma_ln", self.sigma_ln, MAX_SIGMA_LN)

    def apply(self, resistance_ohm: Array, z: Array) -> Array:
        """`target * exp(sigma_ln * z)`."""
        return resistance_ohm * namespace(z).exp(self.sigma_ln * z)


@dataclass(frozen=True)
class NormalProgramming:
    """`G = G_target + sigma_relative * G_reference * N`, G the conductance.

    N is a standard normal conditioned on G >= G_target / 100, so that every device
    still conducts. With the reference at the target that cut is felt from sigma = 0.2
    on: it raises the mean of G.

    Attributes:
        sigma_relative: standard deviation over the reference, 0 to 10.
        reference_siemens: G_reference, such as a technology's largest conductance;
            None for each device's own target.

    Raises:
        InputError: a parameter out of range (unless it is traced).
    """

    sigma_relative: float
    reference_siemens: float | None = None

    def __post_init__(self) -> None:
        if known(self.sigma_relative):
            spread("sigma_relative", self.sigma_relative, MAX_SIGMA_LN)
        if self.reference_siemens is not None and known(self.reference_siemens):
            positive("reference_siemens", self.reference_siemens)

    def apply(self, resistance_ohm: Array, z: Array) -> Array:
        """`1 / (G_target + sigma_relative * G_reference * N)`."""
        if known(self.sigma_relative) and self.sigma_relative == 0:
            return resistance_ohm
        xp, sigma = namespace(z), self.sigma_relative  # in units of the target
        if self.reference_siemens is not None:
            sigma = sigma * self.reference_siemens * resistance_ohm
        low = xp.asarray((_LEAST - 1.0) / sigma, dtype=z.dtype)
        factor = 1.0 + sigma * truncated_normal(z, low)
        return resistance_ohm / xp.maximum(factor, _LEAST)


@dataclass(frozen=True)
class TabulatedProgramming:
    """`ln(R / target) = Q(Phi(z))`, Q read off a table of measured quantiles.

    The n quantiles stand at the probabilities (i + 1/2) / n, i = 0 to n - 1; between
    them Q is linear, beyond the first and the last it is constant.

    Attributes:
        quantiles_ln: ln(R / target), two or more, ascending, within +-90.

    Raises:
        InputError: a table that is none of these.
    """

    quantiles_ln: tuple[float, ...]

    def __post_init__(self) -> None:
        table = numbers("quantiles_ln", self.quantiles_ln)
        if table.ndim != 1 or table.size < 2:
            raise InputError(
                f"quantiles_ln must be two numbers or more, got shape {table.shape}"
            )
        if abs(table).max() > MAX_LN_RATIO:
            raise InputError(
                f"quantiles_ln must be within +-{MAX_LN_RATIO:g},"
                f" got {table[abs(table).argmax()]}"
            )
        falls = (table[1:] < table[:-1]).nonzero()[0]
        if falls.size:
            before, after = table[falls[0] : falls[0] + 2]
            raise InputError(f"quantiles_ln must ascend, got {before} before {after}")

    def apply(self, resistance_ohm: Array, z: Array) -> Array:
        """`target * exp(Q(Phi(z)))`."""
        xp, n = namespace(z), len(self.quantiles_ln)
        table = xp.asarray(self.quantiles_ln, dtype=z.dtype)
        places = xp.asarray([(i + 0.5) / n for i in range(n)], dtype=z.dtype)
        return resistance_ohm * xp.exp(xp.interp(ndtr(z), places, table))
