"""How the delay engine's figures are shown: a table and scaling plots."""

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

COLOURS = {"d1": "#2e7d32", "d2": "#8d8a1f"}  # the paper's


def figure(figures: dict[str, Any]) -> Figure:
    """Step time along each size, and per network of many."""
    with mpl.rc_context({"font.size": 8.5, "axes.spines.top": False}):
        page = Figure(figsize=(12.5, 3.2), layout="constrained")
        panels = page.subplots(1, 5)
        for axes, (name, row) in zip(
            panels, figures["scaling_s"].items(), strict=False
        ):
            x, y = np.array(list(row)), 1e3 * np.array(list(row.values()))
            axes.plot(x, y, "o-", color="#2e6f9e")
            axes.set_xlabel(name)
            if name != "n_delays":
                axes.plot(x, y[-1] * x / x[-1], ":", color="#888888", label="linear")
                axes.legend(frameon=False)
            axes.set_xlim(left=0)
            axes.set_ylim(0, 1.08 * y.max())
        for unused in panels[len(figures["scaling_s"]) : 4]:
            unused.set_visible(False)
        panels[0].set_ylabel("step, ms")
        for name, row in figures["together_s"].items():
            panels[4].plot(
                list(row),
                [1e3 * s for s in row.values()],
                "o-",
                color=COLOURS[name],
                label=name.upper(),
            )
        panels[4].set_xlabel("networks in one program")
        panels[4].set_ylabel("step per network, ms")
        panels[4].set_ylim(bottom=0)
        panels[4].legend(frameon=False)
        page.suptitle(
            f"Training step, 700 x 16 x 20, batch 64 but for the named size;"
            f" {figures['machine']}",
            x=0.01,
            ha="left",
        )
    return page


def show(figures: dict[str, Any]) -> None:
    page = Console(width=110, soft_wrap=True)
    table = Table(title=f"Training step; {figures['machine']}, jax {figures['jax']}")
    for column in ("", "D1: 700 inputs", "D2: 256 inputs"):
        table.add_column(column, justify="right" if column else "left")
    rows = {
        "engine, ms": ("step_s", lambda s: f"{1e3 * s:.1f}"),
        "published form, s": ("published_s", lambda s: f"{s:.2f}"),
        "ratio": ("step_ratio", lambda r: f"{r:.0f}"),
        "path chosen": ("path", str),
        "ms by path": (
            "path_step_s",
            lambda row: ", ".join(f"{k} {1e3 * s:.0f}" for k, s in row.items()),
        ),
        "first call (compiles), s": ("first_call_s", lambda s: f"{s:.1f}"),
        "epoch of SHD, s": ("epoch_s", lambda s: f"{s:.1f}"),
        "memory, GB": ("memory_bytes", lambda b: f"{1e-9 * b:.2f}"),
        "published form, GB": ("published_memory_bytes", lambda b: f"{1e-9 * b:.2f}"),
        "relative error": ("relative_error", lambda e: f"{e:.1e}"),
        "floor, ms": ("floor", lambda f: f"{1e3 * f['floor_s']:.1f}"),
    }
    for title, (key, shown) in rows.items():
        table.add_row(
            title, *(shown(figures[f"{name}_{key}"]) for name in ("d1", "d2"))
        )
    page.print(table)
    for name in ("d1", "d2"):
        f = figures[f"{name}_floor"]
        page.print(
            f"{name} floor: {f['gflop']:.1f} GFLOP at"
            f" {1e-9 * figures['peak_flop_per_s']:.0f} GFLOP/s"
            f" = {1e3 * f['arithmetic_s']:.1f} ms, {f['traffic_gbyte']:.2f} GB at"
            f" {1e-9 * figures['memory_bytes_per_s']:.0f} GB/s"
            f" = {1e3 * f['traffic_s']:.1f} ms; the step takes"
            f" {figures[f'{name}_step_s'] / f['floor_s']:.2f} times their sum"
        )
    for axis, row in figures["scaling_s"].items():
        shown = ", ".join(f"{value}: {1e3 * s:.0f}" for value, s in row.items())
        page.print(f"step, ms, by {axis}: {shown}")
    page.print(f"64 delays over 16: {figures['delays_64_over_16']:.2f}")
    for name, row in figures["together_s"].items():
        shown = ", ".join(f"{n}: {1e3 * s:.1f}" for n, s in row.items())
        page.print(f"{name} step per network, ms, by networks in one program: {shown}")
    for name, row in figures["evaluation_s"].items():
        shown = ", ".join(f"{how} {1e3 * s:.0f}" for how, s in row.items())
        page.print(f"{name} 20 noise draws of one batch, ms: {shown}")
