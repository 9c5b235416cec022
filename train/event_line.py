"""The event engine: delays that differ from spike to spike, and elements that are busy.

    I[t, b, o] = sum_{c, k} w[o, c, k] sum_s x[s, b, c] a[s] 1[t = s + D[s]]
    D[s] = min(rint(delay_s (1 + jitter_sigma N[s]) / timestep_s), max_delay)

Two effects of a real RC delay element make this no convolution, which is what
`delay_line` computes:

- Jitter. Reading a resistance is noisy, so every spike has a delay of its own: N[s] is
  a standard normal draw of its own, truncated where |jitter_sigma N| reaches 1, on both
  sides alike: no delay is negative and the mean delay stays.
- Dead time. After an element took a spike at step s, its capacitor charges for D[s]
  steps and is then reset. Spikes at steps s + 1 to s + D[s] - 1 are lost (a[s] = 0),
  one at step s + D[s] is taken. A delay of 0 or 1 step loses nothing.

Spikes that share step and channel are one event: x is their number, and one draw delays
them all. Without either effect the currents are those of `delay_line`.

A draw depends on (seed, read, sample, step, post, pre, tap) alone, not on threads, on
the batch or on the size of the layer. It has 16 bits: N is one of 65,536 quantiles of
the truncated normal law, at even probabilities. Its distribution function is off by at
most 7.7e-6, and |N| stays below 4.33.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy.typing import ArrayLike, NDArray

from denram.devices import delay_steps
from denram.errors import InputError
from denram.storage import require_memory
from denram.train import _event_kernels
from denram.train.jitter import jitter_factors, unrounded_steps

_LARGEST_WORD = 2**32 - 1


def event_currents(
    spikes: Shaped[np.ndarray, "time batch pre"],
    weights: Float[np.ndarray, "post pre tap"],
    delay_s: Float[np.ndarray, "post pre tap"],
    *,
    timestep_s: float,
    max_delay: int,
    jitter_sigma: float = 0.0,
    dead_time: bool = False,
    seed: int = 0,
    read: int = 0,
    samples: Int[np.ndarray, " batch"] | None = None,
) -> Float[np.ndarray, "time2 batch post"]:
    """Currents until the last delayed spike has passed, float32.

    Args:
        spikes: number of spikes of each step and channel, (time, batch, pre).
        weights: one per synapse, (post, pre, tap); 0 where the device is absent.
        delay_s: (post, pre, tap), finite and >= 0 where the weight is not 0.
        timestep_s: length of a step, > 0.
        max_delay: steps at which longer delays saturate.
        jitter_sigma: standard deviation of one spike's delay over the delay, 0 to 0.5.
        dead_time: whether a charging element loses spikes.
        seed: what the jitter is drawn from, 0 to 2**32 - 1.
        read: counts presentations of the same samples, 0 to 2**32 - 1.
        samples: number of each sample in its data set, which names its draws; None for
            0, 1, 2, ...

    Returns:
        Currents (time + max_delay, batch, post).

    Raises:
        InputError: shapes that do not fit or a value out of range.
    """
    x = _spikes(spikes, np.shape(weights))
    rows = _rows(weights, delay_s, timestep_s, max_delay, jitter_sigma)
    elements = (*rows, jitter_factors(jitter_sigma), bool(dead_time))
    address = _address(seed, read, samples, x.shape[1])
    n_time, batch, n_post = x.shape[0] + max_delay, x.shape[1], np.shape(weights)[0]
    require_memory(4 * n_time * batch * n_post, f"a current of {n_time} steps")
    out = np.zeros((batch, n_post, n_time), np.float32)
    _event_kernels.currents(out, x, elements, address)
    return out.transpose(2, 0, 1)


def event_predictions(
    weights: Float[np.ndarray, "post pre tap"],
    bias: Float[np.ndarray, " post"],
    delay_s: Float[np.ndarray, "post pre tap"],
    spikes: Shaped[np.ndarray, "time batch pre"],
    *,
    timestep_s: float,
    max_delay: int,
    decay: ArrayLike,
    n_steps: int,
    jitter_sigma: float = 0.0,
    dead_time: bool = False,
    seed: int = 0,
    read: int = 0,
    samples: Int[np.ndarray, " batch"] | None = None,
) -> Float[np.ndarray, "batch post"]:
    """Logits of the delay network, the largest membrane value of each neuron, float32.

        V[t] = max(0, decay V[t - 1] + I[t] + bias 1[t < n_steps]),    V[-1] = 0

    A network whose longest delay acts as one step less (`max_delay_is_one_less`) is
    asked for with that `max_delay`: what comes later only decays.

    Args:
        weights: as for `event_currents`, as are the arguments not named here.
        bias: current into each neuron during the input, (post,).
        delay_s: see `weights`.
        spikes: see `weights`.
        timestep_s: see `weights`.
        max_delay: see `weights`.
        decay: exp(-timestep_s / tau), 0 to 1, scalar or (post,).
        n_steps: steps during which the bias flows, at most time + max_delay.
        jitter_sigma: see `weights`.
        dead_time: see `weights`.
        seed: see `weights`.
        read: see `weights`.
        samples: see `weights`.

    Raises:
        InputError: as `event_currents`.
    """
    x = _spikes(spikes, np.shape(weights))
    rows = _rows(weights, delay_s, timestep_s, max_delay, jitter_sigma)
    elements = (*rows, jitter_factors(jitter_sigma), bool(dead_time))
    address = _address(seed, read, samples, x.shape[1])
    n_post, n_time = np.shape(weights)[0], x.shape[0] + max_delay
    neuron = (
        _per_neuron("bias", bias, n_post),
        _per_neuron("decay", decay, n_post, most=1.0),
        _whole("n_steps", n_steps, n_time),
        n_time,
    )
    out = np.zeros((x.shape[1], n_post), np.float32)
    _event_kernels.logits(out, x, elements, address, neuron)
    return out


def _spikes(spikes: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """Spikes as uint8 or float32, (time, batch, pre), for weights of this shape."""
    x = np.asarray(spikes)
    if len(shape) != 3:
        raise InputError(f"weights must be (post, pre, tap), got {shape}")
    if x.ndim != 3 or x.shape[2] != shape[1]:
        raise InputError(
            f"spikes must be (time, batch, {shape[1]}), as weights are, got {x.shape}"
        )
    if x.dtype in (np.bool_, np.uint8):
        return np.ascontiguousarray(x).view(np.uint8)
    return _finite("spikes", x)


def _rows(
    weights: Any, delay_s: Any, timestep_s: float, max_delay: int, sigma: float
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.uint32]]:
    """Weights, delays and counters as the kernels want them."""
    w = _finite("weights", weights)
    if np.shape(delay_s) != w.shape:
        raise InputError(
            f"delay_s must have the weights' shape {w.shape}, got {np.shape(delay_s)}"
        )
    present = np.where(w != 0, delay_s, 0.0)
    rounded = delay_steps(present, timestep_s=timestep_s, max_delay=max_delay)
    delays = rounded if sigma == 0 else unrounded_steps(present, timestep_s)
    n_post, n_group = w.shape[0], -(-w.shape[2] // 4)
    counters = np.indices((n_post, n_group), np.uint32).reshape(2, -1)
    return _laid_out(w), _laid_out(delays.astype(np.float64)), counters


def _laid_out(synapses: NDArray[Any]) -> NDArray[Any]:
    """Rows (pre, (tap % 4, post, tap // 4)) of an array (post, pre, tap), padded."""
    n_post, n_pre, n_tap = synapses.shape
    n_group = -(-n_tap // 4)
    padded = np.pad(synapses, ((0, 0), (0, 0), (0, 4 * n_group - n_tap)))
    blocks = padded.reshape(n_post, n_pre, n_group, 4).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(blocks).reshape(n_pre, 4 * n_post * n_group)


def _address(
    seed: int, read: int, samples: Any, batch: int
) -> tuple[int, int, NDArray[np.uint32]]:
    every = np.arange(batch) if samples is None else np.asarray(samples)
    if every.shape != (batch,) or not np.issubdtype(every.dtype, np.integer):
        raise InputError(f"samples must be {batch} whole numbers, got {samples!r}")
    for end in (every.min(initial=0), every.max(initial=0)):
        _whole("samples", int(end), _LARGEST_WORD)
    seed, read = (
        _whole(name, value, _LARGEST_WORD)
        for name, value in (("seed", seed), ("read", read))
    )
    return seed, read, every.astype(np.uint32)


def _per_neuron(
    name: str, values: ArrayLike, n_post: int, most: float | None = None
) -> NDArray[np.float32]:
    array = _finite(name, values)
    if array.shape not in ((), (n_post,)):
        raise InputError(f"{name} must be one per neuron ({n_post}), got {array.shape}")
    if most is not None and not ((array >= 0) & (array <= most)).all():
        raise InputError(f"{name} must be >= 0 and <= {most:g}, got {values}")
    return np.ascontiguousarray(np.broadcast_to(array, (n_post,)))


def _finite(name: str, values: Any) -> NDArray[np.float32]:
    array = np.asarray(values, np.float32, order="C")
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}")
    return array


def _whole(name: str, value: int, most: int) -> int:
    if isinstance(value, bool) or int(value) != value or not 0 <= value <= most:
        raise InputError(
            f"{name} must be a whole number from 0 to {most}, got {value!r}"
        )
    return int(value)
