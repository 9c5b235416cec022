import os
import time
from pathlib import Path

import numpy as np
import pytest

from denram.train.data import DataConfig, decode, load

pytestmark = pytest.mark.real_data
ROOT = Path(os.environ.get("DENRAM_DATA") or "../shared/data")
FOLDER = Path(__file__).parents[3] / ROOT / "shd-regen"
TEST_SAMPLES = 1132


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    if not (FOLDER / "shd_train.h5.gz").is_file():
        pytest.skip(f"no real spikes in {FOLDER}")

    def load_real(n_in, **keys):
        config = DataConfig(dataset="shd", data_dir=str(FOLDER), **keys)
        return load(config, n_in=n_in, timestep_s=0.005, seed=42)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DENRAM_CACHE", str(tmp_path_factory.mktemp("real")))
        yield {
            "whole": load_real(700, split="speaker"),
            "published": load_real(
                256, channels="stride", binning="published", split="published"
            ),
        }


def test_real_speech_has_the_published_counts(real):
    splits = real["published"]
    assert (len(splits.train), len(splits.valid)) == (6524, 1632)
    if splits.name == "shd-regen":
        assert len(splits.test) == TEST_SAMPLES


def test_256_inputs_by_stride_leave_22_dead_on_real_speech(real):
    splits = real["published"]
    assert splits.train.dead_channels().tolist() == list(range(234, 256))
    assert decode(splits.train, range(200))[0].sum() == 0


def test_all_real_speech_stays_below_300_mb_with_700_live_inputs(real):
    splits = real["whole"]
    assert splits.train.nbytes + splits.valid.nbytes < 300e6
    assert splits.train.dead_channels().size == 0


def test_the_speaker_split_holds_real_speakers_out(real):
    splits = real["whole"]
    assert not set(splits.train.speaker) & set(splits.valid.speaker)
    assert abs(len(splits.valid) - 1632) < 500


def test_a_batch_of_real_speech_is_decoded_within_10_ms(real):
    splits = real["whole"]
    n = len(splits.train)
    batches = np.random.default_rng(0).integers(0, n, (10, 64))
    decode(splits.train, batches[0])
    took_s = []
    for batch in batches:
        start = time.perf_counter()
        decode(splits.train, batch)
        took_s.append(time.perf_counter() - start)
    assert min(took_s) < 0.010
