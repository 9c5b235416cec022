"""What a sweep asks of the thing it sweeps: the protocol, and the names of those known.

A study turns flat settings into a configuration, says what one cell holds, and computes
cells. It knows nothing of grids, stores or workers.
"""

import importlib
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


class Study(Protocol):
    """Anything that can be swept."""

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
