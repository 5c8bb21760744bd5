"""Results on disk, read again: all of a folder at once, if the machine holds it."""

import os
from pathlib import Path

import pandas as pd

from explorer.study.columns import whole_frame
from explorer.study.store import LABEL, arrow_parquet, columns_of, first_point, manifest, part_paths, read_part
from hwbase import InputError

#: Share of the machine's memory that results may take when they are read.
_MOST_OF_MEMORY = 0.5


def read_folder(out: str | Path) -> pd.DataFrame:
    """Return every row in the folder `out`, in order of its points.

    Raises `InputError` if it holds none, if a file is damaged, or if the rows would take more memory than there is.
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
            raise InputError(f"{path.name} in {str(out)!r} is of another study: run the study again")
        frames.append(columns_of(table))
    return whole_frame(frames)


def unfinished(out: str | Path, points: int) -> int:
    """Return how many of the `points` of a study are not in the folder `out` yet."""
    paths = part_paths(Path(out))
    try:
        label = (arrow_parquet().read_schema(paths[0]).metadata or {}).get(LABEL, b"").decode() if paths else ""
    except (OSError, ValueError):
        return 0  # what is damaged is told when it is read
    rows = int(label.rpartition(" ")[2] or points)
    return sum(min(rows, points - start) for start in set(range(0, points, rows)) - {*map(first_point, paths)})


def memory_bytes() -> int:
    """Return the machine's memory, or an unlimited amount where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**63


def _check_memory(out: str | Path, paths: list[Path]) -> None:
    parquet = arrow_parquet()
    try:
        footers = [parquet.read_metadata(path) for path in paths]
    except (OSError, ValueError):
        return  # what is damaged is told when it is read
    rows = sum(footer.num_rows for footer in footers)
    # A number and a reference to a text take eight bytes each; joining needs the pieces and the whole at once.
    needed = 2 * 8 * rows * max(footer.num_columns for footer in footers)
    if needed > _MOST_OF_MEMORY * memory_bytes():
        raise InputError(
            f"{str(out)!r} holds {rows:,} rows, which take {needed / 1e9:.1f} GB, more than half of this "
            f"machine's memory: read some columns with pandas.read_parquet({str(out)!r}, columns=[...])"
        )
