"""explorer.precision: how few bits each layer of a real network bears, measured by running it.

`sensitivity` rounds one layer at a time; `fronts` spends a budget of bits by what was measured, and measures again.
"""

from explorer.precision.models import MAKERS, maker
from explorer.precision.networks import Bits, Layer, Network, grouped
from explorer.precision.sensitivity import Sensitivity, sensitivity

__all__ = ["MAKERS", "Bits", "Layer", "Network", "Sensitivity", "grouped", "maker", "sensitivity"]
