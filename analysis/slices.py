"""A sweep's results cut along its axes, for pages: only what is shown is read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from denram.analysis import schema
from denram.analysis.chunks import read_scalars
from denram.analysis.grid import Axis, Index, spelt
from denram.analysis.sweep_store import SweepStore, read_head, store_path
from denram.errors import InputError
from denram.storage import require_memory

_PREFERRED = (schema.TEST, "mean_delay_s", schema.VALID)
_LARGE = 2_000  # cells above which a result of one number per cell is shown first
_N_REASONS = 100  # failed cells whose reason is read


@dataclass(frozen=True)
class Point:
    """Cells that share a place along x and a line.

    Attributes:
        x: position along the x axis.
        line: position along the axis of the lines, 0 without one.
        mean: over the cells that are done.
        sd: over those cells (ddof = 1); NaN for one.
        cells: all of them, done or not.
        n: how many are done.
        inner_sd: mean over those cells of each one's sd over inner draws; NaN without.
    """

    x: int
    line: int
    mean: float
    sd: float
    cells: tuple[Index, ...]
    n: int
    inner_sd: float = float("nan")


class SweepView:
    """A store opened to be looked at; results are read when they are asked for.

    Args:
        path: of the store, or of the folder that holds it.

    Raises:
        InputError: there is none, or it cannot be read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = store_path(path)
        self.reload()

    def reload(self) -> None:
        """Take in what was computed meanwhile."""
        grid = read_head(self.path).grid
        with self._readable("it"):
            # indexes would read coordinates before their declared size is known
            lazy = xr.open_zarr(
                self.path,
                consolidated=False,
                chunks=None,
                create_default_indexes=False,
            )
            declared = lazy[schema.STATUS].shape
        if declared != grid.shape:
            raise InputError(f"sweep {self.path} must have the shape of its grid")
        with self._readable(schema.STATUS):
            status = read_scalars(self.path, schema.STATUS)
        # only now, so that a store that cannot be read leaves the old view whole
        self.grid, self.status, self._lazy = grid, status, lazy
        self._read: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._store: SweepStore | None = None

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        """One line for whatever an untrusted store makes its readers raise."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            text = " ".join(f"{type(error).__name__} {error}".split())[:200]
            raise InputError(
                f"sweep {self.path}: {what} cannot be read: {text}"
            ) from None

    @property
    def variables(self) -> list[str]:
        """Numeric results that a point can show, the main one first."""
        found = []
        for name, variable in self._lazy.data_vars.items():
            inner = variable.dims[len(self.grid.dims) :]
            hidden = str(name).startswith(schema.PER_EPOCH) or name in (
                schema.STATUS,
                schema.CONFUSION,
            )
            labelled = any(dim in self._lazy.coords for dim in inner)
            if variable.dtype.kind in "iuf" and not hidden and not labelled:
                found.append(str(name))
        order = sorted(found, key=lambda n: (n not in _PREFERRED, n))
        if self.grid.n_cells > _LARGE:
            order.sort(key=lambda n: self._lazy[n].ndim > len(self.grid.dims))
        return order

    @property
    def axes(self) -> list[Axis]:
        """Axes with a choice first, the longest numeric one leading."""

        def rank(axis: Axis) -> tuple[bool, bool, int]:
            numeric = all(type(v) in (int, float) for v in axis.labels)
            replicate = axis.name in (schema.SEED, "chip_seed")
            return replicate, not numeric, -len(axis.labels)

        return sorted(self.grid.axes, key=rank)

    def units(self, name: str) -> str:
        """Units of a result or an axis, empty if it has none."""
        attrs = self._lazy[name].attrs if name in self._lazy else {}
        units = str(attrs.get("units", schema.UNITS.get(name, "1")))
        return "" if units == "1" else units

    def values(self, name: str) -> np.ndarray:
        """One number per cell, NaN where it is not done; inner draws are averaged.

        Raises:
            InputError: it cannot be read, or would not fit in memory.
        """
        return self._both(name)[0]

    def spread(self, name: str) -> np.ndarray:
        """Per cell, the sd (ddof = 1) over inner draws; NaN without them.

        Raises:
            InputError: as `values`.
        """
        return self._both(name)[1]

    def _both(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if name not in self._read:
            with self._readable(name):
                variable = self._lazy[name]
                if variable.ndim == len(self.grid.dims):
                    mean = read_scalars(self.path, name).astype(float)
                    sd = np.full(mean.shape, np.nan)
                else:
                    mean, sd = self._over_draws(variable)
                done = self.status == schema.DONE
                self._read[name] = (
                    np.where(done, mean, np.nan),
                    np.where(done, sd, np.nan),
                )
        return self._read[name]

    def _over_draws(self, variable: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
        require_memory(4 * variable.nbytes, f"{variable.name} of the sweep")
        held = variable.load().astype(float)
        inner = held.dims[len(self.grid.dims) :]
        sd = held.std(inner, ddof=1) if held.notnull().sum(inner).max() > 1 else None
        empty = np.full(self.grid.shape, np.nan)
        return held.mean(inner).to_numpy(), empty if sd is None else sd.to_numpy()

    def points(
        self,
        name: str,
        across: str,
        line: str | None = None,
        fixed: Mapping[str, int] | None = None,
    ) -> list[Point]:
        """Means of a result along two axes.

        Args:
            name: of the result.
            across: axis along x.
            line: axis of the lines.
            fixed: axis to the only position that counts; others are averaged over.
        """
        dims, values, spread = self.grid.dims, self.values(name), self.spread(name)
        choices = [
            [(fixed or {})[dim]] if dim in (fixed or {}) else range(n)
            for dim, n in zip(dims, self.grid.shape, strict=True)
        ]
        found = []
        for j in choices[dims.index(line)] if line else [0]:
            for i in choices[dims.index(across)]:
                own = list(choices)
                own[dims.index(across)] = [i]
                if line:
                    own[dims.index(line)] = [j]
                part = values[np.ix_(*own)].ravel()
                done = part[np.isfinite(part)]
                inner = spread[np.ix_(*own)]
                inner = inner[np.isfinite(inner)]
                grid = np.meshgrid(*own, indexing="ij")
                cells = np.stack([g.ravel() for g in grid], axis=1).tolist()
                found.append(
                    Point(
                        x=i,
                        line=j,
                        mean=float(done.mean()) if done.size else float("nan"),
                        sd=float(done.std(ddof=1)) if done.size > 1 else float("nan"),
                        cells=tuple(tuple(cell) for cell in cells),
                        n=done.size,
                        inner_sd=float(inner.mean()) if inner.size else float("nan"),
                    )
                )
        return found

    def counts(self) -> dict[str, int]:
        """Cells done, missing and failed."""
        names = {"done": schema.DONE, "missing": schema.MISSING}
        names["failed"] = schema.FAILED
        return {k: int((self.status == code).sum()) for k, code in names.items()}

    def failures(self) -> list[tuple[Index, str]]:
        """The first failed cells with their reasons."""
        cells = np.argwhere(self.status == schema.FAILED)[:_N_REASONS]
        keys = [tuple(int(i) for i in cell) for cell in cells]
        return [(cell, str(self.record(cell).get("error", ""))) for cell in keys]

    def record(self, cell: Index) -> dict[str, Any]:
        """How a cell came about; empty if it did not, or if that cannot be read."""
        try:
            if self._store is None:
                self._store = SweepStore(self.path)
            found: Any = self._store.record(cell)
        except Exception:  # of an untrusted store, anything
            return {}
        return found if isinstance(found, dict) else {}

    def curves(self, cell: Index) -> dict[str, xr.DataArray]:
        """What a cell holds per epoch; without epochs, what else it holds a row of.

        Raises:
            InputError: it cannot be read, or would not fit in memory.
        """
        where = dict(zip(self.grid.dims, cell, strict=True))
        names = [str(n) for n in self._lazy.data_vars]
        chosen = [n for n in names if n.startswith(schema.PER_EPOCH)]
        if not chosen:
            depth = len(self.grid.dims)
            chosen = [n for n in names if self._lazy[n].ndim == depth + 1]
        found = {}
        for name in chosen:
            row = self._lazy[name].isel(where, missing_dims="ignore")
            if row.dtype.kind not in "iuf" or row.ndim != 1:
                continue
            require_memory(8 * row.nbytes, f"{name} of one cell")
            with self._readable(name):
                held = np.asarray(row.to_numpy(), float)
            label = name.removeprefix(schema.PER_EPOCH)
            found[label] = xr.DataArray(held, dims=row.dims)
        return found

    def text(self, name: str, cell: Index) -> str:
        """A cell's text under a name, empty if it has none."""
        if name not in self._lazy:
            return ""
        where = dict(zip(self.grid.dims, cell, strict=True))
        with self._readable(name):
            return str(self._lazy[name].isel(where).to_numpy()[()])

    def settings(self, cell: Index) -> dict[str, str]:
        """Flat settings of a cell as text."""
        flags = self.grid.flags(cell)
        return {key: _shown(value) for key, value in flags.items()}

    def folder(self, cell: Index) -> str:
        """Where a training keeps its files, relative to the sweep's folder."""
        print_ = str(self.record(cell).get("fingerprint", ""))[:16]
        return f"cells/{print_}" if print_ else ""


def _shown(value: Any) -> str:
    return spelt(value) if isinstance(value, int | float | str) else json.dumps(value)


def labels(axis: Axis) -> Sequence[str]:
    """An axis's labels as text."""
    return [_shown(label) for label in axis.labels]
