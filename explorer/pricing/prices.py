"""The books that price a machine: a cost book, the costs of bought machines, and the node of a process."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import costmodel
import hwsim
import models
from costmodel import Conventions, Device, System
from explorer.pricing.rates import DECODING, RATED, with_rate
from hwbase import Book, InputError, Quantity, Reader, unknown_name
from hwbase.arguments import checked
from hwbase.errors import shown

Machine = str | Path | Book
Convention = str | Path | Conventions
#: The name of the machine that the conventions set beside hardwired ones, in studies and sweeps.
GPU = "gpu"

#: The cost book whose sets of machines' constants serve a book of another name.
_DEFAULT_BOOK = "default"
#: The constant that stands for every hardwired module under conventions that say so: that of the paper's GPU.
_FOOTPRINT = "module_carbon_kg"
FOOTPRINT = f"{hwsim.DEFAULT_GPU}.{_FOOTPRINT}"


@checked
def cost_book(
    name_or_path: str | Path, machines: Iterable[Machine] = (hwsim.DEFAULT_GPU,), model: models.LLMSpec | None = None
) -> Book:
    """Return a cost book that holds the constants of bought machines under their names ("h100.power_w").

    Parameters
    ----------
    name_or_path : str or Path
        The cost book.
    machines : iterable of str, Path or Book
        The bought machines. Each machine's book has its constants in sets by the name of a cost book; the sets of
        extended cost books come first, so a set needs only the differences. The footprint of the paper's GPU is always
        among them. A user's file may state constants of other machines that we have too; they are left out.
    model : LLMSpec, optional
        What the machines generate: where no rate of this model is stated, that of decoding is predicted, which
        `with_rate` replaces by that of a workload.

    Raises
    ------
    InputError
        For unknown books, and where a user's book has names that neither it nor a machine has.
    """
    sets: dict[str, dict[str, Quantity]] = {}
    named = [hwsim.machine_book(machine) for machine in machines]
    for machine in named:
        for of, constants in hwsim.machine_costs(machine).items():
            sets.setdefault(of, {}).update({f"{machine.name}.{name}": q for name, q in constants.items()})
    for of, constants in hwsim.machine_costs(hwsim.DEFAULT_GPU).items():
        if _FOOTPRINT in constants:
            sets.setdefault(of, {}).setdefault(FOOTPRINT, constants[_FOOTPRINT])
    book = _loaded(name_or_path, named, sets)
    for machine in named:
        if model is not None and machine.kind in RATED and machine.section("costs"):
            book = with_rate(book, machine, model, DECODING, published=True, strict=False)
    # The order of constants determines their random numbers: those of machines come before the grids.
    grids = {name: quantity for name, quantity in book.items() if name.startswith("grid.")}
    return replace(book, quantities={n: q for n, q in book.items() if n not in grids} | grids)


def own_book(name_or_path: str | Path) -> Book:
    """Return a cost book without the constants of bought machines, which a user's file may state.

    Raises `InputError` as `cost_book` does.
    """
    return _loaded(name_or_path, (), {})


def _loaded(name_or_path: str | Path, machines: Iterable[Book], sets: dict[str, dict[str, Quantity]]) -> Book:
    """Return a cost book beside the `sets` of constants of `machines`.

    A user's file may also state constants of the other machines that we have, which are left out.
    """
    if not str(name_or_path).endswith(".toml"):
        return costmodel.load_book(name_or_path, beside=sets)
    others = sorted({*hwsim.machine_names()} - {machine.name for machine in machines})
    beside = {of: dict(constants) for of, constants in sets.items()}
    for name in others:
        for of, constants in hwsim.machine_costs(name).items():
            known = beside.get(of, {})
            beside[of] = known | {n: q for c, q in constants.items() if (n := f"{name}.{c}") not in known}
    book = costmodel.load_book(name_or_path, beside=beside)
    foreign = tuple(f"{name}." for name in others)
    kept = {name: q for name, q in book.quantities.items() if name == FOOTPRINT or not name.startswith(foreign)}
    correlations = tuple(each for each in book.correlations if {*each.between} <= kept.keys())
    return replace(book, quantities=kept, correlations=correlations)


def replaced_book(
    conventions: Conventions, book: str | Path | None, machines: Iterable[Machine] = (hwsim.DEFAULT_GPU,)
) -> tuple[str, ...]:
    """Return a note where a `book` stands in place of that of the conventions, whose figures it does not have.

    `machines` are those bought, whose constants a book may name, as in `cost_book`.
    """
    if book is None:
        return ()
    used, own = (cost_book(name, list(machines)) for name in (book, conventions.book))
    known = {own.name, *costmodel.book_names()}
    if next((name for name in (used.name, *used.bases) if name in known), "") == own.name:
        return ()
    extends = f", which extends {used.bases[0]}," if used.bases else ""
    return (
        f"constants are those of the book {used.name}{extends} in place of {own.name}, the book of the convention "
        f"{conventions.name}: a book that extends {own.name} keeps its figures",
    )


def with_machines(book: Book, machines: Iterable[Machine], model: models.LLMSpec | None = None) -> Book:
    """Return a loaded cost book with the missing constants of bought machines, as in `cost_book`."""
    whole = cost_book(book.name if book.name in costmodel.book_names() else _DEFAULT_BOOK, machines, model)
    # `book.quantities`, not `book.items()`: a watched book counts what is read through the latter as used.
    return replace(book, quantities={**whole.quantities, **book.quantities})


def device(machine: Machine) -> Device:
    """Return a bought machine for `costmodel`. Raises `InputError` if its book has no prices."""
    book = hwsim.machine_book(machine)
    if not book.section("costs"):
        why = f" ({book.header.unpriced})" if book.header.unpriced else ""
        raise InputError(f"the book of {book.name} has no prices{why}: expected a table [costs.default] in it")
    return Device(book.name, book.header.node)


def card() -> Device:
    """Return the paper's GPU, whose footprint stands for a hardwired module under conventions that say so."""
    return device(hwsim.DEFAULT_GPU)


def without_foreign(overrides: Mapping[str, Any], others: Iterable[Book]) -> dict[str, Any]:
    """Return the overrides of a cost book that apply where none of the machines `others` is bought."""
    foreign = tuple(f"{other.name}." for other in others)
    return {n: value for n, value in overrides.items() if n == FOOTPRINT or not n.startswith(foreign)}


def bought(beside: Machine | None, conventions: Conventions) -> Machine:
    """Return the machine bought in place of a hardwired one: None and "gpu" stand for that of the conventions.

    Raises `InputError` for an unknown name, with "gpu" among the suggestions.
    """
    if beside is None or beside == GPU:
        return conventions.beside
    is_name = isinstance(beside, str) and not beside.endswith(".toml")
    if is_name and str(beside).lower() not in map(str.lower, hwsim.machine_names()):
        raise unknown_name("machine beside", beside, [GPU, *hwsim.machine_names()])
    return beside


def machines_of(
    on: Machine | Sequence[Machine] | None, kinds: Iterable[str], conventions: Conventions
) -> tuple[Book, list[Book]]:
    """Return (the hardwired machine, the others) of machines of these `kinds`, by name or book.

    As `sides_of`; raises `InputError` for two hardwired ones too.
    """
    hard, others = sides_of(on, kinds, conventions)
    if len(hard) > 1:
        raise InputError(f"machines {hard[0].name!r} and {hard[1].name!r} are both hardwired: expected one of them")
    return hard[0], others


def sides_of(
    on: Machine | Sequence[Machine] | None, kinds: Iterable[str], conventions: Conventions
) -> tuple[list[Book], list[Book]]:
    """Return (the hardwired machines, the others) of machines of these `kinds`, by name or book.

    Without a hardwired one the paper's machine is added, and without others that of the conventions. Raises
    `InputError` for unknown machines, and for a repeated one.
    """
    books = [hwsim.machine_book(machine, kinds) for machine in listed_machines(on)]
    names = [book.name for book in books]
    if twice := [name for at, name in enumerate(names) if name in names[:at]]:
        raise InputError(f"machine {twice[0]!r} is given twice: expected once")
    hard = [book for book in books if book.kind == "hardwired"]
    others = [book for book in books if book.kind != "hardwired"]
    return hard or [hwsim.design_book()], others or [hwsim.machine_book(conventions.beside)]


def listed_machines(on: Machine | Sequence[Machine] | None) -> list[Machine]:
    """Return one machine, several or none as a list."""
    if on is None:
        return []
    if isinstance(on, (str, Path, Book)):
        return [on]
    if not isinstance(on, Sequence):
        raise InputError(f"on = {shown(on)}: expected a machine, or a list of them")
    return list(on)


def node_of(technology: Book, costs: Book) -> str:
    """Return the cost book's node for a technology, from the technology's book.

    Raises `InputError` if it names none, or one that the cost book does not have.
    """
    node = technology.header.node
    known = costmodel.nodes(costs)
    if not node:
        names = ", ".join(known)
        raise InputError(f"technology {technology.name!r} names no node: expected node = one of {names} in its [book]")
    if node not in known:
        raise unknown_name(f"node of technology {technology.name!r}:", node, known)
    return node


def published_system(costs: Book | Reader, technology: Book) -> tuple[System, float]:
    """Return (the published system, its tokens per second), which a cost book has under "reference"."""
    read = costs if isinstance(costs, Reader) else costs.reader()
    system = System(
        chips=read("reference.chips", "1"),
        die_area_mm2=read("reference.die_area_mm2", "mm**2"),
        hbm_gb_per_chip=read("reference.hbm_gb_per_chip", "GB"),
        chip_power_w=read("reference.chip_power_w", "W"),
        node=node_of(technology, read.book),
        system_power_w=read("reference.system_power_w", "W"),
    )
    return system, read("reference.tokens_per_s", "token/s")
