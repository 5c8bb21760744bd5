"""Fastest clock of a neuron by its pipeline stages, and what a clock costs in registers.

The neurons are drawn with as many registers as a number of stages allows, and those that a clock needs. A stage of `L`
full-adder delays closes at

    f = usable_cycle / (L x full_adder_delay_s)

with both constants from a technology book, or the delay from the tables of a Liberty library: one adder in a long chain
of them, as the library draws it, without wires.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import hwsim
from explorer.documents.document import Document, Documented
from explorer.progress import Report
from hwbase import Record
from hwbase.check import integer, real
from hwbase.numbers import counted, listed, percent
from hwsim import rtl
from hwsim.rtl.metal import CellPlan

SIZES = (64, 256, 1024, 2880)
#: The fewest stages of each circuit, as drawn without registers inside its arithmetic.
FEWEST_STAGES = {"ME": 2, "CE": 1, "MA": 2}


@dataclass(frozen=True)
class StageTiming(Record):
    """One neuron, or one unit of a MAC array, drawn with so many stages.

    `levels` are full-adder delays of the deepest stage; `latency_clocks` from the first operand to a product and
    `interval_clocks` between products; `added_share` the transistors over those of the fewest stages; `bit_exact` and
    `clocks_exact` whether a simulation gave every product, at the clocks that are stated (None: not simulated).
    """

    inputs: int
    circuit: str
    stages: int
    levels: int
    clock_hz: float
    latency_clocks: int
    interval_clocks: int
    transistors: int
    register_transistors: int
    area_um2: float
    added_share: float
    reaches_target: bool
    bit_exact: bool | None
    clocks_exact: bool | None


@dataclass(frozen=True)
class TimingAudit(Documented):
    """Timing of neurons by stages; `full_adder_delay_s` is a book's, or that of the library's cell `adder`."""

    rows: tuple[StageTiming, ...]
    technology: str
    target_hz: float
    full_adder_delay_s: float
    usable_cycle: float
    adder: str
    findings: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each neuron and number of stages."""
        return pd.DataFrame([row.to_dict() for row in self.rows])

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.audit.document import timing_document

        return timing_document(self, command)


def audit_timing(
    inputs: Iterable[int] = SIZES,
    *,
    stages: Iterable[int] = (),
    target_hz: float = 1e9,
    technology: str | hwsim.Technology = "n5",
    liberty: str | Path | None = None,
    activation_bits: int = 8,
    vectors: int = 4,
    simulated_inputs: int = 256,
    seed: int = 2026,
    report: Report | None = None,
) -> TimingAudit:
    """Return the timing of ME and CE neurons, and of a MAC array's unit, for the fewest stages and for a clock.

    Parameters
    ----------
    inputs : iterable of int
        Sizes of the neurons.
    stages : iterable of int
        Further numbers of stages to draw.
    target_hz : float, default 1e9
        The clock to reach.
    technology : str or Technology, default "n5"
    liberty : path, optional
        Folder of a Liberty library whose full adder sets the delay; the environment's HWSIM_LIBERTY unless given.
    activation_bits : int, default 8
    vectors : int, default 4
        Random vectors, beside five corners, that are simulated where Icarus is installed (0: none).
    simulated_inputs : int, default 256
        The largest neurons that are simulated.
    seed : int
        Order of the weights.
    report : callable, optional
        Receives the progress.

    Returns
    -------
    TimingAudit

    Raises
    ------
    InputError
        For sizes or a clock that are not positive, or a folder without an adder.
    """
    sizes = [integer("inputs", n, high=16384) for n in inputs]
    wanted = [integer("stages", n, high=100) for n in stages]
    target = real("target_hz", target_hz, above=0.0, high=1e12)
    process = hwsim.load_technology(technology) if isinstance(technology, str) else technology
    weights = hwsim.weight_format("fp4", process)
    folder = rtl.liberty_folder(liberty)
    delay = None if folder is None else rtl.adder_delay(folder)
    delay_s = float(process.full_adder_delay_s) if delay is None else delay.delay_s
    usable = float(process.usable_cycle)
    levels = _levels(usable, delay_s, target)
    simulate = vectors > 0 and rtl.has_tools("iverilog", "vvp")
    rows: list[StageTiming] = []
    for number, n in enumerate(sizes):
        codes, ports = rtl.quota_codes(n, weights, seed), rtl.region_ports(n, weights)
        activations = np.vstack(
            [rtl.corner_vectors(n, activation_bits), rtl.random_vectors(max(vectors, 1), n, activation_bits, seed)]
        )
        for circuit in FEWEST_STAGES:
            if report is not None:
                report(f"{circuit} neuron of {n:,} inputs", number, len(sizes))
            plans = _plans(circuit, codes, ports, activation_bits, wanted, levels)
            for plan in plans:
                row = _row(circuit, n, activation_bits, plan, plans[0], process, usable / delay_s, target)
                if simulate and n <= simulated_inputs:
                    verilog = rtl.ADDER_CELLS + plan.verilog
                    if circuit == "ME":
                        verilog += rtl.metal_neuron(codes, plan, ports)
                    result = rtl.simulate_plan(circuit, plan, verilog, codes, activations, activation_bits)
                    expected = row.latency_clocks + row.interval_clocks * np.arange(len(activations))
                    exact = np.array_equal(result.clocks, expected)
                    row = replace(row, bit_exact=result.passed, clocks_exact=exact)
                rows.append(row)
    adder = "" if delay is None else delay.adder
    audit = TimingAudit(tuple(rows), process.name, target, delay_s, usable, adder, ())
    return replace(audit, findings=tuple(_findings(audit)))


def waveform(
    inputs: int, stages: int, *, technology: str | hwsim.Technology = "n5", vectors: int = 4, seed: int = 2026
) -> str:
    """Return the waveform (VCD) of the ME neuron of an audit, for five corner vectors and `vectors` random ones.

    Raises `InputError` for sizes that are not positive, or without Icarus Verilog.
    """
    n = integer("inputs", inputs, high=16384)
    process = hwsim.load_technology(technology) if isinstance(technology, str) else technology
    weights = hwsim.weight_format("fp4", process)
    activations = np.vstack([rtl.corner_vectors(n), rtl.random_vectors(vectors, n, seed=seed)])
    codes, ports = rtl.quota_codes(n, weights, seed), rtl.region_ports(n, weights)
    return rtl.metal_waveform(codes, activations, ports=ports, stages=stages)


def _levels(usable_cycle: float, delay_s: float, clock_hz: float) -> int:
    """Return the full-adder delays that a stage has room for."""
    return max(int(usable_cycle / (clock_hz * delay_s) * (1.0 + 1e-9)), 1)


def _plans(
    circuit: str, codes: np.ndarray, ports: dict[int, int], bits: int, stages: list[int], levels: int
) -> list[CellPlan]:
    """Return different plans: with the fewest stages, with each of `stages`, and with at most `levels` in a stage."""

    def draw(count: int, most: int = 0) -> CellPlan:
        if circuit == "ME":
            return rtl.metal_cells(ports, bits, stages=count, levels=most)
        if circuit == "CE":
            return rtl.cell_neuron(codes, bits, stages=count, levels=most)
        return rtl.mac_unit(codes.size, bits, stages=count, levels=most)

    fewest = FEWEST_STAGES[circuit]
    drawn = [draw(count) for count in (fewest, *(count for count in stages if count > fewest))]
    if max(drawn[0].depths) > levels:
        drawn.append(draw(fewest, levels))
    first, *others = drawn
    others = sorted(others, key=lambda plan: (plan.stages, -max(plan.depths)))
    return list({plan.verilog: plan for plan in (first, *others)}.values())


def _row(
    circuit: str,
    inputs: int,
    bits: int,
    plan: CellPlan,
    base: CellPlan,
    process: hwsim.Technology,
    levels_per_s: float,
    target_hz: float,
) -> StageTiming:
    count, least = (rtl.drawn_transistors(each.cells) for each in (plan, base))
    interval = {"ME": bits, "CE": 1, "MA": inputs}[circuit]
    clock = levels_per_s / max(plan.depths)
    return StageTiming(
        inputs=inputs,
        circuit=circuit,
        stages=plan.stages,
        levels=max(plan.depths),
        clock_hz=clock,
        latency_clocks=interval + plan.stages - 1,
        interval_clocks=interval,
        transistors=count.total,
        register_transistors=count.registers,
        area_um2=float(process.logic_area_mm2(count.total)) * 1e6,
        added_share=count.total / least.total - 1.0,
        reaches_target=clock >= target_hz * (1.0 - 1e-9),
        bit_exact=None,
        clocks_exact=None,
    )


def _findings(audit: TimingAudit) -> list[str]:
    largest = max(row.inputs for row in audit.rows)
    room = _levels(audit.usable_cycle, audit.full_adder_delay_s, audit.target_hz)
    lines = [
        f"A stage of L full-adder delays of {audit.full_adder_delay_s * 1e12:.1f} ps closes at "
        f"{audit.usable_cycle:g} / (L x delay): at {audit.target_hz / 1e9:g} GHz it has room for {room}."
    ]
    names = {"ME": "Metal-Embedding", "CE": "Cell-Embedding", "MA": "A multiply-accumulate unit"}
    for circuit, name in names.items():
        rows = [row for row in audit.rows if (row.circuit, row.inputs) == (circuit, largest)]
        reaching = next((row for row in rows if row.reaches_target), None)
        first = rows[0]
        text = f"{name}, {largest:,} inputs: {first.clock_hz / 1e9:.2f} GHz in {counted(first.stages, 'stage')}"
        if reaching is None:
            text += f"; no number of stages reaches {audit.target_hz / 1e9:g} GHz"
        elif reaching is not first:
            more = f"{percent(abs(reaching.added_share))} {'more' if reaching.added_share > 0 else 'fewer'} transistors"
            text += f"; {audit.target_hz / 1e9:g} GHz takes {counted(reaching.stages, 'stage')} and {more}"
        lines.append(text + ".")
    simulated = [row for row in audit.rows if row.bit_exact is not None]
    if simulated:
        wrong = [row for row in simulated if not (row.bit_exact and row.clocks_exact)]
        sizes = listed([f"{n:,}" for n in dict.fromkeys(row.inputs for row in simulated)])
        if wrong:
            lines.append(f"NOT exact: {wrong[0].circuit} of {wrong[0].inputs:,} inputs, {wrong[0].stages} stages.")
        else:
            lines.append(f"Simulated at {sizes} inputs: every product exact, at the stated clock.")
    else:
        lines.append("Not simulated: Icarus Verilog is missing (apt-get install yosys iverilog), or no vectors.")
    return lines
