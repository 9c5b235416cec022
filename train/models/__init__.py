"""FAMILIES: name -> family. Nothing else."""

from collections.abc import Mapping
from typing import Any

from denram.train.models import delays, hsnn

# modules that answer to `_protocol.Family`
FAMILIES: Mapping[str, Any] = {"delays": delays, "hsnn": hsnn}
