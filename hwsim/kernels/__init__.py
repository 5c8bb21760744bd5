"""The NumPy kernel core: low-bit formats, the exact arithmetic of hardwired neurons, and search of packed codes."""

from hwsim.kernels.activity import (
    Activity,
    Wires,
    count_wires,
    measure_activity,
    switching_energy_j,
    trace_toggles,
)
from hwsim.kernels.blocks import BlockWeights, block_matvec, prepare_blocks
from hwsim.kernels.codes import (
    Codes,
    code_values,
    codes_from_bytes,
    codes_to_bytes,
    join_codes,
    pack_codes,
    unpack_codes,
)
from hwsim.kernels.estimates import search_scaled
from hwsim.kernels.formats import ELEMENTS, GROUPED, decode, encode, round_to_format
from hwsim.kernels.hardwired import HardwiredWeights, codes_to_halves, hardwired_matvec, prepare
from hwsim.kernels.packing import pack, unpack
from hwsim.kernels.planes import HALVES, REGION_CODES, REGION_HALVES
from hwsim.kernels.quantised import MX_BLOCK, Quantised, dequantise, quantise, requantise
from hwsim.kernels.references import cell_embedding_matvec, mac_array_matvec
from hwsim.kernels.search import BACKENDS, METHODS, Hits, search
from hwsim.kernels.trace import Clock, trace

__all__ = [
    "BACKENDS",
    "ELEMENTS",
    "GROUPED",
    "HALVES",
    "METHODS",
    "MX_BLOCK",
    "REGION_CODES",
    "REGION_HALVES",
    "Activity",
    "BlockWeights",
    "Clock",
    "Codes",
    "HardwiredWeights",
    "Hits",
    "Quantised",
    "Wires",
    "block_matvec",
    "cell_embedding_matvec",
    "code_values",
    "codes_from_bytes",
    "codes_to_bytes",
    "codes_to_halves",
    "count_wires",
    "decode",
    "dequantise",
    "encode",
    "hardwired_matvec",
    "join_codes",
    "mac_array_matvec",
    "measure_activity",
    "pack",
    "pack_codes",
    "prepare",
    "prepare_blocks",
    "quantise",
    "requantise",
    "round_to_format",
    "search",
    "search_scaled",
    "switching_energy_j",
    "trace",
    "trace_toggles",
    "unpack",
    "unpack_codes",
]
