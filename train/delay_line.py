"""The delay engine: currents through many fixed, whole-step delays, exact and fast.

    I[t, b, o] = sum_{c, k} w[o, c, k] x[t - d[o, c, k], b, c],    x[t < 0] = 0

The current is linear in the input, so nothing is gathered step by step: the taps are
added into a kernel over (delay, post, pre), and kernel and input are convolved in the
frequency domain. The length of the transform, `n_steps + max_delay`, leaves room for
every delayed copy: nothing wraps, the result is exact, and the cost hardly depends on
the number of taps. The derivative with respect to a weight is the derivative of the
kernel read back at the weight's delay.

Three steps, so that many networks or noise draws can share the first:
`input_spectrum` -> `kernel_spectrum` -> `currents`; `delayed_currents` is all three.

A spectrum is real: for each frequency the real part, then the imaginary part, are
stacked along the second axis. One product per frequency, (2 batch, pre) with
(pre, 2 post), then gives all four real products of the complex one; on a CPU this
shape runs several times faster than a complex matrix product.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

# Up to this many transformed steps a matrix product with the DFT matrix beats an FFT
# on CPU (measured: 150 steps to 350, 47 ms against 82 ms; benchmarks/delay_engine.py).
DFT_MATRIX_STEPS = 512

_HIGHEST = jax.lax.Precision.HIGHEST  # on GPU: no TF32, spectra cancel


def transform_length(n_steps: int, max_delay: int) -> int:
    """Even number of steps in which no delayed copy wraps around."""
    return n_steps + max_delay + (n_steps + max_delay) % 2


def uses_dft_matrix(n_transformed: int) -> bool:
    """The rule that chooses the path: short transforms are matrix products."""
    return n_transformed <= DFT_MATRIX_STEPS


def input_spectrum(
    x: Num[Array, "time batch pre"], *, n_transform: int
) -> Float[Array, "freq two_batch pre"]:
    """Transform an input over time, once per batch.

    Args:
        x: spikes or any real signal, (time, batch, pre); integers are converted.
        n_transform: from `transform_length`.

    Returns:
        (n_transform / 2 + 1, 2 batch, pre): real rows, then imaginary rows.
    """
    return _spectrum(_real(x), n_transform)


def kernel_spectrum(
    weights: Float[Array, "post pre tap"],
    delay_steps: Int[Array, "post pre tap"],
    *,
    n_transform: int,
    max_delay: int,
) -> Float[Array, "freq two_post pre"]:
    """Transform the kernel that weights and delays describe.

    Args:
        weights: one weight per synapse, (post, pre, tap).
        delay_steps: whole steps in [0, max_delay]; duplicates add up.
        n_transform: from `transform_length`.
        max_delay: largest delay the kernel has room for.

    Returns:
        (n_transform / 2 + 1, 2 post, pre): real rows, then imaginary rows.
    """
    n_post, n_pre, _ = weights.shape
    post = jnp.arange(n_post)[:, None, None]
    pre = jnp.arange(n_pre)[None, :, None]
    kernel = jnp.zeros((max_delay + 1, n_post, n_pre), weights.dtype)
    kernel = kernel.at[delay_steps, post, pre].add(weights, mode="drop")
    return _spectrum(kernel, n_transform)


def currents(
    x_spectrum: Float[Array, "freq two_batch pre"],
    k_spectrum: Float[Array, "freq two_post pre"],
    *,
    n_steps: int,
    n_transform: int,
) -> Float[Array, "time batch post"]:
    """Multiply two spectra and return to time.

    Args:
        x_spectrum: from `input_spectrum`.
        k_spectrum: from `kernel_spectrum`, with the same `n_transform`.
        n_steps: how many steps of the result are wanted, at most `n_transform`.
        n_transform: from `transform_length`.

    Returns:
        Currents (n_steps, batch, post).
    """
    n_freq = x_spectrum.shape[0]
    batch, post = x_spectrum.shape[1] // 2, k_spectrum.shape[1] // 2
    product = jnp.einsum("fbc,foc->fbo", x_spectrum, k_spectrum, precision=_HIGHEST)
    four = product.reshape(n_freq, 2, batch, 2, post)
    real = four[:, 0, :, 0] - four[:, 1, :, 1]
    imag = four[:, 0, :, 1] + four[:, 1, :, 0]
    return _signal(real, imag, n_steps, n_transform)


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
    n_transform = transform_length(x.shape[0], max_delay)
    n_steps = x.shape[0] + max_delay if n_steps is None else n_steps
    return currents(
        input_spectrum(x, n_transform=n_transform),
        kernel_spectrum(
            weights, delay_steps, n_transform=n_transform, max_delay=max_delay
        ),
        n_steps=n_steps,
        n_transform=n_transform,
    )


def _real(x: Num[Array, "..."]) -> Float[Array, "..."]:
    return x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)


def _angles(n_rows: int, n_columns: int, n_transform: int) -> np.ndarray:
    """2 pi (row x column mod n) / n, reduced in integers so that it stays exact."""
    product = np.outer(np.arange(n_rows), np.arange(n_columns)) % n_transform
    return 2 * np.pi * product / n_transform


def _spectrum(
    signal: Float[Array, "time row pre"], n_transform: int
) -> Float[Array, "freq two_row pre"]:
    n_freq = n_transform // 2 + 1
    n_steps, n_rows, n_pre = signal.shape
    if not uses_dft_matrix(n_transform):
        complex_ = jnp.fft.rfft(signal, n=n_transform, axis=0)
        return jnp.concatenate([complex_.real, complex_.imag], axis=1)
    angle = _angles(n_freq, n_steps, n_transform)
    matrix = np.stack([np.cos(angle), -np.sin(angle)], axis=1)  # (freq, 2, time)
    flat = matrix.reshape(2 * n_freq, n_steps).astype(signal.dtype)
    spectrum = jnp.matmul(
        flat, signal.reshape(n_steps, n_rows * n_pre), precision=_HIGHEST
    )
    return spectrum.reshape(n_freq, 2 * n_rows, n_pre)


def _signal(
    real: Float[Array, "freq batch post"],
    imag: Float[Array, "freq batch post"],
    n_steps: int,
    n_transform: int,
) -> Float[Array, "time batch post"]:
    if not uses_dft_matrix(n_transform):
        return jnp.fft.irfft(jax.lax.complex(real, imag), n_transform, axis=0)[:n_steps]
    n_freq, batch, post = real.shape
    angle = _angles(n_steps, n_freq, n_transform)
    # every frequency but the first and the last stands for itself and its conjugate
    fold = np.full(n_freq, 2.0)
    fold[[0, -1]] = 1.0
    matrix = np.concatenate([np.cos(angle) * fold, -np.sin(angle) * fold], axis=1)
    both = jnp.concatenate([real, imag]).reshape(2 * n_freq, batch * post)
    scaled = (matrix / n_transform).astype(real.dtype)
    return jnp.matmul(scaled, both, precision=_HIGHEST).reshape(n_steps, batch, post)
