"""`kernel`: the one way to compile a Numba function in this project."""

import inspect
from collections.abc import Callable
from typing import Any

import numba as nb


def kernel(*, parallel: bool = False, inline: bool = False) -> Callable[..., Any]:
    """Compile with Numba: no object mode, no fast math, NaN keeps its meaning.

    Nothing is cached on disk: Numba does not notice that an imported kernel has
    changed (numba#9483) and cannot start on a truncated cache file (numba#10434).

    Args:
        parallel: run `nb.prange` loops on all cores.
        inline: let LLVM inline the function into its caller.
    """

    def compile_(function: Callable[..., Any]) -> Any:
        # a type-checking import hook wraps functions; Numba needs the bare one
        bare = inspect.unwrap(function)
        return nb.njit(
            bare,
            parallel=parallel,
            error_model="numpy",
            forceinline=inline,
        )

    return compile_
