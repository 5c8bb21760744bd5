"""Whole allocations run for real: losses kept on disk like those of single layers, and intervals of their means."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from explorer.precision.networks import Bits, Network
from explorer.precision.store import Store

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
    """Return the bits of each layer where only its "weights" or its "activations" have the widths given."""
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
