"""Where weights may live: metal, cells, mask ROM, vias, SRAM, DRAM - in area, cycles, energy and masks per re-spin."""

from hwsim.weight_fabrics.compare import (
    BOOK,
    FabricComparison,
    ModelInFabric,
    compare,
    fabric_book,
)
from hwsim.weight_fabrics.fabric import FabricCost, Setting
from hwsim.weight_fabrics.kinds import FABRICS, fabric_format, matrix_cost
from hwsim.weight_fabrics.machine import METAL, ON_CHIP, machine_fabrics, tables_of
from hwsim.weight_fabrics.spatial import cell, metal, structured_asic
from hwsim.weight_fabrics.stored import cells_per_weight, dram, rom, rom_cell_um2, sram

__all__ = [
    "BOOK",
    "FABRICS",
    "METAL",
    "ON_CHIP",
    "FabricComparison",
    "FabricCost",
    "ModelInFabric",
    "Setting",
    "cell",
    "cells_per_weight",
    "compare",
    "dram",
    "fabric_book",
    "fabric_format",
    "machine_fabrics",
    "matrix_cost",
    "metal",
    "rom",
    "rom_cell_um2",
    "sram",
    "structured_asic",
    "tables_of",
]
