"""Devices: from a card to distributions, and to samples. Knows no network."""

from denram.devices.bands import relative_band as relative_band
from denram.devices.bands import step_band as step_band
from denram.devices.cards import DeviceCard as DeviceCard
from denram.devices.cards import card_names as card_names
from denram.devices.cards import load_card as load_card
from denram.devices.draws import Stream as Stream
from denram.devices.draws import standard_normal as standard_normal
from denram.devices.draws import uniform as uniform
from denram.devices.draws import uniform_integer as uniform_integer
from denram.devices.drift import LogTimeDrift as LogTimeDrift
from denram.devices.faults import HEALTHY as HEALTHY
from denram.devices.faults import STUCK_HRS as STUCK_HRS
from denram.devices.faults import STUCK_LRS as STUCK_LRS
from denram.devices.faults import StuckFaults as StuckFaults
from denram.devices.legacy import legacy_key as legacy_key
from denram.devices.legacy import legacy_normal as legacy_normal
from denram.devices.legacy import legacy_randint as legacy_randint
from denram.devices.legacy import legacy_split as legacy_split
from denram.devices.legacy import legacy_uniform as legacy_uniform
from denram.devices.program_verify import ProgramOutcome as ProgramOutcome
from denram.devices.program_verify import ProgramVerify as ProgramVerify
from denram.devices.programming import (
    LognormalProgramming as LognormalProgramming,
)
from denram.devices.programming import NoProgrammingError as NoProgrammingError
from denram.devices.programming import NormalProgramming as NormalProgramming
from denram.devices.programming import ProgrammingLaw as ProgrammingLaw
from denram.devices.programming import (
    TabulatedProgramming as TabulatedProgramming,
)
from denram.devices.quantities import ProvenanceRow as ProvenanceRow
from denram.devices.rc import RCDelay as RCDelay
from denram.devices.rc import charge_factor as charge_factor
from denram.devices.rc import delay_steps as delay_steps
from denram.devices.rc import discharge_factor as discharge_factor
from denram.devices.rc import steps_delay_s as steps_delay_s
from denram.devices.resistance import LognormalResistance as LognormalResistance
from denram.devices.resistance import (
    ResistanceDistribution as ResistanceDistribution,
)
from denram.devices.temperature import (
    BOLTZMANN_EV_PER_KELVIN as BOLTZMANN_EV_PER_KELVIN,
)
from denram.devices.temperature import Arrhenius as Arrhenius
from denram.devices.variability import CycleToCycle as CycleToCycle
from denram.devices.variability import DeviceToDevice as DeviceToDevice
from denram.devices.variability import ReadNoise as ReadNoise
from denram.devices.variability import read_factor as read_factor
