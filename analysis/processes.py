"""Processes of a sweep on this machine: their cores, and their end."""

import contextlib
import os
import sys
from multiprocessing import resource_tracker

import psutil


def kill_children() -> None:
    """End this process's workers at once; what they were storing is harmless."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()


def available_cores() -> set[int]:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def steady_sums() -> None:
    """Give XLA's pool two threads at least; must be called before JAX computes.

    It splits sums otherwise with one thread than with any larger number, and a result's
    last bits would depend on how many workers share the machine.
    """
    if len(available_cores()) == 1:
        os.environ.setdefault("NPROC", "2")


def quiet_tracker() -> None:
    """Start the process that frees semaphores, so that it frees them in silence.

    After a SIGKILL of this process it would print a warning of what it has just freed.
    It takes its filters from this process's when it starts.
    """
    own = "ignore:resource_tracker:UserWarning"
    sys.warnoptions.append(own)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(own)
