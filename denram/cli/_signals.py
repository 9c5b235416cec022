"""Leaving a sweep in time when it is told to end."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_GRACE_S = 1.5  # for what is being written when a signal comes


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled as SIGINT is but for the exit code."""


@contextmanager
def interruptible(out: Path) -> Iterator[None]:
    """Leave within two seconds of SIGINT or SIGTERM, workers included.

    Python delivers a signal only between its own instructions; a thread on the wake-up
    pipe ends the process when the main one stays inside a long computation.

    Args:
        out: folder of the sweep, for the hint and to be cleared of half-written files.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    finished = threading.Event()
    old_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    old = signal.signal(signal.SIGTERM, _terminate)
    thread = threading.Thread(target=_guard, args=(reader, finished, out), daemon=True)
    thread.start()
    try:
        yield
    except KeyboardInterrupt as error:
        code = 143 if isinstance(error, Terminated) else 130
        _leave(out, code)
        raise
    finally:
        finished.set()
        signal.set_wakeup_fd(old_fd)
        signal.signal(signal.SIGTERM, old)
        os.close(writer)


def _terminate(number: int, frame: Any) -> None:
    raise Terminated


def _guard(reader: int, finished: threading.Event, out: Path) -> None:
    """Wait for a signal's byte, then for the main thread; then end the process."""
    code = None
    while code is None:
        received = os.read(reader, 1)
        if not received:  # the block is over
            os.close(reader)
            return
        code = {int(signal.SIGINT): 130, int(signal.SIGTERM): 143}.get(received[0])
    if not finished.wait(_GRACE_S):
        _leave(out, code)


def _leave(out: Path, code: int) -> None:
    """Say how to go on, end the workers, clear half-written files, and exit."""
    from denram.analysis.processes import kill_children
    from denram.storage import clear_litter

    with suppress(OSError, ValueError):
        print(f"\ninterrupted; resume with: {_command()}", file=sys.stderr, flush=True)
        sys.stdout.flush()
    kill_children()
    with suppress(OSError):
        clear_litter(out)
        (out / ".owner.json").unlink(missing_ok=True)
    os._exit(code)


def _command() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
