"""How often to put a newer model into silicon: policies of re-spins by weight fabric, beside renting GPUs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import hwsim
import models
from costmodel.respins import MONTHS_PER_YEAR, Cadence, gpu_amount, policy_amount
from explorer.change.book import change_book, split_books
from explorer.change.fleets import FabricFleet, amounts, check_fabrics, fabric_fleet
from explorer.documents.document import Document, Documented
from explorer.pricing.economics import PAPER_MODEL, CostAnswer, cost
from explorer.pricing.prices import Convention, Machine
from explorer.uncertainty.propagate import propagate
from hwbase import Book, InputError, Quantity
from hwbase.arguments import checked
from hwbase.books import refuse_unread
from hwbase.check import fraction
from hwbase.values import read_integer
from hwsim.simulation import hardwired
from hwsim.weight_fabrics import FABRICS, METAL, compare, fabric_book, machine_fabrics, tables_of

if TYPE_CHECKING:
    import pandas as pd

_S_PER_MONTH = 365.0 * 86400.0 / MONTHS_PER_YEAR
_HOURS_PER_MONTH = 8760.0 / MONTHS_PER_YEAR
#: Never, each release, and every second to fourth.
EVERY = (0, 1, 2, 3, 4)
#: The row of GPUs, which take each model at once.
GPUS = "gpus"
_SAMPLES = {"low": 2**4, "high": 2**14}
_KEPT = "adapter.demand_kept_share"


@dataclass(frozen=True)
class RespinPolicies(Documented):
    """Policies of re-spins over the life of a fleet, in dollars and carbon. All serve the same demand.

    `rows` has one row a fabric and policy, and one of GPUs alone; `best` one row a fabric, with the worth of being able
    to re-spin. `chances` are over the ranges of constants, empty without samples.
    """

    model: str
    device: str
    life_months: float
    million_tokens: float
    rows: tuple[dict[str, Any], ...]
    best: tuple[dict[str, Any], ...]
    chances: tuple[dict[str, Any], ...]
    samples: int
    notes: tuple[str, ...]
    assumptions: dict[str, Quantity] = field(repr=False)

    def to_frame(self) -> "pd.DataFrame":
        """Return the policies as a frame."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def document(self, command: str = "") -> Document:
        """Return the policies as a document."""
        from explorer.change.respins_document import respins_document

        return respins_document(self, command)


@checked
def respins(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    fabrics: Sequence[str] = ("metal_embedding", "mask_rom", "cell_embedding"),
    every: Sequence[int] = EVERY,
    volume: int = 50,
    convention: Convention = "corrected",
    context: int = 2048,
    on: Machine = hwsim.DEFAULT_MACHINE,
    beside: Machine | None = None,
    technology: str | Path | Book = hwsim.DEFAULT_TECHNOLOGY,
    weights: str = "fp4",
    book: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    adapters: bool = False,
    samples: int = 0,
    seed: int = 0,
) -> RespinPolicies:
    """Return what each cadence of re-spins costs and emits over a fleet's life, by weight fabric.

    A fleet of `volume` hardwired machines serves the share of the demand that its model still has; GPUs, rented at
    prices that fall every year, serve the rest, and in the last row all of it.

    Parameters
    ----------
    model : str or LLMSpec
        A model; newer ones are of its size.
    fabrics : sequence of str
        Where the weights are: some of `explorer.change.fleets.MASKED`.
    every : sequence of int
        Policies: 1 takes each release, k every k-th, 0 none.
    volume : int
        Machines built.
    convention, context, on, beside, technology, weights, book
        As in `explorer.cost`.
    set : mapping of str to number, array or str
        Constants to override, of the books of changes, fabrics, costs, machines and technologies.
    adapters : bool
        Whether adapters beside the weights keep a share of the demand that each release draws
        (`adapter.demand_kept_share`).
    samples : int
        Draws over the ranges of releases, falls, re-spins and mask sets; a power of two, or 0 for none.
    seed : int
        Of the draws.

    Returns
    -------
    RespinPolicies

    Raises
    ------
    InputError
        For invalid input.

    Examples
    --------
    >>> result = respins("gpt-oss-120b", fabrics=("metal_embedding", "mask_rom"), every=(0, 3))
    >>> [(row["fabric"], row["respin_masks"], row["every"]) for row in result.best]
    [('metal_embedding', 10, 0), ('mask_rom', 2, 3)]
    """
    spec = models.spec_of(model)
    chosen = check_fabrics(fabrics)
    policies = _policies(every)
    if samples:
        read_integer("samples", samples, **_SAMPLES)
    of_change, of_fabrics, rest = split_books(set or {}, change_book(), fabric_book())
    machine = hwsim.design_book(on)
    machine = machine.override({name: value for name, value in rest.items() if name in machine.settable()})
    own_tables = tables_of(machine.header.choices.get("fabric", METAL))
    # The machine is built with the same constants of its own fabric.
    rest |= {f"fabrics.{name}": value for name, value in of_fabrics.items() if name.partition(".")[0] in own_tables}
    changes, fabric_constants = change_book().override(of_change), machine_fabrics(machine).override(of_fabrics)
    answer = cost(
        spec,
        volume=volume,
        convention=convention,
        context=context,
        on=on,
        beside=beside,
        technology=technology,
        weights=weights,
        book=book,
        set=rest,
    )
    fleets, full_sets, read = _fleets(
        answer, spec, chosen, fabric_constants, weights=weights, technology=technology, on=on, set=rest
    )
    known = _known(changes, fabric_constants, answer, chosen)
    if adapters:
        known |= {_KEPT: changes[_KEPT]}
    used: dict[str, Quantity] = {}

    def evaluated(values: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        return _evaluate(answer, fleets, full_sets, policies, values, used)

    nominal = evaluated({name: q.at(changes.level) for name, q in known.items()})
    rows = [{key: _plain(value) for key, value in row.items()} for row in nominal.values()]
    chances: tuple[dict[str, Any], ...] = ()
    if samples:
        chances = _chances(evaluated, known, chosen, policies, samples, seed)
    assumptions = answer.assumptions | read | used | known
    refuse_unread(set or {}, assumptions)
    return RespinPolicies(
        model=spec.name,
        device=answer.device,
        life_months=_life_months(answer),
        million_tokens=_million_tokens(answer),
        rows=tuple(rows),
        best=tuple(_best(rows, fabric) for fabric in chosen),
        chances=chances,
        samples=samples,
        notes=answer.notes,
        assumptions=assumptions,
    )


def _policies(every: Any) -> tuple[int, ...]:
    given = (every,) if isinstance(every, int) else tuple(every)
    if not given:
        raise InputError("every is empty: expected at least one policy, such as 0 (never) or 1 (each release)")
    return tuple(dict.fromkeys(read_integer("every", each, low=0, high=1000) for each in given))


def _fleets(
    answer: CostAnswer,
    spec: models.LLMSpec,
    fabrics: Sequence[str],
    constants: Book,
    *,
    weights: str,
    technology: str | Path | Book,
    on: Machine,
    set: Mapping[str, Any],
) -> tuple[list[FabricFleet], dict[str, bool], dict[str, Quantity]]:
    """Return (fleet of each fabric, whether a new model changes all its masks, constants read)."""
    process, machine = hwsim.technology_book(technology), hwsim.design_book(on)
    for_machine = {name: value for name, value in set.items() if name in machine.settable() or name in process}
    design, made, _ = hardwired(spec, weights=weights, technology=process, book=machine, set=for_machine)
    table = compare(
        spec,
        made,
        weights,
        fabrics=tuple(dict.fromkeys((design.fabric, *fabrics))),
        activation_bits=design.activation_bits,
        clock_hz=design.clock_hz,
        slack=design.popcnt_slack,
        book=constants,
    )
    by_name = {row.fabric: row for row in table.rows}
    fleets = [fabric_fleet(answer, by_name[fabric], by_name[design.fabric], made) for fabric in fabrics]
    return fleets, {fabric: by_name[fabric].full_set for fabric in fabrics}, table.assumptions


def _known(changes: Book, fabrics: Book, answer: CostAnswer, chosen: Sequence[str]) -> dict[str, Quantity]:
    """Return the constants that a policy rests on, and that are drawn: of changes, re-spins and masks."""
    tables = ("releases.", "gpus.")
    known = {name: quantity for name, quantity in changes.items() if name.startswith(tables)}
    known |= {f"{name}.{of}": fabrics[f"{name}.{of}"] for name in chosen for of in ("respin_masks", "respin_s")}
    return known | {f"{answer.node}.mask_set_usd": answer.book[f"{answer.node}.mask_set_usd"]}


def _evaluate(
    answer: CostAnswer,
    fleets: Sequence[FabricFleet],
    full_sets: Mapping[str, bool],
    policies: Sequence[int],
    values: Mapping[str, Any],
    used: dict[str, Quantity],
) -> dict[str, dict[str, Any]]:
    """Return one row for each policy of each fabric, and of GPUs; `values` are those of `_known`, numbers or arrays."""
    moved = fraction("releases.share_moved", values["releases.share_moved"])
    cadence = Cadence(
        months_between=values["releases.months_between"],
        share_moved=moved * (1.0 - fraction(_KEPT, values.get(_KEPT, 0.0))),
        price_fall_per_year=values["gpus.price_fall_per_year"],
        carbon_fall_per_year=values["gpus.carbon_fall_per_year"],
    )
    life, tokens = _life_months(answer), _million_tokens(answer)
    rate = answer.book.value("use.discount_rate_per_year", "1/year")
    set_name = f"{answer.node}.mask_set_usd"
    costs = {set_name: values[set_name]}
    rows: dict[str, dict[str, Any]] = {}
    for fleet in fleets:
        masks, lag = values[f"{fleet.fabric}.respin_masks"], values[f"{fleet.fabric}.respin_s"] / _S_PER_MONTH
        usd, tonnes, read = amounts(answer, fleet, masks, full_sets[fleet.fabric], costs)
        used |= read
        for every in policies:
            when = {"respin_months": lag, "life_months": life}
            paid = policy_amount(
                every, usd, cadence, **when, fall_per_year=cadence.price_fall_per_year, discount_per_year=rate
            )
            emitted = policy_amount(every, tonnes, cadence, **when, fall_per_year=cadence.carbon_fall_per_year)
            rows[f"{fleet.fabric}.{every}"] = {
                "fabric": fleet.fabric,
                "label": FABRICS[fleet.fabric],
                "every": every,
                "respin_policy": policy_name(every),
                "respin_count": paid.respins,
                "respin_masks": masks,
                "respin_months": lag,
                "hardwired_share": paid.served_share,
                "hardwired_usd": paid.hardwired,
                "respins_usd": paid.respins_total,
                "rented_usd": paid.gpu,
                "total_usd": paid.total,
                "usd_per_million_tokens": paid.total / tokens,
                "respins_t": emitted.respins_total,
                "total_t": emitted.total,
                "silicon_mm2": fleet.systems * fleet.system.chips * fleet.system.die_area_mm2 * (1.0 + paid.respins),
            }
    alone = {
        "usd": gpu_amount(usd, life_months=life, fall_per_year=cadence.price_fall_per_year, discount_per_year=rate),
        "t": gpu_amount(tonnes, life_months=life, fall_per_year=cadence.carbon_fall_per_year),
    }
    blank = dict.fromkeys(rows[f"{fleets[0].fabric}.{policies[0]}"])
    rows[GPUS] = blank | {
        "fabric": GPUS,
        "label": "GPUs alone",
        "respin_policy": "each release at once",
        "hardwired_share": 0.0,
        "rented_usd": alone["usd"],
        "total_usd": alone["usd"],
        "usd_per_million_tokens": alone["usd"] / tokens,
        "total_t": alone["t"],
    }
    return rows


def policy_name(every: int) -> str:
    """Return a policy in words."""
    return {0: "never", 1: "each release", 2: "every 2nd release", 3: "every 3rd release"}.get(
        every, f"every {every}th release"
    )


def _best(rows: Sequence[Mapping[str, Any]], fabric: str) -> dict[str, Any]:
    """Return the cheapest policy of a fabric, and what being able to re-spin is worth."""
    own = [row for row in rows if row["fabric"] == fabric]
    cheapest = min(own, key=lambda row: row["total_usd"])
    cleanest = min(own, key=lambda row: row["total_t"])
    never = next((row for row in own if row["every"] == 0), None)
    gpus = rows[-1]
    return {
        "fabric": fabric,
        "label": cheapest["label"],
        "respin_masks": cheapest["respin_masks"],
        "every": cheapest["every"],
        "respin_policy": cheapest["respin_policy"],
        "total_usd": cheapest["total_usd"],
        "option_usd": None if never is None else never["total_usd"] - cheapest["total_usd"],
        "usd_ratio": gpus["total_usd"] / cheapest["total_usd"],
        "least_carbon_policy": cleanest["respin_policy"],
        "total_t": cleanest["total_t"],
        "option_t": None if never is None else never["total_t"] - cleanest["total_t"],
        "carbon_ratio": gpus["total_t"] / cleanest["total_t"],
    }


def _chances(
    evaluated: Callable[[Mapping[str, Any]], dict[str, dict[str, Any]]],
    known: Mapping[str, Quantity],
    fabrics: Sequence[str],
    policies: Sequence[int],
    samples: int,
    seed: int,
) -> tuple[dict[str, Any], ...]:
    """Return, for each fabric, how often each policy is the cheapest, and the worth of choosing late."""

    def totals(values: dict[str, Any]) -> dict[str, Any]:
        return {f"{name}.usd": row["total_usd"] for name, row in evaluated(values).items()}

    drawn = propagate(totals, known, samples=samples, seed=seed).outputs
    gpus = drawn[f"{GPUS}.usd"].to_numpy()
    result = []
    for fabric in fabrics:
        own = np.stack([drawn[f"{fabric}.{every}.usd"].to_numpy() for every in policies])
        least, means = np.min(own, axis=0), np.mean(own, axis=1)
        first = int(np.argmin(means))
        result += [
            {
                "fabric": fabric,
                "label": FABRICS[fabric],
                "respin_policy": policy_name(every),
                "mean_usd": float(means[place]),
                "cheapest_share": float(np.mean(np.argmin(own, axis=0) == place)),
                "below_gpus_share": float(np.mean(own[place] < gpus)),
                "waiting_usd": float(means[first] - np.mean(least)) if place == first else None,
            }
            for place, every in enumerate(policies)
        ]
    return tuple(result)


def _life_months(answer: CostAnswer) -> float:
    return float(answer.book.value("use.lifetime_hours", "hour")) / _HOURS_PER_MONTH


def _million_tokens(answer: CostAnswer) -> float:
    return float(answer.pair.hardwired.million_tokens)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
