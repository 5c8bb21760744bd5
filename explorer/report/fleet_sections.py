"""Sections of a report on the fleet: cost to build and to own, carbon, and the effect of each convention."""

from functools import partial

from explorer.documents.conventions import conventions_table
from explorer.documents.document import Aside, Beside, Figure, Folded, Heading, Part, Section
from explorer.documents.tables import Column, Table, frame_table
from explorer.documents.theme import machine_name
from explorer.pricing.document import bill_table, effects_table, inputs_table, ratio_table, tco_table
from explorer.pricing.economics import CostAnswer
from explorer.report.answer import Answer
from explorer.report.figures.fleet import (
    TCO_PARTS,
    carbon_bars,
    carbon_rows,
    cost_waterfall,
    tco_bars,
    tco_rows,
    waterfall_rows,
)
from explorer.report.scopes import boundary_text, carbon_scopes, scope_table
from hwbase.columns import column
from hwbase.numbers import counted, money, plain, sentence, times

_CASE = {"fleet": Column("fleet", numeric=False), "level": Column("case", numeric=False)}
#: Columns of the parts of a TCO, and of their sum.
TCO_COLUMNS = {key: Column(label) for label, key, _, _ in TCO_PARTS} | {"total_usd": Column("TCO")}
_TCO_COLUMNS = _CASE | TCO_COLUMNS | {"ratio": Column("GPU TCO / hardwired TCO")}
_CARBON_COLUMNS = _CASE | {
    "scope2_t": Column("Scope 2", "t CO₂e"),
    "scope3_t": Column("Scope 3", "t CO₂e"),
    "total_t": Column("total", "t CO₂e"),
}
_STEPS = {"step": Column("step", numeric=False), "kind": column("kind"), "usd": Column("cost")}


def cost(answer: Answer) -> Section:
    """Return the cost to build one system and the fleet."""
    cost = answer.cost
    text = (
        f"{counted(cost.volume, 'system')}, convention {cost.convention}. Low and high read every constant at that "
        "end of its range: the paper's optimistic and pessimistic case with its own book, otherwise extreme "
        "corners, not estimates."
    )
    parts: list[Part] = [
        text,
        Beside(_waterfalls(cost)),
        Beside((bill_table(cost), inputs_table(cost))),
        *map(Aside, map(sentence, cost.notes)),
        *(Folded(f"The same by convention {other.convention}", (bill_table(other),)) for other in answer.costs[1:]),
    ]
    return Section("cost", "Cost", tuple(parts), short=False)


def ownership(answer: Answer) -> Section:
    """Return the cost and emissions of both fleets over their life."""
    cost = answer.cost
    comparison, levels = cost.comparison, cost.conventions.levels
    formats = {key: money for key in _TCO_COLUMNS if key.endswith("usd")} | {"ratio": times}
    owned, emitted = (f"{what}, {cost.convention}" for what in ("Total cost of ownership", "Carbon over the life"))
    tco = frame_table(owned, tco_rows(comparison, levels), _TCO_COLUMNS, formats)
    carbon = frame_table(emitted, carbon_rows(comparison, levels), _CARBON_COLUMNS)
    figures = (
        Figure("tco", partial(tco_bars, comparison, levels), "Total cost of ownership of both fleets, M$", tco, 5),
        Figure(
            "carbon", partial(carbon_bars, comparison, levels), "Carbon of both fleets by scope, log axis", carbon, 4
        ),
    )
    parts: tuple[Part, ...] = (
        f"The hardwired fleet and {plain(comparison.gpus)} GPUs that generate as many tokens.",
        Beside(figures),
        tco_table(cost),
        ratio_table((*answer.costs, *answer.costs_beside)),
        *(Folded(f"The same by convention {other.convention}", (tco_table(other),)) for other in answer.costs[1:]),
        *(
            Folded(f"The same beside {machine_name(other.device)}, convention {other.convention}", (tco_table(other),))
            for other in answer.costs_beside
        ),
    )
    return Section("ownership", "Ownership and carbon", parts, short=False)


def scopes(answer: Answer) -> Section:
    """Return the carbon by scope under each set of conventions, in the given order."""
    parts: list[Part] = []
    for costs in by_convention(answer).values():
        carbon = carbon_scopes(costs)
        parts += [Heading(f"Convention {carbon.convention}"), *boundary_text(carbon), scope_table(carbon)]
    return Section("scopes", "Carbon by scope", tuple(parts), short=False)


def conventions(answer: Answer) -> Section:
    """Return the fleet's cost and carbon with one choice of a convention changed at a time."""
    effects = next((costs.effect_rows for costs in by_convention(answer).values() if costs.effect_rows), ())
    parts: tuple[Part, ...] = ("Not computed for this page.",)
    if effects:
        text = (
            "The same fleet counted with one choice changed at a time, to show its effect. The "
            "first row is the paper's own way, the last row all changes together."
        )
        parts = (text, effects_table(effects))
    return Section("conventions", "Effect of each convention", parts, short=False)


def by_convention(answer: Answer) -> dict[str, CostAnswer]:
    """Return the costs by convention, in the given order."""
    return {costs.convention: costs for costs in answer.costs}


def conventions_used(answer: Answer) -> Table:
    """Return every choice of the conventions in the report."""
    return conventions_table(*(costs.conventions for costs in answer.costs))


def _waterfalls(costs: CostAnswer) -> tuple[Figure, ...]:
    cases = costs.comparison.pairs(costs.conventions.levels)
    most = max(float(pair.hardwired.total_usd) for _, pair in cases)
    figures = []
    for level, pair in cases:
        caption = f"From masks to TCO, {costs.convention}, {level}"
        table = frame_table(caption, waterfall_rows(pair.bill, pair.hardwired), _STEPS, {"usd": money})
        draw = partial(cost_waterfall, pair.bill, pair.hardwired, most_usd=most)
        figures.append(Figure(f"waterfall-{level}", draw, caption, table, 2))
    return tuple(figures)
