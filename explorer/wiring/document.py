"""The document of a wiring study: findings, a tile, slack, tracks, weights, block scales, faults."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from explorer.documents.document import Beside, Bullets, Document, Figure, Folded, Method, Section, sections
from explorer.documents.sections import methods_section, reproduce_section
from explorer.documents.tables import Column, Table, frame_table
from explorer.wiring import figures as drawn
from hwbase.columns import column
from hwbase.numbers import money, percent, plain, times
from hwsim.wiring import REGIONS, heat_map, region_name

if TYPE_CHECKING:
    from explorer.wiring.faults import FaultStudy
    from explorer.wiring.study import WiringStudy

_NEURONS = {"real": "the model's own", "joined": "stand-ins, joined", "alike": "stand-ins, one repeated"}
_PLACES = {"wire": "the wire", "input": "its input net", "neuron": "its neuron"}


def wiring_document(study: "WiringStudy") -> Document:
    """Return a wiring study as a document."""
    faults = f"{', and how many faults are tolerable' if study.faults else ''}"
    return Document(
        f"{study.model}: from weights to wires",
        f"{study.matrices} matrices, {plain(study.weights)} weights in MXFP4, wired into Hardwired-Neurons: which "
        f"share of ports must be spare, whether the wires fit the tracks{faults}. Neurons of "
        f"{plain(study.stand_in_inputs)} inputs, the width of gpt-oss-120b, are assembled from this model's weights.",
        sections(
            Section("findings", "Findings", (Bullets(study.findings),)),
            _tile(study),
            _slack(study),
            _routing(study),
            _weights(study),
            _scales(study),
            None if study.faults is None else _faults(study.faults),
            methods_section(_methods(study)),
            reproduce_section(study.command) if study.command else None,
        ),
        data=study.to_dict,
        frame=study.to_frame,
        schema="wiring",
    )


def _tile(study: "WiringStudy") -> Section:
    ports = _ports(study)
    columns = {
        "low": Column("from"),
        "high": Column("to"),
        "neurons": Column("neurons"),
        "share_of_ports": Column("of all"),
    }
    frame = drawn.port_frame(study.ports, ports)
    table = frame_table("Neurons by ports used", frame, columns, {"share_of_ports": percent})
    caption = f"POPCNT ports used by {plain(study.stand_ins)} neurons of {study.stand_in_inputs:,} inputs, of {ports:,}"
    text = (
        "Inputs enter from the left and cross the tile; each has a branch to a POPCNT port of its weight's region, "
        "and the counts of a region's slices are added down the tile. Colour is the used share of the tracks of M8 to "
        "M11, on one scale for all maps; above 100 % there are more wires than tracks. Technology "
        f"{study.technology}; tiles have the shape of least crowding; the axes have different scales."
    )
    figure = Figure("ports", partial(drawn.port_use, study.ports, ports), caption, table, 2)
    return Section("tile", "One neuron's tile", (text, Beside(tuple(_heat_maps(study))), figure), short=False)


def _slack(study: "WiringStudy") -> Section:
    inputs = study.stand_in_inputs
    caption = f"Spare ports against the share of neurons that fit, {inputs:,} inputs, log axis"
    behind = _slack_table(caption, study.slack[study.slack["neurons"] == "joined"])
    draw = partial(drawn.slack_over_fit, study.slack, inputs, "joined")
    every = _slack_table("Slack in which all neurons of each kind fit", _all_fit(study))
    parts = (
        "The silicon is the same for all weights, so it needs more ports than the average neuron uses. Fixed regions "
        "must hold the largest count of each weight value; slices that metal assigns to any region hold the largest "
        "sum.",
        Figure("slack", draw, caption, behind, 3),
        _measured_table(study),
        Folded("Every kind of neuron", (every,)),
    )
    return Section("slack", "Slack", parts)


def _routing(study: "WiringStudy") -> Section:
    caption = f"Used tracks of M8 to M11 against the inputs of a cluster, {study.technology}, log axes"
    draw = partial(drawn.tracks_over_clusters, study.routing, study.nominal.most_utilisation)
    nominal = study.routing[study.routing["slice_ports"] == study.nominal.slice_ports]
    parts = (
        "Wires are longer where a region may lie anywhere in a larger part of a neuron. Clusters with their own "
        "regions have shorter wires, but each needs spare ports; the area per weight follows from the slack.",
        Figure("tracks", draw, caption, _routing_table(caption, study.routing), 3),
        _routing_table(f"Wires of clusters, {drawn.silicon_name(study.nominal.slice_ports)}", nominal),
    )
    return Section("routing", "Tracks", parts)


def _weights(study: "WiringStudy") -> Section:
    shares = {"matrix": Column("matrix", numeric=False), "zero_share": Column("zero")}
    shares |= {region_name(r): Column(region_name(r).replace("-", "−")) for r in range(REGIONS)}
    caption = f"Share of weights in each region, over {study.matrices} matrices"
    table = frame_table(caption, study.histograms, shares, dict.fromkeys(list(shares)[1:], percent))
    parts = (
        "Each box shows the spread of the mean shares over matrices. A weight of zero has no region and no wire.",
        Figure("regions", partial(drawn.region_shares_of_matrices, study.histograms), caption, table, 1),
    )
    return Section("weights", "Weights by region", parts, short=False)


def _scales(study: "WiringStudy") -> Section:
    columns = {
        "neurons": Column("neurons", numeric=False),
        "inputs": Column("inputs"),
        "octaves_median": Column("octaves, median"),
        "octaves_max": Column("octaves, most"),
        "regions": Column("regions"),
        "slack": Column("slack"),
        "slack_unscaled": Column("slack, 14 regions"),
        "transistors_per_weight": Column("transistors per weight"),
        "transistors_unscaled": Column("with 14 regions"),
    }
    formats: dict[str, Any] = {"neurons": _neurons, "slack": percent, "slack_unscaled": percent}
    text = (
        "MXFP4 scales every 32 inputs by a power of two. A neuron that adds counts over all its inputs needs a region "
        "for every scaled value: 14, and 4 more for each octave of its scales."
    )
    table = frame_table("Regions and slack with block scales", study.scales, columns, formats)
    return Section("scales", "Block scales", (text, table), short=False)


def _faults(faults: "FaultStudy") -> Section:
    text = (
        f"Perplexity on {plain(faults.tokens)} tokens of {faults.text}, {len(faults.seeds)} draws of faults at each "
        "rate; bars show the minimum and maximum. Weights are MXFP4, activations float32."
    )
    caption = "Perplexity against the broken share of wires, nets, regions or neurons, log axes"
    means = faults.curve.groupby(["kind", "rate"], sort=False, as_index=False)[["value", "ratio"]].mean()
    columns = {
        "kind": column("kind"),
        "rate": Column("rate"),
        "value": Column("perplexity"),
        "ratio": Column("over no faults"),
    }
    table = frame_table(caption, means, columns, {"kind": drawn.kind_name, "ratio": times})
    figure = Figure("defects", partial(drawn.perplexity_over_defects, faults.curve), caption, table, 2)
    return Section("faults", "Faults and yield", (text, figure, *_fault_tables(faults)))


def _methods(study: "WiringStudy") -> Iterator[Method]:
    yield Method(
        "Stand-ins",
        f"The weights of one matrix, neuron after neuron, cut into neurons of {plain(study.stand_in_inputs)} inputs "
        f"({plain(study.stand_ins)} of them). Correlation between neighbours is kept. “One repeated” is one real "
        "neuron repeated, so that nothing averages out.",
    )
    yield Method(
        "Slack",
        "Ports divided by those of an average neuron, minus one, at the fewest ports in which the stated share of "
        "neurons fits. Area by the circuit model of Metal-Embedding at that slack.",
    )
    yield Method(
        "Tracks",
        "Every wire of sampled neurons is placed in a tile; the length of crossings, branches and counts is divided by "
        "that of the tracks of four layers at the technology's pitch. Without detours, vias or blockages: a lower "
        "bound.",
    )
    if study.faults:
        yield Method(
            "Faults",
            "Independent faults of one wire, input net, region or neuron, all equally likely. Rates are taken "
            "from this model to gpt-oss-120b's chip. Yields by Murphy's formula, as in the paper.",
        )


def _heat_maps(study: "WiringStudy") -> Iterator[Figure]:
    """Yield the tiles of the examples, on one colour scale."""
    places = [(example.plan, 0, example.tile, example.technology) for example in study.examples]
    most = max(float(heat_map(*place, drawn.heat_bins(place[0], place[2])).max()) for place in places)
    columns = {
        "from_um": Column("from", "µm"),
        "to_um": Column("to", "µm"),
        "mean": Column("mean share"),
        "greatest": Column("greatest share"),
    }
    for index, place in enumerate(places):
        plan, _, tile, _ = place
        part = "A neuron" if plan.inputs == study.stand_in_inputs else "A cluster"
        caption = (
            f"{part} of {plan.inputs:,} inputs, {drawn.silicon_name(plan.silicon.slice_ports)}, in "
            f"{plain(tile.width_um, 3)} × {plain(tile.height_um, 3)} µm: used share of the tracks"
        )
        table = frame_table(caption, drawn.heat_frame(*place), columns, {"mean": percent, "greatest": percent})
        yield Figure(f"tile-{index}", partial(drawn.tile_heat, *place, most=most), caption, table, 2)


def _ports(study: "WiringStudy") -> int:
    rows = study.slack[(study.slack["neurons"] == "joined") & (study.slack["fit_share"] == 1.0)]
    return int(rows.loc[rows["slice_ports"] == study.nominal.slice_ports, "ports"].iloc[0])


def _fault_tables(faults: "FaultStudy") -> tuple[Table, ...]:
    places = {
        "matrix": Column("matrix", numeric=False),
        "kind": Column("broken", numeric=False),
        "input": Column("input"),
        "output": Column("neuron"),
        "load": Column("load over median"),
        "value": Column("perplexity"),
        "ratio": Column("over no faults"),
    }
    each: dict[str, Any] = {"kind": _place, "input": _or_all, "output": _or_all, "ratio": times}
    critical = frame_table("One fault in the most critical places", faults.critical, places, each)
    borne = {
        "kind": column("kind"),
        "tolerable_rate": Column("rate borne"),
        "units_per_chip": Column("on a chip"),
        "tolerable_faults": Column("tolerable faults of a chip"),
        "d0_tolerable_per_cm2": Column("defects borne", "1/cm²"),
        "expected_faults": Column("expected"),
        "yield_all": Column("dies perfect"),
        "yield_rest": Column("dies without a defect outside the HN array"),
        "rest_at_1_percent": Column("the same, at a yield of 1 %"),
    }
    written: dict[str, Any] = {
        "kind": drawn.kind_name,
        **dict.fromkeys(("yield_all", "yield_rest", "rest_at_1_percent"), percent),
    }
    caption = f"Defects of a chip at which perplexity grows by {percent(faults.allowed_ratio - 1.0, 0)}"
    tolerance = frame_table(caption, faults.tolerance, borne, written)
    costs = {
        "volume": column("volume"),
        "d0_per_cm2": column("d0_per_cm2"),
        "die_yield": Column("yield"),
        "system_usd": Column("one system, recurring"),
        "tco_usd": column("tco_usd"),
        "growth": Column("growth"),
        "tco_ratio": Column("TCO of matching GPUs / this TCO"),
    }
    prices: dict[str, Any] = {
        "die_yield": percent,
        "system_usd": money,
        "tco_usd": money,
        "growth": percent,
        "tco_ratio": times,
    }
    paid = frame_table("Cost of a yield of 1 %, corrected conventions", faults.costs, costs, prices)
    return critical, tolerance, paid


def _measured_table(study: "WiringStudy") -> Table:
    rows = tuple(
        (
            plain(slack.slice_ports),
            percent(slack.low),
            percent(slack.nominal),
            percent(slack.high),
            plain(slack.cluster_inputs),
            percent(slack.utilisation, 0),
        )
        for slack in study.measured
    )
    columns = (
        Column("ports of a slice"),
        Column("99.9 % fit"),
        Column("all fit"),
        Column("all fit, wires too"),
        Column("in clusters of", "inputs"),
        Column("tracks taken there"),
    )
    return Table(f"Slack for neurons of {study.stand_in_inputs:,} inputs", columns, rows)


def _all_fit(study: "WiringStudy") -> Any:
    return study.slack[study.slack["fit_share"] == 1.0]


def _slack_table(caption: str, frame: Any) -> Table:
    columns = {
        "neurons": Column("neurons", numeric=False),
        "inputs": Column("inputs"),
        "slice_ports": Column("silicon", numeric=False),
        "slack": Column("slack"),
        "fit_share": Column("neurons that fit"),
        "ports": Column("ports"),
        "transistors_per_weight": Column("transistors per weight"),
        "area_ratio": Column("area over no slack"),
    }
    formats: dict[str, Any] = {"neurons": _neurons, "slice_ports": drawn.silicon_name, "area_ratio": times}
    return frame_table(caption, frame, columns, formats | dict.fromkeys(("slack", "fit_share"), percent))


def _routing_table(caption: str, frame: Any) -> Table:
    columns = {
        "slice_ports": Column("silicon", numeric=False),
        "inputs": Column("inputs of a cluster"),
        "slack": Column("slack"),
        "utilisation": Column("tracks taken"),
        "steiner_utilisation": Column("by Steiner trees"),
        "area_um2_per_weight": Column("area of a weight", "µm²"),
        "wire_um_per_weight": Column("wire of a weight", "µm"),
        "wires_per_mm2_per_layer": Column("wires a layer", "1/mm²"),
    }
    shares = dict.fromkeys(("slack", "utilisation", "steiner_utilisation"), percent)
    return frame_table(caption, frame, columns, {"slice_ports": drawn.silicon_name, **shares})


def _neurons(kind: str) -> str:
    return _NEURONS[kind]


def _place(kind: str) -> str:
    return _PLACES[kind]


def _or_all(index: int) -> str:
    return "all" if index < 0 else f"{index:,}"
