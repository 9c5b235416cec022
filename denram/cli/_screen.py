"""What the commands print: plain tables and lines, in any terminal and any encoding."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_NARROWEST = 110  # columns that every table fits in
_PREFIXES = "afpnum kMGTPE"


def console() -> "Console":
    """Standard output; colours and boxes only where the terminal has them."""
    from rich.console import Console

    page = Console(highlight=False, soft_wrap=True)
    # a narrow terminal wraps a table, which is better than numbers cut short
    page.width = max(page.width, _NARROWEST)
    return page


def heading(out: "Console", title: str, detail: str = "") -> None:
    """A blank line, then a title with its details."""
    out.print()
    out.print(title, style="bold", end="")
    out.print(f"  {detail}" if detail else "", markup=False)


def table(
    out: "Console", columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """A table of numbers; a column headed by nothing holds names, to the left."""
    from rich import box
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        grid.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    out.print(grid)


def line(out: "Console", text: str, *, style: str | None = None) -> None:
    """One line, as it is."""
    out.print(text, style=style, markup=False)


def si(value: float, unit: str, digits: int = 4) -> str:
    """A value with its SI prefix, such as `461.6 Gohm`.

    Args:
        value: in `unit`.
        unit: such as `ohm` or `s`.
        digits: significant digits.
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    # of the rounded value, so that 999.96 becomes 1 k and not 1000
    rounded = float(f"{value:.{digits}g}")
    step = math.floor(math.log10(abs(rounded)) / 3 + 1e-9)
    if not -6 <= step <= 6:
        return f"{value:.{digits}g} {unit}"
    prefix = _PREFIXES[step + 6].strip()
    return f"{rounded / 1000.0**step:.{digits}g} {prefix}{unit}"


def duration(seconds: float) -> str:
    """A time span as people say it: `42 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def percent(share: float | None, digits: int = 2) -> str:
    """A share as a percentage, `-` where there is none."""
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def number(value: Any, digits: int = 4) -> str:
    """A number with so many significant digits, `-` where there is none."""
    return "-" if value is None else f"{value:.{digits}g}"
