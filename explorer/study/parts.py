"""The pieces of a study on disk, and the list of their checksums.

`_sums` has a line for each piece that was written, as `sha256sum` writes and checks them. Parquet checks the pages of a
file but not its footer, where the names and types of columns are.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.checksums import file_sum
from hwbase.files import open_own

#: The list of checksums.
SUMS = "_sums"
#: The footer of a piece: the study's digest, and the rows of a piece.
LABEL = b"hwsim.study"
INSTALL = "pip install 'hwsim[study]'"
_PART = re.compile(r"part-\d{12}\.parquet")
_SUM = re.compile(r"([0-9a-f]{64})  (part-\d{12}\.parquet)")


class Damaged(InputError):
    """A piece that cannot be read, or that is not as it was written; the message says why."""


def part_paths(folder: Path) -> list[Path]:
    """Return the files of pieces in `folder`, in order of their points."""
    return sorted(path for path in folder.glob("part-*.parquet") if _PART.fullmatch(path.name))


def first_point(path: Path) -> int:
    """Return the first point of the piece in the file `path`."""
    return int(path.stem.removeprefix("part-"))


def read(path: Path) -> Any:
    """Return the Arrow table of one piece, not yet compared with its checksum. Raises `Damaged`."""
    module = parquet()
    try:
        with open_own(path) as file:
            return module.ParquetFile(file, page_checksum_verification=True).read()
    except Exception as error:  # a broken footer can make Arrow raise nearly anything
        raise Damaged(_first_line(error)) from None


def read_footer(path: Path) -> Any:
    """Return the metadata of one piece. Raises `Damaged`."""
    module = parquet()
    try:
        with open_own(path) as file:
            return module.read_metadata(file)
    except Exception as error:
        raise Damaged(_first_line(error)) from None


def label_of(footer: Any) -> bytes:
    """Return what `LABEL` says in the metadata of a schema or a footer."""
    value = (footer.metadata or {}).get(LABEL, b"")
    return value if isinstance(value, bytes) else b""


def columns_of(table: Any) -> dict[str, np.ndarray]:
    """Return the columns of an Arrow table as arrays, None or NaN where a value is missing."""
    return {name: table[name].to_numpy() for name in table.column_names}


class Sums:
    """The checksums of a folder's pieces. A piece that was written twice has two, and either will do."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SUMS
        self._known: set[tuple[str, str]] | None = None

    def check(self, path: Path) -> None:
        """Raise `Damaged` for a piece that is not as it was written."""
        if self._known is None:
            self._known = self._read()
        try:
            with open_own(path) as file:
                known = (path.name, file_sum(file)) in self._known
        except (OSError, InputError) as error:
            raise Damaged(_first_line(error)) from None
        if not known:
            raise Damaged(f"its SHA-256 is not in {SUMS}")

    def add(self, path: Path, name: str) -> None:
        """Add the checksum of the file `path`, which will be called `name`."""
        with open_own(path) as file:
            digest = file_sum(file)
        with open_own(self._path, "ab") as sums:
            # A line that was cut is ended, so that this one starts on its own.
            cut = sums.tell() and not self._path.read_bytes().endswith(b"\n")
            sums.write(f"{chr(10) if cut else ''}{digest}  {name}\n".encode())
        if self._known is not None:
            self._known.add((name, digest))

    def _read(self) -> set[tuple[str, str]]:
        try:
            with open_own(self._path) as file:
                lines = file.read().decode("ascii", "replace").splitlines()
        except OSError:
            return set()
        matches = (_SUM.fullmatch(line) for line in lines)
        return {(match[2], match[1]) for match in matches if match}


def arrow() -> Any:
    """Return `pyarrow`. Raises `InputError` with the install command."""
    try:
        import pyarrow
    except ImportError:
        raise InputError(f"results on disk need pyarrow: {INSTALL}") from None
    return pyarrow


def parquet() -> Any:
    """Return `pyarrow.parquet`. Raises `InputError` with the install command."""
    arrow()
    import pyarrow.parquet

    return pyarrow.parquet


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
