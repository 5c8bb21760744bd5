"""The front door: requests through a machine, by name, in either grain."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import models
from hwbase import Book, InputError, Quantity, unknown_name
from hwbase.check import count
from hwsim.design import HardwiredDesign
from hwsim.events.detailed import DetailedMachine
from hwsim.events.faults import Fault, check_faults
from hwsim.events.fleet import MOST_MACHINES, router
from hwsim.events.gpu import NODE_GPUS, serve_accelerator
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
from hwsim.simulate import DEFAULT_TECHNOLOGY, hardwired
from hwsim.technology import Technology

#: Machines that serve.
SERVERS = ("hnlpu", "h100")
#: How finely a hardwired machine is simulated.
GRAINS = ("service", "detailed")


def serve(
    model: str | Path | models.LLMSpec,
    traffic: Traffic,
    on: str = "hnlpu",
    *,
    grain: str = "service",
    scheduling: Scheduling = Scheduling(),
    gpus: int = NODE_GPUS,
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
    """Return what `traffic` comes to when the machine `on` serves `model`: every request, and what it took.

    On "hnlpu" `grain` is "service" (request by request, at the closed form's rates) or "detailed" (every token through
    every stage, in SimPy); `machines` equal ones behind the router `route` are for the service grain, `record` for the
    detailed one. Windowed layers keep their window unless `sliding_window` is False. `weights`, `technology`, `book`
    and `set` are those of `hwsim.simulate`. "h100" is a node of `gpus` GPUs, with numbers of its own from `book` and
    `set`; faults and recordings are not for it. An interrupt ends a simulation early, with `interrupted` set.
    All randomness is in the traffic. Raises `InputError` for whatever cannot be used.

    >>> from hwsim.events.traffic import poisson
    >>> served = serve("gpt-oss-120b", poisson(50, 200))
    >>> served.time_to_first_token_s.size, served.interrupted
    (200, False)
    """
    spec = models.load(model) if isinstance(model, (str, Path)) else model
    if on not in SERVERS:
        raise unknown_name("machine", on, SERVERS)
    if grain not in GRAINS:
        raise unknown_name("grain", grain, GRAINS)
    if on == "h100":
        if grain != "service" or list(faults) or record is not None:
            raise InputError("h100 knows the service grain alone, without faults and recordings")
        return serve_accelerator(
            spec,
            traffic,
            gpus=gpus,
            machines=machines,
            route=route,
            scheduling=scheduling,
            book=on if book is None else book if isinstance(book, Book) else str(book),
            set=set,
            progress=progress,
        )
    design, process, used = hardwired(spec, weights=weights, technology=technology, book=book, set=set)
    shared: dict[str, Any] = {
        "scheduling": scheduling,
        "faults": faults,
        "sliding_window": sliding_window,
        "progress": progress,
        "assumptions": used,
    }
    if grain == "service":
        if record is not None:
            raise InputError("recordings are of the detailed grain: expected grain = 'detailed'")
        return serve_hardwired(spec, design, process, traffic, machines=machines, route=route, **shared)
    if machines != 1:
        raise InputError(f"machines = {machines!r}: expected 1, fleets are of the service grain")
    return serve_in_detail(spec, design, process, traffic, record=record, **shared)


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
    """Return what `traffic` comes to on hardwired machines in the service grain; parameters are those of `serve`.

    Faults are those of the first machine. Raises `InputError` as `serve_in_detail` does.
    """
    timing = build_timing(model, design, technology, sliding_window)
    ordered = check_faults(faults, timing.rows, timing.columns)
    ledger, users, choose = Ledger(traffic), Users(traffic), router(route)
    fleet = [
        ServiceMachine(
            timing, Memory(timing, model, design), ledger, scheduling, ordered if first else [], users.answered
        )
        for first in [True] + [False] * (int(count("machines", machines, high=MOST_MACHINES)) - 1)
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
    """Return what `traffic` comes to on one hardwired machine in the detailed grain; parameters are those of `serve`.

    Raises `InputError` for a design whose fields are arrays, and faults that it has no place for.
    """
    timing = build_timing(model, design, technology, sliding_window)
    ordered = check_faults(faults, timing.rows, timing.columns)
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
    told = [f"{slots.tokens:,} tokens, {machine.messages:,} messages between chips"]
    if machine.stalled_s:
        told.append(f"tokens waited {machine.stalled_s:.3g} s in all for keys and values from HBM")
    if slots.dropped:
        told.append(f"{slots.dropped:,} tokens of requests that had ended were dropped")
    return tuple(told)
