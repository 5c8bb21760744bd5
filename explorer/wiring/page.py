"""The page of a wiring study: its figures with captions and tables, in the frame of the report's page."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.documents.captioned import CaptionedFigure, captioned_figure
from explorer.documents.numbers import money, percent, plain, times
from explorer.documents.page import render_page
from explorer.documents.tables import Column, Table, frame_table
from explorer.wiring import figures as drawn
from explorer.writing import write_text
from hwsim.wiring import REGIONS, heat_map, region_name

if TYPE_CHECKING:
    from explorer.wiring.study import WiringStudy

_NEURONS = {"real": "the model's own", "joined": "stand-ins, joined", "alike": "stand-ins, one repeated"}
_PLACES = {"wire": "the wire", "input": "its input net", "neuron": "its neuron"}


def render_wiring(study: "WiringStudy") -> str:
    """Return the page of a study as one HTML file that asks the network for nothing."""
    return render_page(
        "wiring.html.j2",
        study=study,
        figures={figure.id: figure for figure in _figures(study)},
        tables=_tables(study),
    )


def write_wiring_page(study: "WiringStudy", path: str | Path) -> Path:
    """Write the page of `study` to `path` and return it; raises `InputError` if it cannot be written."""
    return write_text(render_wiring(study), path)


def _figures(study: "WiringStudy") -> Iterator[CaptionedFigure]:
    yield from _heat_maps(study)
    ports = _ports(study)
    table = frame_table(
        "Neurons by ports used",
        drawn.port_frame(study.ports, ports),
        {"low": Column("from"), "high": Column("to"), "neurons": Column("neurons"), "share_of_ports": Column("of all")},
        {"share_of_ports": percent},
    )
    caption = f"POPCNT ports used by {plain(study.stand_ins)} neurons of {study.stand_in_inputs:,} inputs, of {ports:,}"
    yield captioned_figure("ports", drawn.port_use(study.ports, ports), caption, table, 2)

    shares = {"matrix": Column("matrix", numeric=False), "zero_share": Column("zero")}
    shares |= {region_name(r): Column(region_name(r).replace("-", "−")) for r in range(REGIONS)}
    formats = dict.fromkeys(list(shares)[1:], percent)
    caption = f"Share of weights in each region, over {study.matrices} matrices"
    table = frame_table(caption, study.histograms, shares, formats)
    yield captioned_figure("regions", drawn.region_shares_of_matrices(study.histograms), caption, table, 1)

    inputs = study.stand_in_inputs
    rows = study.slack[study.slack["neurons"] == "joined"]
    caption = f"Spare ports over the share of neurons that fit, {inputs:,} inputs, log axis"
    table = _slack_table(caption, rows)
    yield captioned_figure("slack", drawn.slack_over_fit(study.slack, inputs, "joined"), caption, table, 3)

    caption = f"Tracks of M8 to M11 that wires take over the inputs of a cluster, {study.technology}, log axes"
    limit = study.nominal.most_utilisation
    table = _routing_table(caption, study)
    yield captioned_figure("tracks", drawn.tracks_over_clusters(study.routing, limit), caption, table, 3)

    if study.faults is not None:
        caption = "Perplexity over the share of wires, nets, regions or neurons that are broken, log axes"
        means = study.faults.curve.groupby(["kind", "rate"], sort=False, as_index=False)[["value", "ratio"]].mean()
        columns = {
            "kind": Column("kind", numeric=False),
            "rate": Column("rate"),
            "value": Column("perplexity"),
            "ratio": Column("over no faults"),
        }
        table = frame_table(caption, means, columns, {"kind": drawn.kind_name, "ratio": times})
        yield captioned_figure("defects", drawn.perplexity_over_defects(study.faults.curve), caption, table, 2)


def _heat_maps(study: "WiringStudy") -> Iterator[CaptionedFigure]:
    """The tiles of the examples, on one scale of colours."""
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
            f"{plain(tile.width_um, 3)} × {plain(tile.height_um, 3)} µm: share of the tracks taken"
        )
        table = frame_table(caption, drawn.heat_frame(*place), columns, {"mean": percent, "greatest": percent})
        yield captioned_figure(f"tile-{index}", drawn.tile_heat(*place, most=most), caption, table, 2)


def _ports(study: "WiringStudy") -> int:
    rows = study.slack[(study.slack["neurons"] == "joined") & (study.slack["fit_share"] == 1.0)]
    return int(rows.loc[rows["slice_ports"] == study.nominal.slice_ports, "ports"].iloc[0])


def _tables(study: "WiringStudy") -> dict[str, Table]:
    scales = {
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
    shares: dict[str, Any] = {"neurons": _neurons, "slack": percent, "slack_unscaled": percent}
    found: dict[str, Table] = {
        "measured": _measured_table(study),
        "slack": _slack_table("Slack of every kind of neuron, all of them fitting", _all_fit(study)),
        "scales": frame_table("What block scales ask for", study.scales, scales, shares),
    }
    faults = study.faults
    if faults is None:
        return found
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
    found["critical"] = frame_table("One fault in the worst places", faults.critical, places, each)
    borne = {
        "kind": Column("kind", numeric=False),
        "tolerable_rate": Column("rate borne"),
        "units_per_chip": Column("on a chip"),
        "tolerable_faults": Column("faults borne by a chip"),
        "d0_tolerable_per_cm2": Column("defects borne", "1/cm²"),
        "expected_faults": Column("expected"),
        "yield_all": Column("dies perfect"),
        "yield_rest": Column("dies whose rest is perfect"),
        "rest_at_1_percent": Column("rest perfect, where 1 % of dies are"),
    }
    written: dict[str, Any] = {
        "kind": drawn.kind_name,
        **dict.fromkeys(("yield_all", "yield_rest", "rest_at_1_percent"), percent),
    }
    caption = f"What a chip bears before perplexity grows by {percent(faults.allowed_ratio - 1.0, 0)}"
    found["tolerance"] = frame_table(caption, faults.tolerance, borne, written)
    costs = {
        "volume": Column("systems"),
        "d0_per_cm2": Column("defects", "1/cm²"),
        "die_yield": Column("yield"),
        "system_usd": Column("one system, recurring"),
        "tco_usd": Column("TCO"),
        "growth": Column("growth"),
        "tco_ratio": Column("TCO of matching GPUs over it"),
    }
    prices: dict[str, Any] = {
        "die_yield": percent,
        "system_usd": money,
        "tco_usd": money,
        "growth": percent,
        "tco_ratio": times,
    }
    found["costs"] = frame_table("What a yield of 1 % costs, corrected conventions", faults.costs, costs, prices)
    return found


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
    return Table(f"Slack to take for neurons of {study.stand_in_inputs:,} inputs", columns, rows)


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


def _routing_table(caption: str, study: "WiringStudy") -> Table:
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
    return frame_table(caption, study.routing, columns, {"slice_ports": drawn.silicon_name, **shares})


def _neurons(kind: str) -> str:
    return _NEURONS[kind]


def _place(kind: str) -> str:
    return _PLACES[kind]


def _or_all(index: int) -> str:
    return "all" if index < 0 else f"{index:,}"
