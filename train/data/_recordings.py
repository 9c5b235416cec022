"""Data sets in SHD's file format: where their files are, and what a file holds."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from denram.errors import InputError
from denram.train.data._flat import Format, checksums, load_flat
from denram.train.data.binning import (
    bin_times,
    channel_table,
    looked_up,
    window_steps,
)
from denram.train.data.config import DataConfig
from denram.train.data.spikes import SpikeSet

BASE_URL = "https://zenkelab.org/datasets/"


def cache_folder() -> Path:
    """Where converted and downloaded files are kept."""
    import pooch

    return Path(os.environ.get("DENRAM_CACHE") or pooch.os_cache("denram"))


def data_folders(subfolder: str) -> list[Path]:
    """Where $DENRAM_DATA lets a data set be: there or in its own subfolder."""
    root = os.environ.get("DENRAM_DATA")
    return [Path(root), Path(root) / subfolder] if root else []


def local_files(
    accepted: Mapping[str, Sequence[str]], data_dir: str | None, subfolder: str
) -> dict[str, Path] | None:
    """The file of each part in `data_dir` or under $DENRAM_DATA; None if in neither.

    Args:
        accepted: names by part, the preferred one first.
        data_dir: the folder asked for.
        subfolder: the data set's own in $DENRAM_DATA.

    Raises:
        InputError: `data_dir` lacks a part, or another folder holds only some.
    """
    if data_dir is not None:
        return _in_folder(accepted, Path(data_dir), "data_dir")
    for folder in data_folders(subfolder):
        if any((folder / n).is_file() for names in accepted.values() for n in names):
            return _in_folder(accepted, folder, "DENRAM_DATA")
    return None


def _in_folder(
    accepted: Mapping[str, Sequence[str]], folder: Path, parameter: str
) -> dict[str, Path]:
    found = {}
    for part, names in accepted.items():
        there = [folder / name for name in names if (folder / name).is_file()]
        if not there:
            raise InputError(
                f"{parameter} must hold {' or '.join(names)}"
                f" (from {BASE_URL}), got {str(folder)!r}"
            )
        found[part] = there[0]
    return found


def fetched(
    name: str, md5: str, folder: Path, *, base_url: str, needed: Iterable[str]
) -> Path:
    """Fetch one official file unless it is there; kept only if its MD5 is right.

    Raises:
        InputError: no network or a wrong checksum; says what to do by hand.
    """
    import pooch

    try:
        path = pooch.retrieve(base_url + name, f"md5:{md5}", name, folder)
    except (OSError, ValueError) as error:
        wrong = "does not match" in str(error)
        reason = "wrong checksum" if wrong else type(error).__name__
        raise InputError(
            f"cannot download {base_url}{name} ({reason}): fetch {', '.join(needed)}"
            " from there and give their folder as --data_dir"
        ) from None
    return Path(path)


def recordings(
    find: Callable[[str | None], dict[str, Path]],
    config: DataConfig,
    format: Format,
    *,
    named: Callable[[Path, str], tuple[str, str]],
    n_in: int,
    timestep_s: float,
) -> tuple[dict[str, SpikeSet], dict[str, Any]]:
    """Each part, binned and with its channels joined; and its line of provenance.

    Times must not fall within a sample, unless the file is known by its MD5. Nothing
    is looked for, let alone downloaded, before the parameters are checked.

    Args:
        find: the file of each part, from the folder asked for.
        config: window, binning, channels and what a bin holds.
        format: what a file may hold.
        named: what the data are and how that is known, from the file and its MD5.
        n_in: number of network inputs, 1 to 700.
        timestep_s: time step, s.

    Raises:
        InputError: a malformed file (the sample is named), or parameters that do not
            fit the data.
        StorageError: the cache cannot be written.
    """
    n_steps = window_steps(config.n_steps, config.truncation, timestep_s)
    table = channel_table(n_in, config.channels)
    sets, files = {}, {}
    for part, path in find(config.data_dir).items():
        sums = checksums(path)
        name, named_by = named(path, sums["md5"])
        ordered = named_by != "md5"
        flat = load_flat(
            path, sums["sha256"], cache_folder(), ordered=ordered, format=format
        )
        sets[part] = SpikeSet.from_events(
            bin_times(flat.times, timestep_s, config.binning),
            looked_up(table, flat.units),
            flat.offset,
            label=flat.label,
            speaker=flat.speaker,
            n_in=n_in,
            n_steps=n_steps,
            n_classes=format.n_classes,
            name=name,
            counts=config.inputs == "count",
        )
        del flat  # gigabytes, beside the next file's
        files[part] = {"file": path.name, "named_by": named_by, **sums}
    return sets, files
