"""3D-Carbon: carbon of a die from its share of the wafer, its yield and its metal layers. Carbon only.

Reference: "3D-Carbon: An Analytical Carbon Modeling Tool for 3D and 2.5D Integrated Circuits", DAC 2024, and
UMN-ZhaoLab/3D-Carbon, src/models/die.py and carbon_compute.py: E = (CI EPA' + gamma GPA + MPA) x wafer area / (dies Y),
EPA' = EPA + (L - L0) EPA_layer, gamma = EPA' / EPA; dies by the plain formula, Y negative binomial.
"""

import numpy as np

from costmodel.dies import gross_dies
from costmodel.tools.terms import G_PER_KG, DieCarbon, Estimate, check_tool_node, mm2_to_cm2
from costmodel.yields import negative_binomial
from hwbase import Book, Reader
from hwbase.check import Number, positive

_NM_PER_MM = 1e6


def threed_carbon(
    book: Book,
    area_mm2: Number,
    node: str,
    grid_kg_per_kwh: Number | None = None,
    *,
    metal_layers: Number | None = None,
    gates: Number | None = None,
    package_area_mm2: Number | None = None,
) -> Estimate:
    """Return 3D-Carbon's estimate of one die of `area_mm2` in an FCBGA package; inputs broadcast.

    `metal_layers` defaults to the estimate of `metal_layers_needed`, from `gates` (by default as many as fill the
    area); `package_area_mm2` defaults to 1.2 times the die. Infinite where no die fits the wafer. Raises `InputError`
    for an unknown node or sizes out of range.
    """
    check_tool_node(book, node)
    read = book.reader()
    area = positive("area_mm2", area_mm2)
    grid = read("fab.grid_g_per_kwh", "gCO2e/kWh") / G_PER_KG if grid_kg_per_kwh is None else grid_kg_per_kwh
    diameter = read("wafer.diameter_mm", "mm")
    dies = gross_dies(area, formula="plain", wafer_diameter_mm=diameter)
    wafer_cm2 = mm2_to_cm2(np.pi / 4.0 * diameter**2)
    per_die = np.where(np.asarray(dies) > 0, wafer_cm2 / np.maximum(dies, 1.0), np.inf)
    epa = read(f"{node}.epa_kwh_per_cm2", "kWh/cm**2")
    layers = metal_layers_needed(read, area, node, gates) if metal_layers is None else metal_layers
    more = positive("metal_layers", layers) - read(f"{node}.metal_layers", "1")
    epa_layered = epa + more * read(f"{node}.epa_kwh_per_cm2_layer", "kWh/cm**2")
    package = area * read("package.area_factor", "1") if package_area_mm2 is None else package_area_mm2
    carbon = DieCarbon(
        die_yield=negative_binomial(area, read(f"{node}.d0_per_cm2", "1/cm**2"), read(f"{node}.clustering_alpha", "1")),
        silicon_cm2=per_die if np.ndim(area) else float(per_die),
        grid_kg_per_kwh=grid,
        epa_kwh_per_cm2=epa_layered,
        gpa_kg_per_cm2=epa_layered / epa * read(f"{node}.gpa_kg_per_cm2", "kgCO2e/cm**2"),
        mpa_kg_per_cm2=read(f"{node}.mpa_kg_per_cm2", "kgCO2e/cm**2"),
        package_kg=positive("package_area_mm2", package) * read("package.energy_kwh_per_mm2", "kWh/mm**2") * grid,
        gross_dies=dies,
    )
    return Estimate(None, carbon, read.used)


def metal_layers_needed(read: Reader, area_mm2: Number, node: str, gates: Number | None = None) -> Number:
    """Return the metal layers that the tool estimates by Rent's rule, at most three more than the node's own.

    Layers = 1 + fan-out x gates x mean wire length x pitch / (efficiency x area), rounded down; the mean wire length in
    gate pitches follows from gates and Rent exponent. The code multiplies by the pitch in metres where the area is in
    mm2 and the length in gate pitches; this is kept, for its published figures were made with it.
    """
    feature_mm = read(f"{node}.feature_nm", "nm") / _NM_PER_MM
    if gates is None:
        gates = area_mm2 / (read("wiring.gate_area_features2", "1") * feature_mm**2)
    n, p = np.asarray(positive("gates", gates)), read("wiring.rent_exponent", "1")
    length = 2.0 / 9.0 * (1.0 - 4.0 ** (p - 1.0)) / (1.0 - n ** (p - 1.0))
    length = length * (
        (7.0 * n ** (p - 0.5) - 1.0) / 4.0 ** (p - 0.5) - (1.0 - n ** (p - 1.5)) / (1.0 - 4.0 ** (p - 1.5))
    )
    pitch_m = read("wiring.pitch_features", "1") * feature_mm / 1e3
    wires = read("wiring.fan_out", "1") * n * length * pitch_m / (read("wiring.wiring_efficiency", "1") * area_mm2)
    most = read(f"{node}.metal_layers", "1") + read("wiring.most_extra_layers", "1")
    layers = np.minimum(most, np.floor(wires + 1.0))
    return layers if layers.ndim else float(layers)
