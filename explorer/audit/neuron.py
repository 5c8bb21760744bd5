"""Transistors of a hardwired neuron: the circuit models against synthesis, and both against the paper.

Every neuron is emitted as Verilog, simulated against the integer product, and mapped by Yosys and ABC to cells whose
transistors are in one table. Input registers are left out on both sides, since a chip shares them among its neurons.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

import hwsim
from explorer.documents.document import Document, Documented
from explorer.progress import Report
from hwbase import InputError, Record
from hwbase.check import count, integer
from hwsim import rtl
from hwsim.circuits import neuron_cells, neuron_transistors
from hwsim.rtl.metal import CellPlan
from hwsim.rtl.synthesis import Adders

#: HNLPU (ASPLOS '26): Figure 12, area of CE over ME, 14.3 / 0.95.
PAPER_CE_OVER_ME = 15.05
#: HNLPU, section 2.2: 176,000 mm2 x 138 MTr/mm2 over 116.8 G weights; the text says "200+".
PAPER_CE_TRANSISTORS = 208.0
#: HNLPU, Table 1: 573.16 mm2 x 138 MTr/mm2 over 116.2 G / 16 weights.
PAPER_ME_TRANSISTORS = 10.9

CIRCUITS = {
    "ME": "Metal-Embedding",
    "CE": "Cell-Embedding, drawn with care",
    "CE plain": "Cell-Embedding as written",
}


@dataclass(frozen=True)
class NeuronAudit(Record):
    """One neuron, one method of synthesis. Numbers per weight are transistors; `registers` counts those of flip-flops.

    `bit_exact` is true if Icarus simulates the exact product for every vector (None: not simulated); `depths` are
    full-adder delays of each clocked stage as drawn; `pass_transistor_per_weight` counts the same cells drawn with pass
    transistors (None where the adders were mapped to static gates); `per_adder` is the neuron's transistors, without
    the model's registers, per full adder of the model (ME only).
    """

    inputs: int
    circuit: str
    adders: str
    full_adders: int
    half_adders: int
    gates: int
    flip_flops: int
    transistors: int
    registers: int
    per_weight: float
    pass_transistor_per_weight: float | None
    model_per_weight: float
    paper_per_weight: float
    per_adder: float | None
    depths: tuple[int, ...]
    bit_exact: bool | None

    @property
    def model_error(self) -> float:
        """Relative error of the circuit model: (model - synthesis) / synthesis."""
        return self.model_per_weight / self.per_weight - 1.0


@dataclass(frozen=True)
class DensityRatio(Record):
    """Transistors of a Cell-Embedding neuron over those of a Metal-Embedding one with the same inputs."""

    inputs: int
    circuit: str
    adders: str
    synthesised: float
    model: float
    paper: float = PAPER_CE_OVER_ME


@dataclass(frozen=True)
class AuditResult(Documented):
    """All synthesised neurons, their ratios, and findings as sentences."""

    rows: tuple[NeuronAudit, ...]
    ratios: tuple[DensityRatio, ...]
    activation_bits: int
    slack: float
    technology: str
    findings: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each neuron and method of synthesis."""
        return pd.DataFrame(
            [
                row.to_dict() | {"depths": " ".join(map(str, row.depths)), "model_error": row.model_error}
                for row in self.rows
            ]
        )

    def ratio_frame(self) -> pd.DataFrame:
        """Return a row for each ratio of Cell-Embedding to Metal-Embedding."""
        return pd.DataFrame([ratio.to_dict() for ratio in self.ratios])

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.audit.document import neuron_document

        return neuron_document(self, command)


def audit_neuron(
    inputs: Iterable[int] = (64, 256, 1024),
    *,
    activation_bits: int = 8,
    slack: float = 0.0,
    technology: str | hwsim.Technology = "n5",
    plain_inputs: int = 64,
    vectors: int = 8,
    seed: int = 2026,
    timeout_s: float = 600.0,
    report: Report | None = None,
) -> AuditResult:
    """Synthesise an ME and a CE neuron of each size, and compare them with the circuit model and the paper.

    Weights are Gaussian FP4 by the histogram of the technology book, in an order fixed by `seed`; `slack` is the spare
    share of POPCNT ports. Cell-Embedding as written is synthesised up to `plain_inputs` (slow beyond 256; 0 for none).
    `vectors` random vectors and five corners are simulated for each neuron (0: no simulation). 1,024 inputs take about
    a minute. `report` is called with (stage, done, total). Raises `InputError` for invalid sizes, a missing tool (with
    the install command) or a run beyond `timeout_s`.
    """
    sizes = [integer("inputs", n, high=16384) for n in inputs]
    if not sizes:
        raise InputError("inputs: expected at least one size")
    count("plain_inputs", plain_inputs, low=0)
    count("vectors", vectors, low=0, high=10_000)
    rtl.find_tool("yosys")
    if vectors:
        rtl.find_tool("iverilog")
    process = hwsim.load_technology(technology) if isinstance(technology, str) else technology
    weights = hwsim.weight_format("fp4", process)
    rows: list[NeuronAudit] = []
    for number, n in enumerate(sizes):
        codes = rtl.quota_codes(n, weights, seed)
        ports = rtl.region_ports(n, weights, slack)
        models = _models(n, weights, process, activation_bits, slack)
        adders, registers = (float(cells) for cells in neuron_cells(n, weights, activation_bits, slack))
        exact = _bit_exact(codes, ports, activation_bits, vectors, seed, timeout_s, plain=n <= plain_inputs)
        plans: list[tuple[str, CellPlan, tuple[Adders, ...]]] = [
            ("ME", rtl.metal_cells(ports, activation_bits), ("cells", "gates")),
            ("CE", rtl.cell_neuron(codes, activation_bits), ("cells", "gates")),
        ]
        if n <= plain_inputs:
            plans.append(("CE plain", rtl.plain_cell_neuron(codes, activation_bits), ("gates",)))
        for circuit, plan, ways in plans:
            for way in ways:
                if report is not None:
                    report(f"{circuit} neuron of {n:,} inputs, {way}", number, len(sizes))
                row = _row(n, circuit, plan, way, models[circuit], exact.get(circuit), timeout_s)
                if circuit == "ME":
                    logic = row.transistors - registers * process.flip_flop_transistors
                    row = replace(row, per_adder=logic / adders)
                rows.append(row)
    ratios = _ratios(rows)
    return AuditResult(tuple(rows), ratios, activation_bits, float(slack), process.name, tuple(_findings(rows, ratios)))


def _models(
    inputs: int, weights: hwsim.WeightFormat, process: hwsim.Technology, activation_bits: int, slack: float
) -> dict[str, float]:
    """Return transistors per weight of the circuit models, without input registers."""
    metal = neuron_transistors(inputs, weights, process, activation_bits, slack)
    shared = inputs * activation_bits * process.flip_flop_transistors
    cell = hwsim.cell_embedding(inputs, 1, weights, process, activation_bits=activation_bits).transistors - shared
    per_weight = {"ME": float(metal) / inputs, "CE": float(cell) / inputs}
    return per_weight | {"CE plain": per_weight["CE"]}


def _bit_exact(
    codes: np.ndarray,
    ports: dict[int, int],
    activation_bits: int,
    vectors: int,
    seed: int,
    timeout_s: float,
    plain: bool,
) -> dict[str, bool]:
    """Return whether the simulated Verilog of each neuron gives the exact integer product."""
    if not vectors:
        return {}
    activations = np.vstack(
        [
            rtl.corner_vectors(codes.size, activation_bits),
            rtl.random_vectors(vectors, codes.size, activation_bits, seed),
        ]
    )
    options: dict[str, Any] = {"activation_bits": activation_bits, "timeout_s": timeout_s}
    sums = {
        "ME": rtl.simulate_metal(codes, activations, ports=ports, **options).passed,
        "CE": rtl.simulate_cell(codes, activations, **options).passed,
    }
    if plain:
        sums["CE plain"] = rtl.simulate_cell(codes, activations, plain=True, **options).passed
    return sums


def _row(
    inputs: int, circuit: str, plan: CellPlan, adders: Adders, model: float, exact: bool | None, timeout_s: float
) -> NeuronAudit:
    synthesis = rtl.synthesise(plan, adders, timeout_s=timeout_s)
    cells, transistors = synthesis.cells, synthesis.transistors()
    leaner = synthesis.transistors("pass-transistor").total / inputs if adders == "cells" else None
    kept = {name: cells.get(name, 0) for name in ("FA", "HA", "DFF")}
    return NeuronAudit(
        inputs=inputs,
        circuit=circuit,
        adders=adders,
        full_adders=kept["FA"],
        half_adders=kept["HA"],
        gates=sum(cells.values()) - sum(kept.values()),
        flip_flops=kept["DFF"],
        transistors=transistors.total,
        registers=transistors.registers,
        per_weight=transistors.total / inputs,
        pass_transistor_per_weight=leaner,
        model_per_weight=model,
        paper_per_weight=PAPER_ME_TRANSISTORS if circuit == "ME" else PAPER_CE_TRANSISTORS,
        per_adder=None,
        depths=plan.depths,
        bit_exact=exact,
    )


def _ratios(rows: list[NeuronAudit]) -> tuple[DensityRatio, ...]:
    metal = {(row.inputs, row.adders): row for row in rows if row.circuit == "ME"}
    pairs = [(row, metal[row.inputs, row.adders]) for row in rows if row.circuit != "ME"]
    return tuple(
        DensityRatio(
            inputs=cell.inputs,
            circuit=cell.circuit,
            adders=cell.adders,
            synthesised=cell.per_weight / base.per_weight,
            model=cell.model_per_weight / base.model_per_weight,
        )
        for cell, base in pairs
    )


def _findings(rows: list[NeuronAudit], ratios: tuple[DensityRatio, ...]) -> list[str]:
    """Return findings on the largest neuron as sentences."""
    largest = max(row.inputs for row in rows)
    lines = []
    for circuit, name in CIRCUITS.items():
        sized = [row for row in rows if row.circuit == circuit]
        if not sized:
            continue
        row = min((r for r in sized if r.inputs == max(s.inputs for s in sized)), key=lambda r: r.per_weight)
        implied = "Table 1 implies" if circuit == "ME" else "the paper's area implies"
        lines.append(
            f"{name}, {row.inputs:,} inputs: {row.per_weight:.1f} transistors per weight by synthesis, "
            f"{row.model_per_weight:.1f} by the circuit model ({row.model_error:+.0%}); {implied} "
            f"{row.paper_per_weight:.4g}."
        )
        if row.per_adder is not None:
            lines.append(
                f"That is {row.per_adder:.1f} transistors for each full adder of the circuit model, at the density of "
                "the technology: the book n5-synthesised has the value for 2,880 inputs."
            )
        leaner = [r.pass_transistor_per_weight for r in sized if r.inputs == row.inputs]
        lines += [f"With pass-transistor adders it would be {value:.1f}." for value in leaner if value is not None]
    sized_ratios = [ratio for ratio in ratios if ratio.inputs == largest and ratio.circuit == "CE"]
    low, high = (pick(r.synthesised for r in sized_ratios) for pick in (min, max))
    lines.append(
        f"CE : ME at {largest:,} inputs: {low:.1f} to {high:.1f} by synthesis, {sized_ratios[0].model:.1f} by the "
        f"circuit model, {PAPER_CE_OVER_ME:.4g} in the paper (Figure 12)."
    )
    wrong = [row for row in rows if row.bit_exact is False]
    if wrong:
        lines.append(f"NOT bit-exact: {wrong[0].circuit} at {wrong[0].inputs:,} inputs.")
    elif any(row.bit_exact for row in rows):
        lines.append("Every simulated neuron gave the exact integer product for every vector.")
    return lines
