"""Random words to normal and lognormal numbers, in vector loops.

Only sums, products, quotients, roots and shifts of IEEE numbers are used, no library
function: each is rounded correctly everywhere, so a draw has the same bits on every
machine, in every lane and at every place of an array.
"""

import math

import numpy as np

from denram._numba import kernel

_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_LN2_HIGH = 0.693147180369123816490  # ln 2 to 33 bits: its multiples are exact
_LN2_LOW = 1.90821492927058770002e-10

# Wichura (1988), AS 241, PPND16: highest power first
_CENTRE_TOP = (
    2509.0809287301226727,
    33430.575583588128105,
    67265.770927008700853,
    45921.953931549871457,
    13731.693765509461125,
    1971.5909503065514427,
    133.14166789178437745,
    3.387132872796366608,
)
_CENTRE_BOTTOM = (
    5226.495278852545925,
    28729.085735721942674,
    39307.89580009271061,
    21213.794301586595867,
    5394.1960214247511077,
    687.1870074920579083,
    42.313330701600911252,
    1.0,
)
_TAIL_TOP = (
    7.7454501427834140764e-4,
    0.0227238449892691845833,
    0.24178072517745061177,
    1.27045825245236838258,
    3.64784832476320460504,
    5.7694972214606914055,
    4.6303378461565452959,
    1.42343711074968357734,
)
_TAIL_BOTTOM = (
    1.05075007164441684324e-9,
    5.475938084995344946e-4,
    0.0151986665636164571966,
    0.14810397642748007459,
    0.68976733498510000455,
    1.6763848301838038494,
    2.05319162663775882187,
    1.0,
)
_FAR_TOP = (
    2.01033439929228813265e-7,
    2.71155556874348757815e-5,
    0.0012426609473880784386,
    0.026532189526576123093,
    0.29656057182850489123,
    1.7848265399172913358,
    5.4637849111641143699,
    6.6579046435011037772,
)
_FAR_BOTTOM = (
    2.04426310338993978564e-15,
    1.4215117583164458887e-7,
    1.8463183175100546818e-5,
    7.868691311456132591e-4,
    0.0148753612908506148525,
    0.13692988092273580531,
    0.59983220655588793769,
    1.0,
)
# 1/n! and 1/(2n+1), highest power first: the series of exp and of artanh
_EXP = tuple(1.0 / math.factorial(n) for n in range(13, -1, -1))
_ARTANH = tuple(1.0 / (2 * n + 1) for n in range(10, -1, -1))


@kernel(inline=True)
def _polynomial(x, coefficients):
    y = 0.0
    for c in coefficients:
        y = y * x + c
    return y


@kernel(inline=True)
def centred(high, low):
    """64 random bits to an odd multiple of 2**-53 in (-1/2, 1/2), exactly."""
    return (high * 2.0**-32 - 0.5) + (np.uint32(low >> 12) * 2.0**-52 + 2.0**-53)


@kernel()
def logarithm(x):
    """Replace positive, normal `x` by ln x: x = 2**n m, ln m = 2 artanh s."""
    bits = x.view(np.int64)
    power = np.empty(x.size, np.int32)
    for i in range(x.size):
        n = (bits[i] - _SQRT_HALF_BITS) >> 52
        power[i] = n
        bits[i] -= n << 52
    for i in range(x.size):
        s = (x[i] - 1.0) / (x[i] + 1.0)
        series = 2.0 * s * _polynomial(s * s, _ARTANH)
        x[i] = power[i] * _LN2_HIGH + (power[i] * _LN2_LOW + series)


@kernel()
def exponential(x):
    """Replace `x` by exp x, for |x| < 700: x = n ln 2 + r, |r| <= ln(2) / 2."""
    power = np.empty(x.size, np.int64)
    scale = power.view(np.float64)
    for i in range(x.size):
        n = np.floor(x[i] * 1.4426950408889634 + 0.5)
        r = (x[i] - n * _LN2_HIGH) - n * _LN2_LOW
        power[i] = np.int64(np.int32(n) + 1023) << 52
        x[i] = _polynomial(r, _EXP)
    for i in range(x.size):
        x[i] *= scale[i]


@kernel()
def _tail(p):
    """Replace `p` <= 0.075 by the normal quantile of 1 - p."""
    logarithm(p)
    for i in range(p.size):
        p[i] = np.sqrt(-p[i])
    for i in range(p.size):
        if p[i] > 5.0:
            r = p[i] - 5.0
            p[i] = _polynomial(r, _FAR_TOP) / _polynomial(r, _FAR_BOTTOM)
        else:
            r = p[i] - 1.6
            p[i] = _polynomial(r, _TAIL_TOP) / _polynomial(r, _TAIL_BOTTOM)


@kernel()
def normal(z, high, low):
    """Write to `z` the standard normals of the random words `high`, `low`.

    Inverse CDF at 1/2 + q (Wichura 1988, AS 241), |q| > 0.425 gathered apart.
    """
    place = np.empty(z.size, np.int64)
    tail = np.empty(z.size, np.float64)
    n = 0
    for i in range(z.size):
        q = centred(high[i], low[i])
        r = 0.180625 - q * q
        z[i] = q * _polynomial(r, _CENTRE_TOP) / _polynomial(r, _CENTRE_BOTTOM)
    for i in range(z.size):
        p = 0.5 - abs(centred(high[i], low[i]))
        place[n] = i
        tail[n] = p
        n += p < 0.075
    _tail(tail[:n])
    for i in range(n):
        z[place[i]] = math.copysign(tail[i], z[place[i]])
