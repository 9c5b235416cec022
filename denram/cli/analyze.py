"""`denram-analyze`: sweeps to stores, tables, figures and pages."""

import sys

import click

from denram.cli._options import run, version
from denram.cli.chips import coprogram, drift, yield_
from denram.cli.compare import compare
from denram.cli.energy import energy
from denram.cli.explore import explore
from denram.cli.fig4d import fig4d
from denram.cli.hsnn import COMMANDS as HSNN_COMMANDS
from denram.cli.hsnn_hardware import hsnn_hardware
from denram.cli.nir import nir_export
from denram.cli.sweep import pack, sweep, verify


@click.group(context_settings={"max_content_width": 100})
@version()
def command() -> None:
    """Run what is missing of a sweep, look at it, check it, compare it."""


for _subcommand in (
    fig4d,
    yield_,
    drift,
    coprogram,
    energy,
    nir_export,
    sweep,
    explore,
    compare,
    verify,
    pack,
    *HSNN_COMMANDS,
    hsnn_hardware,
):
    command.add_command(_subcommand)


def main() -> None:
    """Entry point of `denram-analyze`."""
    sys.exit(run(command))
