"""explorer.precision: how few bits each layer of a real network bears, measured by running it.

`sensitivity` rounds one layer at a time; `fronts` spends a budget of bits by what was measured, and measures again,
`joint_fronts` one of a machine's energy or time on pairs of widths; `front_study` does all for a network that is known
by name. `silicon_fronts` asks for least silicon at a perplexity floor, `published_fronts` draws what was published.
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
