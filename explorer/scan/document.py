"""The document of an index before it exists: machines, load, designs, and the saving of codes."""

from functools import partial

import pandas as pd

from explorer.documents.document import Document, Figure, Part, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table, frame_table, quantity_table, scaled_table
from explorer.documents.theme import machine_name
from explorer.scan.figures import cost_over_load, designs_and_front, saving_bars
from explorer.scan.fleets import ScanComparison, fleets_over_load
from explorer.scan.saving import PUBLISHED, index_saving, saving_scenarios, saving_tornado
from explorer.scan.space import design_space
from hwbase.columns import column
from hwbase.numbers import mass, money, percent, plain, si, words
from hwsim.retrieval import published_scanners

_SHOWN_LOADS = (1.0, 1e2, 1e4, 1e6)


def scan_document(result: ScanComparison, command: str) -> Document:
    """Return the comparison as a document, with the design space of its index and the saving of codes."""
    index = result.index
    return Document(
        f"{index.documents:,.0f} documents of {int(index.bits)} bits",
        f"Machines that serve {result.queries_per_s:,.0f} queries per second with the best {result.k}, side by "
        f"side; a query is compared with {percent(index.scanned_share)} of the documents.",
        sections(
            Section("machines", "Machines", (_summary(result), machine_table(result))),
            _traffic_section(result),
            Section("load", "Over load", partial(_load_parts, result), short=False),
            Section("designs", "Designs", partial(_design_parts, result), short=False),
            Section("saving", "Saving by codes", _saving_parts, short=False),
            Section("published", "Published machines", (_published(),), short=False),
            assumptions_section({machine_name(fleet.machine): fleet.assumptions for fleet in result.fleets}),
            reproduce_section(command),
        ),
        data=result.to_dict,
        frame=result.to_frame,
        schema="scan",
    )


def _traffic_section(result: ScanComparison) -> Section | None:
    if not result.services:
        return None
    columns = (Column("figure", numeric=False), Column("value"))
    tables = (
        Table("Under traffic", columns, tuple((words(name), plain(value)) for name, value in service.summary().items()))
        for service in result.services
    )
    return Section("traffic", "Under traffic", tuple(tables))


def _load_parts(result: ScanComparison) -> tuple[Part, ...]:
    loads = fleets_over_load(result.index, batch=result.batch, k=result.k)
    table = _loads(loads[loads["queries_per_s"].isin(_SHOWN_LOADS)])
    drawn = Figure("load", partial(cost_over_load, loads), "Dollars per year against queries per second", table, 2)
    text = "An engine's masks and design are paid once for any fleet; a server has none."
    return (text, drawn)


def _design_parts(result: ScanComparison) -> tuple[Part, ...]:
    bits, planes = int(result.index.bits), int(result.index.planes)
    space = design_space(float(result.index.documents), bits=(bits,), planes=planes, k=result.k)
    text = (
        f"Engines of 1 to 32 channels with an eighth to twice the lanes that match them: {len(space)} designs, "
        f"of which {int(space['front'].sum())} are on the front of dollars for one copy, energy per query and latency "
        "of a full batch."
    )
    drawn = Figure("designs", partial(designs_and_front, space, bits), "Energy over latency", front_table(space), 6)
    return (text, drawn)


def _saving_parts() -> tuple[Part, ...]:
    nominal, tornado = float(index_saving().saving), saving_tornado()
    text = (
        f"Nominal {percent(nominal)}; published: 30 to 50 %, without the assumptions behind it. Servers bought "
        "for their memory shrink with the bytes; servers bought for traffic stay."
    )
    draw = partial(saving_bars, tornado, nominal, PUBLISHED)
    drawn = Figure("saving", draw, "One assumption at a time", _tornado(tornado), 4)
    return (text, drawn, _scenarios())


def machine_table(result: ScanComparison) -> Table:
    """Return the fleets, one column a machine."""
    lines = (
        ("shards of a copy", "copy_shards", plain),
        ("copies", "copies", plain),
        ("devices", "devices", plain),
        ("latency of a full batch", "copy_latency_s", lambda v: si(v, "s")),
        ("queries/s of a copy", "copy_queries_per_s", lambda v: si(v, "")),
        ("bound by", "copy_bound_by", str),
        ("IT power", "it_power_w", lambda v: si(v, "W")),
        ("hardware", "hardware_usd", money),
        ("of it memory", "memory_usd", money),
        ("masks and design", "nre_usd", money),
        ("per year, all", "usd_per_year", money),
        ("per year without masks and design", "usd_per_year_without_nre", money),
        ("per million queries", "usd_per_million_queries", money),
        ("CO₂e per year", "t_per_year", mass),
        ("of the life: embodied", "embodied_t", mass),
    )
    rows = result.to_frame().itertuples(index=False)
    return quantity_table("Fleets for the same queries", lines, {str(row.machine): row for row in rows})


def front_table(space: pd.DataFrame) -> Table:
    """Return the designs on the front."""
    front = space[space["front"]].sort_values("latency_s")
    names = ["memory", "channels", "lanes", "shards", "copy_usd", "energy_j_per_query", "latency_s", "queries_per_s"]
    return scaled_table("Designs that no other beats", front[names])


def _loads(shown: pd.DataFrame) -> Table:
    names = ["machine", "queries_per_s", "usd_per_year", "devices", "t_per_year"]
    return scaled_table("Fleets over load", shown[names])


def _tornado(table: pd.DataFrame) -> Table:
    columns = {
        "name": Column("assumption", numeric=False),
        "low": Column("low"),
        "high": Column("high"),
        "saving_low": Column("saving at low"),
        "saving_high": Column("saving at high"),
        "source": column("source"),
    }
    shares = dict.fromkeys(("saving_low", "saving_high"), percent)
    return frame_table("Saving by assumption", table, columns, shares)


def _scenarios() -> Table:
    columns = {
        "reading": column("reading"),
        "bytes_before": Column("before", "B"),
        "bytes_after": Column("after", "B"),
        "traffic_bound": Column("saved if servers stay"),
        "capacity_bound": Column("saved if servers shrink with the bytes"),
        "share_for_30%": Column("share of servers that gives 30 %"),
        "share_for_50%": Column("share of servers that gives 50 %"),
    }
    shares = [name for name, column in columns.items() if name not in ("reading", "bytes_before", "bytes_after")]
    return frame_table(
        "Readings of the published sentence", saving_scenarios(), columns, dict.fromkeys(shares, percent)
    )


def _published() -> Table:
    columns = {
        "machine": column("machine"),
        "figure": Column("figure", numeric=False),
        "low": Column("from"),
        "high": Column("to"),
        "source": column("source"),
    }
    return frame_table("Published figures, not used above", published_scanners()[list(columns)], columns, {})


def _summary(result: ScanComparison) -> str:
    cheapest = min(result.fleets, key=lambda fleet: fleet.usd_per_year)
    size = si(float(result.index.stored_bytes), "B")
    return (
        f"The index takes {size}. At this load {machine_name(cheapest.machine)} has the least cost, "
        f"{money(cheapest.usd_per_year)} a year in all."
    )
