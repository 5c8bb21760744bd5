"""GPU nodes that serve a model: tensor parallelism over their GPUs, a paged cache, continuous batching."""

from collections.abc import Sequence
from typing import Any

from hwbase import Book, InputError
from hwbase.check import count
from hwsim.accelerator import Accelerator
from hwsim.events.account import request_arrays, timeline
from hwsim.events.fleet import MOST_MACHINES, router
from hwsim.events.gpu_engine import Engine
from hwsim.events.gpu_step import ServingNode, StepModel, load_node
from hwsim.events.ledger import Ledger
from hwsim.events.machine import Progress, Users, drive
from hwsim.events.results import ServingResult
from hwsim.events.scheduling import Scheduling
from hwsim.events.traffic import Traffic
from hwsim.machine_books import DEFAULT_GPU, machine_book
from models import LLMSpec

#: GPUs of a node.
NODE_GPUS = 8


def serve_accelerator(
    spec: LLMSpec,
    traffic: Traffic,
    *,
    gpus: int = NODE_GPUS,
    machines: int = 1,
    route: str = "least-loaded",
    scheduling: Scheduling = Scheduling(),
    book: Book | str = DEFAULT_GPU,
    set: Any = None,
    progress: Progress | None = None,
) -> ServingResult:
    """Return what `traffic` comes to on `machines` nodes of `gpus` GPUs that share every matrix of `spec`.

    A step takes the slower of memory and arithmetic (as `hwsim.simulate_accelerator` counts them), the all-reduces,
    and a latency of every layer and of the step. Prompts are read in pieces beside the sequences that decode, at most
    `scheduling.prefill_cap` prompt tokens a step; the rest is `gpu_engine`'s. `route` names the router of several nodes
    (`fleet.ROUTERS`). Requests beyond `scheduling.max_context` tokens, or larger than the cache, are rejected. An
    interrupt ends the simulation early, with `interrupted` set.
    Raises `InputError` for a number or book that cannot be used, and a model that the GPUs do not hold.
    """
    model, node, device, used = build_node(spec, gpus, book, set)
    ledger, users, choose = Ledger(traffic), Users(traffic), router(route)
    engines = [
        Engine(model, node, ledger, scheduling, users.answered)
        for _ in range(int(count("machines", machines, high=MOST_MACHINES)))
    ]
    interrupted = False
    try:
        drive(engines, users, ledger, choose, progress)
    except KeyboardInterrupt:
        interrupted = True
    return result_of(engines, traffic, ledger, spec, device, node, interrupted, used)


def build_node(
    spec: LLMSpec, gpus: int, book: Book | str, set: Any = None
) -> tuple[StepModel, ServingNode, Accelerator, dict[str, Any]]:
    """Return (step model, node, device, constants read); raises `InputError` where the GPUs do not hold the model."""
    reader = machine_book(book, ("gpu",)).override(set or {}).reader()
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
    working_s = sum(engine.busy_s["steps under way"] * engine.gpus for engine in engines)
    preempted = sum(engine.preemptions for engine in engines)
    return ServingResult(
        machine=device.name,
        kind="gpu",
        label=device.name,
        model=spec.name,
        grain="service",
        traffic=traffic.name,
        chips=gpus,
        **request_arrays(ledger),
        duration_s=duration_s,
        busy_s=busy,
        capacity=dict.fromkeys(busy, float(len(engines))),
        energy_j={
            "standing": idle_w * gpus * duration_s,
            "GPUs at work": (device.power_w - idle_w) * working_s,
        },
        timeline=timeline([engine.bins for engine in engines], list(busy)),
        events=sum(engine.jumps for engine in engines),
        interrupted=interrupted,
        notes=(
            f"{sum(engine.steps for engine in engines):,} steps, {preempted:,} preemptions",
            "a roofline with latencies: published serving points are somewhat slower",
        ),
        assumptions=used,
    )
