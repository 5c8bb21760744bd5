"""Runs of whole allocations: losses stored on disk like those of single layers, and intervals of their means."""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from explorer.precision.networks import Bits, Network
from hwbase import InputError
from hwbase.checksums import is_whole, with_sum
from hwbase.files import open_own
from hwbase.parsing import parse_json

#: Increased when the meaning of a line changes, so that older files are not used.
_VERSION = 2

#: A number for each metric, or one for each unit of the input.
Losses = Mapping[str, Any]


class Store:
    """Losses by key, in memory and optionally in a folder."""

    def __init__(self, folder: str | Path | None, fingerprint: str) -> None:
        """Read the folder (created if missing). Raises `InputError` if it cannot be created, read or written."""
        self._known: dict[str, Losses] = {}
        self._path: Path | None = None
        if folder is None:
            return
        shown = str(folder)[:200]
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._path = Path(folder) / f"{fingerprint[:32]}.jsonl"
            with open_own(self._path, "ab") as added, open_own(self._path) as file:
                self._read(file.read(), added)
        except OSError as error:
            raise InputError(f"cache = {shown!r} cannot be used: {error.strerror or error}") from None
        except InputError:
            raise
        except ValueError:
            raise InputError(f"cache = {shown!r}: expected the path of a folder") from None

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str) -> Losses | None:
        """Return the losses of `key` (NaN where undefined), or None if they were not measured."""
        return self._known.get(key)

    def add(self, key: str, losses: Losses) -> None:
        """Store the losses of `key`, on disk when this returns. Raises `InputError` if they cannot be written."""
        self._known[key] = dict(losses)
        if self._path is None:
            return
        line = json.dumps(with_sum({"version": _VERSION, "key": key, "losses": dict(losses)})) + "\n"
        try:
            with open_own(self._path, "ab") as file:
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InputError(f"cannot write {str(self._path)!r}: {error.strerror or error}") from None

    def _read(self, data: bytes, added: BinaryIO) -> None:
        torn = bool(data) and not data.endswith(b"\n")
        if torn:
            # End a partial line, so that the next one starts on its own.
            added.write(b"\n")
        bad = []
        for number, line in enumerate(data.splitlines(), start=1):
            run = _parse(line)
            if run is None:
                bad.append(number)
            else:
                self._known[run[0]] = run[1]
        if bad:
            where = f"{self._path}, line {bad[0]}" + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
            warnings.warn(f"{where}: not a measurement; it is measured again", stacklevel=3)


def _parse(line: bytes) -> tuple[str, Losses] | None:
    """Return the key and losses of a line, or None if it is blank or something else."""
    try:
        data = parse_json(line.decode("ascii"), "a line")
        if not is_whole(data) or data["version"] != _VERSION or not isinstance(data["key"], str):
            return None
        return data["key"], {str(name): _numbers(value) for name, value in data["losses"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _numbers(value: Any) -> float | list[float]:
    return [float(one) for one in value] if isinstance(value, list) else float(value)


_RESAMPLES, _LEVEL = 2000, 0.95


class Runs:
    """Losses of a network with many layers rounded at once."""

    def __init__(self, network: Network, cache: str | Path | None) -> None:
        self.network = network
        self._store = Store(cache, network.fingerprint)

    def losses(self, chosen: Mapping[str, Bits]) -> dict[str, np.ndarray]:
        """Return each loss of each unit, float64 (units,), with every layer of `chosen` in its bits."""
        key = _key(chosen)
        known = self._store.get(key)
        if known is None or not set(self.network.metrics) <= set(known):
            known = {name: values.tolist() for name, values in self.network.losses(chosen).items()}
            self._store.add(key, known)
        return {name: np.asarray(known[name], dtype=float) for name in self.network.metrics}


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of the mean of `values` (units,); (NaN, NaN) if any is NaN."""
    if not np.isfinite(values).all():
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def of_kind(widths: Mapping[str, int], what: str) -> dict[str, Bits]:
    """Return the bits of each layer with only its "weights" or its "activations" rounded."""
    return {name: Bits(width) if what == "weights" else Bits(activations=width) for name, width in widths.items()}


def _key(chosen: Mapping[str, Bits]) -> str:
    exact = Bits()
    widths: dict[str, list[int] | int]
    if all(bits.activations == exact.activations for bits in chosen.values()):
        what, widths = "weights", {name: bits.weights for name, bits in chosen.items()}
    elif all(bits.weights == exact.weights for bits in chosen.values()):
        what, widths = "activations", {name: bits.activations for name, bits in chosen.items()}
    else:
        what, widths = "both", {name: [bits.weights, bits.activations] for name, bits in chosen.items()}
    digest = hashlib.blake2b(json.dumps(sorted(widths.items())).encode(), digest_size=16).hexdigest()
    return json.dumps(["allocation", what, digest])
