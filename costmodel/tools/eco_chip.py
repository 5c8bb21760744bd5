"""ECO-CHIP: carbon of a die from its own area and yield, and of the wafer's rim. Carbon only.

Reference: Sudarshan et al., "ECO-CHIP: Estimation of Carbon Footprint of Chiplet-based Architectures for Sustainable
VLSI", HPCA 2024, and ASU-VDA-Lab/ECO-CHIP, src/CO2_func.py: E = A CPA / Y + (wafer area - dies A) CPA / dies, dies by
the plain formula, Y negative binomial. A single die has no package there; design carbon, which depends on the volume,
is left out here.
"""

import numpy as np

from costmodel.dies import gross_dies
from costmodel.tools.terms import G_PER_KG, DieCarbon, Estimate, check_tool_node, mm2_to_cm2
from costmodel.yields import negative_binomial
from hwbase import Book
from hwbase.check import Number, positive


def eco_chip(book: Book, area_mm2: Number, node: str, grid_kg_per_kwh: Number | None = None) -> Estimate:
    """Return ECO-CHIP's estimate of a die of `area_mm2` at `node`, without scaling; inputs broadcast.

    The tool's carbon per area is one number. `grid_kg_per_kwh` replaces the grid of the energy in it, whose amount is
    inferred (see the book). The rim is not divided by the yield, and the wafer is 450 mm wide by default. Infinite
    where no die fits. Raises `InputError` for an unknown node or an area out of range.
    """
    check_tool_node(book, node)
    read = book.reader()
    area = positive("area_mm2", area_mm2)
    diameter = read("wafer.diameter_mm", "mm")
    wafer_mm2 = np.pi / 4.0 * diameter**2
    dies = np.asarray(gross_dies(area, formula="plain", wafer_diameter_mm=diameter, whole=False))
    waste = (wafer_mm2 - np.floor(dies) * area) / np.where(dies > 0, dies, 1.0)
    rim = np.where(dies > 0, mm2_to_cm2(waste), np.inf)
    epa, gpa = read(f"{node}.epa_kwh_per_cm2", "kWh/cm**2"), read(f"{node}.gpa_kg_per_cm2", "kgCO2e/cm**2")
    own_grid = read("fab.grid_g_per_kwh", "gCO2e/kWh") / G_PER_KG
    carbon = DieCarbon(
        die_yield=negative_binomial(area, read(f"{node}.d0_per_cm2", "1/cm**2"), read("yield.clustering_alpha", "1")),
        silicon_cm2=mm2_to_cm2(area),
        grid_kg_per_kwh=own_grid if grid_kg_per_kwh is None else grid_kg_per_kwh,
        epa_kwh_per_cm2=epa,
        gpa_kg_per_cm2=gpa,
        mpa_kg_per_cm2=read(f"{node}.cpa_kg_per_cm2", "kgCO2e/cm**2") - own_grid * epa - gpa,
        rim_cm2=rim if rim.ndim else float(rim),
        gross_dies=np.floor(dies) if dies.ndim else float(np.floor(dies)),
    )
    return Estimate(None, carbon, read.used)
