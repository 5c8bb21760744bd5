"""Widths by layer: files as `hwsim allocate --out` writes them, and their place in a network's products."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hwbase import InputError, Record, unknown_name
from hwbase.check import integer
from hwbase.errors import shown
from hwbase.parsing import read_text
from hwsim.npu.product import Product

#: The widest operand of a product.
MOST_BITS = 32
#: Missing layers that a message names.
_NAMED = 3


@dataclass(frozen=True)
class Widths(Record):
    """Bits of a layer's weights, and of its activations where they have their own."""

    weights: int
    activations: int | None = None


#: Widths by the name of the layer.
Allocation = Mapping[str, Widths]


def read_allocation(path: str | Path) -> dict[str, Widths]:
    """Return the widths of a file: YAML or JSON with layer: bits, or layer: {bits, act_bits}; or a CSV of `allocate`.

    Raises `InputError` for a file that cannot be read, without layers, or with a width out of range.
    """
    if Path(path).suffix.lower() == ".csv":
        return as_allocation(_read_table(path), str(path))
    import yaml

    text = read_text(Path(path))
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        raise InputError(f"{path}{where}: expected YAML with layer: bits") from None
    if isinstance(data, Mapping) and isinstance(data.get("layers"), list):
        data = {row.get("layer"): row for row in data["layers"] if isinstance(row, Mapping)}
    return as_allocation(data, str(path))


def bits_of(allocation: str | Path | Mapping[str, Any] | None) -> dict[str, Widths] | None:
    """Return the widths of a file or a mapping, None for none."""
    if allocation is None:
        return None
    if isinstance(allocation, (str, Path)):
        return read_allocation(allocation)
    return as_allocation(allocation)


def as_allocation(data: Any, where: str = "allocation") -> dict[str, Widths]:
    """Return widths from a mapping of layers to bits, to {bits, act_bits}, or to `Widths`; raises `InputError`."""
    if not isinstance(data, Mapping) or not data:
        raise InputError(f"{where}: {shown(data)}: expected layer: bits, as hwsim allocate --out writes them")
    return {str(layer): _widths(f"{where}: {layer}", given) for layer, given in data.items()}


def allocated(products: Sequence[Product], allocation: Allocation, where: str = "allocation") -> list[Product]:
    """Return products with the widths that an allocation gives to each stored one.

    A layer without `act_bits` keeps the activations of its product. Raises `InputError` for a stored product that is
    missing, and for a layer that the network does not have.
    """
    stored = {product.name for product in products if product.stored}
    if missing := [product.name for product in products if product.stored and product.name not in allocation]:
        more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
        raise InputError(
            f"{where} has no bits for {', '.join(map(repr, missing[:_NAMED]))}{more}: expected all {len(stored):,} "
            "layers of the network"
        )
    for layer in allocation:
        if layer not in stored:
            raise unknown_name(f"layer in {where}:", layer, stored)
    return [_with(product, allocation) for product in products]


def _with(product: Product, allocation: Allocation) -> Product:
    if not product.stored:
        return product
    widths = allocation[product.name]
    activations = product.activation_bits if widths.activations is None else widths.activations
    return replace(product, weight_bits=widths.weights, activation_bits=activations)


def _widths(where: str, given: Any) -> Widths:
    if isinstance(given, Widths):
        return given
    if isinstance(given, Mapping):
        if "bits" not in given:
            raise InputError(f"{where}: {shown(given)}: expected bits, and act_bits if activations have their own")
        activations = given.get("act_bits")
        return Widths(_bits(where, given["bits"]), None if activations is None else _bits(where, activations))
    return Widths(_bits(where, given))


def _bits(where: str, value: Any) -> int:
    if isinstance(value, bool):
        raise InputError(f"{where}: bits = {value}: expected a whole number of bits")
    return integer(f"{where}: bits", value, low=1, high=MOST_BITS)


def _read_table(path: str | Path) -> dict[str, Any]:
    import csv

    lines: Iterable[str] = read_text(Path(path)).splitlines()
    rows = list(csv.DictReader(lines))
    if not rows or not {"layer", "bits"} <= rows[0].keys():
        raise InputError(f"{path}: expected the columns layer and bits, as hwsim allocate --out writes them")
    names = ("bits", "act_bits")
    return {row["layer"]: {name: _number(path, row[name]) for name in names if row.get(name)} for row in rows}


def _number(path: str | Path, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{path}: bits = {shown(text)}: expected a whole number") from None
