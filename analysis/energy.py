"""Energy, power and area per inference: every formula, constant and source in a row.

What is not known stays unknown, and with it every sum is partial.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from inspect import signature
from math import isfinite
from typing import Any

from denram.analysis.energy_formulas import FORMULAS, SYMBOLS, Formula

UNKNOWN, PARTIAL, COMPUTED = "unknown", "partial", "computed"
ASSUMED = "assumed"


@dataclass(frozen=True)
class Constant:
    """What a symbol is worth, and where from.

    Attributes:
        value: in the symbol's unit; None if unknown.
        kind: counted, measured, published, assumed, given, computed, partial, unknown.
        source: in words.
    """

    value: float | None
    kind: str
    source: str


@dataclass(frozen=True)
class Row:
    """A line of the report; `value` None is unknown."""

    group: str
    symbol: str
    quantity: str
    formula: str
    values: str
    value: float | None
    unit: str
    kind: str
    source: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


# first author's own page; nothing of it was read in the paper, nothing enters a formula
_PAGE = "the first author's own page, heartbeat (ECG) task only; not read in the paper"
PUBLISHED: tuple[tuple[str, float, str], ...] = (
    ("power of DenRAM", 5.30e-9, "watt"),
    ("parameters of DenRAM", 16, "1"),
    ("fewer parameters than a recurrent net of equal accuracy, times", 35, "1"),
    ("less power than that net, times", 5, "1"),
)


def evaluate(constants: Mapping[str, Constant]) -> list[Row]:
    """Every formula's row, in order.

    A formula with an unknown symbol is unknown and names the flags that are missing;
    a sum with unknown terms is partial; a ratio of partial numbers is unknown.

    Args:
        constants: each key of `SYMBOLS`; one that is absent is unknown.
    """
    known = _known(constants)
    rows = []
    for name, formula in FORMULAS.items():
        known[name] = found = _result(formula, known)
        rows.append(
            Row(
                formula.group,
                name,
                formula.name,
                formula.text,
                _values(formula, known),
                found.value,
                formula.unit,
                found.kind,
                "; ".join(part for part in (found.source, formula.note) if part),
            )
        )
    return rows


def published_rows() -> list[Row]:
    """What is said of the hardware elsewhere, for comparison by eye."""
    return [
        Row("published", "", name, "", "", value, unit, "published", _PAGE)
        for name, value, unit in PUBLISHED
    ]


def constant_rows(constants: Mapping[str, Constant]) -> list[Row]:
    """Each symbol with its value and source."""
    known = _known(constants)
    rows = []
    for name, symbol in SYMBOLS.items():
        held = known[name]
        lost = held.value is None
        source = _missing([name], known) if lost else held.source
        kind, unit = UNKNOWN if lost else held.kind, symbol.unit
        told = ("constants", name, symbol.meaning, "", "")
        rows.append(Row(*told, held.value, unit, kind, source))
    return rows


def _known(constants: Mapping[str, Constant]) -> dict[str, Constant]:
    nothing = Constant(None, UNKNOWN, "")
    return {name: constants.get(name, nothing) for name in SYMBOLS}


def _result(formula: Formula, known: Mapping[str, Constant]) -> Constant:
    names = list(signature(formula.compute).parameters)
    lost = [name for name in names if known[name].value is None]
    whole = [name for name in names if name not in lost]
    cut = [name for name in names if known[name].kind.startswith(PARTIAL)]
    missing = _missing(lost, known)
    if lost and not (formula.total and whole):
        return Constant(None, UNKNOWN, missing)
    if cut and formula.unit == "1":
        told = f"{UNKNOWN}: {', '.join(cut)} is partial"
        return Constant(None, UNKNOWN, told)
    values = {name: 0.0 if name in lost else known[name].value for name in names}
    try:
        value = formula.compute(**values)
    except (ZeroDivisionError, OverflowError):
        value = float("nan")
    if not isfinite(value):
        return Constant(None, UNKNOWN, "no finite number")
    doubts = any(ASSUMED in known[name].kind for name in whole)
    kind = PARTIAL if lost or cut else COMPUTED
    kind += " from assumed values" if doubts else ""
    source = f"without {', '.join(lost)}; {missing}" if lost else ""
    return Constant(value, kind, source)


def _missing(names: Iterable[str], known: Mapping[str, Constant]) -> str:
    """Which flags would make unknown symbols known."""
    flags = [flag for name in names for flag in _flags(name, known)]
    told = ", ".join(dict.fromkeys(flags))
    return f"{UNKNOWN}: give {told}" if told else UNKNOWN


def _flags(name: str, known: Mapping[str, Constant]) -> list[str]:
    """Of a symbol, or of the unknown ones that a formula takes."""
    if known[name].value is not None and not known[name].kind.startswith(PARTIAL):
        return []
    if name in SYMBOLS:
        return [SYMBOLS[name].flag] if SYMBOLS[name].flag else []
    parts = signature(FORMULAS[name].compute).parameters
    return [flag for part in parts for flag in _flags(part, known)]


def _values(formula: Formula, known: Mapping[str, Constant]) -> str:
    def shown(name: str) -> str:
        value = known[name].value
        return f"{name} = {'?' if value is None else f'{value:.4g}'}"

    return ", ".join(map(shown, signature(formula.compute).parameters))
