"""Chiplet Actuary: recurring cost of a die on an organic substrate. Dollars only.

Reference: Feng and Ma, "Chiplet Actuary: A Quantitative Cost Model and Multi-Chiplet Architecture Exploration", DAC
2022, and Yinxiao-Feng/chiplet-actuary, chiplet_actuary/chip.py and package.py: plain dies (not rounded) with scribe and
edge, Y negative binomial; (die + bumps + substrate) / bonding yield.
"""

from costmodel.dies import gross_dies
from costmodel.tools.terms import DieCost, Estimate, check_tool_node
from costmodel.yields import negative_binomial
from hwbase import Book
from hwbase.check import Number, positive


def chiplet_actuary(book: Book, area_mm2: Number, node: str) -> Estimate:
    """Return Chiplet Actuary's estimate of one die of `area_mm2` on a substrate (its "SoC"); inputs broadcast.

    Design and masks are left out. Raises `InputError` for an unknown node or an area out of range.
    """
    check_tool_node(book, node)
    read = book.reader()
    area = positive("area_mm2", area_mm2)
    substrate = read("package.area_factor", "1") * read("package.usd_per_mm2", "USD/mm**2")
    cost = DieCost(
        gross_dies=gross_dies(
            area,
            formula="plain",
            wafer_diameter_mm=read("wafer.diameter_mm", "mm"),
            edge_mm=read("wafer.edge_mm", "mm"),
            scribe_mm=read("wafer.scribe_mm", "mm"),
            whole=False,
        ),
        die_yield=negative_binomial(area, read(f"{node}.d0_per_cm2", "1/cm**2"), read("yield.clustering_alpha", "1")),
        wafer_usd=read(f"{node}.wafer_price_usd", "USD"),
        package_usd=area * (substrate + read("package.bump_usd_per_mm2", "USD/mm**2")),
        assembly_yield=read("package.bonding_yield", "1"),
    )
    return Estimate(cost, None, read.used)
