"""Which spikes a run learns from, and how they are binned, reduced and split."""

from typing import Annotated, Literal

from msgspec import Meta

from denram.config import Count, Fraction, NonNegative, Section, Seed


class DataConfig(Section, frozen=True):
    """The data set of a run.

    The time step (s), the number of inputs and the run's seed are not here: they
    belong to the hardware map and to the run.

    Args:
        dataset: `synthetic` and `mts_xor` need no file; `shd` is the Spiking
            Heidelberg Digits and `ssc` the Spiking Speech Commands (Cramer et al.
            2020, doi 10.1109/TNNLS.2020.3044364); `mts_xor` is the exclusive or of
            bits far apart in time (Moro et al. 2024, hSNN, after Zheng et al. 2024,
            doi 10.1038/s41467-023-44614-z); `mnist` gives each pixel one spike, the
            earlier the brighter; `s-mnist` shows the pixels' grey levels one by one;
            `ps-mnist` does so in one fixed random order.
        data_dir: folder that holds the data set's files.
        n_steps: input window in steps, when `truncation` is on. `mts_xor` must have
            10 + 15 k (published: 100), `s-mnist` and `ps-mnist` 784; these three and
            `mnist` (published: 50) look at this key whatever `truncation` is.
        truncation: keep `n_steps` steps; otherwise all steps of 1.4 s.
        binning: `exact` is floor(t / timestep); `published` has bins of 1.4/279 s
            for the nominal 5 ms and never uses bin 0.
        channels: `pool` joins neighbouring channels; `stride` keeps every k-th one
            and pads with channels that stay silent, as published.
        inputs: what a bin of `shd`, `ssc` and `synthetic` holds: `binary` is whether
            it has a spike (DenRAM), `count` how many (hSNN: its sparse tensor sums).
        split: `stratified` over label and speaker, the same for every seed;
            `published` is random and depends on the run's seed; `speaker` holds
            out whole training speakers. `ssc` and `mts_xor` have a validation set of
            their own and ignore this key.
        val_fraction: share of the training file that becomes the validation set.
        use_test_as_valid: choose the model by the test set. A leak, as in hSNN's
            published best convolutional result; the training set stays the same.
        freq_shift: mean of the random shift along the channels in training, in
            channels; 0 is off (hSNN: 10 for convolutions). See `shift_channels`.
        n_train: `synthetic` utterances before the validation set is taken out;
            training sequences of `mts_xor` (published: 10240).
        n_test: `synthetic` utterances of the test set; `mts_xor` sequences of the
            validation set and of the test set (published: 1024 each).
        data_seed: seed of what is generated, apart from the run's seed: the
            synthetic set, `mts_xor`, and the order of `ps-mnist`.
        noise_rate: `mts_xor`: chance of a background spike per bin (hSNN: 0.01).
        rate_low: `mts_xor`: chance of a spike per bin for a bit of 0 (hSNN: 0.2).
        rate_high: `mts_xor`: chance of a spike per bin for a bit of 1 (hSNN: 0.6).
    """

    dataset: Literal[
        "synthetic", "shd", "ssc", "mts_xor", "mnist", "s-mnist", "ps-mnist"
    ] = "synthetic"
    data_dir: str | None = None
    n_steps: Count = 150
    truncation: bool = True
    binning: Literal["exact", "published"] = "exact"
    channels: Literal["pool", "stride"] = "pool"
    inputs: Literal["binary", "count"] = "binary"
    split: Literal["stratified", "published", "speaker"] = "stratified"
    val_fraction: Annotated[float, Meta(gt=0, lt=1)] = 0.2
    use_test_as_valid: bool = False
    freq_shift: NonNegative = 0.0
    n_train: Annotated[int, Meta(ge=20, le=1_000_000)] = 1600
    n_test: Annotated[int, Meta(ge=20, le=1_000_000)] = 400
    data_seed: Seed = 0
    noise_rate: Fraction = 0.01
    rate_low: Fraction = 0.2
    rate_high: Fraction = 0.6
