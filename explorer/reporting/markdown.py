"""Reports in Markdown: tables that any renderer shows, and no pictures."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from explorer.figures.numbers import context_label, counted, percent, plain, pretty_unit
from explorer.figures.tables import Column, Flag, Table, flag
from explorer.reporting.content import brief, headline_table, report_tables, report_texts, scope_parts
from explorer.reporting.methods import Method
from explorer.reporting.reproduce import Reproduction

if TYPE_CHECKING:
    from explorer.answer import Answer
    from explorer.scoreboard import Scoreboard

#: Characters that Markdown or HTML would read as something else than themselves.
_ESCAPED = str.maketrans(
    {"\\": "\\\\", "|": "\\|", "<": "&lt;", ">": "&gt;", "*": "\\*", "_": "\\_", "`": "\\`", "[": "\\[", "]": "\\]"}
)


def render_markdown(answer: "Answer") -> str:
    """Return the report of `answer` as Markdown: the sections of the page without its figures."""
    tables, said, scopes = report_tables(answer), report_texts(answer), scope_parts(answer)
    costs = f"{counted(answer.cost.volume, 'system')}, convention {answer.cost.convention}."
    return document(
        f"{answer.model.name}, hardwired",
        (
            f"{counted(answer.published.chips, 'chip')} with the weights of the model in the wires, at a context of "
            f"{context_label(answer.context)}.",
            table(brief(answer)),
        ),
        section(
            "Machines side by side",
            "Ours beside the published figure. Evidence says what ours is: an input was fed in, a fitted number was "
            "adjusted to the paper, a predicted one was not.",
            headline_table(answer),
        ),
        section("What binds", tables["checks"]),
        section("The chip", tables["relatives"]),
        section("Cost", costs, tables["bill"], tables["inputs"], *(f"{note}." for note in answer.cost.notes)),
        section("Ownership and carbon", tables["tco"], tables["ratios"]),
        section("Carbon by scope", *(part for each in scopes for part in each.parts())),
        section("What each convention is worth", tables["effects"]),
        section("Findings", *(f"**{text(note.title)}.** {text(note.text)}" for note in answer.notes), plain_text=False),
        section("Scoreboard", *scores(answer.scoreboard)),
        section("Assumptions", said["quality"], tables["quality"], tables["assumptions"]),
        section("Methods", *methods(answer.methods), tables["conventions"], plain_text=False),
        reproduce(answer.reproduction, said["versions"], tables["books"]),
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
    heads = [text(f"{c.label} [{c.unit}]" if c.unit else c.label) for c in shown.columns]
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


def scores(board: "Scoreboard | None") -> list[Table | str]:
    """Return the scoreboard: its counts in a sentence, and a table a group."""
    if board is None:
        return ["No paper describes this machine for this model, so there is nothing to hold our numbers against."]
    counts = board.summary
    said = (
        f"{counts['rows']} published figures. Of {counts['predicted']} predictions {counts['agree']} agree within a "
        f"stated tolerance and {counts['misfit_explained']} miss with the reason beside them. {counts['fitted']} rows "
        f"are fitted, {counts['input']} inputs, {counts['not_derivable']} cannot be derived."
    )
    columns = (
        Column("figure", numeric=False),
        Column("unit", numeric=False),
        *(Column(label) for label in ("paper", "ours", "error", "tolerance")),
        *(Column(label, numeric=False) for label in ("evidence", "status", "note")),
    )
    groups: dict[str, list[tuple[str | Flag, ...]]] = {}
    for row in board.rows:
        numbers = (plain(row.paper), plain(row.ours), percent(row.rel_err, 2), percent(row.tolerance, 2))
        line = (row.what, pretty_unit(row.unit), *numbers, row.evidence, flag(row.status), row.note)
        groups.setdefault(row.group or "other", []).append(line)
    return [said, *(Table(name, columns, tuple(rows)) for name, rows in groups.items())]


__all__ = ["document", "methods", "render_markdown", "reproduce", "section", "table", "text"]
