"""Text files into checked records: TOML and JSON reading, and pydantic's findings in one sentence."""

import dataclasses
import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from hwbase.errors import InputError, cut, shown, unknown_name

T = TypeVar("T")
#: Bytes of the largest text that is read whole. Tables and configurations have kilobytes.
MOST_BYTES = 64 * 2**20


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raises `InputError` if it cannot be read or is not TOML."""
    return parse_toml(read_text(path), path.name)


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Return the content of a TOML text; `name` is that of its file. Raises `InputError` if it is not TOML."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{cut(name)} is not valid TOML: it is nested too deeply") from None
    except ValueError as error:  # besides what is not TOML, integers of thousands of digits
        raise InputError(f"{cut(name)} is not valid TOML: {cut(str(error))}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file; raises `InputError` if it cannot be read or is not one JSON object."""
    data = parse_json(read_text(path), cut(path.name))
    if not isinstance(data, dict):
        raise InputError(f"{cut(path.name)}: expected a JSON object, found {type(data).__name__}")
    return data


def parse_json(text: str, where: str) -> Any:
    """Return the value of a JSON text; `where` names its file (and line) for messages.

    Raises `InputError` for what is not JSON, and for an object that has a key twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InputError(f"{where}: key {shown(twice)} is there twice: expected each key once")
        return table

    try:
        return json.loads(text, object_pairs_hook=once)
    except InputError:
        raise
    except RecursionError:
        raise InputError(f"{where} is not valid JSON: it is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{where} is not valid JSON: {cut(str(error))}") from None


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """Return the text of a UTF-8 file, without the byte order mark that some editors write.

    Raises `InputError` for a file that does not exist, cannot be read, is not UTF-8 or has more than `most` bytes.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except FileNotFoundError:
        raise InputError(f"cannot read {shown(str(path))}: it does not exist") from None
    except OSError as error:
        raise InputError(f"cannot read {shown(str(path))}: {error.strerror}") from None
    except ValueError:
        raise InputError(f"cannot read {shown(str(path))}: no file can have this name") from None
    if len(data) > most:
        raise InputError(f"{shown(str(path))} is larger than {most:,} bytes: expected a smaller file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{cut(path.name)} is not UTF-8 text") from None


def parse_strict(adapter: TypeAdapter[T], data: dict[str, Any], record: type, where: str) -> T:
    """Return `data` as the dataclass `record`, checked by pydantic.

    Parameters
    ----------
    adapter : pydantic.TypeAdapter
        Adapter of `record`.
    data : dict
        Values by field name.
    record : type
        The dataclass.
    where : str
        Name of the file and table, for messages.

    Returns
    -------
    record
        An instance.

    Raises
    ------
    InputError
        For an unknown key (nearest name suggested), a missing one, or a value of the wrong type.
    """
    fields = [field.name for field in dataclasses.fields(record)]
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
        raise InputError(f"{where}: {place} = {shown(first['input'])}: {cut(first['msg'].lower())}") from None
