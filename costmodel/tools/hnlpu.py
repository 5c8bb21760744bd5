"""The HNLPU paper's method of counting a die, and ours: this package's conventions in the terms of the other tools.

Reference: doi 10.1145/3779212.3790169, Appendix B: plain dies, Murphy's yield, good dies rounded, package and test per
wafer. Its carbon is one figure for a module; that its die was counted by 3D-Carbon's formula without extra metal layers
is inferred from the 124.9 kg (`costmodel.module_carbon` rebuilds them).
"""

import numpy as np

from costmodel.bill import check_node, wafer
from costmodel.conventions import Conventions
from costmodel.footprint import grid_kg_per_kwh as grid_of
from costmodel.tools.terms import DieCarbon, DieCost, Estimate, mm2_to_cm2
from hwbase import Book
from hwbase.check import Number, positive


def counted(
    book: Book,
    area_mm2: Number,
    node: str,
    grid_kg_per_kwh: Number | None = None,
    *,
    conventions: Conventions,
    fab_region: str = "taiwan",
) -> Estimate:
    """Return the estimate of one square die by `conventions` with the constants of a cost book; inputs broadcast.

    `grid_kg_per_kwh` replaces the grid of `fab_region`. Memory, board and integration are left out. Raises `InputError`
    for an unknown node or region, or an area out of range.
    """
    read = book.reader()
    check_node(book, node)
    area = positive("area_mm2", area_mm2)
    for_cost, for_carbon = (
        wafer(read, die_area_mm2=area, node=node, yield_model=model, conventions=conventions, aspect=1.0)
        for model in (conventions.yield_model, conventions.carbon_yield_model)
    )
    grid = grid_of(read, fab_region) if grid_kg_per_kwh is None else grid_kg_per_kwh
    packages = read("package.usd_per_wafer", "USD")
    good = np.asarray(for_cost.good_dies, dtype=float)
    package_usd = np.where(good > 0, packages / np.where(good > 0, good, 1.0), np.inf)
    cost = DieCost(
        gross_dies=for_cost.gross_dies,
        die_yield=for_cost.die_yield,
        wafer_usd=read(f"{node}.wafer_price_usd", "USD"),
        package_usd=package_usd if np.ndim(package_usd) else float(package_usd),
        rounded=conventions.round_good_dies,
    )
    dies = np.asarray(for_carbon.gross_dies, dtype=float)
    wafer_cm2 = mm2_to_cm2(np.pi / 4.0 * read("wafer.diameter_mm", "mm") ** 2)
    silicon = np.where(dies > 0, wafer_cm2 / np.where(dies > 0, dies, 1.0), np.inf)
    package_kwh = area * read("package.area_factor", "1") * read("package.energy_kwh_per_mm2", "kWh/mm**2")
    carbon = DieCarbon(
        die_yield=for_carbon.die_yield,
        silicon_cm2=silicon if silicon.ndim else float(silicon),
        grid_kg_per_kwh=grid,
        epa_kwh_per_cm2=read(f"{node}.epa_kwh_per_cm2", "kWh/cm**2"),
        gpa_kg_per_cm2=read(f"{node}.gpa_kg_per_cm2", "kgCO2e/cm**2"),
        mpa_kg_per_cm2=read(f"{node}.mpa_kg_per_cm2", "kgCO2e/cm**2"),
        package_kg=package_kwh * grid,
        gross_dies=for_carbon.gross_dies,
    )
    return Estimate(cost, carbon, read.used)
