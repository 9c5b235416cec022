"""Where a hand-over put devices and how weights stand on them, read back."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from denram.errors import InputError
from denram.mapping.handover import FORMAT
from denram.mapping.hardware_map import HardwareMap
from denram.mapping.placement import Crossbar
from denram.mapping.weight_scale import WeightScale


class _WeightsPart(msgspec.Struct):
    scale: WeightScale


class _MapPart(msgspec.Struct):
    fingerprint: str


class _Document(msgspec.Struct):
    """What of `targets.json` is needed; its lists of devices are passed over."""

    format: str
    map: _MapPart
    crossbar: Crossbar
    weights: _WeightsPart | None


class Convention(NamedTuple):
    """Where devices stand and how weights stand on them."""

    crossbar: Crossbar
    scale: WeightScale | None


def read_convention(path: Path, chip: HardwareMap) -> Convention:
    """The conventions of a hand-over, from its `targets.json`.

    Raises:
        InputError: damaged, or made from another map.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Document)
        if found.format != FORMAT:
            raise InputError(f"its format is {found.format!r}, not {FORMAT!r}")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.DecodeError, InputError) as error:
        raise InputError(f"{path} cannot be used: {error}") from None
    if found.map.fingerprint != chip.fingerprint:
        raise InputError(
            f"{path} must belong to this map ({chip.fingerprint[:8]}), got one of map"
            f" {found.map.fingerprint[:8]}"
        )
    scale = None if found.weights is None else found.weights.scale
    return Convention(found.crossbar, scale)
