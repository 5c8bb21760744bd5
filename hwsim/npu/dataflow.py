"""Dataflows: which dimensions of a matrix product lie on the rows and columns of the array, and which runs in time.

A product of (tokens, inputs) with (inputs, outputs) is folded onto the array. In each fold one operand, or the sum,
stays in the elements:

| dataflow | rows | columns | steps of a fold |
|---|---|---|---|
| weight | inputs / lanes | outputs | tokens |
| output | tokens | outputs | inputs / lanes |
| row | inputs / (kernel x lanes) | tokens / width | outputs x kernel x width |

"row" holds a row of the image in each element, which slides a row of the kernel over it (Eyeriss, Chen et al., ISCA
2016); for a linear layer, kernel = width = 1, that is input stationary. The terms and the count of cycles follow
SCALE-Sim (Samajdar et al., ISPASS 2020, section III), with the rows and columns that a fold uses in place of all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hwbase import Record, unknown_name
from hwbase.check import Number
from hwsim.npu.design import Npu

DATAFLOWS = ("weight", "output", "row")


def check_dataflow(dataflow: str) -> str:
    """Return the name of a dataflow; raises `InputError` for an unknown one."""
    if dataflow not in DATAFLOWS:
        raise unknown_name("dataflow", dataflow, DATAFLOWS)
    return dataflow


class Shape(NamedTuple):
    """Tokens, inputs and outputs of a product or of a tile of it; each may be an array."""

    tokens: Number
    inputs: Number
    outputs: Number


@dataclass(frozen=True)
class Folding(Record):
    """A tile on the array: rows, columns and steps that it asks for, its folds along rows and columns, and clocks.

    `busy_cycles` are those in which elements multiply, `cycles` adds the waves that fill and drain the array, and the
    loading of stationary operands where it does not overlap.
    """

    rows: Number
    columns: Number
    steps: Number
    row_folds: Number
    column_folds: Number
    busy_cycles: Number
    cycles: Number


def folding(
    design: Npu, tile: Shape, *, lanes: Number = 1, passes: Number = 1, kernel: Number = 1, width: Number = 1
) -> Folding:
    """Return how tiles fold onto the array, and their clocks.

    With r rows and c columns in use, F folds of s steps of p clocks take, where loading overlaps,

        1 + (F - 1) max(s p, r) + s p + r + c - 2

    and F (2 r + c + s p - 2) where it does not: each fold then loads r rows, and waits for its wave to leave the array.

    Parameters
    ----------
    design : Npu
    tile : Shape
        Tokens, inputs and outputs.
    lanes, passes : int or array
        Products that an element forms at once, and clocks of a step (`hwsim.npu.elements`).
    kernel, width : int or array
        Side of the kernel and positions of an image's row; 1 for a linear layer.

    Returns
    -------
    Folding
        Its numbers broadcast.
    """
    tokens, inputs, outputs = (np.asarray(size, float) for size in tile)
    if design.dataflow == "weight":
        rows, columns, steps = np.ceil(inputs / lanes), outputs, tokens
    elif design.dataflow == "output":
        rows, columns, steps = tokens, outputs, np.ceil(inputs / lanes)
    else:
        rows, columns = np.ceil(inputs / (np.asarray(kernel) * lanes)), np.ceil(tokens / width)
        steps = outputs * kernel * width
    row_folds, column_folds = np.ceil(rows / design.array_rows), np.ceil(columns / design.array_columns)
    folds = row_folds * column_folds
    used_rows, used_columns = np.minimum(rows, design.array_rows), np.minimum(columns, design.array_columns)
    fold = steps * passes
    if design.fold_overlap:
        cycles = 1.0 + (folds - 1.0) * np.maximum(fold, used_rows) + fold + used_rows + used_columns - 2.0
    else:
        cycles = folds * (2.0 * used_rows + used_columns + fold - 2.0)
    return Folding(rows, columns, steps, row_folds, column_folds, folds * fold, cycles)


def units(design: Npu, *, lanes: float = 1, kernel: int = 1, width: int = 1) -> Mapping[str, int]:
    """Return the steps in which tiles grow: whole sides of the array, whole kernels, whole rows of an image."""
    along_rows, along_columns = int(design.array_rows * lanes), int(design.array_columns)
    if design.dataflow == "row":
        return {
            "tokens": along_columns * width,
            "inputs": _up(along_rows * kernel, kernel**2),
            "outputs": int(design.array_rows),
        }
    return {
        "tokens": _up(int(design.array_rows), width),
        "inputs": _up(along_rows, kernel**2),
        "outputs": along_columns,
    }


def _up(size: int, multiple: int) -> int:
    """Return the least multiple that is not below `size`."""
    return -(-size // multiple) * multiple
