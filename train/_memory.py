"""Keep freed memory in the process: page faults cost more than the arithmetic."""

import ctypes
import os
import sys

# glibc's mallopt(3)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGEST = 2**30  # bytes; larger blocks still come from and go back to the kernel
_OWN_SETTINGS = ("GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_")


def reuse_memory() -> bool:
    """Ask the C library to reuse large blocks instead of returning them.

    XLA allocates a step's arrays (63 MB for the spectrum of a batch of 64 with 700
    inputs) anew in each step on the CPU. By default glibc maps and unmaps them, and the
    kernel clears every page again: 28,000 page faults and a third of the time of such
    a training step. The process then keeps its peak memory until it ends. The commands
    call this before they train; a notebook may.

    Returns:
        Whether it was done: not without glibc, nor when the environment has settings
        for malloc of its own.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _OWN_SETTINGS):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library, such as musl
        return False
    settings = (
        (_MMAP_THRESHOLD, _LARGEST),
        (_TRIM_THRESHOLD, 2**31 - 1),
        (_ARENA_MAX, 1),
    )
    return all([mallopt(name, value) == 1 for name, value in settings])
