"""Jitter: the delay of one spike, drawn anew each time a resistance is read.

A spike's delay is its mean times 1 + sigma N, with N a standard normal number truncated
where |sigma N| reaches 1, on both sides alike: no delay is negative, the mean stays.
"""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from denram.devices import delay_steps
from denram.errors import InputError
from denram.storage import require_memory

MAX_SIGMA = 0.5  # the largest read noise of `mapping.ErrorConfig`
TABLE_BITS = 16  # random bits of one draw
_LARGEST_STEPS = 1e300  # a delay over a tiny timestep stays finite


def unrounded_steps(delay_s: ArrayLike, timestep_s: float) -> NDArray[np.float64]:
    """`delay_s / timestep_s`, any shape, kept finite."""
    with np.errstate(over="ignore"):
        return np.minimum(np.asarray(delay_s, np.float64) / timestep_s, _LARGEST_STEPS)


def jitter_factors(sigma: float) -> Float[np.ndarray, " quantile"]:
    """The 65,536 values, equally likely, of one delay over its mean; none if sigma = 0.

    Quantiles of 1 + sigma N, with N normal and |sigma N| < 1, at (i + 1/2) / 65536.

    Args:
        sigma: relative standard deviation before truncation, 0 to 0.5.

    Raises:
        InputError: sigma out of range.
    """
    if not 0 <= sigma <= MAX_SIGMA:
        raise InputError(f"jitter_sigma must be >= 0 and <= {MAX_SIGMA}, got {sigma}")
    if sigma == 0:
        return np.empty(0)
    n = 2**TABLE_BITS
    cut = ndtr(-1.0 / sigma)
    u = (np.arange(n) + 0.5) / n
    return 1.0 + sigma * ndtri(cut + u * (1.0 - 2.0 * cut))


def jittered_taps(
    delay_s: Float[np.ndarray, "*shape"],
    sigma: float,
    *,
    timestep_s: float,
    max_delay: int,
    n_sigma: float = 5.0,
) -> tuple[Int[np.ndarray, "*shape step"], Float[np.ndarray, "*shape step"]]:
    """The steps that one spike's delay may take under jitter, and how likely each is.

    The delay is m (1 + sigma N) steps, m = delay_s / timestep_s, rounded and saturated;
    Phi is the distribution function of N, a normal law truncated at n_sigma or
    1 / sigma standard deviations, whichever is less:

        P(step) = Phi((step + 1/2 - m) / (sigma m)) - Phi((step - 1/2 - m) / (sigma m))

    and the first and last step, 0 and max_delay, take all that lies beyond. Currents
    are linear in the spikes, so a convolution with these taps, each of its synapse's
    weight times its probability, is the expected current over all jitter. It is not
    the expectation of a logit, and knows no dead time.

    Args:
        delay_s: any shape, finite and >= 0.
        sigma: relative standard deviation of the jitter, 0 to 0.5.
        timestep_s: length of a step, > 0.
        max_delay: steps at which longer delays saturate.
        n_sigma: where the law ends, > 0; beyond 5 lies a share of 6e-7.

    Returns:
        Steps int32 in [0, max_delay] and probabilities float64, both (*shape, step)
        with as many as the widest delay needs; the rest have probability 0.

    Raises:
        InputError: a value out of range.
    """
    jitter_factors(sigma)
    if not n_sigma > 0:
        raise InputError(f"n_sigma must be > 0, got {n_sigma}")
    whole = delay_steps(delay_s, timestep_s=timestep_s, max_delay=max_delay)[..., None]
    if sigma == 0:
        return whole, np.ones(whole.shape)
    m = unrounded_steps(delay_s, timestep_s)[..., None]
    cut = min(n_sigma, 1.0 / sigma)
    first, last = (
        np.clip(np.rint(m * (1.0 + side)), 0, max_delay).astype(np.int64)
        for side in (-cut * sigma, cut * sigma)
    )
    n = int((last - first).max(initial=0)) + 1
    require_memory(48 * n * m.size, f"{n} steps for each of {m.size} delays")
    steps = first + np.arange(n)

    def below(edge: NDArray[np.floating]) -> NDArray[np.floating]:
        with np.errstate(divide="ignore", over="ignore"):
            z = (edge / m - 1.0) / sigma
        beyond = ndtr(-cut)
        return np.clip((ndtr(z) - beyond) / (1.0 - 2.0 * beyond), 0.0, 1.0)

    upper = np.where(steps >= max_delay, 1.0, below(steps + 0.5))
    lower = np.where(steps > max_delay, 1.0, below(steps - 0.5))
    return np.minimum(steps, max_delay).astype(np.int32), upper - lower
