"""Where weights may live: metal, cells, mask ROM, vias, SRAM, DRAM - in area, cycles, energy and masks per re-spin."""

from hwsim.weight_fabrics.compare import (
    BOOK,
    FABRICS,
    FabricComparison,
    ModelInFabric,
    compare,
    fabric_book,
    fabric_format,
)
from hwsim.weight_fabrics.fabric import FabricCost, Setting
from hwsim.weight_fabrics.spatial import cell, metal, structured_asic
from hwsim.weight_fabrics.stored import cells_per_weight, dram, rom, rom_cell_um2, sram

__all__ = [
    "BOOK",
    "FABRICS",
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
    "metal",
    "rom",
    "rom_cell_um2",
    "sram",
    "structured_asic",
]
