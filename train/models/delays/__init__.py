"""DenRAM: one layer of leaky integrators behind many fixed random delays.

    I_i(t) = sum_j W~_ij x_c(j)(t - d_ij) + b~_i 1[t < n_steps]
    V_i(t) = max(0, exp(-dt / tau_mem) V_i(t - 1) + I_i(t))
    logit_i = max over t of V_i(t)

Delays come from the chip (`HardwareMap`) and stay; weights are learnt under noise.
Source: DenRAM, Nat. Commun. 15:3446 (2024), figure 4d, and its released simulation.
"""

from denram.train.models.delays.build import NEXT as NEXT
from denram.train.models.delays.build import alike as alike
from denram.train.models.delays.build import arrays as arrays
from denram.train.models.delays.build import build as build
from denram.train.models.delays.build import check as check
from denram.train.models.delays.build import described as described
from denram.train.models.delays.build import initial_params as initial_params
from denram.train.models.delays.build import memory_bytes as memory_bytes
from denram.train.models.delays.build import network as network
from denram.train.models.delays.build import results as results
from denram.train.models.delays.build import slug as slug
from denram.train.models.delays.build import (
    step_multiplications as step_multiplications,
)
from denram.train.models.delays.events import EventScorer as EventScorer
from denram.train.models.delays.events import event_scorer as event_scorer
from denram.train.models.delays.network import CARD_KEYS_LEFT as CARD_KEYS_LEFT
from denram.train.models.delays.network import DelayNetwork as DelayNetwork
from denram.train.models.delays.network import NetworkConfig as NetworkConfig
