"""A whole design space in one call: speed, energy, silicon, masks, NRE, TCO and carbon of every point."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import costmodel
import hwsim
import models
from explorer.pricing.economics import system_of
from explorer.pricing.inputs import read_inputs
from explorer.pricing.prices import Convention, Machine, bought, card, cost_book, device, node_of, with_machines
from explorer.pricing.rates import PROMISE, Workload, bought_rate, power_evidence, rate_evidence, with_share
from hwbase import Book, Evidence, InputError, evidence_by_figure, evidence_of
from hwbase.arguments import checked
from hwbase.books import refuse_old, share_overrides
from hwbase.check import integer
from hwsim.chip import MOST_CHIPS, fit_grid
from hwsim.simulation import chosen_sides, hardwired
from hwsim.technology import DEFAULT_TECHNOLOGY

#: Points evaluated together: enough work for each NumPy call that two threads hardly wait for each other.
BLOCK = 65536
#: More points than this need a study, which runs in pieces.
MOST_POINTS = 20_000_000
_KG_PER_T = 1e3
#: Columns of the machines bought beside.
BOUGHT = (
    "gpus",
    "gpu_tokens_per_s",
    "gpu_tco_usd",
    "gpu_usd_per_million_tokens",
    "gpu_carbon_t",
    "tco_ratio",
    "carbon_ratio",
)


@checked
def evaluate(
    model: str | Path | models.LLMSpec,
    set: Mapping[str, Any] | None = None,
    *,
    context: Any = 2048,
    prompt_tokens: Any = 0,
    output_tokens: Any = 0,
    volume: Any = 50,
    reading: str = "pipelined",
    convention: Convention = "corrected",
    on: Machine = hwsim.DEFAULT_MACHINE,
    technology: str | Book = DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    die_formula: str = "de-vries",
    book: str | Book | None = None,
    workers: int = 2,
    beside: Machine | None = None,
    strict: bool = True,
    evidence: bool = True,
    varied: None = None,
) -> pd.DataFrame:
    """Return a frame with a row per design point: the varied inputs, then its performance, area, cost and carbon.

    Parameters
    ----------
    model : str, Path or LLMSpec
        The model that every design holds.
    set : mapping of str to number or array of shape (N,)
        The varied inputs: constants of the machine, technology or cost books, also as texts with units ("64 GB/s"). The
        grid of chips is sized to each point unless rows and columns are given.
    context, volume : int or array of shape (N,)
        Positions of a sequence at which machines decode, and systems built.
    prompt_tokens, output_tokens : int or array of shape (N,)
        Tokens of a prompt and of an answer: machines then serve such requests, and output tokens are counted.
    reading : str
        The reading of the simulation: "pipelined" or "as-published".
    convention : str, Path or Conventions
        The conventions of the costs.
    on : str, Path or Book
        The hardwired machine.
    technology : str or Book
        The process, priced at the node that its book names.
    weights : str
        Format of the hardwired weights.
    die_formula : str
        The formula of dies per wafer: "exact" places dies one by one and takes as long as everything else together; the
        default is within a few percent of it.
    book : str or Book, optional
        The cost book; by default the convention's.
    workers : int
        Number of threads, each of which takes a block of points.
    beside : str, Path or Book, optional
        A machine to buy instead, by name or book; "gpu" is the convention's.
    strict : bool
        False: a point that cannot be built has NaN, and the reason in the column `failure`, None elsewhere. Where no
        bought machine keeps the promise only the columns of those machines are NaN.
    evidence : bool
        False leaves out the evidence of the columns, which takes tens of milliseconds.
    varied : None
        An older name, which is refused: use `set`.

    Returns
    -------
    pandas.DataFrame
        Columns tokens_per_s, latency_s, energy_j_per_token, bound_by, chips, die_area_mm2, power_w, masks_usd,
        nre_usd, tco_usd, usd_per_million_tokens, scope2_t (electricity), scope3_t (what was made, re-spins too),
        carbon_t (both), kg_per_million_tokens. With `beside` those of the machines that generate as many tokens: gpus,
        gpu_tokens_per_s (of one), gpu_tco_usd, gpu_usd_per_million_tokens, gpu_carbon_t, and what they take over what
        the hardwired fleet takes, tco_ratio and carbon_ratio. `attrs["evidence"]` has the evidence of each.

    Raises
    ------
    InputError
        For unknown names, arrays of unequal length, values out of range, and (`strict`) points that cannot be built.

    Examples
    --------
    >>> frame = evaluate("gpt-oss-120b", {"link_bandwidth_bytes_per_s": [64e9, 128e9, 512e9]})
    >>> frame.tokens_per_s.round().tolist(), frame.bound_by.tolist()
    ([154751.0, 309502.0, 631313.0], ['links', 'links', 'vex'])
    """
    spec = models.spec_of(model)
    refuse_old(varied=varied)
    workload = {"context": context, "prompt_tokens": prompt_tokens, "output_tokens": output_tokens}
    inputs = read_inputs({**(set or {}), **workload, "volume": volume})
    points = _points(inputs)
    columns = {name: np.broadcast_to(np.asarray(values), (points,)) for name, values in inputs.items()}
    setting = Setting.of(spec, reading, convention, technology, weights, die_formula, book, beside, on)

    def run(start: int) -> dict[str, Any]:
        block = {name: values[start : start + BLOCK] for name, values in columns.items()}
        constant = {name: np.asarray(value).item() for name, value in inputs.items() if np.ndim(value) == 0}
        return evaluate_block(setting, block | constant, min(BLOCK, points - start))

    with ThreadPoolExecutor(max_workers=integer("workers", workers, high=256)) as pool:
        blocks = list(pool.map(run, range(0, points, BLOCK)))
    results: dict[str, Any] = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    failures = results.pop("failure")
    if strict and any(failures != None):  # noqa: E711 - element by element
        raise InputError(f"{spec.name}: {next(reason for reason in failures if reason)}")
    if not strict:
        # As objects, since a column of texts would turn None into NaN.
        results["failure"] = pd.Series(failures, dtype=object)
    frame = pd.DataFrame({**{n: v for n, v in columns.items() if np.ndim(inputs[n])}, **results}, copy=False)
    if evidence:
        frame.attrs["evidence"] = setting.evidence({name: np.ravel(values)[0] for name, values in inputs.items()})
    return frame


@dataclass(frozen=True)
class Setting:
    """The shared settings of a block of points: model, reading, conventions, and books."""

    spec: models.LLMSpec
    reading: str
    conventions: costmodel.Conventions
    costs: Book
    machine: Book
    technology: Book
    node: str
    weights: str
    device: costmodel.Device
    """What is bought beside."""
    bought: Book | None
    """The book of what is bought, where it stands beside."""

    @classmethod
    def of(
        cls,
        spec: models.LLMSpec,
        reading: str,
        convention: Convention,
        technology: str | Book,
        weights: str,
        die_formula: str,
        book: str | Book | None,
        beside: Machine | None,
        on: Machine = hwsim.DEFAULT_MACHINE,
    ) -> "Setting":
        """Return the setting with its books loaded. Raises `InputError` for unknown names."""
        conventions = costmodel.conventions.named(convention).switched(die_formula=die_formula)
        other = hwsim.machine_book(bought(beside, conventions))
        if isinstance(book, Book):
            costs = with_machines(book, [other], spec)
        else:
            costs = cost_book(book or conventions.book, [other], spec)
        process, machine = hwsim.technology_book(technology), hwsim.design_book(on)
        node = node_of(process, costs)
        return cls(
            spec,
            reading,
            conventions,
            costs,
            machine,
            process,
            node,
            weights,
            device(other),
            other if beside is not None else None,
        )

    def evidence(self, inputs: Mapping[str, Any]) -> dict[str, Evidence]:
        """Return the evidence of each numeric column at one point, whose `inputs` are those of `evaluate_block`."""
        alone = replace(self, bought=None)
        # A constant that the inputs set is no longer a fitted one.
        constants = {**self.machine.quantities, **self.technology.quantities}
        constants = {name: quantity for name, quantity in constants.items() if name not in inputs}

        def columns(values: dict[str, np.ndarray]) -> dict[str, Any]:
            block = evaluate_block(alone, {**inputs, **values}, max(map(np.size, values.values()), default=1))
            return {name: column for name, column in block.items() if column.dtype.kind in "fi"}

        result = evidence_by_figure(constants, columns)
        if self.bought is not None:
            rate = rate_evidence(self.costs, self.bought)
            paid = power_evidence(self.costs, self.bought, self.conventions)
            result |= dict.fromkeys(BOUGHT, evidence_of([*result.values(), rate, *paid]))
            result |= {"gpu_tokens_per_s": rate, "gpus": evidence_of([result["tokens_per_s"], rate])}
        return result


def _points(inputs: Mapping[str, Any]) -> int:
    for name, values in inputs.items():
        try:
            np.shape(values)
        except ValueError:
            raise InputError(f"{name} is a list of lists of different lengths: expected numbers") from None
    lengths = {name: np.size(values) for name, values in inputs.items() if np.ndim(values)}
    for name, values in inputs.items():
        if np.ndim(values) > 1:
            raise InputError(f"{name} has {np.ndim(values)} dimensions: expected a number or a list of them")
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise InputError(f"varied arrays differ in length ({shown}): expected one length")
    return integer("points", max(lengths.values(), default=1), high=MOST_POINTS)


def evaluate_block(setting: Setting, inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    """Return the columns of `evaluate` for one block of `points` designs, with `failure`: the reason of a NaN, or None.

    `inputs` holds numbers or arrays (points,), the workload and the volume among them. Raises `InputError` for names
    and values that no point can have.
    """
    varied = dict(inputs)
    volume = varied.pop("volume")
    workload = Workload(*(varied.pop(name) for name in ("context", "prompt_tokens", "output_tokens")))
    for_costs, for_design, for_process = share_overrides(varied, setting.costs, setting.machine, setting.technology)
    for_machine = for_design | for_process
    assumptions = setting.costs.override(for_costs)
    design, technology, _ = hardwired(
        setting.spec,
        weights=setting.weights,
        technology=setting.technology,
        book=setting.machine,
        set=for_machine,
        fit=lambda *machine: fit_grid(*machine)[0],
    )

    def at(context: Any) -> hwsim.SimResult:
        return hwsim.simulate_hardwired(setting.spec, design, technology, context=context, reading=setting.reading)

    run = at(workload.mean_context)
    tokens_per_s = workload.output_rate(run, at)
    system = system_of(run, design, setting.node)
    die_mm2 = system.die_area_mm2
    fits = np.broadcast_to(die_mm2 <= technology.reticle_area_mm2, (points,))
    # A die beyond the reticle has no price; a printable die is used until its figures are removed.
    built = costmodel.built_fleet(
        assumptions,
        replace(system, die_area_mm2=np.minimum(die_mm2, technology.reticle_area_mm2)),
        volume=volume,
        tokens_per_s=tokens_per_s,
        card=card(),
        conventions=setting.conventions,
    )
    bill, cost, carbon = built.bill, built.tco, built.carbon
    assert bill is not None
    figures = {
        "tokens_per_s": tokens_per_s,
        "latency_s": run.latency_s,
        "energy_j_per_token": run.energy_j_per_token,
        "bound_by": run.bound_by,
        "chips": run.chips,
        "die_area_mm2": die_mm2,
        "power_w": run.power_w,
        "masks_usd": bill.masks_usd,
        "nre_usd": bill.nre_usd,
        "tco_usd": cost.total_usd,
        "usd_per_million_tokens": cost.usd_per_million_tokens,
        "scope2_t": carbon.scope2_t,
        "scope3_t": carbon.scope3_t,
        "carbon_t": carbon.total_t,
        "kg_per_million_tokens": carbon.total_t * _KG_PER_T / carbon.million_tokens,
    }
    if setting.bought is not None:
        figures |= _bought_fleet(assumptions, setting, built, tokens_per_s, workload)
    columns = {name: np.broadcast_to(np.asarray(values), (points,)) for name, values in figures.items()}
    reticle = float(np.max(technology.reticle_area_mm2))
    too_large = (
        "the die exceeds"
        if chosen_sides(setting.machine.override(for_design))
        else f"no grid of {MOST_CHIPS:,} chips or fewer fits"
    )
    reasons = {
        f"{too_large} the reticle's {reticle:,.0f} mm2": ~fits,
        "a wafer holds no good die of this size": np.isinf(columns["tco_usd"]),
    }
    if setting.reading != "as-published":
        # The published reading fails its own checks by design; the report says where.
        borne = np.broadcast_to(run.feasible, (points,))
        reasons["memory does not hold even one sequence of this context"] = ~borne
    failure = np.full(points, None, dtype=object)
    if setting.bought is not None:
        unserved = np.isnan(columns["gpus"])
        failure[unserved] = f"no server of {setting.bought.name} serves this within {PROMISE}"
        # The hardwired machine's own figures stay.
        columns |= {name: np.where(unserved, np.nan, columns[name]) for name in BOUGHT}
    return _struck(columns, reasons, failure)


def _struck(
    columns: dict[str, np.ndarray], reasons: Mapping[str, np.ndarray], failure: np.ndarray
) -> dict[str, np.ndarray]:
    """Return `columns` with NaN at the points of each reason, and `failure` with the first reason in it."""
    for reason, holds in reversed(list(reasons.items())):
        failure[holds] = reason
    failed = np.logical_or.reduce(list(reasons.values()))
    if failed.any():
        # Size and area stay, to show what did not fit.
        kept = ("bound_by", "chips", "die_area_mm2")
        columns = {n: v if n in kept else np.where(failed, np.nan, v) for n, v in columns.items()}
    return columns | {"failure": failure}


def _bought_fleet(
    book: Book, setting: Setting, built: costmodel.Fleet, tokens_per_s: Any, workload: Workload
) -> dict[str, Any]:
    """Return the columns of the devices that match the systems of `built`, of `tokens_per_s` each."""
    device, conventions = setting.device, setting.conventions
    assert setting.bought is not None
    each, share = bought_rate(book, setting.bought, setting.spec, workload)
    # Where no server serves the workload, one token a second stands in until the figures are struck out.
    served = np.isfinite(each)
    each = np.where(served, each, 1.0)[()]
    book = with_share(book, setting.bought, share)
    units = costmodel.devices_to_match(built.tco.units, tokens_per_s, each, conventions)
    fleet = costmodel.bought_fleet(book, device, units=units, tokens_per_s=each, conventions=conventions)
    pair = costmodel.Pair.of(built, fleet)
    return {
        "gpus": np.where(served, units, np.nan)[()],
        "gpu_tokens_per_s": np.where(served, each, np.nan)[()],
        "gpu_tco_usd": pair.gpu.total_usd,
        "gpu_usd_per_million_tokens": pair.gpu.usd_per_million_tokens,
        "gpu_carbon_t": pair.gpu_carbon.total_t,
        "tco_ratio": pair.tco_ratio,
        "carbon_ratio": pair.carbon_ratio,
    }
