"""A text file of measured numbers as a table of text: separators, headers, gzip."""

import gzip
import hashlib
import io
import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from denram.errors import InputError
from denram.storage import require_memory

if TYPE_CHECKING:
    import pandas as pd

LARGEST_TEXT = 1 << 30  # bytes


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        frame: one column of text per column of the file.
        named: whether the first line of the file named the columns.
        file: name of the file, without its folder.
        sha256: of the file's bytes.
    """

    frame: "pd.DataFrame"
    named: bool
    file: str
    sha256: str

    def column(self, name: str, flag: str) -> "pd.Series":
        """A column by its title, or by its number from 1, without blanks around.

        Raises:
            InputError: no such column, or two of that title.
        """
        return self.frame.iloc[:, self._place(name, flag)].fillna("").str.strip()

    def title(self, name: str, flag: str) -> str:
        """What the header calls a column; empty without header."""
        return str(self.frame.columns[self._place(name, flag)]) if self.named else ""

    def only(self, name: str, value: str) -> "Table":
        """The rows whose column holds this text, or this number.

        Raises:
            InputError: no such column, or no such row.
        """
        held = self.column(name, "--where")
        kept = held == value
        if not kept.any() and _is_number(value):
            wanted = float(value)
            kept = held.map(lambda text: _is_number(text) and float(text) == wanted)
        if not kept.any():
            raise InputError(f"--where must leave rows, got none with {name}={value}")
        return replace(self, frame=self.frame[kept])

    def _place(self, name: str, flag: str) -> int:
        titles = list(self.frame.columns)
        found = titles.count(name) if self.named else 0
        if found > 1:
            raise InputError(f"{flag} must name one column, got {name!r} {found} times")
        if found == 1:
            return titles.index(name)
        if name.isdecimal() and 1 <= int(name) <= len(titles):
            return int(name) - 1
        shown = ", ".join(titles[:12]) + (", ..." if len(titles) > 12 else "")
        rule = f"one of {shown}" if self.named else f"a number from 1 to {len(titles)}"
        raise InputError(f"{flag} must be {rule}, got {name!r}")


def read_table(path: Path, *, header: bool = True) -> Table:
    """Read a table separated by tab, semicolon or comma, perhaps gzipped.

    Lines above the table that start with # are left out.

    Raises:
        InputError: no such file, an empty or huge one, no text, or rows of different
            lengths.
    """
    import pandas as pd

    text, sha256 = read_text(path)
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=separator(text),
            header=None,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            index_col=False,
        )
    except (ValueError, pd.errors.ParserWarning) as error:
        reason = str(error).splitlines()[0].removeprefix("Error tokenizing data. ")
        raise InputError(f"{path} must be a table: {reason}"[:300]) from None
    titles = [str(i + 1) for i in range(frame.shape[1])]
    if header:
        titles = [str(title).strip() for title in frame.iloc[0].fillna("")]
        frame = frame.iloc[1:]
    frame.columns = titles
    if frame.empty:
        raise InputError(f"{path} must hold readings below its header, got none")
    return Table(frame, header, path.name, sha256)


def read_text(path: Path) -> tuple[str, str]:
    """Text of a file, unpacked, without # lines above it, and its bytes' sha256.

    Raises:
        InputError: no such file, an empty or huge one, or no text.
    """
    raw = _file_bytes(path)
    text = _text(path, raw)
    while text.startswith("#"):
        text = text.partition("\n")[2]
    if not text.strip():
        raise InputError(f"{path} must hold readings, but the file is empty")
    return text, hashlib.sha256(raw).hexdigest()


def _file_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_TEXT:
            raise InputError(f"{path} must be at most {LARGEST_TEXT} bytes")
        raw = path.read_bytes()
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read {str(path)!r}: {reason}") from None
    if not raw:
        raise InputError(f"{path} must hold readings, but the file is empty")
    return raw


def _text(path: Path, raw: bytes) -> str:
    if raw[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(raw)) as file:
                raw = file.read(LARGEST_TEXT + 1)
        except (OSError, EOFError, zlib.error):
            raise InputError(f"{path} must be a whole gzip file") from None
        if len(raw) > LARGEST_TEXT:
            raise InputError(f"{path} must hold at most {LARGEST_TEXT} bytes of text")
    require_memory(12 * len(raw), path.name)
    if b"\0" in raw:
        raise InputError(f"{path} must be a text file, but it holds NUL bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} must be a text file in UTF-8") from None


def separator(text: str) -> str:
    """Tab, semicolon or comma: the one the first line holds most; comma if none."""
    first = text.lstrip().partition("\n")[0]
    return max("\t;,", key=first.count) if re.search("[\t;,]", first) else ","


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
