"""Labelled spikes: a synthetic set that needs no file, and SHD."""

from denram.train.data._registry import DATASETS as DATASETS
from denram.train.data._registry import load as load
from denram.train.data.config import DataConfig as DataConfig
from denram.train.data.shd import load_shd as load_shd
from denram.train.data.spikes import SpikeSet as SpikeSet
from denram.train.data.spikes import Splits as Splits
from denram.train.data.spikes import batch_indices as batch_indices
from denram.train.data.spikes import decode as decode
from denram.train.data.synthetic import make_synthetic as make_synthetic
