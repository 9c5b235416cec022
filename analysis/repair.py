"""A damaged sweep mended: files made again, and cells left to the next run."""

from dataclasses import dataclass
from pathlib import Path

from denram.analysis.folder import owned
from denram.analysis.grid import Index
from denram.analysis.programs import check_cells
from denram.analysis.rewrite import restore, unpack
from denram.analysis.seal import faults, read_root
from denram.analysis.study import Layout, Study, study_of
from denram.analysis.sweep_store import Head, SweepStore, read_head
from denram.analysis.verify import Damage, damages
from denram.storage import disk_errors


@dataclass(frozen=True)
class Mended:
    """What became of a store's damage.

    Attributes:
        files: of the whole sweep, that were made again.
        cells: that count as missing now.
        left: what could not be mended.
    """

    files: list[str]
    cells: list[Index]
    left: list[Damage]


def repair(path: Path, *, study: Study | None = None) -> Mended:
    """Make metadata and labels again, and take damaged cells as missing.

    A packed store is unpacked; cells whose chunk is sound are kept.

    Args:
        path: of the store.
        study: other than the grid's own, for tests.

    Raises:
        InputError: the store's own description cannot be read.
        BusyError: another process works on the sweep.
        StorageError: the disk refused.
    """
    with owned(path.parent), disk_errors(path):
        head, files = read_head(path, whole=False), []
        if _faulty(path, head):
            files = restore(path, _layout(head, study))
        cells: list[Index] = []
        if not _faulty(path, head):
            found = {cell for damage in damages(path) for cell in damage.cells}
            cells = sorted(found)
        if cells and head.packed:
            unpack(path, _layout(head, study), cells)
        elif cells:
            store = SweepStore(path)
            for cell in cells:
                store.forget(cell)
        return Mended(files, cells, list(damages(path)))


def _faulty(path: Path, head: Head) -> bool:
    return any(True for _ in faults(path, read_root(path), head.grid))


def _layout(head: Head, study: Study | None) -> Layout:
    study = study or study_of(head.grid.study)
    return study.layout(check_cells(head.grid, study).values())
