"""What is put beside frozen weights: adapters of low rank, and a small draft model on the same chips. Closed form.

An adapter of rank r adds B A to a matrix of n inputs and m outputs: r (n + m) weights (Hu et al., LoRA, ICLR 2022,
arXiv 2106.09685). Those of the matrices of attention (and of dense layers, not of experts) lie in SRAM or HBM; the VEX
multiplies them, and each sum of r elements is exchanged once over a link.

A draft proposes g tokens, which the large model verifies together; a step keeps k tokens in the mean (see
`hwsim.gpu.speculation`). A pipelined machine has a slot for each token, so a kept token takes (g + 1)/k slots of the
large model and g/k of the draft.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from hwbase import InputError, Record
from hwbase.check import Number, count, fraction, number, positive
from hwsim.arrays import hn_array, static_w_per_mm2
from hwsim.chip import Block, Chip, build_chip
from hwsim.design import HardwiredDesign
from hwsim.gpu.speculation import tokens_per_step
from hwsim.hardwired import held_sequences, machine_power_w
from hwsim.mapping import Matrix, matrices
from hwsim.occupancy import Occupancy, occupancy, unloaded_path
from hwsim.technology import Technology
from models import LLMSpec
from models.memory import BITS_PER_BYTE

#: Where adapters may lie.
MEMORIES = ("sram", "hbm")
#: Matrices that all tokens use and that adapters leave alone.
_NOT_ADAPTED = ("router", "unembedding")
_RESOURCES = ("links", "hn", "vex", "buffer", "hbm")


@dataclass(frozen=True)
class Machine(Record):
    """A hardwired machine with what is put beside its weights. Numbers may be arrays."""

    tokens_per_s: Number
    """With every slot full."""
    latency_alone_s: Number
    """Between two tokens of one user alone."""
    energy_j_per_token: Number
    power_w: Number
    die_area_mm2: Number
    added_mm2: Number
    """Area of a chip that was added."""
    added_bytes: Number
    """Memory of a chip that was added."""
    bound_by: str
    fits_reticle: bool


def plain_machine(
    model: LLMSpec, design: HardwiredDesign, technology: Technology, *, context: Number = 2048
) -> Machine:
    """Return the machine with nothing added: the pipelined figures of `hwsim.simulate_hardwired` with full slots."""
    chip, running = build_chip(model, design, technology), _running(model, design, context)
    alone_s, full_s = (_path_s(model, design, technology, context, each) for each in (1, running))
    return _machine(design, chip, occupancy(model, design, context, running, True), alone_s, full_s / running)


def adapter_weights(model: LLMSpec, rank: Number) -> Number:
    """Return the weights of an adapter of `rank` on every matrix that all tokens use.

    >>> import models
    >>> float(adapter_weights(models.spec_of("llama-3-8b"), 0))
    0.0
    """
    return sum(each.layers * each.copies * (each.inputs + each.outputs) for each in _adapted(model)) * count(
        "adapter.rank", rank, low=0, high=1e5
    )


def with_adapters(
    model: LLMSpec,
    design: HardwiredDesign,
    technology: Technology,
    *,
    rank: Number,
    memory: str = "sram",
    kept: Number = 1,
    element_bytes: Number = 2,
    hbm_read_j_per_bit: Number = 0.0,
    context: Number = 2048,
) -> Machine:
    """Return the machine with adapters beside its weights.

    Parameters
    ----------
    model : LLMSpec
    design : HardwiredDesign
    technology : Technology
    rank : int or array
        0 is none.
    memory : str
        One of `MEMORIES`.
    kept : int or array
        Adapters that are kept; each token uses one.
    element_bytes : float or array
        Bytes of an adapter's weight.
    hbm_read_j_per_bit : float or array
        Energy of a bit read from HBM.
    context : int or array
        Positions that a token attends to.

    Returns
    -------
    Machine

    Raises
    ------
    InputError
        For an unknown memory, numbers out of range, and adapters that do not fit the HBM.
    """
    if memory not in MEMORIES:
        raise InputError(f"adapter memory = {memory!r}: expected one of {', '.join(MEMORIES)}")
    weights = adapter_weights(model, rank)
    each = weights * number("adapter.element_bytes", element_bytes, above=0.0, high=64) / design.chips
    held = each * count("adapter.kept", kept, high=1e9)
    if memory == "hbm" and np.any(held > design.hbm_bytes):
        raise InputError(
            f"adapters of rank {np.max(rank):g}: {np.max(held):,.0f} bytes a chip, "
            f"HBM has {np.max(design.hbm_bytes):,.0f}"
        )
    bits, running = each * BITS_PER_BYTE, _running(model, design, context)
    chip, per_token = build_chip(model, design, technology), occupancy(model, design, context, running, True)
    area = technology.sram_area_mm2(held * BITS_PER_BYTE) if memory == "sram" else 0.0 * held
    read_j = technology.sram_read_energy_j_per_bit if memory == "sram" else hbm_read_j_per_bit
    vex_s = weights / design.chips / design.vex_macs / design.clock_hz
    sums = sum(matrix.layers * matrix.copies for matrix in _adapted(model)) * np.asarray(rank)
    link_s = np.where(design.chips > 1, sums * design.link_element_bytes / design.grid_bandwidth_bytes_per_s, 0.0)[()]
    hbm_s = each / np.maximum(design.hbm_bandwidth_bytes_per_s, 1.0) if memory == "hbm" else 0.0
    more = replace(
        per_token,
        grid_links=per_token.grid_links + link_s,
        links_mean=per_token.links_mean + link_s,
        vex_nonlinear=per_token.vex_nonlinear + vex_s,
        hbm=per_token.hbm + hbm_s,
    )
    # A step more for the sums of each matrix's place in the chain of a layer.
    places = {(matrix.depth, float(np.max(matrix.layers))) for matrix in _adapted(model)}
    steps = np.where(np.asarray(rank) > 0, sum(layers for _, layers in places) * (design.chips > 1), 0.0)[()]
    added_s = vex_s + hbm_s + link_s + steps * design.hop_s
    alone_s, full_s = (_path_s(model, design, technology, context, n) + added_s for n in (1, running))
    # Reads are busy as long as the slowest resource, so that their energy is that of each token.
    busy_s = np.maximum(_interval(more), full_s / running)
    grown = replace(chip, blocks=(*chip.blocks, Block("adapters", area, bits * read_j / busy_s, 0.0, "hn")))
    return _machine(design, grown, more, alone_s, full_s / running, area, held)


def with_draft(
    model: LLMSpec,
    draft: LLMSpec,
    design: HardwiredDesign,
    technology: Technology,
    *,
    tokens: Number,
    acceptance: Number,
    context: Number = 2048,
) -> Machine:
    """Return the machine with a draft model hardwired on the same chips.

    Parameters
    ----------
    model, draft : LLMSpec
        The large model, and the small one with the same vocabulary.
    design : HardwiredDesign
        Of the large model; the draft takes the same grid, its matrices beside the others.
    technology : Technology
    tokens : int or array
        Tokens drafted for each step; 0 is no draft.
    acceptance : float or array
        Probability that a drafted token is kept if those before it were.
    context : int or array
        Positions that a token attends to.

    Returns
    -------
    Machine

    Raises
    ------
    InputError
        For numbers out of range.
    """
    drafted = np.asarray(count("draft.tokens", tokens, low=0, high=1024), float)[()]
    kept = tokens_per_step(drafted, fraction("draft.acceptance", acceptance))
    chip = build_chip(model, design, technology)
    array, _ = hn_array(draft, design, technology)
    area = np.where(drafted > 0, array, 0.0)[()]
    grown = replace(
        chip, blocks=(*chip.blocks, Block("draft", area, area * static_w_per_mm2(design, technology), 0.0, "hn"))
    )
    running = _running(model, design, context)
    large, small = (occupancy(each, design, context, running, True) for each in (model, draft))

    def both(name: str) -> Number:
        return ((drafted + 1.0) * getattr(large, name) + drafted * getattr(small, name)) / kept

    names = [each.name for each in fields(Occupancy) if each.name != "even"]
    per_token = Occupancy(**{name: both(name) for name in names}, even=large.even)

    def step_s(sequences: Number) -> Number:
        large_s, small_s = (_path_s(each, design, technology, context, sequences) for each in (model, draft))
        # Verified tokens follow each other through the pipeline.
        return large_s + drafted * _interval(large) + drafted * small_s

    # Slots hold the tokens of a step; a sequence waits for its drafts meanwhile.
    least_s = step_s(running) / kept / np.maximum(running / (drafted + 1.0), 1.0)
    return _machine(design, grown, per_token, step_s(1) / kept, least_s, area)


def _adapted(model: LLMSpec) -> list[Matrix]:
    return [matrix for matrix in matrices(model, 1, 1) if matrix.active == 1.0 and matrix.name not in _NOT_ADAPTED]


def _running(model: LLMSpec, design: HardwiredDesign, context: Number) -> Number:
    """Return the sequences of a full machine: those that slots and memory hold."""
    return np.minimum(design.stages_per_layer * model.layers, held_sequences(model, design, context, True))


def _path_s(
    model: LLMSpec, design: HardwiredDesign, technology: Technology, context: Number, sequences: Number
) -> Number:
    """Return the seconds of a token alone on its way, where the machine holds so many sequences."""
    return sum(unloaded_path(model, design, technology, context, True, sequences).values())


def _interval(per_token: Occupancy) -> Number:
    return np.max(np.stack(np.broadcast_arrays(*(getattr(per_token, name) for name in _RESOURCES))), axis=0)[()]


def _machine(
    design: HardwiredDesign,
    chip: Chip,
    per_token: Occupancy,
    alone_s: Number,
    least_s: Number,
    added_mm2: Number = 0.0,
    added_bytes: Number = 0.0,
) -> Machine:
    full_s = _interval(per_token)
    interval_s = np.maximum(full_s, least_s)
    power = machine_power_w(chip, design, per_token, interval_s, "pipelined")
    slowest = max(_RESOURCES, key=lambda name: float(np.max(getattr(per_token, name))))
    return Machine(
        tokens_per_s=1.0 / positive("interval_s", interval_s),
        latency_alone_s=alone_s,
        energy_j_per_token=power / (1.0 / interval_s),
        power_w=power,
        die_area_mm2=chip.area_mm2,
        added_mm2=added_mm2,
        added_bytes=added_bytes,
        bound_by="latency" if np.all(interval_s > full_s) else slowest,
        fits_reticle=bool(np.all(chip.fits_reticle)),
    )
