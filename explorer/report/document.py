"""The report of one model: its sections in order, and the sections on the results.

A new section is a function of an `Answer` in `SECTIONS`; every output then contains it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from explorer.documents.document import Aside, Document, Section
from explorer.documents.files import write_document
from explorer.documents.sections import assumptions_section, methods_section, reproduce_section
from explorer.documents.tables import LEVELS, Column, Table, dotted
from explorer.documents.theme import machine_name
from explorer.papers.document import scoreboard_parts
from explorer.papers.hnlpu_machine import EVENTS
from explorer.pricing.economics import CostAnswer
from explorer.report.answer import Answer
from explorer.report.fleet_sections import conventions, conventions_used, cost, ownership, scopes
from explorer.report.headline import HeadlineRow
from explorer.report.machine_sections import binds, chip, speed, time
from hwbase.arguments import checked
from hwbase.numbers import (
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
from hwsim.results import SimResult


def report_document(answer: Answer, sentence: str = "") -> Document:
    """Return the report of an answer; a `sentence`, if there is one, opens it."""
    made = [section for make in SECTIONS if (section := make(answer)) is not None]
    if sentence:
        made[0] = replace(made[0], content=(sentence, *made[0].parts))
    return Document(
        f"{answer.model.name}, hardwired",
        f"{counted(answer.published.chips, 'chip')} with the weights of the model in the wires, at a context of "
        f"{context_label(answer.context)}: speed, size, power, cost and carbon, compared with "
        f"{listed([machine_name(key) for key in answer.accelerators])}. Published numbers are shown with ours wherever "
        "there are any.",
        tuple(made),
        data=answer.to_dict,
        subject={"model": answer.model.name, "technology": answer.technology},
        schema="report",
        cases={
            "machine": {*map(machine_name, (*answer.accelerators, *(costs.device for costs in answer.costs_beside)))},
            "convention": {costs.convention for costs in answer.costs},
            "level": LEVELS,
        },
    )


@checked
def render(answer: Answer) -> str:
    """Return the report of `answer` as one HTML page."""
    from explorer.documents import html

    return html.render(report_document(answer))


@checked
def write_report(answer: Answer, path: str | Path) -> Path:
    """Write the report of `answer` to `path` and return the path. The file is written whole or not at all.

    The suffix selects the format: .html, .md, .csv or .parquet (a row for each cell of the tables), or .json (all
    fields). Raises `InputError` for another suffix, a missing folder, a path that is a folder or cannot be written, and
    for Parquet without pyarrow.
    """
    return write_document(report_document(answer), path)


def brief(answer: Answer) -> Section:
    """Return the answer in a few lines: speed, size, power, cost and carbon, published and corrected."""
    # The published set first, in any order of the conventions.
    costs = sorted(answer.costs, key=lambda each: not each.conventions.published_system)
    runs = [answer.published if each.conventions.reading == "as-published" else answer.pipelined for each in costs]

    def spread(key: str, write: Callable[[Any], str]) -> list[str]:
        return [_spread(each, key, write) for each in costs]

    every = {(each.convention, each.device): each for each in (*answer.costs, *answer.costs_beside)}
    devices = dict.fromkeys(device for _, device in every)

    def ratios(what: str, key: str) -> list[tuple[str, ...]]:
        rows = []
        for device in devices:
            beside = [every.get((each.convention, device)) for each in costs]
            values = (_spread(each, key, times) if each else plain(None) for each in beside)
            rows.append((f"matching {machine_name(device)}s, {what}", *values))
        return rows

    rows = (
        ("How fast", *(f"{plain(run.tokens_per_s)} tokens/s" for run in runs)),
        ("bound by", *(words(run.bound_by) for run in runs)),
        ("for one user", *(_per_user(run) for run in runs)),
        ("How large", *(f"{counted(run.chips, 'chip')}, {plain(run.area_mm2)} mm²" for run in runs)),
        ("How hungry", *(f"{si(run.power_w, 'W')}, {si(run.energy_j_per_token, 'J')} per token" for run in runs)),
        ("How expensive, TCO", *spread("hardwired.total_usd", money)),
        *ratios("cost", "tco_ratio"),
        ("How dirty, CO₂e", *spread("hardwired_carbon.total_t", mass)),
        *ratios("carbon", "carbon_ratio"),
    )
    columns = (Column("question", numeric=False), *(Column(each.conventions.title, numeric=False) for each in costs))
    text = (
        f"For {counted(answer.cost.volume, 'system')} over the life of the fleet, re-spins included. A column that "
        "counts as the paper follows it step by step, from its optimistic to its pessimistic case. The corrected one "
        "overlaps what a pipeline overlaps and counts both fleets alike, at nominal values; hwsim uncertainty draws "
        "every constant in its range and gives their 5 to 95 % bands. Each set of conventions names the GPU beside: "
        "the paper's, or the best whose serving rates are public."
    )
    return Section("brief", "In brief", (text, Table("The answer in brief", columns, rows, "brief")))


def headline(answer: Answer) -> Section:
    """Return the machines side by side, with a column for our figure and one for the published figure of each."""
    batches = [counted(run.batch, "sequence") for run in answer.accelerators.values()][:1]
    text = (
        "Our figures and the published ones. Evidence of ours: an “input” was given, a “fitted” number rests on a "
        "constant that was adjusted to the paper or to measured points, a “predicted” one on none. Machines with "
        "their weights in memory decode"
        f"{''.join(f' {batch} at once' for batch in batches)}; how many the published figures served is not "
        "stated. Costs and carbon are those of fleets that generate as much: both as published, at the paper's "
        "optimistic case, or both by the corrected conventions, at nominal prices, where the pipelined machine stands "
        "beside the best servers that keep the promise of the cost book."
    )
    context = context_label(answer.context)
    served = answer.cost.workload
    tables = (
        _headline_table(answer, f"Headline figures of machines at a context of {context}", False),
        _headline_table(answer, f"Headline figures of fleets, {served.describe()}", True),
    )
    notes = [Aside(note)] if (note := _unfitted(answer)) else []
    return Section("headline", "Machines side by side", (text, *tables, *notes))


def _headline_table(answer: Answer, caption: str, fleet: bool) -> Table:
    lines = [line for line in answer.headline if line.fleet == fleet]
    # A mapping that the paper does not have has no published figures.
    sides = [each for each in _sides(lines) if each[0] != answer.machine or answer.has_published]
    rows = []
    for line in lines:
        unit = pretty_unit(line.unit)
        label = superscripts(line.what)
        label = label if not unit or unit in label else f"{label} [{unit}]"
        values = ((line.values if side == "ours" else line.published).get(key) for key, side in sides)
        rows.append((label, *(plain(value, unit=line.unit) for value in values), line.evidence))
    heads = (Column(side, group=_head(answer, key)) for key, side in sides)
    columns = (Column("figure", numeric=False), *heads, Column("evidence", numeric=False))
    return Table(caption, columns, tuple(rows))


def _unfitted(answer: Answer) -> str:
    """Return which figures rest on no fitted constant in lines where others do."""
    parts = []
    for line in answer.headline:
        free = [_head(answer, name) for name, label in line.evidence_of.items() if label != "fitted"]
        if line.evidence == "fitted" and free:
            parts.append(f"{line.what} of {listed(free)}")
    return f"In lines marked fitted, these rest on no fitted constant: {'; '.join(parts)}." if parts else ""


def findings(answer: Answer) -> Section:
    """Return findings on the published claims."""
    return Section("findings", "Findings", answer.notes or ("None for this model.",))


def scoreboard(answer: Answer) -> Section:
    """Return every published figure with ours, one table a group."""
    board = answer.scoreboard
    if board is None:
        text = (
            f"No paper describes this machine for {answer.model.name}, so there are no published figures to compare "
            "with."
        )
        return Section("scoreboard", "Scoreboard", (text,))
    parts = scoreboard_parts(board, folded=True)
    if not any(row.group == EVENTS for row in board.rows):
        parts += (Aside("Lines that take event simulations are left out: --events, or events=True, adds them."),)
    return Section("scoreboard", "Scoreboard", parts)


def methods(answer: Answer) -> Section:
    """Return the methods and constants of the report."""
    text = (
        "Methods and constants of this page. Open choices follow the convention "
        f"{answer.cost.convention}; columns headed by another convention follow that one."
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


def _sides(lines: Sequence[HeadlineRow]) -> list[tuple[str, str]]:
    """Return the machines of the headline, each with "ours" and "published" where it has such figures."""
    keys = dict.fromkeys(key for row in lines for key in (*row.values, *row.published))
    return [
        (key, side)
        for key in keys
        for side, name in (("ours", "values"), ("published", "published"))
        if any(getattr(row, name).get(key) is not None for row in lines)
    ]


def _spread(costs: CostAnswer, key: str, write: Callable[[Any], str]) -> str:
    """Return a figure over its levels: the nominal one with its bounds, or the two cases of the conventions."""
    low, nominal, high = (dotted(pair, key) for _, pair in costs.comparison.pairs(LEVELS))
    if "nominal" in costs.conventions.levels:
        return write(nominal)
    return write(low) if write(low) == write(high) else " to ".join(write(value) for value in sorted((low, high)))


def _head(answer: Answer, key: str) -> str:
    """Return the column head of a machine; only the hardwired one has a published reading."""
    name, _, convention = key.partition(":")
    if convention:
        return f"{machine_name(name)}, {convention}"
    return f"{machine_name(key)}, as published" if key == answer.machine else machine_name(key)


def _per_user(result: SimResult) -> str:
    return f"{plain(result.tokens_per_s_per_user)} tokens/s, {si(result.latency_s, 's')} per token"
