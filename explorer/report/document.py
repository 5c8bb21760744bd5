"""The report of one model: its sections in order, and those that say what came out.

A new section is a function of an `Answer` in `SECTIONS`; every output then has it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from explorer.documents.document import Document, Section
from explorer.documents.files import write_document
from explorer.documents.numbers import (
    context_label,
    counted,
    listed,
    mass,
    money,
    plain,
    pretty_unit,
    si,
    superscripts,
    times,
    words,
)
from explorer.documents.sections import assumptions_section, methods_section, reproduce_section
from explorer.documents.tables import LEVELS, Column, Table, dotted
from explorer.documents.theme import machine_name
from explorer.papers.document import scoreboard_parts
from explorer.report.answer import Answer
from explorer.report.fleet_sections import by_convention, conventions, conventions_used, cost, ownership, pairs, scopes
from explorer.report.machine_sections import binds, chip, speed, time
from hwsim.results import SimResult


def report_document(answer: Answer) -> Document:
    """Return the report of an answer."""
    return Document(
        f"{answer.model.name}, hardwired",
        f"{counted(answer.published.chips, 'chip')} with the weights of the model in the wires, at a context of "
        f"{context_label(answer.context)}: how fast, how large, how hungry, how expensive and how dirty, beside "
        f"{listed([machine_name(key) for key in answer.accelerators])}. Published numbers stand beside ours wherever "
        "there are any.",
        tuple(section for make in SECTIONS if (section := make(answer)) is not None),
        data=answer.to_dict,
        subject={"model": answer.model.name, "technology": answer.technology},
    )


def render(answer: Answer) -> str:
    """Return the report of `answer` as one HTML page."""
    from explorer.documents import html

    return html.render(report_document(answer))


def write_report(answer: Answer, path: str | Path) -> Path:
    """Write the report of `answer` to `path` and return it; nothing is left half-written.

    The name decides what is written: .html the page, .md Markdown, .csv or .parquet a row a cell of its tables, .json
    everything. Raises `InputError` for another name, where the folder is missing, the path is a folder, or the file
    cannot be written, and for Parquet without pyarrow.
    """
    return write_document(report_document(answer), path)


def brief(answer: Answer) -> Section:
    """Return the answer in a few lines: how fast, large, hungry, expensive and dirty, published and believed."""
    ours, believed = answer.published, answer.pipelined
    comparisons = {name: costs.comparison for name, costs in by_convention(answer).items()}
    first = comparisons.get("as-published", answer.cost.comparison)
    second = comparisons.get("corrected", answer.cost.comparison)

    def spread(comparison: Any, key: str, write: Callable[[Any], str]) -> str:
        low, nominal, high = (dotted(pair, key) for _, pair in pairs(comparison, LEVELS))
        if comparison is not first:
            return f"{write(nominal)} (low {write(low)}, high {write(high)})"
        return write(low) if write(low) == write(high) else " to ".join(write(value) for value in sorted((low, high)))

    rows = (
        ("How fast", f"{plain(ours.tokens_per_s)} tokens/s", f"{plain(believed.tokens_per_s)} tokens/s"),
        ("bound by", words(ours.bound_by), words(believed.bound_by)),
        ("for one user", _per_user(ours), _per_user(believed)),
        ("How large", *(f"{counted(r.chips, 'chip')}, {plain(r.area_mm2)} mm²" for r in (ours, believed))),
        ("How hungry", *(f"{si(r.power_w, 'W')}, {si(r.energy_j_per_token, 'J')} per token" for r in (ours, believed))),
        ("How expensive, TCO", *(spread(c, "hardwired.total_usd", money) for c in (first, second))),
        ("matching GPUs, cost", *(spread(c, "tco_ratio", times) for c in (first, second))),
        ("How dirty, CO₂e", *(spread(c, "hardwired_carbon.total_t", mass) for c in (first, second))),
        ("matching GPUs, carbon", *(spread(c, "carbon_ratio", times) for c in (first, second))),
    )
    columns = (
        Column("question", numeric=False),
        Column("as the paper counts", numeric=False),
        Column("pipelined, conventions corrected", numeric=False),
    )
    text = (
        f"For {counted(answer.cost.volume, 'system')} over the life of the fleet, re-spins included. The middle column "
        "follows the paper step by step, from its optimistic to its pessimistic case; the right one overlaps what a "
        "pipeline overlaps and counts both fleets alike, at nominal values, with every constant at its low and at its "
        "high end in brackets."
    )
    return Section("brief", "In brief", (text, Table("The answer in brief", columns, rows, "brief")))


def headline(answer: Answer) -> Section:
    """Return the machines side by side, a column for ours and one for the published figure of each."""
    batches = [counted(run.batch, "sequence") for run in answer.accelerators.values()][:1]
    text = (
        "Ours beside the published figure. Evidence says what ours is: an “input” was fed in, a “fitted” number was "
        "adjusted to the paper, a “predicted” one was not. Machines with their weights in memory decode"
        f"{''.join(f' {batch} at once' for batch in batches)}; how many the published figures served is not "
        "stated. Cost and carbon of the pipelined column follow the corrected conventions at nominal prices, those of "
        "the published column the paper's optimistic case."
    )
    sides = _sides(answer)
    rows = []
    for line in answer.headline:
        unit = pretty_unit(line.unit)
        label = superscripts(line.what)
        label = label if not unit or unit in label else f"{label} [{unit}]"
        values = ((line.values if side == "ours" else line.published).get(key) for key, side in sides)
        rows.append((label, *(plain(value, unit=line.unit) for value in values), line.evidence))
    heads = (Column(side, group=machine_name(key)) for key, side in sides)
    columns = (Column("figure", numeric=False), *heads, Column("evidence", numeric=False))
    caption = f"Headline figures at a context of {context_label(answer.context)}"
    return Section("headline", "Machines side by side", (text, Table(caption, columns, tuple(rows))))


def findings(answer: Answer) -> Section:
    """Return what the numbers say about the published claims."""
    return Section("findings", "Findings", answer.notes or ("None for this model.",))


def scoreboard(answer: Answer) -> Section:
    """Return every published figure beside ours, a table a group."""
    board = answer.scoreboard
    if board is None:
        text = (
            f"No paper describes this machine for {answer.model.name}, so there is nothing to hold our numbers against."
        )
        return Section("scoreboard", "Scoreboard", (text,))
    return Section("scoreboard", "Scoreboard", scoreboard_parts(board, folded=True))


def methods(answer: Answer) -> Section:
    """Return what the report was computed with, and how."""
    text = (
        "What this page was computed with, and how. Where a choice is open, the convention "
        f"{answer.cost.convention} decided; columns headed by the other one follow its choices."
    )
    return methods_section(answer.methods, text, after=(conventions_used(answer),))


SECTIONS: tuple[Callable[[Answer], Section | None], ...] = (
    brief,
    headline,
    binds,
    chip,
    time,
    speed,
    cost,
    ownership,
    scopes,
    conventions,
    findings,
    scoreboard,
    lambda answer: assumptions_section(answer.constants),
    methods,
    lambda answer: reproduce_section(answer.reproduction),
)


def _sides(answer: Answer) -> list[tuple[str, str]]:
    """The machines of the headline, each with "ours" and "published" where there is anything of it."""
    keys = dict.fromkeys(key for row in answer.headline for key in (*row.values, *row.published))
    return [
        (key, side)
        for key in keys
        for side, name in (("ours", "values"), ("published", "published"))
        if any(getattr(row, name).get(key) is not None for row in answer.headline)
    ]


def _per_user(result: SimResult) -> str:
    return f"{plain(result.tokens_per_s_per_user)} tokens/s, {si(result.latency_s, 's')} per token"
