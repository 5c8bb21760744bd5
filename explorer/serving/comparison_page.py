"""The page of a serving comparison: the same traffic side by side, load by load."""

from collections.abc import Callable
from typing import Any

from explorer.documents.numbers import counted, mass, money, percent, plain, si, times
from explorer.documents.page import Page, Section, render_page
from explorer.documents.tables import Column, Table, assumption_table
from explorer.serving.comparison import Served, ServingComparison
from explorer.serving.cost import ServingCost
from explorer.serving.page import cdf_figure, percentile_table
from explorer.writing import json_text
from hwsim.events.fleet import Target
from hwsim.events.results import ServingResult

_KG_PER_T = 1e3


def comparison_files(found: ServingComparison, command: str) -> dict[str, str]:
    """Return the files of a comparison by name: table, percentiles, timelines and page."""
    return {
        "comparison.json": json_text(summary(found)),
        "comparison.csv": found.to_frame().to_csv(index=False),
        "page.html": render_comparison(found, command),
    }


def summary(found: ServingComparison) -> dict[str, Any]:
    """Return the figures of a comparison without its requests."""
    return {
        "model": found.model,
        "traffic": found.traffic,
        "target": found.target.to_dict(),
        "loads": [
            {
                "speedup": served.speedup,
                "load": served.load,
                "binding": served.binding,
                "hardwired_keeps_the_target": served.kept,
                "gpus": served.gpus,
                "gpus_together": served.gpus_together,
                "tried": served.fleet.tried,
                "hardwired": served.hardwired.summary(),
                "fleet": served.fleet.result.summary(),
                "costs": [cost.to_dict() | {"assumptions": sorted(cost.assumptions)} for cost in served.costs],
            }
            for served in found.loads
        ],
    }


def render_comparison(found: ServingComparison, command: str) -> str:
    """Return the comparison as one HTML page."""
    parts = []
    for number, served in enumerate(found.loads, start=1):
        results = machines_of(served)
        place = f"load-{number}"
        parts.append(
            Section(
                place,
                load_title(served),
                (load_text(served, found.target),),
                tuple(
                    cdf_figure(results, latency, place)
                    for latency in ("time_to_first_token_s", "time_per_output_token_s")
                ),
                (cost_table(served), percentile_table(results)),
            )
        )
    last = found.loads[-1]
    read = dict(last.hardwired.assumptions) | last.fleet.result.assumptions
    for cost in last.costs:
        read |= cost.assumptions
    page = Page(
        title=f"{found.model} under {found.traffic}",
        lead=(
            "One hardwired machine beside the smallest fleet of H100s that promises the same: for "
            f"{found.target.percentile:g} % of requests {_promise(found.target)}."
        ),
        parts=tuple(parts),
        assumptions=assumption_table(read),
        command=command,
    )
    return render_page("serving.html.j2", page=page)


def cost_table(served: Served) -> Table:
    """Return dollars and carbon of the fleets, a column a fleet."""
    lines: tuple[tuple[str, Callable[[ServingCost], str]], ...] = (
        ("output tokens/s", lambda c: plain(c.output_tokens_per_s)),
        ("power drawn, of full", lambda c: percent(c.load)),
        ("capital", lambda c: money(c.capex_usd)),
        ("electricity", lambda c: money(c.electricity_usd)),
        ("maintenance", lambda c: money(c.maintenance_usd)),
        ("re-spins", lambda c: money(c.respins_usd)),
        ("TCO", lambda c: money(c.total_usd)),
        ("per million output tokens", lambda c: money(c.usd_per_million_output_tokens)),
        ("Scope 2, CO₂e", lambda c: mass(c.scope2_t)),
        ("Scope 3, CO₂e", lambda c: mass(c.scope3_t)),
        ("CO₂e per million output tokens", lambda c: mass(c.kg_per_million_output_tokens / _KG_PER_T)),
    )
    heads = [
        counted(c.units, "H100") if c.fleet == "h100" else f"{counted(c.units, 'HNLPU')} of {c.built} built"
        for c in served.costs
    ]
    rows = tuple((what, *(write(cost) for cost in served.costs)) for what, write in lines)
    return Table(
        "Dollars and carbon over the life of the fleet, under this traffic all the time",
        (Column("figure", numeric=False), *(Column(head) for head in heads)),
        rows,
    )


def load_title(served: Served) -> str:
    """Return how dense the trace is."""
    return f"The trace {times(served.speedup)} as dense" if served.speedup != 1.0 else "The trace as it is"


def machines_of(served: Served) -> dict[str, ServingResult]:
    """Return the two results by what served them."""
    nodes = counted(served.fleet.machines, "node")
    return {"1 HNLPU": served.hardwired, f"{served.gpus} H100 in {nodes}": served.fleet.result}


def load_text(served: Served, target: Target) -> str:
    """Return how busy the machine is, whether it keeps the target, and the fleet that does."""
    keeps = "keeps the promise" if served.kept else "does not keep the promise"
    return (
        f"The HNLPU is {percent(served.load)} busy ({served.binding}) and {keeps}. The fleet needs "
        f"{counted(served.gpus, 'H100')}, {served.gpus_together} to a copy of the model."
    )


def _promise(target: Target) -> str:
    promises = {"the first token within": target.time_to_first_token_s, "output tokens": target.time_per_output_token_s}
    said = [f"{what} {si(value, 's')}" for what, value in promises.items() if value != float("inf")]
    return " and ".join(said) + (" apart" if target.time_per_output_token_s != float("inf") else "")
