"""Neurons placed and routed with open cells: how full the silicon is, wire per weight, and what the checks say."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

import hwsim
from explorer.documents.document import Document, Documented
from explorer.progress import Report
from hwbase import Record, unknown_name
from hwbase.check import integer
from hwbase.numbers import counted
from hwsim import rtl

CIRCUITS = ("ME", "CE")


@dataclass(frozen=True)
class NeuronLayout(Record):
    """The layout of one neuron. `wire_constant` is the mean length of a net over the side of a mean cell."""

    inputs: int
    circuit: str
    cells: int
    nets: int
    pins: int
    utilisation: float
    die_um2_per_weight: float
    wire_um_per_weight: float
    wire_constant: float
    unrouted: int
    drc_errors: int
    lvs_match: bool


@dataclass(frozen=True)
class LayoutAudit(Documented):
    """Layouts of neurons in one library of cells, the ratios of Cell-Embedding to Metal-Embedding, and findings."""

    rows: tuple[NeuronLayout, ...]
    library: str
    findings: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each layout."""
        return pd.DataFrame([row.to_dict() for row in self.rows])

    def ratios(self, name: str) -> dict[int, float]:
        """Return the column `name` of Cell-Embedding over that of Metal-Embedding, by inputs."""
        values = {(row.circuit, row.inputs): float(getattr(row, name)) for row in self.rows}
        sizes = dict.fromkeys(row.inputs for row in self.rows)
        return {n: values["CE", n] / values["ME", n] for n in sizes if {("CE", n), ("ME", n)} <= values.keys()}

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.audit.document import layout_document

        return layout_document(self, command)


def audit_layout(
    inputs: Iterable[int] = (64, 256),
    *,
    circuits: Iterable[str] = CIRCUITS,
    library: str = rtl.DEFAULT_LIBRARY,
    activation_bits: int = 8,
    seed: int = 2026,
    timeout_s: float = 3600.0,
    report: Report | None = None,
) -> LayoutAudit:
    """Place and route neurons of each size with qflow.

    `circuits` are "ME" and "CE", `library` one that qflow brings; weights are Gaussian FP4 in an order fixed by `seed`.
    Metal-Embedding of 64 inputs takes ten seconds, Cell-Embedding of 256 some minutes. `report` receives the progress.
    Raises `InputError` for invalid sizes, an unknown circuit or library, a missing tool, or a module that does not fit.
    """
    sizes = [integer("inputs", n, high=4096) for n in inputs]
    chosen = list(circuits)
    for circuit in chosen:
        if circuit not in CIRCUITS:
            raise unknown_name("circuit", circuit, CIRCUITS)
    weights = hwsim.weight_format("fp4", hwsim.load_technology("n5"))
    rows: list[NeuronLayout] = []
    for n in sizes:
        for circuit in chosen:
            if report is not None:
                report(f"{circuit} neuron of {n:,} inputs", len(rows), len(sizes) * len(chosen))
            if circuit == "ME":
                plan = rtl.metal_cells(rtl.region_ports(n, weights), activation_bits)
            else:
                plan = rtl.cell_neuron(rtl.quota_codes(n, weights, seed), activation_bits)
            rows.append(_row(n, circuit, rtl.place_and_route(plan, library, timeout_s=timeout_s)))
    audit = LayoutAudit(tuple(rows), library, ())
    return replace(audit, findings=tuple(_findings(audit)))


def _row(inputs: int, circuit: str, layout: rtl.Layout) -> NeuronLayout:
    return NeuronLayout(
        inputs=inputs,
        circuit=circuit,
        cells=layout.cells,
        nets=layout.nets,
        pins=layout.pins,
        utilisation=layout.utilisation,
        die_um2_per_weight=layout.die_um2 / inputs,
        wire_um_per_weight=layout.wire_um / inputs,
        wire_constant=layout.wire_constant,
        unrouted=layout.unrouted,
        drc_errors=layout.drc_errors,
        lvs_match=layout.lvs_match,
    )


def _findings(audit: LayoutAudit) -> list[str]:
    constants = [row.wire_constant for row in audit.rows]
    lines = [
        f"A net is {min(constants):.1f} to {max(constants):.1f} times as long as the side of a mean cell, "
        f"{float(np.mean(constants)):.1f} on average."
    ]
    areas, wires = audit.ratios("die_um2_per_weight"), audit.ratios("wire_um_per_weight")
    lines += [
        f"Cell-Embedding over Metal-Embedding at {n:,} inputs: {areas[n]:.2f} in area, {wires[n]:.1f} in wire."
        for n in areas
    ]
    bad = [row for row in audit.rows if row.unrouted or row.drc_errors or not row.lvs_match]
    if bad:
        lines += [
            f"{row.circuit} of {row.inputs:,} inputs: {counted(row.unrouted, 'net')} unrouted, "
            f"{counted(row.drc_errors, 'error')} of design rules, netlists {'match' if row.lvs_match else 'DIFFER'}."
            for row in bad
        ]
    else:
        lines.append(
            "Every net is routed, no design rule is broken, and every layout's netlist is the one synthesised."
        )
    return lines
