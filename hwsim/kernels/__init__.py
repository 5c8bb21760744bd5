"""The NumPy kernel core: low-bit formats and the exact arithmetic of hardwired neurons, down to the wires."""

from hwsim.kernels.activity import (
    Activity,
    Wires,
    count_wires,
    measure_activity,
    switching_energy_j,
    trace_toggles,
)
from hwsim.kernels.blocks import BlockWeights, block_matvec, prepare_blocks
from hwsim.kernels.formats import FORMATS, NumberFormat, decode, encode, number_format, round_to_format
from hwsim.kernels.hardwired import HardwiredWeights, codes_to_halves, hardwired_matvec, prepare
from hwsim.kernels.packing import pack, unpack
from hwsim.kernels.planes import HALVES, REGION_CODES, REGION_HALVES
from hwsim.kernels.quantised import MX_BLOCK, Quantised, dequantise, quantise, requantise
from hwsim.kernels.references import cell_embedding_matvec, mac_array_matvec
from hwsim.kernels.trace import Clock, trace

__all__ = [
    "FORMATS",
    "HALVES",
    "MX_BLOCK",
    "REGION_CODES",
    "REGION_HALVES",
    "Activity",
    "BlockWeights",
    "Clock",
    "HardwiredWeights",
    "NumberFormat",
    "Quantised",
    "Wires",
    "block_matvec",
    "cell_embedding_matvec",
    "codes_to_halves",
    "count_wires",
    "decode",
    "dequantise",
    "encode",
    "hardwired_matvec",
    "mac_array_matvec",
    "measure_activity",
    "number_format",
    "pack",
    "prepare",
    "prepare_blocks",
    "quantise",
    "requantise",
    "round_to_format",
    "switching_energy_j",
    "trace",
    "trace_toggles",
    "unpack",
]
