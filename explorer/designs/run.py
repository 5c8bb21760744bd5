"""The question of a search: which machine to build for a model, towards which objectives, within which limits."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hwsim
import models
from explorer.designs.completion import completed
from explorer.designs.confirmation import MOST_CONFIRMED, ranked
from explorer.designs.constraints import Constraint, read_constraints, upper_limit
from explorer.designs.evaluation import ALONE, ALWAYS, COOLING, FIGURES, PRICES, Case, case_of
from explorer.designs.result import DesignSearch
from explorer.designs.search import search
from explorer.designs.serving import PROMISES, Requests, serve_finalists
from explorer.designs.space import MAPPING, Space, choices_of, declared, mappings_up_to, parts_of, read_steps
from explorer.pareto import Direction
from explorer.pricing.prices import Convention, Machine
from explorer.pricing.rates import PAPER_MODEL, Workload
from explorer.progress import Report
from hwbase import Book, InputError, unknown_name
from hwbase.arguments import checked
from hwbase.check import integer
from hwbase.columns import column
from hwbase.values import read_integer
from hwsim.chip import MOST_CHIPS
from hwsim.design import HardwiredDesign
from hwsim.events.traffic import Traffic

#: What is sought, and within what, where nothing is said; with a trace, the least silicon that serves it.
OBJECTIVES = ("tokens_per_s", "latency_alone_s")
TRACE_OBJECTIVES = ("area_mm2", "tokens_per_s", "latency_alone_s")
CONSTRAINTS = ("area_mm2 <= 13300",)
_PERCENTILE = 99.0


@checked
def design(
    model: str | Path | models.LLMSpec = PAPER_MODEL,
    *,
    objectives: Mapping[str, Any] | Sequence[str] | None = None,
    constraints: Sequence[str] = CONSTRAINTS,
    on: Machine = hwsim.DEFAULT_MACHINE,
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    context: int = 2048,
    prompt_tokens: int = 0,
    output_tokens: int = 0,
    traffic: Traffic | str | Path | None = None,
    promises: Sequence[str] = PROMISES,
    percentile: float = _PERCENTILE,
    vary: Mapping[str, Any] | None = None,
    uneven: bool = False,
    cooling: str = COOLING[0],
    volume: int = 50,
    convention: Convention = "corrected",
    book: str | Book | None = None,
    set: Mapping[str, Any] | None = None,
    confirm: int = 1,
    kept: str | Path | None = None,
    workers: int = 2,
    progress: Report | None = None,
) -> DesignSearch:
    """Return the hardwired machines for a model that no other beats, of all mappings and balances of a chip's blocks.

    Every design of the space is computed in closed form (pipelined reading).

    Parameters
    ----------
    model : str, Path or LLMSpec
        A model, as in `hwsim.simulate`.
    objectives : list of str, or mapping of str to "min" or "max"
        Columns, the most important first; of a list each is taken in its better direction. `OBJECTIVES` unless given,
        with a trace `TRACE_OBJECTIVES`.
    constraints : list of str
        Conditions as studies have them, such as "latency_alone_s <= 30 us". That one exposure prints a die, that memory
        stands around it, that it can be cooled and that every resource bears its load always holds.
    on : str, Path or Book
        The machine whose book has all that does not vary.
    technology : str, Path or Book
        The process.
    weights : str
        Format of the hardwired weights.
    context : int
        Positions of a sequence.
    prompt_tokens, output_tokens : int
        Tokens of a prompt and of an answer: output tokens of such requests are then counted.
    traffic : Traffic, str or Path, optional
        A trace, or the path of its CSV file, in place of a context and of tokens. The closed form bears its mean load;
        the best machines serve it request by request, until `confirm` of them keep every promise.
    promises : list of str
        Upper limits of "time_to_first_token_s" and "time_per_output_token_s" of a trace.
    percentile : float
        Of all requests, at which promises are kept.
    vary : mapping of str to list, optional
        Values of a constant or a choice in place of those in `explorer/designs/space.toml`; None for the values that
        are declared there but not varied unless asked for.
    uneven : bool
        Whether heads and experts may be divided over the chips in fractions, as the closed form then counts them.
    cooling : str
        "air" or "liquid": the most power per area of a die.
    volume : int
        Systems built, for prices.
    convention, book
        Conventions and book of the prices, as in `explorer.cost`.
    set : mapping of str to number or str, optional
        Constants of the machine, the technology or the cost book to override; they do not vary.
    confirm : int
        How many of the best by the first objective are simulated token by token too, which takes most of the time. What
        they make there decides their order, and one whose limits no longer hold stands behind the others. Of a trace:
        how many that keep its promises are sought.
    kept : str or Path, optional
        A JSON file for the results of machines that served the trace: an interrupted search goes on from it.
    workers : int
        Threads.
    progress : callable, optional
        Called with (what, done, in all).

    Returns
    -------
    DesignSearch

    Raises
    ------
    InputError
        For what cannot be used, and where no design meets all constraints.

    Examples
    --------
    >>> steps = {"rows": [1], "vex_macs": [32768], "buffer_banks": [4000], "hbm_stacks": [8]}
    >>> result = design("gpt-oss-120b", vary=steps, confirm=0)
    >>> print(f"{result.best.tokens_per_s:,.0f} tokens/s on {result.best.chips:.0f} chips")
    2,156,023 tokens/s on 24 chips
    """
    spec = models.spec_of(model)
    workload = Workload(
        read_integer("context", context, high=hwsim.MOST_CONTEXT),
        read_integer("prompt_tokens", prompt_tokens, low=0, high=hwsim.MOST_CONTEXT),
        read_integer("output_tokens", output_tokens, low=0, high=hwsim.MOST_CONTEXT),
    )
    requests = _requests(traffic, promises, percentile, workload, kept)
    if requests is not None:
        workload = requests.workload
    finalists = read_integer("confirm", confirm, low=0 if requests is None else 1, high=MOST_CONFIRMED)
    overrides = dict(set or {})
    case, used = case_of(
        spec,
        on=on,
        technology=technology,
        weights=weights,
        workload=workload,
        volume=read_integer("volume", volume, high=1e6),
        convention=convention,
        cooling=cooling,
        book=book,
        set=overrides,
    )
    pinned = [name for name in overrides if name in HardwiredDesign.__dataclass_fields__]
    pins = {name: [overrides[name]] for name in MAPPING if name in overrides}
    steps = read_steps(case.design, {**pins, **(vary or {})}, pinned)
    known = {*HardwiredDesign.__dataclass_fields__, *FIGURES, *ALONE, *PRICES} - {"name", "weight_format"}
    default = OBJECTIVES if requests is None else TRACE_OBJECTIVES
    sought = _objectives(default if objectives is None else objectives, known)
    load = {} if requests is None else requests.constraints
    limits, chips = _limits(case, steps, {**ALWAYS, **load, **{text: text for text in constraints}}, known)
    choices = choices_of(case.design, steps)
    space = Space(
        mappings_up_to(case.spec, chips, steps, uneven),
        parts_of(case.design, steps),
        choices,
        tuple(name for name in choices["link_class"] if not case.design.link(name).has_switch),
    )
    report = progress or (lambda what, done, total: None)
    searched = search(case, space, sought, limits, workers=integer("workers", workers, high=256), report=report)
    token_by_token = finalists if requests is None else 0
    front, confirmations = ranked(case, searched.front, sought, limits, token_by_token, report)
    served = () if requests is None else serve_finalists(case, front, requests, finalists, kept, report)
    own = _own(case, [name for name in front if name in HardwiredDesign.__dataclass_fields__])
    return DesignSearch(
        model=spec.name,
        machine=case.setting.machine.name,
        on=on,
        technology=case.setting.technology.name,
        weights=weights,
        workload=workload,
        volume=case.volume,
        convention=case.setting.conventions.name,
        objectives=sought,
        constraints={each.name: each.text for each in limits},
        varied=steps,
        tried=searched.tried,
        feasible=searched.feasible,
        front=completed(case, front),
        own=own if own.empty else completed(case, own),
        set=overrides,
        confirmed=confirmations,
        requests=requests,
        served=served,
        assumptions={**used, **case.package.quantities},
    )


def _requests(
    traffic: Traffic | str | Path | None,
    promises: Sequence[str],
    percentile: float,
    workload: Workload,
    kept: str | Path | None,
) -> Requests | None:
    """Return the trace and its promises, None without one. Raises `InputError` for what has no effect."""
    if traffic is None:
        given = {
            "promises": tuple(promises) != PROMISES,
            "percentile": percentile != _PERCENTILE,
            "kept": kept is not None,
        }
        for name, differs in given.items():
            if differs:
                raise InputError(f"{name} has no effect without a trace: expected traffic")
        return None
    if workload != Workload():
        raise InputError("context and tokens have no effect on a trace, which has its own: expected one or the other")
    return Requests.read(traffic, promises, percentile)


def _objectives(objectives: Mapping[str, Any] | Sequence[str], known: set[str]) -> dict[str, Direction]:
    """Return objectives with their directions. Raises `InputError` for an unknown name or direction, or none."""
    given = objectives if isinstance(objectives, Mapping) else dict.fromkeys(objectives)
    if not given:
        raise InputError("objectives are empty: expected at least one column, such as tokens_per_s")
    directions: dict[str, Direction] = {}
    for name, direction in given.items():
        if name not in known or not column(name).numeric:
            raise unknown_name("objective", name, [each for each in known if column(each).numeric])
        better = direction or column(name).better
        if better not in ("min", "max"):
            raise unknown_name(f"direction of {name}:", better, ("min", "max"))
        directions[name] = better
    return directions


def _limits(
    case: Case, steps: Mapping[str, Sequence[Any]], texts: Mapping[str, str], known: set[str]
) -> tuple[list[Constraint], int]:
    """Return (constraints, the most chips that they leave room for).

    Where none of them limits chips or silicon, one is added: a multiple of the fewest chips whose dies fit.
    """
    limits = read_constraints(texts, known)
    least = {name: np.min(values) for name, values in parts_of(case.design, steps).items()}
    chip = case.chip({**least, **dict.fromkeys(MAPPING, 1)}, {})
    array_mm2 = float(np.max(chip.block("HN array").area_mm2))
    # What a chip has at least, of each column that grows with the chips.
    each = {"chips": 1.0, "area_mm2": float(np.max(chip.area_mm2)) - array_mm2}
    bounds = {name: upper_limit(limits, name) for name in each}
    most = [bound / each[name] for name, bound in bounds.items() if bound is not None]
    if not most:
        fewest = int(np.ceil(array_mm2 / float(np.max(case.technology.reticle_area_mm2))))
        most = [fewest * declared()["chips"]["growth"]]
        limits += read_constraints({"chips that are tried": f"chips <= {most[0]}"}, known)
    return limits, max(int(min(*most, MOST_CHIPS)), 1)


def _own(case: Case, names: Sequence[str]) -> pd.DataFrame:
    """Return the machine of the book, sized for the model, in the columns `names`; empty where no grid holds it."""
    try:
        fitted = case.own()
    except InputError:
        return pd.DataFrame()
    return pd.DataFrame([{name: getattr(fitted, name) for name in names}])
