"""The front door: a model by name on a machine by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import models
from hwbase import Book, InputError, Quantity, Reader, unknown_name
from hwbase.books import Level, missing_fields
from hwbase.check import Number, count, shapes
from hwbase.errors import shown
from hwbase.values import read_count
from hwsim.accelerator import DEFAULT_ENGINE, Accelerator, accelerator_book, load_accelerator
from hwsim.chip import fit_design
from hwsim.design import HardwiredDesign, design_book, load_design
from hwsim.gpu.decoding import simulate_accelerator
from hwsim.hardwired import READINGS, simulate_hardwired
from hwsim.machine_books import COSTS, DEFAULT_MACHINE, machine_book
from hwsim.npu.bits import bits_of
from hwsim.npu.decoding import npu_machine, simulate_npu
from hwsim.npu.design import KIND as NPU
from hwsim.npu.design import Npu
from hwsim.occupancy import UNPUBLISHED
from hwsim.pipeline import check_stages
from hwsim.results import SimResult
from hwsim.technology import DEFAULT_TECHNOLOGY, Technology, load_technology, technology_book
from hwsim.wafer import Wafer, load_wafer, simulate_wafer

#: Constants of a GPU's book: measured times over ours, whose low and high are 5 and 95 % of measured points.
TOKEN_TIME, FIRST_TOKEN = "time_per_output_token_factor", "time_to_first_token_factor"
_ENDS: tuple[Level, Level] = ("low", "high")
#: The constants of a grid, which go together.
SIDES = ("rows", "columns")


def simulate(
    model: str | Path | models.LLMSpec,
    on: str | Path | Book = DEFAULT_MACHINE,
    *,
    context: Number = 2048,
    batch: Number | None = None,
    prompt: Number | None = None,
    gpus: Number | None = None,
    engine: str = DEFAULT_ENGINE,
    reading: str | None = None,
    sliding_window: bool | None = None,
    weights: str = "fp4",
    technology: str | Path | Book = DEFAULT_TECHNOLOGY,
    allocation: str | Path | Mapping[str, Any] | None = None,
    book: str | Path | Book | None = None,
    set: Mapping[str, Any] | None = None,
) -> SimResult:
    """Return the speed, energy and size of `model` on the machine `on`, by the simulator for machines of its kind.

    Parameters
    ----------
    model : str, Path or LLMSpec
        A model of the zoo by name, a TOML spec or a Hugging Face config.json by path, or a spec.
    on : str, Path or Book
        A machine of `hwsim.machines()` by name, or a machine's book by path. A hardwired machine has the smallest grid
        of chips that holds the model (4 x 4 for gpt-oss-120b) unless `set`, or a book of the user's, gives rows and
        columns.
    context : int, str or array
        Positions of a sequence, also as "64K"; `batch` and `prompt` likewise.
    batch : int or array, optional
        Sequences that decode together; a hardwired machine's token slots, or 1, unless given.
    prompt : int or array, optional
        Prompt tokens, for the time to first token; `context` unless given.
    gpus : int or array, optional
        GPUs or wafers that serve the model; the fewest that hold it unless given. Not for hardwired machines.
    engine : str
        The serving engine of GPUs: "vllm", "sglang" or "trtllm".
    reading : str
        "as-published" or "pipelined"; hardwired machines only, as the next three. Unless given, as published for the
        model that the machine's book names, whose figures were published, and pipelined for any other, and for
        other mappings.
    sliding_window : bool, optional
        Whether windowed layers attend to their window alone; the reading decides unless given.
    weights : str
        Format of hardwired weights: "fp4", or "int1" to "int8".
    technology : str, Path or Book
        The book of the process; hardwired machines and spatial accelerators.
    allocation : str, Path or mapping, optional
        Bits of each layer, or the file that `hwsim allocate --out` wrote; spatial accelerators only.
    book : str, Path or Book, optional
        A machine's book to use in place of `on`.
    set : mapping of str to number, array or str
        Constants of the machine or of the technology to override, in their units or with one ("256 GB/s").

    Returns
    -------
    SimResult
        Its numbers broadcast over whatever inputs are arrays.

    Raises
    ------
    InputError
        For whatever cannot be used; the sentence names it.

    Examples
    --------
    >>> run = simulate("gpt-oss-120b", context=65536, reading="pipelined")
    >>> print(f"{run.tokens_per_s:,.0f} tokens/s on {run.chips} chips, bound by {run.bound_by}")
    26,813 tokens/s on 16 chips, bound by vex
    """
    context, batch = read_count("context", context), read_count("batch", batch)
    prompt = read_count("prompt", prompt)
    if set is not None and not isinstance(set, Mapping):
        raise InputError(f"set = {shown(set)}: expected constants by name, such as {{'clock_hz': 1e9}}")
    if odd := [key for key in set or {} if not isinstance(key, str)]:
        raise InputError(f"set has the key {shown(odd[0])}: expected names of constants")
    shapes(context=context, batch=batch, prompt=prompt, gpus=gpus, **(set or {}))
    if gpus is not None:
        count("gpus", gpus)
    spec = models.spec_of(model)
    machine = machine_book(on if book is None else book, SIMULATORS).without(COSTS)
    reading = default_reading(machine, spec, set or {}) if reading is None else reading
    if reading not in READINGS:
        raise unknown_name("reading", reading, READINGS)
    simulator = SIMULATORS[machine.kind]
    check_needs(machine, simulator.needs)
    if allocation is not None and machine.kind != NPU:
        raise InputError(f"allocation: expected none for {machine.name}, bits by layer are of spatial accelerators")
    result = simulator.run(
        spec,
        machine,
        context=context,
        batch=batch,
        prompt=prompt,
        gpus=gpus,
        engine=engine,
        reading=reading,
        sliding_window=sliding_window,
        weights=weights,
        technology=technology,
        allocation=allocation,
        set=set or {},
    )
    notes = (*result.notes, *spec.notes, *_beyond(spec, context))
    return replace(result, kind=machine.kind, label=machine.header.label, notes=notes)


def default_reading(machine: Book, spec: models.LLMSpec, set: Mapping[str, Any]) -> str:
    """Return the reading of a hardwired machine that holds `spec`.

    As published for the model that its book names, unless `set` maps it in a way that was not published.
    """
    published, pipelined = READINGS
    return published if spec.name == machine.header.model and not set.keys() & UNPUBLISHED else pipelined


def _beyond(spec: models.LLMSpec, context: Number) -> tuple[str, ...]:
    """Return a note on contexts beyond what the network is made for, where its configuration says that."""
    longest = np.max(context)
    if not spec.max_context or longest <= spec.max_context:
        return ()
    return (f"{spec.name} is made for {spec.max_context:,} positions: {longest:,.0f} are beyond",)


@dataclass(frozen=True)
class Simulator:
    """What simulates machines of one kind: a function, and the records that a machine's book must fill for it."""

    run: Callable[..., SimResult]
    needs: tuple[type, ...]


def check_needs(machine: Book, records: tuple[type, ...]) -> None:
    """Raise `InputError` for a machine whose book lacks constants that the `records` read."""
    missing = [name for record in records for name in missing_fields(record, machine)]
    if missing:
        raise InputError(f"the book of {machine.name} lacks {', '.join(missing)}: expected them for language models")


def _simulate_hardwired(
    spec: models.LLMSpec,
    machine: Book,
    *,
    gpus: Number | None,
    engine: str,
    weights: str,
    technology: str | Path | Book,
    allocation: None,
    set: Mapping[str, Any],
    **options: Any,
) -> SimResult:
    if gpus is not None or engine != DEFAULT_ENGINE:
        raise InputError(f"gpus and engine are of GPUs: expected none for {machine.name}, which its model sizes")
    design, process, used = hardwired(spec, weights=weights, technology=technology, book=machine, set=set)
    return replace(simulate_hardwired(spec, design, process, **options), assumptions=used)


def _simulate_gpus(
    spec: models.LLMSpec,
    machine: Book,
    *,
    context: Number,
    batch: Number | None,
    prompt: Number | None,
    gpus: Number | None,
    engine: str,
    set: Mapping[str, Any],
    **hardwired_only: Any,
) -> SimResult:
    reader = accelerator_book(machine, engine).override(set).reader()
    device = load_accelerator(reader=reader)
    result = simulate_accelerator(spec, device, context=context, batch=batch, prompt=prompt, devices=gpus)
    return replace(result, bands=_bands(reader, result), assumptions=reader.used)


def _bands(read: Reader, result: SimResult) -> dict[str, tuple[Number, Number]]:
    """Return the 90 % bands of a GPU's speed and latencies, by the errors of our times that its book states."""
    bands: dict[str, tuple[Number, Number]] = {}
    factors = {name: read.book[name] for name in (TOKEN_TIME, FIRST_TOKEN) if name in read.book}
    read.used.update(factors)
    if TOKEN_TIME in factors:
        low, high = (factors[TOKEN_TIME].at(end) for end in _ENDS)
        bands["tokens_per_s"] = result.tokens_per_s / high, result.tokens_per_s / low
        bands["tokens_per_s_per_user"] = result.tokens_per_s_per_user / high, result.tokens_per_s_per_user / low
        bands["latency_s"] = result.latency_s * low, result.latency_s * high
    if FIRST_TOKEN in factors:
        low, high = (factors[FIRST_TOKEN].at(end) for end in _ENDS)
        bands["time_to_first_token_s"] = result.time_to_first_token_s * low, result.time_to_first_token_s * high
    return bands


def _simulate_wafers(
    spec: models.LLMSpec,
    machine: Book,
    *,
    context: Number,
    batch: Number | None,
    prompt: Number | None,
    gpus: Number | None,
    engine: str,
    set: Mapping[str, Any],
    **hardwired_only: Any,
) -> SimResult:
    if engine != DEFAULT_ENGINE:
        raise InputError(f"engine = {engine!r}: expected none for {machine.name}, engines are of GPUs")
    reader = machine.override(set).reader()
    device = load_wafer(reader=reader)
    result = simulate_wafer(spec, device, context=context, batch=batch, prompt=prompt, devices=gpus)
    return replace(result, assumptions=dict(reader.used))


def _simulate_npu(
    spec: models.LLMSpec,
    machine: Book,
    *,
    context: Number,
    batch: Number | None,
    prompt: Number | None,
    gpus: Number | None,
    engine: str,
    technology: str | Path | Book,
    allocation: str | Path | Mapping[str, Any] | None,
    set: Mapping[str, Any],
    **hardwired_only: Any,
) -> SimResult:
    if gpus is not None or engine != DEFAULT_ENGINE:
        raise InputError(f"gpus and engine are of GPUs: expected none for {machine.name}, which is one chip")
    chip = npu_machine(machine, technology=technology, set=set)
    return simulate_npu(spec, chip, context=context, batch=batch, prompt=prompt, allocation=bits_of(allocation))


#: Kinds of machine that run language models in closed form.
SIMULATORS = {
    "hardwired": Simulator(_simulate_hardwired, (HardwiredDesign,)),
    "gpu": Simulator(_simulate_gpus, (Accelerator,)),
    "wafer": Simulator(_simulate_wafers, (Wafer,)),
    NPU: Simulator(_simulate_npu, (Npu,)),
}
#: Those whose constants may be arrays, as reports and uncertainty vary them: tilings are searched for numbers alone.
VARIED = tuple(kind for kind in SIMULATORS if kind != NPU)


def chosen_sides(machine: Book) -> list[str]:
    """Return the sides of a machine's grid that a user has chosen, in a book or by an override."""
    return [name for name in SIDES if machine[name].kind == "user"]


def hardwired(
    spec: models.LLMSpec,
    *,
    weights: str = "fp4",
    technology: str | Path | Book = DEFAULT_TECHNOLOGY,
    book: str | Path | Book = DEFAULT_MACHINE,
    set: Mapping[str, Any] | None = None,
    fit: Callable[[models.LLMSpec, HardwiredDesign, Technology], HardwiredDesign] = fit_design,
) -> tuple[HardwiredDesign, Technology, dict[str, Quantity]]:
    """Return (design, technology, constants read) of a hardwired machine sized for `spec`, with overrides in place.

    Parameters
    ----------
    spec : LLMSpec
        The model that the machine holds.
    weights : str
        Format of the hardwired weights: "fp4", or "int1" to "int8".
    technology : str, Path or Book
        The book of the process.
    book : str, Path or Book
        The book of the machine.
    set : mapping of str to number, array or str
        Constants of the machine or of the technology to override. Unless rows and columns are among them, or the book
        has them of a user, the grid grows or shrinks to the model.
    fit : callable
        Returns the design with the grid for (spec, design, technology); the smallest that holds the model by default.

    Raises
    ------
    InputError
        For a constant that neither book has, and rows without columns.
    """
    machine = design_book(book)
    process = technology_book(technology)
    for_design: dict[str, Any] = {}
    for_process: dict[str, Any] = {}
    for key, value in (set or {}).items():
        if key not in machine.settable() and key not in process:
            raise unknown_name("constant", key, [*machine.settable(), *process])
        (for_design if key in machine.settable() else for_process)[key] = value
    read_machine, read_process = machine.override(for_design).reader(), process.override(for_process).reader()
    design, tech = load_design(reader=read_machine, weight_format=weights), load_technology(reader=read_process)
    # Said before a grid is sought for stages without layers.
    check_stages(spec, int(np.max(design.pipeline_stages)))
    chosen = chosen_sides(read_machine.book)
    if not chosen:
        design = fit(spec, design, tech)
    elif len(chosen) < len(SIDES):
        raise InputError("rows and columns of the grid go together: set both or neither")
    return design, tech, {**read_machine.used, **read_process.used}
