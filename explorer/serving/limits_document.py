"""The document of limits: the longest context, the most users and the best rate of each machine."""

from explorer.documents.document import Document, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table
from explorer.documents.theme import machine_name
from explorer.serving.limits import CONTEXT, MOST, PROMISES, RATE, SEARCHED, USERS, Limit, Limits
from hwbase.columns import column
from hwbase.numbers import MISSING, counted, listed, plain, sentence

_QUESTIONS = {CONTEXT: "longest context", USERS: "most users", RATE: "best rate"}
_FIGURES = ("tokens_per_s", "tokens_per_s_per_user", "latency_s", "time_to_first_token_s", "usd_per_million_tokens")


def limits_document(limits: Limits, command: str = "") -> Document:
    """Return limits as a document."""
    promised = [f"{column(name).label} {column(name).text(value)}" for name, value in limits.promises.items()]
    within = f" within {listed(promised)}" if promised else ""
    columns = (
        Column("machine", numeric=False),
        Column("question", numeric=False),
        Column("answer"),
        Column("for", numeric=False),
        Column("what more would break", numeric=False),
        *map(column, _FIGURES),
    )
    table = Table("Limits", columns, tuple(_row(row) for row in limits.rows))
    return Document(
        f"{limits.model}: limits{within}",
        f"One machine each: a hardwired system, of {plain(limits.volume)} built, or bought devices that share the "
        f"model. Resources must bear the load, too; convention {limits.convention}.",
        sections(
            Section("limits", "Limits", (table, *map(sentence, limits.notes))),
            assumptions_section({"": limits.assumptions}),
            reproduce_section(command),
        ),
        schema="limits",
        data=limits.to_dict,
        frame=limits.to_frame,
    )


def _row(row: Limit) -> tuple[str, ...]:
    machine = (
        machine_name(row.machine) if row.chips is None else f"{machine_name(row.machine)}, {counted(row.chips, 'chip')}"
    )
    parts = [] if row.context is None or row.axis == CONTEXT else [f"context {plain(row.context)}"]
    parts += [] if row.users is None or row.axis == USERS else [counted(row.users, "user")]
    broken = listed([_broken(name) for name in row.limited_by])
    if not broken:
        broken = "more users add nothing"
    if SEARCHED in row.limited_by:
        broken = f"nothing: no more than {plain(MOST[USERS if row.axis == RATE else row.axis])} are tried"
    answer = "none" if row.value is None else column(RATE).text(row.value) if row.axis == RATE else plain(row.value)
    figures = (MISSING if (value := getattr(row, name)) is None else column(name).cell(value) for name in _FIGURES)
    return (machine, _QUESTIONS[row.axis], answer, ", ".join(parts), broken, *figures)


def _broken(name: str) -> str:
    return column(name).label if name in PROMISES else name
