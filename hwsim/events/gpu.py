"""H100 nodes that serve a model: tensor parallelism over their GPUs, a paged cache, continuous batching.

`serve_accelerator` runs one node; `drive` is the loop behind it.
"""

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hwbase import Book, InputError, load_book, unknown_name
from hwbase.check import count
from hwsim.accelerator import Accelerator
from hwsim.events.bins import Bins
from hwsim.events.gpu_engine import Engine, Limits
from hwsim.events.gpu_step import ServingNode, StepModel, load_node
from hwsim.events.ledger import Ledger
from hwsim.events.results import ServingResult, Timeline
from hwsim.events.traffic import Traffic
from hwsim.technology import BOOKS
from models import LLMSpec

#: Orders of waiting requests.
POLICIES = ("first-come", "shortest-prompt")
#: GPUs of a node.
NODE_GPUS = 8
#: Calls between two reports of progress.
_REPORT_EVERY = 256

Progress = Callable[[int, int, float], None]


def serve_accelerator(
    spec: LLMSpec,
    traffic: Traffic,
    *,
    gpus: int = NODE_GPUS,
    policy: str = "first-come",
    prefill_cap: int | None = None,
    max_context: int | None = None,
    book: Book | str = "h100",
    set: Any = None,
    progress: Progress | None = None,
) -> ServingResult:
    """Return what `traffic` comes to on a node of `gpus` GPUs that share every matrix of `spec`.

    A step takes the slower of memory and arithmetic (as `hwsim.simulate_accelerator` counts them), the all-reduces,
    and a latency of every layer and of the step. Prompts are read in pieces beside the sequences that decode, at most
    `prefill_cap` prompt tokens a step; the rest is `gpu_engine`'s. Requests beyond `max_context` tokens, or larger than
    the cache, are rejected. An interrupt ends the simulation early, with `interrupted` set.
    Raises `InputError` for a policy, number or book that cannot be used, and a model that the GPUs do not hold.
    """
    model, node, device, used = build_node(spec, gpus, book, set)
    ledger = Ledger(traffic)
    pending: list[tuple[float, int]] = []
    engine = Engine(model, node, ledger, limits_of(policy, prefill_cap, max_context), _again(traffic, pending))
    interrupted = False
    try:
        drive([engine], traffic, ledger, pending, lambda engines: 0, progress)
    except KeyboardInterrupt:
        interrupted = True
    return result_of([engine], traffic, ledger, spec, device, node, interrupted, used)


def build_node(
    spec: LLMSpec, gpus: int, book: Book | str, set: Any = None
) -> tuple[StepModel, ServingNode, Accelerator, dict[str, Any]]:
    """Return (step model, node, device, constants read); raises `InputError` where the GPUs do not hold the model."""
    loaded = book if isinstance(book, Book) else load_book(book, BOOKS)
    reader = loaded.override(set or {}).reader()
    device, node = load_node(reader)
    model = StepModel(spec, device, node, int(count("gpus", gpus, high=1024)))
    if model.kv_capacity_bytes <= 0.0:
        held = gpus * device.memory_bytes * node.memory_share
        weights = held - model.kv_capacity_bytes
        raise InputError(
            f"gpus = {gpus}: {spec.name} has {weights / 1e9:,.0f} GB of weights, they hold {held / 1e9:,.0f} GB: "
            "expected more GPUs"
        )
    return model, node, device, dict(reader.used)


def limits_of(policy: str, prefill_cap: int | None, max_context: int | None) -> Limits:
    """Return the engine's limits; raises `InputError` for an unknown policy and numbers below 1."""
    if policy not in POLICIES:
        raise unknown_name("policy", policy, POLICIES)
    given = {"prefill_cap": prefill_cap, "max_context": max_context}
    whole = {name: int(count(name, value)) for name, value in given.items() if value is not None}
    return Limits(shortest_first=policy == "shortest-prompt", **whole)


def drive(
    engines: Sequence[Engine],
    traffic: Traffic,
    ledger: Ledger,
    pending: list[tuple[float, int]],
    choose: Callable[[Sequence[Engine]], int],
    progress: Progress | None = None,
) -> None:
    """Bring every request of `traffic` to the engine that `choose` names, and run until all have ended.

    `pending` is a heap of (time, order) of the users of closed traffic that are about to send their next request.
    """
    n, sent, calls = len(traffic), 0, 0
    arrivals = traffic.arrival_s
    if traffic.users:
        pending.extend((0.0, user) for user in range(min(traffic.users, n)))
    # Engines by when their steps end; an entry counts while its engine still says so.
    due: list[tuple[float, int]] = []
    while True:
        if sent == n:
            arrival = float("inf")
        elif traffic.users:
            arrival = pending[0][0] if pending else float("inf")
        else:
            arrival = float(arrivals[sent])
        while due and engines[due[0][1]].due_s != due[0][0]:
            heapq.heappop(due)
        if due and due[0][0] < arrival:
            _, index = heapq.heappop(due)
            engines[index].commit()
        elif sent < n and arrival < float("inf"):
            if traffic.users:
                heapq.heappop(pending)
            index = choose(engines)
            engines[index].submit(sent, arrival)
            sent += 1
        else:
            break
        if engines[index].due_s < float("inf"):
            heapq.heappush(due, (engines[index].due_s, index))
        calls += 1
        if progress and calls % _REPORT_EVERY == 0:
            progress(ledger.closed, n, engines[index].now_s)
    if progress:
        progress(ledger.closed, n, max(engine.now_s for engine in engines))


def result_of(
    engines: Sequence[Engine],
    traffic: Traffic,
    ledger: Ledger,
    spec: LLMSpec,
    device: Accelerator,
    node: ServingNode,
    interrupted: bool,
    used: dict[str, Any],
) -> ServingResult:
    """Return the result of engines that served one traffic between them; busy times and energies are added up."""
    for engine in engines:
        engine.settle()
    gpus = sum(engine.gpus for engine in engines)
    duration_s = max(engine.now_s for engine in engines)
    busy = {name: sum(engine.busy_s[name] for engine in engines) for name in engines[0].busy_s}
    idle_w = device.power_w * node.idle_power_share
    working_s = sum(engine.busy_s["step"] * engine.gpus for engine in engines)
    preempted = sum(engine.preemptions for engine in engines)
    return ServingResult(
        machine=device.name,
        model=spec.name,
        grain="service",
        traffic=traffic.name,
        chips=gpus,
        arrival_s=np.array(ledger.arrival),
        admitted_s=np.array(ledger.admitted),
        first_token_s=np.array(ledger.first),
        end_s=np.array(ledger.end),
        prompt_tokens=np.array(ledger.prompt),
        output_tokens=np.array(ledger.output),
        generated_tokens=np.array(ledger.generated),
        state=np.array(ledger.state, dtype=np.int64),
        duration_s=duration_s,
        busy_s=busy,
        capacity=dict.fromkeys(busy, float(len(engines))),
        energy_j={
            "standing": idle_w * gpus * duration_s,
            "GPUs at work": (device.power_w - idle_w) * working_s,
        },
        timeline=_timeline(engines, list(busy)),
        events=sum(engine.jumps for engine in engines),
        interrupted=interrupted,
        notes=(
            f"{sum(engine.steps for engine in engines):,} steps, {preempted:,} preemptions",
            "a roofline with latencies: published serving points are somewhat slower",
        ),
        assumptions=used,
    )


def _timeline(engines: Sequence[Engine], resources: list[str]) -> Timeline:
    """Means over time: utilisations over the engines, levels (requests, bytes, tokens/s) added up."""
    bins = Bins(engines[0].bins.columns)
    for engine in engines:
        bins.include(engine.bins)
    times, means = bins.means()
    running, waiting, kv_bytes, tokens_per_s = means[:, len(resources) :].T
    utilisation = {name: means[:, i] / len(engines) for i, name in enumerate(resources)}
    return Timeline(times, utilisation, running, waiting, kv_bytes, tokens_per_s)


def _again(traffic: Traffic, pending: list[tuple[float, int]]) -> Callable[[int, float], None] | None:
    """A user of closed traffic thinks, then sends the next request."""
    if not traffic.users:
        return None

    def send(request: int, now_s: float) -> None:
        heapq.heappush(pending, (now_s + traffic.think_s, request))

    return send
