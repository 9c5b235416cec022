"""Device errors of weights in the forward pass, straight through in the backward pass.

A weight is one device, or a differential pair, in units of the largest conductance:

    g_plus = g_off + max(w, 0) / scale,   g_minus = g_off + max(-w, 0) / scale
    w~ = scale (g~_plus - g~_minus)       (one device: w~ = scale g~, g = |w| / scale)

and each g lives the life of `denram.mapping.errors`: programmed, verified, stuck,
relaxed, heated, read. A draw is a chip that is programmed anew; which of its devices
are stuck stays. The laws are those of `denram.devices`, handed on by the mapping room.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr, ndtri
from jaxtyping import Array, Float, Int, PRNGKeyArray

from denram.errors import InputError
from denram.mapping import (
    STUCK_HRS,
    STUCK_LRS,
    Arrhenius,
    ErrorConfig,
    LognormalProgramming,
    LogTimeDrift,
    NormalProgramming,
    ProgrammingLaw,
    TabulatedProgramming,
    drift_law,
    programming_law,
)

_LEAST_READ = 0.01  # of the conductance, as in denram.devices.ReadNoise


class WeightErrors(eqx.Module):
    """Errors of one array of weights.

    Attributes:
        stuck: kind of fault of (plus, minus) devices, 0 for a healthy one.
        law: programming error.
        drift: relaxation and drift.
        pulses: budget of program-and-verify, 0 for one pulse.
        tolerance: share of the target resistance within which a device is accepted.
        time_s: time since programming.
        thermal: R at the temperature of use over R at that of programming.
        read_noise: relative standard deviation of a read.
        off: smallest over largest conductance, 0 where unknown.
        positive: one device per weight instead of a pair.
    """

    stuck: Int[Array, "pair ..."]
    law: ProgrammingLaw = eqx.field(static=True)
    drift: LogTimeDrift = eqx.field(static=True)
    pulses: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    time_s: float = eqx.field(static=True)
    thermal: float = eqx.field(static=True)
    read_noise: float = eqx.field(static=True)
    off: float = eqx.field(static=True)
    positive: bool = eqx.field(static=True)

    def realised(
        self,
        w: Float[Array, "*w"],
        scale: Float[Array, ""] | float,
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "*w"]:
        """The weights of one programming and one read; the key is consumed.

        Args:
            w: weights that the devices are aimed at.
            scale: |w| at the largest conductance.
            key: of this programming.
        """
        key_plus, key_minus = jax.random.split(key)
        parts = jnp.maximum(w, 0.0), jnp.maximum(-w, 0.0)
        safe = jnp.where(scale > 0, scale, 1.0)
        if self.positive:
            return safe * self._lived(parts[0] / safe, self.stuck[0], key=key_plus)
        plus, minus = (
            self._lived(self.off + part / safe, stuck, key=one)
            for part, stuck, one in zip(
                parts, self.stuck, (key_plus, key_minus), strict=True
            )
        )
        return safe * (plus - minus)

    def _lived(
        self,
        target: Float[Array, "*w"],
        stuck: Int[Array, "*w"],
        *,
        key: PRNGKeyArray,
    ) -> Float[Array, "*w"]:
        """Conductances over the largest one, from target to read."""
        key_program, key_rate, key_walk, key_read = jax.random.split(key, 4)
        g = conductance(self.law, target, self._pulse(target, key=key_program))
        if self.time_s > 0:
            rate, walk = (
                jax.random.normal(one, g.shape, g.dtype) for one in (key_rate, key_walk)
            )
            g = g / self.drift.factor(self.time_s, rate, walk)
        g = g / self.thermal
        # neither pulses, nor time, nor heat move a stuck device
        g = jnp.where(stuck == STUCK_HRS, self.off, g)
        g = jnp.where(stuck == STUCK_LRS, 1.0, g)
        if self.read_noise:
            z = jax.random.normal(key_read, g.shape, g.dtype)
            g = g * jnp.maximum(1.0 + self.read_noise * z, _LEAST_READ)
        return g

    def _pulse(
        self, target: Float[Array, "*w"], *, key: PRNGKeyArray
    ) -> Float[Array, "*w"]:
        """The draw of the pulse that a device is left with.

        Pulses are independent, so the last one need not be found one by one: with p
        the chance of a pulse in the band, a device ends within the band with chance
        1 - (1 - p)**pulses, as a draw from there, and else as a draw from outside.
        """
        if not self.pulses:
            return jax.random.normal(key, target.shape, target.dtype)
        key_accepted, key_place = jax.random.split(key)
        low, high = accepted_draws(self.law, target, self.tolerance)
        below, within = ndtr(low), ndtr(high) - ndtr(low)
        place = jax.random.uniform(key_place, target.shape, target.dtype)
        outside = place * (1.0 - within)
        outside = jnp.where(outside < below, outside, outside + within)
        chance = 1.0 - (1.0 - within) ** self.pulses
        accepted = jax.random.uniform(key_accepted, target.shape, target.dtype) < chance
        u = jnp.where(accepted, below + place * within, outside)
        tiny = jnp.finfo(target.dtype).eps
        return ndtri(jnp.clip(u, tiny, 1.0 - tiny))


def conductance(
    law: ProgrammingLaw, target: Float[Array, "*w"], z: Float[Array, "*w"]
) -> Float[Array, "*w"]:
    """The conductance that a pulse of standard normal draw `z` leaves.

    Both in units of the largest conductance, which is what `NormalProgramming` is
    relative to here. An ideal 0 stays 0 but under that law.
    """
    if isinstance(law, NormalProgramming):
        return jnp.maximum(target + law.sigma_relative * z, 0.0)
    return 1.0 / law.apply(1.0 / target, z)


def accepted_draws(
    law: ProgrammingLaw, target: Float[Array, "*w"], tolerance: float
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Least and largest draw that leave R within (1 -+ tolerance) of its target."""
    # a tolerance of 1 accepts every resistance below the target
    ln_low, ln_high = math.log(max(1.0 - tolerance, 1e-300)), math.log1p(tolerance)
    match law:
        case NormalProgramming():
            sigma = max(law.sigma_relative, 1e-12)
            low = target * (math.exp(-ln_high) - 1.0) / sigma
            high = target * min(math.exp(-ln_low) - 1.0, 1e30) / sigma
            return low, high
        case LognormalProgramming():
            sigma = max(law.sigma_ln, 1e-12)
            return jnp.float32(ln_low / sigma), jnp.float32(ln_high / sigma)
        case TabulatedProgramming():
            n = len(law.quantiles_ln)
            even = (np.arange(n) + 0.5) / n
            ends = np.interp([ln_low, ln_high], law.quantiles_ln, even, left=0, right=1)
            low, high = (ndtri(jnp.float32(end)) for end in ends)
            return low, high
    return jnp.float32(-jnp.inf), jnp.float32(jnp.inf)


def weight_errors(
    errors: ErrorConfig,
    stuck: Int[np.ndarray, "pair ..."],
    *,
    off: float,
    positive: bool,
) -> WeightErrors | None:
    """The errors that a configuration asks of an array of weights; None for none.

    Args:
        errors: settings.
        stuck: kinds of faults, of plus and minus devices.
        off: smallest over largest conductance, 0 where unknown.
        positive: one device per weight instead of a pair.

    Raises:
        InputError: a law without its parameter, or pulses without a tolerance.
    """
    law = programming_law(errors, "weight")
    if errors.weight_verify_pulses and not errors.weight_verify_tolerance:
        raise InputError(
            "weight_verify_tolerance must be > 0 with weight_verify_pulses"
            f" {errors.weight_verify_pulses}, got 0"
        )
    thermal = 1.0
    if errors.weight_activation_ev:
        heated = Arrhenius(errors.weight_activation_ev, errors.reference_kelvin)
        thermal = float(heated.factor(errors.temperature_kelvin))
    drifts = errors.time_s > 0 and any(
        (
            errors.weight_drift_nu,
            errors.weight_drift_nu_sigma,
            errors.weight_relaxation_sigma,
        )
    )
    idle = not drifts and thermal == 1.0 and not errors.weight_read_noise
    if idle and errors.weight_programming == "none" and not stuck.any():
        return None
    return WeightErrors(
        stuck=jnp.asarray(stuck),
        law=law,
        drift=drift_law(errors, "weight"),
        pulses=errors.weight_verify_pulses,
        tolerance=errors.weight_verify_tolerance,
        time_s=errors.time_s if drifts else 0.0,
        thermal=thermal,
        read_noise=errors.weight_read_noise,
        off=off,
        positive=positive,
    )
