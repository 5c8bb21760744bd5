"""The document of `hwsim report A B`: one table, three figures, carbon by scope, methods and constants."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import models
from explorer.documents.document import Document, Figure, Method, Section, sections
from explorer.documents.sections import assumptions_section, methods_section, reproduce_section
from explorer.documents.tables import Column, Table, frame_table, quantity_table
from explorer.documents.theme import machine_name
from explorer.report.answer import Answer
from explorer.report.figures.side_by_side import ownership_bars, ratio_bars, speed_bars
from explorer.report.fleet_sections import TCO_COLUMNS
from explorer.report.scopes import boundary_text, carbon_scopes
from explorer.report.side_by_side import ModelComparison, believed, nominal, published_cost
from hwbase.numbers import counted, listed, mass, money, plain, si, times, words

if TYPE_CHECKING:
    import pandas as pd

_MM2_PER_CM2 = 100.0
_LINES: tuple[tuple[str, Callable[[Answer], str]], ...] = (
    ("parameters", lambda a: si(models.parameters(a.model).total, "")),
    ("chips", lambda a: plain(a.pipelined.chips)),
    ("silicon", lambda a: f"{plain(float(a.pipelined.area_mm2) / _MM2_PER_CM2)} cm²"),
    ("power", lambda a: si(a.pipelined.power_w, "W")),
    ("tokens/s, as published", lambda a: plain(a.published.tokens_per_s if a.has_published else None)),
    ("tokens/s, pipelined", lambda a: plain(a.pipelined.tokens_per_s)),
    ("bound by", lambda a: words(a.pipelined.bound_by)),
    ("tokens/s for one user", lambda a: plain(a.pipelined.tokens_per_s_per_user)),
    ("energy per token", lambda a: si(a.pipelined.energy_j_per_token, "J")),
    ("resources short", lambda a: ", ".join(a.pipelined.short_of) or "none"),
    ("masks and design", lambda a: money(nominal(a).bill.nre_usd)),
    ("one more system", lambda a: money(nominal(a).bill.system_usd)),
    ("new weights for the fleet", lambda a: money(nominal(a).bill.respin_usd(a.cost.volume))),
    ("TCO with re-spins", lambda a: money(nominal(a).hardwired.total_usd)),
    ("per million tokens", lambda a: money(nominal(a).hardwired.usd_per_million_tokens)),
    ("GPUs that match", lambda a: f"{plain(believed(a).comparison.gpus)} {machine_name(believed(a).device)}s"),
    ("GPU TCO / hardwired TCO", lambda a: times(nominal(a).tco_ratio)),
    ("GPU TCO / hardwired TCO, as published", lambda a: times(published_cost(a).comparison.low.tco_ratio)),
    ("carbon with re-spins", lambda a: mass(nominal(a).hardwired_carbon.total_t)),
    ("GPU carbon over it", lambda a: times(nominal(a).carbon_ratio)),
)


def side_by_side_document(comparison: ModelComparison) -> Document:
    """Return models side by side as a document."""
    return Document(
        _title(comparison),
        _lead(comparison),
        sections(
            Section("brief", "Side by side", (side_by_side_table(comparison),)),
            Section("pictures", "In pictures", _figures(comparison), short=False),
            Section("scopes", "Carbon by scope", (*_boundary(comparison), scopes_table(comparison)), short=False),
            assumptions_section(comparison.constants),
            methods_section(merged_methods(comparison)),
            reproduce_section(comparison.reproduction),
        ),
        data=comparison.to_dict,
        frame=comparison.to_frame,
        schema="report-side-by-side",
    )


def side_by_side_table(comparison: ModelComparison) -> Table:
    """Return one column for each answer: size, speed, power, and the cost and emissions of its fleet."""
    caption = "Side by side; costs and carbon by the corrected conventions at nominal prices"
    return quantity_table(caption, _LINES, comparison.answers, style="brief")


def scopes_table(comparison: ModelComparison) -> Table:
    """Return the hardwired fleets' carbon by scope and category, one column an answer (corrected, nominal)."""
    columns: dict[str, dict[str, float]] = {}
    for label, answer in comparison.answers.items():
        rows = carbon_scopes(believed(answer)).rows
        nominal_rows = [row for row in rows if (row.fleet, row.level) == ("hardwired", "nominal")]
        columns[label] = {f"Scope {row.scope}: {row.category}": row.t for row in nominal_rows}
        columns[label]["all scopes"] = sum(row.t for row in nominal_rows)
    lines = dict.fromkeys(line for column in columns.values() for line in column)
    rows_written = tuple((line, *(mass(column.get(line)) for column in columns.values())) for line in lines)
    heads = (Column("scope", numeric=False), *(Column(label, "CO₂e") for label in columns))
    return Table("Carbon of the hardwired fleets by scope, corrected conventions at nominal", heads, rows_written)


def merged_methods(comparison: ModelComparison) -> list[Method]:
    """Return the methods of all answers: a method that is the same in all once, others under each label."""
    steps: dict[str, dict[str, Method]] = {}
    for label, answer in comparison.answers.items():
        for step in answer.methods:
            steps.setdefault(step.name, {})[label] = step
    merged: list[Method] = []
    for name, by_label in steps.items():
        by_name: dict[str, dict[str, Method]] = {}
        for label, step in by_label.items():
            by_name.setdefault(step.text, {})[label] = step
        for text, group in by_name.items():
            everywhere = len(group) == len(comparison.answers)
            cases = " ".join(f"{label}: {step.case}" for label, step in group.items() if step.case)
            title = name if everywhere else f"{name} ({', '.join(group)})"
            merged.append(Method(title, text, next(iter(group.values())).reference, cases))
    return merged


def comparison_frame(comparison: ModelComparison) -> "pd.DataFrame":
    """Return the data of the figures, one row an answer."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for label, answer in comparison.answers.items():
        pair = nominal(answer)
        rows.append(
            {
                "label": label,
                "published_tokens_per_s": float(answer.published.tokens_per_s),
                "pipelined_tokens_per_s": float(answer.pipelined.tokens_per_s),
                "bought_tokens_per_s": float(answer.accelerators[believed(answer).device].tokens_per_s),
                "capex_usd": float(pair.hardwired.capex_usd),
                "opex_usd": float(pair.hardwired.opex_usd),
                "respins_usd": float(pair.hardwired.respins_usd),
                "total_usd": float(pair.hardwired.total_usd),
                "tco_ratio": float(pair.tco_ratio),
                "carbon_ratio": float(pair.carbon_ratio),
            }
        )
    return pd.DataFrame(rows)


def _bought(comparison: ModelComparison) -> str:
    """Return what the roofline of the machine that is bought is called."""
    device = believed(next(iter(comparison.answers.values()))).device
    return f"{machine_name(device)}, roofline"


def _figures(comparison: ModelComparison) -> tuple[Figure, ...]:
    frame = comparison_frame(comparison)
    label = {"label": Column("", numeric=False)}
    speed = label | {
        "published_tokens_per_s": Column("as published", "tokens/s"),
        "pipelined_tokens_per_s": Column("pipelined", "tokens/s"),
        "bought_tokens_per_s": Column(_bought(comparison), "tokens/s"),
    }
    owned = label | TCO_COLUMNS
    ratios = label | {"tco_ratio": Column("cost"), "carbon_ratio": Column("carbon")}
    dollars = dict.fromkeys((key for key in owned if key.endswith("_usd")), money)
    tables = (
        frame_table("Tokens per second", frame, speed),
        frame_table("Total cost of ownership", frame, owned, dollars),
        frame_table("Matching GPUs over hardwired", frame, ratios, dict.fromkeys(("tco_ratio", "carbon_ratio"), times)),
    )
    captions = (
        "Tokens per second of one system, log axis",
        "TCO of the hardwired fleets, corrected conventions, nominal",
        "Cost and carbon of matching GPUs, relative to the hardwired fleet",
    )
    return (
        Figure("speed", partial(speed_bars, frame, _bought(comparison)), captions[0], tables[0], 2),
        Figure("ownership", partial(ownership_bars, frame), captions[1], tables[1], 4),
        Figure("ratios", partial(ratio_bars, frame), captions[2], tables[2], 1),
    )


def _title(comparison: ModelComparison) -> str:
    names = list(dict.fromkeys(answer.model.name for answer in comparison.answers.values()))
    if len(names) == 1 and len(comparison.answers) > 1:
        return f"{names[0]}, hardwired, on {listed(list(comparison.answers))}"
    return f"{listed(names)}, hardwired"


def _lead(comparison: ModelComparison) -> str:
    first = next(iter(comparison.answers.values()))
    return (
        f"Each with its weights in the wires, at a context of {first.context:,}; fleets of "
        f"{counted(first.cost.volume, 'system')} and the GPUs that generate as many tokens, each as fast as the best "
        "server of that model within the promise of the cost book."
    )


def _boundary(comparison: ModelComparison) -> tuple[str, ...]:
    return boundary_text(carbon_scopes(believed(next(iter(comparison.answers.values())))))
