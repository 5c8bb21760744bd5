"""Results on disk: a folder of Parquet files, one for each piece, written whole or not at all.

Any reader of Parquet datasets reads the folder as one table (`pandas.read_parquet(folder)`); names that begin with an
underscore are not data: `_study.json` is the study, with a checksum of itself, and `_sums` has those of the pieces.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from explorer.study import parts
from explorer.study.columns import whole_frame
from explorer.study.parts import LABEL, SUMS, Damaged, Sums, columns_of, first_point, label_of, part_paths
from explorer.study.spec import Study
from explorer.writing import write_text
from hwbase import InputError
from hwbase.checksums import is_whole, with_sum
from hwbase.files import open_own
from hwbase.parsing import read_json

#: Largest share of the machine's memory that results may take when they are read.
_MOST_OF_MEMORY = 0.5


def read_folder(out: str | Path) -> pd.DataFrame:
    """Return every row in the folder `out`, in order of its points.

    Raises `InputError` if it holds none, if a file is damaged, or if the rows would take more memory than available.
    """
    content = manifest(out)
    digest = content["digest"].encode()
    paths = part_paths(Path(out))
    if not paths:
        raise InputError(f"{str(out)!r} holds no results yet: run the study")
    _check_memory(out, paths)
    # Folders of version 0.1 have no checksums.
    sums = Sums(Path(out)) if is_whole(content) else None
    frames = []
    for path in paths:
        try:
            table = parts.read(path)
            if not label_of(table.schema).startswith(digest):
                raise InputError(f"{path.name} in {str(out)!r} belongs to another study: run the study again")
            if sums:
                sums.check(path)
        except Damaged as error:
            raise InputError(f"{path.name} in {str(out)!r} is damaged ({error}): run the study again") from None
        frames.append(columns_of(table))
    return whole_frame(frames)


def unfinished(out: str | Path, points: int) -> int:
    """Return how many of the `points` of a study are not yet in the folder `out`."""
    paths = part_paths(Path(out))
    try:
        label = label_of(parts.read_footer(paths[0])) if paths else b""
        rows = int(label.rpartition(b" ")[2] or points)
    except (Damaged, ValueError):
        return 0  # a damaged file is reported when it is read
    return sum(min(rows, points - start) for start in set(range(0, points, rows)) - {*map(first_point, paths)})


def memory_bytes() -> int:
    """Return the machine's memory in bytes, infinite where the system does not report it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**63


def _check_memory(out: str | Path, paths: list[Path]) -> None:
    try:
        footers = [parts.read_footer(path) for path in paths]
    except Damaged:
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
#: Other files that a folder may hold before its study: those of an earlier run that was interrupted at its start.
_BEGUN = re.compile(rf"{_LOCK}|\.{_MANIFEST}\..*")


class Store:
    """The folder of one study. Open it with `opened`; `keep` writes a piece, `kept` lists those written."""

    def __init__(self, folder: Path, digest: str, rows: int) -> None:
        self.folder, self._sums = folder, Sums(folder)
        # Pieces of another size would leave gaps or repeat points.
        self._label = f"{digest} in pieces of {rows}".encode()

    def kept(self) -> list[int]:
        """Return the first point of each piece in the folder; invalid or foreign files are removed."""
        starts = []
        for path in part_paths(self.folder):
            try:
                ours = label_of(parts.read_footer(path)) == self._label
                self._sums.check(path)
            except Damaged:
                ours = False
            if not ours:
                path.unlink()
                continue
            starts.append(first_point(path))
        return starts

    def keep(self, start: int, table: pd.DataFrame) -> None:
        """Write the piece that begins at point `start`. Raises `InputError` if it cannot be written."""
        arrow = parts.arrow()
        # Convert missing values one by one: NaN stays NaN, None becomes null; a column of None only has no type.
        columns = {str(name): arrow.array(table[name].to_numpy(), from_pandas=False) for name in table}
        fields = [(name, arrow.string() if name == "failure" else each.type) for name, each in columns.items()]
        schema = arrow.schema(fields, metadata={LABEL: self._label})
        content = arrow.table([columns[name].cast(kind) for name, kind in fields], schema=schema)
        self._write(self._path(start), content)

    def _path(self, start: int) -> Path:
        return self.folder / f"part-{start:012d}.parquet"

    def _write(self, path: Path, table: Any) -> None:
        arrow, parquet = parts.arrow(), parts.parquet()
        texts = [field.name for field in table.schema if arrow.types.is_string(field.type)]
        temporary = self.folder / f"_{path.name}.tmp"
        try:
            with open_own(temporary, "xb") as file:
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
            self._sums.add(temporary, path.name)
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
        arrow = parts.arrow()
        schemas = {path: parts.read_footer(path).schema.to_arrow_schema() for path in part_paths(self.folder)}
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
                table = parts.read(path)
                missing = {name: arrow.nulls(len(table), whole.field(name).type) for name in whole.names}
                columns = [
                    table[name].cast(whole.field(name).type) if name in table.column_names else missing[name]
                    for name in whole.names
                ]
                self._write(path, arrow.table(columns, schema=whole))

    def read(self, start: int) -> pd.DataFrame:
        """Return the piece that begins at point `start`."""
        return whole_frame([columns_of(parts.read(self._path(start)))])


@contextlib.contextmanager
def opened(out: str | Path, study: Study, rows: int) -> Iterator[Store]:
    """Open the folder `out` for `study` in pieces of `rows`, new or continued, and lock it until the end.

    A run that ends before its first piece is written leaves nothing behind. Raises `InputError` if the folder cannot be
    written, holds another study or other files, or is locked by another run.
    """
    parts.parquet()
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
    # Folders of version 0.1 have no checksum.
    if content.keys() != {"digest", "study"} and not is_whole(content):
        raise InputError(f"{path.name} in {str(out)!r} was changed: its SHA-256 differs; run the study in a new folder")
    if not isinstance(content.get("digest"), str) or not isinstance(content.get("study"), dict):
        raise InputError(f"{path.name} in {str(out)!r} does not describe a study: remove the folder and run it again")
    return content


def _clear(folder: Path, new: bool) -> None:
    """Remove the files of a run that wrote no piece."""
    with contextlib.suppress(OSError):
        for path in (
            *folder.glob("_*.tmp"),
            *folder.glob(f".{_MANIFEST}.*"),
            folder / _MANIFEST,
            folder / SUMS,
            folder / _LOCK,
        ):
            path.unlink(missing_ok=True)
        if new:
            folder.rmdir()


def _same_study(folder: Path, study: Study, digest: str) -> None:
    if (folder / _MANIFEST).is_file():
        there = manifest(folder)["digest"]
        if there != digest:
            raise InputError(
                f"{str(folder)!r} holds another study (digest {there[:12]}, this one has {digest[:12]}: another "
                "version, book, seed, parameter or function): give another folder, or remove it"
            )
        return
    # What is written is what is read back: texts for what JSON does not have.
    content = json.loads(json.dumps({"digest": digest, "study": study.to_dict()}, default=str))
    write_text(json.dumps(with_sum(content), indent=2) + "\n", folder / _MANIFEST)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder. The system releases the lock when the process ends."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: users must avoid two runs at once
        yield
        return
    try:
        file = open_own(folder / _LOCK, "ab")
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
