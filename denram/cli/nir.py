"""`denram-analyze nir`: a trained network as a graph that other simulators read."""

from pathlib import Path

import click

from denram.cli import _screen as screen
from denram.errors import InputError
from denram.storage import output_path


@click.command(name="nir")
@click.argument("run_path", metavar="RUN")
@click.option("--out", metavar="FILE.nir", help="File to write; must not exist yet.")
def nir_export(*, run_path: str, out: str | None) -> None:
    """Write a finished run's network, with its delays, as a NIR graph.

    NIR delays whole signals, not synapses: each distinct pair of input and delay
    becomes a channel of its own, between a fan-out and the weights. Time step, floor of
    the membrane and readout stand in the graph's metadata.
    """
    from denram.train.nir_export import trained_synapses, write_nir

    if out is None:
        raise InputError("--out must be given, got none")
    target = output_path(out, "--out")
    if target.exists():
        raise InputError(f"--out must not exist yet, got {out!r}")
    network = trained_synapses(Path(run_path))
    n_channels = write_nir(network, target)
    post, pre, tap = network.weights.shape
    page = screen.console()
    detail = f"{pre} inputs x {post} neurons x {tap} delays"
    screen.heading(page, "NIR graph", detail)
    synapses = int((network.weights != 0).sum())
    screen.line(
        page,
        f"{n_channels} channels (distinct input and delay) carry {synapses} synapses",
    )
    screen.line(page, f"Wrote  {target}")
