"""Pages of `denram-map` beside the report of one chip."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from denram.cli import _screen as screen
from denram.cli._options import Number
from denram.config import NonNegative

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from denram.devices import ProgramOutcome


def print_support(ctx: click.Context) -> None:
    """The support matrix, generated from the code."""
    from denram.mapping import support_rows

    page = screen.console()
    screen.heading(page, "Which device effect acts where")
    rows = support_rows()
    columns = (
        "",
        *(f"{r} {p}" for r in ("delay", "weight", "tau") for p in ("train", "test")),
    )
    screen.table(page, (*columns, "changes with"), [row[:-1] for row in rows])
    for line in (
        "map: through the map's delays; fixed: as the chip was made; mean: by its mean",
        "over spikes; no: not there; -: has no meaning.",
        "Settings, by --set (* is delay_ or weight_; see denram.mapping.ErrorConfig):",
    ):
        screen.line(page, line)
    for row in rows:
        screen.line(page, f"  {row[0]:<26}{row[-1]}")
    ctx.exit()


def times_of(text: str | None) -> list[float]:
    """Ascending numbers between commas.

    Raises:
        InputError: a text that is none.
    """
    if text is None:
        return [0.0]
    option = click.Option(["--times"])
    kind = Number(NonNegative)
    return sorted({float(kind.convert(t, option, None)) for t in text.split(",")})


def print_survey(page: "Console", found: "xr.Dataset") -> None:
    """Waste over chips and time; mean, least and most over the chips."""
    first, n = int(found["chip"][0]), found.sizes["chip"]
    detail = f"% of synapses; {n} from chip {first} on, seed {found.attrs['seed']}"
    screen.heading(page, "Over chips and time", detail)
    names = ("wasted", "silent", "moved")
    columns = ["since programming", *names, "least wasted", "most wasted", "mean delay"]
    rows = []
    for time_s in found["time_s"].values:
        at = found.sel(time_s=time_s)
        means = [f"{100 * float(at[name].mean()):.2f}" for name in names]
        ends = [100 * float(f(at["wasted"].values)) for f in (min, max)]
        rows.append(
            [
                screen.si(float(time_s), "s", 3),
                *means,
                *(f"{end:.2f}" for end in ends),
                screen.si(float(at["mean_delay_s"].mean()), "s"),
            ]
        )
    screen.table(page, columns, rows)
    screen.line(page, "silent: the device never conducts; moved: by a step or more")
    screen.line(page, "from the same chip without device errors")


def print_outcome(page: "Console", outcome: "ProgramOutcome") -> None:
    """How many devices program-and-verify brought into their band, and at what cost."""
    accepted, pulses = int(outcome.accepted.sum()), outcome.pulses
    n, failed = outcome.accepted.size, outcome.failures()
    screen.heading(page, "Program-and-verify", f"{n} delay devices")
    screen.line(page, f"accepted {accepted} ({100 * accepted / n:.2f} %)")
    screen.line(page, f"pulses: mean {pulses.mean():.2f}, most {pulses.max()}")
    if len(failed):
        shown = ", ".join(str(tuple(map(int, row))) for row in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        screen.line(page, f"not accepted (post, pre, tap): {shown}{more}")


def write_outcome(path: Path, outcome: "ProgramOutcome") -> None:
    """One row per device: address, resistance, pulses, whether it was accepted."""
    import numpy as np
    import pandas as pd

    post, pre, tap = np.indices(outcome.accepted.shape).reshape(3, -1)
    columns = {
        "post": post,
        "pre": pre,
        "tap": tap,
        "resistance_ohm": outcome.resistance_ohm.ravel(),
        "pulses": outcome.pulses.ravel(),
        "accepted": outcome.accepted.ravel().astype(int),
    }
    pd.DataFrame(columns).to_csv(path, index=False)
