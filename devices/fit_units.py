"""Units of a measured column, and what its title says of them."""

import re
from typing import Literal

import numpy as np

from denram.errors import InputError

Unit = Literal["ohm", "siemens", "seconds"]

_PREFIX = {"": 1.0, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3}
_PREFIX |= {"\N{MICRO SIGN}": 1e-6, "\N{GREEK SMALL LETTER MU}": 1e-6}
_PREFIX |= {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_OHM = ("ohm", "ohms", "Ohm", "Ohms", "OHM", "\N{GREEK CAPITAL LETTER OMEGA}")
_WORDS: dict[str, Unit] = {
    **dict.fromkeys((*_OHM, "\N{OHM SIGN}"), "ohm"),
    **dict.fromkeys(("S", "siemens", "Siemens"), "siemens"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "seconds"),
}
# `R [kohm]`, `R (kohm)`, `R / kohm`, `resistance_kohm`
_HEADER_UNIT = re.compile(r"(?:[\[(/]\s*|_)([^\W\d_]+)\s*[\])]?\s*$")


def check_title(title: str, unit: Unit, factor: float) -> None:
    """Refuse a unit that the column's title contradicts.

    Raises:
        InputError: the title ends in a unit such as `[kohm]` or `_s`, another than
            `factor` times `unit`.
    """
    match = _HEADER_UNIT.search(title)
    if match is None:
        return
    for word, known in _WORDS.items():
        prefix = match[1].removesuffix(word)
        if match[1].endswith(word) and prefix in _PREFIX:
            if known != unit or not np.isclose(factor, _PREFIX[prefix]):
                told = f"{unit}" if factor == 1 else f"{factor:g} {unit}"
                raise InputError(
                    f"--unit and --scale must agree with the header: {title!r} is in"
                    f" {match[1]}, got {told}"
                )
            return
