"""Netlists of RC delay elements, and what ngspice says of them.

Source pulse, R (the RRAM), C, and a behavioural comparator without input current,
delay or hysteresis: V(out) = Vdd/2 (1 + tanh(gain (V(cap) - Vth))), halfway up exactly
at the threshold. Everything a netlist is made of is a number.

gmin, abstol, vntol and chgtol are set below what the element carries: the defaults
(1e-12 siemens, 1e-12 ampere) are as large as a delay device of 1 Tohm and its current.
"""

import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from denram.config import convert
from denram.errors import DenRAMError, InputError
from denram.mapping.constraints import MapConfig
from denram.mapping.delays import rc_delay
from denram.mapping.hardware_map import DIMS, HardwareMap
from denram.mapping.pulse_response import Pulse, pulse_delay_s

Address = tuple[int, int, int]

_STEPS = 2000  # of the simulation; the crossing is in its middle
_GAIN = 100.0  # of the comparator, over Vth: it switches within a few steps
_NAME = "delay"
_FOUND = re.compile(rf"^{_NAME}\s*=\s*(\S+)", re.MULTILINE)
_NOT_FOUND = "out of interval"


@dataclass(frozen=True)
class DelayElement:
    """One RC delay element.

    Attributes:
        resistance_ohm: R, finite, > 0.
        capacitance_farad: C, finite, > 0.
        threshold_volt: where the comparator switches, its offset included, > 0.
        address: (post, pre, tap) on the chip, or None.
        map_delay_s: what the map holds of it, or None.

    Raises:
        InputError: a value out of range.
    """

    resistance_ohm: float
    capacitance_farad: float
    threshold_volt: float
    address: Address | None = None
    map_delay_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("resistance_ohm", "capacitance_farad", "threshold_volt"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise InputError(f"{name} must be > 0 and finite, got {value}")

    def delay_s(self, pulse: Pulse) -> float:
        """The model's delay: see `pulse_delay_s`; infinite if it never crosses."""
        return float(
            pulse_delay_s(
                self.resistance_ohm, self.capacitance_farad, self.threshold_volt, pulse
            )
        )


def first_addresses(chip: HardwareMap, n: int) -> list[Address]:
    """The first devices that are there, in the order of (post, pre, tap)."""
    flat = np.flatnonzero(chip.mask)[:n]
    places = np.unravel_index(flat, chip.mask.shape)
    return [(int(i), int(j), int(k)) for i, j, k in zip(*places, strict=True)]


def map_elements(
    chip: HardwareMap,
    addresses: Iterable[Address],
    *,
    supply_volt: float,
    offset_volt: float = 0.0,
) -> list[DelayElement]:
    """The delay elements of a chip as it was drawn.

    R is the map's; C is drawn again from the map's seed; the threshold is the one under
    which R and C give the map's delay, Vdd (1 - exp(-delay / (R C))), so that it holds
    the comparator's own offset, if the map has any.

    Args:
        chip: the map.
        addresses: (post, pre, tap) of each element.
        supply_volt: Vdd.
        offset_volt: added to every threshold.

    Raises:
        InputError: an address outside the chip, or of a device that is not there or has
            no delay.
    """
    fields = MapConfig.__struct_fields__
    config = convert(MapConfig, {k: v for k, v in chip.config.items() if k in fields})
    capacitance = _capacitance_farad(chip, config)
    elements = []
    for address in addresses:
        _check_address(chip, address)
        r, t = float(chip.resistance_ohm[address]), float(chip.delay_s[address])
        c = float(capacitance[address])
        if t == 0:
            raise InputError(f"device {address} must have a delay, got 0 s")
        threshold = -supply_volt * math.expm1(-t / (r * c)) + offset_volt
        elements.append(DelayElement(r, c, threshold, address, t))
    return elements


def _capacitance_farad(chip: HardwareMap, config: MapConfig) -> np.ndarray:
    """The chip's capacitors, drawn again."""
    if config.capacitor_sigma == 0:
        return np.broadcast_to(config.cap, chip.mask.shape)
    from denram.devices import Stream

    stream = Stream("delay-capacitor", chip=config.chip, cycle=0, read=0)
    ohm = np.ones(chip.mask.shape)
    nominal = rc_delay(config).delay_s(ohm, seed=chip.seed, stream=stream)
    return nominal / config.threshold_factor


def _check_address(chip: HardwareMap, address: Address) -> None:
    for name, index, n in zip(DIMS, address, chip.mask.shape, strict=True):
        if not 0 <= index < n:
            raise InputError(f"device's {name} must be 0 to {n - 1}, got {index}")
    if not chip.mask[address]:
        raise InputError(f"device must be one that is there, got {address}")


def netlist(element: DelayElement, pulse: Pulse) -> str:
    """A netlist that `ngspice -b` runs as it is.

    The run lasts twice as long as a pulse without end would need to cross, whatever the
    pulse's width.

    Args:
        element: the delay element.
        pulse: the source.
    """
    # plain floats: NumPy's are spelt otherwise
    r, c = float(element.resistance_ohm), float(element.capacitance_farad)
    vdd, vth = float(pulse.supply_volt), float(element.threshold_volt)
    rise = float(pulse.rise_s)
    crossing = element.delay_s(Pulse(vdd, rise)) + rise / 2
    if math.isinf(crossing):
        crossing = 5 * r * c + rise
    stop = 2 * crossing + rise
    step = stop / _STEPS
    width = min(float(pulse.width_s), 10 * stop)
    period = width + 2 * rise + 10 * stop
    place = "" if element.address is None else f" {element.address}"
    lines = [
        f"RC delay element{place}",
        f"Vsource source 0 PULSE(0 {vdd!r} 0 {rise!r} {rise!r} {width!r} {period!r})",
        f"Rdelay source cap {r!r}",
        f"Cdelay cap 0 {c!r} IC=0",
        f"Bcompare out 0 V={vdd / 2!r}*(1+tanh({_GAIN / vth!r}*(V(cap)-{vth!r})))",
        "Rload out 0 1000.0",
        f".options gmin={min(1e-18, 1e-6 / r)!r} reltol=1e-6 abstol={1e-9 * vdd / r!r}"
        f" vntol={1e-9 * vdd!r} chgtol={1e-12 * c * vdd!r}",
        f".tran {step!r} {stop!r} 0 {step!r} UIC",
        f".measure tran {_NAME} TRIG V(source) VAL={vdd / 2!r} RISE=1"
        f" TARG V(out) VAL={vdd / 2!r} RISE=1",
        ".end",
    ]
    return "\n".join(lines) + "\n"


def ngspice_path() -> str:
    """Where ngspice lies.

    Raises:
        InputError: it is not installed.
    """
    found = shutil.which("ngspice")
    if found is None:
        raise InputError("ngspice must be installed to run netlists (--run), got none")
    return found


def ngspice_delay_s(text: str, *, program: str, timeout_s: float = 60.0) -> float:
    """The delay that ngspice measures in batch mode; infinite if it never crosses.

    Args:
        text: from `netlist`.
        program: from `ngspice_path`.
        timeout_s: longest run.

    Raises:
        DenRAMError: it failed, with its last line, or took longer.
    """
    with tempfile.TemporaryDirectory() as folder:
        deck = Path(folder) / "delay.cir"
        deck.write_text(text, encoding="ascii")
        try:
            done = subprocess.run(
                [program, "-b", "-n", str(deck)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout_s,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DenRAMError(f"ngspice took longer than {timeout_s:g} s") from None
        except OSError as error:
            raise DenRAMError(f"ngspice cannot start: {error.strerror}") from None
    return _measured(done)


def _measured(done: "subprocess.CompletedProcess[str]") -> float:
    found = _FOUND.search(done.stdout)
    if done.returncode == 0 and found:
        try:
            return float(found.group(1))
        except ValueError:
            pass
    told = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    if done.returncode == 0 and any(_NOT_FOUND in line for line in told):
        return math.inf
    told = [line.strip() for line in told if line.strip()]
    said = [line for line in told if not line.startswith("Note:")]
    last = said[-1][:200] if said else "it said nothing"
    raise DenRAMError(f"ngspice failed (exit code {done.returncode}): {last}")


def relative_difference(model_s: float, simulated_s: float) -> float:
    """(simulated - model) / |model|; 0 where both never cross, infinite where one does.

    Args:
        model_s: the model's delay, infinite if it never crosses.
        simulated_s: the simulator's.
    """
    if math.isinf(model_s) or math.isinf(simulated_s):
        return 0.0 if model_s == simulated_s else math.inf
    return (simulated_s - model_s) / abs(model_s) if model_s else math.inf
