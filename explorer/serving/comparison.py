"""The same traffic on one hardwired machine and on the smallest GPU fleet that meets the same target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

import costmodel
import hwsim
import models
from explorer.documents.document import Document, Documented
from explorer.pricing.economics import PAPER_MODEL, costs_and_machine
from explorer.pricing.prices import (
    Convention,
    Machine,
    cost_book,
    listed_machines,
    machines_of,
    replaced_book,
    without_foreign,
)
from explorer.pricing.rates import RATED
from explorer.progress import Report
from explorer.serving.cost import ServingCost, serving_cost
from hwbase import Book, InputError, Record
from hwbase.arguments import checked
from hwbase.books import refuse_old, refuse_unread
from hwbase.check import real
from hwbase.values import read_integer, read_value
from hwsim.events.fleet import MOST_MACHINES, FleetSize, Target, smallest_fleet
from hwsim.events.results import ServingResult
from hwsim.events.serve import SERVERS
from hwsim.events.traffic import Traffic

#: The default target of chat: the first token within the 2 s that MLPerf Inference allows a server (llama2-70b), and
#: then tokens faster than reading speed.
CHAT = Target(percentile=99.0, time_to_first_token_s=2.0, time_per_output_token_s=0.025)
#: Numbers of GPUs that share the model; the cheapest fleet is taken.
GPUS_TOGETHER = (1, 2, 4, 8)
#: Systems that share masks and design: one, and the volume of the paper's tables.
VOLUMES = (1, 50)


@dataclass(frozen=True)
class GpuFleet(Record):
    """The smallest fleet of one kind of GPU that meets the target, and its costs."""

    gpus_together: int
    size: FleetSize
    cost: ServingCost

    @property
    def gpus(self) -> int:
        """GPUs of the fleet."""
        return self.size.machines * self.gpus_together

    @property
    def result(self) -> ServingResult:
        """The serving result of the fleet."""
        return self.size.result


@dataclass(frozen=True)
class Served(Record):
    """One load: the hardwired machine, the GPU fleets, and all costs. `speedup` is the factor of the trace's density.

    `load` is the busy share of the hardwired machine's busiest resource, `kept` whether it meets the target too.
    `built` are the costs of the hardwired machine, one for each volume.
    """

    speedup: float
    load: float
    binding: str
    kept: bool
    hardwired: ServingResult
    built: tuple[ServingCost, ...]
    fleets: tuple[GpuFleet, ...]

    @property
    def costs(self) -> tuple[ServingCost, ...]:
        """Costs of the hardwired machine, then of the fleets."""
        return (*self.built, *(fleet.cost for fleet in self.fleets))

    @property
    def results(self) -> tuple[ServingResult, ...]:
        """Results in the order of `costs`."""
        return (*(self.hardwired for _ in self.built), *(fleet.result for fleet in self.fleets))


@dataclass(frozen=True)
class ServingComparison(Documented):
    """Machines side by side at one or several loads."""

    model: str
    traffic: str
    target: Target
    loads: tuple[Served, ...]
    notes: tuple[str, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each load and fleet: units, rates, percentiles, dollars and kg per million tokens."""
        rows = []
        for served in self.loads:
            for cost, result in zip(served.costs, served.results, strict=True):
                reached = self.target.reached(result)
                middle = replace(self.target, percentile=50.0).reached(result)
                rows.append(
                    {
                        "speedup": served.speedup,
                        "fleet": cost.fleet,
                        "units": cost.units,
                        "built": cost.built,
                        "served_share": result.served_share,
                        "output_tokens_per_s": result.output_tokens_per_s,
                        "served_tokens_per_s": result.served_tokens_per_s,
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

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.serving.comparison_document import comparison_document

        return comparison_document(self, command)


@checked
def serve_comparison(
    traffic: Traffic,
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    on: Machine | Sequence[Machine] | None = None,
    target: Target = CHAT,
    loads: Sequence[float | None] = (None, 0.7),
    gpus_together: Sequence[int] = GPUS_TOGETHER,
    volumes: Sequence[int] = VOLUMES,
    convention: Convention = "corrected",
    gpu_set: Mapping[str, Any] | None = None,
    book: str | None = None,
    set: Mapping[str, Any] | None = None,
    machine_set: None = None,
    report: Report | None = None,
) -> ServingComparison:
    """Return `traffic` on one hardwired machine and on the cheapest fleet of each GPU that meets `target`.

    Parameters
    ----------
    traffic : Traffic
        The requests.
    model : str or LLMSpec
        A model, as in `hwsim.simulate`.
    on : str, Path or Book, or a sequence of them, optional
        Machines by name or book: one hardwired machine (by default the paper's), and GPUs (the convention's).
    target : Target
        The latencies that a share of the requests must meet.
    loads : sequence of float or None
        Busy shares of the machine's busiest resource to scale the traffic to; None leaves the traffic unscaled.
    gpus_together : sequence of int
        GPUs that share the model. The smallest fleet is found for each, and the one with the fewest GPUs taken.
    volumes : sequence of int
        Systems built, which share masks and design.
    convention : str, Path or Conventions
        The conventions, as in `explorer.cost`.
    gpu_set : mapping of str to number or str
        Constants of the GPUs to override.
    book : str, optional
        A cost book in place of the convention's.
    set : mapping of str to number or str
        Constants of the cost book, the hardwired machine or its technology to override.
    report : callable, optional
        Called with (machine, requests done, requests in all).
    machine_set : None
        An older name, which is refused: use `set`.

    Returns
    -------
    ServingComparison

    Raises
    ------
    InputError
        For invalid input, and where no fleet meets the target.
    """
    spec = models.spec_of(model)
    together = [read_integer("gpus_together", each, high=1024) for each in gpus_together]
    if not together:
        raise InputError("gpus_together is empty: expected numbers of GPUs that share the model")
    conventions = costmodel.conventions.named(convention)
    for given in map(hwsim.machine_book, listed_machines(on)):
        if given.kind in RATED and given.kind not in SERVERS:
            raise InputError(
                f"machine {given.name!r} is of kind {given.kind!r}, whose requests no event model follows: expected "
                "GPUs beside the hardwired machine; hwsim compare-serving --interactivity has its closed form"
            )
    machine, gpus = machines_of(on, SERVERS, conventions)
    costs_book = cost_book(book or conventions.book, gpus)
    refuse_old(machine_set=machine_set)
    for_costs, for_machine = costs_and_machine(set or {}, costs_book, machine, hwsim.DEFAULT_TECHNOLOGY)
    shared: dict[str, Any] = {"model": spec, "convention": convention, "book": book}

    def costed(
        result: ServingResult, own: Book, beside: Book, changed: Mapping[str, Any] | None = None, **how: Any
    ) -> ServingCost:
        own_costs = without_foreign(for_costs, [gpu for gpu in gpus if gpu.name != beside.name])
        return serving_cost(result, on=own, beside=beside, set=own_costs | dict(changed or {}), **how, **shared)

    plain = _hardwired(spec, traffic, machine, for_machine, report)
    served = []
    for load in loads:
        speedup = 1.0
        if load is not None:
            speedup = real("load", read_value("load", load, "1"), above=0.0, high=1.0) / _busiest(plain)[1]
        dense = traffic if load is None else traffic.faster(speedup)
        hardwired = plain if load is None else _hardwired(spec, dense, machine, for_machine, report)
        binding, busy = _busiest(hardwired)
        fleets = []
        for gpu in gpus:
            size, each = _smallest(spec, dense, gpu, target, together, gpu_set, report)
            fleets.append(GpuFleet(each, size, costed(size.result, gpu, gpu, machines=size.machines)))
        built = [costed(hardwired, machine, gpus[0], changed=for_machine, built=volume) for volume in volumes]
        kept = target.met(hardwired)
        served.append(Served(speedup, busy, binding, kept, hardwired, tuple(built), tuple(fleets)))
    refuse_unread(for_costs, *(cost.assumptions for each in served for cost in each.costs))
    return ServingComparison(spec.name, traffic.name, target, tuple(served), replaced_book(conventions, book, gpus))


def _hardwired(
    spec: models.LLMSpec, traffic: Traffic, machine: Book, set: Mapping[str, Any] | None, report: Report | None
) -> ServingResult:
    def progress(done: int, total: int, now_s: float) -> None:
        if report:
            report(machine.header.label, done, total)

    result = hwsim.serve(spec, traffic, machine, set=set, progress=progress)
    if result.interrupted:
        raise KeyboardInterrupt
    return result


def _smallest(
    spec: models.LLMSpec,
    traffic: Traffic,
    gpu: Book,
    target: Target,
    together: Sequence[int],
    set: Mapping[str, Any] | None,
    report: Report | None,
) -> tuple[FleetSize, int]:
    """Return the fleet with the fewest GPUs and its number of GPUs that share the model; of equals the first."""
    best: tuple[FleetSize, int] | None = None
    # A machine for each request leaves nothing to wait for.
    enough = min(MOST_MACHINES, len(traffic))
    refused: InputError | None = None
    for each in together:

        def serve(machines: int, each: int = each) -> ServingResult:
            def progress(done: int, total: int, now_s: float) -> None:
                if report:
                    report(f"{machines} x {each} {gpu.header.label}", done, total)

            return hwsim.serve(spec, traffic, gpu, gpus=each, machines=machines, set=set, progress=progress)

        # A fleet with as many GPUs as the best so far is no better.
        most = enough if best is None else min(enough, (best[0].machines * best[1] - 1) // each)
        if most == 0:
            continue
        try:
            fleet = smallest_fleet(serve, target, most=most)
        except InputError as error:
            refused = error
            continue
        best = fleet, each
    if best is None:
        assert refused is not None
        raise refused
    return best


def _busiest(result: ServingResult) -> tuple[str, float]:
    return max(result.utilisation.items(), key=lambda item: item[1])
