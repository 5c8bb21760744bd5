"""The same traffic on one hardwired machine and on the smallest GPU fleet that keeps the same promise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

import costmodel
import hwsim
import models
from explorer.pricing.economics import costs_and_machine
from explorer.pricing.prices import cost_book
from explorer.serving.cost import ServingCost, serving_cost
from hwbase import InputError, Record
from hwbase.check import integer, real
from hwsim.events.fleet import FleetSize, Target, smallest_fleet
from hwsim.events.results import ServingResult
from hwsim.events.traffic import Traffic

#: What a chat should feel like: the first token within the 2 s that MLPerf Inference allows a server (llama2-70b), then
#: words faster than anyone reads.
CHAT = Target(percentile=99.0, time_to_first_token_s=2.0, time_per_output_token_s=0.025)
#: GPUs that share the model, of which the cheapest fleet is taken.
GPUS_TOGETHER = (1, 2, 4, 8)
#: Systems that share masks and design: one alone, and the volume of the paper's tables.
VOLUMES = (1, 50)

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Served(Record):
    """One load: the hardwired machine, the GPU fleet, and what both cost. `speedup` is how much denser the trace is.

    `load` is the busy share of the hardwired machine's busiest resource, `kept` whether it keeps the promise too.
    """

    speedup: float
    load: float
    binding: str
    kept: bool
    hardwired: ServingResult
    gpus_together: int
    fleet: FleetSize
    costs: tuple[ServingCost, ...]

    @property
    def gpus(self) -> int:
        """GPUs of the fleet."""
        return self.fleet.machines * self.gpus_together


@dataclass(frozen=True)
class ServingComparison(Record):
    """Machines side by side at one load or several."""

    model: str
    traffic: str
    target: Target
    loads: tuple[Served, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return a row a load and fleet: units, rates, percentiles at the target, dollars and kg per million tokens."""
        rows = []
        for served in self.loads:
            for cost in served.costs:
                result = served.fleet.result if cost.fleet == "h100" else served.hardwired
                reached = self.target.reached(result)
                middle = replace(self.target, percentile=50.0).reached(result)
                rows.append(
                    {
                        "speedup": served.speedup,
                        "fleet": cost.fleet,
                        "units": cost.units,
                        "built": cost.built,
                        "output_tokens_per_s": result.output_tokens_per_s,
                        "tokens_per_s": result.tokens_per_s,
                        **{f"p50.{name}": value for name, value in middle.items()},
                        **{f"p{self.target.percentile:g}.{name}": value for name, value in reached.items()},
                        "mean_power_w": sum(result.energy_j.values()) / result.duration_s,
                        "total_usd": cost.total_usd,
                        "usd_per_million_output_tokens": cost.usd_per_million_output_tokens,
                        "kg_per_million_output_tokens": cost.kg_per_million_output_tokens,
                    }
                )
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        from explorer.documents import notebook
        from explorer.serving.comparison_document import comparison_document

        return notebook.render(comparison_document(self, ""))


def serve_comparison(
    traffic: Traffic,
    model: str | models.LLMSpec = "gpt-oss-120b",
    *,
    target: Target = CHAT,
    loads: Sequence[float | None] = (None, 0.7),
    gpus_together: Sequence[int] = GPUS_TOGETHER,
    volumes: Sequence[int] = VOLUMES,
    convention: str = "corrected",
    gpu_set: Mapping[str, Any] | None = None,
    book: str | None = None,
    set: Mapping[str, Any] | None = None,
    machine_set: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> ServingComparison:
    """Return `traffic` on one hardwired machine and on the cheapest H100 fleet that keeps `target`.

    Each of `loads` is the share of the machine's busiest resource that the traffic is made denser for (None: as it
    is). The fleet is the smallest for each of `gpus_together`, and of these the one with the fewest GPUs. `volumes`
    are systems built, over which masks and design are spread. `gpu_set` overrides constants of the
    GPU, `set` those of the cost book, the hardwired machine or its technology (`machine_set` is an older name for the
    last two); `book` is the cost book.
    Raises `InputError` for what cannot be used, and where no fleet keeps the target.
    """
    spec = models.load(model) if isinstance(model, str) else model
    together = [integer("gpus_together", each, high=1024) for each in gpus_together]
    if not together:
        raise InputError("gpus_together is empty: expected numbers of GPUs that share the model")
    costs_book = cost_book(book or costmodel.conventions.named(convention).book)
    overrides = {**(set or {}), **(machine_set or {})}
    for_costs, for_machine = costs_and_machine(overrides, costs_book, hwsim.DEFAULT_MACHINE, hwsim.DEFAULT_TECHNOLOGY)
    plain = _hardwired(spec, traffic, for_machine, report)
    served = []
    for load in loads:
        speedup = 1.0
        if load is not None:
            speedup = real("load", load, above=0.0, high=1.0) / _busiest(plain)[1]
        dense = traffic if load is None else traffic.faster(speedup)
        hardwired = plain if load is None else _hardwired(spec, dense, for_machine, report)
        size, each = _smallest(spec, dense, target, together, gpu_set, report)
        binding, busy = _busiest(hardwired)
        shared: dict[str, Any] = {"model": spec, "convention": convention, "book": book, "set": for_costs}
        costs = [serving_cost(hardwired, machine_set=for_machine, built=volume, **shared) for volume in volumes] + [
            serving_cost(size.result, machines=size.machines, **shared)
        ]
        kept = target.met(hardwired)
        served.append(Served(speedup, busy, binding, kept, hardwired, each, size, tuple(costs)))
    return ServingComparison(spec.name, traffic.name, target, tuple(served))


def _hardwired(
    spec: models.LLMSpec, traffic: Traffic, set: Mapping[str, Any] | None, report: Report | None
) -> ServingResult:
    def progress(done: int, total: int, now_s: float) -> None:
        if report:
            report("HNLPU", done, total)

    result = hwsim.serve(spec, traffic, "hnlpu", set=set, progress=progress)
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def _smallest(
    spec: models.LLMSpec,
    traffic: Traffic,
    target: Target,
    together: Sequence[int],
    set: Mapping[str, Any] | None,
    report: Report | None,
) -> tuple[FleetSize, int]:
    """Return the fleet with the fewest GPUs and how many share the model in it; of equals the first."""
    best: tuple[FleetSize, int] | None = None
    refused: InputError | None = None
    for each in together:

        def serve(machines: int, each: int = each) -> ServingResult:
            def progress(done: int, total: int, now_s: float) -> None:
                if report:
                    report(f"{machines} x {each} H100", done, total)

            return hwsim.serve(spec, traffic, "h100", gpus=each, machines=machines, set=set, progress=progress)

        # A fleet that needs as many GPUs as the best so far is no better.
        most = None if best is None else (best[0].machines * best[1] - 1) // each
        if most == 0:
            continue
        try:
            found = smallest_fleet(serve, target) if most is None else smallest_fleet(serve, target, most=most)
        except InputError as error:
            refused = error
            continue
        best = found, each
    if best is None:
        assert refused is not None
        raise refused
    return best


def _busiest(result: ServingResult) -> tuple[str, float]:
    return max(result.utilisation.items(), key=lambda item: item[1])
