"""CATCH: cost of a die placed on the wafer, with partly used exposure fields. Dollars only.

Reference: Graening et al., "CATCH: a Cost Analysis Tool for Co-optimization of chiplet-based Heterogeneous systems",
arXiv 2503.15753, and nanocad-lab/CATCH, design.py (layer_cost, layer_yield, reticle_utilization): the wafer's cost over
the dies placed on it, the lithography's share of it over the used share of the exposure field, over the yield
(1 + kappa A D0 / alpha)^-alpha.
"""

import numpy as np

from costmodel.dies import gross_dies
from costmodel.tools.terms import DieCost, Estimate, check_tool_node
from costmodel.yields import negative_binomial
from hwbase import Book
from hwbase.check import Number, positive


def catch(book: Book, area_mm2: Number, node: str) -> Estimate:
    """Return CATCH's estimate of one square die of `area_mm2` by the one-layer constants of `node`; inputs broadcast.

    Dies are placed by `costmodel.dies` ("exact"); the tool's own search finds as many, or one in 148 fewer, from 25 to
    827 mm2. Test, assembly and one-time costs, which depend on the system around the die, are left out. Raises
    `InputError` for an unknown node or an area out of range.
    """
    check_tool_node(book, node)
    read = book.reader()
    area = positive("area_mm2", area_mm2)
    diameter = read("wafer.diameter_mm", "mm")
    share = read(f"{node}.litho_share", "1")
    used = field_use(area, read("reticle.width_mm", "mm") * read("reticle.height_mm", "mm"))
    wafer_usd = np.pi / 4.0 * diameter**2 * read(f"{node}.usd_per_mm2", "USD/mm**2")
    cost = DieCost(
        gross_dies=gross_dies(
            area,
            formula="exact",
            wafer_diameter_mm=diameter,
            edge_mm=read("wafer.edge_mm", "mm"),
            scribe_mm=read("wafer.scribe_mm", "mm"),
        ),
        die_yield=negative_binomial(
            area,
            read(f"{node}.d0_per_cm2", "1/cm**2"),
            read(f"{node}.clustering_alpha", "1"),
            read(f"{node}.critical_area_ratio", "1"),
        ),
        wafer_usd=wafer_usd * (1.0 - share + share / used),
    )
    return Estimate(cost, None, read.used)


def field_use(area_mm2: Number, field_mm2: Number) -> Number:
    """Return the share of its exposure fields that a die uses: whole dies a field, or whole fields a die."""
    fields = np.maximum(np.ceil(area_mm2 / field_mm2), 1.0) * field_mm2
    return np.floor(fields / area_mm2) * area_mm2 / fields
