"""Evidence: a grid of runs to one store, to tables, figures, pages and comparisons.

Names load when first used: a figure of a map needs no trainer behind it.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denram.analysis.figures import map_figure as map_figure
    from denram.analysis.grid import Axis as Axis
    from denram.analysis.grid import Grid as Grid
    from denram.analysis.metrics import fig4d_summary as fig4d_summary
    from denram.analysis.metrics import summary_rows as summary_rows
    from denram.analysis.named_grids import fig4d_grid as fig4d_grid
    from denram.analysis.published import fig4d_published as fig4d_published
    from denram.analysis.run_figures import fig4d_figure as fig4d_figure
    from denram.analysis.run_figures import save_figure as save_figure
    from denram.analysis.run_figures import training_figure as training_figure
    from denram.analysis.sweep import Engine as Engine
    from denram.analysis.sweep import SweepWatch as SweepWatch
    from denram.analysis.sweep import run_sweep as run_sweep
    from denram.analysis.sweep_store import open_sweep as open_sweep

_HOME = {
    "map_figure": "figures",
    "Axis": "grid",
    "Grid": "grid",
    "fig4d_summary": "metrics",
    "summary_rows": "metrics",
    "fig4d_grid": "named_grids",
    "fig4d_published": "published",
    "fig4d_figure": "run_figures",
    "save_figure": "run_figures",
    "training_figure": "run_figures",
    "Engine": "sweep",
    "SweepWatch": "sweep",
    "run_sweep": "sweep",
    "open_sweep": "sweep_store",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        module = importlib.import_module(f"denram.analysis.{_HOME[name]}")
        return getattr(module, name)
    raise AttributeError(f"module 'denram.analysis' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_HOME)
