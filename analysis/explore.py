"""A sweep in the browser: a server on loopback, or one file for sharing."""

import calendar
import math
import time
from html import escape
from pathlib import Path
from typing import Any, cast

import numpy as np
from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.embed import file_html
from bokeh.layouts import column
from bokeh.models import (
    ColumnDataSource,
    CustomJS,
    DataTable,
    Div,
    TableColumn,
    TabPanel,
    Tabs,
)
from bokeh.resources import INLINE
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from bokeh.util.token import get_token_payload
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets
from tornado.web import ErrorHandler

from denram.analysis import schema
from denram.analysis.page import Page, cells_html, plot_of, summary_html
from denram.analysis.slices import SweepView, labels
from denram.errors import InputError

_HOST = "127.0.0.1"
_MOST_ROWS = 5_000
_MOST_TABS = 8
_MOST_EMBEDDED = 2_000  # cells whose settings are put into a file


class _Guarded(BokehTornado):
    """Bokeh's application for requests that name this very address.

    A page from elsewhere can have its own name lead here (DNS rebinding); its requests
    then name that host. Bokeh's own check of origins would let its socket in.
    """

    hosts: frozenset[str] = frozenset()

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        """Bokeh's handler, or a refusal (403)."""
        socket = request.path.endswith("/ws")
        if request.host.lower() in self.hosts and not (socket and _is_odd(request)):
            return super().find_handler(request, **kwargs)
        return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})


def _is_odd(request: HTTPServerRequest) -> bool:
    """Whether a socket lacks the protocol and the valid token that pages send."""
    words = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
    name, token = words[0].strip(), words[-1].strip()
    try:
        expiry = get_token_payload(token)["session_expiry"]
        now = calendar.timegm(time.gmtime())
        return (name, len(words)) != ("bokeh", 2) or now >= expiry
    except Exception:  # of a token that somebody made up, anything
        return True


def server(path: str | Path, *, port: int = 0) -> BaseServer:
    """A server of the page of one sweep, on loopback only, not yet started.

    Nothing of a request names a file: the page knows one store, and no folder is
    served. Requests must name this very address as their host, and only its own pages
    may open its socket.

    Args:
        path: of the store, or of the folder that holds it.
        port: to listen on; 0 for a free one.

    Raises:
        InputError: no store, or the port is taken.
    """
    SweepView(path)  # refuse before anything listens

    def fill(document: Document) -> None:
        Page(SweepView(path)).add_to(document)

    try:
        sockets = bind_sockets(port, _HOST)
    except OSError as error:
        raise InputError(f"port must be free, got {port}: {error.strerror}") from None
    port = int(sockets[0].getsockname()[1])
    hosts = [f"{_HOST}:{port}", f"localhost:{port}"]
    app = _Guarded(
        {"/": Application(FunctionHandler(fill))}, extra_websocket_origins=hosts
    )
    app.hosts = frozenset(hosts)
    http = HTTPServer(app)
    http.add_sockets(sockets)
    return BaseServer(IOLoop.current(), app, http)


def report_html(path: str | Path) -> str:
    """A sweep as one HTML page that needs nothing else: plots, hover, clicks, a table.

    Args:
        path: of the store, or of the folder that holds it.

    Raises:
        InputError: no store, or it cannot be read.
    """
    view = SweepView(path)
    parts: list[Any] = [
        Div(text=text, disable_math=True)
        for text in (summary_html(view), _protocol_html(view))
    ]
    if view.counts()["done"]:
        parts += [_tabs(view), *_table(view)]
    layout = column(*parts, sizing_mode="stretch_width")
    return file_html(layout, resources=INLINE, title=f"DenRAM: {view.grid.name}")


def _tabs(view: SweepView) -> Tabs:
    """A tab per result, in it one per axis that can lie along x."""
    across = [axis for axis in view.axes if len(axis.labels) > 1] or view.axes[:1]
    cells = list(view.grid.cells())[:_MOST_EMBEDDED]
    behind = ColumnDataSource(
        {"html": [cells_html(view, [cell], shared=True) for cell in cells]}
    )
    panels = []
    for name in view.variables[:_MOST_TABS]:
        inner = []
        for axis in across[:_MOST_TABS]:
            line = next((other for other in across if other is not axis), None)
            plot, source = plot_of(view, name, axis, line, {})
            place = f"{name} along {axis.name}"
            source.name = f"points of {place}"
            picked = f"picked of {place}"
            below = Div(text=cells_html(view, []), name=picked, disable_math=True)
            _on_pick(view, source, behind, below)
            body = column(plot, below, sizing_mode="stretch_width")
            inner.append(TabPanel(child=body, title=f"along {axis.name}"))
        panels.append(TabPanel(child=_wide(inner), title=name))
    return _wide(panels)


def _wide(panels: list[TabPanel]) -> Tabs:
    return Tabs(tabs=panels, sizing_mode="stretch_width")


_PICK = """
    const flat = source.selected.indices.flatMap((i) => source.data.flat[i])
    const found = flat.slice(0, 4).map((i) => behind.data.html[i] ?? "(not kept)")
    const more = flat.length > 4 ? `<p>and ${flat.length - 4} more cells</p>` : ""
    below.text = flat.length ? found.join("<br>") + more : empty
"""


def _on_pick(
    view: SweepView, source: ColumnDataSource, behind: ColumnDataSource, below: Div
) -> None:
    """Show the settings of the first cells behind a point; their text is made here."""
    flat = [
        [int(np.ravel_multi_index(cell, view.grid.shape)) for cell in cells]
        for cells in source.data["cells"]
    ]
    source.add(flat, "flat")
    args = {"source": source, "behind": behind, "below": below, "empty": below.text}
    source.selected.js_on_change("indices", CustomJS(args=args, code=_PICK))


def _table(view: SweepView) -> list[Any]:
    """The cells themselves, with their main results."""
    grid, shown = view.grid, view.variables[:_MOST_TABS]
    cells = list(grid.cells())[:_MOST_ROWS]
    names = {0: "missing", 1: "done", 2: "failed"}
    data: dict[str, list[Any]] = {
        axis.name: [labels(axis)[cell[i]] for cell in cells]
        for i, axis in enumerate(grid.axes)
    }
    data["state"] = [names.get(int(view.status[cell]), "?") for cell in cells]
    for name in shown:
        values = view.values(name)
        data[name] = [_number(float(values[cell])) for cell in cells]
    source = ColumnDataSource(data=cast(Any, data))
    columns = [TableColumn(field=key, title=escape(key)) for key in data]
    note = f"{len(cells)} of {grid.n_cells} cells"
    table = DataTable(
        source=source,
        columns=columns,
        sizing_mode="stretch_width",
        height=400,
        reorderable=False,
    )
    return [Div(text=f"<h3>{note}</h3>"), table]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.6g}"


def _protocol_html(view: SweepView) -> str:
    """Where the numbers come from: settings of all, data, protocol, versions."""
    done = [tuple(map(int, c)) for c in (view.status == schema.DONE).nonzero()]
    lines = [
        f"{key} = {value}" for key, value in view.grid.base.items() if key != "axes"
    ]
    if done and len(done[0]):
        first = tuple(axis[0] for axis in done)
        record = view.record(first)
        lines.append(f"versions of the first cell: {record.get('versions', {})}")
        lines += [view.text(name, first) for name in (schema.DATASET, schema.PROTOCOL)]
    items = "".join(f"<li>{escape(line)}</li>" for line in lines if line)
    return f"<details><summary>How it was made</summary><ul>{items}</ul></details>"
