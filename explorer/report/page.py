"""The report page: one HTML file that holds everything it needs and asks the network for nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.documents.files import write_as
from explorer.documents.markdown import document, methods, reproduce, section, table, text
from explorer.documents.numbers import context_label, counted, percent, plain, pretty_unit
from explorer.documents.page import render_page
from explorer.documents.tables import Column, Flag, Table, flag
from explorer.report.content import brief, headline_table, machines_of, report_tables, report_texts, scope_parts
from explorer.report.figures.of_answer import fleet_figures, machine_figures
from explorer.report.tidy import tidy

if TYPE_CHECKING:
    from explorer.papers.scoreboard import Scoreboard
    from explorer.report.answer import Answer


def render(answer: "Answer") -> str:
    """Return the report of `answer` as one HTML page."""
    return render_page(
        "report.html.j2",
        answer=answer,
        brief=brief(answer),
        figures={figure.id: figure for figure in (*machine_figures(answer), *fleet_figures(answer))},
        tables=report_tables(answer),
        said=report_texts(answer),
        scopes=scope_parts(answer),
        machines=machines_of(answer),
        scoreboard=_scoreboard_groups(answer),
        constants=_fitted(answer),
    )


def write_report(answer: "Answer", path: str | Path) -> Path:
    """Write the report of `answer` to `path` and return it; nothing is left half-written.

    The name decides what is written: .html the page, .md Markdown, .csv or .parquet the long table of
    `reporting.tidy`, .json everything. Raises `InputError` for another name, where the folder is missing, the path is a
    folder, or the file cannot be written, and for Parquet without pyarrow.
    """
    return write_as(
        path,
        page=lambda: render(answer),
        markdown=lambda: render_markdown(answer),
        table=lambda: tidy(answer),
        data=answer.to_dict,
    )


def _scoreboard_groups(answer: "Answer") -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = {}
    for row in answer.scoreboard.rows if answer.scoreboard else ():
        groups.setdefault(row.group or "other", []).append(row)
    return groups


def _fitted(answer: "Answer") -> list[str]:
    return list(answer.scoreboard.summary.get("fitted_constants", ())) if answer.scoreboard else []


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
