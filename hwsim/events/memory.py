"""Keys and values of the running sequences: what there is room for, what is held, and what share HBM has of it.

A sequence is admitted when there is room for all it will ever hold, its prompt and output: nothing is preempted. The
buffers keep an equal share of every sequence; the rest, once they are full, is in HBM.
"""

from hwsim.design import HardwiredDesign
from hwsim.events.timing import Timing
from hwsim.hardwired import embedding_bytes
from models import LLMSpec


class Memory:
    """Bytes of the whole machine, of which `reserved_bytes` are promised to running sequences."""

    def __init__(self, timing: Timing, model: LLMSpec, design: HardwiredDesign) -> None:
        self.buffer_bytes = float(design.buffer_bytes * design.chips)
        self.room_bytes = float(design.hbm_bytes * design.chips) + self.buffer_bytes - embedding_bytes(model)
        self._timing = timing
        self.reserved_bytes = 0.0

    def bytes_of(self, context: float) -> float:
        """Return the bytes of one sequence of `context` positions."""
        return self._timing.attended(context) * self._timing.kv_layer_bytes

    def fits(self, context: int) -> bool:
        """Return whether there is room for one more sequence that will grow to `context`."""
        return self.reserved_bytes + self.bytes_of(context) <= self.room_bytes

    def could_fit(self, context: int) -> bool:
        """Return whether an empty machine has room for the sequence."""
        return self.bytes_of(context) <= self.room_bytes

    def reserve(self, context: int) -> None:
        """Promise the room of a sequence that will grow to `context`."""
        self.reserved_bytes += self.bytes_of(context)

    def release(self, context: int) -> None:
        """Take back the promise of a sequence that would have grown to `context`."""
        self.reserved_bytes -= self.bytes_of(context)

    def spilled_share(self, held_bytes: float) -> float:
        """Return the share of `held_bytes` that the buffers have no room for."""
        return 1.0 - self.buffer_bytes / held_bytes if held_bytes > self.buffer_bytes else 0.0
