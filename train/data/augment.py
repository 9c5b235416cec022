"""What is done to a decoded batch in training, and never to what is scored."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError

_Number = TypeVar("_Number", np.uint8, np.float32)


def shift_channels(
    x: NDArray[_Number], *, freq_shift: float, seed: int, epoch: int, batch: int
) -> NDArray[_Number]:
    """Shift a batch along its channels, each sample up or down.

    The batch's magnitude is m = max(0, int(3 N(0, 1) + freq_shift)); each sample moves
    by m channels up with probability 1/2, else down. What leaves the range is lost and
    what enters is silent. All is drawn from (seed, epoch, batch) alone, so that a
    resumed run repeats it.

    Args:
        x: decoded spikes, shape (time, batch, pre).
        freq_shift: mean shift before truncation, channels; 0 returns `x` itself.
        seed: of the run's order of batches, 0 to 2^32 - 1.
        epoch: number of the epoch.
        batch: number of the batch in its epoch.

    Raises:
        InputError: a negative number, or `freq_shift` that is not finite.

    Source: hSNN (Moro et al. 2024), whose convolutional runs use 10.
    """
    if not (np.isfinite(freq_shift) and min(freq_shift, seed, epoch, batch) >= 0):
        raise InputError(
            "freq_shift, seed, epoch and batch must be >= 0,"
            f" got {freq_shift}, {seed}, {epoch}, {batch}"
        )
    if freq_shift == 0:
        return x
    # the order of the epoch has the same key; its counter never gets here
    philox = np.random.Philox(key=[seed, epoch], counter=[0, 0, batch, 1])
    random = np.random.Generator(philox)
    n_in = x.shape[2]
    m = int(np.clip(3 * random.standard_normal() + freq_shift, 0, n_in))
    up = random.random(x.shape[1]) < 0.5
    out = np.zeros_like(x)
    out[:, up, m:] = x[:, up, : n_in - m]
    out[:, ~up, : n_in - m] = x[:, ~up, m:]
    return out
