"""The explore page: a plot to slice, and what lies behind the points one picks.

All text that comes from a store is escaped wherever it becomes HTML.
"""

import math
import shlex
from collections.abc import Sequence
from html import escape
from typing import Any, cast

from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import (
    Button,
    ColumnDataSource,
    Div,
    FixedTicker,
    HoverTool,
    Legend,
    LegendItem,
    Select,
    TapTool,
)
from bokeh.plotting import figure

from denram.analysis.grid import Axis, Index
from denram.analysis.slices import SweepView, labels
from denram.errors import InputError

# Okabe and Ito's colours, which most colour-blind people can tell apart
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#8c8c8c",
)
NONE, ALL = "(none)", "(all, averaged)"
_MOST_PICKED = 8
_MOST_TICKS = 8  # of an axis whose every label is one
_TOOLTIPS = [
    ("", "@where"),
    ("mean", "@mean_text"),
    ("sd over cells", "@sd_text"),
    ("sd over draws", "@inner_text"),
    ("cells done", "@n_text"),
]


def plot_of(
    view: SweepView, name: str, across: Axis, line: Axis | None, fixed: dict[str, int]
) -> tuple[Any, ColumnDataSource]:
    """A figure of one result along one axis, and the source of its points."""
    points = view.points(name, across.name, line.name if line else None, fixed)
    numeric = all(type(label) in (int, float) for label in across.labels)
    places = [float(v) if numeric else float(i) for i, v in enumerate(across.labels)]
    plot = figure(
        height=430,
        sizing_mode="stretch_width",
        tools="pan,box_zoom,wheel_zoom,reset,save",
        x_axis_label=_named(view, across.name),
        y_axis_label=_named(view, name),
        name="plot",
    )
    columns = _columns(view, points, places, across, line)
    source = ColumnDataSource(data=cast(Any, columns))
    source.name = "points"
    _draw(plot, source, line)
    if not numeric or len(places) <= _MOST_TICKS:
        plot.xaxis.ticker = FixedTicker(ticks=places)
    if not numeric:
        plot.xaxis.major_label_overrides = dict(enumerate(map(unmath, labels(across))))
    plot.xaxis.axis_label_text_font_style = plot.yaxis.axis_label_text_font_style = (
        "normal"
    )
    return plot, source


def _named(view: SweepView, name: str) -> str:
    units = view.units(name)
    return unmath(f"{name} ({units})" if units else name)


def unmath(text: str) -> str:
    """A text that is not taken for a formula, which would be fetched from outside."""
    for mark in ("$$", "\\(", "\\["):
        text = text.replace(mark, " ".join(mark))
    return text


def _columns(
    view: SweepView, points: list[Any], places: list[float], across: Axis, line: Any
) -> dict[str, list[Any]]:
    """Columns of the points that have a mean."""
    shown = [p for p in points if p.n]
    sds = [0.0 if math.isnan(p.sd) else p.sd for p in shown]
    lines = labels(line) if line else [""]
    where = [f"{across.name}={labels(across)[p.x]}" for p in shown]
    if line:
        where = [
            f"{w}, {line.name}={lines[p.line]}"
            for w, p in zip(where, shown, strict=True)
        ]
    return {
        "x": [places[p.x] for p in shown],
        "mean": [p.mean for p in shown],
        "low": [p.mean - sd for p, sd in zip(shown, sds, strict=True)],
        "high": [p.mean + sd for p, sd in zip(shown, sds, strict=True)],
        "mean_text": [_short(p.mean) for p in shown],
        "sd_text": [_short(p.sd) for p in shown],
        "inner_text": [_short(p.inner_sd) for p in shown],
        "n_text": [f"{p.n} of {len(p.cells)}" for p in shown],
        "line": [lines[p.line] for p in shown],
        "colour": [COLOURS[p.line % len(COLOURS)] for p in shown],
        "where": where,
        "cells": [[list(cell) for cell in p.cells] for p in shown],
    }


def _short(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.5g}"


def _draw(plot: Any, source: ColumnDataSource, line: Axis | None) -> None:
    plot.segment("x", "low", "x", "high", source=source, color="colour", line_width=1.5)
    dots = plot.scatter(
        "x",
        "mean",
        source=source,
        size=10,
        color="colour",
        nonselection_alpha=0.35,
        selection_line_color="black",
        selection_line_width=2,
    )
    items, data = [], source.data
    for name in dict.fromkeys(data["line"]):
        own = [i for i, other in enumerate(data["line"]) if other == name]
        own.sort(key=lambda i: data["x"][i])
        drawn = plot.line(
            [data["x"][i] for i in own],
            [data["mean"][i] for i in own],
            color=data["colour"][own[0]],
            line_width=1.5,
        )
        items.append(LegendItem(label=unmath(str(name)), renderers=[drawn]))
    if line and items:
        legend = Legend(items=items[:20], title=line.name, click_policy="hide")
        plot.add_layout(legend, "right")
    plot.add_tools(HoverTool(renderers=[dots], tooltips=_TOOLTIPS))
    plot.add_tools(TapTool(renderers=[dots]))


def summary_html(view: SweepView) -> str:
    """Name, counts and failed cells."""
    counts = ", ".join(f"{n} {name}" for name, n in view.counts().items())
    grid = view.grid
    parts = [
        f"<h2 style='margin:0'>{escape(grid.name)}</h2>",
        f"<div>{grid.n_cells} cells of study {escape(str(grid.study))}: {counts}</div>",
    ]
    if not view.counts()["done"]:
        parts.append("<div><b>No cell is done yet.</b></div>")
    failures = view.failures()
    if failures:
        rows = "".join(
            f"<li>{escape(grid.label(cell))}: {escape(reason)}</li>"
            for cell, reason in failures
        )
        parts.append(
            f"<details><summary>Failed cells</summary><ul>{rows}</ul></details>"
        )
    return "".join(parts)


def cells_html(view: SweepView, cells: list[Index], *, shared: bool = False) -> str:
    """Settings of cells beside one another, what differs marked; and their origin.

    Args:
        view: the sweep.
        cells: which of its cells.
        shared: leave out what tells of the machine: its name and where the sweep lies.
    """
    if not cells:
        return (
            "Click a point to see the runs behind it; shift-click to compare several."
        )
    columns = [view.settings(cell) for cell in cells]
    records = [view.record(cell) for cell in cells]
    rows = [(key, [c.get(key, "") for c in columns]) for key in columns[0]]
    rows += [
        (key, [_plain(record.get(key, "")) for record in records])
        for key in ("status", "error", "wall_s", "host", "finished", "program_cells")
        if not (shared and key == "host")
    ]
    rows.append(("versions", [_versions(record) for record in records]))
    rows.append(("folder", [view.folder(cell) for cell in cells]))
    out = view.path.parent.name if shared else str(view.path.parent)
    rows.append(("run it alone", [_command(out, view.grid.label(c)) for c in cells]))
    head = [view.grid.label(cell) for cell in cells]
    body = _table_row("cell", head, colours=COLOURS)
    body += "".join(_table_row(name, values) for name, values in rows)
    return f"<table style='border-collapse:collapse;font-size:12px'>{body}</table>"


def _command(out: str, label: str) -> str:
    if not (out + label).isprintable():  # control characters act when pasted
        return "-"
    words = ("denram-analyze", "sweep", "--out", out, "--only", label)
    return f"{shlex.join(words)} --retry-failed"


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _versions(record: dict[str, Any]) -> str:
    held = record.get("versions")
    if not isinstance(held, dict):
        return ""
    return ", ".join(f"{name} {version}" for name, version in held.items())


def _table_row(name: str, values: list[str], *, colours: Sequence[str] = ()) -> str:
    """A row; with colours, each value behind a square of its curves' colour."""
    mark = "background:#fff3cd" if len(set(values)) > 1 else ""
    cell = "padding:2px 10px;border-bottom:1px solid #ddd;max-width:26em"
    cell += ";overflow-wrap:anywhere"
    squares = [f"<span style='color:{c}'>&#9632;</span> " for c in colours]
    tds = "".join(
        f"<td style='{cell}'>{squares[i % len(squares)] if squares else ''}"
        f"{escape(value)}</td>"
        for i, value in enumerate(values)
    )
    head = f"<th style='{cell};text-align:left;white-space:nowrap'>{escape(name)}</th>"
    return f"<tr style='{mark}'>{head}{tds}</tr>"


def curves_plots(view: SweepView, cells: list[Index]) -> list[Any]:
    """One figure per kind of curve, a line per cell."""
    curves = [view.curves(cell) for cell in cells]
    plots = []
    for name in curves[0] if curves else []:
        plot = figure(
            height=230,
            width=380,
            title=unmath(name),
            x_axis_label=unmath(str(curves[0][name].dims[0])),
            tools="hover,box_zoom,reset",
            toolbar_location=None,
            name=f"curve {name}",
        )
        for i, found in enumerate(curves):
            y = found[name].to_numpy()
            colour = COLOURS[i % len(COLOURS)]
            plot.line(list(range(len(y))), y, color=colour, line_width=2)
            plot.scatter(list(range(len(y))), y, color=colour, size=3)
        plots.append(plot)
    return plots


class Page:
    """The page of one visitor.

    Args:
        view: the sweep.
    """

    def __init__(self, view: SweepView) -> None:
        self.view = view
        axes = {axis.name: axis for axis in view.axes}
        names = list(axes)
        many = [n for n, axis in axes.items() if len(axis.labels) > 1]
        variables = view.variables
        second = next((n for n in many[1:]), NONE)
        self.variable = Select(
            title="result", options=cast(Any, variables), name="variable"
        )
        self.variable.value = variables[0] if variables else None
        self.across = Select(
            title="along x", options=cast(Any, names), value=names[0], name="x"
        )
        self.line = Select(
            title="a line per", options=[NONE, *names], value=second, name="line"
        )
        self.fixed = {
            name: Select(
                title=name,
                options=[ALL, *labels(axis)],
                value=ALL,
                name=f"only {name}",
            )
            for name, axis in axes.items()
        }
        self.reload = Button(label="Reload", name="reload")
        self.head = Div(text=summary_html(view), name="summary", disable_math=True)
        self.details = Div(text=cells_html(view, []), name="details", disable_math=True)
        self.plot = column(sizing_mode="stretch_width", min_width=500)
        self.curves = row(
            Div(text=""),
            name="curves",
            sizing_mode="stretch_width",
            styles={"flex-wrap": "wrap"},
        )
        for widget in (self.variable, self.across, self.line, *self.fixed.values()):
            widget.on_change("value", lambda attr, old, new: self.draw())
        self.reload.on_click(self._reload)
        self.draw()

    def add_to(self, document: Document) -> None:
        """Lay the page out."""
        widgets = [self.variable, self.across, self.line]
        only = Div(text="<b>only where</b>")
        side = column(*widgets, only, *self.fixed.values(), self.reload, width=230)
        main = column(self.plot, self.curves, self.details, sizing_mode="stretch_width")
        body = row(side, main, sizing_mode="stretch_width")
        document.add_root(column(self.head, body, sizing_mode="stretch_width"))
        document.title = f"DenRAM: {self.view.grid.name}"

    def draw(self) -> None:
        """Plot what the widgets say."""
        axes = {axis.name: axis for axis in self.view.axes}
        across = axes[str(self.across.value)]
        line = axes.get(str(self.line.value))
        line = None if line is across else line
        fixed = {
            name: labels(axes[name]).index(str(select.value))
            for name, select in self.fixed.items()
            if select.value != ALL
        }
        if self.variable.value is None or not self.view.counts()["done"]:
            self.plot.children = [Div(text="No cell is done yet.")]
            return
        name = str(self.variable.value)
        try:
            plot, source = plot_of(self.view, name, across, line, fixed)
        except InputError as error:
            self.plot.children = [_refusal(error)]
            return
        source.selected.on_change(
            "indices", lambda attr, old, new: self._pick(source, new)
        )
        self.plot.children = [plot]
        self._show([])

    def _pick(self, source: ColumnDataSource, indices: list[int]) -> None:
        cells = [tuple(cell) for i in indices for cell in source.data["cells"][i]]
        self._show([c for c in cells if self.view.status[c]])

    def _show(self, cells: list[Index]) -> None:
        few = cells[:_MOST_PICKED]
        note = f"<p>The first {len(few)} of {len(cells)} cells.</p>"
        text = cells_html(self.view, few)
        self.details.text = (note if len(few) < len(cells) else "") + text
        try:
            self.curves.children = curves_plots(self.view, few) or [Div(text="")]
        except InputError as error:
            self.curves.children = [_refusal(error)]

    def _reload(self) -> None:
        try:
            self.view.reload()
        except InputError as error:  # being written, or gone
            self.head.text = _refusal(error).text
            return
        for axis in self.view.axes:  # a sweep grows by labels at the ends of its axes
            self.fixed[axis.name].options = [ALL, *labels(axis)]
        self.head.text = summary_html(self.view)
        self.draw()


def _refusal(error: InputError) -> Div:
    return Div(text=f"<b>{escape(str(error))}</b>", disable_math=True)
