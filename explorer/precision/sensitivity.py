"""The loss of rounding one layer alone, for every layer and width: the input of a bit allocation.

Losses are stored in a folder as they are measured, so an interrupted run continues, and a run with more widths measures
only the new ones. Layers are distributed over processes, each with its own network.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.documents.document import Document, Documented
from explorer.precision.metrics import decibels
from explorer.precision.networks import Bits, Layer, Network
from explorer.precision.runs import Store
from explorer.progress import Report
from hwbase import InputError, check, unknown_name
from hwbase.orphans import end_with_parent
from models.quantise import UNROUNDED, check_bits

WHAT = ("weights", "activations", "both")
#: Makes the network to measure, in this process or another; must be picklable.
Maker = Callable[[], Network]
_FLOOR_SEEDS = (0, 1, 2)
#: Most processes that measure.
MOST_JOBS = 4096


@dataclass(frozen=True)
class Sensitivity(Documented):
    """Losses of a network with one layer rounded, for each layer and width.

    `table` has a row for each layer, width and (weights or activations): `layer`, `group`, `what`, `bits`, `act_bits`,
    `size` (weights, or entering activations), `macs`, the shape for `explorer.cost_table`, `metric`, `loss` and every
    metric's loss as `loss_NAME`; with fused layers, `tie` names the layers that share their bits. `floors` are the
    losses that float32 rounding of products causes in all layers together: a smaller loss is raised to its floor, and
    `at_floor` marks it. `measured` losses were not in the cache.
    """

    network: str
    fingerprint: str
    floors: dict[str, float]
    measured: int
    table: pd.DataFrame

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of the losses."""
        return tuple(self.floors)

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.precision.document import sensitivity_document

        return sensitivity_document(self, command)


def sensitivity(
    make: Maker,
    *,
    network: Network | None = None,
    bits: Sequence[int] = (2, 4, 8),
    what: str = "weights",
    metrics: Sequence[str] | Mapping[str, str] | None = None,
    regroup: Callable[[Sequence[Layer]], Sequence[Layer]] | None = None,
    layers: Sequence[str] | None = None,
    fused: bool = False,
    cache: str | Path | None = None,
    jobs: int = 1,
    report: Report | None = None,
) -> Sensitivity:
    """Return the losses of the network that `make` returns, one layer rounded at a time, to each of `bits`.

    `what`: "weights", "activations", or "both", with rows for all pairs of widths and sums of the two losses (rounding
    errors of weights and activations add when they are small). `metrics` names the loss of every layer (its first name)
    or of each group. `fused` marks layers that read the same input, so that `allocate` gives them one choice. `layers`
    are those measured, by default all; `regroup` puts them in other groups. `cache` is a folder for the measurements.
    With `jobs` above 1, that many processes measure; `make` must then be picklable. `network` is the result of `make`
    if it exists already. Raises `InputError` for unknown names, bits out of range, or a cache that cannot be written.
    """
    widths = _checked(bits, what)
    jobs = check.integer("jobs", jobs, high=MOST_JOBS)
    network = make() if network is None else network
    known = _chosen(network.layers, layers)
    known = tuple(known if regroup is None else regroup(known))
    by_group = _metric_of_groups(network, known, metrics)
    store = Store(cache, network.fingerprint)
    cases = [(layer.name, kind, width) for layer in known for kind in _kinds(what) for width in widths]
    missing = [case for case in cases if case[2] not in UNROUNDED and not _complete(store, _key(*case), network)]
    measured = _measure(make, network, missing, store, jobs, len(cases), report)
    floors = _floors(network, store)
    table = _table(network, known, cases, store, floors, by_group)
    if what == "both":
        table = _pairs(table)
    if fused:
        names = {layer.name: layer.fused for layer in known}
        table.insert(2, "tie", [names[name] for name in table["layer"]])
    return Sensitivity(network.name, network.fingerprint, floors, measured, table)


def _checked(bits: Sequence[int], what: str) -> tuple[int, ...]:
    if what not in WHAT:
        raise unknown_name("part to round", what, WHAT)
    widths = tuple(dict.fromkeys(check_bits("bits", width) for width in bits))
    if not widths:
        raise InputError("bits is empty: expected widths such as 2, 4 and 8")
    return widths


def _kinds(what: str) -> tuple[str, ...]:
    return ("weights", "activations") if what == "both" else (what,)


def _chosen(layers: Sequence[Layer], names: Sequence[str] | None) -> tuple[Layer, ...]:
    by_name = {layer.name: layer for layer in layers}
    for name in names or ():
        if name not in by_name:
            raise unknown_name("layer", name, by_name)
    return tuple(layers if names is None else (layer for layer in layers if layer.name in set(names)))


def _metric_of_groups(
    network: Network, layers: Sequence[Layer], metrics: Sequence[str] | Mapping[str, str] | None
) -> dict[str, str]:
    groups = list(dict.fromkeys(layer.group for layer in layers))
    first = next(iter(network.metrics))
    if isinstance(metrics, Mapping):
        for group in metrics:
            if group not in groups:
                raise unknown_name("group", group, groups)
        values = {group: metrics.get(group, first) for group in groups}
    else:
        values = dict.fromkeys(groups, metrics[0] if metrics else first)
    for name in [*values.values(), *(() if isinstance(metrics, Mapping) else metrics or ())]:
        if name not in network.metrics:
            raise unknown_name("metric", name, network.metrics)
    return values


def _key(layer: str, kind: str, width: int) -> str:
    return json.dumps([layer, kind, width])


def _complete(store: Store, key: str, network: Network) -> bool:
    results = store.get(key)
    return results is not None and set(network.metrics) <= set(results)


def _measure(
    make: Maker,
    network: Network,
    cases: Sequence[tuple[str, str, int]],
    store: Store,
    jobs: int,
    total: int,
    report: Report | None,
) -> int:
    done = total - len(cases)
    for case, losses in _results(make, network, cases, jobs):
        bad = [name for name, loss in losses.items() if not np.isfinite(loss)]
        if bad:
            warnings.warn(f"{case[0]}, {case[1]} in {case[2]} bits: no finite {', '.join(bad)}", stacklevel=3)
        store.add(_key(*case), losses)
        done += 1
        if report is not None:
            report(f"{case[0]}, {case[1]}", done, total)
    return len(cases)


def _results(
    make: Maker, network: Network, cases: Sequence[tuple[str, str, int]], jobs: int
) -> Iterator[tuple[tuple[str, str, int], dict[str, float]]]:
    if jobs == 1 or len(cases) < 2:
        for case in cases:
            yield case, _losses(network, *case)
        return
    # Spawn new processes: a fork would copy the locks of the numerical libraries' threads.
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start, initargs=(make, os.getpid())
    ) as pool:
        waiting = {pool.submit(_losses_there, *case): case for case in cases}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


_there: list[Network] = []


def _start(make: Maker, parent: int) -> None:
    end_with_parent(parent)
    _there[:] = [make()]


def _losses_there(layer: str, kind: str, width: int) -> dict[str, float]:
    return _losses(_there[0], layer, kind, width)


def _losses(network: Network, layer: str, kind: str, width: int) -> dict[str, float]:
    """Return the mean of each loss over units, with one layer rounded; NaN where any unit is undefined."""
    results = network.losses({layer: Bits(width) if kind == "weights" else Bits(activations=width)})
    return {name: float(np.mean(losses)) for name, losses in results.items()}


def _floors(network: Network, store: Store) -> dict[str, float]:
    """Return the largest mean loss of each metric over a few disturbances of all layers at once."""
    floors = []
    for seed in _FLOOR_SEEDS:
        key = json.dumps(["disturbed", seed])
        if not _complete(store, key, network):
            store.add(key, {name: float(np.mean(losses)) for name, losses in network.disturbed(seed).items()})
        floors.append(store.get(key) or {})
    return {name: max(abs(losses[name]) for losses in floors) for name in network.metrics}


def _table(
    network: Network,
    layers: Sequence[Layer],
    cases: Sequence[tuple[str, str, int]],
    store: Store,
    floors: Mapping[str, float],
    by_group: Mapping[str, str],
) -> pd.DataFrame:
    by_name = {layer.name: layer for layer in layers}
    shapes = {name: network.weight(name).shape for name in by_name}
    rows = []
    for name, kind, width in cases:
        layer, outputs = by_name[name], shapes[name][0]
        raw = dict.fromkeys(network.metrics, 0.0) if width in UNROUNDED else store.get(_key(name, kind, width)) or {}
        metric = by_group[layer.group]
        # NaN stays NaN.
        losses = {m: max(raw[m], floors[m]) if np.isfinite(raw[m]) else raw[m] for m in network.metrics}
        rows.append(
            {
                "layer": name,
                "group": layer.group,
                "what": kind,
                "bits": width,
                "size": layer.weights if kind == "weights" else layer.inputs,
                "macs": layer.macs,
                "inputs": layer.weights // outputs,
                "outputs": outputs,
                "tokens": layer.macs / layer.weights,
                "in_elements": layer.inputs,
                "metric": metric,
                "loss": losses[metric],
                "loss_db": float(decibels(losses[metric])),
                "at_floor": bool(losses[metric] <= floors[metric]),
            }
            | {f"loss_{m}": losses[m] for m in network.metrics}
        )
    return pd.DataFrame(rows)


def _pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each layer and pair of widths, losses added, sizes those of the weights."""
    sides = {kind: table[table["what"] == kind].drop(columns="what") for kind in ("weights", "activations")}
    losses = [
        column for column in table if column == "loss" or (str(column).startswith("loss_") and column != "loss_db")
    ]
    acts = sides["activations"][["layer", "bits", "size", "at_floor", *losses]]
    acts = acts.rename(columns={"bits": "act_bits", "size": "act_size"})
    joined = sides["weights"].merge(acts, on="layer", suffixes=("", "_act"), sort=False)
    for column in losses:
        joined[column] += joined.pop(f"{column}_act")
    joined["at_floor"] &= joined.pop("at_floor_act")
    joined["loss_db"] = decibels(joined["loss"].to_numpy())
    return joined.assign(what="both")
