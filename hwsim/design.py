"""A hardwired machine as a record of numbers, read from its design book."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwbase import Book, InputError, Record, unknown_name
from hwbase.books import Reader, check_fields, from_book, sourced
from hwbase.check import Number
from hwsim.fabric import COLLECTIVES
from hwsim.links import OWN, LinkClass, LinkTable, class_names, read_classes, with_links
from hwsim.machine_books import DEFAULT_MACHINE, machine_book
from hwsim.mapping import NORMS
from hwsim.pipeline import TOPOLOGIES
from hwsim.topology import SWITCH, most_chips, neighbours
from hwsim.topology import TOPOLOGIES as GRID_TOPOLOGIES
from hwsim.weight_fabrics.machine import METAL, ON_CHIP, FabricConstants, check_fabric, read_fabrics, with_fabrics

#: Orders in which VEX and links serve the tokens that wait: as they come; the one that is furthest along first; the one
#: with the earliest deadline first, where all have the same time from entering the machine.
SERVICES = ("first-come", "furthest-first", "deadline")
#: What a machine's book chooses by name, and the names of each.
CHOICES = {
    "collective": COLLECTIVES,
    "norms": NORMS,
    "grid_topology": GRID_TOPOLOGIES,
    "stage_topology": TOPOLOGIES,
    "link_class": class_names(),
    "stage_link_class": class_names(),
    "service": SERVICES,
    "fabric": ON_CHIP,
}


@dataclass(frozen=True)
class HardwiredDesign(Record):
    """Grids of chips with weights in a `fabric`, one a pipeline stage, of `rows` x `columns` chips each.

    Any number may be an array; `hnlpu.toml` has the sources. The mapping of a model is `rows`, `columns`,
    `pipeline_stages` and the names of `CHOICES`.

    The three `published_*` fields are fitted to Figure 14 of the paper; only the `as-published` reading uses them.
    """

    name: str
    rows: Number = sourced("chip", low=1, high=4096, whole=True)
    columns: Number = sourced("chip", low=1, high=4096, whole=True)
    clock_hz: Number = sourced("Hz", low=1e3, high=1e11)
    activation_bits: Number = sourced("1", low=1, high=32, whole=True)
    popcnt_slack: Number = sourced("1", low=0.0, high=10.0)
    link_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    link_latency_s: Number = sourced("s", low=0.0, high=1.0)
    link_element_bytes: Number = sourced("B", above=0.0, high=64)
    kv_element_bytes: Number = sourced("B", above=0.0, high=64)
    buffer_banks: Number = sourced("1", low=1, high=1e9, whole=True)
    buffer_bank_bytes: Number = sourced("B", above=0.0, high=1e12)
    buffer_port_bits: Number = sourced("1", above=0.0, high=1e6)
    hbm_stacks: Number = sourced("1", low=0, high=1024, whole=True)
    hbm_stack_bytes: Number = sourced("B", above=0.0, high=1e15)
    hbm_stack_bandwidth_bytes_per_s: Number = sourced("B/s", above=0.0, high=1e18)
    vex_macs: Number = sourced("1", low=1, high=1e12, whole=True)
    vex_lanes: Number = sourced("lane", low=1, high=1e12, whole=True)
    stages_per_layer: Number = sourced("1", low=1, high=1024, whole=True)
    power_overhead: Number = sourced("1", low=1.0, high=10.0)
    rack_units: Number = sourced("1", above=0.0, high=1e6)
    published_projection_passes: Number = sourced("1", above=0.0, high=1e6)
    published_nonlinear_lanes: Number = sourced("lane", above=0.0, high=1e12)
    published_vex_speedup: Number = sourced("1", above=0.0, high=1e9)
    pipeline_stages: Number = sourced("1", default=1, low=1, high=4096, whole=True)
    vex_startup_cycles: Number = sourced("cycle", default=0.0, low=0.0, high=1e6)
    vex_operations_per_exponential: Number = sourced("1", default=0.0, low=0.0, high=1e3)
    expert_skew: Number = sourced("1", default=1.0, low=1.0, high=1e3)
    links_per_pair: Number = sourced("1", default=1.0, above=0.0, high=1e4)
    link_classes: LinkTable = field(default_factory=LinkTable)
    fabric_constants: FabricConstants = field(default_factory=FabricConstants)
    weight_format: str = "fp4"
    collective: str = "direct"
    norms: str = "replicated"
    grid_topology: str = GRID_TOPOLOGIES[0]
    stage_topology: str = "full"
    link_class: str = OWN
    stage_link_class: str = OWN
    service: str = "first-come"
    fabric: str = METAL

    def __post_init__(self) -> None:
        check_fields(type(self), vars(self))
        check_fabric(self.fabric, self.weight_format)
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown_name(name, getattr(self, name), known)
        for name in (self.link_class, self.stage_link_class):
            if name != OWN and name not in self.link_classes:
                raise unknown_name("link class", name, [OWN, *self.link_classes.names])
        if self.grid_topology == SWITCH and not self.grid_link.has_switch:
            with_switch = [name for name in self.link_classes.names if self.link_classes[name].has_switch]
            raise InputError(
                f"grid_topology = 'switch': no switch joins links of the class {self.link_class!r}, expected "
                f"link_class {' or '.join(with_switch)}"
            )
        most = most_chips(self.grid_topology)
        for name in ("rows", "columns"):
            if np.any(np.greater(getattr(self, name), most)):
                raise InputError(
                    f"{name} = {np.max(getattr(self, name)):g}: expected at most {most} in a {self.grid_topology}"
                )

    def link(self, name: str) -> LinkClass:
        """Return a class of links by name; area and energy of the machine's own link are in the technology."""
        if name != OWN:
            return self.link_classes[name]
        return LinkClass(OWN, self.link_bandwidth_bytes_per_s, self.link_latency_s)

    @property
    def grid_link(self) -> LinkClass:
        """The class of the links within a pipeline stage."""
        return self.link(self.link_class)

    @property
    def stage_link(self) -> LinkClass:
        """The class of the links between pipeline stages."""
        return self.link(self.stage_link_class)

    @property
    def one_class(self) -> bool:
        """Whether all links of the machine are of one class and end at chips."""
        return self.link_class == self.stage_link_class and self.grid_topology != SWITCH

    @property
    def grid_bandwidth_bytes_per_s(self) -> Number:
        """Bandwidth between two chips of a stage that are joined, in each direction."""
        return self.grid_link.bandwidth_bytes_per_s * self.links_per_pair

    @property
    def stage_bandwidth_bytes_per_s(self) -> Number:
        """Bandwidth between two chips of different stages that are joined, in each direction."""
        return self.stage_link.bandwidth_bytes_per_s * self.links_per_pair

    @property
    def hop_s(self) -> Number:
        """Latency of one link within a stage; with half of the switch's where one is at its end."""
        link = self.grid_link
        return link.latency_s + link.switch_latency_s / 2.0 if self.grid_topology == SWITCH else link.latency_s

    @property
    def stage_chips(self) -> Number:
        """Chips of one pipeline stage."""
        return self.rows * self.columns

    @property
    def chips(self) -> Number:
        """Chips in the machine."""
        return self.rows * self.columns * self.pipeline_stages

    @property
    def links_per_chip(self) -> Number:
        """Links of a chip: within its row and column, and to other stages; the most where chips differ."""
        return self.grid_links_per_chip + self.stage_links_per_chip

    @property
    def grid_links_per_chip(self) -> Number:
        """Links of a chip within its row and its column."""
        return neighbours(self.grid_topology, self.rows) + neighbours(self.grid_topology, self.columns)

    @property
    def stage_links_per_chip(self) -> Number:
        """Links of a chip to its likes in other stages."""
        others = np.subtract(self.pipeline_stages, 1)
        return others if self.stage_topology == "full" else np.minimum(others, 2)

    @property
    def buffer_bytes(self) -> Number:
        """Attention buffer of one chip, in bytes."""
        return self.buffer_banks * self.buffer_bank_bytes

    @property
    def buffer_bandwidth_bytes_per_s(self) -> Number:
        """Read bandwidth of one chip's attention buffer, in bytes per second."""
        return self.buffer_banks * self.buffer_port_bits / 8.0 * self.clock_hz

    @property
    def hbm_bytes(self) -> Number:
        """HBM of one chip, in bytes."""
        return self.hbm_stacks * self.hbm_stack_bytes

    @property
    def hbm_bandwidth_bytes_per_s(self) -> Number:
        """HBM bandwidth of one chip, in bytes per second."""
        return self.hbm_stacks * self.hbm_stack_bandwidth_bytes_per_s


def design_book(machine: str | Path | Book = DEFAULT_MACHINE) -> Book:
    """Return the book of a hardwired machine by name or path, with those of links and fabrics beside its own constants.

    Raises `InputError` for a machine of another kind.
    """
    return with_fabrics(with_links(machine_book(machine, ("hardwired",))))


def load_design(
    name_or_path: str | Path = DEFAULT_MACHINE, reader: Reader | None = None, weight_format: str = "fp4"
) -> HardwiredDesign:
    """Return the `HardwiredDesign` of a book; `reader` records the constants that are read. Raises `InputError`."""
    reader = reader or design_book(name_or_path).reader()
    choices = reader.book.header.choices
    chosen = (choices.get("link_class", OWN), choices.get("stage_link_class", OWN))
    design = from_book(
        HardwiredDesign,
        reader,
        name=reader.book.name,
        weight_format=weight_format,
        link_classes=read_classes(reader, chosen),
        fabric_constants=read_fabrics(reader, choices.get("fabric", METAL)),
        **choices,
    )
    if OWN not in chosen:
        # The machine's own link is not built.
        for name in ("link_bandwidth_bytes_per_s", "link_latency_s"):
            reader.used.pop(name, None)
    return design
