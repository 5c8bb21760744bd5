"""Results on disk: a folder of Parquet files, one a piece, each there whole or not at all.

Any reader of Parquet datasets takes the folder as one table (`pandas.read_parquet(folder)`); names that begin with an
underscore are not data.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.study.spec import Study
from explorer.writing import write_text
from hwbase import InputError
from hwbase.parsing import read_json

_MANIFEST, _LOCK = "_study.json", "_lock"
_HASH = b"hwsim.study"
INSTALL = "pip install 'hwsim[study]'"


class Store:
    """The folder of one study. Open it with `opened`; `keep` writes a piece, `kept` says which are there."""

    def __init__(self, folder: Path, study: Study, digest: str) -> None:
        self.folder, self.study, self.digest = folder, study, digest

    def kept(self) -> dict[int, int]:
        """Return {first point: rows} of the pieces that are there; a file that is not whole or not ours is removed."""
        parquet = arrow_parquet()
        found = {}
        for path in sorted(self.folder.glob("part-*.parquet")):
            try:
                footer = parquet.read_metadata(path)
                ours = (footer.metadata or {}).get(_HASH) == self.digest.encode()
            except (OSError, ValueError):  # ArrowInvalid is a ValueError
                ours = False
            if not ours:
                path.unlink()
                continue
            found[_start(path)] = footer.num_rows
        return found

    def keep(self, start: int, table: pd.DataFrame) -> None:
        """Write the piece that begins at point `start`; raises `InputError` if the disk does not take it."""
        arrow = _arrow()
        kinds = {name: _plain_type(table[name]) for name in table}
        fields = [(name, arrow.from_numpy_dtype(kind) if kind else arrow.string()) for name, kind in kinds.items()]
        columns = [
            arrow.array(table[name].to_numpy(kinds[name] or object), kind, from_pandas=True) for name, kind in fields
        ]
        content = arrow.table(columns, schema=arrow.schema(fields, metadata={_HASH: self.digest.encode()}))
        self._write(self._path(start), content)

    def _path(self, start: int) -> Path:
        return self.folder / f"part-{start:012d}.parquet"

    def _write(self, path: Path, table: Any) -> None:
        arrow, parquet = _arrow(), arrow_parquet()
        texts = [field.name for field in table.schema if arrow.types.is_string(field.type)]
        temporary = self.folder / f"_{path.name}.tmp"
        try:
            with temporary.open("wb") as file:
                parquet.write_table(table, file, use_dictionary=texts, compression="lz4", write_statistics=False)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise InputError(
                f"cannot write {str(path)!r}: {error.strerror or error}; what was written is kept: "
                "run the same study again to go on"
            ) from None

    def level(self) -> None:
        """Give all pieces the same columns, so that any reader sees one table.

        A piece in which every point failed does not know its outputs when it is written.
        """
        arrow, parquet = _arrow(), arrow_parquet()
        schemas = {start: parquet.read_schema(self._path(start)) for start in self.kept()}
        if len(set(map(str, schemas.values()))) < 2:
            return
        whole = arrow.unify_schemas(list(schemas.values()), promote_options="permissive")
        for start, schema in schemas.items():
            if schema != whole:
                table = parquet.read_table(self._path(start))
                missing = {name: arrow.nulls(len(table), whole.field(name).type) for name in whole.names}
                columns = [
                    table[name].cast(whole.field(name).type) if name in table.column_names else missing[name]
                    for name in whole.names
                ]
                self._write(self._path(start), arrow.table(columns, schema=whole))

    def read(self, start: int) -> pd.DataFrame:
        """Return the piece that begins at point `start`."""
        found: pd.DataFrame = _ordered(arrow_parquet().read_table(self._path(start)))
        return found


@contextlib.contextmanager
def opened(out: str | Path, study: Study) -> Iterator[Store]:
    """Open the folder `out` for `study`, new or begun earlier, and hold it alone until the end.

    Raises `InputError` if it cannot be written, holds another study or other files, or another run works on it.
    """
    arrow_parquet()
    folder, digest = Path(out), study.digest()
    try:
        folder.mkdir(exist_ok=True)
        strangers = [path.name for path in folder.iterdir() if not path.name.startswith(("_", "part-"))]
    except FileNotFoundError:
        raise InputError(f"cannot write {str(out)!r}: there is no folder {str(folder.parent)!r}") from None
    except FileExistsError:
        raise InputError(f"cannot write {str(out)!r}: it is a file; results go into a folder") from None
    except OSError as error:
        raise InputError(f"cannot write {str(out)!r}: {error.strerror}") from None
    if strangers and not (folder / _MANIFEST).is_file():
        raise InputError(f"cannot write {str(out)!r}: it holds other files ({strangers[0]}); give a new folder")
    with _locked(folder):
        _same_study(folder, study, digest)
        for path in folder.glob("_*.tmp"):
            path.unlink()
        yield Store(folder, study, digest)


def is_study(out: str | Path) -> bool:
    """Return whether `out` is a folder that a study was run into."""
    try:
        return (Path(out) / _MANIFEST).is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False


def manifest(out: str | Path) -> dict[str, Any]:
    """Return what the folder `out` says of its study; raises `InputError` if it holds none."""
    path = Path(out) / _MANIFEST
    if not is_study(out):
        raise InputError(f"{str(out)!r} holds no study: expected a folder that `hwsim study run` wrote")
    return read_json(path)


def read_folder(out: str | Path) -> pd.DataFrame:
    """Return every row in the folder `out`, in order of its points; raises `InputError` if it holds none."""
    arrow, parquet = _arrow(), arrow_parquet()
    digest = manifest(out)["digest"].encode()
    tables = []
    for path in sorted(Path(out).glob("part-*.parquet")):
        try:
            table = parquet.read_table(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path.name} in {str(out)!r} is not whole ({error}): run the study again") from None
        if (table.schema.metadata or {}).get(_HASH) != digest:
            raise InputError(f"{path.name} in {str(out)!r} is of another study: run the study again")
        tables.append(table)
    if not tables:
        raise InputError(f"{str(out)!r} holds no results yet: run the study")
    return _ordered(arrow.concat_tables(tables, promote_options="permissive"))


def _plain_type(column: pd.Series) -> np.dtype[Any] | None:
    """The NumPy type of a column of numbers or flags, None for texts."""
    return column.dtype if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iufb" else None


def _ordered(table: Any) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    return frame[[name for name in frame if name not in ("feasible", "failure")] + ["feasible", "failure"]]


def _start(path: Path) -> int:
    return int(path.stem.removeprefix("part-"))


def _same_study(folder: Path, study: Study, digest: str) -> None:
    if (folder / _MANIFEST).is_file():
        there = read_json(folder / _MANIFEST)
        if there.get("digest") != digest:
            raise InputError(
                f"{str(folder)!r} holds another study (digest {str(there.get('digest'))[:12]}, this one has "
                f"{digest[:12]}): give another folder, or remove it"
            )
        return
    content = {"digest": digest, "study": study.to_dict()}
    write_text(json.dumps(content, indent=2, default=str) + "\n", folder / _MANIFEST)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder alone. The system lets go of the lock when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: two runs at once are the user's to avoid
        yield
        return
    try:
        file = (folder / _LOCK).open("w")
    except OSError as error:
        raise InputError(f"cannot write {str(folder)!r}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{str(folder)!r} is being written by another run: wait for it, or stop it") from None
        yield


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise InputError(f"results on disk need pyarrow: {INSTALL}") from None
    return pyarrow


def arrow_parquet() -> Any:
    """Return `pyarrow.parquet`; raises `InputError` with what to install."""
    _arrow()
    import pyarrow.parquet

    return pyarrow.parquet
