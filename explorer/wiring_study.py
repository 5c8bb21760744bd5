"""From weights to wires, as one study: what a real model asks of a Hardwired-Neuron's regions, slices and tracks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hwsim
from explorer.wiring import (
    SLICE_PORTS,
    Report,
    Survey,
    histogram_frame,
    scales_frame,
    slack_frame,
    survey,
)
from explorer.wiring_faults import DEFAULT_TOKENS, SEEDS, FaultStudy, fault_study, scored_text
from explorer.wiring_findings import findings
from explorer.wiring_routing import MeasuredSlack, measured_slack, stand_in_routing
from hwbase import Record, unknown_name
from hwbase.check import count
from hwsim import wiring
from hwsim.simulate import DEFAULT_TECHNOLOGY
from models.inference import DEFAULT_MODEL, read_model

#: Ports of a slice in the design that is measured first; tables show others beside it.
NOMINAL_SLICE = 8


@dataclass(frozen=True, eq=False)
class Example(Record):
    """One stand-in on the silicon of a design: what a heat map is drawn from. `plan` holds a single neuron."""

    plan: wiring.WiringPlan
    tile: wiring.Tile
    technology: hwsim.Technology

    def to_dict(self) -> dict[str, Any]:
        """Return the size of the tile and the silicon in it."""
        return {
            "inputs": self.plan.inputs,
            "silicon": self.plan.silicon.to_dict(),
            "tile": self.tile.to_dict(),
            "technology": self.technology.name,
        }


@dataclass(frozen=True, eq=False)
class WiringStudy(Record):
    """The wiring of a model. Frames: `histograms` a row per matrix (`explorer.wiring.histogram_frame`), `slack`
    (`slack_frame`), `scales` (`scales_frame`), `routing` (`explorer.wiring_routing.stand_in_routing`), `ports` a row
    per number of used ports of a stand-in (used_ports, neurons).

    `assumed_zero_share` is the share of weights that are zero in the technology book's Gaussian FP4. `measured` is the
    slack a circuit model should take, for each size of slice. `faults` is None unless asked for.
    `examples` are a whole neuron and, where one is small enough, the cluster that routes.
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
        return next(found for found in self.measured if found.slice_ports == NOMINAL_SLICE)

    def to_frame(self) -> pd.DataFrame:
        """Return the slack of every set of neurons, kind of silicon and share that fits."""
        return self.slack

    def _repr_html_(self) -> str:
        return self.slack.to_html(index=False, escape=True) + self.routing.to_html(index=False, escape=True)


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

    With `weights_file`, `model` is only what the study calls it. `faults` adds perplexity under faults on `tokens` of
    text with so many `draws` at each rate (minutes); without, SmolLM2-135M takes about half a minute. `report` is
    told the progress. Raises `InputError` for an unknown model or technology, missing packages (with what to install),
    or a file that is no whole model.
    """
    name = str(model).strip()
    if weights_file is None and name.lower() != DEFAULT_MODEL:
        raise unknown_name("model with weights", name[:200], [DEFAULT_MODEL])
    process = hwsim.load_technology(technology) if isinstance(technology, str) else technology
    weights, vocabulary = read_model(weights_file)
    seeds = tuple(range(int(count("draws", draws, high=1e6))))
    text = scored_text(vocabulary, tokens) if faults else None

    def told() -> Iterator[tuple[str, np.ndarray]]:
        matrices = weights.matrices()
        for done, (key, matrix) in enumerate(matrices.items(), 1):
            yield key, matrix
            if report is not None:
                report("matrices", done, len(matrices))

    found = survey(told())
    stand_ins = found.stand_ins()[0]
    progress = None if report is None else lambda done, total: report("routing", done, total)
    routing = stand_in_routing(found, process, progress=progress)
    measured = tuple(measured_slack(found, process, ports, routing=routing) for ports in SLICE_PORTS if ports)
    study = WiringStudy(
        model=name,
        matrices=len(found.inputs),
        weights=found.weights,
        technology=process.name,
        stand_in_inputs=found.stand_in_inputs,
        stand_ins=stand_ins.shape[2],
        assumed_zero_share=float(hwsim.weight_format("fp4", process).zero_fraction),
        histograms=histogram_frame(found),
        slack=slack_frame(found, process),
        scales=scales_frame(found, process, NOMINAL_SLICE),
        routing=routing,
        ports=_port_frame(stand_ins),
        measured=measured,
        faults=None if text is None else fault_study(weights, text, process, seeds=seeds, report=report),
        examples=tuple(_examples(found, stand_ins, process, routing, measured)),
        command=command,
    )
    return replace(study, findings=tuple(findings(study)))


def _port_frame(counts: np.ndarray) -> pd.DataFrame:
    used, neurons = np.unique(counts.sum(axis=(0, 1), dtype=np.int64), return_counts=True)
    return pd.DataFrame({"used_ports": used, "neurons": neurons})


def _examples(
    found: Survey,
    counts: np.ndarray,
    process: hwsim.Technology,
    routing: pd.DataFrame,
    measured: Sequence[MeasuredSlack],
) -> Iterator[Example]:
    """The stand-in in the middle of the sample: whole, and its first cluster of the size that routes."""
    nominal = next(slack for slack in measured if slack.slice_ports == NOMINAL_SLICE)
    codes = found.sample[:, [found.sample.shape[1] // 2]]
    for size in dict.fromkeys((found.stand_in_inputs, nominal.cluster_inputs)):
        if size is not None:
            parts = wiring.merge_clusters(counts, size // wiring.BLOCK)
            silicon = wiring.slack_needed(parts, size, slice_ports=NOMINAL_SLICE).silicon
            row = routing[(routing["inputs"] == size) & (routing["slice_ports"] == NOMINAL_SLICE)].iloc[0]
            tile = wiring.Tile(float(row["tile_width_um"]), float(row["tile_height_um"]))
            yield Example(wiring.embed(codes[:size], silicon), tile, process)
