"""What a wiring study says, in sentences computed from its numbers."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from explorer.figures.numbers import counted, percent, plain, times

if TYPE_CHECKING:
    from explorer.wiring_faults import FaultStudy
    from explorer.wiring_study import WiringStudy

_KINDS = {"wire": "broken wires", "input": "lost input nets", "region_zero": "stuck regions", "neuron": "dead neurons"}
_ONE = {"wire": "one wire", "input": "its input net", "neuron": "its whole neuron"}


def findings(study: "WiringStudy") -> Iterator[str]:
    """Yield what the numbers say: histograms, slack, routing, block scales, and faults where they were measured."""
    yield _zeros(study)
    yield from _slack(study)
    yield _routing(study)
    yield _scales(study)
    if study.faults is not None:
        yield from fault_findings(study.faults)


def _zeros(study: "WiringStudy") -> str:
    frame = study.histograms
    mean = (frame["zero_share"] * frame["inputs"] * frame["outputs"]).sum() / study.weights
    least, most = percent(frame["zero_share"].min()), percent(frame["zero_share"].max())
    return (
        f"{percent(mean)} of the {plain(study.weights)} weights are zero and take no port ({least} to {most} by "
        f"matrix); the Gaussian that the circuit model assumes has {percent(study.assumed_zero_share)}."
    )


def _slack(study: "WiringStudy") -> Iterator[str]:
    nominal = study.nominal
    ports = nominal.slice_ports
    fixed, sliced, alike = (_row(study.slack, *key) for key in (("joined", 0), ("joined", ports), ("alike", ports)))
    yield (
        f"Slack: every one of {plain(study.stand_ins)} neurons of {study.stand_in_inputs:,} inputs fits slices of "
        f"{ports} ports with {percent(nominal.nominal)} spare, 99.9 % of them with {percent(nominal.low)}; regions "
        f"that are fixed need {percent(fixed['slack'])}. In area that is {_more(sliced['area_ratio'])} and "
        f"{_more(fixed['area_ratio'])} over no slack."
    )
    others = ", ".join(f"{percent(found.nominal)} for slices of {found.slice_ports}" for found in study.measured)
    yield (
        f"The finer the slices the less is spare ({others}). If nothing averaged out over a neuron's inputs, slices of "
        f"{ports} would need {percent(alike['slack'])}."
    )


def _routing(study: "WiringStudy") -> str:
    nominal = study.nominal
    rows = study.routing[study.routing["slice_ports"] == nominal.slice_ports].set_index("inputs")
    whole = rows.loc[study.stand_in_inputs]
    text = (
        f"Routing ({study.technology}): with slices of {nominal.slice_ports} anywhere in a neuron of "
        f"{study.stand_in_inputs:,} inputs, wires take {percent(whole['utilisation'], 0)} of the tracks of M8 to M11, "
        f"{plain(whole['wires_per_mm2'] / 1e6)} M wires per mm² or {plain(whole['wires_per_mm2_per_layer'] / 1e6)} M a "
        f"layer; the paper stays below {percent(nominal.most_utilisation, 0)}. "
    )
    if nominal.cluster_inputs is None:
        return text + "No cluster that was tried is small enough for that."
    small = rows.loc[nominal.cluster_inputs]
    area, least = small["area_um2_per_weight"], whole["area_um2_per_weight"]
    return text + (
        f"It takes clusters of {nominal.cluster_inputs} inputs to get there ({percent(small['utilisation'], 0)}), and "
        f"those need {percent(nominal.high)} spare ports and "
        f"{_more(area / least)} area per weight over whole neurons."
    )


def _scales(study: "WiringStudy") -> str:
    row = study.scales.iloc[-1]
    more = _more(row["transistors_per_weight"] / row["transistors_unscaled"])
    return (
        f"Block scales: those of a neuron of {int(row['inputs']):,} inputs span up to "
        f"{counted(row['octaves_max'], 'octave')}. A region for every scaled value makes {plain(row['regions'])} "
        f"regions of 14, slack {percent(row['slack'])} and {more} transistors per weight; the paper treats "
        "no scales."
    )


def fault_findings(faults: "FaultStudy") -> Iterator[str]:
    """Yield what a fault study says: how many faults are borne, which place kills, and the yield a chip needs."""
    table = faults.tolerance
    borne = ", ".join(
        f"{plain(row['tolerable_faults'], 2)} {_KINDS[row['kind']]} ({plain(row['tolerable_rate'], 2)} of them)"
        for _, row in table.iterrows()
    )
    growth = percent(faults.allowed_ratio - 1.0, 0)
    yield f"Perplexity grows by {growth} at these numbers of random faults on a chip: {borne}."
    worst = table.sort_values("tolerable_faults").iloc[0]
    yield (
        f"If a defect in the HN array is one fault of one kind, {_KINDS[worst['kind']]} weigh most: the array bears "
        f"{plain(worst['d0_tolerable_per_cm2'], 2)} defects per cm². On the whole array "
        f"{plain(worst['expected_faults'], 2)} are expected at the usual density, "
        f"{plain(worst['faults_at_1_percent'], 2)} where one die in a hundred is perfect, and "
        f"{plain(worst['tolerable_faults'], 2)} are borne."
    )
    yield _place(faults.critical)
    rest, all_, at_worst = (percent(worst[name]) for name in ("yield_rest", "yield_all", "rest_at_1_percent"))
    yield (
        f"What must be perfect is the rest of the die: it is in {rest} of dies at the usual density, where {all_} are "
        f"perfect throughout, and in {at_worst} where 1 % are."
    )
    costs = faults.costs[faults.costs["growth"] > 0.0]
    grown = " and ".join(
        f"{percent(row['growth'])} for {counted(row['volume'], 'system')}" for _, row in costs.iterrows()
    )
    yield f"A yield of 1 % raises the TCO by {grown}: masks and design hide it at low volume, and only there."
    yield (
        "All of this takes faults as independent and a defect as one open wire, net, region or neuron. A short between "
        "wires, a cut power strap or clock, or a defect across several wires does more, and is not in these numbers."
    )


def _place(critical: pd.DataFrame) -> str:
    first = critical[critical["kind"] == "wire"].sort_values("ratio").iloc[-1]
    same = critical[critical["matrix"] == first["matrix"]]
    said = ", ".join(f"{_ONE[row['kind']]} {times(row['ratio'])}" for _, row in same.iterrows())
    return (
        f"The place decides: of the heaviest wires the worst one to lose is in {first['matrix']}, from input "
        f"{first['input']} to neuron {first['output']}. What a break there multiplies perplexity by: {said}."
    )


def _row(slack: pd.DataFrame, neurons: str, slice_ports: int) -> pd.Series:
    chosen = (slack["neurons"] == neurons) & (slack["slice_ports"] == slice_ports) & (slack["fit_share"] == 1.0)
    return slack[chosen].iloc[0]


def _more(ratio: Any) -> str:
    return f"+{percent(ratio - 1.0)}"
