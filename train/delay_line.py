"""The delay engine: currents through many fixed, whole-step delays, exact and fast.

    I[t, b, o] = sum_{c, k} w[o, c, k] x[t - d[o, c, k], b, c],    x[t < 0] = 0

The current is linear in the input, so nothing is gathered step by step: the taps are
added into a kernel over (delay, post, pre), and kernel and input are convolved in the
frequency domain. The length of the transform, `n_steps + max_delay`, leaves room for
every delayed copy: nothing wraps, the result is exact, and the cost hardly depends on
the number of taps. The derivative with respect to a weight is the derivative of the
kernel read back at the weight's delay.

Two steps, so that many networks or noise draws share the first: `input_spectrum`, then
`currents`; `delayed_currents` is both. A `Transform` says how; `plan` chooses it from
the sizes alone. Under `jax.vmap` the outputs of all networks are one longer `post` axis
of the same products.

A spectrum is real: for each frequency the real parts, then the imaginary parts, are
stacked along the second axis. One product per frequency, (2 batch, pre) with
(pre, 2 post), then gives all four real products of the complex one; on a CPU this
shape runs several times faster than a complex matrix product.

With two phases, even and odd time steps are transformed on their own, over half the
length: both transforms need half the arithmetic, the products twice as much,

    y[2m + q] = sum_{p + r = q} (x_p * k_r)[m] + sum_{p + r = q + 2} (x_p * k_r)[m - 1]
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int, Num

# Up to this length a matrix product with the DFT matrix beats an FFT on CPU. Measured
# training steps, 700 inputs, 150 steps, batch 64: 88 against 127 ms for max_delay 200,
# 319 against 394 for 850 (length 502); 510 against 532 for 1200 (676).
DFT_MATRIX_STEPS = 640

_HIGHEST = jax.lax.Precision.HIGHEST  # on GPU: no TF32, spectra cancel


@dataclass(frozen=True)
class Transform:
    """How an engine's input and kernel are taken to frequencies and back.

    Attributes:
        n_steps: length of the input, steps.
        max_delay: largest delay the kernel has room for, steps.
        phases: 1, or 2 to transform even and odd steps on their own.
        dft_matrix: transform by a matrix product instead of an FFT.
    """

    n_steps: int
    max_delay: int
    phases: int
    dft_matrix: bool

    @property
    def length(self) -> int:
        """Even number of steps (of one phase) in which no delayed copy wraps around."""
        if self.phases == 1:
            steps = self.n_steps + self.max_delay
        else:  # two half-length signals convolved, and one step for the shift
            steps = math.ceil(self.n_steps / 2) + math.ceil((self.max_delay + 1) / 2)
        return steps + steps % 2

    @property
    def n_freq(self) -> int:
        """Frequencies of a real signal of this length."""
        return self.length // 2 + 1


def plan(n_steps: int, max_delay: int, *, batch: int, post: int) -> Transform:
    """Choose the cheaper transform for these sizes; the results agree to rounding.

    Long transforms take the FFT in one phase. Short ones are matrix products, in the
    number of phases that needs fewer multiplications in a training step: per frequency
    and input channel, 2 (n_steps batch + 2 (max_delay + 1) post) for the transforms of
    input, kernel and kernel gradient, 8 batch post for the products and their
    gradient; two phases halve the former and double the latter.

    Args:
        n_steps: length of the input, steps.
        max_delay: largest delay, steps.
        batch: samples per batch.
        post: outputs, of all networks that share one input.
    """
    saved = n_steps * batch + 2 * (max_delay + 1) * post
    phases = 2 if saved > 8 * batch * post else 1
    short = Transform(n_steps, max_delay, phases=phases, dft_matrix=True)
    if short.length <= DFT_MATRIX_STEPS:
        return short
    return Transform(n_steps, max_delay, phases=1, dft_matrix=False)


def multiplications(transform: Transform, *, batch: int, pre: int, post: int) -> int:
    """Multiply-adds of a training step in the engine, its transforms as products.

    Args:
        transform: from `plan`.
        batch: samples per batch.
        pre: inputs.
        post: outputs.
    """
    phases, n_freq = transform.phases, transform.n_freq
    n_in = -(-transform.n_steps // phases)
    n_kernel = -(-(transform.max_delay + 1) // phases)
    n_out = -(-(transform.n_steps + transform.max_delay) // phases)
    rows = 2 * n_freq * phases
    return (
        rows * pre * n_in * batch  # input to spectrum
        + 2 * rows * pre * n_kernel * post  # kernel to spectrum, and its gradient
        + 2 * n_freq * (2 * phases * batch) * (2 * phases * post) * pre  # products
        + 2 * rows * n_out * batch * post  # currents to time, and their gradient
    )


def memory_bytes(n_transform: int, *, batch: int, pre: int, post: int, tap: int) -> int:
    """Largest memory of a training step in the engine, from its float32 arrays, bytes.

    Args:
        n_transform: steps of the input and longest delay together.
        batch: samples per batch.
        pre: inputs.
        post: outputs, of all networks that share one input.
        tap: synapses per input and output.
    """
    columns = (batch + post) * pre + 4 * batch * post
    # the input as floats and its spectrum; the kernel, its spectrum and their gradients
    return 4 * (3 * n_transform * columns + 12 * post * pre * tap)


def input_spectrum(
    x: Num[Array, "time batch pre"], transform: Transform
) -> Float[Array, "freq phases_two_batch pre"]:
    """Transform an input over time, once per batch.

    Args:
        x: spikes or any real signal, (time, batch, pre); integers are converted.
        transform: from `plan`.

    Returns:
        (freq, 2 phases batch, pre): real rows, then imaginary rows.
    """
    return _spectrum(_real(x), transform)


def currents(
    x_spectrum: Float[Array, "freq phases_two_batch pre"],
    weights: Float[Array, "post pre tap"],
    delay_steps: Int[Array, "post pre tap"],
    transform: Transform,
    n_steps: int,
) -> Float[Array, "time batch post"]:
    """Currents that an input, already transformed, sends through delayed synapses.

    Reverse-mode differentiable in `x_spectrum` and `weights`.

    Args:
        x_spectrum: from `input_spectrum`.
        weights: one weight per synapse, (post, pre, tap).
        delay_steps: whole steps in [0, max_delay]; duplicates add up.
        transform: from `plan`, the one that `x_spectrum` was made with.
        n_steps: how many steps of the result are wanted, at most the input's and the
            longest delay's together.

    Returns:
        Currents (n_steps, batch, post).
    """
    result: Any = _delayed(x_spectrum, weights, delay_steps, transform, n_steps)
    return result


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def _delayed(
    x_spectrum: Array,
    weights: Array,
    delay_steps: Array,
    transform: Transform,
    n_steps: int,
) -> Array:
    """`currents` with its own gradient and its own rule under `vmap`."""
    forward = _folding(partial(_currents, transform, n_steps))
    return forward(x_spectrum, weights, delay_steps)


def _forward(
    x_spectrum: Array,
    weights: Array,
    delay_steps: Array,
    transform: Transform,
    n_steps: int,
) -> tuple[Array, tuple[Array, Array, Array]]:
    result: Any = _delayed(x_spectrum, weights, delay_steps, transform, n_steps)
    return result, (x_spectrum, weights, delay_steps)


def _backward(
    transform: Transform,
    n_steps: int,
    saved: tuple[Array, Array, Array],
    gradient: Array,
) -> tuple[Array, Array, None]:
    def to_input(x_spectrum: Array, weights: Array, delays: Array, g: Array) -> Array:
        of = partial(_currents, transform, n_steps)
        return jax.vjp(lambda x: of(x, weights, delays), x_spectrum)[1](g)[0]

    def to_weights(x_spectrum: Array, weights: Array, delays: Array, g: Array) -> Array:
        of = partial(_currents, transform, n_steps)
        return jax.vjp(lambda w: of(x_spectrum, w, delays), weights)[1](g)[0]

    # two calls, so that the one which nobody asks for is not computed
    return (
        to_input(*saved, gradient),
        _folding(to_weights)(*saved, gradient),
        None,
    )


_delayed.defvjp(_forward, _backward)


def _folding(function: Callable[..., Array]) -> Callable[..., Array]:
    """A function of (x_spectrum, weights, delay_steps[, gradient]) under `vmap`.

    Where the input is shared, the networks become one network with more outputs: XLA
    would otherwise copy every operand into another order for each product.
    """
    folded = custom_vmap(function)

    @folded.def_vmap
    def rule(
        size: int, batched: list[bool], x_spectrum: Array, *rest: Array
    ) -> tuple[Array, bool]:
        every = (x_spectrum, *rest)
        if batched[0]:
            axes = [0 if is_batched else None for is_batched in batched]
            return jax.vmap(function, in_axes=axes)(*every), True
        spread = [
            array if is_batched else jnp.broadcast_to(array, (size, *array.shape))
            for array, is_batched in zip(rest, batched[1:], strict=True)
        ]
        _, post, pre, tap = spread[0].shape
        synapses = [array.reshape(size * post, pre, tap) for array in spread[:2]]
        signals = [_last_axis_in(array) for array in spread[2:]]
        result = function(x_spectrum, *synapses, *signals)
        if spread[2:]:  # the gradient of the weights
            return result.reshape(size, post, pre, tap), True
        apart = result.reshape(*result.shape[:2], size, post)
        return jnp.moveaxis(apart, 2, 0), True

    return folded


def _last_axis_in(
    signals: Float[Array, "network time batch post"],
) -> Float[Array, "time batch network_post"]:
    together = jnp.moveaxis(signals, 0, 2)
    return together.reshape(*together.shape[:2], -1)


def _currents(
    transform: Transform,
    n_steps: int,
    x_spectrum: Float[Array, "freq phases_two_batch pre"],
    weights: Float[Array, "post pre tap"],
    delay_steps: Int[Array, "post pre tap"],
) -> Float[Array, "time batch post"]:
    """Transform the kernel, multiply the spectra and return to time."""
    n_post, n_pre, _ = weights.shape
    post = jnp.arange(n_post)[:, None, None]
    pre = jnp.arange(n_pre)[None, :, None]
    kernel = jnp.zeros((transform.max_delay + 1, n_post, n_pre), weights.dtype)
    kernel = kernel.at[delay_steps, post, pre].add(weights, mode="drop")
    k_spectrum = _spectrum(kernel, transform)
    phases, n_freq = transform.phases, transform.n_freq
    batch = x_spectrum.shape[1] // (2 * phases)
    product = jnp.einsum("fbc,foc->fbo", x_spectrum, k_spectrum, precision=_HIGHEST)
    parts = product.reshape(n_freq, 2, phases, batch, 2, phases, n_post)
    real = parts[:, 0, :, :, 0] - parts[:, 1, :, :, 1]
    imag = parts[:, 0, :, :, 1] + parts[:, 1, :, :, 0]
    if phases == 2:
        real, imag = _even_and_odd(real, imag, transform.length)
    real, imag = (z.reshape(n_freq, phases * batch * n_post) for z in (real, imag))
    steps = math.ceil(n_steps / phases)
    signal = _signal(real, imag, steps, transform)
    return signal.reshape(steps * phases, batch, n_post)[:n_steps]


def delayed_currents(
    x: Num[Array, "time batch pre"],
    weights: Float[Array, "post pre tap"],
    delay_steps: Int[Array, "post pre tap"],
    *,
    max_delay: int,
    n_steps: int | None = None,
) -> Float[Array, "time2 batch post"]:
    """Currents of `n_steps` steps (default: until the last delayed copy has passed).

    Differentiable in `x` and `weights`. See the module's docstring for the formula.
    """
    transform = plan(x.shape[0], max_delay, batch=x.shape[1], post=weights.shape[0])
    n_steps = x.shape[0] + max_delay if n_steps is None else n_steps
    return currents(
        input_spectrum(x, transform), weights, delay_steps, transform, n_steps
    )


def _real(x: Num[Array, "..."]) -> Float[Array, "..."]:
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)


def _angles(n_rows: int, n_columns: int, length: int) -> np.ndarray:
    """2 pi (row x column mod n) / n, reduced in integers so that it stays exact."""
    product = np.outer(np.arange(n_rows), np.arange(n_columns)) % length
    return 2 * np.pi * product / length


def _spectrum(
    signal: Float[Array, "time row pre"], transform: Transform
) -> Float[Array, "freq phases_two_row pre"]:
    n_freq, phases = transform.n_freq, transform.phases
    signal = jnp.pad(signal, ((0, -signal.shape[0] % phases), (0, 0), (0, 0)))
    n_rows, n_pre = phases * signal.shape[1], signal.shape[2]
    signal = signal.reshape(-1, n_rows * n_pre)
    if not transform.dft_matrix:
        complex_ = jnp.fft.rfft(signal, n=transform.length, axis=0)
        both = jnp.stack([complex_.real, complex_.imag], axis=1)
        return both.reshape(n_freq, 2 * n_rows, n_pre)
    angle = _angles(n_freq, signal.shape[0], transform.length)
    matrix = np.stack([np.cos(angle), -np.sin(angle)], axis=1)  # (freq, 2, time)
    flat = matrix.reshape(2 * n_freq, -1).astype(signal.dtype)
    spectrum = jnp.matmul(flat, signal, precision=_HIGHEST)
    return spectrum.reshape(n_freq, 2 * n_rows, n_pre)


def _even_and_odd(
    real: Float[Array, "freq 2 batch 2 post"],
    imag: Float[Array, "freq 2 batch 2 post"],
    length: int,
) -> tuple[Float[Array, "freq 2 batch post"], Float[Array, "freq 2 batch post"]]:
    """Even and odd steps of the result, from the products of all pairs of phases."""
    angle = _angles(real.shape[0], 2, length)[:, 1, None, None]
    cos, sin = np.cos(angle).astype(real.dtype), np.sin(angle).astype(real.dtype)
    re, im = real[:, 1, :, 1], imag[:, 1, :, 1]  # odd with odd: one step later
    even_re = real[:, 0, :, 0] + re * cos + im * sin
    even_im = imag[:, 0, :, 0] + im * cos - re * sin
    odd_re, odd_im = (z[:, 0, :, 1] + z[:, 1, :, 0] for z in (real, imag))
    return jnp.stack([even_re, odd_re], axis=1), jnp.stack([even_im, odd_im], axis=1)


def _signal(
    real: Float[Array, "freq column"],
    imag: Float[Array, "freq column"],
    n_steps: int,
    transform: Transform,
) -> Float[Array, "time column"]:
    length, n_freq = transform.length, transform.n_freq
    if not transform.dft_matrix:
        return jnp.fft.irfft(jax.lax.complex(real, imag), length, axis=0)[:n_steps]
    angle = _angles(n_steps, n_freq, length)
    # every frequency but the first and the last stands for itself and its conjugate
    fold = np.full(n_freq, 2.0)
    fold[[0, -1]] = 1.0
    matrix = np.concatenate([np.cos(angle) * fold, -np.sin(angle) * fold], axis=1)
    scaled = (matrix / length).astype(real.dtype)
    return jnp.matmul(scaled, jnp.concatenate([real, imag]), precision=_HIGHEST)
