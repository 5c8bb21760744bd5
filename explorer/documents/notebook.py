"""Documents in a notebook: the first short tables, at most one screen."""

from html import escape

import hwbase.notebook
from explorer.documents.document import Document
from explorer.documents.tables import Table
from hwbase.notebook import MOST_ROWS


def render(document: Document) -> str:
    """Return title, lead and the tables of the short sections that fit a screen, as HTML."""
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
    """Return a table as HTML, cut after `most_rows` rows."""
    heads = [column.full for column in table.columns]
    return hwbase.notebook.html_table(
        table.caption, heads, table.rows, [column.numeric for column in table.columns], most_rows
    )
