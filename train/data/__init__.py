"""Labelled spikes: generated sets that need no file, SHD, SSC and MNIST."""

from denram.train.data._registry import DATASETS as DATASETS
from denram.train.data._registry import DataSet as DataSet
from denram.train.data._registry import load as load
from denram.train.data.augment import shift_channels as shift_channels
from denram.train.data.config import DataConfig as DataConfig
from denram.train.data.mnist import load_mnist as load_mnist
from denram.train.data.mts_xor import make_mts_xor as make_mts_xor
from denram.train.data.shd import load_shd as load_shd
from denram.train.data.spikes import SpikeSet as SpikeSet
from denram.train.data.spikes import Splits as Splits
from denram.train.data.spikes import batch_indices as batch_indices
from denram.train.data.spikes import decode as decode
from denram.train.data.ssc import load_ssc as load_ssc
from denram.train.data.synthetic import make_synthetic as make_synthetic
