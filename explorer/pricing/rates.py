"""What each machine of a comparison generates of one workload, and what bought ones draw meanwhile."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

import costmodel
import hwsim
import models
from hwbase import Book, Evidence, InputError, Quantity, Record, evidence_of
from hwbase.check import Number, count
from hwbase.values import read_integer
from hwsim.accelerator import Accelerator, accelerator_book, load_accelerator
from hwsim.gpu.rate import GpuRate, best_rate
from hwsim.machine_books import COSTS, KINDS
from hwsim.wafer import load_wafer
from hwsim.wafer_rate import best_wafer_rate

#: The model whose machine the paper describes, and whose rates on bought machines it states.
PAPER_MODEL = "gpt-oss-120b"
RATE, SHARE = "tokens_per_s", "power_share"
#: Kinds of machine whose rate is predicted, or stated for one network.
RATED = ("gpu", "wafer", "fixed-model")
#: Constants of a cost book that a predicted rate rests on.
PROMISE = "service.time_per_token_s"
SPEED = "service.gpu_speed_factor"
SEQUENCES = "service.sequences"
SERVICE = (PROMISE, SEQUENCES, SPEED)
#: Constants of a GPU's book that no rate rests on.
_NO_RATE = ("power_w", "area_mm2", "rack_units")
#: The constant that a predicted power rests on.
POWER = "service.gpu_power_factor"
_YEAR = 2026
_LONGEST = 1e8


@dataclass(frozen=True)
class Workload(Record):
    """What both machines of a comparison serve: decoding at `context`, or whole requests. Numbers or arrays alike."""

    context: Number = 2048
    prompt_tokens: Number = 0
    output_tokens: Number = 0

    def __post_init__(self) -> None:
        count("context", self.context, high=_LONGEST)
        prompt = np.asarray(count("prompt_tokens", self.prompt_tokens, low=0, high=_LONGEST))
        output = np.asarray(count("output_tokens", self.output_tokens, low=0, high=_LONGEST))
        if np.any((prompt > 0) != (output > 0)):
            raise InputError(
                f"prompt_tokens = {np.max(prompt)}, output_tokens = {np.max(output)}: expected both, or neither to "
                "compare machines that only decode"
            )

    @classmethod
    def read(cls, context: int | str, prompt_tokens: int | str, output_tokens: int | str) -> "Workload":
        """Return a workload from numbers or texts ("64K"). Raises `InputError` for numbers out of range."""
        return cls(
            read_integer("context", context, high=hwsim.MOST_CONTEXT),
            read_integer("prompt_tokens", prompt_tokens, low=0, high=hwsim.MOST_CONTEXT),
            read_integer("output_tokens", output_tokens, low=0, high=hwsim.MOST_CONTEXT),
        )

    @property
    def mean_context(self) -> Number:
        """Positions that a sequence attends to, in the mean over an answer."""
        served = np.asarray(self.prompt_tokens) > 0
        return np.where(served, self.prompt_tokens + np.asarray(self.output_tokens) // 2, self.context)[()]

    def describe(self) -> str:
        """Return the workload in words; of numbers, not of arrays."""
        if self.prompt_tokens:
            return f"prompts of {self.prompt_tokens:,} and answers of {self.output_tokens:,} tokens"
        return f"decoding at a context of {self.context:,}"

    def output_rate(self, decoding: hwsim.SimResult, at: Callable[[Number], hwsim.SimResult]) -> Number:
        """Return the output tokens per second of a pipelined machine, whose slots prompt tokens take as outputs do.

        Parameters
        ----------
        decoding : SimResult
            The machine at `mean_context`.
        at : callable
            Returns the machine at another context.

        Returns
        -------
        float or array
            Tokens per second; each prompt token attends to half of the prompt, in the mean.
        """
        if not np.any(self.prompt_tokens):
            return decoding.tokens_per_s
        reading_s = at(np.maximum(np.asarray(self.prompt_tokens) // 2, 1)).interval_s
        prompts_s = self.prompt_tokens * reading_s
        answers_s = self.output_tokens * decoding.interval_s
        rate = self.output_tokens / np.where(prompts_s + answers_s > 0, prompts_s + answers_s, 1.0)
        return np.where(np.asarray(self.prompt_tokens) > 0, rate, decoding.tokens_per_s)[()]


#: What is compared where a caller names no workload.
DECODING = Workload()


def bought_rate(costs: Book, machine: Book, model: models.LLMSpec, workload: Workload) -> tuple[Number, Number]:
    """Return (tokens per second of one bought GPU, power that it draws over that stated).

    The rate is NaN where no server holds the workload within the promise. One that the user sets or that a machine's
    book states stands, but for the paper's, which goes with the paper's own system alone (`with_rate`). Any other is
    the best that `hwsim.gpu.rate` predicts for the model and the workload, within the promise of the book
    (`service.*`), times the measured speed factor; the power is that of this server.

    Parameters
    ----------
    costs : Book
        The cost book, overrides in place.
    machine : Book
        The book of the machine.
    model : LLMSpec
        What it generates.
    workload : Workload
        Numbers, or arrays of the length of those in `costs`.

    Returns
    -------
    tuple of float or array

    Raises
    ------
    InputError
        For a machine that is no GPU and states no rate.
    """
    best = predicted(costs, machine, model, workload) if machine.kind in RATED else None
    share = power_share(costs, machine, best)
    if best is None or _is_stated(costs, machine):
        return costs.value(f"{machine.name}.{RATE}", "token/s"), share
    return best.tokens_per_s * speed_factor(costs, machine), share


def bought_with(
    overrides: Mapping[str, Any], others: Iterable[Book], *books: Book
) -> tuple[dict[str, Any], dict[str, Any], list[Book]]:
    """Return (overrides of `books` or unknown, those of servers of bought GPUs, the bought machines with the latter).

    A constant that says how GPUs serve (`hwsim.accelerator`), and that none of `books` has, holds for every GPU that is
    bought. Raises `InputError` for a value out of range.
    """
    known = {name for book in books for name in book.settable()}
    serving = {field.name for field in fields(Accelerator)} - known - {*_NO_RATE, "name"}
    bought = list(others)
    own = {name: value for name, value in overrides.items() if name in serving}
    if not any(other.kind == "gpu" for other in bought):
        own = {}
    rest = {name: value for name, value in overrides.items() if name not in own}
    return rest, own, [other.override(own) if own and other.kind == "gpu" else other for other in bought]


def predicted_rate(costs: Book, machine: Book, model: models.LLMSpec, workload: Workload) -> Number:
    """Return the predicted rate of `bought_rate`, whatever the book states; parameters and errors are the same."""
    return predicted(costs, machine, model, workload).tokens_per_s * speed_factor(costs, machine)


def speed_factor(costs: Book, machine: Book) -> Number:
    """Return measured over predicted tokens per second of a machine: fitted for GPUs, unknown and so 1 for others."""
    return costs.value(SPEED, "1") if machine.kind == "gpu" else 1.0


def power_share(costs: Book, machine: Book, best: GpuRate | None) -> Number:
    """Return the power that a bought machine draws over that stated: what the user sets, or the predicted share.

    That of a GPU is multiplied by the fitted power factor; no machine draws more than is stated of it. It is 1 for
    other machines, and where no server is known.
    """
    name = f"{machine.name}.{SHARE}"
    if _is_set(costs, name):
        return costs.value(name, "1")
    if machine.kind != "gpu" or best is None:
        return 1.0
    share = np.minimum(best.power_share * costs.value(POWER, "1"), 1.0)
    return np.where(np.isnan(share), 1.0, share)[()]


def with_share(costs: Book, machine: Book, share: Number, source: str = "predicted") -> Book:
    """Return a cost book with the share of its stated power that a GPU draws; that of other machines is not known."""
    if machine.kind != "gpu":
        return costs
    note = "hwsim.gpu.power, times service.gpu_power_factor"
    stated = Quantity(share, "1", source, "derived", _YEAR, note=note)
    return replace(costs, quantities={**costs.quantities, f"{machine.name}.{SHARE}": stated})


def with_rate(
    costs: Book,
    machine: Book,
    model: models.LLMSpec,
    workload: Workload,
    *,
    published: bool = False,
    strict: bool = True,
) -> Book:
    """Return a cost book with the rate of `bought_rate` in it, as "NAME.tokens_per_s", its power share, and sources.

    Parameters
    ----------
    costs, machine, model, workload
        As in `bought_rate`; the workload in numbers, not in arrays.
    published : bool
        Whether the paper's own system stands beside it: then the rate that the paper states stands too.
    strict : bool
        False: the rate is NaN where no server holds the workload within the promise.

    Returns
    -------
    Book

    Raises
    ------
    InputError
        As `bought_rate` does, and (`strict`) where no server holds the workload.
    """
    name = f"{machine.name}.{RATE}"
    is_stated = _is_stated(costs, machine)
    if machine.kind not in RATED:
        return costs
    best = predicted(costs, machine, model, workload)
    if not _is_set(costs, f"{machine.name}.{SHARE}"):
        share = power_share(costs, machine, best)
        costs = with_share(costs, machine, share, f"predicted for {model.name}, {workload.describe()}")
    if is_stated or (published and name in costs.quantities):
        return costs
    if strict and np.isnan(best.tokens_per_s):
        limit = costs.value(PROMISE, "s")
        raise InputError(
            f"no server of {machine.name} serves {model.name} ({workload.describe()}) within {limit * 1e3:g} ms per "
            "token: expected another machine, a shorter context, or a longer service.time_per_token_s"
        )
    unit = KINDS[machine.kind] if machine.kind == "gpu" else machine.header.label
    server = f"{best.gpus:g} {unit}{'s' if best.gpus > 1 else ''}"
    if machine.kind == "gpu" and best.gpus + best.prompt_gpus > 1:
        server += f" ({best.describe()})"
    source = (
        f"predicted for {model.name}, {workload.describe()}: {server} with {best.sequences:g} sequences, "
        f"{best.time_per_output_token_s * 1e3:.3g} ms per token"
    )
    if np.isfinite(best.time_to_first_token_s):
        source += f", the first after {best.time_to_first_token_s:.3g} s,"
    if machine.kind == "gpu":
        source += " before the speed factor"
    rate = best.tokens_per_s * speed_factor(costs, machine)
    if machine.kind == "gpu" and not np.isnan(rate):
        low, high = (best.tokens_per_s * costs[SPEED].at(end) for end in ("low", "high"))
        source += f"; 90 % band of measured servers {low:,.0f} to {high:,.0f} tokens/s"
    note = "hwsim.gpu.rate, whose step is fitted on measured networks, times the fitted service.gpu_speed_factor"
    if machine.kind == "fixed-model":
        source, note = machine["tokens_per_s_per_user"].source, "published, for all users of a chip together"
    if machine.kind == "wafer":
        note = "hwsim.wafer_rate, whose latency of a product is fitted on published tokens/s of one user"
    stated = Quantity(rate, "token/s", source, "derived", _YEAR, note=note)
    return replace(costs, quantities={**costs.quantities, name: stated})


def _is_set(costs: Book, name: str) -> bool:
    """Return whether a constant is in a cost book that we did not predict."""
    quantity = costs.quantities.get(name)
    return quantity is not None and quantity.kind != "derived"


def rate_evidence(costs: Book, machine: Book) -> Evidence:
    """Return the evidence of the rate of a machine in a cost book: that of its constants where we predict it."""
    rate = costs[f"{machine.name}.{RATE}"]
    if rate.kind != "derived":
        return evidence_of([rate])
    if machine.kind == "fixed-model":
        return evidence_of([machine["tokens_per_s_per_user"]])
    if machine.kind == "wafer":
        return evidence_of(machine.without(COSTS).quantities.values())
    reader = accelerator_book(machine).reader()
    load_accelerator(reader=reader)
    return evidence_of([*reader.used.values(), *(costs[name] for name in SERVICE)])


def power_evidence(costs: Book, machine: Book, conventions: costmodel.Conventions) -> list[Quantity]:
    """Return the fitted constant that the power of a bought machine rests on, if any."""
    if machine.kind != "gpu" or conventions.bought_power == "stated" or _is_set(costs, f"{machine.name}.{SHARE}"):
        return []
    return [costs[POWER]]


def _is_stated(costs: Book, machine: Book) -> bool:
    """Return whether a rate of a machine stands in a cost book, of the user or of the machine's book."""
    rate = costs.quantities.get(f"{machine.name}.{RATE}")
    if rate is not None and rate.kind not in ("derived", "paper"):
        return True
    if machine.kind not in RATED:
        raise InputError(f"the book of {machine.name} states no {RATE}: expected it in its [costs.default]")
    return False


def predicted(costs: Book, machine: Book, model: models.LLMSpec, workload: Workload) -> GpuRate:
    """Return the best server of a bought machine for a workload, within the promise of a cost book.

    A machine that holds one network has the rate that its book states. Raises `InputError` for another network.
    """
    promise = costs.value(PROMISE, "s")
    if machine.kind == "fixed-model":
        return _stated_rate(machine, model, promise)
    if machine.kind == "wafer":
        return best_wafer_rate(
            model,
            load_wafer(reader=machine.reader()),
            context=workload.context,
            prompt_tokens=workload.prompt_tokens,
            output_tokens=workload.output_tokens,
            time_per_token_s=promise,
        )
    return best_rate(
        model,
        load_accelerator(machine),
        context=workload.context,
        prompt_tokens=workload.prompt_tokens,
        output_tokens=workload.output_tokens,
        time_per_token_s=promise,
        sequences=costs.value(SEQUENCES, "1"),
    )


def _stated_rate(machine: Book, model: models.LLMSpec, promise_s: Number) -> GpuRate:
    """Return the published rate of a chip that holds one network and is shared in time by its users."""
    if model.name != machine.header.model:
        raise InputError(f"{machine.name} holds {machine.header.model}: expected it in place of {model.name}")
    speed = float(machine.value("tokens_per_s_per_user", "token/s"))
    values = (speed, 1.0, 1.0, 1.0, 1.0 / speed)
    kept = 1.0 / speed <= np.asarray(promise_s)
    return GpuRate(*(np.where(kept, value, np.nan)[()] for value in values))
