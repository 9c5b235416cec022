"""What a chip makes of a network: delays in steps, conductances, wasted synapses."""

from denram.mapping.constraints import CARD_KEYS as CARD_KEYS
from denram.mapping.constraints import MapConfig as MapConfig
from denram.mapping.constraints import card_settings as card_settings
from denram.mapping.hardware_map import HardwareMap as HardwareMap
from denram.mapping.hardware_map import build_map as build_map
from denram.mapping.histograms import map_histograms as map_histograms
from denram.mapping.report import MapReport as MapReport
from denram.mapping.report import map_report as map_report
from denram.mapping.store import open_map as open_map
from denram.mapping.store import save_map as save_map
from denram.mapping.waste import Waste as Waste
from denram.mapping.waste import stride_dead_inputs as stride_dead_inputs
from denram.mapping.waste import trailing_inputs as trailing_inputs
from denram.mapping.waste import waste_flags as waste_flags
from denram.mapping.weights import WeightRange as WeightRange
from denram.mapping.weights import quantise as quantise
