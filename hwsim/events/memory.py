"""Memory for keys and values of running sequences: capacity, use, and the share in HBM.

A sequence is admitted when its prompt and output fit together, so nothing is preempted. The buffers hold an equal share
of every sequence; once they are full, the rest is in HBM. All pipeline stages count as full as the fullest one.
"""

from hwsim.design import HardwiredDesign
from hwsim.events.timing import Timing
from hwsim.hardwired import embedding_bytes
from models import LLMSpec


class Memory:
    """Bytes of the whole machine, of which `reserved_bytes` are reserved for running sequences."""

    def __init__(self, timing: Timing, model: LLMSpec, design: HardwiredDesign) -> None:
        self.buffer_bytes = float(design.buffer_bytes * design.chips)
        self.room_bytes = float(design.hbm_bytes * design.chips) + self.buffer_bytes - embedding_bytes(model)
        self._timing = timing
        self.reserved_bytes = 0.0

    def bytes_of(self, context: float) -> float:
        """Return the bytes of one sequence of `context` positions."""
        return self._timing.fullest_attended(context) * self._timing.kv_layer_bytes

    def fits(self, context: int) -> bool:
        """Return whether one more sequence that grows to `context` fits."""
        return self.reserved_bytes + self.bytes_of(context) <= self.room_bytes

    def could_fit(self, context: int) -> bool:
        """Return whether the sequence fits an empty machine."""
        return self.bytes_of(context) <= self.room_bytes

    def reserve(self, context: int) -> None:
        """Reserve the memory of a sequence that grows to `context`."""
        self.reserved_bytes += self.bytes_of(context)

    def release(self, context: int) -> None:
        """Release the memory reserved for a sequence of `context`."""
        self.reserved_bytes -= self.bytes_of(context)

    def spilled_share(self, held_bytes: float) -> float:
        """Return the share of `held_bytes` that does not fit the buffers."""
        return 1.0 - self.buffer_bytes / held_bytes if held_bytes > self.buffer_bytes else 0.0
