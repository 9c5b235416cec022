"""What `denram-train` shows while it works: settings, a bar, a line per epoch."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from denram.cli import _screen as screen
from denram.config import as_dict

if TYPE_CHECKING:
    from rich.console import Console

    from denram.train import RunConfig, Watch
    from denram.train.data import Splits
    from denram.train.trainer import Epoch


def announce(page: "Console", config: "RunConfig", folder: Path) -> None:
    """The settings in full, and where the run goes."""
    screen.heading(page, "denram-train", f"{config.model}, seed {config.seed}")
    sections = as_dict(config)
    ideal = as_dict(type(config.errors)())
    errors = sections["errors"].items()
    sections["errors"] = {key: v for key, v in errors if v != ideal[key]}
    for name, table in sections.items():
        if isinstance(table, dict):
            values = "  ".join(
                f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}"
                for k, v in table.items()
                if v is not None
            )
            screen.line(page, f"{name:>8}  {values or 'none'}")
    screen.line(page, f"{'out':>8}  {folder}")


@contextmanager
def progress(page: "Console", config: "RunConfig") -> Iterator["Watch"]:
    """A bar with the time left where there is a terminal, and a line per epoch."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from denram.train import Watch

    bar = Progress(
        TextColumn("epoch {task.fields[epoch]}"),
        BarColumn(),
        TextColumn("batch {task.fields[batch]}, at most"),
        TimeRemainingColumn(),
        console=page,
        transient=True,
        disable=not sys.stdout.isatty() or "CI" in os.environ,
    )
    nb_epochs, began, seen = config.fit.nb_epochs, [time.monotonic()], [0]
    job = bar.add_task("", total=float(nb_epochs), epoch=0, batch="-")

    def on_start(n_parameters: int, splits: "Splits") -> None:
        sizes = f"{len(splits.train)} + {len(splits.valid)} + {len(splits.test)}"
        screen.line(
            page,
            f"{n_parameters} parameters; {splits.name}: {sizes} samples"
            " (train + validation + test)",
        )
        screen.line(page, "epoch  train loss  train %  valid %   test %  seconds")

    def on_batch(done: int, total: int) -> None:
        epoch = (
            int(bar.tasks[0].completed + 1e-9)
            if done == 1
            else bar.tasks[0].fields["epoch"]
        )
        bar.update(
            job, completed=epoch + done / total, epoch=epoch, batch=f"{done}/{total}"
        )

    def on_epoch(row: "Epoch") -> None:
        now = time.monotonic()
        test = "-" if row.test_accuracy is None else f"{100 * row.test_accuracy:.2f}"
        screen.line(
            page,
            f"{row.epoch:5d}{row.train_loss:12.4f}{100 * row.train_accuracy:9.2f}"
            f"{100 * row.valid_accuracy:9.2f}{test:>9}{now - began[0]:9.1f}"
            f"{'  *' if row.accepted else ''}",
        )
        began[0] = now
        seen[0] = row.epoch + 1
        bar.update(job, completed=seen[0])

    with bar:
        yield Watch(on_start=on_start, on_batch=on_batch, on_epoch=on_epoch)
