"""The switching energy of hardwired neurons from a real model's weights and activations.

A text runs through the model in the hardwired arithmetic, and the integer inputs of every matrix are recorded. They
give the exact toggles of each class of wires (`hwsim.kernels.measure_activity`). With Icarus Verilog installed, whole
neurons are also simulated cell by cell, without and with the delays that cause glitches (`hwsim.rtl.measure_toggles`).
Neurons span all inputs of a matrix, without the block scales of MXFP4, as in the HNLPU paper (ASPLOS '26, doi
10.1145/3779212.3790169).
"""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

import hwsim
from explorer.documents.document import Document, Documented
from explorer.inference.arithmetic import linear_operator
from explorer.inference.text import real_text
from explorer.progress import Report
from explorer.wiring.survey import mxfp4_codes
from hwbase import InputError, Record
from hwbase.check import integer
from hwsim import kernels, rtl
from hwsim.circuits import metal_embedding
from hwsim.kernels.activity import Activity, Wires
from hwsim.wiring import measured_format, region_histogram, region_shares
from models.inference import DEFAULT_MODEL, Tokenizer, Transformer, Weights, quantise_activations
from models.quantise import check_format, read_weights

#: Tokens of the text in all, and the number of last ones whose switching is counted.
DEFAULT_TOKENS, DEFAULT_VECTORS = 256, 16
_BITS = 8


@dataclass(frozen=True)
class WireActivity(Record):
    """Toggles of the matrices of one kind, in all layers, per token.

    `factors` are toggles per wire and clock by class of wire; `toggles_j` is the energy of those toggles (a lower
    bound: wires inside POPCNTs are not counted), `model_j` that of the circuit model at the technology's
    `switching_activity`, both in J per token.
    """

    kind: str
    matrices: int
    inputs: int
    weights: int
    factors: dict[str, float]
    toggles_j: float
    model_j: float


@dataclass(frozen=True)
class NeuronActivity(Record):
    """One real neuron simulated cell by cell: `activity` without delays, `glitching` with a unit delay in every adder.

    Both compare with `switching_activity` of a technology: the share of the transistors' capacitance that is charged in
    a clock.
    """

    matrix: str
    neuron: int
    inputs: int
    transistors: int
    activity: float
    glitching: float


@dataclass(frozen=True)
class SwitchingStudy(Documented):
    """Switching activity of the wires for a real model; energies are of all hardwired matrices, in J per token."""

    model: str
    text: str
    text_sha256: str
    tokens: int
    vectors: int
    technology: str
    book_activity: float
    kinds: tuple[WireActivity, ...]
    neurons: tuple[NeuronActivity, ...]
    findings: tuple[str, ...]

    @property
    def activity(self) -> tuple[float, float]:
        """Mean activity of the simulated neurons' transistors, without and with glitches (NaN if not simulated)."""
        if not self.neurons:
            return float("nan"), float("nan")
        size = np.array([neuron.transistors for neuron in self.neurons], dtype=float)
        return tuple(  # type: ignore[return-value]
            float(np.average([getattr(neuron, name) for neuron in self.neurons], weights=size))
            for name in ("activity", "glitching")
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each kind of matrix."""
        rows = []
        for kind in self.kinds:
            row = kind.to_dict()
            rows.append(row | {f"{wires}_toggles": rate for wires, rate in row.pop("factors").items()})
        return pd.DataFrame(rows)

    def neuron_frame(self) -> pd.DataFrame:
        """Return a row for each simulated neuron."""
        return pd.DataFrame([neuron.to_dict() for neuron in self.neurons])

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.audit.document import switching_document

        return switching_document(self, command)


def switching(
    *,
    tokens: int = DEFAULT_TOKENS,
    vectors: int = DEFAULT_VECTORS,
    path: str | Path | None = None,
    text: str | None = None,
    technology: str | hwsim.Technology = "n5",
    gates: bool | None = None,
    report: Report | None = None,
) -> SwitchingStudy:
    """Return the switching of a real model: the last `vectors` of `tokens` tokens of a text through every matrix.

    `path` is a GGUF file (default: the package's SmolLM2-135M), `text` defaults to real prose. `gates` simulates a
    neuron of each kind of matrix cell by cell (default: if Icarus is installed). Raises `InputError` for a text that is
    too short, missing packages or tools, or a broken file.
    """
    count = integer("tokens", tokens, low=2, high=8192)
    vector_count = integer("vectors", vectors, low=2, high=count)
    process = hwsim.load_technology(technology) if isinstance(technology, str) else technology
    simulate_cells = rtl.has_tools("iverilog", "vvp") if gates is None else gates
    source, content = real_text() if text is None else ("given", text)
    weights, vocabulary = read_weights(path)
    check_format(weights, "mxfp4")
    ids = Tokenizer(vocabulary).encode(content)
    if len(ids) < count:
        raise InputError(f"the text has {len(ids)} tokens: expected at least {count}")
    streams = activation_streams(weights, ids[:count], vector_count)
    by_kind: dict[str, list[str]] = {}
    for name in streams:
        by_kind.setdefault(name.split(".")[-1], []).append(name)
    kinds, neurons, done = [], [], 0
    for kind, names in by_kind.items():
        parts = []
        for name in names:
            codes, _ = mxfp4_codes(weights.matrix(name))
            parts.append(_matrix(codes, streams[name], process))
            done += 1
            if report is not None:
                report(kind, done, len(streams))
        kinds.append(_sum(kind, parts, vector_count))
        if simulate_cells:
            neurons.append(_neuron(weights, names[len(names) // 2], streams))
    checksum = hashlib.sha256(content.encode()).hexdigest()
    book = float(np.mean(process.switching_activity))
    study = SwitchingStudy(
        DEFAULT_MODEL if path is None else Path(path).name,
        source,
        checksum,
        count,
        vector_count,
        process.name,
        book,
        tuple(kinds),
        tuple(neurons),
        (),
    )
    return SwitchingStudy(**{f.name: getattr(study, f.name) for f in fields(study)} | {"findings": _findings(study)})


def activation_streams(weights: Weights, ids: list[int], vectors: int) -> dict[str, np.ndarray]:
    """Return the int8 activations (vectors, inputs) of each matrix for the last `vectors` of `ids`.

    The network runs in the hardwired arithmetic, with one scale a token.
    """
    operator = linear_operator(weights, "hardwired")
    seen: dict[str, list[np.ndarray]] = {}

    def tapped(name: str, x: np.ndarray, position: int) -> np.ndarray:
        seen.setdefault(name, []).append(quantise_activations(x, position).codes)
        return operator(name, x, position)

    Transformer(weights, tapped).forward(ids)
    return {name: np.concatenate(parts)[-vectors:] for name, parts in seen.items()}


def _matrix(codes: np.ndarray, stream: np.ndarray, process: hwsim.Technology) -> tuple[int, Activity, float, float]:
    """Return (inputs, activity, energy of the toggles, energy of the circuit model) of a matrix for the stream."""
    seen = kernels.measure_activity(codes, stream)
    shares = region_shares(region_histogram(codes), codes.shape[0])
    inputs, outputs = codes.shape
    model = metal_embedding(inputs, outputs, measured_format(shares), process, activation_bits=_BITS)
    toggles_j = float(kernels.switching_energy_j(seen, process))
    return inputs, seen, toggles_j, float(model.switching_j) * len(stream)


def _sum(kind: str, parts: list[tuple[int, Activity, float, float]], vectors: int) -> WireActivity:
    toggles, wires = Wires(0, 0, 0, 0, 0, 0), Wires(0, 0, 0, 0, 0, 0)
    for _, seen, _, _ in parts:
        toggles, wires = toggles + seen.toggles, wires + seen.wires
    clocks = vectors * _BITS
    factors = {f.name: getattr(toggles, f.name) / (getattr(wires, f.name) * clocks) for f in fields(Wires)}
    macs = sum(seen.multiply_accumulates for _, seen, _, _ in parts) // vectors
    toggles_j, model_j = (sum(energies) / vectors for energies in zip(*(part[2:] for part in parts), strict=True))
    return WireActivity(kind, len(parts), parts[0][0], macs, factors, toggles_j, model_j)


def _neuron(weights: Weights, name: str, streams: dict[str, np.ndarray]) -> NeuronActivity:
    """Return the activity of the middle neuron of a matrix, cell by cell."""
    codes, _ = mxfp4_codes(weights.matrix(name))
    middle = codes.shape[1] // 2
    calm, busy = (
        rtl.measure_toggles(codes[:, middle], streams[name], activation_bits=_BITS, glitches=glitches)
        for glitches in (False, True)
    )
    return NeuronActivity(name, middle, codes.shape[0], calm.transistors, calm.activity, busy.activity)


def _findings(study: SwitchingStudy) -> tuple[str, ...]:
    toggles, model = (sum(getattr(kind, name) for kind in study.kinds) for name in ("toggles_j", "model_j"))
    weights = sum(kind.weights for kind in study.kinds)
    wires = sum(kind.factors["inputs"] * kind.inputs * kind.matrices for kind in study.kinds)
    wires /= sum(kind.inputs * kind.matrices for kind in study.kinds)
    lines = [
        f"Real activations toggle {wires:.0%} of the input wires per clock (random bits: 50 %).",
        f"A token through {weights / 1e6:,.1f} M hardwired weights: {toggles * 1e9:,.0f} nJ of toggles outside the "
        f"POPCNTs, a lower bound; the circuit model says {model * 1e9:,.0f} nJ at an activity of "
        f"{study.book_activity:g}.",
    ]
    if study.neurons:
        calm, busy = study.activity
        lines.append(
            f"Cell by cell, real neurons charge {calm:.3f} of their transistors' capacitance per clock without "
            f"glitches and {busy:.3f} with a unit delay in every adder; the technology {study.technology} takes "
            f"{study.book_activity:g}."
        )
    else:
        lines.append("Cells were not simulated: Icarus Verilog is missing (apt-get install yosys iverilog).")
    return tuple(lines)
