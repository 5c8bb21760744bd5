"""hwsim: what runs a model - circuits, chips, fabrics, hardwired machines, and the accelerators they compete with."""

from hwsim._shadow import refuse_shadows

refuse_shadows()

from hwbase import InputError  # noqa: E402
from hwsim.accelerator import Accelerator, load_accelerator, simulate_accelerator  # noqa: E402
from hwsim.catalogue import machines  # noqa: E402
from hwsim.chip import Block, Chip, build_chip, fit_design, grid_for, hn_array  # noqa: E402
from hwsim.circuits import Circuit, cell_embedding, mac_array, metal_embedding  # noqa: E402
from hwsim.design import HardwiredDesign, design_book, load_design  # noqa: E402
from hwsim.events.faults import Fault  # noqa: E402
from hwsim.events.results import ServingResult  # noqa: E402
from hwsim.events.scheduling import Scheduling  # noqa: E402
from hwsim.events.serve import serve  # noqa: E402
from hwsim.events.traffic import Traffic, bursty, closed_loop, poisson, read_trace  # noqa: E402
from hwsim.fabric import Message, busiest_link, link_load, messages  # noqa: E402
from hwsim.hardwired import MOST_CONTEXT, READINGS, simulate_hardwired  # noqa: E402
from hwsim.machines import (  # noqa: E402
    DEFAULT_GPU,
    DEFAULT_MACHINE,
    DEFAULT_OPPONENTS,
    machine_book,
    machine_names,
)
from hwsim.relatives import relatives  # noqa: E402
from hwsim.results import Check, SimResult  # noqa: E402
from hwsim.routing import largest_slice, routing_demand  # noqa: E402
from hwsim.simulate import simulate  # noqa: E402
from hwsim.technology import (  # noqa: E402
    DEFAULT_TECHNOLOGY,
    Technology,
    load_technology,
    technology_book,
    technology_names,
)
from hwsim.weights import WeightFormat, weight_format  # noqa: E402

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
