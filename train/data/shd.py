"""Spiking Heidelberg Digits, and any other data in its file format."""

from pathlib import Path

from denram.train.data._flat import SHD as FORMAT
from denram.train.data._recordings import (
    BASE_URL,
    cache_folder,
    fetched,
    local_files,
    recordings,
)
from denram.train.data.config import DataConfig
from denram.train.data.spikes import Splits
from denram.train.data.split import splits_of

PARTS = ("train", "test")
# MD5 of the .gz files as several public loaders of SHD pin them; the server's own
# md5sums.txt lies beside the files and could change with them
OFFICIAL_MD5 = {
    "shd_train.h5.gz": "d47c9825dee33347913e8ce0f2be08b0",
    "shd_test.h5.gz": "3062a80ec0c5719404d5b02e166543b1",
}
REGENERATED = "shd-regen"
UNKNOWN = "SHD format, unknown source"
# MD5 of known files, packed and unpacked
KNOWN_MD5 = {
    **dict.fromkeys(OFFICIAL_MD5.values(), "SHD"),
    "8e9877c85f29a28dd353ea6a54402667": "SHD",
    "207ad1295a0ab611e22d1734989c254e": "SHD",
    "e1ea289ac4fdf360b31ac03d6e756f5b": REGENERATED,
    "7c4121e3222f90e52a4d04be96dedc69": REGENERATED,
    "b02bcfa76cfba087941136d60dbb6795": REGENERATED,
    "955f2859260731040491733ea32bb0d3": REGENERATED,
}


def load_shd(config: DataConfig, *, n_in: int, timestep_s: float, seed: int) -> Splits:
    """Load SHD: from `data_dir`, from $DENRAM_DATA (or its shd/), or by download.

    The first use of a file converts it into the cache, $DENRAM_CACHE or the user's
    own. Times must be >= 0 and < 1.4 s and must not fall within a sample (a file
    known by its checksum may be in any order).

    Args:
        config: where the files are, window, binning, channels and split.
        n_in: number of network inputs, 1 to 700.
        timestep_s: time step, s.
        seed: the run's seed; only the `published` split looks at it.

    Raises:
        InputError: no files, a malformed file (the sample is named), or parameters
            that do not fit the data.
        StorageError: the cache cannot be written.

    Source: Cramer, Stradmann, Schemmel, Zenke 2020, doi 10.1109/TNNLS.2020.3044364.
    """
    sets, files = recordings(
        source_files,
        config,
        FORMAT,
        named=source_name,
        n_in=n_in,
        timestep_s=timestep_s,
    )
    source = {"files": files, "inputs": config.inputs}
    return splits_of(sets["train"], sets["test"], config, seed=seed, source=source)


def source_files(data_dir: str | None) -> dict[str, Path]:
    """The training and the test file, on disk; downloaded if nothing else is named.

    Raises:
        InputError: `data_dir` lacks a file, or the download fails; the message says
            what to fetch and where to put it.
    """
    accepted = {p: (f"shd_{p}.h5.gz", f"shd_{p}.h5") for p in PARTS}
    there = local_files(accepted, data_dir, "shd")
    if there is not None:
        return there
    return {part: download(accepted[part][0], cache_folder()) for part in PARTS}


def download(name: str, folder: Path, *, base_url: str = BASE_URL) -> Path:
    """Fetch one official file unless it is there; kept only if its MD5 is right.

    Raises:
        InputError: no network or a wrong checksum; says what to do by hand.
    """
    md5 = OFFICIAL_MD5[name]
    return fetched(name, md5, folder, base_url=base_url, needed=OFFICIAL_MD5)


def source_name(path: Path, md5: str) -> tuple[str, str]:
    """What a file is, and how that is known: its MD5, a README beside it, or not."""
    if md5 in KNOWN_MD5:
        return KNOWN_MD5[md5], "md5"
    readme = path.with_name("README.md")
    if readme.is_file():
        with readme.open(encoding="utf-8", errors="replace") as file:
            if REGENERATED in file.readline(1000):
                return REGENERATED, "README.md"
    return UNKNOWN, "nothing"
