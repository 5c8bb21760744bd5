"""Checksums of what we write and read back: a changed byte is noticed before its content is used."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, BinaryIO

#: The key of a record's own checksum.
_KEY = "sha256"
_CHUNK = 1 << 20


def file_sum(file: BinaryIO) -> str:
    """Return the SHA-256 of an open file in hexadecimal, and leave the file at its beginning."""
    file.seek(0)
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


def record_sum(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record of JSON values, without its own checksum."""
    content = {key: value for key, value in record.items() if key != _KEY}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def with_sum(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record of JSON values with its checksum.

    >>> is_whole(with_sum({"bits": 4})), is_whole(with_sum({"bits": 4}) | {"bits": 8})
    (True, False)
    """
    return {**record, _KEY: record_sum(record)}


def is_whole(record: Mapping[str, Any]) -> bool:
    """Return whether a record has a checksum that fits its content."""
    return record.get(_KEY) == record_sum(record)
