"""What `hwsim report A B` shows: one table, three pictures, carbon by scope, and what it was made of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

import models
from explorer.documents import markdown
from explorer.documents.captioned import CaptionedFigure, captioned_figure
from explorer.documents.files import write_as
from explorer.documents.methods import Method
from explorer.documents.numbers import counted, mass, money, plain, si, times, words
from explorer.documents.page import render_page
from explorer.documents.sources import books_table, distinct, quality, quality_table, source_table, versions_said
from explorer.documents.tables import Column, Table, frame_table
from explorer.report.answer import Answer
from explorer.report.content import short_of
from explorer.report.figures.side_by_side import ownership_bars, ratio_bars, speed_bars
from explorer.report.scopes import boundary_said, carbon_scopes
from explorer.report.side_by_side import ModelComparison, believed, nominal, published_cost

_MM2_PER_CM2 = 100.0


def write_comparison(found: ModelComparison, path: str | Path) -> Path:
    """Write models side by side to `path`: a page, Markdown, a table or JSON, by its name, as `write_report` does.

    Raises `InputError` where the name or the place will not do.
    """
    return write_as(
        path,
        page=lambda: render_models(found),
        markdown=lambda: render_models_markdown(found),
        table=found.to_frame,
        data=found.to_dict,
    )


def render_models(found: ModelComparison) -> str:
    """Return models side by side as one HTML page."""
    read = distinct(found.constants)
    graded = quality(quantity for _, quantity, _ in read)
    return render_page(
        "side_by_side.html.j2",
        found=found,
        title=_title(found),
        lead=_lead(found),
        table=side_by_side_table(found),
        figures=_figures(found),
        scopes=scopes_table(found),
        boundary=_boundary(found),
        methods=merged_methods(found),
        said=graded.said(),
        quality=quality_table(graded),
        constants=source_table(found.constants),
        reproduction=found.reproduction,
        versions=versions_said(found.reproduction),
        books=books_table(found.reproduction),
    )


def render_models_markdown(found: ModelComparison) -> str:
    """Return models side by side as Markdown, without the pictures."""
    graded = quality(quantity for _, quantity, _ in distinct(found.constants))
    again = found.reproduction
    return markdown.document(
        _title(found),
        (markdown.text(_lead(found)), markdown.table(side_by_side_table(found))),
        markdown.section("Carbon by scope", *_boundary(found), scopes_table(found)),
        markdown.section("Methods", *markdown.methods(merged_methods(found)), plain_text=False),
        markdown.section("Assumptions", graded.said(), quality_table(graded), source_table(found.constants)),
        markdown.reproduce(again, versions_said(again), books_table(again)),
    )


def side_by_side_table(found: ModelComparison) -> Table:
    """Return a column an answer: size, speed, power, and what its fleet costs and emits."""
    lines: tuple[tuple[str, Callable[[Answer], str]], ...] = (
        ("parameters", lambda a: si(models.parameters(a.model).total, "")),
        ("chips", lambda a: plain(a.pipelined.chips)),
        ("silicon", lambda a: f"{plain(float(a.pipelined.area_mm2) / _MM2_PER_CM2)} cm²"),
        ("power", lambda a: si(a.pipelined.power_w, "W")),
        ("tokens/s, as published", lambda a: plain(a.published.tokens_per_s)),
        ("tokens/s, pipelined", lambda a: plain(a.pipelined.tokens_per_s)),
        ("bound by", lambda a: words(a.pipelined.bound_by)),
        ("tokens/s for one user", lambda a: plain(a.pipelined.tokens_per_s_per_user)),
        ("energy per token", lambda a: si(a.pipelined.energy_j_per_token, "J")),
        ("resources short", lambda a: ", ".join(short_of(a.pipelined)) or "none"),
        ("masks and design", lambda a: money(nominal(a).bill.nre_usd)),
        ("one more system", lambda a: money(nominal(a).bill.system_usd)),
        ("new weights for the fleet", lambda a: money(nominal(a).bill.respin_usd(a.cost.volume))),
        ("TCO with re-spins", lambda a: money(nominal(a).hardwired.total_usd)),
        ("per million tokens", lambda a: money(nominal(a).hardwired.usd_per_million_tokens)),
        ("GPUs that match", lambda a: plain(believed(a).comparison.gpus)),
        ("GPU TCO over it", lambda a: times(nominal(a).tco_ratio)),
        ("GPU TCO over it, as published", lambda a: times(published_cost(a).comparison.low.tco_ratio)),
        ("carbon with re-spins", lambda a: mass(nominal(a).hardwired_carbon.total_t)),
        ("GPU carbon over it", lambda a: times(nominal(a).carbon_ratio)),
    )
    rows = tuple((what, *(write(answer) for answer in found.answers.values())) for what, write in lines)
    heads = (Column("figure", numeric=False), *(Column(label) for label in found.answers))
    return Table("Side by side; costs and carbon by the corrected conventions at nominal prices", heads, rows)


def scopes_table(found: ModelComparison) -> Table:
    """Return the hardwired fleets' carbon by scope and category, a column an answer (corrected, nominal)."""
    columns: dict[str, dict[str, float]] = {}
    for label, answer in found.answers.items():
        rows = carbon_scopes(believed(answer)).rows
        mine = [row for row in rows if (row.fleet, row.level) == ("hardwired", "nominal")]
        columns[label] = {f"Scope {row.scope}: {row.category}": row.t for row in mine}
        columns[label]["all scopes"] = sum(row.t for row in mine)
    lines = dict.fromkeys(line for column in columns.values() for line in column)
    rows_written = tuple((line, *(mass(column.get(line)) for column in columns.values())) for line in lines)
    heads = (Column("scope", numeric=False), *(Column(label, "CO₂e") for label in columns))
    return Table("Carbon of the hardwired fleets by scope, corrected conventions at nominal", heads, rows_written)


def merged_methods(found: ModelComparison) -> list[Method]:
    """Return the methods of all answers: a step that is the same in all once, others under the label of each."""
    steps: dict[str, dict[str, Method]] = {}
    for label, answer in found.answers.items():
        for step in answer.methods:
            steps.setdefault(step.name, {})[label] = step
    merged: list[Method] = []
    for name, by_label in steps.items():
        alike: dict[str, dict[str, Method]] = {}
        for label, step in by_label.items():
            alike.setdefault(step.text, {})[label] = step
        for text, group in alike.items():
            everywhere = len(group) == len(found.answers)
            cases = " ".join(f"{label}: {step.case}" for label, step in group.items() if step.case)
            title = name if everywhere else f"{name} ({', '.join(group)})"
            merged.append(Method(title, text, next(iter(group.values())).reference, cases))
    return merged


def comparison_frame(found: ModelComparison) -> pd.DataFrame:
    """Return what the pictures show: a row an answer."""
    rows: list[dict[str, Any]] = []
    for label, answer in found.answers.items():
        pair = nominal(answer)
        rows.append(
            {
                "label": label,
                "published_tokens_per_s": float(answer.published.tokens_per_s),
                "pipelined_tokens_per_s": float(answer.pipelined.tokens_per_s),
                "h100_tokens_per_s": float(answer.accelerators[answer.cost.device].tokens_per_s),
                "capex_usd": float(pair.hardwired.capex_usd),
                "opex_usd": float(pair.hardwired.opex_usd),
                "respins_usd": float(pair.hardwired.respins_usd),
                "total_usd": float(pair.hardwired.total_usd),
                "tco_ratio": float(pair.tco_ratio),
                "carbon_ratio": float(pair.carbon_ratio),
            }
        )
    return pd.DataFrame(rows)


def _figures(found: ModelComparison) -> list[CaptionedFigure]:
    frame = comparison_frame(found)
    label = {"label": Column("", numeric=False)}
    speed = label | {
        "published_tokens_per_s": Column("as published", "tokens/s"),
        "pipelined_tokens_per_s": Column("pipelined", "tokens/s"),
        "h100_tokens_per_s": Column("H100, roofline", "tokens/s"),
    }
    owned = label | {
        "capex_usd": Column("capital"),
        "opex_usd": Column("operation"),
        "respins_usd": Column("re-spins"),
        "total_usd": Column("TCO"),
    }
    ratios = label | {"tco_ratio": Column("cost"), "carbon_ratio": Column("carbon")}
    dollars = dict.fromkeys((key for key in owned if key.endswith("_usd")), money)
    tables = (
        frame_table("Tokens per second", frame, speed),
        frame_table("Total cost of ownership", frame, owned, dollars),
        frame_table("Matching GPUs over hardwired", frame, ratios, dict.fromkeys(("tco_ratio", "carbon_ratio"), times)),
    )
    drawn = (
        ("speed", speed_bars(frame), "Tokens per second of one system, log axis", 2),
        ("ownership", ownership_bars(frame), "TCO of the hardwired fleets, corrected conventions, nominal", 4),
        ("ratios", ratio_bars(frame), "What matching GPUs cost and emit, over the hardwired fleet", 1),
    )
    return [
        captioned_figure(name, picture, caption, table, say)
        for (name, picture, caption, say), table in zip(drawn, tables, strict=True)
    ]


def _title(found: ModelComparison) -> str:
    names = list(dict.fromkeys(answer.model.name for answer in found.answers.values()))
    if len(names) == 1 and len(found.answers) > 1:
        return f"{names[0]}, hardwired, on {_listed(list(found.answers))}"
    return f"{_listed(names)}, hardwired"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _lead(found: ModelComparison) -> str:
    first = next(iter(found.answers.values()))
    speed = believed(first).device_speed
    each = plain(believed(first).assumptions[speed].nominal)
    return (
        f"Each with its weights in the wires, at a context of {first.context:,}; fleets of "
        f"{counted(first.cost.volume, 'system')} beside the H100s that generate as many tokens, each GPU {each} a "
        f"second whatever the model ({speed})."
    )


def _boundary(found: ModelComparison) -> tuple[str, ...]:
    return boundary_said(carbon_scopes(believed(next(iter(found.answers.values())))))
