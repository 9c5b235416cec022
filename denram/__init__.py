"""DenRAM: simulate spiking networks whose delays and weights are resistive memory.

The rooms, in the order data flows: `denram.devices` (device statistics),
`denram.mapping` (what a chip makes of a network), `denram.train` (learning on it),
`denram.analysis` (evidence). They load when first used; `import denram` is instant.
"""

import importlib
from types import ModuleType

__version__ = "0.1.0"
_ROOMS = ("devices", "mapping", "train", "analysis")


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"denram.{name}")
    raise AttributeError(f"module 'denram' has no attribute {name!r}")


def __dir__() -> list[str]:
    return ["__version__", *_ROOMS]
