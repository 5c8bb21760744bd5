"""Serving: requests through a machine by name, in either grain."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import models
from hwbase import Book, InputError, Quantity, unknown_name
from hwbase.errors import shown
from hwbase.values import read_integer
from hwsim.accelerator import DEFAULT_ENGINE, Accelerator
from hwsim.design import HardwiredDesign
from hwsim.events.detailed import DetailedMachine
from hwsim.events.faults import Fault, check_faults
from hwsim.events.fleet import MOST_MACHINES, router
from hwsim.events.gpu.mixed_step import ServingNode
from hwsim.events.gpu.node import NODE_GPUS, serve_accelerator
from hwsim.events.ledger import Ledger
from hwsim.events.machine import Progress, Users, drive
from hwsim.events.memory import Memory
from hwsim.events.outcome import outcome
from hwsim.events.recording import Recording
from hwsim.events.results import ServingResult
from hwsim.events.scheduling import Scheduling
from hwsim.events.service import ServiceMachine
from hwsim.events.slots import Slots
from hwsim.events.timing import build_timing
from hwsim.events.traffic import Traffic
from hwsim.machine_books import COSTS, DEFAULT_MACHINE, machine_book
from hwsim.simulation import check_needs, hardwired
from hwsim.technology import DEFAULT_TECHNOLOGY, Technology

#: Grains of simulation of a hardwired machine.
GRAINS = ("service", "detailed")


def serve(
    model: str | Path | models.LLMSpec,
    traffic: Traffic,
    on: str | Path | Book = DEFAULT_MACHINE,
    *,
    grain: str = "service",
    scheduling: Scheduling = Scheduling(),
    gpus: int = NODE_GPUS,
    engine: str = DEFAULT_ENGINE,
    machines: int = 1,
    route: str = "least-loaded",
    faults: Iterable[Fault] = (),
    record: Recording | None = None,
    sliding_window: bool | None = None,
    weights: str = "fp4",
    technology: str | Path | Book = DEFAULT_TECHNOLOGY,
    book: str | Path | Book | None = None,
    set: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> ServingResult:
    """Return the simulation of `traffic` on the machine `on` that serves `model`: every request, and the load.

    All randomness is in the traffic. An interrupt ends a simulation early, with `interrupted` set.

    Parameters
    ----------
    model : str, Path or LLMSpec
        A model, as in `hwsim.simulate`.
    traffic : Traffic
        The requests.
    on : str, Path or Book
        A hardwired machine or a GPU, by name or by the path of its book.
    grain : str
        "service" (request by request, at the rates of the closed form) or, for hardwired machines, "detailed" (every
        token through every stage, in SimPy).
    scheduling : Scheduling
        Order of waiting, and the limits of batches and contexts.
    gpus : int
        GPUs that share the model; GPUs only.
    engine : str
        The serving engine of GPUs: "vllm", "sglang" or "trtllm".
    machines : int
        Equal machines behind a router; the service grain only.
    route : str
        The router, one of `hwsim.events.fleet.ROUTERS`.
    faults : iterable of Fault
            Faults of the first machine; hardwired machines only.
    record : Recording, optional
        Records a stretch of the detailed grain.
    sliding_window : bool, optional
        False: windowed layers of a hardwired machine attend to the whole context.
    weights : str
        Weight format of a hardwired machine, as in `hwsim.simulate`.
    technology : str, Path or Book
        Process of a hardwired machine.
    book : str, Path or Book, optional
        A machine's book to use in place of `on`.
    set : mapping of str to number, array or str
        Constants of the machine to override, as in `hwsim.simulate`.
    progress : callable, optional
        Called with (requests done, requests in all, seconds simulated).

    Returns
    -------
    ServingResult

    Raises
    ------
    InputError
            For invalid input; the message names it.

    Examples
    --------
    >>> from hwsim.events.traffic import poisson
    >>> served = serve("gpt-oss-120b", poisson(50, 200))
    >>> served.time_to_first_token_s.size, served.interrupted
    (200, False)
    """
    spec = models.spec_of(model)
    if not isinstance(traffic, Traffic):
        raise InputError(
            f"traffic = {shown(traffic)}: expected requests, such as those of hwsim.events.traffic.poisson"
        )
    machine = machine_book(on if book is None else book, SERVERS).without(COSTS)
    if grain not in GRAINS:
        raise unknown_name("grain", grain, GRAINS)
    server = SERVERS[machine.kind]
    check_needs(machine, server.needs)
    result = server.run(
        spec,
        machine,
        traffic,
        grain=grain,
        scheduling=scheduling,
        gpus=gpus,
        engine=engine,
        machines=machines,
        route=route,
        faults=list(faults),
        record=record,
        sliding_window=sliding_window,
        weights=weights,
        technology=technology,
        set=set,
        progress=progress,
    )
    return replace(result, kind=machine.kind, label=machine.header.label)


def _serve_gpus(
    spec: models.LLMSpec,
    machine: Book,
    traffic: Traffic,
    *,
    grain: str,
    faults: list[Fault],
    record: Recording | None,
    sliding_window: bool | None,
    weights: str,
    technology: str | Path | Book,
    **options: Any,
) -> ServingResult:
    """Serve on GPUs, which have the service grain only; formats and processes apply to hardwired machines."""
    if grain != "service" or faults or record is not None:
        raise InputError(f"{machine.name} has the service grain only, without faults and recordings")
    return serve_accelerator(spec, traffic, book=machine, **options)


def _serve_hardwired(
    spec: models.LLMSpec,
    machine: Book,
    traffic: Traffic,
    *,
    grain: str,
    gpus: int,
    engine: str,
    machines: int,
    route: str,
    record: Recording | None,
    weights: str,
    technology: str | Path | Book,
    set: Mapping[str, Any] | None,
    **options: Any,
) -> ServingResult:
    if engine != DEFAULT_ENGINE:
        raise InputError(f"engine = {engine!r}: expected none for {machine.name}, engines apply to GPUs")
    design, process, used = hardwired(spec, weights=weights, technology=technology, book=machine, set=set)
    options |= {"assumptions": used}
    if grain == "service":
        if record is not None:
            raise InputError("recordings need the detailed grain: expected grain = 'detailed'")
        return serve_hardwired(spec, design, process, traffic, machines=machines, route=route, **options)
    if machines != 1:
        raise InputError(f"machines = {machines!r}: expected 1, fleets need the service grain")
    return serve_in_detail(spec, design, process, traffic, record=record, **options)


@dataclass(frozen=True)
class Server:
    """The server of one kind of machine: a function, and the records that a machine's book must fill."""

    run: Callable[..., ServingResult]
    needs: tuple[type, ...]


#: Kinds of machine that serve traffic.
SERVERS = {
    "hardwired": Server(_serve_hardwired, (HardwiredDesign,)),
    "gpu": Server(_serve_gpus, (Accelerator, ServingNode)),
}


def serve_hardwired(
    model: models.LLMSpec,
    design: HardwiredDesign,
    technology: Technology,
    traffic: Traffic,
    *,
    machines: int = 1,
    route: str = "least-loaded",
    scheduling: Scheduling = Scheduling(),
    faults: Iterable[Fault] = (),
    sliding_window: bool | None = None,
    progress: Progress | None = None,
    assumptions: dict[str, Quantity] | None = None,
) -> ServingResult:
    """Return the serving of `traffic` on hardwired machines in the service grain; parameters are those of `serve`.

    Faults apply to the first machine. Raises `InputError` as `serve_in_detail` does.
    """
    timing = build_timing(model, design, technology, sliding_window)
    if timing.stages > 1 and not timing.ranked:
        raise InputError(
            "grain = 'service': expected service = 'furthest-first' for a machine of several pipeline stages, whose "
            "tokens bunch otherwise; the detailed grain takes any"
        )
    ordered = check_faults(faults, timing.rows, timing.columns, timing.stages, timing.topology)
    ledger, users, choose = Ledger(traffic), Users(traffic), router(route)
    fleet = [
        ServiceMachine(
            timing, Memory(timing, model, design), ledger, scheduling, ordered if first else [], users.answered
        )
        for first in [True] + [False] * (read_integer("machines", machines, high=MOST_MACHINES) - 1)
    ]
    interrupted = False
    try:
        drive(fleet, users, ledger, choose, progress)
    except KeyboardInterrupt:
        interrupted = True
    for machine in fleet:
        machine.settle()
    tokens = sum(machine.tokens for machine in fleet)
    return outcome(
        model,
        design,
        technology,
        traffic,
        ledger,
        grain="service",
        duration_s=max(machine.now_s for machine in fleet),
        busy_s=[machine.busy_s for machine in fleet],
        bins=[machine.bins for machine in fleet],
        events=sum(machine.jumps for machine in fleet),
        interrupted=interrupted,
        notes=(f"{tokens:,.0f} tokens through the machine",),
        assumptions=assumptions or {},
    )


def serve_in_detail(
    model: models.LLMSpec,
    design: HardwiredDesign,
    technology: Technology,
    traffic: Traffic,
    *,
    scheduling: Scheduling = Scheduling(),
    faults: Iterable[Fault] = (),
    sliding_window: bool | None = None,
    record: Recording | None = None,
    progress: Progress | None = None,
    assumptions: dict[str, Quantity] | None = None,
) -> ServingResult:
    """Return the serving of `traffic` on one hardwired machine in the detailed grain; parameters are those of `serve`.

    Raises `InputError` for a design whose fields are arrays, and faults outside the machine.
    """
    timing = build_timing(model, design, technology, sliding_window)
    ordered = check_faults(faults, timing.rows, timing.columns, timing.stages, timing.topology)
    memory, ledger = Memory(timing, model, design), Ledger(traffic)
    slots = Slots(timing.slots, timing.layers, ledger, memory, scheduling)
    machine = DetailedMachine(timing, memory, ledger, Users(traffic), slots, ordered, record, progress)
    interrupted = False
    try:
        machine.run()
    except KeyboardInterrupt:
        interrupted = True
    return outcome(
        model,
        design,
        technology,
        traffic,
        ledger,
        grain="detailed",
        duration_s=machine.now_s,
        busy_s=[machine.busy_s],
        bins=[machine.bins],
        events=machine.events,
        interrupted=interrupted,
        notes=_notes(machine),
        assumptions=assumptions or {},
    )


def _notes(machine: DetailedMachine) -> tuple[str, ...]:
    slots = machine.slots
    notes = [f"{slots.tokens:,} tokens, {machine.messages:,} messages between chips"]
    if machine.stalled_s:
        notes.append(f"tokens waited {machine.stalled_s:.3g} s in total for keys and values from HBM")
    if slots.dropped:
        notes.append(f"{slots.dropped:,} tokens of requests that had ended were dropped")
    return tuple(notes)
