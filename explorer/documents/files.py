"""Reports as files: what is written is decided by the name."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from explorer.writing import json_text, write_bytes, write_text
from hwbase import InputError
from hwbase.record import plain

#: What a name may end in.
SUFFIXES = (".html", ".htm", ".md", ".markdown", ".csv", ".parquet", ".json")
INSTALL = "pip install 'hwsim[study]'"


def check_report_name(path: str | Path) -> str:
    """Return the ending of a report's name in small letters.

    Raises `InputError` for one that is none of ours, and for Parquet where pyarrow is not installed.
    """
    try:
        suffix = Path(path).suffix.lower()
    except TypeError:
        raise InputError(f"cannot write {path!r}: expected a path") from None
    if suffix not in SUFFIXES:
        raise InputError(f"cannot write {str(path)!r}: expected a name that ends in {', '.join(SUFFIXES)}")
    if suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise InputError(f"cannot write {str(path)!r}: Parquet needs pyarrow: {INSTALL}") from None
    return suffix


def write_as(
    path: str | Path,
    *,
    page: Callable[[], str],
    markdown: Callable[[], str],
    table: Callable[[], pd.DataFrame],
    data: Callable[[], Any],
) -> Path:
    """Write what the name of `path` asks for, whole or not at all, and return the path.

    `page`, `markdown`, `table` and `data` make the HTML, the Markdown, the rows of .csv and .parquet and the content of
    .json. Raises `InputError` as `check_report_name` does, and where the file cannot be written.
    """
    suffix = check_report_name(path)
    if suffix == ".parquet":
        buffer = io.BytesIO()
        table().to_parquet(buffer, index=False)
        return write_bytes(buffer.getvalue(), path)
    if suffix == ".csv":
        return write_text(table().to_csv(index=False), path)
    if suffix == ".json":
        return write_text(json_text(plain(data())), path)
    return write_text(markdown() if suffix in (".md", ".markdown") else page(), path)
