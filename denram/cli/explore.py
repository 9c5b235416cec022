"""`denram-analyze explore`: a sweep in the browser."""

from pathlib import Path
from typing import Annotated

import click
from msgspec import Meta

from denram.cli import _screen as screen
from denram.cli._options import number
from denram.errors import InputError
from denram.storage import output_path, write_text

Port = Annotated[int, Meta(ge=0, le=65535)]


@click.command()
@click.argument("store", metavar="STORE")
@click.option(
    "--html", metavar="FILE", help="Write one self-contained page instead of serving."
)
@number("--port", Port, "Port to serve on.  [default: a free one]")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def explore(
    *, store: str, html: str | None, port: int | None, no_browser: bool
) -> None:
    """Slice a sweep in the browser: choose axes, hover, click a point for its run.

    The page is served to this machine alone until Ctrl-C. --html writes a page that can
    be shared.
    """
    from denram.analysis.explore import report_html, server

    page = screen.console()
    if html is not None:
        path = output_path(html, "--html")
        if path.is_dir():
            raise InputError(f"--html must be a file, got the folder {path}")
        write_text(path, report_html(store))
        screen.line(page, f"written: {path} ({Path(path).stat().st_size / 1e6:.1f} MB)")
        return
    running = server(store, port=port or 0)
    running.start()
    address = f"http://127.0.0.1:{running.port}/"
    screen.line(page, f"serving {store} at {address}   (Ctrl-C ends it)")
    if not no_browser:
        import webbrowser

        webbrowser.open(address)
    running.io_loop.start()
