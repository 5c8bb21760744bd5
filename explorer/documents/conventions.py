"""Descriptions of the choices of each accounting convention."""

from typing import Any

from costmodel import Conventions, conventions
from explorer.documents.tables import Column, Table
from hwbase.numbers import words

#: Formulas of gross dies and of yield, with their references.
DIES = {
    "plain": "πd²/4S − πd/√(2S), rounded down",
    "de-vries": "πd²/4S − 0.58 πd/√S, rounded down (D. K. de Vries, IEEE Trans. Semicond. Manuf. 18, 2005)",
    "ferris-prabhu": "πd²/4S exp(−2√S/d), rounded down (A. V. Ferris-Prabhu, IEEE Trans. Semicond. Manuf. 3, 1990)",
    "area-ratio": "πd²/4S, rounded down: an upper bound",
    "exact": "whole dies of the best of several placements of the grid",
}
YIELDS = {
    "poisson": "exp(−x)",
    "murphy": "((1 − exp(−x))/x)² (B. T. Murphy, Proc. IEEE 52, 1964)",
    "murphy-uniform": "(1 − exp(−2x))/2x (B. T. Murphy, Proc. IEEE 52, 1964)",
    "seeds": "exp(−√x) (R. B. Seeds, IEEE Int. Conv. Rec., 1967)",
    "price-bose-einstein": "(1 + x/n)⁻ⁿ over n layers (J. E. Price, Proc. IEEE 58, 1970)",
    "negative-binomial": "(1 + x/α)^−α (C. H. Stapper, IBM J. Res. Dev., 1983)",
}
#: Description of each choice, by convention; a single text stands for choices that describe themselves.
SAID: dict[str, dict[Any, str]] = {
    "die_formula": DIES,
    "edge_and_scribe": {
        True: "the wafer's edge and the scribe lanes reduce the area",
        False: "dies take the whole wafer, without edge or scribe lanes",
    },
    "round_good_dies": {
        True: "good dies of a wafer are rounded to a whole number",
        False: "good dies of a wafer are not rounded",
    },
    "yield_model": YIELDS,
    "carbon_yield_model": YIELDS,
    "pue_in_system_power": {
        True: "the stated system power includes PUE once, and the facility multiplies by it again",
        False: "PUE once, at the facility",
    },
    "construction_basis": {
        "facility": "construction is paid for the facility's megawatts",
        "it": "construction is paid for the megawatts of the machines",
    },
    "maintenance_basis": {
        "capex": "the yearly rate applies to all initial capital, buildings too",
        "nodes": "the yearly rate applies to the price of the nodes",
    },
    "licence_counted": {True: "GPUs pay a software licence", False: "no software licence, or a bundled one"},
    "bought_power": {
        "stated": "bought devices draw the power stated of them at all times",
        "activity": "bought devices draw what the work on them takes",
    },
    "gpu_count": {
        "rounded": "GPUs that match one system, rounded to one significant digit",
        "exact": "GPUs that match the whole fleet, rounded up",
    },
    "hardwired_maintenance": {
        "spares": "spare systems at recurring cost",
        "rate": "the GPUs' yearly rate, no spares",
        "spares-and-rate": "spare systems, and the yearly rate on the recurring cost of the systems",
    },
    "spares_respun": {True: "a re-spin rebuilds the spares too", False: "a re-spin does not rebuild the spares"},
    "spares_embodied": {
        True: "the spares' embodied carbon counts",
        False: "the spares' embodied carbon does not count",
    },
    "module_carbon": {
        "gpu": "one published figure for a GPU card stands for both machines",
        "rebuilt": "each module's carbon is counted from its own parts",
    },
    "ceil_carbon": {True: "printed tonnes are rounded up", False: "tonnes are not rounded"},
}


def choice_text(name: str, value: Any) -> str:
    """Return the description of a choice of a convention."""
    if name == "facility_power_step_mw":
        return f"the facility's power is rounded to {value:g} MW" if value else "the facility's power is not rounded"
    return SAID[name][value]


def conventions_table(used: Conventions, *others: Conventions) -> Table:
    """Return every choice of `used` with its description, and those of each of `others` where they differ."""
    differing = [conventions.differences(used, other) for other in others]
    rows = []
    for name in conventions.CHOICES:
        elsewhere = (choice_text(name, changed[name]) if name in changed else "" for changed in differing)
        rows.append((words(name), choice_text(name, getattr(used, name)), *elsewhere))
    heads = [Column("convention", numeric=False), Column(used.name, numeric=False)]
    heads += [Column(f"{other.name}, where it differs", numeric=False) for other in others]
    return Table("Conventions" if others else f"Conventions: {used.name}", tuple(heads), tuple(rows))
