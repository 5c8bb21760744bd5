"""Number formats: how weights, activations and vectors are coded in bits, and what a group of codes shares.

Every format is one entry of `formats.toml`. Checkpoints, kernels, hardwired weights, stores of vectors and arithmetics
read its bits and values from here; how a kernel packs the codes is the kernel's own affair. To add a format, add an
entry: `number_format` finds it by its name or by an alias, and every user that can take such a format takes it.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from hwbase.check import Number, count, integer
from hwbase.errors import InputError, unknown_name
from hwbase.parsing import parse_strict, read_toml
from hwbase.record import Record

#: Kinds of codes: floating point, evenly spaced integers (two's complement where signed), or a table of values.
Kind = Literal["float", "integer", "table"]
#: Codes that a floating-point format spends on what is no number: none, one NaN a sign, or all of the largest exponent
#: (infinities and NaNs, as in IEEE 754).
Specials = Literal["none", "nan", "ieee"]
#: Formats wider than this have too many codes to list.
MOST_LISTED_BITS = 16


@dataclass(frozen=True)
class NumberFormat(Record):
    """One number format.

    `bits` is the length of a code. Floating point: `exponent_bits`, `mantissa_bits` (without the hidden one), `bias`
    and `specials`; the rest of the bits is the sign. `table` has the values of a format of kind "table", in the order
    of its codes. `dtype_name` is the NumPy type (of ml_dtypes where NumPy has none) with the same codes, if any.
    `gaussian_step` is the step, in standard deviations, of the grid with the least squared error for a normal variable.

    A format may include scales: `group` consecutive codes along the inputs of a matrix share a number of the format
    `scale`, and one of the format `zero_point` where there is a zero point. Without `group` a row shares them. The
    matrix has one number of the format `tensor_scale`. `element` is the name of the format without scales.
    """

    name: str
    label: str
    kind: Kind
    bits: int
    source: str
    year: int
    signed: bool = True
    exponent_bits: int = 0
    mantissa_bits: int = 0
    bias: int = 0
    specials: Specials = "none"
    table: tuple[float, ...] = ()
    dtype_name: str | None = None
    gaussian_step: float | None = None
    aliases: tuple[str, ...] = ()
    element: str = ""
    group: int | None = None
    scale: "NumberFormat | None" = None
    zero_point: "NumberFormat | None" = None
    tensor_scale: "NumberFormat | None" = None

    def __post_init__(self) -> None:
        float_bits = self.signed + self.exponent_bits + self.mantissa_bits
        if self.kind == "float" and self.bits != float_bits:
            raise InputError(
                f"format {self.name}: bits = {self.bits}: expected sign, exponent and mantissa, {float_bits}"
            )
        if len(self.table) != (2**self.bits if self.kind == "table" else 0):
            raise InputError(f"format {self.name}: table has {len(self.table)} values: expected one for each code")
        if self.group is not None and (self.scale is None or self.group < 1):
            raise InputError(f"format {self.name}: group = {self.group}: expected a size >= 1, and a scale")

    @property
    def highest(self) -> float:
        """The largest finite value."""
        if self.kind == "table":
            return max(self.table)
        if self.kind == "integer":
            return 2.0 ** (self.bits - self.signed) - 1.0
        exponent, mantissa = 2**self.exponent_bits - 1, 2**self.mantissa_bits - 1
        if self.specials == "ieee" or (self.specials == "nan" and not mantissa):
            exponent -= 1
        elif self.specials == "nan":
            mantissa -= 1
        return float(np.ldexp(2.0**self.mantissa_bits + mantissa, exponent - self.bias - self.mantissa_bits))

    @property
    def lowest(self) -> float:
        """The least finite value."""
        if self.kind == "table":
            return min(self.table)
        if self.kind == "integer":
            return -self.highest - 1.0 if self.signed else 0.0
        if self.signed:
            return -self.highest
        return 0.0 if self.mantissa_bits else self.least

    @property
    def least(self) -> float:
        """The least value above zero."""
        if self.kind == "table":
            return min(value for value in self.table if value > 0.0)
        if self.kind == "integer":
            return 1.0
        # Without a mantissa there are no subnormals, and the first exponent is one lower.
        return float(np.ldexp(1.0, (self.smallest_exponent if self.mantissa_bits else -self.bias) - self.mantissa_bits))

    @property
    def smallest_exponent(self) -> int:
        """Exponent of the least normal floating-point number, which subnormals share."""
        return 1 - self.bias

    @cached_property
    def code_values(self) -> np.ndarray:
        """Value of every code, float64 (2^bits,), NaN or infinite where a code is no number; read-only.

        Raises `InputError` for formats of more than 16 bits.
        """
        if self.bits > MOST_LISTED_BITS:
            raise InputError(
                f"{self.name} has {self.bits} bits: expected at most {MOST_LISTED_BITS} to list its values"
            )
        values = self._values(np.arange(2**self.bits))
        values.flags.writeable = False
        return values

    @property
    def dtype(self) -> np.dtype:
        """NumPy type with the same codes; raises `InputError` where there is none."""
        import ml_dtypes

        if self.dtype_name is None:
            raise InputError(f"{self.name} has no NumPy type")
        return np.dtype(getattr(ml_dtypes, self.dtype_name, self.dtype_name))

    @property
    def has_power_of_two_scales(self) -> bool:
        """Whether scales are powers of two, so that multiplying by one shifts."""
        return self.scale is not None and self.scale.kind == "float" and self.scale.mantissa_bits == 0

    @property
    def bits_per_weight(self) -> float:
        """Bits stored for a weight, with its share of what a group shares (not of what a row or a matrix shares)."""
        return float(self.bits) if self.group is None else self.bits + self._shared_bits / self.group

    def stored_bits(self, inputs: Number, outputs: Number = 1) -> Number:
        """Return the bits of a matrix (outputs, inputs): its codes, and scales for every begun group of each row.

        >>> number_format("nvfp4").stored_bits(40), number_format("mxfp4").stored_bits(40)
        (216, 176)
        """
        columns, rows = count("inputs", inputs, low=0), count("outputs", outputs, low=0)
        groups = 1 if self.group is None else -(-columns // self.group)
        matrix = 0 if self.tensor_scale is None else self.tensor_scale.bits
        return rows * (columns * self.bits + groups * self._shared_bits) + matrix

    def grouped(
        self, group: int | None, scale: "str | NumberFormat" = "fp16", zero_point: "str | NumberFormat | None" = None
    ) -> "NumberFormat":
        """Return the format with a scale, and a zero point if given, for each `group` of codes (None: for a row).

        >>> number_format("int4").grouped(128).bits_per_weight
        4.125
        """
        size = None if group is None else integer("group", group)
        return dataclasses.replace(
            self,
            name=f"{self.element}-row" if size is None else f"{self.element}-group{size}",
            group=size,
            scale=number_format(scale),
            zero_point=None if zero_point is None else number_format(zero_point),
            aliases=(),
        )

    @property
    def _shared_bits(self) -> int:
        return sum(shared.bits for shared in (self.scale, self.zero_point) if shared is not None)

    def _values(self, codes: np.ndarray) -> np.ndarray:
        if self.kind == "table":
            return np.array(self.table)
        if self.kind == "integer":
            return np.where(codes > self.highest, codes - 2.0**self.bits, codes)
        top = 2**self.exponent_bits - 1
        mantissas = codes & (2**self.mantissa_bits - 1)
        exponents = (codes >> self.mantissa_bits) & top
        normal = (exponents > 0) | (self.mantissa_bits == 0)
        values = np.ldexp(
            mantissas + np.where(normal, 2.0**self.mantissa_bits, 0.0),
            np.where(normal, exponents, 1) - self.bias - self.mantissa_bits,
        )
        if self.specials == "ieee":
            values[exponents == top] = np.where(mantissas[exponents == top] == 0, np.inf, np.nan)
        elif self.specials == "nan":
            values[(exponents == top) & (mantissas == 2**self.mantissa_bits - 1)] = np.nan
        return np.where(codes >> (self.bits - 1) == 1, -values, values) if self.signed else values


def number_format(
    name: "str | NumberFormat",
    what: str = "number format",
    among: Iterable[str] | None = None,
    also: Iterable[str] = (),
) -> NumberFormat:
    """Return the format of a name or an alias, in upper or lower case; a format is returned as it is.

    Parameters
    ----------
    name : str or NumberFormat
        Name, alias, or the format itself.
    what : str
        The kind of name, for the message.
    among : iterable of str, optional
        Names of the allowed formats; by default all of `FORMATS`.
    also : iterable of str
        Further names that the caller accepts, for the message.

    Returns
    -------
    NumberFormat
        The entry of `FORMATS`.

    Raises
    ------
    InputError
        For another name; the nearest one is suggested.

    Examples
    --------
    >>> number_format("FP8").highest, number_format("nvfp4").bits_per_weight
    (448.0, 4.5)
    """
    if isinstance(name, NumberFormat):
        return name
    possible = FORMATS if among is None else {each: FORMATS[each] for each in among}
    chosen = possible.get(_NAMES.get(str(name).lower(), ""))
    if chosen is None:
        aliases = (alias for each in possible.values() for alias in each.aliases)
        raise unknown_name(what, name, (*also, *possible), aliases)
    return chosen


def read_formats(path: Path) -> dict[str, NumberFormat]:
    """Return the formats in a TOML file by name, in the file's order; raises `InputError` for one that is not right.

    An entry that `extends` an earlier one takes over all that it does not say itself.
    """
    tables: dict[str, dict[str, Any]] = {}
    formats: dict[str, NumberFormat] = {}
    for name, table in read_toml(path).items():
        own = dict(table)
        base = own.pop("extends", None)
        if base is not None and base not in tables:
            raise unknown_name(f"format that {name} extends in {path.name}:", base, tables)
        inherited = {} if base is None else {key: value for key, value in tables[base].items() if key != "aliases"}
        tables[name] = {"element": base or name, **inherited, **own}
        formats[name] = _parse(name, tables[name], formats, path.name)
    return formats


def _parse(name: str, table: Mapping[str, Any], known: Mapping[str, NumberFormat], where: str) -> NumberFormat:
    data = {"name": name, **table}
    for key in ("scale", "zero_point", "tensor_scale"):
        if key in data:
            if data[key] not in known:
                raise unknown_name(f"{key} of {name} in {where}:", data[key], known)
            data[key] = known[data[key]]
    return parse_strict(_adapter(), data, NumberFormat, f"{where}: {name}")


@cache
def _adapter() -> TypeAdapter[NumberFormat]:
    return TypeAdapter(NumberFormat)


#: Every number format by name.
FORMATS: dict[str, NumberFormat] = read_formats(Path(__file__).with_name("formats.toml"))
_INTEGERS = [each.bits for each in FORMATS.values() if each.kind == "integer" and each.scale is None]
#: Fewest and most bits of the integers "intB" and "uintB".
INTEGER_BITS = (min(_INTEGERS), max(_INTEGERS))
_NAMES = {name: each.name for each in FORMATS.values() for name in (each.name, *each.aliases)}
