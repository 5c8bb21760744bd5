"""Documents in a notebook: the first short tables, at most a screen long."""

from html import escape

from explorer.documents.document import Document
from explorer.documents.tables import Table

#: Rows that a screen shows.
MOST_ROWS = 24


def render(document: Document) -> str:
    """Return title, lead and the tables of the short sections that a screen shows, as HTML."""
    parts = [f"<p><strong>{escape(document.title)}</strong><br>{escape(document.lead)}</p>"]
    room = MOST_ROWS
    for section in document.sections:
        for table in section.tables if section.short else ():
            if room > 0:
                parts.append(html_table(table, room))
                room -= len(table.rows) + 2
    titles = ", ".join(section.title for section in document.sections)
    return "".join((*parts, f"<p>{escape(titles)}</p>"))


def html_table(table: Table, most_rows: int = MOST_ROWS) -> str:
    """Return a table as HTML, cut after so many rows."""

    def cell(tag: str, value: object, numeric: bool) -> str:
        return f"<{tag} style='text-align:{'right' if numeric else 'left'}'>{escape(str(value))}</{tag}>"

    numeric = [column.numeric for column in table.columns]
    heads = "".join(cell("th", column.full, column.numeric) for column in table.columns)
    rows = [
        "".join(cell("td", value, right) for value, right in zip(row, numeric, strict=True))
        for row in table.rows[:most_rows]
    ]
    if len(table.rows) > most_rows:
        rows.append(cell("td", f"... {len(table.rows)} rows", False))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table><caption>{escape(table.caption)}</caption><tr>{heads}</tr>{body}</table>"
