"""Faults of a machine: what fails, when, and the response."""

from collections.abc import Iterable
from dataclasses import dataclass

from hwbase import InputError, Record, unknown_name
from hwbase.check import count, non_negative, number, positive
from hwsim.topology import PAIRS, links

#: Components that can fail: a link (both directions), a chip, one HBM stack of a chip.
KINDS = ("link", "chip", "hbm")


@dataclass(frozen=True)
class Fault(Record):
    """A failure at `at_s`.

    "link": the link between `chip` and `peer` (numbers: row x columns + column, grid after grid) is lost for good;
    messages take two hops, or the other way around a ring. "chip": its share of every matrix is lost, so all running
    requests fail, and the machine waits until a spare takes over after `repair_s` (infinity: never, and those that wait
    fail too). "hbm": one stack of `chip` continues at `speed` of its bandwidth; as data are striped over a chip's
    stacks, all of them wait for it.
    With `stop` the machine stops for good at any fault.
    """

    kind: str
    at_s: float
    chip: int
    peer: int | None = None
    speed: float = 0.5
    repair_s: float = float("inf")
    stop: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("fault", self.kind, KINDS)
        non_negative("at_s", self.at_s)
        count("chip", self.chip, low=0)
        number("speed", self.speed, above=0.0, high=1.0)
        if self.repair_s != float("inf"):
            positive("repair_s", self.repair_s)
        if (self.kind == "link") != (self.peer is not None):
            raise InputError(f"peer = {self.peer!r}: expected a chip for a link, and none for a {self.kind!r} fault")
        if self.peer is not None:
            count("peer", self.peer, low=0)

    @property
    def pair(self) -> tuple[int, int]:
        """The two chips of a link, the smaller number first."""
        peer = self.chip if self.peer is None else self.peer
        return min(self.chip, peer), max(self.chip, peer)


def check_faults(
    faults: Iterable[Fault], rows: int, columns: int, stages: int = 1, topology: str = PAIRS
) -> list[Fault]:
    """Return `faults` in order of time.

    Raises `InputError` for chips that are not in the grids of the `stages`, and links that are not in one of them.
    """
    most = rows * columns * stages
    ordered = sorted(faults, key=lambda fault: fault.at_s)
    for fault in ordered:
        for name, chip in (("chip", fault.chip), ("peer", fault.peer)):
            if chip is not None and chip >= most:
                raise InputError(f"{name} = {chip}: expected a chip from 0 to {most - 1}")
        if fault.kind == "link":
            # Rows are numbered through all grids.
            (row, column), (to_row, to_column) = divmod(fault.pair[0], columns), divmod(fault.pair[1], columns)
            size, ends = (rows, (row % rows, to_row % rows)) if column == to_column else (columns, (column, to_column))
            apart = (row != to_row and column != to_column) or row // rows != to_row // rows
            if apart or ends not in links(topology, size):
                raise InputError(
                    f"no link joins chips {fault.chip} and {fault.peer}: expected two chips of one row or column"
                    f"{'' if topology == PAIRS else f' that a {topology} joins'}"
                )
    return ordered
