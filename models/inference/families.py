"""Families of networks: what a GGUF architecture, or the model_type of a config.json, means for the forward pass."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import unknown_name
from hwbase.parsing import read_toml

_IGNORED = "ignored"


@dataclass(frozen=True)
class Family:
    """Options of one family, from `families.toml`; `period` is the layers from one that sees all positions to the next
    (0: all layers alike).
    """

    name: str
    gguf: tuple[str, ...]
    defaults: Mapping[str, Any]
    options: Mapping[str, Any]
    neighbours: bool = False
    gain_offset: float = 0.0
    scaled_embedding: bool = False
    period: int = 0
    layers_scaled_by_hidden: int = 0
    biases: tuple[str, ...] = field(default=())

    def windows(self, window: int, layers: int) -> tuple[int, ...]:
        """Return the positions that each layer sees, where `window` is that of a layer that does not see all."""
        if not window:
            return ()
        return tuple(0 if self.period and i % self.period == self.period - 1 else window for i in range(layers))

    def embedding_scale(self, hidden: int) -> float:
        """Return the factor of the embedding."""
        return float(hidden) ** 0.5 if self.scaled_embedding else 1.0


def family_of(model_type: str, what: str = "model_type") -> Family:
    """Return the family of a config.json's `model_type`; raises `InputError` with the nearest one."""
    if model_type not in _families():
        raise unknown_name(what, model_type, _families())
    return _families()[model_type]


def family_of_gguf(architecture: str, where: str) -> Family:
    """Return the family of a GGUF architecture; raises `InputError` with the nearest one."""
    known = {name: family for family in _families().values() for name in family.gguf}
    if architecture not in known:
        raise unknown_name(f"general.architecture in {where}:", architecture, known)
    return known[architecture]


def ignored_keys() -> frozenset[str]:
    """Return keys of a config.json that change nothing of the logits."""
    return frozenset(_book()[_IGNORED]["keys"])


def ignored_tensors() -> tuple[str, ...]:
    """Return ends of the names of tensors that follow from the sizes."""
    return tuple(_book()[_IGNORED]["tensors"])


def neighbour_pairs(rows: np.ndarray, head_dim: int) -> np.ndarray:
    """Return query or key rows (heads x head_dim, ...), whose rotary pairs are half a head apart, as neighbours."""
    halves = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)


@cache
def _book() -> dict[str, Any]:
    return read_toml(Path(__file__).with_name("families.toml"))


@cache
def _families() -> dict[str, Family]:
    families = {}
    for name, entry in _book().items():
        if name == _IGNORED:
            continue
        options = ("norm", "activation", "gated", "head_norms", "post_norms", "learned_positions")
        families[name] = Family(
            name=name,
            gguf=tuple(entry["gguf"]),
            defaults=entry["defaults"],
            options={key: entry[key] for key in options if key in entry},
            neighbours=entry.get("neighbours", False),
            gain_offset=entry.get("gain_offset", 0.0),
            scaled_embedding=entry.get("scaled_embedding", False),
            period=entry.get("window_period", 0),
            layers_scaled_by_hidden=entry.get("layers_scaled_by_hidden", 0),
            biases=tuple(entry.get("biases", ())),
        )
    return families
