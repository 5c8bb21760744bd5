"""Machines that keep weights in memory: the data sheet of one GPU, and what kernels and a serving engine make of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwbase import Book, Quantity, Record, load_book, unknown_name
from hwbase.books import Reader, check_fields, from_book, sourced
from hwbase.check import Number
from hwsim.machine_books import DEFAULT_GPU, machine_book
from hwsim.technology import BOOKS

#: The engine that books of GPUs state, and that serves unless another is named.
DEFAULT_ENGINE = "vllm"


@dataclass(frozen=True)
class Accelerator(Record):
    """One GPU under one serving engine; `hwsim.gpu.step` says what each constant does to a step.

    Peaks are dense operations per second by the width that products are computed in; an efficiency is the share of a
    peak that kernels reach. Latencies are what a step takes however little there is to do: `layer_latency_s` of a layer
    with grouped-query attention and a dense feed-forward, to which routed experts and a latent cache add theirs;
    `prefill_...` of steps that read prompts, whose kernels are launched one by one, on top. A step drafts tokens of
    each sequence and verifies them (`hwsim.gpu.speculation`); a share of every prompt is in the cache already.
    With `separate_pools` prompts are read on GPUs of their own (`hwsim.gpu.pools`).
    `power_w` is stated, with a share of the server; `hwsim.gpu.power` says how much of it is drawn.
    """

    name: str
    memory_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    memory_bytes: Number = sourced("B", above=0.0, high=1e18)
    peak_ops_per_s: Number = sourced("1/s", above=0.0, high=1e24)
    fp8_ops_per_s: Number = sourced("1/s", above=0.0, high=1e24)
    fp4_ops_per_s: Number = sourced("1/s", above=0.0, high=1e24)
    memory_efficiency: Number = sourced("1", above=0.0, high=1.0)
    expert_memory_efficiency: Number = sourced("1", above=0.0, high=1.0)
    kv_memory_efficiency: Number = sourced("1", above=0.0, high=1.0)
    compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    fp8_compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    fp4_compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    expert_compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    attention_compute_efficiency: Number = sourced("1", above=0.0, high=1.0)
    layer_latency_s: Number = sourced("s", low=0.0, high=1.0)
    expert_layer_latency_s: Number = sourced("s", low=0.0, high=1.0)
    latent_layer_latency_s: Number = sourced("s", low=0.0, high=1.0)
    prefill_layer_latency_s: Number = sourced("s", low=0.0, high=1.0)
    prefill_expert_layer_latency_s: Number = sourced("s", low=0.0, high=1.0)
    prefill_latent_layer_latency_s: Number = sourced("s", low=0.0, high=1.0)
    layer_latency_factor: Number = sourced("1", above=0.0, high=100.0)
    step_latency_s: Number = sourced("s", low=0.0, high=1.0)
    first_token_latency_s: Number = sourced("s", low=0.0, high=10.0)
    node_gpus: Number = sourced("1", low=1, high=1e6, whole=True)
    nvlink_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    nvlink_efficiency: Number = sourced("1", above=0.0, high=1.0)
    network_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    all_reduce_latency_s: Number = sourced("s", low=0.0, high=1.0)
    pipeline_stages: Number = sourced("1", low=1, high=1024, whole=True)
    drafted_tokens: Number = sourced("1", low=0, high=64, whole=True)
    draft_acceptance: Number = sourced("1", low=0.0, high=1.0)
    draft_time_share: Number = sourced("1", low=0.0, high=1.0)
    cached_prompt_share: Number = sourced("1", low=0.0, high=0.999)
    separate_pools: Number = sourced("1", low=0, high=1, whole=True)
    prefill_pool_load: Number = sourced("1", above=0.0, high=0.99)
    prefill_pool_tokens: Number = sourced("1", low=1, high=1e8, whole=True)
    activation_bytes: Number = sourced("B", above=0.0, high=64)
    kv_element_bytes: Number = sourced("B", above=0.0, high=64)
    memory_share: Number = sourced("1", above=0.0, high=1.0)
    area_mm2: Number = sourced("mm**2", above=0.0, high=1e6)
    power_w: Number = sourced("W", above=0.0, high=1e9)
    idle_power_share: Number = sourced("1", low=0.0, high=1.0)
    load_power_share: Number = sourced("1", above=0.0, high=1.0)
    working_power_share: Number = sourced("1", low=0.0, high=1.0)
    memory_power_share: Number = sourced("1", low=0.0, high=1.0)
    compute_power_share: Number = sourced("1", low=0.0, high=1.0)
    rack_units: Number = sourced("1", above=0.0)

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))


def engines() -> dict[str, dict[str, Quantity]]:
    """Return the constants of each serving engine that differ from those of the default one, by its name."""
    sections: dict[str, dict[str, Quantity]] = {DEFAULT_ENGINE: {}}
    for name, quantity in load_book("engines", BOOKS).items():
        engine, _, constant = name.partition(".")
        sections.setdefault(engine, {})[constant] = quantity
    return sections


def accelerator_book(machine: str | Path | Book = DEFAULT_GPU, engine: str = DEFAULT_ENGINE) -> Book:
    """Return the book of a GPU with the constants of a serving engine in it; raises `InputError`."""
    book = machine_book(machine, ("gpu",))
    known = engines()
    if engine not in known:
        raise unknown_name("engine", engine, known)
    changed = {name: quantity for name, quantity in known[engine].items() if name in book}
    return replace(book, quantities=book.quantities | changed)


def load_accelerator(
    name_or_path: str | Path | Book = DEFAULT_GPU,
    reader: Reader | None = None,
    *,
    engine: str = DEFAULT_ENGINE,
    set: Mapping[str, Any] | None = None,
) -> Accelerator:
    """Return the `Accelerator` of a GPU's book under a serving engine.

    Parameters
    ----------
    name_or_path : str, Path or Book
        A book by name, such as "h100", or a file.
    reader : Reader, optional
        A reader of an `accelerator_book`, which records what it reads; the other arguments are then ignored.
    engine : str
        "vllm", "sglang" or "trtllm" (`engines`).
    set : mapping of str to number, array or str, optional
        Constants to override.

    Returns
    -------
    Accelerator
        Its fields are numbers, or arrays where `set` or the reader's book has arrays.

    Raises
    ------
    InputError
            For an unknown book, engine or constant.
    """
    reader = reader or accelerator_book(name_or_path, engine).override(set or {}).reader()
    return from_book(Accelerator, reader, name=reader.book.name)
