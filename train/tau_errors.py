"""Membranes that leak faster or slower than they were meant to."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from denram.mapping import ErrorConfig, MapConfig, tau_factors
from denram.train.noise import straight_through


class TauErrors(eqx.Module):
    """Spread of the time constants of one layer.

        alpha~ = exp(-dt / (f tau)) = alpha^(1 / f),     f = exp(sigma N)

    Forward only: the gradient of alpha is that of alpha~ (straight through).

    Attributes:
        factors: f of each neuron on this chip; None where they are drawn anew.
        sigma_ln: standard deviation of ln f, where they are drawn anew.
    """

    factors: Float[Array, " neuron"] | None = None
    sigma_ln: float = eqx.field(static=True, default=0.0)

    @property
    def random(self) -> bool:
        """Whether two draws differ."""
        return self.sigma_ln > 0

    def realised(
        self, alpha: Float[Array, "*neuron"], n: int, *, key: PRNGKeyArray
    ) -> Float[Array, "*neuron"]:
        """Decay factors as the circuits have them; (n,) unless there is no spread.

        Args:
            alpha: decay per step that was meant, (n,) or a scalar.
            n: number of neurons.
            key: of this draw; consumed.
        """
        factors = self.factors
        if self.sigma_ln:
            factors = jnp.exp(self.sigma_ln * jax.random.normal(key, (n,), alpha.dtype))
        if factors is None:
            return alpha
        meant = jnp.broadcast_to(alpha, (n,))
        return straight_through(meant, meant ** (1.0 / factors))


def tau_errors(
    errors: ErrorConfig, chip: MapConfig, n: int, *, seed: int, name: str
) -> TauErrors | None:
    """The spread that a configuration asks for; None for none.

    Args:
        errors: settings.
        chip: which chip of the series.
        n: number of neurons.
        seed: of the chip.
        name: of the layer.
    """
    if not errors.tau_sigma:
        return None
    if errors.tau_redrawn:
        return TauErrors(sigma_ln=errors.tau_sigma)
    factors = tau_factors(n, errors.tau_sigma, chip, seed=seed, name=name)
    return TauErrors(jnp.asarray(factors, jnp.float32))
