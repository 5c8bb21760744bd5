"""A whole design space in one call: speed, energy, silicon, masks, NRE, TCO and carbon of every point."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import costmodel
import hwsim
import models
from explorer.economics import BOOKS
from explorer.options import split_overrides
from hwbase import Book, InputError, unknown_name
from hwbase.check import count
from hwsim.simulate import hardwired

#: Points evaluated together: enough work for each NumPy call that two threads hardly wait for each other.
BLOCK = 65536
#: More points than this in one call is a study, to be run in pieces.
MOST_POINTS = 20_000_000
#: Fleets that may stand beside the hardwired one.
FLEETS = ("gpu",)


def evaluate(
    model: str | Path | models.LLMSpec,
    varied: Mapping[str, Any],
    *,
    context: Any = 2048,
    volume: Any = 50,
    reading: str = "pipelined",
    convention: str = "corrected",
    die_formula: str = "de-vries",
    book: str | Book | None = None,
    workers: int = 2,
    beside: str | None = None,
) -> pd.DataFrame:
    """Return a frame with a row per design point: what was varied, then its performance, area, cost and carbon.

    `varied` maps constants of the machine, technology or cost books to numbers or arrays of one length (N,); `context`
    and `volume` may be such arrays too. The grid of chips is sized to each point unless rows and columns are given.
    `die_formula` counts dies on a wafer: "exact" places them one by one and takes as long as all the rest; the default
    is within some percent of it.
    Columns: tokens_per_s, latency_s, energy_j_per_token, bound_by, chips, die_area_mm2, power_w, masks_usd, nre_usd,
    tco_usd, usd_per_million_tokens, carbon_t; `beside` "gpu" adds those of the GPUs that generate as many tokens, at
    prices of the same book: gpus, gpu_tco_usd, gpu_usd_per_million_tokens, gpu_carbon_t, and what they take over what
    the hardwired fleet takes, tco_ratio and carbon_ratio. Blocks of points run on `workers` threads. Raises
    `InputError` for unknown names, arrays of unequal length, or values out of range.
    """
    if beside not in (None, *FLEETS):
        raise unknown_name("fleet beside", beside, FLEETS)
    spec = models.load(model) if isinstance(model, (str, Path)) else model
    conventions = costmodel.conventions.named(convention).switched(die_formula=die_formula)
    costs = book if isinstance(book, Book) else costmodel.load_book(book or BOOKS[convention])
    inputs = {**varied, "context": context, "volume": volume}
    books = (costs, hwsim.design_book(), hwsim.technology_book())
    points = _points(inputs)
    columns = {name: np.broadcast_to(np.asarray(values), (points,)) for name, values in inputs.items()}

    def run(start: int) -> dict[str, Any]:
        block = {name: values[start : start + BLOCK] for name, values in columns.items()}
        constant = {name: np.asarray(value).item() for name, value in inputs.items() if np.ndim(value) == 0}
        return _block(spec, block | constant, reading, conventions, books, min(BLOCK, points - start), beside)

    with ThreadPoolExecutor(max_workers=int(count("workers", workers, high=256))) as pool:
        found = list(pool.map(run, range(0, points, BLOCK)))
    results = {name: np.concatenate([block[name] for block in found]) for name in found[0]}
    return pd.DataFrame({**{n: v for n, v in columns.items() if np.ndim(inputs[n])}, **results}, copy=False)


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


def _block(
    spec: models.LLMSpec,
    inputs: dict[str, Any],
    reading: str,
    conventions: costmodel.Conventions,
    books: tuple[Book, Book, Book],
    points: int,
    beside: str | None,
) -> dict[str, Any]:
    context, volume = inputs.pop("context"), inputs.pop("volume")
    costs, machine_book, technology_book = books
    for_costs, for_machine = split_overrides(inputs, costs)
    assumptions = costs.override(for_costs)
    design, technology, _ = hardwired(spec, technology=technology_book, book=machine_book, set=for_machine)
    run = hwsim.simulate_hardwired(spec, design, technology, context=context, reading=reading)
    die_mm2 = run.area_mm2 / run.chips
    machine = {"chips": run.chips, "die_area_mm2": die_mm2, "hbm_gb_per_chip": design.hbm_bytes / 1e9}
    bill = costmodel.hardwired_bill(assumptions, **machine, conventions=conventions)
    plug_w = costmodel.system_it_power_w(
        assumptions,
        chips=run.chips,
        chip_power_w=run.power_w / run.chips / design.power_overhead,
        conventions=conventions,
    )
    fleet = {"volume": volume, "system_power_w": plug_w, "tokens_per_s": run.tokens_per_s}
    cost = costmodel.tco(assumptions, bill=bill, **fleet, conventions=conventions)
    carbon = costmodel.hardwired_carbon(assumptions, **machine, **fleet, conventions=conventions)
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
        "carbon_t": carbon.total_t,
    }
    if beside == "gpu":
        figures |= _gpu_fleet(assumptions, bill, cost, carbon, run.tokens_per_s, conventions)
    return {name: np.broadcast_to(np.asarray(values), (points,)) for name, values in figures.items()}


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
