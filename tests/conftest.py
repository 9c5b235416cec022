"""Strict numerics for the whole suite, and where real data are looked for."""

import os
from pathlib import Path

import jax
import pytest
from hypothesis import settings

settings.register_profile("denram", deadline=None, derandomize=True)
settings.load_profile("denram")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="session")
def speech_dir() -> Path:
    """Folder of real spikes in SHD's format, or skip with the reason."""
    given = os.environ.get("DENRAM_DATA")
    root = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    for folder in (root / "shd-regen", root):
        if (folder / "shd_train.h5.gz").exists():
            return folder
    pytest.skip(f"no shd_train.h5.gz under {root}; set DENRAM_DATA to run this test")
