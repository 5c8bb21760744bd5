"""Arithmetics of a real language model, as linear operators (W: weights, A: activations, in bits).

- float: float32 throughout, the weights as the file has them;
- int8: W8 per output channel, A8, exact integer products;
- hardwired: W4 in MX blocks, A8, by the Hardwired-Neuron's exact integer arithmetic;
- any other number format that kernels round to, such as int4 (W4 per output channel), mxfp4 (W4 in MX blocks of 32
  inputs) or nvfp4: float activations.

Weights of `hwsim quantise` keep their own format: they run in float (float activations) or hardwired (integer ones).

All matrices are converted, optionally without the head; the embedding table (a lookup), norms, attention and SwiGLU
stay float32. Weights are rounded to nearest, without training or search.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwbase import FORMATS, InputError, NumberFormat, number_format, unknown_name
from hwsim.kernels import ELEMENTS, GROUPED, block_matvec, dequantise, prepare_blocks, quantise
from hwsim.kernels.blocks import BLOCK_METHODS, BlockMethod
from hwsim.kernels.planes import HALVES
from models.inference import HEAD, FloatLinear, Linear, QuantisedActivations, Weights, multiply, quantise_activations
from models.inference.activations import check_scaling
from models.quantise import Solution, StoredWeights, WeightFormat

if TYPE_CHECKING:
    from hwsim.kernels.packed import PackedMatrix


@dataclass(frozen=True)
class Arithmetic:
    """The format of the weights, and whether activations are integers; `name` is the label of the weights."""

    name: str
    weights: NumberFormat
    integer_activations: bool = False

    def title(self, activation_bits: int) -> str:
        """Return the label in tables; "A16" is the usual name of activations that stay float (here float32)."""
        if self.weights is FORMATS["fp32"]:
            return self.name
        return f"{self.name} W{self.weights.bits}A{activation_bits if self.integer_activations else 16}"


def _arithmetic(format: NumberFormat) -> Arithmetic:
    name = format.label if format.group else f"{format.label} per channel"
    return Arithmetic(name, format, integer_activations=format.name == "int8")


#: Every arithmetic by name: those of the default comparison first, then the other number formats.
ARITHMETICS: dict[str, Arithmetic] = {
    "float": Arithmetic("float32", FORMATS["fp32"]),
    "mxfp4": _arithmetic(FORMATS["mxfp4"]),
    "hardwired": Arithmetic("hardwired", FORMATS["mxfp4"], integer_activations=True),
    "int8": _arithmetic(FORMATS["int8"]),
    "int4": _arithmetic(FORMATS["int4"]),
}
#: The default comparison.
COMPARED = tuple(ARITHMETICS)
ARITHMETICS |= {name: _arithmetic(FORMATS[name]) for name in (*GROUPED, *ELEMENTS) if name not in ARITHMETICS}
#: Arithmetics with integer activations.
INTEGER_ACTIVATIONS = tuple(sorted(name for name, each in ARITHMETICS.items() if each.integer_activations))
#: Sums of magnitudes up to this are exact in float32, in any order.
_EXACT32 = 1 << 24
#: Bits of packed weights.
_PACKED_BITS = 4
#: Elements of a product held in 64 bits at once.
_WIDE = 1 << 22


def linear_operator(
    weights: Weights,
    arithmetic: str,
    *,
    scaling: str = "token",
    activation_bits: int = 8,
    float_head: bool = False,
    sums: BlockMethod = "auto",
) -> Linear:
    """Return the linear operator of an arithmetic for a network's weights.

    `scaling` (`models.inference.SCALINGS`) and `activation_bits` (2 to 8) apply to integer activations. `sums` applies
    to hardwired: "blocks" takes each block of 32 inputs through `hardwired_matvec`, "matmul" is one product of the same
    integers, "auto" the faster, and for one token packed 4-bit weights where numba is installed; all agree bit for bit.
    `float_head` leaves the head in float32, as in published MXFP4
    models. Raises `InputError` for unknown names.
    """
    check_scaling(scaling, activation_bits)
    if sums not in BLOCK_METHODS:
        raise unknown_name("sums", sums, BLOCK_METHODS)
    if arithmetic not in ARITHMETICS:
        raise unknown_name("arithmetic", arithmetic, ARITHMETICS)
    if isinstance(weights, StoredWeights):
        return _stored_operator(weights, arithmetic, scaling, activation_bits, sums)
    matrices = weights.matrices()
    head = FloatLinear({HEAD: matrices.pop(HEAD)} if float_head else {})
    body: Linear
    if arithmetic == "hardwired":
        blocks = {name: BlockMatrix(matrix, sums) for name, matrix in matrices.items()}
        body = IntegerLinear(blocks, scaling, activation_bits, packed=sums == "auto")
    elif arithmetic == "int8":
        body = IntegerLinear({n: ChannelMatrix(w) for n, w in matrices.items()}, scaling, activation_bits)
    else:
        format = ARITHMETICS[arithmetic].weights
        body = FloatLinear({name: _rounded(matrix, format) for name, matrix in matrices.items()})
    if not float_head:
        return body

    def linear(name: str, x: np.ndarray, position: int) -> np.ndarray:
        return (head if name == HEAD else body)(name, x, position)

    return linear


def _stored_operator(
    weights: StoredWeights, arithmetic: str, scaling: str, activation_bits: int, sums: BlockMethod
) -> Linear:
    """Return the operator of weights that have a format already; raises `InputError` for an arithmetic of another."""
    if arithmetic == "float":
        return FloatLinear(weights.matrices())
    if arithmetic != "hardwired":
        raise InputError(
            f"arithmetic = {arithmetic!r}: these weights are {weights.format.name} already, expected 'float' "
            "(activations in float) or 'hardwired' (in integers)"
        )
    if weights.format.name == "mxfp4":
        # Rounding to MXFP4 leaves values of MXFP4 as they are, whichever exponents they came from.
        blocks = {name: BlockMatrix(matrix, sums) for name, matrix in weights.matrices().items()}
        return IntegerLinear(blocks, scaling, activation_bits, packed=sums == "auto")
    scaled = {name: ScaledMatrix(each, weights.format) for name, each in weights.stored.items()}
    return IntegerLinear(scaled, scaling, activation_bits, packed=sums == "auto")


def _rounded(matrix: np.ndarray, format: NumberFormat) -> np.ndarray:
    """Return the matrix rounded to a low-bit format as float32, with scales per output channel or the format's own."""
    if format is FORMATS["fp32"]:
        return matrix
    if format.group is not None:
        return dequantise(quantise(matrix, format.name, axis=1))
    return dequantise(quantise(matrix, format.name, per="channel", axis=0))


class ChannelMatrix:
    """INT8 weights with a scale for each output. `units` float64 (outputs,) is the value of one integer."""

    def __init__(self, matrix: np.ndarray) -> None:
        quantised = quantise(matrix, "int8", per="channel", axis=0)
        magnitude = int(np.abs(quantised.codes, dtype=np.int16).sum(axis=1, dtype=np.int64).max(initial=0))
        self._codes: np.ndarray = quantised.codes.astype(np.float32 if magnitude << 7 <= _EXACT32 else np.float64)
        self.units: np.ndarray = quantised.scales[:, 0].astype(np.float64)

    def product(self, activations: np.ndarray) -> np.ndarray:
        """Return the exact integer product, float (tokens, outputs), of int8 activations (tokens, inputs)."""
        return multiply(self._codes, activations.astype(self._codes.dtype))

    def floats(self) -> np.ndarray:
        """Return the dequantised weights, float32 (outputs, inputs)."""
        return (self._codes * self.units[:, None]).astype(np.float32)


class ScaledMatrix:
    """Stored weights with a scale for each output, or for each group of inputs.

    `units` float64 (outputs,) is the value of one unit of a product: the scale of an output, or 1. Scales of groups are
    part of the factors; they have few bits (FP16 or FP8), so the sums stay exact in float64.
    """

    def __init__(self, stored: Solution, format: WeightFormat) -> None:
        self._codes = stored.codes if format.group is None and format.element.bits <= _PACKED_BITS else None
        if format.group is None:
            most = int(np.abs(stored.codes, dtype=np.int32).sum(axis=1).max(initial=0))
            self._factors = stored.codes.astype(np.float32 if most << 7 <= _EXACT32 else np.float64)
            self.units: np.ndarray = stored.scale[:, 0].astype(np.float64)
        else:
            self._factors = stored.values.astype(np.float64)
            self.units = np.ones(len(stored.codes))

    def packed(self) -> "PackedMatrix | None":
        """Return the weights in 4 bits each, None where they have more or scales of groups."""
        half = 1 << _PACKED_BITS - 1
        if self._codes is None or self._codes.min(initial=0) < -half or self._codes.max(initial=0) >= half:
            return None
        from hwsim.kernels.packed import BLOCK, PackedMatrix

        values = np.arange(2 * half)
        values[half:] -= 2 * half
        outputs, inputs = self._codes.shape
        shifts = np.zeros((outputs, -(-inputs // BLOCK)), np.uint8)
        codes = (self._codes & (2 * half - 1)).astype(np.uint8)
        most = float(np.abs(self._codes, dtype=np.int32).sum(axis=1).max(initial=0))
        return PackedMatrix(codes, values, shifts, self.units) if PackedMatrix.fits(most) else None

    def product(self, activations: np.ndarray) -> np.ndarray:
        """Return the product, float (tokens, outputs), of int8 activations (tokens, inputs)."""
        return multiply(self._factors, activations.astype(self._factors.dtype))

    def floats(self) -> np.ndarray:
        """Return the weights, float32 (outputs, inputs)."""
        return (self._factors * self.units[:, None]).astype(np.float32)


class BlockMatrix:
    """MXFP4 weights in Hardwired-Neurons, one for each block of 32 inputs of an output.

    Block b of output o has the scale 2^e[b, o]; its neuron's sum over 32 inputs is an exact integer I[b, o], in halves.
    With m[o] the smallest exponent, sum_b 2^e[b, o] I[b, o] = 2^m[o] sum_b (I[b, o] << (e[b, o] - m[o])): the shift is
    wiring, the sum stays an integer, followed by one multiplication by 2^(m[o] - 1) x (activation scale), the only
    rounding. `units` float64 (outputs,) is 2^(m[o] - 1). `sums` is the method of `block_matvec`.
    """

    def __init__(self, matrix: np.ndarray, sums: BlockMethod = "auto") -> None:
        self._weights, self._sums = prepare_blocks(quantise(matrix.T, "mxfp4", axis=0)), sums
        self.units: np.ndarray = self._weights.unit

    def packed(self) -> "PackedMatrix | None":
        """Return the weights in 4 bits each, None where their sums may not fit 32 bits."""
        from hwsim.kernels.packed import BLOCK, PackedMatrix

        weights = self._weights
        if weights.block != BLOCK or not PackedMatrix.fits(weights.largest_column):
            return None
        return PackedMatrix(weights.codes.T, HALVES.astype(np.int64), weights.shifts.T, self.units)

    def product(self, activations: np.ndarray) -> np.ndarray:
        """Return the exact sums, int64 (tokens, outputs), for int8 activations (tokens, inputs)."""
        return block_matvec(self._weights, activations, method=self._sums)

    def floats(self) -> np.ndarray:
        """Return the dequantised weights, float32 (outputs, inputs)."""
        return np.ascontiguousarray((self._weights.integers * self.units).T, dtype=np.float32)


class IntegerLinear:
    """Integer activations, an exact product, and one multiplication by the scales (rounded once, to float32).

    With `packed`, weights of 4 bits multiply one token at a time in 4 bits each where numba is installed.
    """

    def __init__(
        self,
        matrices: Mapping[str, ChannelMatrix | BlockMatrix | ScaledMatrix],
        scaling: str,
        bits: int,
        packed: bool = False,
    ) -> None:
        self._matrices, self._scaling, self._bits = matrices, scaling, bits
        self._packed = _packed(matrices) if packed else {}
        self._highest = int(number_format(f"int{int(bits)}").highest)
        floating = scaling == "first-float"
        self._floats = {name: matrix.floats() for name, matrix in matrices.items()} if floating else {}

    def __call__(self, name: str, x: np.ndarray, position: int) -> np.ndarray:
        """Return float32 (tokens, outputs) for `x` (tokens, inputs) whose first row is at `position`."""
        matrix, packed = self._matrices[name], self._packed.get(name)
        if packed is not None and len(x) == 1 and not (position == 0 and self._scaling == "first-float"):
            product = packed.product(x[0], self._highest)
            if product is not None:
                return product[None]
        quantised: QuantisedActivations = quantise_activations(x, position, self._scaling, self._bits)
        y = np.empty((len(x), len(matrix.units)), np.float32)
        # In blocks of tokens, so that the 64-bit products of a large head stay small.
        step = max(1, _WIDE // len(matrix.units))
        for start in range(0, len(x), step):
            run = slice(start, start + step)
            y[run] = matrix.product(quantised.codes[run]) * (matrix.units * quantised.scales[run])
        if quantised.floating:
            y[:1] = multiply(self._floats[name], x[:1])
        return y


def _packed(matrices: Mapping[str, ChannelMatrix | BlockMatrix | ScaledMatrix]) -> dict[str, "PackedMatrix"]:
    """Return the matrices that 4 bits a weight hold, none without numba or where the processor lacks instructions."""
    if importlib.util.find_spec("numba") is None:
        return {}
    from hwsim.kernels.packed import can_pack

    if not can_pack():
        return {}
    packed = {name: each.packed() for name, each in matrices.items() if not isinstance(each, ChannelMatrix)}
    return {name: each for name, each in packed.items() if each is not None}
