"""What a sweep asks of the thing it sweeps: the protocol, and the names of those known.

A study turns flat settings into a configuration, says what one cell holds, and computes
cells. It knows nothing of grids, stores or workers.
"""

import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from denram.errors import InputError

Values = Mapping[str, Any]  # variable name to array of one cell


@dataclass(frozen=True)
class Variable:
    """What one cell holds under one name.

    Attributes:
        dims: dimensions within a cell.
        shape: their lengths; shorter values are padded with the fill.
        dtype: of the values; `str` for text.
        fill: what a cell holds until it is done.
        units: such as `1` or `ohm`.
        text: what it is, one line.
    """

    dims: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: Any = "float64"
    fill: Any = np.nan
    units: str = "1"
    text: str = ""


@dataclass(frozen=True)
class Layout:
    """What every cell of a sweep holds.

    Attributes:
        variables: by name.
        coords: labels of the dimensions within a cell; a dimension without has none.
    """

    variables: Mapping[str, Variable]
    coords: Mapping[str, Sequence[Any]] = field(default_factory=dict)


_BLOCK_BYTES = 4096  # least room of a file on common file systems
_TEXT_BYTES = 64  # of one text, assumed


def cell_bytes(layout: Layout) -> int:
    """About the room that one cell of a store needs on the disk, bytes."""
    total = 3 * _BLOCK_BYTES  # its status and provenance
    for variable in layout.variables.values():
        text = variable.dtype is str
        itemsize = _TEXT_BYTES if text else np.dtype(variable.dtype).itemsize
        n_blocks = -(-itemsize * math.prod(variable.shape) // _BLOCK_BYTES)
        total += max(1, n_blocks) * _BLOCK_BYTES
    return total


class Study(Protocol):
    """Anything that can be swept.

    A study may have `check(config)` too, which raises an InputError where a cell could
    not be computed here, such as for want of its data; see `require_ready`.
    """

    @property
    def name(self) -> str:
        """Under which a store names it."""
        ...

    def config(self, flags: Mapping[str, Any], preset: str | None) -> Any:
        """The validated record of one cell; it has a `fingerprint`.

        Raises:
            InputError: unknown key, or a value that breaks a rule.
        """
        ...

    def layout(self, configs: Iterable[Any]) -> Layout:
        """What each cell holds, with room for the largest of them."""
        ...

    def kin(self, config: Any) -> str:
        """Cells whose kin is equal may be computed by one program."""
        ...

    def most_together(self, config: Any) -> int:
        """How many cells like this one program should hold, by its memory."""
        ...

    def compute(
        self,
        configs: Sequence[Any],
        folders: Sequence[Path],
        on_progress: Callable[[int, int], None],
    ) -> Sequence[Values]:
        """Compute cells of one kin; what is in their folders is continued.

        Args:
            configs: one per cell.
            folders: one per cell, for what is worth keeping.
            on_progress: called with (parts done, parts in all).
        """
        ...

    def headline(self, values: Values) -> str:
        """A cell's main result, in a few words."""
        ...

    def seconds(self, config: Any) -> float:
        """Estimated time to compute one cell on this machine, s."""
        ...

    def memory_bytes(self, config: Any, members: int) -> int:
        """Estimated memory of a program of so many cells, bytes."""
        ...


def require_ready(study: Study, config: Any, label: str) -> None:
    """Let a study refuse a cell that is to be computed, if it can tell beforehand.

    Args:
        study: what is done.
        config: of the cell.
        label: of the cell, for the message.

    Raises:
        InputError: the study's own, with the cell's label.
    """
    check = getattr(study, "check", None)
    if check is None:
        return
    try:
        check(config)
    except InputError as error:
        raise InputError(f"cell {label}: {error}") from None


STUDIES = {"train": "train_study:TrainStudy", "map": "map_study:MapStudy"}


def study_of(name: str) -> Study:
    """The study of this name.

    Raises:
        InputError: there is none.
    """
    if name not in STUDIES:
        raise InputError(f"study must be one of {', '.join(STUDIES)}, got {name!r}")
    module, _, cls = STUDIES[name].partition(":")
    return getattr(importlib.import_module(f"denram.analysis.{module}"), cls)()
