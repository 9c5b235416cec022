"""`denram-train --chips N`: the same network on many chips of a series."""

from pathlib import Path
from typing import TYPE_CHECKING

from denram.cli import _screen as screen
from denram.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from denram.train import RunConfig

MOST_TOGETHER = 16  # networks in one program; more gain nothing


def first_chip(out: str | None) -> str | None:
    """The run folder of a series' first chip, as far as it was begun."""
    if out is None:
        return None
    begun = {int(p.name[5:]): p for p in Path(out).glob("chip-[0-9]*") if p.is_dir()}
    return str(begun[min(begun)]) if begun else out


def train_chips(
    page: "Console", config: "RunConfig", folder: Path, n_chips: int, *, resume: bool
) -> None:
    """Train on chips `chip` to `chip + n_chips - 1`, and print them side by side.

    Args:
        page: where to print.
        config: the settings of the first chip's run.
        folder: gets one run folder per chip, `chip-0` and so on.
        n_chips: how many.
        resume: go on with what is there.
    """
    from msgspec.structs import replace
    from rich.progress import Progress

    from denram.train import Watch, run_together
    from denram.train.run import CONFIG

    if (folder / CONFIG).exists():
        raise InputError(f"--out must not be a single run's folder, got {folder}")
    first = config.map.chip
    numbers = range(first, first + n_chips)
    configs = [replace(config, map=replace(config.map, chip=n)) for n in numbers]
    outs = [folder / f"chip-{number}" for number in numbers]
    results = []
    with Progress(console=page, transient=True) as bar:
        task = bar.add_task("epochs", total=config.fit.nb_epochs * n_chips)
        for i in range(0, n_chips, MOST_TOGETHER):
            group = slice(i, i + MOST_TOGETHER)
            watches = [
                Watch(on_epoch=lambda row: bar.advance(task)) for _ in outs[group]
            ]
            results += run_together(
                configs[group], outs[group], resume=resume, watches=watches
            )
    rows = []
    for number, result in zip(numbers, results, strict=True):
        accuracy = 100 * result["test_accuracy"].values
        rows.append(
            [
                str(number),
                f"{100 * result.attrs['best_valid_accuracy']:.1f}",
                f"{accuracy.mean():.2f}",
                f"{accuracy.std(ddof=1):.2f}" if accuracy.size > 1 else "-",
            ]
        )
    screen.heading(page, "Chips", f"on {results[0].attrs['dataset']}")
    screen.table(page, ["chip", "valid %", "test %", "sd over draws"], rows)
    means = [100 * float(result["test_accuracy"].mean()) for result in results]
    mean = sum(means) / n_chips
    spread = (sum((m - mean) ** 2 for m in means) / (n_chips - 1)) ** 0.5
    screen.line(
        page,
        f"{n_chips} chips, each trained for: test {mean:.2f} %, sd {spread:.2f},"
        f" least {min(means):.2f}",
    )
    screen.line(page, f"protocol: {results[0].attrs['protocol']}")
    screen.line(page, f"written: {folder}/chip-*/run.zarr")
