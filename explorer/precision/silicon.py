"""Least silicon, masks and dollars at a perplexity limit: a hardwired language model with bits chosen by layer.

Every layer's area at every width follows from the values of its own weights, its loss from a measurement. The dual form
of the allocation minimises area within a limit on the sum of divergences. If a text were drawn from the model itself,
its negative log-likelihood would grow by the divergence, so a perplexity P with P0 in float allows ln(P / P0) nats.
That and the sum over layers are predictions, and give the first limit. The allocation is then run on a validation text,
between that of the sensitivities and the held-out one, and the limit is lowered until the growth of the log-likelihood,
at the upper end of its 95 % interval, is allowed. The result is run on held-out text.

Non-recurring engineering consists of design (one figure for all processes in the books), masks that all chips share,
and own masks of each chip. Only the last depends on the bits, through the whole number of chips. The cost and emissions
of one more system follow the area itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

import hwsim
from explorer.allocation.allocate import allocate
from explorer.allocation.costs import cost_table, hardwired_silicon
from explorer.documents.document import Document, Documented
from explorer.precision.language import LanguageNetwork, language_network
from explorer.precision.models import maker
from explorer.precision.runs import Runs, Store, interval, of_kind
from explorer.precision.sensitivity import MOST_JOBS, sensitivity
from explorer.pricing.prices import own_book
from explorer.progress import Report
from hwbase import Book, InputError, check
from hwbase.books import refuse_unread
from hwsim.weights import MAX_WEIGHT_BITS
from models.inference import DEFAULT_MODEL
from models.quantise import check_bits

#: Processes, oldest first, by their technology books; the part before a hyphen is the node in cost books.
PROCESSES = ("n16", "n7", "n5")
WIDTHS = (2, 3, 4, 5, 6, 7, 8)
#: Default limits of perplexity, as factors of that in float.
GROWTHS = (1.02, 1.03, 1.05, 1.1, 1.2, 1.5, 2.0)
#: Bits of activations in the silicon; losses are measured without rounding them, so only weights change perplexity.
_ACTIVATION_BITS = 16
_SYSTEMS = 1000
#: Numbers of validation windows and of held-out windows.
_TRIED_WINDOWS, _HELD_OUT_WINDOWS = 8, 24
#: Attempts to lower a limit that the whole allocation exceeds, and the extra margin of each.
_MOST_STEPS, _LOWERED = 12, 0.98


@dataclass(frozen=True)
class SiliconFronts(Documented):
    """The result of `silicon_fronts`; `table` has a row for each process and choice of bits.

    `kind`: "uniform" (one width), "least silicon" (at the perplexity `floor`), or "full chips" (least loss on as many
    whole chips). Divergence in nats, predicted as the sum of the layers' own and measured (`kl_calibration`, `kl`),
    perplexity predicted and measured on `units` held-out windows, with 95 % bootstrap intervals; area of the neurons,
    chips, and their costs at nominal prices. `choices` has the bits of each layer by process, kind, floor and chips.
    """

    network: str
    units: int
    exact_perplexity: float
    activation_bits: int
    slack: float
    systems: int
    table: pd.DataFrame
    choices: pd.DataFrame
    areas: pd.DataFrame = field(repr=False)
    command: str = ""

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table

    def to_dict(self) -> dict[str, Any]:
        """Return the fields without areas and choices, which are in files."""
        data = super().to_dict()
        del data["choices"], data["areas"]
        return data

    def least_nre(self) -> pd.DataFrame:
        """Return, for each floor, the process and choice of least NRE whose predicted perplexity stays within it.

        Among equal NRE, the choice of the cheapest systems. Columns as in `table`.
        """
        mixed = self.table[self.table["kind"] == "least silicon"]
        ordered = mixed.sort_values(["floor", "nre_usd", "recurring_usd"], kind="stable")
        return ordered.groupby("floor", as_index=False).first()

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.precision.silicon_document import silicon_document

        return silicon_document(self)


def silicon_fronts(
    model: str = DEFAULT_MODEL,
    *,
    floors: Sequence[float] | None = None,
    processes: Sequence[str] = PROCESSES,
    bits: Sequence[int] = WIDTHS,
    held_out: Mapping[str, Any] | None = None,
    book: str | Path | Book = "default",
    set: Mapping[str, Any] | None = None,
    slack: float | None = None,
    activation_bits: int = _ACTIVATION_BITS,
    systems: int = _SYSTEMS,
    cache: str | Path | None = None,
    jobs: int = 1,
    command: str = "",
    report: Report | None = None,
    **settings: Any,
) -> SiliconFronts:
    """Return the cost of bits in hardwired silicon, uniform and mixed, and the perplexity on held-out text.

    `floors` are upper limits of perplexity on the held-out text (default: `GROWTHS` times that in float). `slack` is
    the spare share of POPCNT ports (default: the HNLPU book's), `book` a cost book, `set` constants of it to override,
    `systems` the numbers of systems built. `held_out` overrides the amount of held-out text; `settings` go to
    `language_network`. Raises `InputError` for a network that is not a language model, unreachable floors, and as
    `sensitivity` and `cost_table` do.
    """
    if model != DEFAULT_MODEL:
        raise InputError(f"network = {model!r}: expected {DEFAULT_MODEL!r}, since perplexity needs a language model")
    check.count("systems", systems, high=1e12)
    # Whatever cannot be priced or measured is refused before anything is run.
    costs = (book if isinstance(book, Book) else own_book(book)).override(set or {})
    prices = [hardwired_silicon(1.0, technology=process, book=costs).assumptions for process in processes]
    refuse_unread(set or {}, *prices)
    if "region" in (set or {}):
        raise InputError("region has no effect here: systems are made, not run; expected fab_region")
    for width in bits:
        check.integer("bits", check_bits("bits", width), high=MAX_WEIGHT_BITS)
    check.integer("jobs", jobs, high=MOST_JOBS)
    check.integer("windows", dict(held_out or {}).get("windows", _HELD_OUT_WINDOWS))
    for floor in floors or ():
        check.number("perplexity", floor, above=1.0)
    spare = float(np.asarray(hwsim.load_design().popcnt_slack)) if slack is None else float(slack)
    make = maker(model, **settings)
    network = cast(LanguageNetwork, make())
    Store(cache, network.fingerprint)
    settings["compensated"] = network.compensated
    judge = language_network(**(settings | {"windows": _HELD_OUT_WINDOWS} | dict(held_out or {})), held_out=True)
    tried = language_network(**(settings | {"windows": _TRIED_WINDOWS, "skip": len(network.windows)}))
    exact = judge.perplexity(judge.losses({}))
    limits = [exact * growth for growth in GROWTHS] if floors is None else [float(f) for f in floors]
    for floor in limits:
        check.number("perplexity", floor, above=exact)

    def show(name: str, done: int, total: int) -> None:
        if report is not None:
            report(name, done, total)

    measured = sensitivity(make, network=network, bits=bits, cache=cache, jobs=jobs, report=show)
    planner = _Planner(network, measured.table, [Runs(n, cache) for n in (network, tried, judge)], costs, systems)
    rows, choices, areas = [], [], []
    for process in processes:
        table = planner.priced(process, spare, activation_bits)
        areas.append(table[["layer", "bits", "mm2", "mJ"]].assign(process=process))
        planned = list(planner.plans(table, process, limits, sorted(dict.fromkeys(bits))))
        for number, (kind, limit, chosen) in enumerate(planned):
            show(f"{process}: {kind}", number, len(planned))
            row = planner.row(table, process, chosen)
            names = {"process": process, "kind": kind, "floor": limit if kind == "least silicon" else float("nan")}
            rows.append(names | row)
            choices.append(names | {"chips": row["chips"]} | chosen)
    return SiliconFronts(
        network=network.name,
        units=len(next(iter(planner.held_out.losses({}).values()))),
        exact_perplexity=exact,
        activation_bits=activation_bits,
        slack=spare,
        systems=systems,
        table=pd.DataFrame(rows),
        choices=pd.DataFrame(choices),
        areas=pd.concat(areas, ignore_index=True),
        command=command,
    )


def weight_values(network: LanguageNetwork, layer: str, bits: int) -> hwsim.WeightFormat:
    """Return the integers of a layer's weights at a width, with their frequencies. Unused values have no region.

    Raises `InputError` for bits out of range.
    """
    values, counts = np.unique(network.codes(layer, bits), return_counts=True)
    return hwsim.WeightFormat(f"{layer} int{bits}", bits, values, counts / counts.sum())


class _Planner:
    """Choices of bits by their cost in silicon, and the figures of each choice."""

    def __init__(
        self, network: LanguageNetwork, losses: pd.DataFrame, runs: Sequence[Runs], book: Book, systems: int
    ) -> None:
        self._book, self._systems = book, systems
        self._at_hand, self._tried, self.held_out = runs
        shapes = {layer.name: network.weight(layer.name).shape for layer in network.layers}
        self._options = losses[["layer", "group", "bits", "size", "loss"]].assign(
            inputs=[shapes[name][1] for name in losses["layer"]],
            outputs=[shapes[name][0] for name in losses["layer"]],
            tokens=1,
        )
        # The values are the same on every process.
        self._values = lru_cache(maxsize=None)(lambda layer, bits: weight_values(network, layer, bits))
        judge = cast(LanguageNetwork, self.held_out.network)
        self._exact = judge.perplexity(judge.losses({}))

    def priced(self, process: str, slack: float, activation_bits: int) -> pd.DataFrame:
        """Return the options with their costs on a process."""
        options = self._options.assign(act_bits=activation_bits)
        priced = cost_table(options, "hardwired", technology=process, slack=slack, weights=self._values)
        return priced.drop(columns="act_bits")

    def plans(
        self, table: pd.DataFrame, process: str, floors: Sequence[float], bits: Sequence[int]
    ) -> Iterator[tuple[str, float, dict[str, int]]]:
        """Yield (kind, floor or chips, bits of each layer)."""
        names = list(dict.fromkeys(table["layer"]))
        for width in bits:
            yield "uniform", float(width), dict.fromkeys(names, width)
        for floor in floors:
            yield "least silicon", floor, self._least_silicon(table, float(np.log(floor / self._exact)))
        reticle = float(hwsim.load_technology(process).reticle_area_mm2)
        least, most = (float(table.groupby("layer")["mm2"].agg(side).sum()) for side in ("min", "max"))
        for chips in range(int(np.ceil(least / reticle)), int(np.ceil(most / reticle))):
            result = allocate(table, constraints=[f"mm2<={chips * reticle!r}"])
            yield "full chips", float(chips), _whole(result.bits)

    def row(self, table: pd.DataFrame, process: str, chosen: Mapping[str, int]) -> dict[str, Any]:
        """Return the columns of `SiliconFronts.table` for a choice."""
        rows = table.set_index(["layer", "bits"]).loc[list(chosen.items())]
        choice = of_kind(chosen, "weights")
        losses = self.held_out.losses(choice)
        grown = interval(losses["perplexity"])
        exact = self._exact
        silicon = hardwired_silicon(float(rows["mm2"].sum()), technology=process, book=self._book)
        low, high = interval(losses["kl"])
        return {
            "mean_bits": float((rows["size"] * rows.index.get_level_values("bits")).sum() / rows["size"].sum()),
            "kl_predicted": float(rows["loss"].sum()),
            "kl_calibration": float(self._at_hand.losses(choice)["kl"].mean()),
            "kl": float(losses["kl"].mean()),
            "kl_low": low,
            "kl_high": high,
            "perplexity_predicted": exact * float(np.exp(rows["loss"].sum())),
            "perplexity": exact * float(np.exp(losses["perplexity"].mean())),
            "perplexity_low": exact * float(np.exp(grown[0])),
            "perplexity_high": exact * float(np.exp(grown[1])),
            "mj_per_token": float(rows["mJ"].sum()),
            "mm2": silicon.area_mm2,
            "chips": silicon.chips,
            "die_mm2": silicon.die_area_mm2,
            "design_usd": silicon.design_usd,
            "shared_masks_usd": silicon.masks_usd - silicon.own_masks_usd,
            "own_masks_usd": silicon.own_masks_usd,
            "nre_usd": silicon.nre_usd,
            "recurring_usd": silicon.recurring_usd,
            "kg_co2e": silicon.kg_co2e,
            "build_usd": silicon.nre_usd + self._systems * silicon.recurring_usd,
        }

    def _least_silicon(self, table: pd.DataFrame, room: float) -> dict[str, int]:
        """Return the least area with which the log-likelihood of the validation text grows by at most `room` nats."""
        least = float(table.groupby("layer")["loss"].min().sum())
        if room < least:
            raise InputError(
                f"perplexity = {self._exact * np.exp(room):.6g}: expected at least "
                f"{self._exact * np.exp(least):.6g}, the prediction with every layer at its best width"
            )
        limit = room
        for _ in range(_MOST_STEPS):
            result = allocate(table, objective="mm2", constraints=[f"loss<={limit!r}"])
            chosen = _whole(result.bits)
            _, grown = interval(self._tried.losses(of_kind(chosen, "weights"))["perplexity"])
            if grown <= room:
                return chosen
            if limit <= least:
                break
            limit = max(limit * (_LOWERED * room / grown if np.isfinite(grown) else _LOWERED / 2), least)
        raise InputError(
            f"perplexity = {self._exact * np.exp(room):.6g} is exceeded on the validation text: "
            "expected a higher one, or more windows"
        )


def _whole(bits: Mapping[str, float]) -> dict[str, int]:
    return {name: int(width) for name, width in bits.items()}
