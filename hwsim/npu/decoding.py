"""A language model on a spatial accelerator: time of a token and of a prompt, energy, power, silicon."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import Book, InputError, Quantity
from hwbase.books import share_overrides
from hwbase.check import Number, count
from hwsim.machine_books import machine_book
from hwsim.npu.bits import Allocation, allocated
from hwsim.npu.design import Npu, load_npu
from hwsim.npu.language import language_products
from hwsim.npu.product import Product
from hwsim.npu.run import NetworkRun, run_network
from hwsim.results import Check, SimResult
from hwsim.technology import Technology, load_technology, technology_book
from models import LLMSpec, check_decoder, feed_forwards, kv_bytes_per_sequence, mixers, parameters
from models.layers import FeedForward, Mixer

_BITS_PER_BYTE = 8.0
#: A query of a prompt sees half of it on average.
_CAUSAL = 0.5


@dataclass(frozen=True)
class Machine:
    """An accelerator in a process, and the constants that were read for it."""

    design: Npu
    technology: Technology
    used: dict[str, Quantity]


def npu_machine(
    machine: str | Path | Book, *, technology: str | Path | Book, set: Mapping[str, Any] | None = None
) -> Machine:
    """Return the accelerator of a book in a process, with overrides of either's constants in place.

    Raises `InputError` for an unknown constant, and for arrays, which tilings are not searched for.
    """
    book, process = machine_book(machine, ("npu",)), technology_book(technology)
    for name, value in (set or {}).items():
        if np.ndim(value):
            raise InputError(f"{name} has {np.size(value)} values: expected one number for {book.name}")
    for_design, for_process = share_overrides(set or {}, book, process)
    read_design, read_process = book.override(for_design).reader(), process.override(for_process).reader()
    design = load_npu(reader=read_design)
    tech = load_technology(reader=read_process)
    return Machine(design, tech, {**read_design.used, **read_process.used})


def decoding_products(spec: LLMSpec, design: Npu, *, context: int, batch: int) -> list[Product]:
    """Return the products of a step that gives each of `batch` sequences one more token at `context` positions."""
    return language_products(spec, tokens=1, entries=float(context), sequences=batch, **_widths(design))


def prompt_products(spec: LLMSpec, design: Npu, *, prompt: int) -> list[Product]:
    """Return the products of a pass over a prompt of one sequence."""
    return language_products(spec, tokens=prompt, entries=max(prompt * _CAUSAL, 1.0), **_widths(design))


def decoding_run(
    spec: LLMSpec, machine: Machine, *, context: int, batch: int = 1, allocation: Allocation | None = None
) -> NetworkRun:
    """Return a step of decoding, layer by layer.

    Parameters
    ----------
    spec : LLMSpec
    machine : Machine
    context : int
        Positions of each sequence.
    batch : int
        Sequences that decode together.
    allocation : mapping of str to Widths, optional
        Widths by layer; the book's unless given.

    Returns
    -------
    NetworkRun

    Raises
    ------
    InputError
        For a layer without bits, or a tile that does not fit the buffers.
    """
    products = decoding_products(spec, machine.design, context=context, batch=batch)
    return _run(spec, machine, products, allocation)


def simulate_npu(
    spec: LLMSpec,
    machine: Machine,
    *,
    context: Number = 2048,
    batch: Number | None = None,
    prompt: Number | None = None,
    allocation: Allocation | None = None,
) -> SimResult:
    """Return the speed, energy and size of a language model on an accelerator.

    Parameters
    ----------
    spec : LLMSpec
    machine : Machine
    context : int or array
        Positions of each sequence.
    batch : int or array, optional
        Sequences that decode together; 1 unless given.
    prompt : int or array, optional
        Prompt tokens, for the time to first token; `context` unless given.
    allocation : mapping of str to Widths, optional
        Widths by layer; the book's for all layers unless given.

    Returns
    -------
    SimResult
        Its numbers broadcast over the arrays among the inputs.

    Raises
    ------
    InputError
        For numbers out of range, a layer without bits, or a tile that does not fit the buffers.
    """
    check_decoder(spec, "an accelerator that decodes")
    context = count("context", context, high=1e7)
    batch = 1 if batch is None else count("batch", batch, high=1e5)
    prompt = context if prompt is None else count("prompt", prompt, high=1e6)
    points = np.broadcast(context, batch, prompt)
    runs = [_point(spec, machine, int(at), int(sequences), int(read), allocation) for at, sequences, read in points]

    def column(values: list[Any]) -> Any:
        return np.array(values).reshape(points.shape)[()]

    steps = [run for run, _ in runs]
    step_s = column([run.seconds for run in steps])
    joules = column([run.energy_j for run in steps])
    design, die = machine.design, steps[0].area.total_mm2
    held = _weight_bytes(spec, machine.design, allocation)
    kv = kv_bytes_per_sequence(spec, context, design.attention_bits / _BITS_PER_BYTE)
    shares = [run.shares() for run in steps]
    waits = column([sum(value for name, value in share.items() if "stall" in name) for share in shares])
    attention = column([_attention_share(run) for run in steps])
    array_s = column([(run.cycles - run.total("timing", "stall_cycles")) / run.clock_hz for run in steps])
    memory_s = column([run.total("traffic", "memory_bytes") for run in steps])
    memory_s = memory_s / (design.memory_bandwidth_bytes_per_s * design.memory_efficiency)
    bound = np.where(np.greater(memory_s, array_s), "memory bandwidth", "compute")
    return SimResult(
        machine=design.name,
        model=spec.name,
        reading="tiled",
        context=context,
        batch=batch,
        chips=1,
        tokens_per_s=batch / step_s,
        latency_s=step_s,
        interval_s=step_s / batch,
        time_to_first_token_s=column([read.seconds for _, read in runs]),
        energy_j_per_token=joules / batch,
        power_w=joules / step_s,
        area_mm2=die,
        bound_by=bound if bound.ndim else str(bound),
        breakdown={
            "communication": 0.0,
            "nonlinear": 0.0,
            "stall": waits,
            "projection": 1.0 - waits - attention,
            "attention": attention,
        },
        occupancy_s={"array": array_s / batch, "memory bandwidth": memory_s / batch},
        kv_bytes_per_sequence=kv,
        checks=(Check("memory", held + kv * batch, design.memory_bytes, "B"),),
        notes=(
            f"{design.array_rows:g} x {design.array_columns:g} {design.pe} elements, {design.dataflow} stationary, at "
            f"{steps[0].mean_bits():.3g} bits of weight and {steps[0].mean_bits('activation_bits'):.3g} of activation; "
            "norms, softmax and activations pass at the array's rate and take no clocks of their own",
        ),
        assumptions=machine.used,
    )


def _point(
    spec: LLMSpec, machine: Machine, context: int, batch: int, prompt: int, allocation: Allocation | None
) -> tuple[NetworkRun, NetworkRun]:
    step = decoding_run(spec, machine, context=context, batch=batch, allocation=allocation)
    return step, _run(spec, machine, prompt_products(spec, machine.design, prompt=prompt), allocation)


def _run(spec: LLMSpec, machine: Machine, products: list[Product], allocation: Allocation | None) -> NetworkRun:
    if allocation is not None:
        products = allocated(products, allocation)
    return run_network(spec.name, products, machine.design, machine.technology, assumptions=machine.used)


def _widths(design: Npu) -> dict[str, int]:
    return {name: int(getattr(design, name)) for name in ("weight_bits", "activation_bits", "attention_bits")}


def _attention_share(run: NetworkRun) -> float:
    """Return the share of clocks in which the array works on caches and states."""
    busy = sum(
        (each.timing.cycles - each.timing.stall_cycles) * each.product.repeats
        for each in run.layers
        if not each.product.stored
    )
    return float(busy / run.cycles)


def _weight_bytes(spec: LLMSpec, design: Npu, allocation: Allocation | None) -> float:
    """Return the bytes of all matrices: experts that a step leaves out as well, and a table of tokens of its own."""
    groups: list[Mixer | FeedForward] = [*mixers(spec), *feed_forwards(spec)]
    total = sum(group.layers * matrix.elements for group in groups for matrix in group.matrices)
    counts = parameters(spec)
    if allocation is None:
        bits: float = design.weight_bits
    else:
        products = decoding_products(spec, design, context=1, batch=1)
        weights = {product.name: product.weights * product.repeats for product in products if product.stored}
        bits = sum(allocation[name].weights * size for name, size in weights.items()) / sum(weights.values())
    return (total + counts.unembedding + counts.embedding) * bits / _BITS_PER_BYTE
