"""One point of a study of serving: a simulation of traffic on a machine, with its latencies and cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import hwsim
from explorer.serving.cost import serving_cost
from explorer.serving.traffic import traffic_from
from explorer.study import closed_forms
from hwbase import InputError, unknown_name
from hwbase.check import number
from hwsim.events.fleet import ROUTERS
from hwsim.events.results import percentiles_of
from hwsim.events.scheduling import POLICIES
from hwsim.events.serve import GRAINS, SERVERS
from hwsim.events.traffic import poisson
from hwsim.machine_books import COSTS, DEFAULT_MACHINE, machine_book
from hwsim.technology import DEFAULT_TECHNOLOGY

#: Parameters of `traffic_from`, of `Scheduling` and of `hwsim.serve` that a study may set or vary.
TRAFFIC = (
    "time_scale",
    "limit",
    "rate_per_s",
    "burstiness",
    "users",
    "think_s",
    "requests",
    "prompt_tokens",
    "output_tokens",
    "seed",
)
SCHEDULING = ("policy", "prefill_cap", "max_context", "most_running")
SERVING = ("model", "on", "grain", "gpus", "machines", "route", "weights", "technology")
COST = ("built", "convention")
_WHOLE = (
    *("limit", "users", "requests", "prompt_tokens", "output_tokens", "seed", "gpus", "machines", "built"),
    *("prefill_cap", "max_context", "most_running"),
)
#: Percentiles of each latency that become columns, by the prefix of the column.
_PERCENTILES = (50, 99)
_LATENCIES = {
    "first_token": "time_to_first_token_s",
    "per_output_token": "time_per_output_token_s",
    "request": "latency_s",
}
_PER_TOKEN = ("usd_per_million_output_tokens", "kg_per_million_output_tokens")
#: Columns of a study of serving.
OUTPUTS = (
    *("tokens_per_s", "output_tokens_per_s", "served_tokens_per_s", "finished", "served_share", "duration_s"),
    *("energy_j_per_output_token", "busiest_share"),
    "events",
    *_PER_TOKEN,
    *(f"{name}_p{rank}_s" for name in _LATENCIES for rank in _PERCENTILES),
)
#: The traffic of a trial.
_ONE = poisson(1.0, 1, prompt=1, output=2)
#: Settings that are one of a few names.
_NAMED = {"grain": GRAINS, "route": ROUTERS, "policy": POLICIES}


def check_settings(values: Mapping[str, Sequence[Any]]) -> None:
    """Raise `InputError` for an unknown name in a setting, fixed or among choices."""
    for name, valid in _NAMED.items():
        for value in values.get(name, ()):
            if value is not None and value not in valid:
                raise unknown_name(name, value, valid)
    for machine in values.get("on", ()):
        if machine is not None:
            machine_book(machine, SERVERS)
    closed_forms.check_settings(
        {name: values[name] for name in ("model", "weights", "technology", "convention") if name in values}
    )


def serving_names(fixed: Mapping[str, Any]) -> set[str]:
    """Return the names that a study of serving may vary: traffic, scheduling, machine, cost, and its constants."""
    names = {"traffic", *TRAFFIC, *SCHEDULING, *SERVING, *COST}
    machine = machine_book(fixed.get("on") or DEFAULT_MACHINE, SERVERS).without(COSTS)
    if machine.kind != "hardwired":
        return names | set(machine)
    technology = hwsim.technology_book(fixed.get("technology") or DEFAULT_TECHNOLOGY)
    return names | set(machine) | set(technology)


def serving_points(inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    """Return the outputs of one simulation as columns of length 1: rates, percentiles, states, energy, cost.

    Percentiles are over all requests, infinite beyond the served share; costs are NaN where no request finished.
    Raises `InputError` as `hwsim.serve` and `explorer.serving_cost` do.
    """
    if points != 1:
        raise InputError(f"serving takes one point at a time, not {points}")
    settings = {name: _plain(name, value) for name, value in inputs.items() if not _missing(value)}
    path = settings.pop("traffic", None)
    longest = settings.get("max_context")
    traffic = traffic_from(path, max_context=longest, **{n: settings.pop(n) for n in TRAFFIC if n in settings})
    scheduling = hwsim.Scheduling(**{name: settings.pop(name) for name in SCHEDULING if name in settings})
    costs = {name: settings.pop(name) for name in COST if name in settings}
    how = {name: settings.pop(name) for name in SERVING if name in settings}
    model, machines = how.pop("model", "gpt-oss-120b"), how.get("machines", 1)
    result = hwsim.serve(model, traffic, scheduling=scheduling, set=settings, **how)
    if result.interrupted:
        # An interrupted simulation is not a valid point.
        raise KeyboardInterrupt
    figures: dict[str, Any] = {
        "tokens_per_s": result.tokens_per_s,
        "output_tokens_per_s": result.output_tokens_per_s,
        "served_tokens_per_s": result.served_tokens_per_s,
        "finished": result.states["finished"],
        "served_share": result.served_share,
        "duration_s": result.duration_s,
        "energy_j_per_output_token": result.energy_j_per_output_token,
        "busiest_share": max(result.utilisation.values(), default=np.nan),
        "events": result.events,
    }
    for name, latency in _LATENCIES.items():
        seconds = result.felt(latency)
        reached = percentiles_of(seconds[~np.isnan(seconds)], _PERCENTILES)
        figures |= {f"{name}_p{rank}_s": value for rank, value in zip(_PERCENTILES, reached, strict=True)}
    hardwired = result.kind == "hardwired"
    built: dict[str, Any] = {}
    if hardwired:
        built = {name: how[name] for name in ("technology", "weights") if name in how} | {"set": settings}
    for name in _PER_TOKEN:
        figures[name] = np.nan
    if result.finished.any():
        cost = serving_cost(result, model=model, machines=machines, on=how.get("on"), **built, **costs)
        figures |= {name: getattr(cost, name) for name in _PER_TOKEN}
    return {name: np.array([value], dtype=float) for name, value in figures.items()}


def serving_reads(point: Mapping[str, Any]) -> set[str]:
    """Return which names of one `point` are read. Raises `InputError` as `hwsim.serve` does."""
    settings = {name: _plain(name, value) for name, value in point.items() if not _missing(value)}
    names = {"traffic", *TRAFFIC, *SCHEDULING, *SERVING, *COST}
    how = {name: settings[name] for name in SERVING if name in settings}
    constants = {name: value for name, value in settings.items() if name not in names}
    # One short request reads the constants that many do.
    run = hwsim.serve(how.pop("model", "gpt-oss-120b"), _ONE, set=constants, **how)
    return names | {*run.assumptions}


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, (float, np.floating)) and np.isnan(value))


def _plain(name: str, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return number(name, value, whole=True) if name in _WHOLE else value
