"""Figures ready for a page: each with a caption, a sentence that says what it shows, and the table behind it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import plotly.graph_objects as go
from markupsafe import Markup

from explorer.documents.tables import Table

if TYPE_CHECKING:
    pass


_TOP_MARGIN_PX, _TOP_MARGIN_BARE_PX = 34, 12


@dataclass(frozen=True)
class CaptionedFigure:
    """A figure as JSON, with its caption, the sentence for those who cannot see it, and the table behind it."""

    id: str
    caption: str
    summary: str
    json: Markup
    height_px: int
    table: Table


def captioned_figure(name: str, drawn: go.Figure, caption: str, table: Table, say: int) -> CaptionedFigure:
    """Return a figure without its title (the page has captions), with the table behind it.

    Column `say` of the table is read out as what the figure shows.
    """
    bare = drawn.layout.showlegend is False
    drawn.update_layout(title_text="", margin_t=_TOP_MARGIN_BARE_PX if bare else _TOP_MARGIN_PX)
    column = table.columns[say]
    rows = (f"{row[0]} {'' if table.columns[1].numeric else row[1]} {row[say]}" for row in table.rows)
    said = "; ".join(" ".join(row.split()) for row in rows)
    summary = f"{caption}. {column.label}{f' in {column.shown_unit}' if column.shown_unit else ''}: {said}."
    code = drawn.to_json(validate=False).replace("<", "\\u003c")
    return CaptionedFigure(name, caption, summary, Markup(code), int(drawn.layout.height), table)
