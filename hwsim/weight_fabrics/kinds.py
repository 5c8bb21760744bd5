"""The fabrics by name, and the formats of the weights that they hold."""

from collections.abc import Callable
from functools import partial

from hwbase import unknown_name
from hwbase.check import Number
from hwsim.technology import Technology
from hwsim.weight_fabrics.fabric import FabricCost, Setting
from hwsim.weight_fabrics.spatial import cell, metal, structured_asic
from hwsim.weight_fabrics.stored import dram, rom, sram
from hwsim.weights import SPREAD_KNOWN, WeightFormat, ternary_format, weight_format

#: The fabrics, and the name of each on pages.
FABRICS = {
    "metal_embedding": "Metal-Embedding",
    "cell_embedding": "Cell-Embedding",
    "mask_rom": "mask ROM",
    "ternary_rom": "ternary ROM",
    "structured_asic": "structured ASIC",
    "sram": "SRAM",
    "dram": "DRAM",
}
TERNARY = "ternary"
_BUILDERS: dict[str, Callable[[Number, Number, Setting], FabricCost]] = {
    "metal_embedding": metal,
    "cell_embedding": cell,
    "mask_rom": partial(rom, "mask_rom"),
    "ternary_rom": partial(rom, "ternary_rom"),
    "structured_asic": structured_asic,
    "sram": sram,
    "dram": dram,
}


def matrix_cost(fabric: str, inputs: Number, outputs: Number, setting: Setting) -> FabricCost:
    """Return the cost of a matrix of `inputs` x `outputs` in `fabric`, one of `FABRICS`."""
    return _BUILDERS[fabric](inputs, outputs, setting)


def fabric_format(name: str, technology: Technology) -> WeightFormat:
    """Return a format by name as `hwsim.weight_format` does, or "ternary"; raises `InputError`."""
    if name == TERNARY:
        return ternary_format()
    if name not in SPREAD_KNOWN:
        raise unknown_name("weight format", name, (*SPREAD_KNOWN, TERNARY))
    return weight_format(name, technology)
