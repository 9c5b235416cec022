"""Which spikes a run learns from, and how they are binned, reduced and split."""

from typing import Annotated, Literal

from msgspec import Meta

from denram.config import Count, Section, Seed


class DataConfig(Section, frozen=True):
    """The data set of a run.

    The time step (s), the number of inputs and the run's seed are not here: they
    belong to the hardware map and to the run.

    Args:
        dataset: `synthetic` needs no file; `shd` is the Spiking Heidelberg Digits.
        data_dir: folder that holds shd_train.h5.gz and shd_test.h5.gz.
        n_steps: input window in steps, when `truncation` is on.
        truncation: keep `n_steps` steps; otherwise all steps of 1.4 s.
        binning: `exact` is floor(t / timestep); `published` has bins of 1.4/279 s
            for the nominal 5 ms and never uses bin 0.
        channels: `pool` joins neighbouring channels; `stride` keeps every k-th one
            and pads with channels that stay silent, as published.
        split: `stratified` over label and speaker, the same for every seed;
            `published` is random and depends on the run's seed; `speaker` holds
            out whole training speakers.
        val_fraction: share of the training file that becomes the validation set.
        n_train: synthetic utterances before the validation set is taken out.
        n_test: synthetic utterances of the test set.
        data_seed: seed of the synthetic set, apart from the run's seed.
    """

    dataset: Literal["synthetic", "shd"] = "synthetic"
    data_dir: str | None = None
    n_steps: Count = 150
    truncation: bool = True
    binning: Literal["exact", "published"] = "exact"
    channels: Literal["pool", "stride"] = "pool"
    split: Literal["stratified", "published", "speaker"] = "stratified"
    val_fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    n_train: Annotated[int, Meta(ge=20, le=1_000_000)] = 1600
    n_test: Annotated[int, Meta(ge=20, le=1_000_000)] = 400
    data_seed: Seed = 0
