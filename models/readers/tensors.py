"""Headers of weight files, a second way in: tensors by name, with their elements and bits. No weight is read.

GGUF keeps its sizes and its tensors' types in one header; safetensors keep a list of tensors before them, and a folder
of several files an index of names and the bytes in all.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from hwbase import InputError, unknown_name
from hwbase.errors import cut, shown
from hwbase.parsing import parse_json, read_toml

#: Largest header that is read, entries of a list in it, and dimensions of a tensor.
_MOST_BYTES, _MOST_ENTRIES, _MOST_DIMENSIONS = 256 * 2**20, 10**7, 8
_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
#: GGUF's numbers by the code of their type (struct formats); 8 is a text, 9 a list.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
#: Bits of safetensors' types.
_SAFE_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16, "U16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "I8": 8, "U8": 8, "BOOL": 8, "F4": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    """A tensor of a file: its name, its elements, the name of its type, and the bits that it takes in all."""

    name: str
    elements: int
    kind: str
    bits: float


def read_gguf(path: Path) -> tuple[dict[str, Any], list[Tensor]]:
    """Return the values and the tensors of a GGUF file's header; raises `InputError` for a file that has none."""
    return _opened(path, _gguf)


def read_safetensors(path: Path) -> list[Tensor]:
    """Return the tensors that a safetensors file lists; raises `InputError` for a file that lists none."""
    return _opened(path, _safetensors)


def _opened(path: Path, read: Callable[[BinaryIO, str], Any]) -> Any:
    try:
        with path.open("rb") as file:
            return read(file, path.name)
    except OSError as error:
        raise InputError(f"cannot read {path.name!r}: {error.strerror}") from None
    except InputError:
        raise
    except (struct.error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{cut(path.name)}: its header is broken: {error}") from None


def _gguf(file: BinaryIO, name: str) -> tuple[dict[str, Any], list[Tensor]]:
    if file.read(4) != _MAGIC:
        raise InputError(f"{name} is no GGUF file: expected one that begins with GGUF")
    version, tensors, entries = _unpack(file, "I"), _unpack(file, "Q"), _unpack(file, "Q")
    if version not in _VERSIONS:
        raise InputError(f"{name}: GGUF version {version}: expected one of {', '.join(map(str, _VERSIONS))}")
    if max(tensors, entries) > _MOST_ENTRIES:
        raise InputError(f"{name}: its header claims {max(tensors, entries):,} entries")
    values = {}
    for _ in range(entries):
        key = _text(file)
        if key in values:
            raise InputError(f"{name}: key {shown(key)} is there twice: expected each key once")
        values[key] = _value(file, _unpack(file, "I"))
    return values, [_gguf_tensor(file, name) for _ in range(tensors)]


def _gguf_tensor(file: BinaryIO, where: str) -> Tensor:
    name, dimensions = _text(file), _unpack(file, "I")
    if dimensions > _MOST_DIMENSIONS:
        raise InputError(f"{where}: tensor {name[:60]} has {dimensions} dimensions")
    elements = math.prod(_unpack(file, "Q") for _ in range(dimensions))
    code = _unpack(file, "I")
    _unpack(file, "Q")
    if code not in types():
        raise unknown_name(
            f"type of tensor {name[:60]} in {where}:", str(code), [kind for kind, _, _ in types().values()]
        )
    kind, block, size = types()[code]
    return Tensor(name, elements, kind, elements / block * size * 8.0)


def _value(file: BinaryIO, code: int) -> Any:
    if code == _TEXT:
        return _text(file)
    if code == _LIST:
        inner, length = _unpack(file, "I"), _unpack(file, "Q")
        if length > _MOST_ENTRIES:
            raise ValueError(f"a list of {length:,} entries")
        return [_value(file, inner) for _ in range(length)]
    if code not in _NUMBERS:
        raise ValueError(f"a value of type {code}")
    return _unpack(file, _NUMBERS[code])


def _unpack(file: BinaryIO, kind: str) -> Any:
    form = f"<{kind}"
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]


def _text(file: BinaryIO) -> str:
    length = _unpack(file, "Q")
    if length > _MOST_BYTES:
        raise ValueError(f"a text of {length:,} bytes")
    data = file.read(length)
    if len(data) < length:
        raise ValueError("it ends too soon")
    return data.decode("utf-8")


def _safetensors(file: BinaryIO, name: str) -> list[Tensor]:
    length = _unpack(file, "Q")
    if length > _MOST_BYTES:
        raise InputError(f"{name}: its header claims {length:,} bytes")
    header = parse_json(file.read(length).decode("utf-8"), name)
    if not isinstance(header, dict):
        raise ValueError("no object")
    tensors = []
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        kind, shape = entry["dtype"], entry["shape"]
        if kind not in _SAFE_BITS:
            raise unknown_name(f"dtype of {key[:60]} in {name}:", kind, _SAFE_BITS)
        if not isinstance(shape, list) or not all(type(side) is int and side >= 0 for side in shape):
            raise InputError(f"{name}: shape of {shown(key)} = {shown(shape)}: expected whole numbers")
        elements = math.prod(shape)
        start, end = entry["data_offsets"]
        if (end - start) * 8 != elements * _SAFE_BITS[kind]:
            raise InputError(f"{name}: {shown(key)} has {end - start} bytes of data, not those of its shape and dtype")
        tensors.append(Tensor(key, elements, kind, float(elements * _SAFE_BITS[kind])))
    return tensors


@cache
def book() -> dict[str, Any]:
    """Return what `ggml.toml` says of tensors' types, keys and architectures."""
    return read_toml(Path(__file__).with_name("ggml.toml"))


@cache
def types() -> dict[int, tuple[str, int, int]]:
    """Return (name, elements of a block, bytes of a block) of GGUF's types by their number."""
    return {number: (name, block, size) for name, (number, block, size) in book()["types"].items()}
