"""The chips of one pipeline stage in the detailed grain: when each of their resources becomes free."""

from hwsim.events.links import LinkClasses, Pair
from hwsim.events.server import Server
from hwsim.events.timing import Timing, compile_stages, round_means


class Group:
    """The grid of one pipeline stage, its first chip numbered `first_chip`; times are by row of the grid.

    `programs` are the stages of a layer by the row of a token's keys and values, `sent` the messages of each, and
    `shares` the (axis, share of all links of the axis in the machine) of each class of links.
    """

    def __init__(self, timing: Timing, first_chip: int) -> None:
        self._timing, self.first_chip = timing, first_chip
        self.classes, self.failed = LinkClasses(), list[Pair]()
        self.vex, self.buffer, self.hbm = ([0.0] * timing.rows for _ in range(3))
        self.hbm_speed = [1.0] * timing.rows
        #: The vector units, where the furthest token is served first.
        self.servers: list[Server] = []
        self.shares: list[tuple[str, float]] = []
        self.compile()

    def compile(self) -> None:
        """Follow the failed links. Raises `Unreachable` where they isolate chips."""
        timing = self._timing
        fabric = timing.fabric(tuple(self.failed))
        rows, self.programs = compile_stages(timing, fabric, self.classes)
        self.sent = [round_means(stages, fabric)[2] for stages in rows]
        self.shares[:] = [(axis, share / timing.stages) for axis, share in self.classes.shares(fabric)]
        self.pairs: dict[int, list[Pair]] = {}
        for link, number in self.classes.number.items():
            self.pairs.setdefault(number, []).extend(fabric.members(link))

    def break_link(self, pair: Pair) -> None:
        """Lose the link between two chips of the machine, by number. Raises `Unreachable` where that isolates chips."""
        self.failed.append((pair[0] - self.first_chip, pair[1] - self.first_chip))
        self.compile()
