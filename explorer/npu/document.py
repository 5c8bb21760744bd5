"""Pages about a spatial accelerator: a network at several widths, and the clocks of each layer."""

from functools import partial
from typing import Any

import models
from explorer.documents.document import Document, Section, sections
from explorer.documents.sections import assumptions_section, reproduce_section
from explorer.documents.tables import Column, Table, flag, quantity_table, scaled_table
from explorer.documents.theme import machine_name
from explorer.npu.answer import NetworkAnswer
from hwbase.check import integer
from hwbase.numbers import money, percent, plain, si, with_unit, words
from hwsim import SimResult
from hwsim.npu.bits import bits_of
from hwsim.npu.decoding import Machine, decoding_run
from hwsim.npu.run import NetworkRun

#: Columns of the table of layers: clocks of all repeats, by cause.
_CAUSES = {
    "cycles": "cycles",
    "useful_cycles": "useful",
    "idle_cycles": "idle",
    "fill_cycles": "filling",
    "weight_stall_cycles": "weights",
    "input_stall_cycles": "inputs",
    "output_stall_cycles": "outputs",
    "latency_stall_cycles": "latency",
}
_LEVELS = {"elements_j": "elements", "buffers_j": "buffers", "memory_j": "DRAM", "leakage_j": "leakage"}
_AREAS = {"elements_mm2": "elements", "buffers_mm2": "buffers", "memory_phy_mm2": "DRAM PHY", "other_mm2": "other"}
_LIMITS = (
    "Predicted. Norms, softmax and activations pass at the array's rate and take no clocks of their own; each product "
    "reads its inputs from DRAM and writes its outputs there."
)


def network_document(answer: NetworkAnswer, command: str, *, cycles: bool = False) -> Document:
    """Return a network on an accelerator as a document; with `cycles` a table of all layers as well."""
    run, silicon = answer.run, answer.silicon
    name = machine_name(answer.machine)
    lines: tuple[tuple[Any, ...], ...] = (
        ("weights fit DRAM", lambda each: flag("pass" if each.fits else "FAIL")),
        ("time of a run", lambda each: si(each.seconds, "s")),
        ("cycles", lambda each: plain(each.cycles)),
        ("energy of a run", lambda each: si(each.energy_j, "J")),
        ("mean weight bits", lambda each: plain(each.mean_bits())),
        ("mean activation bits", lambda each: plain(each.mean_bits("activation_bits"))),
        ("DRAM traffic", lambda each: si(each.total("traffic", "memory_bytes"), "B")),
        ("silicon", lambda each: with_unit(each.area.total_mm2, "mm2")),
        ("die and package", lambda _: money(silicon.recurring_usd)),
        ("NRE", lambda _: money(silicon.nre_usd)),
        ("making it", lambda _: with_unit(silicon.kg_co2e, "kgCO2e")),
    )
    return Document(
        f"{answer.network} on {name}",
        f"{answer.chosen}, {plain(answer.batch)} image{'s' if answer.batch > 1 else ''} a run. {_LIMITS}",
        sections(
            Section("figures", "Figures", (quantity_table("Figures", lines, {answer.chosen: run}),)),
            Section("widths", "What fewer bits gain, and where it goes", (_widths(answer), _shares(run))),
            Section("parts", "Energy and silicon by part", (_energies(run), _areas(run))),
            Section("cycles", "Clocks of each layer", (cycles_table(run),)) if cycles else None,
            assumptions_section({name: run.assumptions}),
            reproduce_section(command),
        ),
        data=answer.to_dict,
        schema="simulate-network",
        frame=partial(NetworkRun.to_frame, run),
    )


def decoding_cycles(model: Any, machine: Machine, result: SimResult, allocation: str | None) -> NetworkRun:
    """Return a step that decodes, layer by layer, at the context and batch of a simulation.

    Raises `InputError` where these are arrays.
    """
    context, batch = integer("context", result.context), integer("batch", result.batch)
    return decoding_run(models.spec_of(model), machine, context=context, batch=batch, allocation=bits_of(allocation))


def cycles_table(run: NetworkRun) -> Table:
    """Return the clocks of every layer by cause; layers that are equal but for their names are one row."""
    rows = []
    for each, times in run.alike:
        product = each.product
        shape = f"{product.tokens:,} x {product.inputs:,} x {product.outputs:,}"
        widths = f"W{product.weight_bits}A{product.activation_bits}"
        clocks = (plain(round(getattr(each.timing, name) * times)) for name in _CAUSES)
        rows.append((product.name, plain(times), shape, widths, *clocks))
    texts = (Column("layer", numeric=False), Column("times"), Column("product"), Column("bits"))
    caption = "Clocks of layers, equal ones as one: useful, idle elements, filling, waiting for DRAM by what it moves"
    return Table(caption, (*texts, *(Column(label) for label in _CAUSES.values())), tuple(rows))


def _widths(answer: NetworkAnswer) -> Table:
    return scaled_table("Widths", answer.widths_frame())


def _shares(run: NetworkRun) -> Table:
    rows = tuple((words(cause), percent(share)) for cause, share in run.shares().items())
    return Table("Where the clocks go", (Column("cause", numeric=False), Column("share")), rows)


def _energies(run: NetworkRun) -> Table:
    rows = tuple((label, si(run.total("energy", name), "J")) for name, label in _LEVELS.items())
    return Table("Energy of a run", (Column("level", numeric=False), Column("energy")), rows)


def _areas(run: NetworkRun) -> Table:
    rows = tuple((label, with_unit(getattr(run.area, name), "mm2")) for name, label in _AREAS.items())
    return Table("Silicon", (Column("part", numeric=False), Column("area")), rows)
