"""The interface of a network to measure: its layers, and the loss of rounding some of them on its inputs.

Losses are additive: 0 for the network in float, larger is worse, one value for each unit of the input (a window of
text, an image), so that a mean, a confidence interval and a sum over layers are meaningful.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from hwbase import InputError, Record, unknown_name
from hwbase.patterns import matching
from models.quantise import MOST_BITS, check_bits, rounded


class Bits(NamedTuple):
    """Bits of a layer's weights and of the activations that enter it; 32 (or 16) leave them in float32."""

    weights: int = 32
    activations: int = 32


#: Default parameters of `models.quantise.rounded` for weights.
DEFAULT_ROUNDING: dict[str, Any] = {"per": "channel", "block": None, "symmetric": True, "method": "min-max"}

#: Bits of the rounded layers by name; the others stay float.
Choice = Mapping[str, Bits]


class Moments(NamedTuple):
    """Mean squares: of each input (or input channel) of a layer, float64 (inputs,), and of all its outputs."""

    inputs: np.ndarray
    output: float


@dataclass(frozen=True)
class Layer(Record):
    """A layer with a matrix: numbers of weights, entering activations and multiplications for one unit of input.

    Layers with the same `fused` name read the same input, so machines run them as one product in one format; "" if
    none.
    """

    name: str
    group: str
    weights: int
    inputs: int
    macs: int
    fused: str = ""


class Network(Protocol):
    """A network on fixed inputs with its float result."""

    @property
    def name(self) -> str:
        """The name of the network."""
        ...

    @property
    def layers(self) -> Sequence[Layer]:
        """Layers in the order in which they are computed."""
        ...

    @property
    def metrics(self) -> Mapping[str, str]:
        """Names and descriptions of the losses; the first is the default."""
        ...

    @property
    def group_metrics(self) -> Mapping[str, str]:
        """The loss of each group of layers when groups are decoupled."""
        ...

    @property
    def rounding(self) -> Mapping[str, Any]:
        """Parameters of `models.quantise.rounded` for weights."""
        ...

    @property
    def fingerprint(self) -> str:
        """A hash of all that the losses depend on: weights, inputs, rounding."""
        ...

    def losses(self, choice: Choice) -> dict[str, np.ndarray]:
        """Return the losses, float64 (units,) each, with the layers of `choice` rounded; NaN if undefined."""
        ...

    def weight(self, name: str) -> np.ndarray:
        """Return the weights of a layer, float32, outputs first, inputs second."""
        ...

    def moments(self) -> dict[str, Moments]:
        """Return the mean squares of each layer's inputs and outputs in float, by name."""
        ...

    def disturbed(self, seed: int) -> dict[str, np.ndarray]:
        """Return the losses when every product is off by about one float32 rounding, the noise level of a loss."""
        ...


def check_rounding(rounding: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return all parameters of rounding weights, with defaults from `DEFAULT_ROUNDING`. Raises `InputError`."""
    whole = DEFAULT_ROUNDING | dict(rounding or {})
    for name in whole:
        if name not in DEFAULT_ROUNDING:
            raise unknown_name("parameter of rounding", name, DEFAULT_ROUNDING)
    rounded(np.ones((1, 1), np.float32), MOST_BITS, **whole)
    return whole


def check_choice(choice: Choice, layers: Sequence[Layer]) -> dict[str, Bits]:
    """Return `choice` checked. Raises `InputError` for an unknown layer (nearest suggested) or bits out of range."""
    known = {layer.name for layer in layers}
    for name, bits in choice.items():
        if name not in known:
            raise unknown_name("layer", name, known)
        check_bits(f"weight bits of {name}", bits.weights)
        check_bits(f"activation bits of {name}", bits.activations)
    return dict(choice)


def grouped(layers: Sequence[Layer], rule: Mapping[str, Sequence[str]] | Callable[[Layer], str]) -> tuple[Layer, ...]:
    """Return the layers in the groups of `rule`: a function, or name patterns (`*`, `?`) for each group.

    The first matching pattern decides; a layer without a match keeps its group. Raises `InputError` for a pattern that
    matches no layer.
    """
    if callable(rule):
        return tuple(replace(layer, group=rule(layer)) for layer in layers)
    names = [layer.name for layer in layers]
    group_of: dict[str, str] = {}
    for group, several in rule.items():
        for pattern in several:
            matches = matching(pattern, names)
            if not matches:
                raise InputError(f"group {group!r}: {unknown_name('layer pattern', pattern, names)}")
            group_of = dict.fromkeys(matches, group) | group_of
    return tuple(replace(layer, group=group_of.get(layer.name, layer.group)) for layer in layers)
