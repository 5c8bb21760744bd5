"""The documents of audits: synthesised neurons and their clocks, and the switching of wires on real data."""

from explorer.audit.layout import LayoutAudit
from explorer.audit.neuron import AuditResult
from explorer.audit.switching import SwitchingStudy
from explorer.audit.timing import TimingAudit
from explorer.documents.document import Document, Section, sections
from explorer.documents.sections import reproduce_section
from explorer.documents.tables import Column, frame_table, scaled_table
from hwbase.numbers import counted, listed, plain, times

_NEURONS = {
    "inputs": Column("inputs"),
    "circuit": Column("circuit", numeric=False),
    "adders": Column("adders", numeric=False),
    "transistors": Column("transistors"),
    "per_weight": Column("per weight, synthesised"),
    "model_per_weight": Column("per weight, model"),
    "paper_per_weight": Column("per weight, paper"),
    "bit_exact": Column("bit-exact", numeric=False),
}
_RATIOS = {
    "inputs": Column("inputs"),
    "circuit": Column("circuit", numeric=False),
    "adders": Column("adders", numeric=False),
    "synthesised": Column("synthesised"),
    "model": Column("model"),
    "paper": Column("paper"),
}


def neuron_document(audit: AuditResult, command: str = "") -> Document:
    """Return an audit of neurons as a document."""
    neurons = frame_table("Transistors of one neuron", audit.to_frame(), _NEURONS, {"bit_exact": plain})
    over = dict.fromkeys(("synthesised", "model", "paper"), times)
    ratios = frame_table("Transistors of Cell-Embedding over Metal-Embedding", audit.ratio_frame(), _RATIOS, over)
    sizes = listed([plain(size) for size in dict.fromkeys(row.inputs for row in audit.rows)])
    return Document(
        "Hardwired neurons: synthesis, model and paper",
        f"Neurons of {sizes} inputs in {audit.technology}, activations of {counted(audit.activation_bits, 'bit')}.",
        sections(
            Section("neurons", "Neurons", (neurons, ratios)),
            Section("findings", "Findings", audit.findings),
            reproduce_section(command),
        ),
        schema="audit-neuron",
        data=audit.to_dict,
        frame=audit.to_frame,
    )


def switching_document(study: SwitchingStudy, command: str = "") -> Document:
    """Return a study of switching as a document."""
    wires = scaled_table("Toggles per wire and clock, and the energy of a token", study.to_frame())
    cells = scaled_table("Neurons cell by cell: share of the capacitance charged per clock", study.neuron_frame())
    return Document(
        f"{study.model}: switching of hardwired neurons",
        f"The last {plain(study.vectors)} of {counted(study.tokens, 'token')} of {study.text} (SHA-256 "
        f"{study.text_sha256[:12]}).",
        sections(
            Section("wires", "Wires", (wires,)),
            Section("cells", "Cells", (cells,)) if study.neurons else None,
            Section("findings", "Findings", study.findings),
            reproduce_section(command),
        ),
        schema="audit-activity",
        data=study.to_dict,
        frame=study.to_frame,
    )


def timing_document(audit: TimingAudit, command: str = "") -> Document:
    """Return an audit of timing as a document."""
    table = scaled_table("Stages, clock and transistors", audit.to_frame().drop(columns=["reaches_target"]))
    source = f"the cell {audit.adder} of the library" if audit.adder else f"the book {audit.technology}"
    return Document(
        "Hardwired neurons: pipeline stages and the clock that they close at",
        f"Full adders of {audit.full_adder_delay_s * 1e12:.1f} ps, from {source}.",
        sections(
            Section("timing", "Timing", (table,)),
            Section("findings", "Findings", audit.findings),
            reproduce_section(command),
        ),
        schema="audit-timing",
        data=audit.to_dict,
        frame=audit.to_frame,
    )


def layout_document(audit: LayoutAudit, command: str = "") -> Document:
    """Return an audit of layouts as a document."""
    table = scaled_table("Layouts of one neuron", audit.to_frame())
    return Document(
        "Hardwired neurons: placed and routed",
        f"Cells of {audit.library}, placed by graywolf, routed by qrouter, checked by Magic and netgen.",
        sections(
            Section("layouts", "Layouts", (table,)),
            Section("findings", "Findings", audit.findings),
            reproduce_section(command),
        ),
        schema="audit-layout",
        data=audit.to_dict,
        frame=audit.to_frame,
    )
