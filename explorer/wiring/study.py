"""A study of a real model's weights as wires: the regions, slices and tracks of Hardwired-Neurons that it needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import hwsim
from explorer.documents.document import Document, Documented
from explorer.progress import Report
from explorer.wiring.faults import DEFAULT_TOKENS, SEEDS, FaultStudy, fault_study, scored_text
from explorer.wiring.routing import MeasuredSlack, measured_slack, stand_in_routing
from explorer.wiring.survey import SLICE_PORTS, Survey, histogram_frame, scales_frame, slack_frame, survey
from hwbase import Record, unknown_name
from hwbase.check import integer
from hwbase.numbers import counted, percent, plain, times
from hwsim import wiring
from hwsim.technology import DEFAULT_TECHNOLOGY
from models.inference import DEFAULT_MODEL
from models.quantise import check_format, read_weights

if TYPE_CHECKING:
    from explorer.wiring.faults import FaultStudy

_KINDS = {"wire": "broken wires", "input": "lost input nets", "region_zero": "stuck regions", "neuron": "dead neurons"}
_ONE = {"wire": "one wire", "input": "its input net", "neuron": "its whole neuron"}


def findings(study: "WiringStudy") -> Iterator[str]:
    """Yield the findings: histograms, slack, routing, block scales, and faults if they were measured."""
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
        f"{percent(mean)} of the {plain(study.weights)} weights are zero and use no port ({least} to {most} by "
        f"matrix); the Gaussian that the circuit model assumes has {percent(study.assumed_zero_share)}."
    )


def _slack(study: "WiringStudy") -> Iterator[str]:
    nominal = study.nominal
    ports = nominal.slice_ports
    fixed, sliced, alike = (_row(study.slack, *key) for key in (("joined", 0), ("joined", ports), ("alike", ports)))
    yield (
        f"Slack: every one of {plain(study.stand_ins)} neurons of {study.stand_in_inputs:,} inputs fits slices of "
        f"{ports} ports with {percent(nominal.nominal)} spare, 99.9 % of them with {percent(nominal.low)}; regions "
        f"of fixed size need {percent(fixed['slack'])}. The area is {_more(sliced['area_ratio'])} and "
        f"{_more(fixed['area_ratio'])} that without slack."
    )
    others = ", ".join(f"{percent(need.nominal)} for slices of {need.slice_ports}" for need in study.measured)
    yield (
        f"Finer slices need less spare ({others}). If nothing averaged out over a neuron's inputs, slices of "
        f"{ports} would need {percent(alike['slack'])}."
    )


def _routing(study: "WiringStudy") -> str:
    nominal = study.nominal
    rows = study.routing[study.routing["slice_ports"] == nominal.slice_ports].set_index("inputs")
    whole = rows.loc[study.stand_in_inputs]
    text = (
        f"Routing ({study.technology}): with slices of {nominal.slice_ports} anywhere in a neuron of "
        f"{study.stand_in_inputs:,} inputs, wires use {percent(whole['utilisation'], 0)} of the tracks of M8 to M11, "
        f"{plain(whole['wires_per_mm2'] / 1e6)} M wires per mm² or {plain(whole['wires_per_mm2_per_layer'] / 1e6)} M a "
        f"layer; the paper stays below {percent(nominal.most_utilisation, 0)}. "
    )
    if nominal.cluster_inputs is None:
        return text + "No cluster of the study is small enough for that."
    small = rows.loc[nominal.cluster_inputs]
    area, least = small["area_um2_per_weight"], whole["area_um2_per_weight"]
    return text + (
        f"Clusters of {nominal.cluster_inputs} inputs stay below it ({percent(small['utilisation'], 0)}), and "
        f"need {percent(nominal.high)} spare ports and "
        f"{_more(area / least)} area per weight over whole neurons."
    )


def _scales(study: "WiringStudy") -> str:
    row = study.scales.iloc[-1]
    more = _more(row["transistors_per_weight"] / row["transistors_unscaled"])
    return (
        f"Block scales: the scales of a neuron of {int(row['inputs']):,} inputs span up to "
        f"{counted(row['octaves_max'], 'octave')}. With a region for every scaled value there are "
        f"{plain(row['regions'])} regions of 14, slack {percent(row['slack'])} and {more} transistors per weight; the "
        "paper treats no scales."
    )


def fault_findings(faults: "FaultStudy") -> Iterator[str]:
    """Yield the findings of a fault study: tolerable faults, the most critical place, and the yield a chip needs."""
    table = faults.tolerance
    borne = ", ".join(
        f"{plain(row['tolerable_faults'], 2)} {_KINDS[row['kind']]} ({plain(row['tolerable_rate'], 2)} of them)"
        for _, row in table.iterrows()
    )
    growth = percent(faults.allowed_ratio - 1.0, 0)
    yield f"Perplexity grows by {growth} at these numbers of random faults per chip: {borne}."
    worst = table.sort_values("tolerable_faults").iloc[0]
    yield (
        f"If a defect in the HN array is one fault of one kind, {_KINDS[worst['kind']]} matter most: the array "
        f"tolerates {plain(worst['d0_tolerable_per_cm2'], 2)} defects per cm². On the whole array "
        f"{plain(worst['expected_faults'], 2)} are expected at the usual density, "
        f"{plain(worst['faults_at_1_percent'], 2)} where one die in a hundred is perfect, and "
        f"{plain(worst['tolerable_faults'], 2)} are tolerable."
    )
    yield _place(faults.critical)
    rest, all_, at_worst = (percent(worst[name]) for name in ("yield_rest", "yield_all", "rest_at_1_percent"))
    yield (
        f"The rest of the die must have no defect: that holds for {rest} of dies at the usual density, where {all_} "
        f"have none at all, and for {at_worst} where 1 % have none."
    )
    costs = faults.costs[faults.costs["growth"] > 0.0]
    grown = " and ".join(
        f"{percent(row['growth'])} for {counted(row['volume'], 'system')}" for _, row in costs.iterrows()
    )
    yield f"A yield of 1 % raises the TCO by {grown}: at low volume it is small beside masks and design."
    yield (
        "These figures assume independent faults and one open wire, net, region or neuron a defect. A short between "
        "wires, a cut power strap or clock, or a defect across several wires breaks more and is not included."
    )


def _place(critical: pd.DataFrame) -> str:
    first = critical[critical["kind"] == "wire"].sort_values("ratio").iloc[-1]
    same = critical[critical["matrix"] == first["matrix"]]
    text = ", ".join(f"{_ONE[row['kind']]} {times(row['ratio'])}" for _, row in same.iterrows())
    return (
        f"The effect depends on the place: the most critical of the heaviest wires is in {first['matrix']}, from input "
        f"{first['input']} to neuron {first['output']}. Factors of perplexity for a break there: {text}."
    )


def _row(slack: pd.DataFrame, neurons: str, slice_ports: int) -> pd.Series:
    chosen = (slack["neurons"] == neurons) & (slack["slice_ports"] == slice_ports) & (slack["fit_share"] == 1.0)
    return slack[chosen].iloc[0]


def _more(ratio: Any) -> str:
    return f"+{percent(ratio - 1.0)}"


#: Ports of a slice in the main design; tables show others beside it.
NOMINAL_SLICE = 8


@dataclass(frozen=True, eq=False)
class Example(Record):
    """One stand-in on the silicon of a design, for a heat map. `plan` holds a single neuron."""

    plan: wiring.WiringPlan
    tile: wiring.Tile
    technology: hwsim.Technology

    def to_dict(self) -> dict[str, Any]:
        """Return the size of the tile and its silicon."""
        return {
            "inputs": self.plan.inputs,
            "silicon": self.plan.silicon.to_dict(),
            "tile": self.tile.to_dict(),
            "technology": self.technology.name,
        }


@dataclass(frozen=True, eq=False)
class WiringStudy(Documented):
    """The wiring of a model.

    Frames: `histograms` has a row per matrix (`explorer.wiring.survey.histogram_frame`); `slack` is `slack_frame`,
    `scales` is `scales_frame`, `routing` is `explorer.wiring.routing.stand_in_routing`; `ports` has a row per number of
    used ports of a stand-in (used_ports, neurons).

    `assumed_zero_share` is the share of zero weights in the technology book's Gaussian FP4. `measured` is the slack for
    a circuit model, for each size of slice. `faults` is None unless they were measured. `examples` are a whole neuron
    and, if there is one, the cluster that stays within the tracks.
    """

    model: str
    matrices: int
    weights: int
    technology: str
    stand_in_inputs: int
    stand_ins: int
    assumed_zero_share: float
    histograms: pd.DataFrame
    slack: pd.DataFrame
    scales: pd.DataFrame
    routing: pd.DataFrame
    ports: pd.DataFrame
    measured: tuple[MeasuredSlack, ...]
    faults: FaultStudy | None
    findings: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    command: str = ""

    @property
    def nominal(self) -> MeasuredSlack:
        """The measured slack for slices of 8 ports."""
        return next(need for need in self.measured if need.slice_ports == NOMINAL_SLICE)

    def to_frame(self) -> pd.DataFrame:
        """Return the slack of every set of neurons, kind of silicon and share that fits."""
        return self.slack

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.wiring.document import wiring_document

        return wiring_document(self)


def wiring_study(
    model: str = DEFAULT_MODEL,
    *,
    weights_file: str | Path | None = None,
    technology: str | hwsim.Technology = DEFAULT_TECHNOLOGY,
    faults: bool = False,
    tokens: int = DEFAULT_TOKENS,
    draws: int = len(SEEDS),
    command: str = "",
    report: Report | None = None,
) -> WiringStudy:
    """Return the wiring study of a model: `smollm2-135m` from its package, or any Llama-like GGUF file.

    With `weights_file`, `model` is only the name in the study. `faults` adds perplexity under faults on `tokens` of
    text with `draws` samples at each rate (minutes); without it SmolLM2-135M takes about half a minute. `report`
    receives the progress. Raises `InputError` for an unknown model or technology, missing packages (with the install
    command), or a file that is not a whole model.
    """
    name = str(model).strip()
    if weights_file is None and name.lower() != DEFAULT_MODEL:
        raise unknown_name("model with weights", name[:200], [DEFAULT_MODEL])
    process = hwsim.load_technology(technology) if isinstance(technology, str) else technology
    weights, vocabulary = read_weights(weights_file)
    check_format(weights, "mxfp4")
    seeds = tuple(range(integer("draws", draws, high=1e6)))
    text = scored_text(vocabulary, tokens) if faults else None

    def read_matrices() -> Iterator[tuple[str, np.ndarray]]:
        matrices = weights.matrices()
        for done, (key, matrix) in enumerate(matrices.items(), 1):
            yield key, matrix
            if report is not None:
                report("matrices", done, len(matrices))

    surveyed = survey(read_matrices())
    stand_ins = surveyed.stand_ins()[0]
    progress = None if report is None else lambda done, total: report("routing", done, total)
    routing = stand_in_routing(surveyed, process, progress=progress)
    measured = tuple(measured_slack(surveyed, process, ports, routing=routing) for ports in SLICE_PORTS if ports)
    study = WiringStudy(
        model=name,
        matrices=len(surveyed.inputs),
        weights=surveyed.weights,
        technology=process.name,
        stand_in_inputs=surveyed.stand_in_inputs,
        stand_ins=stand_ins.shape[2],
        assumed_zero_share=float(hwsim.weight_format("fp4", process).zero_fraction),
        histograms=histogram_frame(surveyed),
        slack=slack_frame(surveyed, process),
        scales=scales_frame(surveyed, process, NOMINAL_SLICE),
        routing=routing,
        ports=_port_frame(stand_ins),
        measured=measured,
        faults=None if text is None else fault_study(weights, text, process, seeds=seeds, report=report),
        examples=tuple(_examples(surveyed, stand_ins, process, routing, measured)),
        command=command,
    )
    return replace(study, findings=tuple(findings(study)))


def _port_frame(counts: np.ndarray) -> pd.DataFrame:
    used, neurons = np.unique(counts.sum(axis=(0, 1), dtype=np.int64), return_counts=True)
    return pd.DataFrame({"used_ports": used, "neurons": neurons})


def _examples(
    weights: Survey,
    counts: np.ndarray,
    process: hwsim.Technology,
    routing: pd.DataFrame,
    measured: Sequence[MeasuredSlack],
) -> Iterator[Example]:
    """Yield the stand-in in the middle of the sample: whole, and its first cluster of the size that routes."""
    nominal = next(slack for slack in measured if slack.slice_ports == NOMINAL_SLICE)
    codes = weights.sample[:, [weights.sample.shape[1] // 2]]
    for size in dict.fromkeys((weights.stand_in_inputs, nominal.cluster_inputs)):
        if size is not None:
            parts = wiring.merge_clusters(counts, size // wiring.BLOCK)
            silicon = wiring.slack_needed(parts, size, slice_ports=NOMINAL_SLICE).silicon
            row = routing[(routing["inputs"] == size) & (routing["slice_ports"] == NOMINAL_SLICE)].iloc[0]
            tile = wiring.Tile(float(row["tile_width_um"]), float(row["tile_height_um"]))
            yield Example(wiring.embed(codes[:size], silicon), tile, process)
