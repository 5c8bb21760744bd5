"""JSON as every command writes it: an object that names its schema, with lists under `rows`."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from hwbase import unknown_name
from hwbase.record import plain

#: Grows when a field is renamed or removed; new fields do not count.
VERSION = 1
_FILE = Path(__file__).with_name("schemas.json")


def with_schema(data: Any, name: str) -> dict[str, Any]:
    """Return `data` (fields, or a list of rows) as the object that JSON holds, its schema's name first.

    >>> with_schema([{"x": 1}], "models")
    {'schema': 'hwsim/models/1', 'rows': [{'x': 1}]}
    """
    content = plain(data)
    fields = {"rows": content} if isinstance(content, list) else content
    return {"schema": f"hwsim/{name}/{VERSION}", **fields}


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas (draft 2020-12) of all outputs, by name: "hwsim/cost/1"."""
    stored: dict[str, dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return stored


def schema(name: str) -> dict[str, Any]:
    """Return the JSON schema called `name`, such as "hwsim/cost/1"; raises `InputError` for an unknown one."""
    if name not in schemas():
        raise unknown_name("schema", name, schemas())
    return schemas()[name]
