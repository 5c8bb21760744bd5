"""The document of a scoreboard: every published figure and ours, one table a group."""

from explorer.documents.document import Aside, Document, Facts, Folded, Note, Part, Searched, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, Flag, Table, flag
from explorer.papers.scoreboard import Row, Scoreboard
from hwbase.numbers import counted, percent, plain, pretty_unit, superscripts, words

#: Fields of a scoreboard's summary besides its counts.
_NO_FACTS = ("ok", "fitted_constants", "paper")
#: Columns of a scoreboard, and the fields for choosing rows.
_CHOSEN_BY = ("evidence", "status")
_COLUMNS = (
    Column("figure", numeric=False),
    Column("paper"),
    Column("ours"),
    Column("unit", numeric=False),
    Column("relative error"),
    Column("tolerance"),
    *(Column(label, numeric=False) for label in ("evidence", "status", "note")),
)
#: Columns in a terminal, and the states of rows whose reasons it shows.
_SHORT = (*_COLUMNS[:5], Column("status", numeric=False))
_MISFITS = ("misfit explained", "OUTSIDE")


def scoreboard_document(board: Scoreboard, command: str) -> Document:
    """Return a scoreboard as a document: one table a group, and the reason of every misfit."""
    tables = (Table(name, _SHORT, tuple(map(_short_score, rows))) for name, rows in _groups(board).items())
    misfits = (Note(f"{row.status}: {row.what}", row.note) for row in board.rows if row.status in _MISFITS)
    return Document(
        f"{board.paper}: published figures and ours",
        "Every published figure that we compare with.",
        sections(
            Section("figures", "Figures", tuple(tables)),
            Section("misfits", "Misfits and their reasons", tuple(misfits)),
            Section("counts", "Counts", _counts(board)),
            reproduce_section(command),
        ),
        data=board.to_dict,
        frame=board.to_frame,
        schema="reproduce",
    )


def scoreboard_parts(board: Scoreboard, *, folded: bool = False) -> tuple[Part, ...]:
    """Return the counts, the fitted constants and the rows of a scoreboard, each group in a table or `folded`."""
    groups = _groups(board)
    tables = [Table(name, _COLUMNS, tuple(map(_score, rows))) for name, rows in groups.items()]
    counts = map(_count, groups.values())
    # The first group is open, and each group with a failure.
    shown: list[Part] = [
        Folded(table.caption, (table,), count, open=at == 0 or "outside" in count) if folded else table
        for at, (table, count) in enumerate(zip(tables, counts, strict=True))
    ]
    return (*_counts(board), Searched(tuple(shown), _CHOSEN_BY))


def _groups(board: Scoreboard) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in board.rows:
        groups.setdefault(row.group or "other", []).append(row)
    return groups


def _counts(board: Scoreboard) -> tuple[Part, ...]:
    """Return the counts of a scoreboard and its fitted constants."""
    facts = [(words(name), plain(value)) for name, value in board.summary.items() if name not in _NO_FACTS]
    holds = ("every claimed agreement holds", flag("yes" if board.summary["ok"] else "no"))
    fitted = ", ".join(board.fitted_constants)
    return (
        "Only predictions can agree; a misfit is shown with its reason.",
        Facts((*facts, holds)),
        *([Aside(f"Fitted to published figures: {fitted}.")] if fitted else []),
    )


def _count(rows: list[Row]) -> str:
    states = [row.status for row in rows]
    outside = states.count("OUTSIDE")
    count = f"{counted(len(rows), 'row')}, {states.count('agrees')} agree"
    return f"{count}, {outside} outside tolerance" if outside else count


def _short_score(row: Row) -> tuple[str | Flag, ...]:
    return (
        superscripts(row.what),
        plain(row.paper, unit=row.unit),
        plain(row.ours, unit=row.unit),
        pretty_unit(row.unit),
        percent(row.rel_err, 2),
        flag(row.status),
    )


def _score(row: Row) -> tuple[str | Flag, ...]:
    *figures, status = _short_score(row)
    return (*figures, percent(row.tolerance, 2), row.evidence, status, row.note)
