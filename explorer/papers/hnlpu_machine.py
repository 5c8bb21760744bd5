"""The published machine of the HNLPU paper: Tables 1 and 2, Figures 12 to 14, with our value for each figure.

Reference: "Hardwired-Neuron Language Processing Units as General-Purpose Cognitive Substrates", ASPLOS 2026, doi
10.1145/3779212.3790169. `hnlpu_machine.csv` lists the figures with their evidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hwsim
import models
from explorer.papers.scoreboard import Row, read_rows
from hwbase import Quantity, load_book
from hwsim.simulation import hardwired
from hwsim.technology import BOOKS

#: Group of the lines that the event simulator answers.
EVENTS = "Events"
_CELLS = Path(__file__).with_name("hnlpu_machine.csv")
#: Contexts of Figure 14 in the comparison, by their name there.
CONTEXTS = {"2k": 2048, "64k": 65536, "256k": 262144}
#: The operator of Figures 12 and 13.
OPERATOR: dict[str, Any] = {"inputs": 1024, "outputs": 128}
#: The widest neurons of the model's layers.
LAYER_INPUTS = 2880
#: Area of a 300 mm wafer's inscribed square in the first preprint, in mm2.
INSCRIBED_MM2 = 45_000.0
_WEIGHT_BITS = 4
#: Results of synthesis: of the operator of Figure 12, and of the widest neurons of a layer.
_SYNTHESISED = (
    "operator_me_transistors",
    "operator_ce_transistors",
    "layer_me_transistors",
    "layer_ce_transistors",
)


@dataclass(frozen=True)
class _Machine:
    """The paper's machine with the density of its Table 1, and the same design from gate counts or synthesis."""

    spec: models.LLMSpec
    design: hwsim.HardwiredDesign
    technology: hwsim.Technology
    chip: hwsim.Chip
    gates: hwsim.Technology
    gate_chip: hwsim.Chip
    synthesised: hwsim.Technology


def machine_rows(
    set: Mapping[str, Any] | None = None, book: str | Path | None = None, events: bool = True
) -> tuple[list[Row], dict[str, Quantity]]:
    """Return (rows, constants read) for the published machine; `set` and `book` change the design.

    Without `events` the lines that take event simulations are left out.
    """
    spec = models.load("gpt-oss-120b")
    design, technology, used = hardwired(spec, book=book or hwsim.DEFAULT_MACHINE, set=set)
    gates = hwsim.load_technology("n5")
    chip, gate_chip = hwsim.build_chip(spec, design, technology), hwsim.build_chip(spec, design, gates)
    machine = _Machine(spec, design, technology, chip, gates, gate_chip, hwsim.load_technology("n5-synthesised"))
    ours = _table_1(machine) | _table_2(machine) | _density(machine) | _operator(machine) | _figure_14(machine)
    if not events:
        return read_rows(_CELLS, ours, without=EVENTS), used
    from explorer.papers.hnlpu_serving import serving_figures

    return read_rows(_CELLS, ours | serving_figures(spec, design, technology)), used


def _table_1(m: _Machine) -> dict[str, float]:
    names = {
        "hn": "HN array",
        "vex": "VEX",
        "control": "control",
        "buffer": "attention buffer",
        "link": "interconnect engine",
        "hbm": "HBM PHY",
    }
    blocks = {short: m.chip.block(name) for short, name in names.items()}
    powers = {f"t1-{short}-power": block.power_w for short, block in blocks.items() if short != "control"}
    design = m.design
    return powers | {
        **{f"t1-{short}-area": block.area_mm2 for short, block in blocks.items()},
        "t1-hn-area-gates": m.gate_chip.block("HN array").area_mm2,
        "t1-hn-area-synthesis": hwsim.hn_array(m.spec, design, m.synthesised)[0],
        "t1-hn-power-leakage": blocks["hn"].area_mm2 * m.technology.leakage_w_per_mm2,
        "t1-link-power-phy": m.gate_chip.block("interconnect engine").power_w,
        "t1-total-area": m.chip.area_mm2,
        "t1-total-power": m.chip.power_w,
        "t1-average-density": m.chip.power_w / m.chip.area_mm2,
        "t1-reticle": hwsim.fit_design(m.spec, design, m.technology).chips,
        "t1-reticle-synthesis": hwsim.fit_design(m.spec, design, m.synthesised).chips,
        "sys-clock-two-stages": _clock_hz(m, "layer_me_levels") / 1e9,
        "sys-clock-three-stages": _clock_hz(m, "layer_me_staged_levels") / 1e9,
        "sys-links": design.chips * design.links_per_chip / 2,
        "sys-buffer": design.buffer_bytes / 1e6,
        "sys-buffer-bandwidth": design.buffer_bandwidth_bytes_per_s / 1e12,
        "sys-hbm": design.hbm_bytes / 1e9,
        "sys-columns": m.spec.vocab_size / design.chips,
        "sys-weights-per-chip": models.parameters(m.spec).total * _WEIGHT_BITS / design.chips / 1e9,
        "sys-wafer-share": m.chip.area_mm2 * design.chips / INSCRIBED_MM2,
        "v1-mm2": m.chip.area_mm2 * design.chips,
    }


def _table_2(m: _Machine) -> dict[str, float]:
    published = _simulate(m, CONTEXTS["2k"], "as-published")
    pipelined = _simulate(m, CONTEXTS["2k"], "pipelined")
    two_stages = replace(m, design=replace(m.design, clock_hz=_clock_hz(m, "layer_me_levels")))
    ours = {
        "t2-hnlpu-tokens": published.tokens_per_s,
        "t2-hnlpu-tokens-pipelined": pipelined.tokens_per_s,
        "t2-hnlpu-tokens-clock": _simulate(two_stages, CONTEXTS["2k"], "as-published").tokens_per_s,
        "t2-hnlpu-area": published.area_mm2,
        "t2-hnlpu-power": published.power_w / 1e3,
        "t2-hnlpu-rack": m.design.rack_units,
        "t2-hnlpu-energy": published.tokens_per_kj,
        "t2-hnlpu-density": published.tokens_per_s_mm2,
        "t2-slots": m.design.stages_per_layer * m.spec.layers,
        # 1K in, 1K out: positions average 1,024 over prefill and decode; the links do not depend on it.
        "t2-tokens-1k1k": _simulate(m, 1024, "pipelined").tokens_per_s,
    }
    for name in hwsim.DEFAULT_OPPONENTS:
        book = hwsim.machine_book(name)
        measured = book.value("measured_tokens_per_s", "token/s")
        area_mm2, power_w = book.value("area_mm2", "mm**2"), book.value("power_w", "W")
        ours |= {
            f"t2-{name}-tokens": measured,
            f"t2-{name}-area": area_mm2,
            f"t2-{name}-power": power_w / 1e3,
            f"t2-{name}-rack": book.value("rack_units", "1"),
            f"t2-{name}-energy": measured / power_w * 1e3,
            f"t2-{name}-density": measured / area_mm2,
        }
    roofline = hwsim.simulate_accelerator(m.spec, hwsim.load_accelerator(), context=CONTEXTS["2k"])
    return ours | {"t2-h100-roofline": roofline.tokens_per_s}


def _density(m: _Machine) -> dict[str, float]:
    fmt = hwsim.weight_format("fp4", m.gates)
    weights = models.parameters(m.spec).total
    layer = hwsim.cell_embedding(LAYER_INPUTS, LAYER_INPUTS, fmt, m.gates)
    naive_mm2 = m.gates.logic_area_mm2(layer.transistors_per_weight * weights)
    array = m.chip.block("HN array").area_mm2
    neuron = hwsim.metal_embedding(LAYER_INPUTS, LAYER_INPUTS, fmt, m.gates, slack=m.design.popcnt_slack)
    per_weight_um2 = array / m.chip.hn_weights * 1e6
    synthesis = load_book("synthesis", BOOKS)
    measured = {name: synthesis.value(name, "transistor") for name in _SYNTHESISED}
    return {
        "ce-transistors": layer.transistors_per_weight,
        "ce-transistors-synthesis": measured["layer_ce_transistors"],
        "me-hnlpu-transistors-synthesis": measured["layer_me_transistors"],
        "fig12-density-gain-synthesis": measured["operator_ce_transistors"] / measured["operator_me_transistors"],
        "fig12-density-gain-layout": synthesis.value("layout_ce_over_me", "1"),
        "ce-naive-area": naive_mm2,
        "ce-naive-chips": naive_mm2 / m.gates.reticle_area_mm2,
        "me-per-weight": per_weight_um2,
        "me-hnlpu-transistors": neuron.transistors_per_weight,
        "fig12-routing-plans": load_book("wiring", BOOKS).value("routing_utilisation", "1"),
        "fig12-routing": hwsim.routing_demand(LAYER_INPUTS, per_weight_um2, m.technology).utilisation,
    }


def _operator(m: _Machine) -> dict[str, float]:
    fmt = hwsim.weight_format("fp4", m.technology)
    shared: dict[str, Any] = {"weights": fmt, "technology": m.technology, "clock_hz": m.design.clock_hz}
    slack: dict[str, Any] = {"slack": m.design.popcnt_slack}
    ma, ce = hwsim.mac_array(**OPERATOR, **shared), hwsim.cell_embedding(**OPERATOR, **shared)
    me = hwsim.metal_embedding(**OPERATOR, **shared, **slack)
    sram_mm2, wire_j = m.technology.sram_area_mm2(ma.sram_bits), m.technology.wire_j_per_bit
    return {
        "fig12-ce-sram": ce.area_mm2 / sram_mm2,
        "fig12-me-sram": me.area_mm2 / sram_mm2,
        "fig12-density-gain": ce.area_mm2 / me.area_mm2,
        "fig12-area-cut": 1.0 - me.area_mm2 / ce.area_mm2,
        **{f"fig13-{c.kind.lower()}-cycles": c.cycles for c in (ma, ce, me)},
        **{f"fig13-{c.kind.lower()}-energy": c.energy_j * 1e9 for c in (ma, ce, me)},
        "fig13-me-energy-wires": me.weights * (1.0 - fmt.zero_fraction) * m.design.activation_bits * wire_j * 1e9,
        "fig13-ce-over-me": ce.energy_j / me.energy_j,
        "fig13-leakage": ce.leakage_j / ce.energy_j,
    }


def _figure_14(m: _Machine) -> dict[str, float]:
    ours: dict[str, float] = {}
    for name, context in CONTEXTS.items():
        shares = _simulate(m, context, "as-published").breakdown
        ours |= {f"fig14-{name}-{part}": share for part, share in shares.items()}
    ours["fig14-ratio"] = ours["fig14-2k-communication"] / ours["fig14-2k-projection"]
    for name in ("64k", "256k"):
        full = hwsim.simulate_hardwired(
            m.spec, m.design, m.technology, context=CONTEXTS[name], reading="pipelined", sliding_window=False
        )
        ours[f"fig14-{name}-vex"] = full.tokens_per_s
    return ours


def _clock_hz(m: _Machine, levels: str) -> float:
    """Return the clock at which the deepest stage of the widest neuron closes, by its full-adder delays."""
    deepest = load_book("synthesis", BOOKS).value(levels, "1")
    return float(m.technology.usable_cycle / (deepest * m.technology.full_adder_delay_s))


def _simulate(m: _Machine, context: int, reading: str) -> hwsim.SimResult:
    return hwsim.simulate_hardwired(m.spec, m.design, m.technology, context=context, reading=reading)
