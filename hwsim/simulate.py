"""The front door: a model by name on a machine by name."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
from hwbase import Book, InputError, Quantity, load_book, unknown_name
from hwbase.check import Number
from hwsim.accelerator import load_accelerator, simulate_accelerator
from hwsim.chip import fit_design
from hwsim.design import HardwiredDesign, design_book, load_design
from hwsim.hardwired import READINGS, simulate_hardwired
from hwsim.results import SimResult
from hwsim.technology import BOOKS, Technology, load_technology, technology_book

#: Machines by name; a user's book goes in by `book`.
MACHINES = ("hnlpu", "h100", "wse3")
#: The process of the HNLPU paper, with the density that its tables imply.
DEFAULT_TECHNOLOGY = "n5-asplos26"


def simulate(
    model: str | models.LLMSpec,
    on: str = "hnlpu",
    *,
    context: Number = 2048,
    batch: Number | None = None,
    prompt: Number | None = None,
    reading: str = "as-published",
    sliding_window: bool | None = None,
    weights: str = "fp4",
    technology: str | Path = DEFAULT_TECHNOLOGY,
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
) -> SimResult:
    """Return the speed, energy and size of `model` on the machine `on`.

    `model` is a name of the zoo, a TOML or config.json path, or a spec. `on` is "hnlpu", "h100" or "wse3". On hnlpu the
    grid is the smallest that holds the model (4 x 4 for gpt-oss-120b) unless `set` gives rows and columns.
    `weights` is the hardwired format, "fp4" or "int1" .. "int8"; `technology` names the technology book, `book` a
    user's book that extends the machine's, and `set` overrides single constants of either. `reading` is "as-published"
    or "pipelined" (hnlpu only). `context`, `batch` and overridden constants may be arrays. Raises `InputError` for
    whatever cannot be used.

    >>> run = simulate("gpt-oss-120b", context=65536, reading="pipelined")
    >>> print(f"{run.tokens_per_s:,.0f} tokens/s on {run.chips} chips, bound by {run.bound_by}")
    26,813 tokens/s on 16 chips, bound by vex
    """
    spec = models.load(model) if isinstance(model, (str, Path)) else model
    if on not in MACHINES:
        raise unknown_name("machine", on, MACHINES)
    if reading not in READINGS:
        raise unknown_name("reading", reading, READINGS)
    if on != "hnlpu":
        reader = load_book(book or on, BOOKS).override(set or {}).reader()
        device = load_accelerator(reader=reader)
        result = simulate_accelerator(spec, device, context=context, batch=batch, prompt=prompt)
        return replace(result, assumptions=dict(reader.used))
    design, tech, used = hardwired(spec, weights=weights, technology=technology, book=book, set=set)
    result = simulate_hardwired(
        spec,
        design,
        tech,
        context=context,
        batch=batch,
        prompt=prompt,
        reading=reading,
        sliding_window=sliding_window,
    )
    return replace(result, assumptions=used)


def hardwired(
    spec: models.LLMSpec,
    *,
    weights: str = "fp4",
    technology: str | Path | Book = DEFAULT_TECHNOLOGY,
    book: str | Path | Book | None = None,
    set: Mapping[str, Any] | None = None,
    fit: Callable[[models.LLMSpec, HardwiredDesign, Technology], HardwiredDesign] = fit_design,
) -> tuple[HardwiredDesign, Technology, dict[str, Quantity]]:
    """Return (design, technology, constants read) of the HNLPU sized for `spec`, with overrides in place.

    Keys of `set` name constants of the design or of the technology book; the grid grows or shrinks to the model, by
    `fit`, unless rows and columns are among them. Raises `InputError` for a key that neither book has.
    """
    machine = book if isinstance(book, Book) else design_book(book or "hnlpu")
    process = technology if isinstance(technology, Book) else technology_book(technology)
    for_design: dict[str, Any] = {}
    for_process: dict[str, Any] = {}
    for key, value in (set or {}).items():
        if key not in machine and key not in process:
            raise unknown_name("constant", key, [*machine, *process])
        (for_design if key in machine else for_process)[key] = value
    read_machine, read_process = machine.override(for_design).reader(), process.override(for_process).reader()
    design, tech = load_design(reader=read_machine, weight_format=weights), load_technology(reader=read_process)
    if not {"rows", "columns"} & for_design.keys():
        design = fit(spec, design, tech)
    elif not {"rows", "columns"} <= for_design.keys():
        raise InputError("rows and columns of the grid go together: set both or neither")
    return design, tech, {**read_machine.used, **read_process.used}
