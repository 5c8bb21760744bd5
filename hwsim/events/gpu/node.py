"""GPU nodes that serve a model: tensor parallelism over their GPUs, a paged cache, continuous batching."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwbase import Book, InputError
from hwbase.books import from_book
from hwbase.values import read_integer
from hwsim.accelerator import DEFAULT_ENGINE, Accelerator, accelerator_book, load_accelerator
from hwsim.events.account import request_arrays, timeline
from hwsim.events.fleet import MOST_MACHINES, router
from hwsim.events.gpu.engine import Engine
from hwsim.events.gpu.mixed_step import ServingNode
from hwsim.events.ledger import Ledger
from hwsim.events.machine import Progress, Users, drive
from hwsim.events.results import ServingResult
from hwsim.events.scheduling import Scheduling
from hwsim.events.traffic import Traffic
from hwsim.gpu.power import busy_power_share
from hwsim.gpu.split import KvCache, kv_cache, refusal, split_over
from hwsim.gpu.step import StepModel
from hwsim.machine_books import DEFAULT_GPU
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
    engine: str = DEFAULT_ENGINE,
    set: Any = None,
    progress: Progress | None = None,
) -> ServingResult:
    """Return the serving of `traffic` on `machines` nodes of `gpus` GPUs that share every matrix of `spec`.

    Step times are those of `hwsim.gpu.step`, as in the closed form, under the serving engine `engine`. Prompts are read
    in chunks in the steps of decoding sequences, at most `scheduling.prefill_cap` prompt tokens a step; `engine`
    has the rest of the policy. `route` names the router of several nodes (`fleet.ROUTERS`). Requests beyond
    `scheduling.max_context` tokens, or larger than the cache, are rejected. An interrupt ends the simulation early,
    with `interrupted` set. Raises `InputError` for an invalid number or book, and a model that does not fit the GPUs.
    """
    model, held, node, device, used = build_node(spec, gpus, book, set, engine)
    ledger, users, choose = Ledger(traffic), Users(traffic), router(route)
    engines = [
        Engine(model, held, node, ledger, scheduling, users.answered)
        for _ in range(read_integer("machines", machines, high=MOST_MACHINES))
    ]
    interrupted = False
    try:
        drive(engines, users, ledger, choose, progress)
    except KeyboardInterrupt:
        interrupted = True
    return result_of(engines, traffic, ledger, spec, device, node, interrupted, used)


def build_node(
    spec: LLMSpec, gpus: int, book: Book | str, set: Any = None, engine: str = DEFAULT_ENGINE
) -> tuple[StepModel, KvCache, ServingNode, Accelerator, dict[str, Any]]:
    """Return (step model, cache, limits, device, constants read). Raises `InputError` if the model does not fit."""
    reader = accelerator_book(book, engine).override(set or {}).reader()
    device, node = load_accelerator(reader=reader), from_book(ServingNode, reader)
    gpus = read_integer("gpus", gpus, high=1024)
    if device.pipeline_stages > 1:
        raise InputError(
            f"pipeline_stages = {device.pipeline_stages:g}: no events follow the batches of a pipeline: expected 1, or "
            "the closed form"
        )
    if device.separate_pools:
        raise InputError(
            f"separate_pools = {device.separate_pools:g}: no events follow a cache from GPU to GPU: expected 0, or the "
            "best rate in closed form (`hwsim cost`, `hwsim compare-serving --interactivity`)"
        )
    # Room for one sequence of one block at least.
    split = split_over(spec, device, gpus, node.kv_block_tokens, 1)
    if np.isnan(split.tensor):
        raise InputError(refusal(spec, device, gpus, node.kv_block_tokens, 1))
    return (
        StepModel(spec, device, split),
        kv_cache(spec, device, split, node.kv_block_tokens),
        node,
        device,
        dict(reader.used),
    )


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
    """Return the result of engines that served one traffic together; busy times and energies are added."""
    for engine in engines:
        engine.settle()
    gpus = sum(engine.gpus for engine in engines)
    arrays = request_arrays(ledger)
    duration_s = max([engine.now_s for engine in engines] + [float(np.nanmax(arrays["end_s"], initial=0.0))])
    busy = {name: sum(engine.busy_s[name] for engine in engines) for name in engines[0].busy_s}
    idle_w = device.power_w * device.idle_power_share
    working_j = sum(_working_w(engine, device) * engine.busy_s["steps under way"] * engine.gpus for engine in engines)
    preempted = sum(engine.preemptions for engine in engines)
    return ServingResult(
        machine=device.name,
        kind="gpu",
        model=spec.name,
        grain="service",
        traffic=traffic.name,
        chips=gpus,
        **arrays,
        duration_s=duration_s,
        busy_s=busy,
        capacity=dict.fromkeys(busy, float(len(engines))),
        energy_j={
            "standing": idle_w * gpus * duration_s,
            "GPUs at work": working_j - idle_w * sum(e.busy_s["steps under way"] * e.gpus for e in engines),
        },
        timeline=timeline([engine.bins for engine in engines], list(busy)),
        events=sum(engine.jumps for engine in engines),
        interrupted=interrupted,
        notes=(
            f"{sum(engine.steps for engine in engines):,} steps, {preempted:,} preemptions",
            f"split: {engines[0].split_words}",
        ),
        assumptions=used,
    )


def _working_w(engine: Engine, device: Accelerator) -> float:
    """Return the mean power of a GPU of an engine while it runs steps."""
    seconds = engine.busy_s["steps under way"] or 1.0
    shares = (min(engine.busy_s[name] / seconds, 1.0) for name in ("memory bandwidth", "compute"))
    return float(device.power_w * busy_power_share(device, *shares))
