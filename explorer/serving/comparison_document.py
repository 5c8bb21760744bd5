"""The document of a serving comparison: the same traffic side by side, one section a load."""

from collections.abc import Callable, Iterator
from typing import Any

from explorer.documents import html
from explorer.documents.document import Beside, Document, Heading, Part, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Table, quantity_table
from explorer.serving.comparison import GpuFleet, Served, ServingComparison
from explorer.serving.cost import ServingCost
from explorer.serving.document import cdf_figure, percentile_table
from explorer.writing import csv_text, json_text
from hwbase.numbers import counted, listed, mass, money, percent, plain, sentence, si, times
from hwsim.events.fleet import Target
from hwsim.events.results import ServingResult

_KG_PER_T = 1e3


def comparison_files(result: ServingComparison, document: Document) -> dict[str, str]:
    """Return the files of a comparison by name: table, percentiles, timelines and page."""
    return {
        "comparison.json": json_text(summary(result)),
        "comparison.csv": csv_text(result.to_frame()),
        "page.html": html.render(document),
    }


def summary(result: ServingComparison) -> dict[str, Any]:
    """Return the figures of a comparison without its requests."""
    return {
        "model": result.model,
        "traffic": result.traffic,
        "target": result.target.to_dict(),
        "loads": [
            {
                "speedup": served.speedup,
                "load": served.load,
                "binding": served.binding,
                "hardwired_keeps_the_target": served.kept,
                **_fleet_summary(served.fleets[0]),
                "hardwired": served.hardwired.summary(),
                "more_fleets": [_fleet_summary(fleet) for fleet in served.fleets[1:]],
                "costs": [cost.to_dict() | {"assumptions": sorted(cost.assumptions)} for cost in served.costs],
            }
            for served in result.loads
        ],
    }


def _fleet_summary(fleet: GpuFleet) -> dict[str, Any]:
    return {
        "gpus": fleet.gpus,
        "gpus_together": fleet.gpus_together,
        "tried": fleet.size.tried,
        "fleet": fleet.result.summary(),
    }


def json_data(result: ServingComparison) -> dict[str, Any]:
    """Return the summary of a comparison, and under "rows" a row a fleet."""
    return summary(result) | {"rows": result.to_frame().to_dict(orient="records")}


def comparison_document(result: ServingComparison, command: str) -> Document:
    """Return the comparison as a document, a section a load."""
    last = result.loads[-1]
    read = {name: quantity for cost in last.costs for name, quantity in cost.assumptions.items()}
    constants = {f"1 {last.hardwired.label}": last.hardwired.assumptions}
    constants |= {fleet.result.label: fleet.result.assumptions for fleet in last.fleets} | {"costs": read}
    gpus = listed([f"{fleet.result.label}s" for fleet in last.fleets])
    return Document(
        f"{result.model} under {result.traffic}",
        f"One hardwired machine and the smallest fleet of {gpus} that meets the same target: for "
        f"{result.target.percentile:g} % of all requests {_promise(result.target)}. A request that is rejected, "
        "cancelled or not finished breaks the promise.",
        sections(
            Section("book", "Cost book", tuple(map(sentence, result.notes))) if result.notes else None,
            *(_load_section(f"load-{at}", served, result.target) for at, served in enumerate(result.loads, start=1)),
            Section("latency", "What users felt", tuple(_latencies(result)), short=False),
            assumptions_section(constants),
            reproduce_section(command),
        ),
        data=lambda: json_data(result),
        frame=result.to_frame,
        schema="compare-serving",
    )


def _load_section(place: str, served: Served, target: Target) -> Section:
    parts = (load_text(served, target), percentile_table(machines_of(served)), cost_table(served))
    return Section(place, load_title(served), parts)


def _latencies(result: ServingComparison) -> Iterator[Part]:
    for at, served in enumerate(result.loads, start=1):
        yield Heading(load_title(served))
        drawn = (
            cdf_figure(machines_of(served), latency, f"load-{at}")
            for latency in ("time_to_first_token_s", "time_per_output_token_s")
        )
        yield Beside(tuple(drawn))


def cost_table(served: Served) -> Table:
    """Return dollars and carbon of the fleets, one column a fleet."""
    lines: tuple[tuple[str, Callable[[ServingCost], str]], ...] = (
        ("requests served", lambda c: percent(c.served_share)),
        ("output tokens/s served", lambda c: plain(c.output_tokens_per_s)),
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
    caption = "Dollars and carbon over the life of the fleet, under constant traffic of this kind"
    columns = {f"{counted(each.units, served.hardwired.label)} of {each.built} built": each for each in served.built}
    columns |= {counted(fleet.gpus, fleet.result.label): fleet.cost for fleet in served.fleets}
    return quantity_table(caption, lines, columns)


def load_title(served: Served) -> str:
    """Return the density of the trace as a title."""
    return f"The trace {times(served.speedup)} as dense" if served.speedup != 1.0 else "The trace as it is"


def machines_of(served: Served) -> dict[str, ServingResult]:
    """Return the results by the label of their machine."""
    results = {f"1 {served.hardwired.label}": served.hardwired}
    for fleet in served.fleets:
        nodes = counted(fleet.size.machines, "node")
        results[f"{fleet.gpus} {fleet.result.label} in {nodes}"] = fleet.result
    return results


def load_text(served: Served, target: Target) -> str:
    """Return the load of the machine, whether it meets the target, and the fleets that do."""
    keeps = "meets the target" if served.kept else "does not meet the target"
    needs = (
        f"The fleet needs {counted(fleet.gpus, fleet.result.label)}, {fleet.gpus_together} for each copy of the model, "
        f"and serves {percent(fleet.result.served_share)} of requests."
        for fleet in served.fleets
    )
    return (
        f"The {served.hardwired.label} is {percent(served.load)} busy ({served.binding}), serves "
        f"{percent(served.hardwired.served_share)} of requests and {keeps}. {' '.join(needs)}"
    )


def _promise(target: Target) -> str:
    promises = {"the first token within": target.time_to_first_token_s, "output tokens": target.time_per_output_token_s}
    limits = [f"{what} {si(value, 's')}" for what, value in promises.items() if value != float("inf")]
    return " and ".join(limits) + (" apart" if target.time_per_output_token_s != float("inf") else "")
