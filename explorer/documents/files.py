"""Documents as files: the name decides what is written."""

from pathlib import Path
from typing import TYPE_CHECKING

from explorer.writing import json_text, write_bytes, write_text
from hwbase import InputError

if TYPE_CHECKING:
    from explorer.documents.document import Document

_HTML, _MARKDOWN = (".html", ".htm"), (".md", ".markdown")
#: What the name of a page may end in, and that of any file.
PAGES = (*_HTML, *_MARKDOWN)
SUFFIXES = (*PAGES, ".csv", ".parquet", ".json")
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


def write_document(document: "Document", path: str | Path) -> Path:
    """Write a document to `path`, whole or not at all, and return the path.

    The name decides what is written: .html a page, .md Markdown, .csv and .parquet its rows, .json its data. Raises
    `InputError` as `check_report_name` does, and where the file cannot be written.
    """
    from explorer.documents import html, markdown, rows

    suffix = check_report_name(path)
    if suffix == ".parquet":
        return write_bytes(rows.frame(document).to_parquet(index=False), path)
    if suffix == ".csv":
        return write_text(rows.frame(document).to_csv(index=False), path)
    if suffix == ".json":
        return write_text(json_text(rows.data(document)), path)
    return write_text((markdown if suffix in _MARKDOWN else html).render(document), path)
