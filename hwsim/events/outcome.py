"""From a simulated hardwired machine to a `ServingResult`, the same for both grains."""

from collections.abc import Mapping, Sequence

from hwbase import Quantity
from hwsim.chip import build_chip
from hwsim.design import HardwiredDesign
from hwsim.events.account import request_arrays, timeline
from hwsim.events.bins import Bins
from hwsim.events.ledger import Ledger
from hwsim.events.results import ServingResult
from hwsim.events.traffic import Traffic
from hwsim.technology import Technology
from hwsim.topology import mean_links
from models import LLMSpec

#: Resources of a hardwired machine, in the order of accounts; times are means over chips, links or arrays of a kind.
RESOURCES = ("HN arrays", "VEX", "attention buffer", "HBM", "column links", "row links", "stage links")
#: Blocks of a chip with the resources that drive their dynamic power, without the links.
_DRIVEN = {"hn": "HN arrays", "vex": "VEX", "buffer": "attention buffer", "hbm": "HBM"}


def energies(
    model: LLMSpec, design: HardwiredDesign, technology: Technology, busy_s: Mapping[str, float], duration_s: float
) -> dict[str, float]:
    """Return the energy in J of one machine by resource: static power under "standing", dynamic power while busy.

    Powers are those of the chip's blocks times the overhead of the system, as in the closed form. The interconnect
    engine is as busy as its links are on average.
    """
    # Links of a chip on average, by resource.
    links = {
        "column links": float(mean_links(design.grid_topology, design.rows)),
        "row links": float(mean_links(design.grid_topology, design.columns)),
        "stage links": float(design.stage_links_per_chip),
    }
    ports = float(design.links_per_chip)
    driven = dict(_DRIVEN)
    if not design.one_class:
        ports -= links.pop("stage links")
        driven["stage links"] = "stage links"
    links_s = sum(count * busy_s[name] for name, count in links.items()) / max(ports, 1.0)
    scale = float(design.chips * design.power_overhead)
    energy_j = {"standing": 0.0}
    for block in build_chip(model, design, technology).blocks:
        energy_j["standing"] += float(block.static_w) * scale * duration_s
        if block.dynamic_w:
            seconds = links_s if block.resource == "links" else busy_s[driven[block.resource]]
            energy_j[block.name] = float(block.dynamic_w) * scale * seconds
    return energy_j


def outcome(
    model: LLMSpec,
    design: HardwiredDesign,
    technology: Technology,
    traffic: Traffic,
    ledger: Ledger,
    *,
    grain: str,
    duration_s: float,
    busy_s: Sequence[Mapping[str, float]],
    bins: Sequence[Bins],
    events: int,
    interrupted: bool,
    notes: tuple[str, ...],
    assumptions: dict[str, Quantity],
) -> ServingResult:
    """Return the result of machines with the given `busy_s` and `bins` that served `traffic` together."""
    machines = len(busy_s)
    energy: dict[str, float] = {}
    for busy in busy_s:
        for name, joules in energies(model, design, technology, busy, duration_s).items():
            energy[name] = energy.get(name, 0.0) + joules
    return ServingResult(
        machine=design.name,
        kind="hardwired",
        model=model.name,
        grain=grain,
        traffic=traffic.name,
        chips=machines * int(design.chips),
        **request_arrays(ledger),
        duration_s=duration_s,
        busy_s={name: sum(busy[name] for busy in busy_s) for name in RESOURCES},
        capacity=dict.fromkeys(RESOURCES, float(machines)),
        energy_j=energy,
        timeline=timeline(bins, RESOURCES),
        events=events,
        interrupted=interrupted,
        notes=notes,
        assumptions=assumptions,
    )
