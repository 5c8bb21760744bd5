"""The array's Verilog simulated beside its model: sums bit for bit, clocks to the clock."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwbase import InputError, Record
from hwsim.npu.dataflow import Folding, Shape, folding
from hwsim.npu.design import Npu
from hwsim.npu.elements import composed_bits
from hwsim.npu.product import Product
from hwsim.npu.tiling import element_rates
from hwsim.npu.verilog import CONTROL, ELEMENT, OPERAND_BITS, bench
from hwsim.rtl.tools import run_tool, workspace

#: The element that the Verilog describes: operands of 8 bits, digits of 2.
_PE_BITS, _BRICK_BITS = 8, 2


@dataclass(frozen=True)
class SimulatedShape(Record):
    """One product on the array's Verilog: its dataflow, clocks by the model and by the simulation, wrong sums."""

    product: Product
    dataflow: str
    fold_overlap: bool
    model_cycles: int
    rtl_cycles: int
    wrong_sums: int


@dataclass(frozen=True)
class _Memories:
    """Operands as the array takes them, fold by fold, and the sums that leave it."""

    x: np.ndarray
    w: np.ndarray
    expected: np.ndarray


def simulate_array(
    shapes: Sequence[tuple[Npu, Product]], *, seed: int = 0, timeout_s: float = 120.0
) -> list[SimulatedShape]:
    """Return products simulated one after another on the Verilog of one array, on random operands.

    Parameters
    ----------
    shapes : sequence of (Npu, Product)
        Accelerators with fused elements of 8 bits in digits of 2 and arrays of one size; linear products that are one
        tile, of operands of at most 8 bits.
    seed : int
        Of the operands.
    timeout_s : float
        Seconds that the simulator may take.

    Returns
    -------
    list of SimulatedShape

    Raises
    ------
    InputError
        For other elements, arrays of several sizes, or Icarus Verilog that is not installed.
    """
    sides = {(int(design.array_rows), int(design.array_columns)) for design, _ in shapes}
    if len(sides) != 1:
        raise InputError(f"shapes have {len(sides)} sizes of array: expected one")
    (rows, columns) = sides.pop()
    random = np.random.default_rng(seed)
    calls, parts, models = [], [], []
    at = [0, 0, 0]
    for design, product in shapes:
        _check(design, product)
        memories, fold = _memories(design, product, random)
        widths = [composed_bits(design, bits) for bits in (product.weight_bits, product.activation_bits)]
        # The streamed operand is the weight where inputs stay.
        modes = [round(np.log2(float(width) / _BRICK_BITS)) for width in widths]
        w_mode, x_mode = modes[::-1] if design.dataflow == "row" else modes
        used = [int(min(float(fold.rows), rows)), int(min(float(fold.columns), columns)), int(fold.steps)]
        folds = int(fold.row_folds * fold.column_folds)
        by_output = design.dataflow == "output"
        numbers = [int(by_output), int(design.fold_overlap), w_mode, x_mode, *used, folds]
        numbers += [int(fold.row_folds), *at, len(memories.expected)]
        calls.append(", ".join(map(str, numbers)))
        for place, memory in enumerate((memories.x, memories.w, memories.expected)):
            at[place] += len(memory)
        parts.append(memories)
        models.append(int(fold.cycles))
    bits = int(shapes[0][0].accumulator_bits)
    files = {
        "array.v": ELEMENT + CONTROL,
        "tb.v": bench(rows, columns, bits, calls, (at[0], at[1], at[2])),
        "x.hex": _hex(np.concatenate([each.x for each in parts]), OPERAND_BITS),
        "w.hex": _hex(np.concatenate([each.w for each in parts]), OPERAND_BITS),
        "expected.hex": _hex(np.concatenate([each.expected for each in parts]), bits),
    }
    with workspace(files) as folder:
        run_tool("iverilog", ["-g2012", "-s", "tb", "-o", "tb.vvp", "array.v", "tb.v"], folder, timeout_s)
        printed = run_tool("vvp", ["-N", "tb.vvp"], folder, timeout_s).splitlines()
    results = [line.split()[1:] for line in printed if line.startswith("SHAPE ")]
    return [
        SimulatedShape(product, design.dataflow, bool(design.fold_overlap), cycles, int(clocks), int(wrong))
        for (design, product), cycles, (clocks, wrong) in zip(shapes, models, results, strict=True)
    ]


def _check(design: Npu, product: Product) -> None:
    if (design.pe, design.pe_bits, design.brick_bits) != ("fused", _PE_BITS, _BRICK_BITS):
        raise InputError(
            f"{design.pe} elements of {design.pe_bits:g} bits in digits of {design.brick_bits:g}: expected fused ones "
            f"of {_PE_BITS} in digits of {_BRICK_BITS}"
        )
    if product.kernel != 1 or max(product.weight_bits, product.activation_bits) > _PE_BITS:
        raise InputError(f"{product.name}: expected a linear layer of operands of at most {_PE_BITS} bits")


def _memories(design: Npu, product: Product, random: np.random.Generator) -> tuple[_Memories, Folding]:
    """Return random operands of a product in the order in which the array takes them, and its sums."""
    rate, _ = element_rates(design, product)
    lanes, rows, columns = int(rate), int(design.array_rows), int(design.array_columns)
    fold = folding(design, Shape(product.tokens, product.inputs, product.outputs), lanes=rate)
    a = _draw(random, (product.tokens, product.inputs), product.activation_bits)
    b = _draw(random, (product.inputs, product.outputs), product.weight_bits)
    sums = a @ b
    a_words = _packed(a, lanes, int(composed_bits(design, product.activation_bits)))
    b_words = _packed(b.T, lanes, int(composed_bits(design, product.weight_bits)))
    if design.dataflow == "row":
        # Inputs stay and weights stream: the same array with the operands exchanged.
        a_words, b_words, sums = b_words, a_words, sums.T
    used_rows = int(min(float(fold.rows), rows))
    row_folds, column_folds, steps = int(fold.row_folds), int(fold.column_folds), int(fold.steps)
    folds = row_folds * column_folds
    if design.dataflow == "output":
        x = np.zeros((folds, steps, rows), np.int64)
        w = np.zeros((folds, steps, columns), np.int64)
        expected = np.zeros((folds, used_rows, columns), np.int64)
        for place in range(folds):
            down, across = divmod(place, column_folds)
            left, top = a_words[down * rows :][:rows], b_words[across * columns :][:columns]
            x[place, :, : len(left)], w[place, :, : len(top)] = left.T, top.T
            block = sums[down * rows :, across * columns :][:rows, :columns]
            expected[place, : block.shape[0], : block.shape[1]] = block
    else:
        x = np.zeros((folds, steps, rows), np.int64)
        w = np.zeros((folds, used_rows, columns), np.int64)
        expected = np.zeros((column_folds, steps, columns), np.int64)
        for place in range(folds):
            across, down = divmod(place, row_folds)
            streamed = a_words[:, down * rows :][:, :rows]
            kept = b_words[across * columns :, down * rows :][:columns, :rows]
            x[place, :, : streamed.shape[1]] = streamed
            w[place, : kept.shape[1], : kept.shape[0]] = kept.T
            block = sums[:, across * columns :][:, :columns]
            expected[across, :, : block.shape[1]] = block
    return _Memories(x.ravel(), w.ravel(), expected.ravel()), fold


def _draw(random: np.random.Generator, shape: tuple[int, int], bits: int) -> np.ndarray:
    return random.integers(-(1 << bits - 1), 1 << bits - 1, shape)


def _packed(values: np.ndarray, lanes: int, bits: int) -> np.ndarray:
    """Return words of `lanes` values along the last axis, the first on the lowest bits."""
    padded = np.pad(values, ((0, 0), (0, -values.shape[1] % lanes)))
    parts = (padded & (1 << bits) - 1).reshape(len(values), -1, lanes)
    return np.sum(parts << bits * np.arange(lanes), axis=2)


def _hex(values: np.ndarray, bits: int) -> str:
    return "".join(f"{value & (1 << bits) - 1:x}\n" for value in values.tolist())
