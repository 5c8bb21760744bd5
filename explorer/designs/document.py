"""The document of a search: the machines to choose from, the front, what binds, pictures, and what was tried."""

from collections.abc import Iterable
from functools import partial
from itertools import combinations
from typing import Any

from explorer.designs.completion import GAIN, GAIN_MM2, PARTS
from explorer.designs.evaluation import BUSY
from explorer.designs.figures import (
    block_areas,
    busy_figure,
    chip_figure,
    chosen,
    front_figure,
    machine_figure,
    mapping_text,
    resource_name,
)
from explorer.designs.result import DesignSearch
from explorer.designs.serving import LATENCIES
from explorer.documents.document import Document, Figure, Method, Section, sections
from explorer.documents.sections import assumptions_section, methods_section, reproduce_section
from explorer.documents.tables import Table, scaled_table, signed
from explorer.documents.theme import machine_name
from hwbase.columns import Column, column
from hwbase.numbers import counted, listed, percent, plain, times, words
from hwsim.design import CHOICES

_ROWS, _PAIRS = 25, 3
_MAPPING = ("pipeline_stages", "rows", "columns", "collective", "norms", "stage_topology")
#: Choices that are shown where they vary.
_LINKS = ("grid_topology", "link_class", "stage_link_class", "fabric")
_FIGURES = (
    *("tokens_per_s", "latency_alone_s", "latency_s", "bound_by", "chips", "die_area_mm2", "area_mm2"),
    *("tokens_per_s_mm2", "power_w", "power_density_w_per_mm2", "energy_j_per_token"),
    *("nre_usd", "tco_usd", "usd_per_million_tokens", "carbon_t", "kg_per_million_tokens"),
)


def design_document(result: DesignSearch, command: str = "") -> Document:
    """Return a search as a document."""
    sought = listed(
        [f"{'most' if better == 'max' else 'least'} {column(n).label}" for n, better in result.objectives.items()]
    )
    return Document(
        f"A machine for {result.model}",
        f"{sought[:1].upper()}{sought[1:]}, {result.workload.describe()}, in {result.technology} with weights of "
        f"{result.weights}: {counted(result.tried, 'design')} tried, {result.feasible:,} within all limits.",
        sections(
            Section("brief", "In brief", (_lead(result), _chosen_table(result))),
            Section("front", "The front", (*_front(result),)),
            Section("binds", "What binds, and what more would buy", (*_binds(result),)),
            Section("events", "Token by token", (*_events(result),)) if result.confirmed else None,
            Section("served", "The trace, request by request", (*_served(result),)) if result.served else None,
            Section("pictures", "The best machine", (*_pictures(result),)),
            Section("tried", "What was tried", (_limits_table(result), _varied_table(result)), short=False),
            methods_section(_methods(result)),
            assumptions_section({machine_name(result.machine): result.assumptions}),
            reproduce_section(command),
        ),
        data=result.to_dict,
        frame=result.to_frame,
        schema="design",
    )


def _lead(result: DesignSearch) -> str:
    best = result.best
    text = (
        f"{mapping_text(best)}: {column('tokens_per_s').text(best['tokens_per_s'])} on "
        f"{plain(best['area_mm2'])} mm², {column('latency_alone_s').text(best['latency_alone_s'])} a token for one "
        f"user alone, bound by {words(best['bound_by'])}."
    )
    if result.confirmed:
        text += f" Detailed events give {column('tokens_per_s').text(result.confirmed[0].events_tokens_per_s)}."
    if result.requests is not None:
        text += f" It keeps its promises: {result.requests.describe()}."
    if len(result.own):
        own = result.own.iloc[0]
        text += (
            f" {times(best['tokens_per_s'] / own['tokens_per_s'])} the tokens per second of "
            f"{machine_name(result.machine)} ({mapping_text(own)}, {plain(own['area_mm2'])} mm²), counted the same way."
        )
    return text


def _chosen_table(result: DesignSearch) -> Table:
    machines = chosen(result)
    constants = [each for each in result.varied if each not in (*_MAPPING, *CHOICES, *_FIGURES)]
    names = [*_FIGURES, *_mapping(result), *(name for name in constants if name in result.front)]
    rows = tuple((column(n).label, *(column(n).text(machine[n]) for machine in machines.values())) for n in names)
    heads = (Column("", numeric=False), *(Column(name) for name in machines))
    return Table("Machines to choose from", heads, rows)


def _mapping(result: DesignSearch) -> list[str]:
    """Return the names of the mapping, with those of links that vary."""
    return [*_MAPPING, *(name for name in _LINKS if name in result.varied)]


def _front(result: DesignSearch) -> Iterable[Any]:
    table = _front_table(result)
    sought = listed([column(name).label for name in result.objectives])
    yield f"{counted(len(result.front), 'design')} that no other beats in {sought}."
    for i, (up, across) in enumerate(list(combinations(result.objectives, 2))[:_PAIRS]):
        caption = f"{column(up).label} against {column(across).label}: the front, and {machine_name(result.machine)}"
        yield Figure(f"front-{i}", partial(front_figure, result, across, up), caption, table, 1)
    yield table


def _front_table(result: DesignSearch) -> Table:
    constants = [name for name in result.varied if name not in (*_MAPPING, *CHOICES) and name in result.front]
    names = [*dict.fromkeys([*result.objectives, "bound_by", "chips", "die_area_mm2", *_mapping(result), *constants])]
    step = -(-len(result.front) // _ROWS)
    shown = result.front.iloc[::step][names]
    count = f"{len(shown)} of {len(result.front):,} designs" if step > 1 else "all its designs"
    return scaled_table(f"The front, {count}", shown)


def _binds(result: DesignSearch) -> Iterable[Any]:
    machines = chosen(result)
    heads = [Column("part", numeric=False)]
    for name in machines:
        heads += [Column("gain of tokens/s", group=name), Column("silicon", "mm**2", group=name)]
    rows = []
    for part in PARTS:
        cells: list[str] = []
        for machine in machines.values():
            cells += [percent(machine[f"{GAIN}.{part}"]), plain(machine[f"{GAIN_MM2}.{part}"])]
        rows.append((resource_name(f"{GAIN}.{part}"), *cells))
    bound = "; ".join(f"{name}: {words(machine['bound_by'])}" for name, machine in machines.items())
    yield f"What binds: {bound}. The table has what 10 % more of each part would buy, and its silicon in all chips."
    yield Table("10 % more of each part", tuple(heads), tuple(rows))
    busy = tuple((resource_name(n), *(percent(machine[n]) for machine in machines.values())) for n in BUSY)
    shares = Table("Busy share of each resource", (Column("resource", numeric=False), *map(Column, machines)), busy)
    yield Figure("busy", partial(busy_figure, result), "Busy share of each resource at full load", shares, 1)


def _events(result: DesignSearch) -> Iterable[Any]:
    """Return what detailed events make of the best designs."""
    rows = []
    for each in result.confirmed:
        design = result.front.iloc[each.place]
        rows.append(
            (
                mapping_text(design),
                plain(each.sequences),
                *(column("tokens_per_s").text(rate) for rate in (each.tokens_per_s, each.events_tokens_per_s)),
                signed(100.0 * each.difference),
                *(column("latency_s").text(took) for took in (each.latency_alone_s, each.events_latency_alone_s)),
                signed(100.0 * each.difference_alone),
            )
        )
    loaded, alone = "tokens per second", "latency for one user alone"
    heads = (
        Column("design", numeric=False),
        Column("sequences"),
        *(Column(name, group=loaded) for name in ("closed form", "events", "difference, %")),
        *(Column(name, group=alone) for name in ("closed form", "events", "difference, %")),
    )
    yield (
        "Every token through every layer, link and vector unit, in the machine's order of service. What the events "
        "say decides the order of these designs. Tokens "
        "per second differ from the closed form by "
        f"{listed([f'{signed(100.0 * each.difference)} %' for each in result.confirmed])}."
    )
    if broken := [mapping_text(result.front.iloc[each.place]) for each in result.confirmed if not each.holds]:
        yield f"Limits that no longer hold by what the events say rule out {listed(broken)}."
    yield Table("Closed form and detailed events", heads, tuple(rows))


def _served(result: DesignSearch) -> Iterable[Any]:
    """Return how the best machines serve the trace."""
    assert result.requests is not None
    names = ("time_to_first_token_s", "time_per_output_token_s", "served_share", "busiest_share", "energy_j_per_token")
    rows = []
    for each in result.served:
        design = result.front.iloc[each.place]
        figures = (column(name).text(getattr(each, name)) for name in names)
        parts = (column(name).text(design[name]) for name in ("area_mm2", "tokens_per_s"))
        rows.append((mapping_text(design), *parts, *figures, "yes" if each.keeps else "no"))
    at = f"p{result.requests.target.percentile:g}"
    heads = (
        Column("design", numeric=False),
        *(Column(column(name).label) for name in ("area_mm2", "tokens_per_s")),
        *(Column(f"{column(name).label}, {at}" if name in LATENCIES else column(name).label) for name in names),
        Column("keeps all", numeric=False),
    )
    yield (
        f"Promised: {result.requests.describe()}. The machines of the front serve the trace in order, in the service "
        "grain of the event simulator, until enough keep every promise."
    )
    yield Table("Machines that served the trace", heads, tuple(rows))


def _pictures(result: DesignSearch) -> Iterable[Any]:
    best = result.best
    lines = tuple(
        (column(name).label, column(name).text(best[name])) for name in (*_MAPPING, *_LINKS, "chips", "links_per_chip")
    )
    mapping = Table("Mapping", (Column("", numeric=False), Column("value")), lines)
    topology = "every chip has a link to its like in the next stage, the last stage to the first"
    if best["stage_topology"] == "full" and best["pipeline_stages"] > 3:
        topology = "every chip has a link to its like in every other stage, of which the next ones are drawn"
    yield Figure("machine", partial(machine_figure, best), f"Stages and their chips: {topology}", mapping, 1)
    areas = block_areas(best)
    rows = tuple((name, plain(mm2), percent(mm2 / best["die_area_mm2"])) for name, mm2 in areas.items())
    blocks = Table("Blocks of a die", (Column("block", numeric=False), Column("area", "mm**2"), Column("share")), rows)
    yield Figure("chip", partial(chip_figure, best), "A die and the areas of its blocks", blocks, 1)


def _limits_table(result: DesignSearch) -> Table:
    rows = []
    for name, text in result.constraints.items():
        rows.append((name, "" if name == text else text))
    heads = (Column("limit", numeric=False), Column("as a formula", numeric=False))
    return Table("Limits that every design keeps", heads, tuple(rows))


def _varied_table(result: DesignSearch) -> Table:
    rows = [
        (column(name).label, name, ", ".join(column(name).text(value) for value in values))
        for name, values in result.varied.items()
    ]
    heads = tuple(Column(head, numeric=False) for head in ("what", "name", "values"))
    return Table("What varies, beside the mapping", heads, tuple(rows))


def _methods(result: DesignSearch) -> Iterable[Method]:
    yield Method(
        "Search",
        "Every mapping with every set of parts, in closed form (pipelined reading). Designs that are equal in all "
        "objectives are listed once, as the one with the least silicon.",
        "front: sort-filter-skyline, Chomicki et al., ICDE 2003; knee: Das, Structural Optimization 18, 1999",
        f"{counted(result.tried, 'design')} whose smallest chip fits.",
    )
    yield Method(
        "Mapping",
        "Consecutive layers on pipeline stages; heads, hidden vector and experts shared by the chips of a stage. The "
        "busiest link, the vector unit of the fullest stage, or the memory sets the rate.",
        "stages: Huang et al., GPipe, NeurIPS 2019; collectives: Thakur, Rabenseifner and Gropp, IJHPCA 19(1), 2005; "
        "hwsim.pipeline, hwsim.mapping, hwsim.fabric",
    )
    yield Method(
        "What more would buy",
        "Each part of a chip grows by 10 % in its capacity and its bandwidth, or in its bandwidth alone (links, HBM), "
        "with all else as it is.",
        "hwsim closed form",
    )
    yield Method(
        "Limits",
        "Power of a die over its area, mean over the die. Memory stands on four sides of a square die, as many stacks "
        "as its edges take.",
        "hwsim assumptions package",
    )
