"""Reports in Markdown: tables that any renderer shows, and no pictures."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from explorer.documents.methods import Method
from explorer.documents.sources import Reproduction
from explorer.documents.tables import Table

if TYPE_CHECKING:
    pass


#: Characters that Markdown or HTML would read as something else than themselves.
_ESCAPED = str.maketrans(
    {"\\": "\\\\", "|": "\\|", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_", "`": "\\`", "[": "\\[", "]": "\\]"}
)


def document(title: str, lead: Iterable[str], *sections: str) -> str:
    """Return a whole document: a heading, what comes first (Markdown already), and the sections that are not empty."""
    return "\n\n".join([f"# {text(title)}", *lead, *(part for part in sections if part)]) + "\n"


def section(title: str, *parts: Table | str | None, plain_text: bool = True) -> str:
    """Return a section of paragraphs and tables, or nothing where it has none.

    Texts are escaped unless they are Markdown already (`plain_text` False).
    """
    written = [table(p) if isinstance(p, Table) else text(p) if plain_text else p for p in parts if p is not None]
    return "\n\n".join([f"## {title}", *written]) if written else ""


def table(shown: Table) -> str:
    """Return a table with its caption above it; numbers are right aligned."""
    heads = [text(f"{c.label} [{c.shown_unit}]" if c.shown_unit else c.label) for c in shown.columns]
    lines = [
        f"**{text(shown.caption)}**",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'|'.join('---:' if column.numeric else '---' for column in shown.columns)}|",
    ]
    for row in shown.rows:
        lines.append(f"| {' | '.join(cell(value) for value in row)} |")
    return "\n".join(lines)


def cell(value: object) -> str:
    """Return a cell: a status with its sign, everything else as text."""
    sign = getattr(value, "sign", "")
    return f"{sign} {text(value)}".strip()


def text(value: object) -> str:
    """Return text on one line in which Markdown and HTML see nothing of their own."""
    return " ".join(str(value).split()).translate(_ESCAPED)


def methods(steps: Iterable[Method]) -> list[str]:
    """Return the steps of a methods section, one paragraph each."""
    return [
        f"**{text(step.name)}.** {text(step.said)}" + (f" *{text(step.reference)}.*" if step.reference else "")
        for step in steps
    ]


def reproduce(found: Reproduction, versions: str, books: Table | None) -> str:
    """Return the section that says how to make the document again."""
    fence = "```"
    while fence in found.command:
        fence += "`"
    by_hand = ", ".join(f"{name}={value}" for name, value in found.overrides.items())
    parts = [f"{fence}sh\n{' '.join(found.command.split())}\n{fence}", text(versions)]
    parts += [text(f"Set by hand: {by_hand}.")] if by_hand else []
    return "\n\n".join(["## Reproduce", *parts, *([table(books)] if books and books.rows else [])])


__all__ = ["document", "methods", "reproduce", "section", "table", "text"]
