"""A trace that a machine has to serve: what the closed form must bear of it, and finalists that keep its promises."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hwsim
from explorer.designs.constraints import read_constraints, upper_limit
from explorer.designs.evaluation import Case, constants_of
from explorer.pricing.rates import Workload
from explorer.progress import Report
from explorer.writing import write_text
from hwbase import InputError, Record
from hwbase.columns import column
from hwbase.numbers import counted, listed
from hwbase.parsing import read_text
from hwsim.design import CHOICES
from hwsim.events.fleet import Target
from hwsim.events.traffic import Traffic, read_trace

#: What may be promised to users.
LATENCIES = ("time_to_first_token_s", "time_per_output_token_s")
PROMISES = ("time_to_first_token_s <= 1 s",)
#: Machines that serve the trace before the search gives up.
MOST_SERVED = 25
_DIGEST = 16


@dataclass(frozen=True, eq=False)
class Requests(Record):
    """A trace, and what its users are promised at a percentile of all requests."""

    traffic: Traffic
    target: Target

    @classmethod
    def read(cls, traffic: Traffic | str | Path, promises: Sequence[str], percentile: float) -> "Requests":
        """Return a trace, or that of a file, with promises such as "time_to_first_token_s <= 1 s".

        Raises `InputError` for a promise that is no upper limit of one of `LATENCIES`, and for closed traffic.
        """
        requests = traffic if isinstance(traffic, Traffic) else read_trace(traffic)
        if requests.users:
            raise InputError(
                f"traffic {requests.name!r} is of {counted(requests.users, 'user')} who wait for answers: expected "
                "requests that arrive at stated times"
            )
        limits: dict[str, float] = {}
        for text in promises:
            (constraint,) = read_constraints({text: text}, LATENCIES)
            bounds = {name: upper_limit([constraint], name) for name in constraint.columns}
            if not bounds or None in bounds.values():
                raise InputError(f"promise {text!r}: expected an upper limit, such as '{PROMISES[0]}'")
            for name, bound in bounds.items():
                assert bound is not None
                limits[name] = min(bound, limits.get(name, bound))
        return cls(requests, Target(percentile=percentile, **limits))

    @property
    def workload(self) -> Workload:
        """The mean request, which the closed form serves."""
        prompt, output = (np.mean(each) for each in (self.traffic.prompt_tokens, self.traffic.output_tokens))
        return Workload(prompt_tokens=max(int(np.rint(prompt)), 1), output_tokens=max(int(np.rint(output)), 1))

    @property
    def demand_tokens_per_s(self) -> float:
        """Output tokens per second that users ask for, in the mean from the first arrival to the last."""
        span_s = float(self.traffic.arrival_s[-1] - self.traffic.arrival_s[0])
        return float(self.traffic.output_tokens.sum()) / span_s if span_s > 0 else 0.0

    @property
    def constraints(self) -> dict[str, str]:
        """What a machine must do in closed form to come into question, by name."""
        limits = {"mean load of the trace": f"tokens_per_s >= {self.demand_tokens_per_s!r}"}
        between_s = self.target.time_per_output_token_s
        if np.isfinite(between_s):
            limits["promise to one user alone"] = f"latency_alone_s <= {between_s!r}"
        return limits

    def describe(self) -> str:
        """Return the trace and the promises in words."""
        bounds = [
            f"{column(name).label} of at most {column(name).text(getattr(self.target, name))}"
            for name in LATENCIES
            if np.isfinite(getattr(self.target, name))
        ]
        return f"{len(self.traffic):,} requests, {listed(bounds)} at p{self.target.percentile:g}"


@dataclass(frozen=True)
class Served(Record):
    """A design, by its place in the front, and the trace on it: latencies at the percentile, and the load."""

    place: int
    time_to_first_token_s: float
    time_per_output_token_s: float
    served_share: float
    busiest_share: float
    energy_j_per_token: float
    keeps: bool
    """Whether it keeps every promise."""


def serve_finalists(
    case: Case, designs: pd.DataFrame, requests: Requests, wanted: int, kept: str | Path | None, report: Report
) -> tuple[Served, ...]:
    """Return how `designs`, rows of a front in order, serve a trace, until `wanted` of them keep all promises.

    Parameters
    ----------
    case : Case
    designs : DataFrame
        Rows of a front, the best first.
    requests : Requests
    wanted : int
        How many that keep all promises are enough.
    kept : str or Path, optional
        A JSON file in which results are kept, so that a search that was interrupted goes on where it stopped.
    report : callable
        Called with (what, done, in all).

    Returns
    -------
    tuple of Served

    Raises
    ------
    InputError
        Where none of the first `MOST_SERVED` keeps them; the sentence has the latencies of the nearest.
    """
    store = _read_store(kept)
    results: list[Served] = []
    tried = designs.head(MOST_SERVED)
    for place in range(len(tried)):
        report("machines, request by request", place, len(tried))
        figures = _served(case, tried.iloc[place], requests, store)
        if kept is not None:
            write_text(json.dumps(store, indent=1), kept)
        results.append(Served(place=place, **figures))
        if sum(each.keeps for each in results) >= wanted:
            break
    report("machines, request by request", len(tried), len(tried))
    if not any(each.keeps for each in results):
        raise _none_keeps(results, requests)
    return tuple(results)


def _served(case: Case, row: pd.Series, requests: Requests, store: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the fields of `Served` but its place, from the store where it has them."""
    constants = {name: float(values[0]) for name, values in constants_of(row.to_frame().T).items()}
    overrides = {**case.for_machine, **constants, **{name: str(row[name]) for name in CHOICES}}
    key = _key(case, overrides, requests)
    if key not in store:
        result = hwsim.serve(
            case.spec,
            requests.traffic,
            on=case.setting.machine,
            weights=case.setting.weights,
            technology=case.setting.technology,
            set={name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in overrides.items()},
        )
        if result.interrupted:
            raise KeyboardInterrupt
        store[key] = {
            **requests.target.reached(result),
            "served_share": float(result.served_share),
            "busiest_share": max(result.utilisation.values()),
            "energy_j_per_token": float(result.energy_j_per_output_token),
            "keeps": bool(requests.target.met(result)),
        }
    return store[key]


def _key(case: Case, overrides: dict[str, object], requests: Requests) -> str:
    """Return what tells one machine on one trace with one promise from all others."""
    digest = sha256()
    for values in (requests.traffic.arrival_s, requests.traffic.prompt_tokens, requests.traffic.output_tokens):
        digest.update(np.ascontiguousarray(values).tobytes())
    books = [
        sorted((name, q.nominal) for name, q in book.items())
        for book in (case.setting.machine, case.setting.technology)
    ]
    facts = (hwsim.__version__, case.spec, case.setting.weights, sorted(overrides.items()), books, requests.target)
    digest.update(repr(facts).encode())
    return digest.hexdigest()[:_DIGEST]


def _read_store(path: str | Path | None) -> dict[str, dict[str, Any]]:
    """Return the results that a file keeps; none where there is no file. Raises `InputError` for another file."""
    if path is None or not Path(path).exists():
        return {}
    names = {each for each in Served.__dataclass_fields__ if each != "place"}
    try:
        store = json.loads(read_text(Path(path)))
    except ValueError:
        store = None
    if not isinstance(store, dict) or not all(isinstance(each, dict) and set(each) == names for each in store.values()):
        raise InputError(f"cannot go on from {str(path)!r}: expected a file that an earlier search has kept")
    return store


def _none_keeps(results: Sequence[Served], requests: Requests) -> InputError:
    target = requests.target
    nearest = min(results, key=lambda each: max(getattr(each, name) / getattr(target, name) for name in LATENCIES))
    reached = listed([f"{name} = {column(name).text(getattr(nearest, name))}" for name in LATENCIES])
    return InputError(
        f"none of the {counted(len(results), 'best machine')} keeps {requests.describe()}; the nearest "
        f"reaches {reached}: expected weaker promises, or tokens_per_s as the first objective"
    )
