"""hSNN: spiking layers whose time constants, kernels or dilations grow with depth.

    I = z W, or a dilated causal convolution in time, or delayed synapses
    V_t = alpha V_{t-1} + norm(I_t) [+ S_{t-1} W_rec] - threshold S_{t-1},   S = V > 1
    readout: V_t = alpha_o V_{t-1} + (1 - alpha_o) norm(I_t), then a decoder

Source: temporal hierarchy in spiking neural networks, arXiv 2407.18838, and its
released code EIS-Hub/hSNN @ 6c90b57.
"""

from denram.train.models.hsnn.config import CARD_KEYS_LEFT as CARD_KEYS_LEFT
from denram.train.models.hsnn.config import NetworkConfig as NetworkConfig
from denram.train.models.hsnn.network import network as network
from denram.train.models.hsnn.plan import arrays as arrays
from denram.train.models.hsnn.plan import check as check
from denram.train.models.hsnn.start import NEXT as NEXT
from denram.train.models.hsnn.start import alike as alike
from denram.train.models.hsnn.start import described as described
from denram.train.models.hsnn.start import event_scorer as event_scorer
from denram.train.models.hsnn.start import initial_params as initial_params
from denram.train.models.hsnn.start import memory_bytes as memory_bytes
from denram.train.models.hsnn.start import results as results
from denram.train.models.hsnn.start import slug as slug
from denram.train.models.hsnn.start import step_multiplications as step_multiplications
