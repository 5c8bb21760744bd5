"""hwsim.rtl: the neuron as Verilog, simulated with Icarus and synthesised with Yosys, to check the circuit models."""

from hwsim.rtl.cell import cell_neuron, plain_cell_neuron
from hwsim.rtl.layout import DEFAULT_LIBRARY, Layout, has_layout_tools, place_and_route
from hwsim.rtl.liberty import AdderDelay, adder_delay, liberty_folder
from hwsim.rtl.mac import mac_unit
from hwsim.rtl.metal import CellPlan, metal_cells, metal_neuron, metal_wiring, ports_of, region_ports
from hwsim.rtl.netlist import ADDER_CELLS
from hwsim.rtl.polarity import PopcntPlan, inverting_popcnt
from hwsim.rtl.samples import corner_vectors, quota_codes, random_vectors
from hwsim.rtl.scan import scan_lane, simulate_scan
from hwsim.rtl.simulation import (
    SimulatedProducts,
    metal_waveform,
    simulate_cell,
    simulate_mac,
    simulate_metal,
    simulate_plan,
    testbench_text,
)
from hwsim.rtl.synthesis import Synthesis, synthesise
from hwsim.rtl.toggles import CellToggles, measure_toggles
from hwsim.rtl.tools import find_tool, has_tools
from hwsim.rtl.transistors import (
    PASS_TRANSISTOR,
    STATIC_CMOS,
    TransistorCount,
    count_transistors,
    drawn_transistors,
)

__all__ = [
    "ADDER_CELLS",
    "DEFAULT_LIBRARY",
    "PASS_TRANSISTOR",
    "STATIC_CMOS",
    "AdderDelay",
    "CellPlan",
    "CellToggles",
    "Layout",
    "PopcntPlan",
    "SimulatedProducts",
    "Synthesis",
    "TransistorCount",
    "adder_delay",
    "cell_neuron",
    "corner_vectors",
    "count_transistors",
    "drawn_transistors",
    "find_tool",
    "has_layout_tools",
    "has_tools",
    "inverting_popcnt",
    "liberty_folder",
    "mac_unit",
    "measure_toggles",
    "metal_cells",
    "metal_neuron",
    "metal_waveform",
    "metal_wiring",
    "place_and_route",
    "plain_cell_neuron",
    "ports_of",
    "quota_codes",
    "random_vectors",
    "region_ports",
    "scan_lane",
    "simulate_cell",
    "simulate_mac",
    "simulate_metal",
    "simulate_plan",
    "simulate_scan",
    "synthesise",
    "testbench_text",
]
