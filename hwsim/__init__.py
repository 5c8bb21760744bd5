"""hwsim: what runs a model - circuits, chips, fabrics, hardwired machines, and the accelerators they compete with."""

from typing import TYPE_CHECKING

from hwsim._shadow import refuse_shadows

refuse_shadows()

from hwbase.lazy import lazy_names  # noqa: E402

if TYPE_CHECKING:
    from hwbase import InputError
    from hwsim.accelerator import Accelerator, load_accelerator
    from hwsim.arrays import hn_array
    from hwsim.catalogue import machines
    from hwsim.chip import Block, Chip, build_chip, fit_design, grid_for
    from hwsim.circuits import Circuit, cell_embedding, mac_array, metal_embedding
    from hwsim.design import HardwiredDesign, design_book, load_design
    from hwsim.events.faults import Fault
    from hwsim.events.results import ServingResult
    from hwsim.events.scheduling import Scheduling
    from hwsim.events.serve import serve
    from hwsim.events.traffic import Traffic, bursty, closed_loop, poisson, read_trace
    from hwsim.fabric import Message, busiest_link, link_load, messages
    from hwsim.gpu.decoding import simulate_accelerator
    from hwsim.hardwired import MOST_CONTEXT, READINGS, simulate_hardwired
    from hwsim.machine_books import (
        DEFAULT_GPU,
        DEFAULT_MACHINE,
        DEFAULT_OPPONENTS,
        machine_book,
        machine_costs,
        machine_names,
    )
    from hwsim.related_machines import relatives
    from hwsim.results import Check, SimResult
    from hwsim.routing import largest_slice, routing_demand
    from hwsim.simulation import simulate
    from hwsim.technology import (
        DEFAULT_TECHNOLOGY,
        Technology,
        load_technology,
        technology_book,
        technology_names,
    )
    from hwsim.weights import WeightFormat, weight_format
else:
    __getattr__, __dir__ = lazy_names(__name__, __file__)

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_GPU",
    "DEFAULT_MACHINE",
    "DEFAULT_OPPONENTS",
    "DEFAULT_TECHNOLOGY",
    "MOST_CONTEXT",
    "READINGS",
    "Accelerator",
    "Block",
    "Check",
    "Chip",
    "Circuit",
    "Fault",
    "HardwiredDesign",
    "InputError",
    "Message",
    "Scheduling",
    "ServingResult",
    "SimResult",
    "Technology",
    "Traffic",
    "WeightFormat",
    "build_chip",
    "bursty",
    "busiest_link",
    "cell_embedding",
    "closed_loop",
    "design_book",
    "fit_design",
    "grid_for",
    "hn_array",
    "largest_slice",
    "link_load",
    "load_accelerator",
    "load_design",
    "load_technology",
    "mac_array",
    "machine_book",
    "machine_costs",
    "machine_names",
    "machines",
    "messages",
    "metal_embedding",
    "poisson",
    "read_trace",
    "relatives",
    "routing_demand",
    "serve",
    "simulate",
    "simulate_accelerator",
    "simulate_hardwired",
    "technology_book",
    "technology_names",
    "weight_format",
]
