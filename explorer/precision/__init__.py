"""explorer.precision: the bits that each layer of a real network needs, measured by running it.

`sensitivity` rounds one layer at a time. `fronts` allocates a budget of bits from those losses and measures the
allocation; `joint_fronts` does so for pairs of widths within a budget of a machine's energy or time. `front_study` runs
both for a network by name. `silicon_fronts` minimises silicon at a perplexity limit; `published_fronts` uses published
sensitivities.
"""

from explorer.precision.fronts import SCHEMES, Fronts, fronts
from explorer.precision.joint import JointFronts, joint_fronts
from explorer.precision.models import MAKERS, maker
from explorer.precision.networks import Bits, Layer, Network, grouped
from explorer.precision.published import PublishedFronts, published_fronts
from explorer.precision.sensitivity import Sensitivity, sensitivity
from explorer.precision.silicon import SiliconFronts, silicon_fronts
from explorer.precision.study import FrontStudy, Part, front_study

__all__ = [
    "MAKERS",
    "SCHEMES",
    "Bits",
    "FrontStudy",
    "Fronts",
    "JointFronts",
    "Layer",
    "Network",
    "Part",
    "PublishedFronts",
    "Sensitivity",
    "SiliconFronts",
    "front_study",
    "fronts",
    "grouped",
    "joint_fronts",
    "maker",
    "published_fronts",
    "sensitivity",
    "silicon_fronts",
]
