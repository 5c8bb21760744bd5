"""Measurements on disk: each is written as soon as it is made, so that a run that is killed goes on where it ended.

One file of JSON lines for each fingerprint (what is measured, on what, how). A line is appended by one write and forced
to the disk. A line that cannot be read, such as the torn last one of a killed run, is left out with a warning and
measured again.
"""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwbase import InputError

#: Raised when lines change their meaning, so that older files are not taken for current ones.
_VERSION = 1

#: A number for each metric, or one for each unit of the input.
Losses = Mapping[str, Any]


class Store:
    """Losses by key, in memory or also in a folder."""

    def __init__(self, folder: str | Path | None, fingerprint: str) -> None:
        """Read what the folder (made if missing) has; raises `InputError` if it cannot be made, read or written to."""
        self._known: dict[str, Losses] = {}
        self._path: Path | None = None
        if folder is None:
            return
        shown = str(folder)[:200]
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._path = Path(folder) / f"{fingerprint[:32]}.jsonl"
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            try:
                self._read(self._path.read_bytes(), descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise InputError(f"cache = {shown!r} cannot be used: {error.strerror or error}") from None
        except ValueError:
            raise InputError(f"cache = {shown!r}: expected the path of a folder") from None

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> Losses | None:
        """Return the losses of `key` (NaN where there were none), or None if they have not been measured."""
        return self._known.get(key)

    def add(self, key: str, losses: Losses) -> None:
        """Keep the losses of `key`; on return they are on the disk. Raises `InputError` if they cannot be written."""
        self._known[key] = dict(losses)
        if self._path is None:
            return
        line = json.dumps({"version": _VERSION, "key": key, "losses": dict(losses)}) + "\n"
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(descriptor, line.encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise InputError(f"cannot write {str(self._path)!r}: {error.strerror or error}") from None

    def _read(self, data: bytes, descriptor: int) -> None:
        torn = bool(data) and not data.endswith(b"\n")
        if torn:
            # The next line must not be glued to half of this one.
            os.write(descriptor, b"\n")
        bad = []
        for number, line in enumerate(data.splitlines(), start=1):
            found = _parse(line)
            if found is None:
                bad.append(number)
            else:
                self._known[found[0]] = found[1]
        if bad:
            where = f"{self._path}, line {bad[0]}" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
            warnings.warn(f"{where}: not a measurement, it is made again", stacklevel=3)


def _parse(line: bytes) -> tuple[str, Losses] | None:
    """Return the key and losses of a line; None for one that is something else (a blank line is no harm either)."""
    try:
        data: Any = json.loads(line)
        if data["version"] != _VERSION or not isinstance(data["key"], str):
            return None
        return data["key"], {str(name): _numbers(value) for name, value in data["losses"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _numbers(value: Any) -> float | list[float]:
    return [float(one) for one in value] if isinstance(value, list) else float(value)
