"""Results on disk: a folder of Parquet files, one for each piece, written whole or not at all.

Any reader of Parquet datasets reads the folder as one table (`pandas.read_parquet(folder)`); names that begin with an
underscore are not data.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.study.columns import whole_frame
from explorer.study.spec import Study
from explorer.writing import write_text
from hwbase import InputError
from hwbase.parsing import read_json

#: Largest share of the machine's memory that results may take when they are read.
_MOST_OF_MEMORY = 0.5


def read_folder(out: str | Path) -> pd.DataFrame:
    """Return every row in the folder `out`, in order of its points.

    Raises `InputError` if it holds none, if a file is damaged, or if the rows would take more memory than available.
    """
    digest = manifest(out)["digest"].encode()
    paths = part_paths(Path(out))
    if not paths:
        raise InputError(f"{str(out)!r} holds no results yet: run the study")
    _check_memory(out, paths)
    frames = []
    for path in paths:
        try:
            table = read_part(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path.name} in {str(out)!r} is damaged ({error}): run the study again") from None
        if not (table.schema.metadata or {}).get(LABEL, b"").startswith(digest):
            raise InputError(f"{path.name} in {str(out)!r} belongs to another study: run the study again")
        frames.append(columns_of(table))
    return whole_frame(frames)


def unfinished(out: str | Path, points: int) -> int:
    """Return how many of the `points` of a study are not yet in the folder `out`."""
    paths = part_paths(Path(out))
    try:
        label = (arrow_parquet().read_schema(paths[0]).metadata or {}).get(LABEL, b"").decode() if paths else ""
    except (OSError, ValueError):
        return 0  # a damaged file is reported when it is read
    rows = int(label.rpartition(" ")[2] or points)
    return sum(min(rows, points - start) for start in set(range(0, points, rows)) - {*map(first_point, paths)})


def memory_bytes() -> int:
    """Return the machine's memory in bytes, infinite where the system does not report it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**63


def _check_memory(out: str | Path, paths: list[Path]) -> None:
    parquet = arrow_parquet()
    try:
        footers = [parquet.read_metadata(path) for path in paths]
    except (OSError, ValueError):
        return  # a damaged file is reported when it is read
    rows = sum(footer.num_rows for footer in footers)
    # A number or a reference to a text takes eight bytes; joining holds the pieces and the whole at once.
    needed = 2 * 8 * rows * max(footer.num_columns for footer in footers)
    if needed > _MOST_OF_MEMORY * memory_bytes():
        raise InputError(
            f"{str(out)!r} holds {rows:,} rows, which take {needed / 1e9:.1f} GB, more than half of this "
            f"machine's memory: read some columns with pandas.read_parquet({str(out)!r}, columns=[...])"
        )


_MANIFEST, _LOCK = "_study.json", "_lock"
#: The footer of a piece: the study's digest, and the rows of a piece.
LABEL = b"hwsim.study"
_PART = re.compile(r"part-\d{12}\.parquet")
#: Other files that a folder may hold before its study: those of an earlier run that was interrupted at its start.
_BEGUN = re.compile(rf"{_LOCK}|\.{_MANIFEST}\..*")
INSTALL = "pip install 'hwsim[study]'"


class Store:
    """The folder of one study. Open it with `opened`; `keep` writes a piece, `kept` lists those written."""

    def __init__(self, folder: Path, digest: str, rows: int) -> None:
        self.folder = folder
        # Pieces of another size would leave gaps or repeat points.
        self._label = f"{digest} in pieces of {rows}".encode()

    def kept(self) -> list[int]:
        """Return the first point of each piece in the folder; invalid or foreign files are removed."""
        starts = []
        for path in part_paths(self.folder):
            try:
                ours = (read_part(path).schema.metadata or {}).get(LABEL) == self._label
            except (OSError, ValueError):  # ArrowInvalid is a ValueError
                ours = False
            if not ours:
                path.unlink()
                continue
            starts.append(first_point(path))
        return starts

    def keep(self, start: int, table: pd.DataFrame) -> None:
        """Write the piece that begins at point `start`. Raises `InputError` if it cannot be written."""
        arrow = _arrow()
        # Convert missing values one by one: NaN stays NaN, None becomes null; a column of None only has no type.
        columns = {str(name): arrow.array(table[name].to_numpy(), from_pandas=False) for name in table}
        fields = [(name, arrow.string() if name == "failure" else each.type) for name, each in columns.items()]
        schema = arrow.schema(fields, metadata={LABEL: self._label})
        content = arrow.table([columns[name].cast(kind) for name, kind in fields], schema=schema)
        self._write(self._path(start), content)

    def _path(self, start: int) -> Path:
        return self.folder / f"part-{start:012d}.parquet"

    def _write(self, path: Path, table: Any) -> None:
        arrow, parquet = _arrow(), arrow_parquet()
        texts = [field.name for field in table.schema if arrow.types.is_string(field.type)]
        temporary = self.folder / f"_{path.name}.tmp"
        try:
            with temporary.open("wb") as file:
                parquet.write_table(
                    table,
                    file,
                    use_dictionary=texts,
                    compression="lz4",
                    write_statistics=False,
                    write_page_checksum=True,
                )
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise InputError(
                f"cannot write {str(path)!r}: {error.strerror or error}; finished pieces are kept: "
                "run the same study again to continue"
            ) from None
        finally:
            # What an error or an interrupt left.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def level(self) -> None:
        """Give all pieces the same columns, so that any reader sees one table.

        The outputs of a piece in which every point failed are unknown when it is written.
        """
        arrow, parquet = _arrow(), arrow_parquet()
        schemas = {path: parquet.read_schema(path) for path in part_paths(self.folder)}
        if len(set(map(str, schemas.values()))) < 2:
            return
        try:
            whole = arrow.unify_schemas(list(schemas.values()), promote_options="permissive")
        except arrow.ArrowException as error:
            raise InputError(
                f"an output has numbers at some points and flags or texts at others ({error}); finished pieces are kept"
            ) from None
        for path, schema in schemas.items():
            if schema != whole:
                table = read_part(path)
                missing = {name: arrow.nulls(len(table), whole.field(name).type) for name in whole.names}
                columns = [
                    table[name].cast(whole.field(name).type) if name in table.column_names else missing[name]
                    for name in whole.names
                ]
                self._write(path, arrow.table(columns, schema=whole))

    def read(self, start: int) -> pd.DataFrame:
        """Return the piece that begins at point `start`."""
        return whole_frame([columns_of(read_part(self._path(start)))])


@contextlib.contextmanager
def opened(out: str | Path, study: Study, rows: int) -> Iterator[Store]:
    """Open the folder `out` for `study` in pieces of `rows`, new or continued, and lock it until the end.

    A run that ends before its first piece is written leaves nothing behind. Raises `InputError` if the folder cannot be
    written, holds another study or other files, or is locked by another run.
    """
    arrow_parquet()
    if not isinstance(out, (str, Path)) or not str(out).strip():
        raise InputError(f"cannot write {str(out)!r}: expected the name of a folder")
    folder, digest = Path(out), study.digest()
    try:
        new = not folder.exists()
        folder.mkdir(exist_ok=True)
        strangers = [path.name for path in folder.iterdir() if not _BEGUN.fullmatch(path.name)]
    except FileNotFoundError:
        raise InputError(f"cannot write {str(out)!r}: there is no folder {str(folder.parent)!r}") from None
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"cannot write {str(out)!r}: it is a file, or in one; expected a folder") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {str(out)!r}: {getattr(error, 'strerror', error)}") from None
    if strangers and not (folder / _MANIFEST).is_file():
        raise InputError(f"cannot write {str(out)!r}: it holds other files ({min(strangers)}); give a new folder")
    with _locked(folder):
        begun = (folder / _MANIFEST).is_file()
        try:
            _same_study(folder, study, digest)
            for path in (*folder.glob("_*.tmp"), *folder.glob(f".{_MANIFEST}.*")):
                path.unlink()
            yield Store(folder, digest, rows)
        except BaseException:
            if not begun and not part_paths(folder):
                _clear(folder, new)
            raise


def is_study(out: str | Path) -> bool:
    """Return whether `out` is the folder of a study."""
    try:
        return (Path(out) / _MANIFEST).is_file()
    except (OSError, ValueError):  # an invalid file name
        return False


def manifest(out: str | Path) -> dict[str, Any]:
    """Return the study in the manifest of the folder `out`. Raises `InputError` if it holds none."""
    path = Path(out) / _MANIFEST
    if not is_study(out):
        raise InputError(f"{str(out)!r} holds no study: expected a folder that `hwsim study run` wrote")
    content = read_json(path)
    if not isinstance(content.get("digest"), str) or not isinstance(content.get("study"), dict):
        raise InputError(f"{path.name} in {str(out)!r} does not describe a study: remove the folder and run it again")
    return content


def part_paths(folder: Path) -> list[Path]:
    """Return the files of pieces in `folder`, in order of their points."""
    return sorted(path for path in folder.glob("part-*.parquet") if _PART.fullmatch(path.name))


def read_part(path: Path) -> Any:
    """Return the Arrow table of one piece. A page that does not fit its checksum raises `OSError`."""
    return arrow_parquet().ParquetFile(path, page_checksum_verification=True).read()


def columns_of(table: Any) -> dict[str, np.ndarray]:
    """Return the columns of an Arrow table as arrays, None or NaN where a value is missing."""
    return {name: table[name].to_numpy() for name in table.column_names}


def _clear(folder: Path, new: bool) -> None:
    """Remove the files of a run that wrote no piece."""
    with contextlib.suppress(OSError):
        for path in (*folder.glob("_*.tmp"), *folder.glob(f".{_MANIFEST}.*"), folder / _MANIFEST, folder / _LOCK):
            path.unlink(missing_ok=True)
        if new:
            folder.rmdir()


def first_point(path: Path) -> int:
    """Return the first point of the piece in the file `path`."""
    return int(path.stem.removeprefix("part-"))


def _same_study(folder: Path, study: Study, digest: str) -> None:
    if (folder / _MANIFEST).is_file():
        there = manifest(folder)["digest"]
        if there != digest:
            raise InputError(
                f"{str(folder)!r} holds another study (digest {there[:12]}, this one has {digest[:12]}: another "
                "version, book, seed, parameter or function): give another folder, or remove it"
            )
        return
    content = {"digest": digest, "study": study.to_dict()}
    write_text(json.dumps(content, indent=2, default=str) + "\n", folder / _MANIFEST)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder. The system releases the lock when the process ends."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: users must avoid two runs at once
        yield
        return
    try:
        file = (folder / _LOCK).open("w")
    except OSError as error:
        raise InputError(f"cannot write {str(folder)!r}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{str(folder)!r} is being written by another run: wait for it, or stop it") from None
        except OSError as error:
            raise InputError(f"cannot lock {str(folder)!r}: {error.strerror}") from None
        yield


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise InputError(f"results on disk need pyarrow: {INSTALL}") from None
    return pyarrow


def arrow_parquet() -> Any:
    """Return `pyarrow.parquet`. Raises `InputError` with the install command."""
    _arrow()
    import pyarrow.parquet

    return pyarrow.parquet
