"""MNIST as spikes: one per pixel, the earlier the brighter; or grey levels in turn."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from denram.errors import InputError
from denram.storage import require_memory
from denram.train.data._flat import checksums
from denram.train.data._images import (
    N_CLASSES,
    NPZ,
    OFFICIAL_MD5,
    SIDE,
    Images,
    image_files,
    read_images,
)
from denram.train.data._recordings import data_folders
from denram.train.data.binning import OUTSIDE
from denram.train.data.config import DataConfig
from denram.train.data.spikes import SpikeSet, Splits
from denram.train.data.split import splits_of

N_PIXELS = SIDE * SIDE
FORMS = ("mnist", "s-mnist", "ps-mnist")
# time constant in steps and threshold of the latency code, as hSNN has them
TAU_STEPS = 20.0
THRESHOLD = 0.2


def load_mnist(
    config: DataConfig, *, n_in: int, timestep_s: float, seed: int
) -> Splits:
    """Load MNIST from `data_dir` or from $DENRAM_DATA (or its mnist/).

    `mnist`: pixel value x = grey level / 255 spikes once, in the step of
    `latency_steps`. `s-mnist`: step t holds the grey level of pixel t, a graded event
    of level / 255; black pixels are no events. `ps-mnist`: the same, where step t
    shows pixel p(t) of one permutation drawn from `data_seed`.

    Args:
        config: form, where the files are, window and split.
        n_in: number of network inputs: 784 for `mnist`, else 1.
        timestep_s: not used; the images are told in steps.
        seed: the run's seed; only the `published` split looks at it.

    Raises:
        InputError: no files, a malformed file, or parameters that do not fit.

    Source: LeCun, Cortes, Burges, the MNIST database; codes as in hSNN (Moro et al.
    2024).
    """
    del timestep_s
    form = config.dataset
    needed = N_PIXELS if form == "mnist" else 1
    if n_in != needed:
        raise InputError(f"n_in must be {needed} for {form}, got {n_in}")
    n_steps = mnist_steps(config)
    files = source_files(config.data_dir)
    sets, md5 = {}, {}
    found = read_images(files)
    for part, images in found.items():
        require_memory(30 * images.pixels.size, "MNIST")
        sets[part] = _events(images, form, n_steps, config.data_seed)
        md5 |= images.md5
    source: dict[str, Any] = {
        "files": {path.name: checksums(path) for path in files},
        "content_md5": md5,
        "named_by": "md5" if all(i.official for i in found.values()) else "nothing",
    }
    if form == "ps-mnist":
        source["data_seed"] = config.data_seed
    return splits_of(sets["train"], sets["test"], config, seed=seed, source=source)


def mnist_steps(config: DataConfig) -> int:
    """The window in steps.

    Raises:
        InputError: fewer than 2 steps, or not one for each pixel in turn.
    """
    n = config.n_steps
    if config.dataset != "mnist":
        if n != N_PIXELS:
            raise InputError(
                f"n_steps must be {N_PIXELS} for {config.dataset}, got {n}"
            )
    elif not 2 <= n < OUTSIDE:
        raise InputError(f"n_steps must be 2 to {OUTSIDE - 1} for mnist, got {n}")
    return n


def source_files(data_dir: str | None) -> list[Path]:
    """The four idx files (.gz or not) or mnist.npz. Nothing is ever downloaded.

    Raises:
        InputError: they are nowhere; the message says what to fetch.
    """
    folders = data_folders("mnist") if data_dir is None else [Path(data_dir)]
    for folder in folders:
        files = image_files(folder)
        if files is not None:
            return files
    raise InputError(
        f"data_dir must hold {NPZ} or the idx files {', '.join(OFFICIAL_MD5)} (.gz or"
        f" not), got {data_dir!r}: fetch MNIST and give its folder as --data_dir"
    )


def latency_steps(n_steps: int) -> NDArray[np.uint16]:
    """Step of the spike of each grey level, `OUTSIDE` below the threshold.

    x = level / 255 >= 0.2 spikes at min(int(T), n_steps - 1),
    T = 20 ln(x / (x - 0.2)); at x = 0.2 T is infinite.

    Args:
        n_steps: length of the window, at least 2.
    """
    x = np.arange(256) / 255
    steps = np.full(256, OUTSIDE, dtype=np.uint16)
    above = x > THRESHOLD
    t = TAU_STEPS * np.log(x[above] / (x[above] - THRESHOLD))
    steps[above] = np.minimum(t, n_steps - 1)
    steps[x == THRESHOLD] = n_steps - 1
    return steps


def pixel_order(data_seed: int) -> NDArray[np.int64]:
    """The pixel that `ps-mnist` shows in each step."""
    philox = np.random.Philox(key=[data_seed, N_PIXELS])
    return np.random.Generator(philox).permutation(N_PIXELS)


def _events(images: Images, form: str, n_steps: int, data_seed: int) -> SpikeSet:
    pixels, count = images.pixels, None
    if form == "mnist":
        table = latency_steps(n_steps)
        row, channel = np.nonzero(table[pixels] != OUTSIDE)
        step = table[pixels[row, channel]]
    else:
        if form == "ps-mnist":
            pixels = pixels[:, pixel_order(data_seed)]
        row, step = np.nonzero(pixels)
        count, channel = pixels[row, step], np.zeros(row.size)
    lengths = np.bincount(row, minlength=pixels.shape[0])
    return SpikeSet(
        step=step.astype(np.uint16),
        channel=channel.astype(np.uint16),
        offset=np.concatenate([[0], lengths]).cumsum(dtype=np.int64),
        label=images.label,
        speaker=np.full(images.label.size, -1, dtype=np.int16),
        n_in=N_PIXELS if form == "mnist" else 1,
        n_steps=n_steps,
        n_classes=N_CLASSES,
        name=_name(form, images.official),
        count=count,
        unit=1.0 if count is None else 1 / 255,
    )


def _name(form: str, official: bool) -> str:
    name = form.replace("mnist", "MNIST")
    return name if official else f"{name} format, unknown source"
