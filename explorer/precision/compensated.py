"""Matrices of a language model rounded by GPTQ, each alone, on calibration text that nothing else reads."""

from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from hwbase import InputError
from models.inference import Weights
from models.quantise import UNROUNDED, Solution, WeightFormat, calibrated_hessians, gptq, prepared, weight_format

#: Methods that language networks take beside ranges.
COMPENSATED = ("gptq", "rotation+gptq")
#: Rounded matrices that are kept, in weights.
_KEPT = 1_000_000_000


class CompensatedMatrices:
    """The matrices of `weights`, the network that a method rounds, at any width from 2 to 8 bits.

    Parameters
    ----------
    weights : Weights
        The network of a model file.
    windows : ndarray of int, (windows, tokens)
        Calibration text.
    rounding : mapping
        `method`, one of `COMPENSATED`; `per` "channel" or "group" with a `block` of 16, 32, 64 or 128, and `symmetric`.

    Raises
    ------
    InputError
        For weights that share a range in another way.
    """

    #: Of rotations, and of the choice of calibration windows.
    seed = 0

    def __init__(self, weights: Weights, windows: np.ndarray, rounding: Mapping[str, Any]) -> None:
        if rounding["per"] not in ("channel", "group"):
            raise InputError(f"per = {rounding['per']!r}: expected 'channel' or 'group' with {rounding['method']}")
        self._kind = "int" if rounding["symmetric"] else "uint"
        self._group = "" if rounding["per"] == "channel" else f"-g{rounding['block']}"
        self._format(8)
        self.weights = prepared(weights, rounding["method"], self.seed)
        self.windows = windows
        self._kept: OrderedDict[tuple[str, int], Solution] = OrderedDict()

    def __call__(self, name: str, bits: int) -> np.ndarray:
        """Return a matrix, float32 (outputs, inputs), rounded to `bits`; 16 and 32 leave it."""
        return self.weights.matrix(name) if bits in UNROUNDED else self.solution(name, bits).values

    def solution(self, name: str, bits: int) -> Solution:
        """Return codes and scales of a matrix at a width."""
        key = name, bits
        if key not in self._kept:
            self._kept[key] = gptq(self.weights.matrix(name), self._hessians[name], self._format(bits))
            while len(self._kept) > 1 and sum(each.codes.size for each in self._kept.values()) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]

    def _format(self, bits: int) -> WeightFormat:
        return weight_format(f"{self._kind}{bits}{self._group}")

    @cached_property
    def _hessians(self) -> dict[str, np.ndarray]:
        return calibrated_hessians(self.weights, self.windows)
