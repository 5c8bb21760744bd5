"""Collectives as rounds of messages on directed links, rerouted where links have failed.

The chips of a machine work in step, so links with equal loads have equal histories and are stored once: all columns (or
rows) without a failure share theirs, and links with equal loads in every round form a class.
"""

from collections.abc import Iterable, Sequence

from hwsim.fabric import CHEAPEST, Message, messages
from hwsim.loads import cheapest
from hwsim.mapping import Collective
from hwsim.topology import PAIRS, Unreachable, links, moved, routed

#: Axis ("column" or "row"), group on it (`ALIKE` for all without a failure), source and target in the group.
Link = tuple[str, int, int, int]
#: Seconds by directed link; the messages of a round start together, and the next round waits for all of them.
Round = dict[Link, float]
#: A link that has failed, as the two chips it joined.
Pair = tuple[int, int]
#: Stands for all groups without a failure.
ALIKE = -1


class Fabric:
    """A grid of `rows` x `columns` chips (number: row x columns + column), the time per element, and failed links.

    `step_elements` are those that a link carries in its latency, for the algorithm with the least time. The switch of
    a group has the place behind its last chip.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        algorithm: str,
        element_s: float,
        failed: Iterable[Pair] = (),
        *,
        topology: str = PAIRS,
        step_elements: float = 0.0,
    ) -> None:
        self.rows, self.columns, self._algorithm, self._element_s = rows, columns, algorithm, element_s
        self.topology, self._step_elements = topology, step_elements
        self._failed: dict[tuple[str, int], set[Pair]] = {}
        for one, other in failed:
            (row, column), (to_row, to_column) = divmod(one, columns), divmod(other, columns)
            group, ends = (
                (("column", column), (row, to_row)) if column == to_column else (("row", row), (column, to_column))
            )
            self._failed.setdefault(group, set()).update({ends, ends[::-1]})

    def size(self, axis: str) -> int:
        """Chips of a group on an axis."""
        return self.rows if axis == "column" else self.columns

    def groups(self, axis: str) -> list[int]:
        """Distinct groups on an axis: the broken ones, and `ALIKE` if there are others."""
        broken = [group for (on, group) in self._failed if on == axis]
        count = self.columns if axis == "column" else self.rows
        return ([ALIKE] if len(broken) < count else []) + sorted(broken)

    def members(self, link: Link) -> list[Pair]:
        """Chips (source, target) of every directed link that `link` stands for."""
        axis, group, source, target = link
        count = self.columns if axis == "column" else self.rows
        broken = {index for (on, index) in self._failed if on == axis}
        indices = [index for index in range(count) if index not in broken] if group == ALIKE else [group]
        if axis == "column":
            return [(source * self.columns + index, target * self.columns + index) for index in indices]
        return [(index * self.columns + source, index * self.columns + target) for index in indices]

    def links(self) -> list[Link]:
        """Every directed link, equal ones once."""
        return [
            (axis, group, source, target)
            for axis in ("column", "row")
            for group in self.groups(axis)
            for source, target in links(self.topology, self.size(axis))
        ]

    def count(self, axis: str) -> int:
        """Directed links of an axis."""
        groups = self.columns if axis == "column" else self.rows
        return groups * len(links(self.topology, self.size(axis)))

    def rounds(self, exchange: Collective, root: int) -> list[Round]:
        """Return the rounds of a collective; a reduce ends on place `root` of every group.

        Where all pairs are joined, a message over a failed link takes two hops through the least loaded peer, the
        second hop a round later. Raises `Unreachable` if there is no way.
        """
        size, elements = self.size(exchange.axis), float(exchange.elements)
        if not elements or size == 1:
            return []
        how = self._algorithm
        if how == CHEAPEST:
            how = cheapest(exchange.kind, elements, size, self.topology, self._step_elements)
        sent = messages(exchange.kind, elements, size, how)
        sent = moved(sent, size, root if exchange.kind == "reduce" else 0)
        if self.topology == PAIRS:
            return self._paired(exchange.axis, sent, size)
        rounds: dict[int, Round] = {}
        for group in self.groups(exchange.axis):
            failed = self._failed.get((exchange.axis, group), set())
            for message in routed(sent, self.topology, size, failed):
                link = (exchange.axis, group, message.source, message.target)
                _add(rounds.setdefault(message.step, {}), link, message.elements * self._element_s)
        return [rounds[step] for step in sorted(rounds)]

    def _paired(self, axis: str, sent: Sequence[Message], size: int) -> list[Round]:
        """Return the rounds of messages where all pairs are joined."""
        rounds: list[Round] = []
        for step in sorted({message.step for message in sent}):
            first: Round = {}
            second: Round = {}
            for group in self.groups(axis):
                failed = self._failed.get((axis, group), set())
                detours = []
                for message in sent:
                    if message.step != step:
                        continue
                    ends = (message.source, message.target)
                    seconds = message.elements * self._element_s
                    if ends in failed:
                        detours.append((ends, seconds))
                    else:
                        _add(first, (axis, group, *ends), seconds)
                for (source, target), seconds in detours:
                    peers = [
                        p for p in range(size) if p not in (source, target) and not {(source, p), (p, target)} & failed
                    ]
                    if not peers:
                        raise Unreachable
                    ways = [((axis, group, source, p), (axis, group, p, target)) for p in peers]
                    one, two = min(ways, key=lambda way: first.get(way[0], 0.0) + second.get(way[1], 0.0))
                    _add(first, one, seconds)
                    _add(second, two, seconds)
            rounds += [part for part in (first, second) if part]
        return rounds


def _add(loads: Round, link: Link, seconds: float) -> None:
    loads[link] = loads.get(link, 0.0) + seconds


class LinkClasses:
    """Classes of links with equal histories, by number: `free_s` is when each becomes free."""

    def __init__(self) -> None:
        self.free_s: list[float] = []
        self.number: dict[Link, int] = {}

    def refine(self, fabric: Fabric, programs: Sequence[Sequence[Round]]) -> None:
        """Split the classes by the loads in every round of `programs`; existing numbers keep their history."""
        before, taken = self.number, set()
        blocks: dict[tuple[object, ...], int] = {}
        self.number = {}
        for link in fabric.links():
            axis, _, source, target = link
            old = before.get(link, before.get((axis, ALIKE, source, target), None))
            loads = tuple(part.get(link, 0.0) for program in programs for part in program)
            key = (old, axis, loads)
            if key not in blocks:
                if old is not None and old not in taken:
                    blocks[key] = old
                    taken.add(old)
                else:
                    blocks[key] = len(self.free_s)
                    self.free_s.append(0.0 if old is None else self.free_s[old])
            self.number[link] = blocks[key]

    def shares(self, fabric: Fabric) -> list[tuple[str, float]]:
        """Return the axis of each class, by number, and its share of the links of that axis."""
        shares = [("column", 0.0)] * len(self.free_s)
        for link, number in self.number.items():
            axis = link[0]
            shares[number] = axis, shares[number][1] + len(fabric.members(link)) / fabric.count(axis)
        return shares

    def work(self, part: Round) -> tuple[tuple[int, float], ...]:
        """Return a round as (class, seconds) pairs."""
        return tuple(sorted({(self.number[link], seconds) for link, seconds in part.items()}))
