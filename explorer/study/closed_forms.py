"""Blocks of designs in closed form: rows that share all settings that cannot be arrays are evaluated together."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

import costmodel
import hwsim
import models
from explorer.pricing.evaluate import BLOCK, Setting, evaluate_block
from explorer.pricing.prices import bought, cost_book, device
from explorer.pricing.rates import RATE
from explorer.study.columns import joined
from hwbase import Book, InputError, unknown_name
from hwbase.books import WatchedBook, share_overrides
from hwbase.header import TEXTS
from hwsim.design import CHOICES
from hwsim.machine_books import COSTS
from hwsim.simulation import SIDES, hardwired

#: Settings that a block of hardwired designs shares, with their defaults.
HARDWIRED = {
    "model": "gpt-oss-120b",
    "reading": "pipelined",
    "convention": "corrected",
    "technology": hwsim.DEFAULT_TECHNOLOGY,
    "weights": "fp4",
    "die_formula": "de-vries",
    "on": hwsim.DEFAULT_MACHINE,
    "beside": None,
    "book": None,
}
ACCELERATOR = {"model": "gpt-oss-120b", "on": hwsim.DEFAULT_GPU}
#: Columns of a study of hardwired machines; the last ones where machines are bought beside.
HARDWIRED_OUTPUTS = (
    *("tokens_per_s", "latency_s", "energy_j_per_token", "bound_by", "chips", "die_area_mm2", "power_w", "masks_usd"),
    *("nre_usd", "tco_usd", "usd_per_million_tokens", "scope2_t", "scope3_t", "carbon_t", "kg_per_million_tokens"),
    *("gpus", "gpu_tco_usd", "gpu_usd_per_million_tokens", "gpu_carbon_t", "tco_ratio", "carbon_ratio"),
)
#: Columns of a study of accelerators.
ACCELERATOR_OUTPUTS = (
    *("tokens_per_s", "latency_s", "time_to_first_token_s", "energy_j_per_token", "power_w", "area_mm2", "devices"),
    "bound_by",
)
#: Stands for the nearly square grid of at least so many chips; the output `chips` says how many there are.
CHIPS_ASKED = "chips_asked"
#: Workload and sizes that stand in no book.
_WORKLOAD = {"context": 2048, "prompt_tokens": 0, "output_tokens": 0, "volume": 50}
#: One number for all neurons of a block, because it shapes their circuit.
_SHARED_CONSTANTS = ("fp4_sigma", "region", "fab_region", *CHOICES)
#: Kinds of machine in a study of accelerators.
_ACCELERATORS = ("gpu", "wafer")
#: The failure of a point of an accelerator without figures.
_NOT_HELD = "the machines do not hold the model and its sequences: expected more of them, or fewer or shorter sequences"
#: The shared settings of a group of points, loaded.
S = TypeVar("S")
_FIELD = "model."
_ACCELERATOR_WORKLOAD = ("context", "batch", "prompt", "devices")
#: Parameters of `hwsim.simulate` with another name in studies.
_CALLED = {"devices": "gpus"}


def _one_of(what: str, valid: Sequence[str]) -> Callable[[Any], None]:
    def check(value: Any) -> None:
        if value not in valid:
            raise unknown_name(what, value, valid)

    return check


#: Checks that raise `InputError` for an unknown name.
_NAMED: dict[str, Callable[[Any], Any]] = {
    "model": models.load,
    "reading": _one_of("reading", hwsim.READINGS),
    "convention": costmodel.conventions.named,
    "technology": hwsim.technology_book,
    "weights": lambda name: hwsim.weight_format(name, hwsim.load_technology()),
    "die_formula": lambda formula: costmodel.conventions.CORRECTED.switched(die_formula=formula),
    **{name: _one_of(name, names) for name, names in CHOICES.items()},
    "beside": lambda machine: device(bought(machine, costmodel.CORRECTED)),
    "book": cost_book,
}


def check_hardwired(values: Mapping[str, Sequence[Any]]) -> None:
    """Raise `InputError` for an unknown name in a setting of hardwired machines, fixed or among choices."""
    check_settings(values)
    for machine in values.get("on", ()):
        hwsim.design_book(machine or hwsim.DEFAULT_MACHINE)
    if any(name in values for name in TEXTS):
        conventions = [
            _conventions({"convention": each or HARDWIRED["convention"]}) for each in _given("convention", values)
        ]
        books = {book or each.book for book in _given("book", values) for each in conventions}
        known = sorted({region for book in books for region in costmodel.regions(cost_book(book))})
        for name in TEXTS:
            for value in values.get(name, ()):
                if value is not None:
                    _one_of(name, known)(value)


def _given(name: str, values: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
    """Return the values of a setting, None where it has its default."""
    return values.get(name, (None,))


def check_accelerators(values: Mapping[str, Sequence[Any]]) -> None:
    """Raise `InputError` for an unknown name in a setting of accelerators, fixed or among choices."""
    check_settings(values)
    for machine in values.get("on", ()):
        hwsim.machine_book(machine or hwsim.DEFAULT_GPU, _ACCELERATORS)


def check_settings(values: Mapping[str, Sequence[Any]]) -> None:
    """Raise `InputError` for an unknown name in a setting, fixed or among choices, before anything runs."""
    for name, names in _NAMED.items():
        for value in values.get(name, ()):
            if value is not None:
                names(value)


def hardwired_names(fixed: Mapping[str, Any]) -> set[str]:
    """Return the names that a study of hardwired machines may vary: settings, workload, constants, model fields."""
    settings: dict[str, Any] = HARDWIRED | {name: value for name, value in fixed.items() if value is not None}
    other = hwsim.machine_book(bought(settings["beside"], _conventions(settings)))
    costs = cost_book(settings["book"] or _conventions(settings).book, [other])
    technology = hwsim.technology_book(settings["technology"])
    names = {
        *HARDWIRED,
        *_WORKLOAD,
        CHIPS_ASKED,
        f"{other.name}.{RATE}",
        *costs.settable(),
        *hwsim.design_book(settings["on"]).settable(),
        *technology,
    }
    return names | {_FIELD + name for name in models.LLMSpec.__dataclass_fields__}


def hardwired_points(inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    """Return the columns of `explorer.evaluate` for `points` designs, with `failure`: the reason for a NaN, or None.

    `inputs` are numbers, texts or arrays (points,) by name; "chips_asked" requests the nearly square grid of at least
    that many chips. A parameter that is inactive at a point (NaN, None) has its default there.
    """
    shared = {*HARDWIRED, *_SHARED_CONSTANTS}
    return _grouped(_WORKLOAD | dict(inputs), points, shared, _hardwired_setting, _hardwired_group)


def hardwired_reads(point: Mapping[str, Any]) -> set[str]:
    """Return which names of one `point` of hardwired machines are read. Raises `InputError` as evaluating it does."""
    inputs = {name: value for name, value in point.items() if not pd.isna(value)}
    sharing = {n: v for n, v in inputs.items() if n in (*HARDWIRED, *_SHARED_CONSTANTS) or n.startswith(_FIELD)}
    setting, constants = _hardwired_setting(sharing)
    varied = {n: v for n, v in inputs.items() if n not in sharing} | dict(constants)
    settings = {*HARDWIRED, *_WORKLOAD, *TEXTS, *setting.machine.header.choices, *_fields(inputs)}
    if CHIPS_ASKED in varied:
        # It stands for the sides of the grid, which are not read then.
        varied = {n: v for n, v in varied.items() if n not in SIDES}
        settings |= {CHIPS_ASKED}
    workload = _WORKLOAD | {name: varied.pop(name) for name in _WORKLOAD if name in varied}
    asked = varied.pop(CHIPS_ASKED, None)
    for_costs, for_design, for_process = share_overrides(varied, setting.costs, setting.machine, setting.technology)
    for_machine = for_design | for_process
    if asked is not None:
        for_machine |= dict(zip(SIDES, hwsim.grid_for(asked), strict=True))
    costs = setting.costs.override(for_costs)
    watched = WatchedBook(costs.header, costs.quantities, costs.level, costs.correlations, costs.bases)
    evaluate_block(replace(setting, costs=watched), workload | for_machine, 1)
    built = hardwired(
        setting.spec, weights=setting.weights, technology=setting.technology, book=setting.machine, set=for_machine
    )[2]
    return settings | watched.asked | ({*built} if asked is None else {*built} - {*SIDES})


def accelerator_names(fixed: Mapping[str, Any]) -> set[str]:
    """Return the names that a study of accelerators may vary."""
    book = hwsim.machine_book(fixed.get("on") or ACCELERATOR["on"], _ACCELERATORS).without(COSTS)
    fields = {_FIELD + name for name in models.LLMSpec.__dataclass_fields__}
    return {*ACCELERATOR, *_ACCELERATOR_WORKLOAD, *book, *fields}


def accelerator_points(inputs: Mapping[str, Any], points: int) -> dict[str, np.ndarray]:
    """Return the figures of `hwsim.simulate` for GPUs or wafers at `points` cases, with `failure`."""
    return _grouped(inputs, points, set(ACCELERATOR), _accelerator_setting, _accelerator_group)


def accelerator_reads(point: Mapping[str, Any]) -> set[str]:
    """Return which names of one `point` of accelerators are read. Raises `InputError` as evaluating it does."""
    inputs = {name: value for name, value in point.items() if not pd.isna(value)}
    settings = {*ACCELERATOR, *_ACCELERATOR_WORKLOAD, *_fields(inputs)}
    spec, book = _accelerator_setting({name: v for name, v in inputs.items() if name in settings})
    constants = {name: value for name, value in inputs.items() if name not in settings}
    workload = {_CALLED.get(name, name): inputs[name] for name in _ACCELERATOR_WORKLOAD if name in inputs}
    return settings | {*hwsim.simulate(spec, book, set=constants, **workload).assumptions}


def _fields(names: Iterable[str]) -> set[str]:
    return {name for name in names if name.startswith(_FIELD)}


def _hardwired_setting(shared: Mapping[str, Any]) -> tuple[Setting, Mapping[str, Any]]:
    named = tuple(sorted((name, value) for name, value in shared.items() if name not in _SHARED_CONSTANTS))
    setting = _setting(named, tuple(_stamp(value) for _, value in named))
    return setting, {name: shared[name] for name in _SHARED_CONSTANTS if name in shared}


def _hardwired_group(
    group: tuple[Setting, Mapping[str, Any]], varied: dict[str, Any], points: int
) -> dict[str, np.ndarray]:
    setting, constants = group
    usual = {n: q.nominal for book in (setting.costs, setting.machine, setting.technology) for n, q in book.items()}
    usual |= setting.costs.header.texts | setting.machine.header.choices
    varied = _filled(varied | dict(constants), _WORKLOAD | usual)
    if CHIPS_ASKED in varied:
        varied["rows"], varied["columns"] = hwsim.grid_for(varied.pop(CHIPS_ASKED))
    return evaluate_block(setting, varied, points)


def _stamp(value: Any) -> int:
    """Return the modification time of the named file, so that an edited file is read again; 0 for anything else."""
    try:
        return Path(value).stat().st_mtime_ns if isinstance(value, str) and Path(value).suffix else 0
    except (OSError, ValueError):
        return 0


@lru_cache(maxsize=64)
def _book(load: Callable[[str], Book], name: str, stamp: int) -> Book:
    return load(name)


@lru_cache(maxsize=64)
def _priced(costs: str, other: str, spec: models.LLMSpec, stamps: tuple[int, ...]) -> Book:
    return cost_book(costs, [other], spec)


def _conventions(settings: Mapping[str, Any]) -> costmodel.Conventions:
    return costmodel.conventions.named(settings["convention"])


@lru_cache(maxsize=256)
def _setting(shared: tuple[tuple[str, Any], ...], stamps: tuple[int, ...]) -> Setting:
    settings = HARDWIRED | dict(shared)
    costs = settings["book"] or _conventions(settings).book
    other = str(bought(settings["beside"], _conventions(settings)))
    spec = _spec(settings)
    return Setting.of(
        spec,
        settings["reading"],
        settings["convention"],
        _book(hwsim.technology_book, settings["technology"], _stamp(settings["technology"])),
        settings["weights"],
        settings["die_formula"],
        _priced(costs, other, spec, (_stamp(costs), _stamp(other))),
        settings["beside"],
        _book(hwsim.design_book, settings["on"], _stamp(settings["on"])),
    )


def _spec(settings: Mapping[str, Any]) -> models.LLMSpec:
    spec = models.load(settings["model"])
    fields = {name.removeprefix(_FIELD): value for name, value in settings.items() if name.startswith(_FIELD)}
    whole: dict[str, Any] = {
        name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in fields.items()
    }
    return replace(spec, **whole) if fields else spec


def _accelerator_setting(shared: Mapping[str, Any]) -> tuple[models.LLMSpec, Book]:
    settings = ACCELERATOR | dict(shared)
    return _spec(settings), hwsim.machine_book(settings["on"], _ACCELERATORS).without(COSTS)


def _accelerator_group(
    group: tuple[models.LLMSpec, Book], varied: dict[str, Any], points: int
) -> dict[str, np.ndarray]:
    spec, book = group
    varied = _filled(varied, {name: quantity.nominal for name, quantity in book.items()})
    given_names = varied.keys() & {*_ACCELERATOR_WORKLOAD}
    workload = {_CALLED.get(name, name): varied.pop(name) for name in given_names}
    run = hwsim.simulate(spec, book, set=varied, **workload)
    names = ("tokens_per_s", "latency_s", "time_to_first_token_s", "energy_j_per_token", "power_w", "area_mm2")
    figures = {name: getattr(run, name) for name in names} | {"devices": run.chips, "bound_by": run.bound_by}
    # These columns are among the inputs already.
    columns = {n: np.broadcast_to(np.asarray(value), (points,)) for n, value in figures.items() if n not in given_names}
    # Points that do not fit any number of machines, in arrays of which others fit.
    held = np.isfinite(columns["tokens_per_s"].astype(float))
    return columns | {"failure": np.where(held, np.array(None, dtype=object), _NOT_HELD)}


def _filled(varied: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Return `varied` with its `usual` value wherever a number is NaN because its parameter is inactive."""
    complete = dict(varied)
    for name, values in varied.items():
        if np.ndim(values) and values.dtype.kind == "f" and np.isnan(values).any():
            if name not in usual:
                raise InputError(f"{name} is inactive at some points: expected a value for them in `otherwise`")
            complete[name] = np.where(np.isnan(values), usual[name], values)
    return complete


def _grouped(
    inputs: Mapping[str, Any],
    points: int,
    shared_names: set[str],
    prepare: Callable[[Mapping[str, Any]], S],
    evaluate: Callable[[S, dict[str, Any], int], dict[str, np.ndarray]],
) -> dict[str, np.ndarray]:
    """Evaluate rows that agree in all `shared_names` (and model fields) in blocks, and restore their order."""
    sharing = {name for name in inputs if name in shared_names or name.startswith(_FIELD)}
    results: dict[str, np.ndarray] = {}
    for shared, rows in _groups({name: inputs[name] for name in sharing}, points):
        counting = {name: value for name, value in shared.items() if not pd.isna(value)}
        try:
            setting = prepare(counting)
        except InputError as error:
            # The whole group fails; do not search for a single failing row.
            results.setdefault("failure", np.full(points, None, dtype=object))[rows] = str(error)
            continue
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            varied = {n: v[block] if np.ndim(v) else v for n, v in inputs.items() if n not in sharing}
            columns = _tolerant(evaluate, setting, varied, len(block))
            for name, values in columns.items():
                if name not in results:
                    text = values.dtype.kind in "OUS"
                    results[name] = np.full(points, None if text else np.nan, dtype=object if text else float)
                results[name][block] = values
    return results


def _groups(shared: Mapping[str, Any], points: int) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield (shared settings, row indices), groups in order of their first row."""
    constant = {name: value for name, value in shared.items() if not np.ndim(value)}
    varying = {name: value for name, value in shared.items() if np.ndim(value)}
    if not points:
        return
    if not varying:
        yield {n: _plain(v) for n, v in constant.items()}, np.arange(points)
        return
    code = np.zeros(points, dtype=np.int64)
    for values in varying.values():
        codes, levels = pd.factorize(values, use_na_sentinel=False)
        code = pd.factorize(code * len(levels) + codes)[0]
    order = np.argsort(code, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(code[order])) + 1):
        yield {n: _plain(v) for n, v in (constant | {n: v[rows[0]] for n, v in varying.items()}).items()}, rows


def _plain(value: Any) -> Hashable:
    plain_value: Hashable = value.item() if isinstance(value, np.generic) else value
    return plain_value


def _tolerant(
    evaluate: Callable[[S, dict[str, Any], int], dict[str, np.ndarray]],
    setting: S,
    varied: dict[str, Any],
    points: int,
) -> dict[str, np.ndarray]:
    """Evaluate a block; if it raises `InputError`, its halves, down to the failing rows."""
    try:
        return evaluate(setting, dict(varied), points)
    except InputError as error:
        if points == 1 or not any(np.ndim(value) for value in varied.values()):
            return {"failure": np.full(points, str(error), dtype=object)}
    half = points // 2
    parts = [
        _tolerant(evaluate, setting, {n: v[cut] if np.ndim(v) else v for n, v in varied.items()}, size)
        for cut, size in ((slice(half), half), (slice(half, None), points - half))
    ]
    return joined(parts, (half, points - half))
