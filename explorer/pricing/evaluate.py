"""A whole design space in one call: speed, energy, silicon, masks, NRE, TCO and carbon of every point."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import costmodel
import hwsim
import models
from explorer.pricing.economics import BOOKS, cost_node
from hwbase import Book, InputError, unknown_name
from hwbase.books import split_overrides
from hwbase.check import count
from hwsim.chip import MOST_CHIPS, fit_grid
from hwsim.simulation import hardwired
from hwsim.technology import DEFAULT_TECHNOLOGY

#: Points evaluated together: enough work for each NumPy call that two threads hardly wait for each other.
BLOCK = 65536
#: More points than this in one call is a study, to be run in pieces.
MOST_POINTS = 20_000_000
#: Fleets that may stand beside the hardwired one.
FLEETS = ("gpu",)
_KG_PER_T = 1e3


def evaluate(
    model: str | Path | models.LLMSpec,
    varied: Mapping[str, Any],
    *,
    context: Any = 2048,
    volume: Any = 50,
    reading: str = "pipelined",
    convention: str = "corrected",
    technology: str | Book = DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    die_formula: str = "de-vries",
    book: str | Book | None = None,
    workers: int = 2,
    beside: str | None = None,
    strict: bool = True,
) -> pd.DataFrame:
    """Return a frame with a row per design point: what was varied, then its performance, area, cost and carbon.

    `varied` maps constants of the machine, technology or cost books to numbers or arrays of one length (N,); `context`
    and `volume` may be such arrays too. The grid of chips is sized to each point unless rows and columns are given.
    `technology` names the process, which costs what its node does in the cost book; `weights` the hardwired format.
    `die_formula` counts dies on a wafer: "exact" places them one by one and takes as long as all the rest; the default
    is within some percent of it.
    Columns: tokens_per_s, latency_s, energy_j_per_token, bound_by, chips, die_area_mm2, power_w, masks_usd, nre_usd,
    tco_usd, usd_per_million_tokens, scope2_t (electricity), scope3_t (what was made, re-spins too), carbon_t (both),
    kg_per_million_tokens; `beside` "gpu" adds those of the GPUs that generate as many tokens, at prices of the same
    book: gpus, gpu_tco_usd, gpu_usd_per_million_tokens, gpu_carbon_t, and what they take over what the hardwired fleet
    takes, tco_ratio and carbon_ratio. Blocks of points run on `workers` threads. With `strict` off, a point that cannot
    be built has NaN there and says why in the column `failure`, which is None elsewhere.
    Raises `InputError` for unknown names, arrays of unequal length, values out of range, and (`strict`) such points.

    >>> frame = evaluate("gpt-oss-120b", {"link_bandwidth_bytes_per_s": [64e9, 128e9, 512e9]})
    >>> frame.tokens_per_s.round().tolist(), frame.bound_by.tolist()
    ([154751.0, 309502.0, 631313.0], ['links', 'links', 'vex'])
    """
    if beside not in (None, *FLEETS):
        raise unknown_name("fleet beside", beside, FLEETS)
    spec = models.load(model) if isinstance(model, (str, Path)) else model
    inputs = {**varied, "context": context, "volume": volume}
    points = _points(inputs)
    columns = {name: np.broadcast_to(np.asarray(values), (points,)) for name, values in inputs.items()}
    setting = Setting.of(spec, reading, convention, technology, weights, die_formula, book, beside)

    def run(start: int) -> dict[str, Any]:
        block = {name: values[start : start + BLOCK] for name, values in columns.items()}
        constant = {name: np.asarray(value).item() for name, value in inputs.items() if np.ndim(value) == 0}
        return evaluate_block(setting, block | constant, min(BLOCK, points - start))

    with ThreadPoolExecutor(max_workers=int(count("workers", workers, high=256))) as pool:
        found = list(pool.map(run, range(0, points, BLOCK)))
    results: dict[str, Any] = {name: np.concatenate([block[name] for block in found]) for name in found[0]}
    failures = results.pop("failure")
    if strict and any(failures != None):  # noqa: E711 - element by element
        raise InputError(f"{spec.name}: {next(reason for reason in failures if reason)}")
    if not strict:
        # As objects: a column of texts would turn None into NaN.
        results["failure"] = pd.Series(failures, dtype=object)
    return pd.DataFrame({**{n: v for n, v in columns.items() if np.ndim(inputs[n])}, **results}, copy=False)


@dataclass(frozen=True)
class Setting:
    """What all points of a block share: the model, how it is read and counted, and the books."""

    spec: models.LLMSpec
    reading: str
    conventions: costmodel.Conventions
    costs: Book
    machine: Book
    technology: Book
    node: str
    weights: str
    beside: str | None

    @classmethod
    def of(
        cls,
        spec: models.LLMSpec,
        reading: str,
        convention: str,
        technology: str | Book,
        weights: str,
        die_formula: str,
        book: str | Book | None,
        beside: str | None,
        machine: Book | None = None,
    ) -> "Setting":
        """Return the setting with its books loaded; raises `InputError` for unknown names."""
        conventions = costmodel.conventions.named(convention).switched(die_formula=die_formula)
        costs = book if isinstance(book, Book) else costmodel.load_book(book or BOOKS[convention])
        process = technology if isinstance(technology, Book) else hwsim.technology_book(technology)
        node = cost_node(process.name, costs)
        machine = machine or hwsim.design_book()
        return cls(spec, reading, conventions, costs, machine, process, node, weights, beside)


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
    return int(count("points", max(lengths.values(), default=1), high=MOST_POINTS))


def evaluate_block(setting: Setting, inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    """Return the columns of `evaluate` for one block of `points` designs, and `failure`: why a point is NaN, or None.

    `inputs` holds numbers or arrays (points,), context and volume among them. Raises `InputError` for names and values
    that no point can have.
    """
    varied = dict(inputs)
    context, volume = varied.pop("context"), varied.pop("volume")
    for_costs, for_machine = split_overrides(varied, setting.costs)
    assumptions = setting.costs.override(for_costs)
    design, technology, _ = hardwired(
        setting.spec,
        weights=setting.weights,
        technology=setting.technology,
        book=setting.machine,
        set=for_machine,
        fit=lambda *machine: fit_grid(*machine)[0],
    )
    run = hwsim.simulate_hardwired(setting.spec, design, technology, context=context, reading=setting.reading)
    die_mm2 = run.area_mm2 / run.chips
    fits = np.broadcast_to(die_mm2 <= technology.reticle_area_mm2, (points,))
    # What no exposure prints has no price; a printable die stands in for it until its figures are struck out.
    priced_mm2 = np.minimum(die_mm2, technology.reticle_area_mm2)
    machine = {"chips": run.chips, "die_area_mm2": priced_mm2, "hbm_gb_per_chip": design.hbm_bytes / 1e9}
    process: dict[str, Any] = {"node": setting.node, "conventions": setting.conventions}
    bill = costmodel.hardwired_bill(assumptions, **machine, **process)
    plug_w = costmodel.system_it_power_w(
        assumptions,
        chips=run.chips,
        chip_power_w=run.power_w / run.chips / design.power_overhead,
        conventions=setting.conventions,
    )
    fleet = {"volume": volume, "system_power_w": plug_w, "tokens_per_s": run.tokens_per_s}
    cost = costmodel.tco(assumptions, bill=bill, **fleet, conventions=setting.conventions)
    carbon = costmodel.hardwired_carbon(assumptions, **machine, **fleet, **process)
    figures = {
        "tokens_per_s": run.tokens_per_s,
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
    if setting.beside == "gpu":
        figures |= _gpu_fleet(assumptions, bill, cost, carbon, run.tokens_per_s, setting.conventions)
    columns = {name: np.broadcast_to(np.asarray(values), (points,)) for name, values in figures.items()}
    reticle = float(np.max(technology.reticle_area_mm2))
    too_large = "the die exceeds" if "rows" in for_machine else f"no grid of {MOST_CHIPS:,} chips or fewer fits"
    reasons = {
        f"{too_large} the reticle's {reticle:,.0f} mm2": ~fits,
        "a wafer holds no good die of this size": np.isinf(columns["tco_usd"]),
    }
    return _struck(columns, reasons)


def _struck(columns: dict[str, np.ndarray], reasons: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return `columns` with NaN in the figures of points that a reason holds for, and the reason in `failure`."""
    failure = np.full(len(columns["chips"]), None, dtype=object)
    for reason, holds in reversed(list(reasons.items())):
        failure[holds] = reason
    failed = np.logical_or.reduce(list(reasons.values()))
    if failed.any():
        # Size and area stay, so that one sees what did not fit.
        kept = ("bound_by", "chips", "die_area_mm2")
        columns = {n: v if n in kept else np.where(failed, np.nan, v) for n, v in columns.items()}
    return columns | {"failure": failure}


def _gpu_fleet(
    book: Book,
    bill: costmodel.Bill,
    cost: costmodel.Tco,
    carbon: costmodel.Carbon,
    tokens_per_s: Any,
    conventions: costmodel.Conventions,
) -> dict[str, Any]:
    """Return the columns of the GPUs that match `cost.units` systems of `tokens_per_s` each."""
    each = book.value("h100.tokens_per_s", "token/s")
    gpus = costmodel.gpus_to_match(cost.units, tokens_per_s, each, conventions)
    pair = costmodel.Pair(
        bill=bill,
        hardwired=cost,
        gpu=costmodel.gpu_tco(book, gpus=gpus, tokens_per_s=each, conventions=conventions),
        hardwired_carbon=carbon,
        gpu_carbon=costmodel.gpu_carbon(book, gpus=gpus, tokens_per_s=each, conventions=conventions),
    )
    return {
        "gpus": gpus,
        "gpu_tco_usd": pair.gpu.total_usd,
        "gpu_usd_per_million_tokens": pair.gpu.usd_per_million_tokens,
        "gpu_carbon_t": pair.gpu_carbon.total_t,
        "tco_ratio": pair.tco_ratio,
        "carbon_ratio": pair.carbon_ratio,
    }
