"""Formats of compensated weights: the levels of an element, the inputs that share a scale, and the kind of the scale.

Weights are handled transposed, (inputs, outputs), so that one input of all neurons is contiguous. A weight is scale x
level; groups run along the inputs, and a last group may be shorter.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from hwbase import FORMATS, InputError, NumberFormat, Record, unknown_name
from hwbase.formats import INTEGER_BITS

#: Inputs that share a scale in integer formats with groups; others have a scale for each output.
GROUPS = (16, 32, 64, 128)
#: Format of the scales of integers, which have none of their own.
_INTEGER_SCALE = FORMATS["fp16"]


@dataclass(frozen=True)
class WeightFormat(Record):
    """A format by name: `element` of the weights, `group` inputs a scale (None: all of an output), `scale` format.

    `zero` marks integers with a zero point; `tensor_bits` are those of a scale that the whole matrix shares.
    """

    name: str
    element: NumberFormat
    group: int | None
    scale: NumberFormat
    zero: bool = False
    tensor_bits: int = 0

    @cached_property
    def levels(self) -> np.ndarray:
        """Values of an element, float32, ascending; without a zero point."""
        element = self.element
        if element.kind != "integer":
            return np.unique(element.code_values.astype(np.float32)) + np.float32(0.0)
        low = 0.0 if self.zero else -element.highest
        return np.arange(low, element.highest + 1.0, dtype=np.float32)

    @property
    def highest(self) -> float:
        """The largest level."""
        return float(self.levels[-1])

    @property
    def has_exponents(self) -> bool:
        """Whether scales are powers of two."""
        return self.scale is FORMATS["e8m0"]

    def groups(self, inputs: int) -> int:
        """Return the number of scales of an output of that many inputs."""
        return 1 if self.group is None else -(-inputs // self.group)

    def bits_a_weight(self, inputs: int, outputs: int) -> float:
        """Return stored bits a weight, scales and zero points included."""
        scale = self.scale.bits + (self.element.bits if self.zero else 0)
        return self.element.bits + scale * self.groups(inputs) / inputs + self.tensor_bits / (inputs * outputs)

    def snap(self, ratios: np.ndarray, zeros: np.ndarray | float = 0.0) -> np.ndarray:
        """Return the nearest levels (less the zero point) of weights / scales, float32."""
        if self.element.kind == "integer":
            return np.clip(np.rint(ratios), self.levels[0] - zeros, self.levels[-1] - zeros)
        # A float32 without its mantissa is the power of two below it; a step is that times 2^-mantissa bits.
        magnitudes = np.minimum(np.abs(ratios), np.float32(self.highest))
        step = np.maximum(magnitudes, np.float32(2.0**self.element.smallest_exponent))
        step.view(np.int32)[...] &= 0x7F800000
        step *= np.float32(2.0**-self.element.mantissa_bits)
        magnitudes /= step
        np.rint(magnitudes, out=magnitudes)
        magnitudes *= step
        return np.copysign(magnitudes, ratios, out=magnitudes)


@lru_cache
def weight_formats() -> dict[str, WeightFormat]:
    """Return the formats by name: mxfp4, nvfp4, int2 to int8 (a scale an output), uint2 to uint8, and their groups."""
    formats = {"mxfp4": FORMATS["mxfp4"], "nvfp4": FORMATS["nvfp4"]}
    result = {}
    for name, each in formats.items():
        assert each.scale is not None
        tensor = 0 if each.tensor_scale is None else each.tensor_scale.bits
        result[name] = WeightFormat(name, FORMATS[each.element], each.group, each.scale, False, tensor)
    for zero, kind in ((False, "int"), (True, "uint")):
        for bits in range(INTEGER_BITS[0], INTEGER_BITS[1] + 1):
            element = FORMATS[f"{kind}{bits}"]
            for group in (None, *GROUPS):
                name = element.name if group is None else f"{element.name}-g{group}"
                result[name] = WeightFormat(name, element, group, _INTEGER_SCALE, zero)
    return result


def weight_format(name: str) -> WeightFormat:
    """Return the format of that name; raises `InputError` with the nearest name for another one."""
    given = str(name).strip().lower()
    if given not in weight_formats():
        raise unknown_name("weight format", name, weight_formats())
    return weight_formats()[given]


def check_matrix(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix (outputs, inputs) as float32; raises `InputError` for another shape, NaN or infinity."""
    array = np.asarray(matrix, np.float32)
    if array.ndim != 2 or array.size == 0:
        raise InputError(f"weights have shape {array.shape}: expected (outputs, inputs), at least one of each")
    if not np.isfinite(array).all():
        raise InputError("weights hold NaN or infinity: expected finite numbers")
    return array
