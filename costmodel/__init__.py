"""costmodel: the cost of a chip and its fleet, in dollars and in carbon, from sourced assumptions.

Numbers in, numbers out, independent of models and architectures. Every function takes scalars or NumPy arrays.

    >>> import costmodel
    >>> book = costmodel.load_book("hnlpu-asplos26").at("low")
    >>> bill = costmodel.hardwired_bill(book, chips=16, die_area_mm2=827.08, hbm_gb_per_chip=192, node="n5")
    >>> round(bill.recurring_usd)
    4560
"""

from typing import TYPE_CHECKING

from hwbase.lazy import lazy_names

if TYPE_CHECKING:
    from costmodel import conventions, dies, masks, nre, power, silicon, yields
    from costmodel.bill import Bill, hardwired_bill, nodes
    from costmodel.books import book_names, load_book
    from costmodel.comparison import Comparison, Pair, compare
    from costmodel.conventions import AS_PUBLISHED, CORRECTED, Conventions
    from costmodel.effects import convention_effects, effect_rows
    from costmodel.fleets import Device, Fleet, System, bought_fleet, built_fleet, made_chip
    from costmodel.footprint import Carbon, ModuleCarbon, carbon, module_carbon, region_label, regions
    from costmodel.model_masks import ModelMasks, table4
    from costmodel.ownership import Tco, device_tco, devices_to_match, fleet_tco, tco
    from costmodel.power import system_it_power_w
else:
    __getattr__, __dir__ = lazy_names(__name__, __file__)

__all__ = [
    "AS_PUBLISHED",
    "CORRECTED",
    "Bill",
    "Carbon",
    "Comparison",
    "Conventions",
    "Device",
    "Fleet",
    "ModelMasks",
    "ModuleCarbon",
    "Pair",
    "System",
    "Tco",
    "book_names",
    "bought_fleet",
    "built_fleet",
    "carbon",
    "compare",
    "convention_effects",
    "conventions",
    "device_tco",
    "devices_to_match",
    "dies",
    "effect_rows",
    "fleet_tco",
    "hardwired_bill",
    "load_book",
    "made_chip",
    "masks",
    "module_carbon",
    "nodes",
    "nre",
    "power",
    "region_label",
    "regions",
    "silicon",
    "system_it_power_w",
    "table4",
    "tco",
    "yields",
]
