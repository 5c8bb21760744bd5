"""explorer.precision: how few bits each layer of a real network bears, measured by running it.

`sensitivity` rounds one layer at a time; `fronts` spends a budget of bits by what was measured, and measures again;
`front_study` does both for a network that is known by name.
"""

from explorer.precision.fronts import SCHEMES, Fronts, fronts
from explorer.precision.models import MAKERS, maker
from explorer.precision.networks import Bits, Layer, Network, grouped
from explorer.precision.sensitivity import Sensitivity, sensitivity
from explorer.precision.study import FrontStudy, Part, front_study

__all__ = [
    "MAKERS",
    "SCHEMES",
    "Bits",
    "FrontStudy",
    "Fronts",
    "Layer",
    "Network",
    "Part",
    "Sensitivity",
    "front_study",
    "fronts",
    "grouped",
    "maker",
    "sensitivity",
]
