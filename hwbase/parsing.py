"""Text files into checked records: TOML and JSON reading, and pydantic's findings said in one sentence."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hwbase.errors import InputError, unknown_name

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raises `InputError` if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(_text(path))
    except (ValueError, RecursionError) as error:
        # Besides what is not TOML: integers of thousands of digits, and nesting without end.
        raise InputError(f"{path.name} is not valid TOML: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; raises `InputError` if it cannot be read or is not a JSON object."""
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{path.name}: expected a JSON object, found {type(data).__name__}")
    return data


def parse_strict(adapter: TypeAdapter[T], data: dict[str, Any], record: type, where: str) -> T:
    """Return `data` as the dataclass `record`, checked by pydantic; `where` names the file for messages.

    Raises `InputError` for an unknown key (nearest name suggested), a missing one, or a value of the wrong type.
    """
    fields = [f.name for f in dataclasses.fields(record)]
    for key in data:
        if key not in fields:
            raise unknown_name(f"field in {where}:", key, fields)
    try:
        return adapter.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise InputError(f"{where}: {place} is missing") from None
        raise InputError(f"{where}: {place} = {first['input']!r}: {first['msg'].lower()}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path.name} is not UTF-8 text") from None
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}") from None
