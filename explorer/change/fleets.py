"""The hardwired fleet of each weight fabric, in dollars and carbon: what is fixed, what runs, what a re-spin takes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import costmodel
from costmodel.ownership import spare_systems
from costmodel.respins import Amount
from explorer.pricing.economics import CostAnswer
from explorer.pricing.prices import card
from hwbase import InputError, Quantity, unknown_name
from hwbase.check import Number
from hwsim.technology import Technology
from hwsim.weight_fabrics import FABRICS, ModelInFabric

#: Fabrics whose weights are in masks.
MASKED = ("metal_embedding", "mask_rom", "ternary_rom", "structured_asic", "cell_embedding")


@dataclass(frozen=True)
class FabricFleet:
    """Systems that serve a demand with weights in a fabric."""

    fabric: str
    system: costmodel.System
    systems: int
    tokens_per_s: float
    """Of one system."""


def check_fabrics(fabrics: Any) -> tuple[str, ...]:
    """Return the fabrics by name. Raises `InputError` for unknown ones, and for those that have no masks."""
    names = (fabrics,) if isinstance(fabrics, str) else tuple(fabrics)
    if not names:
        raise InputError("fabrics is empty: expected at least one")
    for name in names:
        if name in FABRICS and name not in MASKED:
            raise InputError(f"fabric {name} is loaded, and needs no re-spin: expected some of {', '.join(MASKED)}")
        if name not in MASKED:
            raise unknown_name("fabric", name, MASKED)
    return tuple(dict.fromkeys(names))


def fabric_fleet(answer: CostAnswer, row: ModelInFabric, own: ModelInFabric, technology: Technology) -> FabricFleet:
    """Return the fleet of a fabric: the answer's machine with the arrays of its `own` fabric replaced.

    Attention, buffers, links and memory stay. Dies shrink with the arrays; more of them are needed where the arrays
    would not fit a reticle, and more systems where the fabric sets the pace.
    """
    built, inputs = row.fabric == own.fabric, answer.inputs
    chips, rate = float(inputs["chips"]), float(inputs["tokens_per_s"])
    area = chips * float(inputs["die_area_mm2"]) + (0.0 if built else float(row.area_mm2 - own.area_mm2))
    own_rate = rate if built else min(rate, float(row.tokens_per_s))
    more_w = 0.0 if built else float(row.power_w(own_rate) - own.power_w(rate))
    needed = chips if built else max(chips, float(np.ceil(area / technology.reticle_area_mm2)))
    system = costmodel.System(
        chips=int(needed),
        die_area_mm2=area / needed,
        hbm_gb_per_chip=float(inputs["hbm_gb_per_chip"]) * chips / needed,
        chip_power_w=(float(inputs["chip_power_w"]) * chips + more_w) / needed,
        node=answer.node,
        links_usd_per_chip=float(inputs["links_usd_per_chip"]) * chips / needed,
    )
    return FabricFleet(row.fabric, system, int(np.ceil(answer.volume * rate / own_rate)), own_rate)


def amounts(
    answer: CostAnswer, fleet: FabricFleet, masks: Number, full_set: bool, costs: Mapping[str, Any]
) -> tuple[Amount, Amount, dict[str, Quantity]]:
    """Return (dollars, tonnes, constants read) of a fleet, and of the answer's GPUs for the same tokens.

    `masks` are those of a re-spin, `costs` overrides of the cost book; both may be arrays.
    """
    conventions = answer.conventions
    book = answer.book.at(conventions.headline).override(costs)
    read = book.reader()
    built = costmodel.built_fleet(
        book,
        replace(fleet.system, own_masks=np.inf if full_set else masks),
        volume=fleet.systems,
        tokens_per_s=fleet.tokens_per_s,
        card=card(),
        respins=1,
        conventions=conventions,
    )
    paid, bill = built.tco, built.bill
    assert bill is not None
    counted = conventions.spares_respun and conventions.hardwired_maintenance != "rate"
    spares = spare_systems(read, fleet.systems) if counted else 0.0
    pair = answer.pair
    share = (
        answer.comparison.volume
        * float(answer.inputs["tokens_per_s"])
        / (float(answer.comparison.gpus) * float(answer.book[f"{answer.device}.tokens_per_s"].nominal))
    )
    usd = Amount(
        fixed=paid.static_usd - paid.electricity_usd,
        running=paid.electricity_usd,
        respin=bill.respin_usd(fleet.systems + spares),
        gpu=pair.gpu.static_usd * share,
    )
    emitted = built.carbon
    tonnes = Amount(
        fixed=emitted.embodied_t,
        running=emitted.operational_t,
        respin=emitted.respins_t,
        gpu=pair.gpu_carbon.static_t * share,
    )
    return usd, tonnes, paid.assumptions | emitted.assumptions | read.used
