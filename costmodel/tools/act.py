"""ACT: carbon of a die from its own area and a fixed yield. Carbon only.

Reference: Gupta et al., "ACT: designing sustainable computer systems with an architectural carbon modeling tool", ISCA
2022, and facebookresearch/ACT, act/core/logic_model.py: E = A (CI EPA + GPA + MPA) / Y, and 150 g a package.
"""

from costmodel.tools.terms import G_PER_KG, DieCarbon, Estimate, check_tool_node, mm2_to_cm2
from hwbase import Book
from hwbase.check import Number, positive


def act(book: Book, area_mm2: Number, node: str, grid_kg_per_kwh: Number | None = None) -> Estimate:
    """Return ACT's estimate of a die of `area_mm2` at `node`; inputs broadcast.

    `grid_kg_per_kwh` replaces the grid of the tool (Taiwan, 2022). The wafer's rim is not charged, and the yield does
    not depend on the area. Raises `InputError` for an unknown node, or an area out of range.
    """
    check_tool_node(book, node)
    read = book.reader()
    area = positive("area_mm2", area_mm2)
    carbon = DieCarbon(
        die_yield=read("fab.yield", "1"),
        silicon_cm2=mm2_to_cm2(area),
        grid_kg_per_kwh=(
            read("fab.grid_g_per_kwh", "gCO2e/kWh") / G_PER_KG if grid_kg_per_kwh is None else grid_kg_per_kwh
        ),
        epa_kwh_per_cm2=read(f"{node}.epa_kwh_per_cm2", "kWh/cm**2"),
        gpa_kg_per_cm2=read(f"{node}.gpa_kg_per_cm2", "kgCO2e/cm**2"),
        mpa_kg_per_cm2=read(f"{node}.mpa_kg_per_cm2", "kgCO2e/cm**2"),
        package_kg=read("package.kg_per_ic", "kgCO2e"),
    )
    return Estimate(None, carbon, read.used)
