"""Costs of each option of each layer on a machine: columns that `allocate` takes as budgets or objectives.

`layers` is a long table (see `explorer.allocation.table`) with, for each layer, `inputs` (weights of one output),
`outputs`, `tokens` (vectors or pixels in one run), and for GPUs `in_elements` and `out_elements` where they are not
inputs x tokens and outputs x tokens, as in a convolution. Spatial accelerators take `kernel`, `stride` and `width`
(of an image) of convolutions.

| hardware | ms, mJ of one run | mm2 | nre_usd, kg_co2e |
|---|---|---|---|
| rtx4080, rtx3090, a100, a book | roofline on the kernels that exist; at full power | | |
| npu, or the book of a spatial accelerator | tiles on its array, layer after layer | | |
| mac-array | one array of `macs` at its clock, all weights in SRAM | the SRAM that holds the weights | |
| hardwired | Hardwired-Neurons, all layers at once | the neurons, a region a weight value | share of a full reticle's |
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import costmodel
import hwsim
from explorer.allocation.table import numbers, read_layers
from explorer.pricing.prices import node_of, own_book
from hwbase import Book, InputError, Quantity, Record, load_book, unknown_name
from hwbase.arguments import checked
from hwbase.check import number, positive, real
from hwsim.network_roofline import layer_seconds, load_gpu
from hwsim.npu.decoding import npu_machine
from hwsim.npu.design import KIND as NPU
from hwsim.npu.product import Product
from hwsim.npu.run import run_network
from hwsim.technology import BOOKS
from hwsim.weights import MAX_WEIGHT_BITS

#: Activation bits of tables without act_bits: unquantised on GPUs, and the design value of circuits.
_GPU_ACTIVATION_BITS, _CIRCUIT_ACTIVATION_BITS = 16, 8
_MS_PER_S = _MJ_PER_J = 1e3
_GPUS = ("rtx4080", "rtx3090", "a100")
HARDWARE = (*_GPUS, NPU, "mac-array", "hardwired")
#: The process and the cost book of hardwired silicon.
_TECHNOLOGY, _BOOK = "n5", "default"


#: Returns the values of a layer's weights at a width.
WeightsOf = Callable[[str, int], hwsim.WeightFormat]


@dataclass(frozen=True)
class HardwiredSilicon(Record):
    """Chips that hold `area_mm2` of neurons, the cost of their masks and design, and the emissions of making one set.

    `own_masks_usd` are the masks that carry the weights, over all chips; the others are shared.
    """

    area_mm2: float
    chips: int
    die_area_mm2: float
    masks_usd: float
    own_masks_usd: float
    design_usd: float
    nre_usd: float
    recurring_usd: float
    kg_co2e: float
    assumptions: dict[str, Quantity] = field(default_factory=dict, repr=False)


@checked
def cost_table(
    layers: str | Path | pd.DataFrame,
    hardware: str,
    *,
    technology: str = _TECHNOLOGY,
    clock_hz: float = 1e9,
    macs: int = 4096,
    slack: float = 0.0,
    weights: WeightsOf | None = None,
) -> pd.DataFrame:
    """Return `layers` with the costs of each option on `hardware`.

    Parameters
    ----------
    layers : str, Path or DataFrame
        A long table of layers and options, with the columns that the module describes.
    hardware : str
        One of `HARDWARE`, or the file of a GPU's book.
    technology : str
        The process of circuits.
    clock_hz : float
        Clock of circuits in Hz.
    macs : int
        Units of the MAC array.
    slack : float
        Spare share of POPCNT ports of hardwired neurons.
    weights : callable, optional
        Returns the values of a layer's weights at a width, with their frequencies, for hardwired silicon; by default
        those of Gaussian weights.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        For an unknown machine, a missing column, or widths that the machine does not support.
    """
    table = read_layers(layers)
    for name in ("inputs", "outputs", "tokens"):
        table[name] = positive(name, numbers(table, name))
    is_file = hardware.endswith(".toml")
    known = is_file or (hardware not in HARDWARE and hardware in hwsim.machine_names((NPU,)))
    if hardware == NPU or (known and load_book(hardware, BOOKS).kind == NPU):
        return table.assign(**_on_npu(table, hardware, technology))
    if hardware in _GPUS or is_file:
        return table.assign(**_on_gpu(table, hardware))
    if hardware not in HARDWARE:
        raise unknown_name("hardware", hardware, HARDWARE)
    process = hwsim.load_technology(technology)
    if hardware == "mac-array":
        return table.assign(**_on_mac_array(table, process, clock_hz, macs))
    return table.assign(**_hardwired(table, technology, process, clock_hz, slack, weights))


@checked
def hardwired_silicon(
    area_mm2: float, *, technology: str | Path | Book = _TECHNOLOGY, book: str | Book = _BOOK
) -> HardwiredSilicon:
    """Return the chips, masks, dollars and carbon of `area_mm2` of neurons: the fewest equal dies within the reticle.

    `technology` names the process, priced at the cost book's node that its book names. Areas are of neurons only,
    without the other blocks of a chip. Raises `InputError`.
    """
    area = real("area_mm2", area_mm2, above=0.0)
    process = hwsim.technology_book(technology)
    reticle = float(hwsim.load_technology(reader=process.reader()).reticle_area_mm2)
    chips = int(np.ceil(area / reticle))
    costs = book if isinstance(book, Book) else own_book(book)
    bill, made = costmodel.made_chip(
        costs,
        chips=chips,
        die_area_mm2=area / chips,
        hbm_gb=0.0,
        node=node_of(process, costs),
        conventions=costmodel.CORRECTED,
    )
    return HardwiredSilicon(
        area_mm2=area,
        chips=chips,
        die_area_mm2=area / chips,
        masks_usd=float(bill.masks_usd),
        own_masks_usd=chips * float(bill.own_masks_usd),
        design_usd=float(bill.design_usd),
        nre_usd=float(bill.nre_usd),
        recurring_usd=float(bill.system_usd),
        kg_co2e=chips * float(made.total_kg),
        assumptions=bill.assumptions | made.assumptions,
    )


def _on_gpu(table: pd.DataFrame, book: str) -> dict[str, Any]:
    gpu = load_gpu(book)
    products = table["inputs"] * table["outputs"]
    moved: dict[str, Any] = {
        name: (numbers(table, name, low=0.0) if name in table else table[side] * table["tokens"]).to_numpy()
        for name, side in (("in_elements", "inputs"), ("out_elements", "outputs"))
    }
    parts = layer_seconds(
        gpu,
        macs=(products * table["tokens"]).to_numpy(),
        weights=products.to_numpy(),
        weight_bits=table["bits"].to_numpy(),
        activation_bits=_activation_bits(table, _GPU_ACTIVATION_BITS),
        **moved,
    )
    seconds = sum(parts)
    return {"ms": seconds * _MS_PER_S, "mJ": seconds * gpu.power_w * _MJ_PER_J}


def _on_npu(table: pd.DataFrame, book: str, technology: str) -> dict[str, Any]:
    machine = npu_machine(book, technology=technology)
    activations = _activation_bits(table, int(machine.design.activation_bits))
    shape: dict[str, Any] = {name: table[name] for name in ("kernel", "stride", "width") if name in table}
    names = ("inputs", "outputs", "tokens", "bits", *shape)
    sizes = pd.DataFrame(
        {name: np.asarray(number(name, numbers(table, name).to_numpy(), low=1, whole=True), int) for name in names}
    )
    products = [
        Product(
            str(layer),
            row["tokens"],
            row["inputs"],
            row["outputs"],
            row["bits"],
            int(bits),
            **{name: row[name] for name in shape},
        )
        for layer, bits, row in zip(table["layer"], activations, sizes.to_dict(orient="records"), strict=True)
    ]
    runs = run_network("table", products, machine.design, machine.technology).layers
    seconds = np.array([run.timing.cycles for run in runs]) / machine.design.clock_hz
    joules = np.array([run.energy.total_j for run in runs])
    return {"ms": seconds * _MS_PER_S, "mJ": joules * _MJ_PER_J}


def _on_mac_array(table: pd.DataFrame, process: hwsim.Technology, clock_hz: float, macs: int) -> dict[str, Any]:
    columns, logic_mm2 = _circuits(table, process, clock_hz, hwsim.mac_array, macs=macs)
    # All layers share one array; a layer adds the SRAM of its weights.
    return columns | {"mm2": columns["mm2"] - logic_mm2}


def _hardwired(
    table: pd.DataFrame,
    technology: str,
    process: hwsim.Technology,
    clock_hz: float,
    slack: float,
    weights: WeightsOf | None,
) -> dict[str, Any]:
    costs, _ = _circuits(table, process, clock_hz, hwsim.metal_embedding, weights, slack=slack)
    reticle = float(process.reticle_area_mm2)
    full = hardwired_silicon(reticle, technology=technology)
    # Another chip has its own masks, so each mm2 adds its share of them to the NRE.
    own_masks_usd = hardwired_silicon(2.0 * reticle, technology=technology).masks_usd - full.masks_usd
    share = costs["mm2"] / reticle
    return costs | {"nre_usd": share * own_masks_usd, "kg_co2e": share * full.kg_co2e}


def _circuits(
    table: pd.DataFrame,
    process: hwsim.Technology,
    clock_hz: float,
    build: Callable[..., hwsim.Circuit],
    weights_of: WeightsOf | None = None,
    **options: Any,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return columns of the circuit by `build` for each pair of widths, all layers of a pair at once; logic in mm2."""
    number("clock_hz", clock_hz, above=0.0)
    activations = _activation_bits(table, _CIRCUIT_ACTIVATION_BITS)
    columns = {name: np.empty(len(table)) for name in ("ms", "mJ", "mm2")}
    logic_mm2 = np.empty(len(table))
    pairs = np.stack([table["bits"].to_numpy(float), activations], axis=1)
    for pair in np.unique(pairs, axis=0):
        bits, activation_bits = pair.tolist()
        if bits != int(bits) or not 1 <= bits <= MAX_WEIGHT_BITS or activation_bits != int(activation_bits):
            widths = f"bits = {bits:g}, act_bits = {activation_bits:g}"
            raise InputError(f"{widths}: expected whole bits, weights from 1 to {MAX_WEIGHT_BITS}")
        where = np.flatnonzero((pairs == pair).all(axis=1))
        settings = {"activation_bits": int(activation_bits), "clock_hz": clock_hz, **options}
        # One circuit serves all layers of a pair, unless each layer has its own values.
        for rows in [where] if weights_of is None else where[:, None]:
            inputs, outputs, tokens = (table[name].to_numpy()[rows] for name in ("inputs", "outputs", "tokens"))
            layer = table["layer"].iloc[rows[0]]
            weights = weights_of(layer, int(bits)) if weights_of else hwsim.weight_format(f"int{bits:g}", process)
            circuit = build(inputs, outputs, weights, process, **settings)
            columns["ms"][rows] = circuit.initiation_interval * tokens / clock_hz * _MS_PER_S
            columns["mJ"][rows] = circuit.energy_j * tokens * _MJ_PER_J
            columns["mm2"][rows] = circuit.area_mm2
            logic_mm2[rows] = circuit.logic_area_mm2
    return columns, logic_mm2


def _activation_bits(table: pd.DataFrame, otherwise: int) -> np.ndarray:
    return table["act_bits"].to_numpy(float) if "act_bits" in table else np.full(len(table), float(otherwise))
