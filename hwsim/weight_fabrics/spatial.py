"""Weights that are circuits: Metal-Embedding, Cell-Embedding, and the latter in a fabric that vias program."""

from hwbase.check import Number
from hwsim.circuits import Circuit, cell_embedding, metal_embedding, neuron_levels, operand_cycles, pipeline_cycles
from hwsim.weight_fabrics.fabric import UM2_PER_MM2, FabricCost, Setting


def metal(inputs: Number, outputs: Number, setting: Setting) -> FabricCost:
    """Return the cost of a matrix of `inputs` x `outputs` in `hwsim.circuits.metal_embedding`."""
    circuit = metal_embedding(
        inputs,
        outputs,
        setting.weights,
        setting.technology,
        activation_bits=setting.activation_bits,
        slack=setting.slack,
        clock_hz=setting.clock_hz,
    )
    levels = neuron_levels(inputs, setting.weights, setting.slack)
    latency = pipeline_cycles(levels, setting.technology, setting.clock_hz)
    return _of_circuit("metal_embedding", circuit, latency, setting)


def cell(inputs: Number, outputs: Number, setting: Setting) -> FabricCost:
    """Return the cost of a matrix of `inputs` x `outputs` in `hwsim.circuits.cell_embedding`."""
    return _of_circuit("cell_embedding", *_cells(inputs, outputs, setting), setting, full_set=True)


def structured_asic(inputs: Number, outputs: Number, setting: Setting) -> FabricCost:
    """Return the cost of Cell-Embedding in an array of regular cells that vias program.

    Such an array is `area_factor` as large as standard cells, for cells and tracks that stay unused, and its longer
    wires take `energy_factor` the energy.
    """
    factors = (setting.read(f"structured_asic.{of}_factor", "1") for of in ("area", "energy"))
    return _of_circuit("structured_asic", *_cells(inputs, outputs, setting), setting, *factors)


def _cells(inputs: Number, outputs: Number, setting: Setting) -> tuple[Circuit, Number]:
    """Return (circuit, cycles from its operands to its sums) of Cell-Embedding."""
    circuit = cell_embedding(
        inputs,
        outputs,
        setting.weights,
        setting.technology,
        activation_bits=setting.activation_bits,
        clock_hz=setting.clock_hz,
    )
    return circuit, circuit.cycles - operand_cycles(inputs, setting.activation_bits, setting.technology)


def _of_circuit(
    fabric: str,
    circuit: Circuit,
    latency_cycles: Number,
    setting: Setting,
    area_factor: Number = 1.0,
    energy_factor: Number = 1.0,
    full_set: bool = False,
) -> FabricCost:
    return FabricCost(
        fabric=fabric,
        cell_um2_per_weight=0.0,
        logic_um2_per_weight=circuit.area_mm2 * UM2_PER_MM2 / circuit.weights * area_factor,
        memory_um2_per_weight=0.0,
        transistors_per_weight=circuit.transistors_per_weight * area_factor,
        cycles_per_token=circuit.initiation_interval,
        latency_cycles=latency_cycles,
        energy_j_per_mac=circuit.switching_j / circuit.weights * energy_factor,
        respin_masks=setting.read(f"{fabric}.respin_masks", "mask"),
        refill_s=setting.read(f"{fabric}.respin_s", "s"),
        full_set=full_set,
    )
