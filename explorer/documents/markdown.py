"""Documents in Markdown: plain tables; a figure is shown as its table."""

from collections.abc import Iterable, Iterator

from explorer.documents.document import (
    Aside,
    Beside,
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Folded,
    Heading,
    Methods,
    Note,
    Part,
    Searched,
)
from explorer.documents.tables import Flag, Table

#: Characters with a meaning in Markdown or HTML.
_ESCAPED = str.maketrans(
    {"\\": "\\\\", "|": "\\|", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_", "`": "\\`", "[": "\\[", "]": "\\]"}
)


def render(document: Document) -> str:
    """Return a document as Markdown."""
    blocks = [f"# {text(document.title)}"]
    blocks += [text(document.lead)] if document.lead else []
    for section in document.sections:
        blocks += [f"## {text(section.title)}", *dict.fromkeys(_blocks(section.parts))]
    return "\n\n".join(blocks) + "\n"


def table(shown: Table) -> str:
    """Return a table with its caption above it; numbers are right aligned."""
    lines = [
        f"**{text(shown.caption)}**",
        "",
        f"| {' | '.join(text(column.full) for column in shown.columns)} |",
        f"|{'|'.join('---:' if column.numeric else '---' for column in shown.columns)}|",
    ]
    for row in shown.rows:
        lines.append(f"| {' | '.join(cell(value) for value in row)} |")
    return "\n".join(lines)


def cell(value: str | Flag) -> str:
    """Return a cell: a status with its sign, everything else as text."""
    return f"{value.sign} {text(value)}" if isinstance(value, Flag) else text(value)


def text(value: object) -> str:
    """Return text on one line with the markup of Markdown and HTML escaped."""
    return " ".join(str(value).split()).translate(_ESCAPED)


def _blocks(parts: Iterable[Part]) -> Iterator[str]:
    for part in parts:
        match part:
            case str():
                yield text(part)
            case Aside():
                yield text(part.text)
            case Heading():
                yield f"### {text(part.text)}"
            case Code():
                yield _fenced(part.text)
            case Bullets():
                yield "\n".join(f"- {text(line)}" for line in part.lines)
            case Facts():
                yield ", ".join(f"{text(name)}: {cell(value)}" for name, value in part.pairs)
            case Note():
                yield f"**{text(part.title)}.** {text(part.text)}"
            case Methods():
                for step in part.steps:
                    reference = f" *{text(step.reference)}.*" if step.reference else ""
                    yield f"**{text(step.name)}.** {text(step.full_text)}{reference}"
            case Table():
                yield table(part)
            case Figure():
                yield table(part.table)
            case Folded():
                # A table shows its own title.
                if [each.caption for each in part.parts if isinstance(each, Table)] != [part.title]:
                    yield f"### {text(part.title)}"
                yield from _blocks(part.parts)
            case Beside() | Searched():
                yield from _blocks(part.parts)


def _fenced(code: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}sh\n{' '.join(code.split())}\n{fence}"
