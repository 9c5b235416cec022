"""Spiking Speech Commands: 35 words, in the file format of SHD."""

from pathlib import Path

from denram.train.data._flat import Format
from denram.train.data._recordings import (
    BASE_URL,
    cache_folder,
    fetched,
    local_files,
    recordings,
)
from denram.train.data.config import DataConfig
from denram.train.data.spikes import Splits

PARTS = ("train", "valid", "test")
# hundreds of millions of spikes of four bytes; a compressed bomb stops here
FORMAT = Format("ssc", 35, 8 << 30)
# MD5 of the .zip files as several public loaders of SSC pin them
OFFICIAL_MD5 = {
    "ssc_train.h5.zip": "d102be95e7144fcc0553d1f45ba94170",
    "ssc_valid.h5.zip": "b4eee3516a4a90dd0c71a6ac23a8ae43",
    "ssc_test.h5.zip": "a35ff1e9cffdd02a20eb850c17c37748",
}
UNKNOWN = "SSC format, unknown source"


def load_ssc(config: DataConfig, *, n_in: int, timestep_s: float, seed: int) -> Splits:
    """Load SSC: from `data_dir`, from $DENRAM_DATA (or its ssc/), or by download.

    The three sets are the three official files, whatever `config.split` says.
    Otherwise as `load_shd`.

    Args:
        config: where the files are, window, binning, channels and inputs.
        n_in: number of network inputs, 1 to 700.
        timestep_s: time step, s.
        seed: not used; nothing here is random.

    Raises:
        InputError: no files, a malformed file (the sample is named), or parameters
            that do not fit the data.
        StorageError: the cache cannot be written.

    Source: Cramer, Stradmann, Schemmel, Zenke 2020, doi 10.1109/TNNLS.2020.3044364.
    """
    del seed
    sets, files = recordings(
        source_files,
        config,
        FORMAT,
        named=source_name,
        n_in=n_in,
        timestep_s=timestep_s,
    )
    provenance = {
        "dataset": {part: spikes.name for part, spikes in sets.items()},
        "files": files,
        "inputs": config.inputs,
        "n_samples": {part: len(spikes) for part, spikes in sets.items()},
        "split": "official files; the key split is not used",
    }
    return Splits(**sets, provenance=provenance)


def source_files(data_dir: str | None) -> dict[str, Path]:
    """The three files, on disk; downloaded if nothing else is named.

    Raises:
        InputError: `data_dir` lacks a file, or the download fails; the message says
            what to fetch and where to put it.
    """
    endings = ("h5.zip", "h5.gz", "h5")
    accepted = {p: [f"ssc_{p}.{end}" for end in endings] for p in PARTS}
    there = local_files(accepted, data_dir, "ssc")
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
    """What a file is, and how that is known: its MD5, or not."""
    del path
    known = md5 in OFFICIAL_MD5.values()
    return ("SSC", "md5") if known else (UNKNOWN, "nothing")
