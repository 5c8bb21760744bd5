"""Documents as files; the suffix of the name selects the format."""

from pathlib import Path
from typing import TYPE_CHECKING

from explorer.writing import csv_text, json_text, write_bytes, write_text
from hwbase import InputError

if TYPE_CHECKING:
    from explorer.documents.document import Document

_HTML, _MARKDOWN = (".html", ".htm"), (".md", ".markdown")
#: Suffixes of pages, and of all files.
PAGES = (*_HTML, *_MARKDOWN)
SUFFIXES = (*PAGES, ".csv", ".parquet", ".json")
INSTALL = "pip install 'hwsim[study]'"


def check_report_name(path: str | Path) -> str:
    """Return the suffix of a report's name in lower case.

    Raises `InputError` for an unknown suffix, and for Parquet without pyarrow.
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

    The suffix selects the format: .html a page, .md Markdown, .csv and .parquet its rows, .json its data. Raises
    `InputError` as `check_report_name` does, and where the file cannot be written.
    """
    from explorer.documents import html, markdown, rows

    suffix = check_report_name(path)
    if suffix == ".parquet":
        return write_bytes(rows.frame(document).to_parquet(index=False), path)
    if suffix == ".csv":
        return write_text(csv_text(rows.frame(document)), path)
    if suffix == ".json":
        return write_text(json_text(rows.data(document)), path)
    return write_text((markdown if suffix in _MARKDOWN else html).render(document), path)
