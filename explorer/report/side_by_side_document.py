"""What `hwsim report A B` says: one table, three pictures, carbon by scope, and what it was made of."""

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
from explorer.report.scopes import boundary_said, carbon_scopes
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
    ("tokens/s, as published", lambda a: plain(a.published.tokens_per_s)),
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
    ("GPUs that match", lambda a: plain(believed(a).comparison.gpus)),
    ("GPU TCO over it", lambda a: times(nominal(a).tco_ratio)),
    ("GPU TCO over it, as published", lambda a: times(published_cost(a).comparison.low.tco_ratio)),
    ("carbon with re-spins", lambda a: mass(nominal(a).hardwired_carbon.total_t)),
    ("GPU carbon over it", lambda a: times(nominal(a).carbon_ratio)),
)


def side_by_side_document(found: ModelComparison) -> Document:
    """Return models side by side as a document."""
    return Document(
        _title(found),
        _lead(found),
        sections(
            Section("brief", "Side by side", (side_by_side_table(found),)),
            Section("pictures", "In pictures", _figures(found), short=False),
            Section("scopes", "Carbon by scope", (*_boundary(found), scopes_table(found)), short=False),
            assumptions_section(found.constants),
            methods_section(merged_methods(found)),
            reproduce_section(found.reproduction),
        ),
        data=found.to_dict,
        frame=found.to_frame,
        schema="report-side-by-side",
    )


def side_by_side_table(found: ModelComparison) -> Table:
    """Return a column an answer: size, speed, power, and what its fleet costs and emits."""
    caption = "Side by side; costs and carbon by the corrected conventions at nominal prices"
    return quantity_table(caption, _LINES, found.answers, style="brief")


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


def comparison_frame(found: ModelComparison) -> "pd.DataFrame":
    """Return what the pictures show: a row an answer."""
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for label, answer in found.answers.items():
        pair = nominal(answer)
        rows.append(
            {
                "label": label,
                "published_tokens_per_s": float(answer.published.tokens_per_s),
                "pipelined_tokens_per_s": float(answer.pipelined.tokens_per_s),
                "bought_tokens_per_s": float(answer.accelerators[answer.cost.device].tokens_per_s),
                "capex_usd": float(pair.hardwired.capex_usd),
                "opex_usd": float(pair.hardwired.opex_usd),
                "respins_usd": float(pair.hardwired.respins_usd),
                "total_usd": float(pair.hardwired.total_usd),
                "tco_ratio": float(pair.tco_ratio),
                "carbon_ratio": float(pair.carbon_ratio),
            }
        )
    return pd.DataFrame(rows)


def _bought(found: ModelComparison) -> str:
    """Return what the roofline of the machine that is bought is called."""
    device = next(iter(found.answers.values())).cost.device
    return f"{machine_name(device)}, roofline"


def _figures(found: ModelComparison) -> tuple[Figure, ...]:
    frame = comparison_frame(found)
    label = {"label": Column("", numeric=False)}
    speed = label | {
        "published_tokens_per_s": Column("as published", "tokens/s"),
        "pipelined_tokens_per_s": Column("pipelined", "tokens/s"),
        "bought_tokens_per_s": Column(_bought(found), "tokens/s"),
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
    captions = (
        "Tokens per second of one system, log axis",
        "TCO of the hardwired fleets, corrected conventions, nominal",
        "What matching GPUs cost and emit, over the hardwired fleet",
    )
    return (
        Figure("speed", partial(speed_bars, frame, _bought(found)), captions[0], tables[0], 2),
        Figure("ownership", partial(ownership_bars, frame), captions[1], tables[1], 4),
        Figure("ratios", partial(ratio_bars, frame), captions[2], tables[2], 1),
    )


def _title(found: ModelComparison) -> str:
    names = list(dict.fromkeys(answer.model.name for answer in found.answers.values()))
    if len(names) == 1 and len(found.answers) > 1:
        return f"{names[0]}, hardwired, on {listed(list(found.answers))}"
    return f"{listed(names)}, hardwired"


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
