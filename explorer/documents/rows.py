"""Documents as rows: one row for each cell of a table, with the number behind the text."""

import math
from typing import TYPE_CHECKING, Any

from explorer.documents.document import Document
from explorer.documents.schema import with_schema
from explorer.documents.tables import Table
from hwbase.numbers import Number

if TYPE_CHECKING:
    import pandas as pd

#: Columns of the rows; those of the document's subject come first.
COLUMNS = ("section", "table", "item", "group", "column", "unit", "value", "text")


def frame(document: Document) -> "pd.DataFrame":
    """Return the rows of a document: its result's own frame, or one row for each cell of its tables in `COLUMNS`.

    `item` is the head of a table's row; `value` is NaN for cells that are text only.
    """
    import pandas as pd

    if document.frame is not None:
        return document.frame()
    rows = [
        (*document.subject.values(), *_cases(document, table, cell), section.title, table.caption, *cell)
        for section in document.sections
        for table in section.tables
        for cell in cells(table)
    ]
    return pd.DataFrame(rows, columns=[*document.subject, *document.cases, *COLUMNS]).astype({"value": float})


def _cases(document: Document, table: Table, cell: tuple[Any, ...]) -> list[str]:
    """Return what a cell is of, by the cases of its document; "" where nothing says it."""
    item, group, column = cell[:3]
    texts = ", ".join((column, group, item, table.caption)).split(", ")
    parts = [text.removeprefix("beside ") for text in texts]
    return [next((part for part in parts if part in known), "") for known in document.cases.values()]


def data(document: Document) -> dict[str, Any]:
    """Return the JSON data of a document."""
    if document.data is not None:
        return with_schema(document.data(), document.schema)
    return with_schema({"title": document.title, "rows": frame(document).to_dict(orient="records")}, document.schema)


def cells(table: Table) -> list[tuple[str, str, str, str, float, str]]:
    """Return (item, group, column, unit, value, text) of every cell after the head of its row.

    A row's head is its first cell and the texts after it up to the first number.
    """
    numeric = [column.numeric for column in table.columns]
    head = numeric.index(True) if True in numeric[1:] and not numeric[0] else 1
    rows = []
    for row in table.rows:
        item = ", ".join(text for each in row[:head] if (text := str(each)))
        for column, cell in zip(table.columns[head:], row[head:], strict=True):
            value = cell.value if isinstance(cell, Number) else math.nan
            unit = cell.unit if isinstance(cell, Number) and cell.unit else column.shown_unit
            rows.append((item, column.group, column.label, unit, value, str(cell)))
    return rows
