"""When an RC element behind a source pulse crosses its comparator's threshold.

The source rises linearly from 0 to Vdd within `rise_s`, stays for `width_s`, and falls
within `rise_s` again. With tau = R C, a = rise / tau and theta = Vth / Vdd:

    on the rise    t = tau (y + W0(-exp(-y))),  y = 1 + theta a
    on the top     t = tau (ln((exp(a) - 1) / a) - ln(1 - theta))
    on the fall    t = rise + width + tau (A + W-1(-B exp(-A))),
                   A = 1 + a (1 - theta),  B = 1 + a (1 - V1 / Vdd)

with V1 the capacitor's voltage at the end of the top and W Lambert's function; later it
only discharges. The delay counts from the middle of the rising edge, as between two
50 % points. On the top it is tau (k + ln(sinh(a/2) / (a/2))), k = -ln(1 - theta): the
k R C of the map, and what the finite rise adds to it, about tau a**2 / 24.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import lambertw

from denram.errors import InputError

Floats = NDArray[np.float64]
# below this y - 1, three terms of the series are better than Lambert's function
_SMALL = 1e-5


@dataclass(frozen=True)
class Pulse:
    """A trapezoid of the source.

    Attributes:
        supply_volt: its height, > 0.
        rise_s: length of the rising edge, and of the falling one, > 0.
        width_s: length of the flat top, > 0; infinite if the source stays on.

    Raises:
        InputError: a value out of range.
    """

    supply_volt: float
    rise_s: float = 1e-9
    width_s: float = float("inf")

    def __post_init__(self) -> None:
        for name in ("supply_volt", "rise_s", "width_s"):
            value = getattr(self, name)
            if not value > 0 or (name != "width_s" and not np.isfinite(value)):
                raise InputError(f"{name} must be > 0 and finite, got {value}")


def pulse_delay_s(
    resistance_ohm: ArrayLike,
    capacitance_farad: ArrayLike,
    threshold_volt: ArrayLike,
    pulse: Pulse,
) -> Floats:
    """Delay from the middle of the rising edge to the crossing; infinite if never.

    Args:
        resistance_ohm: R, > 0, any shape.
        capacitance_farad: C, > 0, of a shape that fits.
        threshold_volt: Vth with its offset, > 0; at the supply or above it is never
            crossed.
        pulse: the source.

    Returns:
        Seconds, of the common shape; negative where the threshold is crossed before the
        middle of the edge.

    Raises:
        InputError: a value that is not finite and > 0, or R C that no float holds.
    """
    r, c, v = np.broadcast_arrays(
        _positive("resistance_ohm", resistance_ohm),
        _positive("capacitance_farad", capacitance_farad),
        _positive("threshold_volt", threshold_volt),
    )
    with np.errstate(over="ignore", under="ignore"):
        tau = _positive("R C", r * c)
        a = _positive("rise_s / R C", pulse.rise_s / tau)
    theta = v / pulse.supply_volt
    within = theta < 1
    safe = np.where(within, theta, 0.5)
    crossing = np.where(
        _ramp_level(a) >= safe,
        tau * _on_rise(a, safe),
        tau * (_log_ramp(a) - np.log1p(-safe)),
    )
    late = crossing > pulse.rise_s + pulse.width_s
    if late.any():
        crossing = np.where(late, _on_fall(tau, a, safe, pulse), crossing)
    return np.where(within, crossing - pulse.rise_s / 2, np.inf)


def _positive(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, np.float64)
    good = np.isfinite(array) & (array > 0)
    if not good.all():
        raise InputError(f"{name} must be finite and > 0, got {array[~good].flat[0]}")
    return array


def _ramp_level(a: Floats) -> Floats:
    """V / Vdd at the end of the rise: 1 - (1 - exp(-a)) / a."""
    small = a < 1e-4
    b = np.where(small, 1.0, a)
    return np.where(small, a / 2 - a**2 / 6, 1 + np.expm1(-b) / b)


def _log_ramp(a: Floats) -> Floats:
    """ln((exp(a) - 1) / a), at any a."""
    small = a < 1e-4
    b = np.where(small, 1.0, a)
    return np.where(small, a / 2 + a**2 / 24, b + np.log(-np.expm1(-b) / b))


def _on_rise(a: Floats, theta: Floats) -> Floats:
    """The x >= 0 of x - 1 + exp(-x) = theta a."""
    y = theta * a
    s = np.sqrt(2 * y)
    series = s + s**2 / 6 + s**3 / 36
    # far out the exponential has vanished, and so has W0
    exact = 1 + y + lambertw(-np.exp(-1 - np.maximum(y, _SMALL))).real
    return np.where(y < _SMALL, series, exact)


def _on_fall(tau: Floats, a: Floats, theta: Floats, pulse: Pulse) -> Floats:
    """Crossing while the source falls and is still above the capacitor."""
    missing = np.exp(_log_ramp(a) - (pulse.rise_s + pulse.width_s) / tau)  # 1 - V1/Vdd
    reached = np.log1p(a * missing) <= a * (1 - theta)
    big_a, big_b = 1 + a * (1 - theta), 1 + a * missing
    argument = np.maximum(-big_b * np.exp(-big_a), -np.exp(-1.0))
    # -0.0, where the exponential has vanished, would make W-1 infinite
    x = big_a + lambertw(np.minimum(argument, -1e-300), -1).real
    top = pulse.rise_s + pulse.width_s
    return np.where(reached, top + tau * np.clip(x, 0, a), np.inf)
