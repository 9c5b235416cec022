"""Laws of resistance fitted to readings: lognormal, normal in G, two states.

Each is one or two normal components of x = ln R, or one of x = G. A reading's
likelihood is that of R, so that laws in R and in G can be compared.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from denram.devices._checks import FloatArray
from denram.devices.censored import Censored, Components, fit_components
from denram.devices.fit_readings import KNOWN, OPEN, SHORT, Readings

LawName = Literal["lognormal", "normal-g", "mixture"]
LAWS: tuple[LawName, ...] = ("lognormal", "normal-g", "mixture")


@dataclass(frozen=True)
class FittedLaw:
    """A law of resistance with the parameters that readings gave it.

    Attributes:
        name: `lognormal`: ln R ~ N; `normal-g`: G ~ N (G <= 0: an open cell);
            `mixture`: ln R ~ w N + (1 - w) N.
        components: of ln R, or of G in siemens.
        log_likelihood: of the resistances, in nat with R in ohm.
    """

    name: LawName
    components: Components
    log_likelihood: float

    @property
    def n_parameters(self) -> int:
        """Free parameters: 2, or 5 of a mixture."""
        return 5 if self.name == "mixture" else 2

    @property
    def aic(self) -> float:
        """`2 n_parameters - 2 log_likelihood`: the smaller the better."""
        return 2 * self.n_parameters - 2 * self.log_likelihood

    def cdf(self, resistance_ohm: ArrayLike) -> FloatArray:
        """Probability of at most this resistance; `P(G >= 1/R)` for normal-g."""
        c, r = self.components, np.asarray(resistance_ohm, np.float64)
        with np.errstate(divide="ignore"):
            if self.name == "normal-g":
                return ndtr((c.mean[0] - 1 / r) / c.sigma[0])
            z = (np.log(r)[..., None] - c.mean) / c.sigma
        return ndtr(z) @ c.weight

    def quantile(self, probability: ArrayLike) -> FloatArray:
        """Resistance that a share `probability` of devices does not exceed, ohm.

        Infinite where the law says that the cell is open.
        """
        c, p = self.components, np.asarray(probability, np.float64)
        if self.name == "normal-g":
            g = c.mean[0] - c.sigma[0] * ndtri(p)
            with np.errstate(divide="ignore"):
                return np.where(g > 0, 1 / g, np.inf)
        x = c.mean + c.sigma * ndtri(p)[..., None]
        if len(c.weight) == 1:
            return np.exp(x[..., 0])
        return np.exp(_mixture_quantile(c, p, x.min(-1), x.max(-1)))

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Independent resistances, (n,), infinite for open cells."""
        c = self.components
        which = rng.random(n) > c.weight[0] if len(c.weight) > 1 else np.zeros(n, int)
        x = c.mean[which * 1] + c.sigma[which * 1] * rng.standard_normal(n)
        if self.name == "normal-g":
            return np.where(x > 0, 1 / np.maximum(x, 1e-300), np.inf)
        return np.exp(x)

    def parameters(self) -> dict[str, float]:
        """Named parameters, in ohm, siemens or 1."""
        c = self.components
        if self.name == "normal-g":
            return {
                "mean_siemens": float(c.mean[0]),
                "sigma_siemens": float(c.sigma[0]),
                "cv": float(c.sigma[0] / c.mean[0]),
            }
        if self.name == "lognormal":
            median, sigma = math.exp(c.mean[0]), float(c.sigma[0])
            mean = median * math.exp(sigma**2 / 2)
            return {"mean_ohm": mean, "median_ohm": median, "sigma_ln": sigma}
        low, high = np.exp(c.mean)
        return {
            "share_low": float(c.weight[0]),
            "median_low_ohm": float(low),
            "sigma_ln_low": float(c.sigma[0]),
            "median_high_ohm": float(high),
            "sigma_ln_high": float(c.sigma[1]),
        }


def fit_law(
    name: LawName, readings: Readings, *, start: FittedLaw | None = None
) -> FittedLaw:
    """Fit one law by maximum likelihood, censored readings by their probability.

    Args:
        name: of the law.
        readings: at least two different known ones.
        start: a law to begin at, for refits; these stop earlier.

    Raises:
        InputError: fewer than two different known readings.
    """
    data = censored(readings, inverse=name == "normal-g")
    how: dict[str, float | int] = {}
    if start is not None:
        how = {"tolerance": 1e-7, "most_steps": 200}
    found = fit_components(
        data,
        2 if name == "mixture" else 1,
        start=None if start is None else start.components,
        **how,  # type: ignore[arg-type]
    )
    known = readings.resistance_ohm[readings.kind == KNOWN]
    # the density of R: f(ln R) / R, or f(G) / R**2
    power = 2 if name == "normal-g" else 1
    log_likelihood = found.log_likelihood - power * float(np.log(known).sum())
    return FittedLaw(name, found, log_likelihood)


def censored(readings: Readings, *, inverse: bool) -> Censored:
    """Readings as ln R; or as G in siemens, where an open cell has a small one."""
    r, kind = readings.resistance_ohm, readings.kind
    x = 1 / r if inverse else np.log(r)
    known, is_open, short = (x[kind == k] for k in (KNOWN, OPEN, SHORT))
    return Censored(known, short if inverse else is_open, is_open if inverse else short)


def _mixture_quantile(
    c: Components, p: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Bisection between the components' own quantiles."""
    inside = (p > 0) & (p < 1)
    low, high = np.where(inside, low, 0.0), np.where(inside, high, 0.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = ndtr((middle[..., None] - c.mean) / c.sigma) @ c.weight < p
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    outside = np.where(p >= 1, np.inf, -np.inf)
    return np.where(inside, (low + high) / 2, outside)
