"""Surrogate gradients: a step forward, a smooth or boxed slope backward.

    spike(x) = 1 if x > 0 else 0,      d spike / dx := g(x),      x = v - threshold

Every g is a function of the distance to threshold, in units of the membrane.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Derivative = Callable[[Float[Array, "*shape"]], Float[Array, "*shape"]]


def box(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1 where |x| < 0.5, else 0.

    Source: hSNN's default; STBP (Wu et al. 2018), eq. 24, of width and height 1.
    """
    return (jnp.abs(x) < 0.5).astype(x.dtype)


def fast_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """1 / (10 |x| + 1)^2.

    Source: SuperSpike, Zenke and Ganguli 2018, with hSNN's slope.
    """
    return 1.0 / (10.0 * jnp.abs(x) + 1.0) ** 2


def triangle(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """max(0, 1 - |x|).

    Source: Bellec et al. 2018 (LSNN), pseudo-derivative, without its damping of 0.3.
    """
    return jnp.maximum(0.0, 1.0 - jnp.abs(x))


def _normal(x: Float[Array, "*shape"], sd: float) -> Float[Array, "*shape"]:
    return jnp.exp(-0.5 * (x / sd) ** 2) / (sd * math.sqrt(2 * math.pi))


def gaussian(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """N(x; 0, 0.5) / 2: the normal density, damped by 0.5.

    Source: Yin, Corradi and Bohte 2021, the single Gaussian beside `multi_gaussian`.
    """
    return 0.5 * _normal(x, 0.5)


def multi_gaussian(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """0.5 (1.15 N(x; 0, s) - 0.15 N(x; s, 6 s) - 0.15 N(x; -s, 6 s)), s = 0.5.

    The negative tails are meant: they pull in neurons that are far from threshold.

    Source: Yin, Corradi and Bohte 2021, doi 10.1038/s42256-021-00397-w, eq. 5.
    """
    s = 0.5
    sides = _normal(x - s, 6 * s) + _normal(x + s, 6 * s)
    return 0.5 * (1.15 * _normal(x, s) - 0.15 * sides)


def exponential(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """exp(-5 |x|) / 2.

    Source: SLAYER, Shrestha and Orchard 2018, with the constants of Yin et al. 2021.
    """
    return 0.5 * jnp.exp(-5.0 * jnp.abs(x))


SURROGATES: Mapping[str, Derivative] = {
    "box": box,
    "fast_sigmoid": fast_sigmoid,
    "triangle": triangle,
    "gaussian": gaussian,
    "multi_gaussian": multi_gaussian,
    "exponential": exponential,
}


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def spike(x: Float[Array, "*shape"], surrogate: str = "box") -> Float[Array, "*shape"]:
    """1 where x > 0, else 0; differentiated as the named surrogate.

    Args:
        x: membrane minus threshold.
        surrogate: a key of `SURROGATES`.
    """
    del surrogate
    return (x > 0).astype(x.dtype)


@spike.defjvp
def _spike_jvp(  # a step has no slope where it matters
    surrogate: str, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    return spike(x, surrogate), SURROGATES[surrogate](x) * dx
