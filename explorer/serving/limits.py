"""How far one machine goes: its longest context, most users and best rate within promises of latency and dollars."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import costmodel
import hwsim
import models
from explorer.documents.document import Document, Documented
from explorer.pricing.economics import costs_and_machine, system_of
from explorer.pricing.prices import (
    Convention,
    Machine,
    card,
    cost_book,
    device,
    listed_machines,
    machines_of,
    node_of,
    replaced_book,
)
from explorer.pricing.rates import PAPER_MODEL, RATED, SEQUENCES, SPEED, speed_factor
from hwbase import Book, Quantity, Record
from hwbase.books import refuse_unread
from hwbase.check import real
from hwbase.values import read_integer, read_value
from hwsim.events.gpu.node import NODE_GPUS
from hwsim.simulation import hardwired

if TYPE_CHECKING:
    import pandas as pd

CONTEXT, USERS, RATE = "context", "users", "tokens_per_s"
_MOST_USERS = 1_000_000
#: Relative differences that are rounding.
_ROUNDING = 1e-6
#: Values tried at once between one that keeps the promises and one that does not.
_TRIED = 64
_KINDS = ("hardwired", *RATED)
#: What ends a search at the largest value that is tried, on the axes of `MOST`, where nothing else does.
SEARCHED = "end of the search"
MOST = {CONTEXT: int(hwsim.MOST_CONTEXT), USERS: _MOST_USERS}
#: Promises: an upper bound of each of these figures.
PROMISES = ("latency_s", "time_to_first_token_s", "usd_per_million_tokens")


@dataclass(frozen=True)
class Limit(Record):
    """The largest `value` on an axis at which a machine keeps all promises, and its figures there.

    `limited_by` names what the next larger value breaks, or `SEARCHED` where none larger is tried; for the axis
    "tokens_per_s", what more users would break.
    Value and figures are None where even the smallest value breaks something.
    """

    machine: str
    chips: int | None
    axis: str
    value: float | None
    context: int | None
    users: int | None
    limited_by: tuple[str, ...]
    tokens_per_s: float | None = None
    tokens_per_s_per_user: float | None = None
    latency_s: float | None = None
    time_to_first_token_s: float | None = None
    usd_per_million_tokens: float | None = None


@dataclass(frozen=True)
class Limits(Documented):
    """Limits of machines on one model, within the same promises."""

    model: str
    context: int
    users: int
    promises: dict[str, float]
    volume: int
    convention: str
    rows: tuple[Limit, ...]
    notes: tuple[str, ...] = ()
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row for each machine and axis."""
        import pandas as pd

        return pd.DataFrame([row.to_dict() | {"limited_by": ", ".join(row.limited_by)} for row in self.rows])

    def document(self, command: str = "") -> Document:
        """Return the limits as a document."""
        from explorer.serving.limits_document import limits_document

        return limits_document(self, command)


def limits(
    model: str | Path | models.LLMSpec = PAPER_MODEL,
    *,
    on: Machine | Sequence[Machine] | None = None,
    context: int | str = 2048,
    users: int | str = 1,
    latency_s: float | str | None = None,
    time_to_first_token_s: float | str | None = None,
    usd_per_million_tokens: float | str | None = None,
    gpus: int | str = NODE_GPUS,
    volume: int | str = 50,
    convention: Convention = "corrected",
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
) -> Limits:
    """Return the longest context, the most users and the best rate of one machine of each kind within promises.

    A machine is one hardwired system, or `gpus` bought ones that share the model. Memory, and every other resource that
    a simulation checks, must bear the load; the positions that the network is made for are a limit too.

    Parameters
    ----------
    model : str, Path or LLMSpec
        The model.
    on : str, Path or Book, or a sequence of them, optional
        Machines by name or book; by default the paper's and the convention's.
    context : int or str
        Positions of a sequence, for the most users and the best rate.
    users : int or str
        Sequences that decode together, for the longest context.
    latency_s : float or str, optional
        Most time between two tokens of a user, in s ("40 ms").
    time_to_first_token_s : float or str, optional
        Most time to the first token of a prompt as long as the context, in s, where nothing waits.
    usd_per_million_tokens : float or str, optional
        Most dollars per million tokens at this load.
    gpus : int or str
        Bought devices that share the model.
    volume : int or str
        Hardwired systems built.
    convention, technology, weights, book, set
        As in `explorer.cost`.

    Returns
    -------
    Limits

    Raises
    ------
    InputError
        For what cannot be used.

    Examples
    --------
    >>> rows = limits("gpt-oss-120b", on="hnlpu", users=216, latency_s="1 ms").rows
    >>> rows[0].axis, rows[0].limited_by
    ('context', ('latency_s',))
    """
    spec = models.spec_of(model)
    stated = {"latency_s": latency_s, "time_to_first_token_s": time_to_first_token_s}
    promises = {
        name: real(name, read_value(name, value, "s"), above=0.0) for name, value in stated.items() if value is not None
    }
    if (most := usd_per_million_tokens) is not None:
        name = "usd_per_million_tokens"
        promises[name] = real(name, read_value(name, most, "USD"), above=0.0)
    conventions = costmodel.conventions.named(convention)
    machine, others = machines_of(on, _KINDS, conventions)
    for other in others:
        device(other)  # its book has prices
    asked = {hwsim.machine_book(each).name for each in listed_machines(on)} or {machine.name, others[0].name}
    costs = cost_book(book or conventions.book, others, spec)
    for_costs, for_machine = costs_and_machine(set or {}, costs, machine, technology)
    costs = costs.override(for_costs)
    at = read_integer("context", context, high=hwsim.MOST_CONTEXT)
    together = read_integer("users", users, high=_MOST_USERS)
    devices = read_integer("gpus", gpus, high=1024)
    systems = read_integer("volume", volume, high=1e6)
    rows: list[Limit] = []
    read: dict[str, Quantity] = {}
    process_book = hwsim.technology_book(technology)
    design, process, used = hardwired(spec, weights=weights, technology=process_book, book=machine, set=for_machine)
    node = node_of(process_book, costs)
    subjects: list[tuple[Book, Callable[[Any, Any], _Figures]]] = [
        (machine, _Hardwired(spec, design, process, node, used, costs, conventions, systems)),
        *((other, _Bought(spec, other, costs, conventions, devices)) for other in others),
    ]
    for subject, figures in subjects:
        if subject.name in asked:
            rows += _rows(spec, subject, figures, promises, at, together)
            read |= figures(np.array([1]), np.array([1])).assumptions
    notes = replaced_book(conventions, book, others)
    if not spec.max_context:
        notes += (f"positions that {spec.name} is made for are not stated: longest contexts are those of machines",)
    refuse_unread(set or {}, read)
    return Limits(
        spec.name,
        at,
        together,
        promises,
        systems,
        conventions.name,
        tuple(rows),
        notes,
        read,
    )


@dataclass(frozen=True)
class _Figures:
    """Figures of a machine at some points, arrays alike; `borne` by resource."""

    chips: Any
    figures: dict[str, Any]
    borne: dict[str, Any]
    assumptions: dict[str, Quantity]


@dataclass(frozen=True)
class _Hardwired:
    """One hardwired system of a fleet."""

    spec: models.LLMSpec
    design: hwsim.HardwiredDesign
    process: hwsim.Technology
    node: str
    read: dict[str, Quantity]
    costs: Book
    conventions: costmodel.Conventions
    volume: int

    def __call__(self, context: Any, users: Any) -> _Figures:
        run = hwsim.simulate_hardwired(
            self.spec, self.design, self.process, context=context, batch=users, reading=self.conventions.reading
        )
        fleet = costmodel.built_fleet(
            self.costs,
            system_of(run, self.design, self.node),
            volume=self.volume,
            tokens_per_s=run.tokens_per_s,
            card=card(),
            conventions=self.conventions,
        )
        return _figures(run, users, run.tokens_per_s, run.latency_s, fleet, self.read | fleet.tco.assumptions)


@dataclass(frozen=True)
class _Bought:
    """Bought devices that share a model."""

    spec: models.LLMSpec
    machine: Book
    costs: Book
    conventions: costmodel.Conventions
    devices: int

    def __call__(self, context: Any, users: Any) -> _Figures:
        run = hwsim.simulate(self.spec, self.machine, context=context, batch=users, gpus=self.devices)
        factor = speed_factor(self.costs, self.machine)
        rate = run.tokens_per_s * factor
        # One token a second stands in where the model does not fit, which the checks say.
        held = np.where(np.isfinite(rate), rate, 1.0)[()]
        fleet = costmodel.bought_fleet(
            self.costs,
            device(self.machine),
            units=self.devices,
            tokens_per_s=held / self.devices,
            conventions=self.conventions,
        )
        service = (SEQUENCES, SPEED) if self.machine.kind == "gpu" else (SEQUENCES,)
        read = run.assumptions | fleet.tco.assumptions | {name: self.costs[name] for name in service}
        here = _figures(run, users, rate, run.latency_s / factor, fleet, read)
        engine = np.asarray(users) <= self.costs.value(SEQUENCES, "1")
        return replace(here, borne={**here.borne, "sequences of the serving engine": engine})


def _figures(
    run: hwsim.SimResult, users: Any, rate: Any, latency_s: Any, fleet: costmodel.Fleet, read: dict[str, Quantity]
) -> _Figures:
    # A machine whose memory holds fewer sequences than there are users runs those that it holds: rate x latency.
    running = np.asarray(run.tokens_per_s) * run.latency_s
    held = ~(running < np.asarray(users) * (1.0 - _ROUNDING))
    return _Figures(
        run.chips,
        {
            "tokens_per_s": rate,
            "tokens_per_s_per_user": 1.0 / np.asarray(latency_s),
            "latency_s": latency_s,
            "time_to_first_token_s": run.time_to_first_token_s,
            "usd_per_million_tokens": fleet.tco.usd_per_million_tokens,
        },
        {check.name: check.bears for check in run.checks} | {"sequences held at once": held},
        read,
    )


def _rows(
    spec: models.LLMSpec,
    machine: Book,
    figures: Callable[[Any, Any], _Figures],
    promises: Mapping[str, float],
    context: int,
    users: int,
) -> list[Limit]:
    """Return the limits of one machine: over contexts, over users, and the best rate over users."""

    def broken(contexts: Any, together: Any) -> dict[str, np.ndarray]:
        here = figures(contexts, together)
        points = np.broadcast(contexts, together).shape
        # A figure that is not known, because the machine does not bear the load, breaks no promise of its own.
        kept = {name: ~(np.asarray(here.figures[name]) > promised) for name, promised in promises.items()} | here.borne
        if spec.max_context:
            kept["positions of the network"] = np.asarray(contexts) <= spec.max_context
        return {name: ~np.broadcast_to(np.asarray(value, dtype=bool), points) for name, value in kept.items()}

    def limit(axis: str, value: int | None, by: tuple[str, ...], at: tuple[int, int]) -> Limit:
        if value is None:
            own = {CONTEXT: (None, users), USERS: (context, None), RATE: (context, None)}[axis]
            return Limit(machine.name, None, axis, None, *own, by)
        here = figures(*at)
        chips = int(np.max(here.chips))
        shown: dict[str, Any] = {name: float(amount) for name, amount in here.figures.items()}
        return Limit(machine.name, chips, axis, shown[RATE] if axis == RATE else value, *at, by, **shown)

    longest, by = _largest(lambda values: broken(values, users), MOST[CONTEXT])
    rows = [limit(CONTEXT, longest, by, (longest or 1, users))]
    most, by = _largest(lambda values: broken(context, values), MOST[USERS])
    rows.append(limit(USERS, most, by, (context, most or 1)))
    if most is None:
        return [*rows, limit(RATE, None, by, (context, 1))]
    tried = _between(1, most)
    rates = np.broadcast_to(figures(context, tried).figures[RATE], tried.shape)
    # Of equal rates the fewest users, who wait least.
    best = int(tried[np.flatnonzero(rates >= rates.max() * (1.0 - _ROUNDING))[0]])
    return [*rows, limit(RATE, best, by if best == most else (), (context, best))]


def _largest(broken: Callable[[np.ndarray], dict[str, np.ndarray]], top: int) -> tuple[int | None, tuple[str, ...]]:
    """Return (the largest whole number up to `top` that breaks nothing, what the next one breaks).

    At `top` itself that is `SEARCHED`. Some promises need many users, others few: the largest of the numbers tried
    counts, then those up to the next. Where all break something: (None, what the number breaks that breaks the least).
    """
    values = _between(1, top)
    while True:
        flags = broken(values)
        bad = np.sum(list(flags.values()), axis=0) if flags else np.zeros(values.shape, dtype=int)
        good = np.flatnonzero(bad == 0)
        if not good.size:
            return None, _names(flags, int(np.argmin(bad)))
        last = int(good[-1])
        if last == len(values) - 1:
            return int(values[last]), (SEARCHED,)
        if values[last + 1] - values[last] == 1:
            return int(values[last]), _names(flags, last + 1)
        values = _between(int(values[last]), int(values[last + 1]))


def _names(flags: Mapping[str, np.ndarray], at: int) -> tuple[str, ...]:
    return tuple(name for name, broken in flags.items() if broken[at])


def _between(low: int, high: int) -> np.ndarray:
    """Return whole numbers from `low` to `high`, all of them if they are few, otherwise in even ratios."""
    if high - low < _TRIED:
        return np.arange(low, high + 1)
    return np.unique(np.rint(np.geomspace(low, high, _TRIED)).astype(int))
