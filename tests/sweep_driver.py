"""Run a sweep of tests/killable.py: CASE FOLDER WORKERS. It prints its marks."""

import sys

import click
from killable import CASES

from denram.analysis.sweep import Engine, run_sweep
from denram.cli._options import run
from denram.cli._signals import interruptible


@click.command()
@click.argument("case")
@click.argument("folder")
@click.argument("workers", type=int)
def command(case, folder, workers):
    """Run it, or go on with it."""
    study, grid = CASES[case]
    with interruptible(folder):
        run_sweep(grid(), folder, engine=Engine(workers=workers), study=study())
    print("finished", flush=True)


if __name__ == "__main__":
    sys.exit(run(command))
