"""Accounting conventions: each questionable choice of the published economics as a switch of its own."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

from costmodel.dies import Formula
from costmodel.yields import Model
from hwbase import Record, unknown_name
from hwbase.check import non_negative


@dataclass(frozen=True)
class Conventions(Record):
    """How costs and carbon are counted, apart from any constant. The defaults are the published choices.

    Raises `InputError` for a choice that does not exist.
    """

    name: str = "as-published"

    die_formula: Formula = "plain"
    """Gross dies: "plain" is the published formula, "exact" places dies on the wafer."""
    edge_and_scribe: bool = False
    """Whether the wafer's edge exclusion and the scribe lanes take room."""
    round_good_dies: bool = True
    """Whether good dies per wafer are rounded to a whole number before prices are divided by them."""
    yield_model: Model = "murphy"
    """Yield behind the die's price."""
    carbon_yield_model: Model = "negative-binomial"
    """Yield behind the die's carbon (the published module was counted by a tool that uses another yield model)."""
    pue_in_system_power: bool = True
    """Whether the power of a hardwired system already holds PUE once when the facility multiplies by PUE again."""
    facility_power_step_mw: float = 0.001
    """Facility power is rounded to this step, and used so; 0 does not round."""
    construction_basis: Literal["facility", "it"] = "facility"
    """The megawatts that data-centre construction is paid for."""
    maintenance_basis: Literal["capex", "nodes"] = "capex"
    """What the yearly maintenance rate applies to: all initial capital, buildings too, or the price of the nodes."""
    licence_counted: bool = True
    """Whether the GPUs pay a software licence, or have it bundled (the hardwired system pays none)."""
    gpu_count: Literal["rounded", "exact"] = "rounded"
    """GPUs that match one hardwired system: rounded to one significant digit, or the whole fleet's rounded up."""
    hardwired_maintenance: Literal["spares", "rate", "spares-and-rate"] = "spares"
    """Spare systems at recurring cost only; or the GPUs' rate on the GPUs' basis (masks and design too, no spares);
    or the spares and the rate on the recurring cost of the systems."""
    spares_respun: bool = False
    """Whether a re-spin rebuilds the spares too."""
    spares_embodied: bool = False
    """Whether the spares' embodied carbon counts."""
    module_carbon: Literal["gpu", "rebuilt"] = "gpu"
    """One published figure for a GPU card used for both machines, or each module counted from its own parts."""
    ceil_carbon: bool = True
    """Whether the hardwired fleet's printed tonnes are rounded up."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value, valid = getattr(self, field.name), get_args(hints[field.name])
            if hints[field.name] is bool:
                valid = (True, False)
            if valid and not any(value is v or (isinstance(value, str) and value == v) for v in valid):
                raise unknown_name(f"choice for convention {field.name}:", value, valid)
        non_negative("facility_power_step_mw", self.facility_power_step_mw)

    def switched(self, **choices: Any) -> "Conventions":
        """Return these conventions with other choices; raises `InputError` for a name or choice that is not one."""
        valid = [field.name for field in dataclasses.fields(self)]
        for name in choices:
            if name not in valid:
                raise unknown_name("convention", name, valid)
        return dataclasses.replace(self, **({"name": f"{self.name}, changed"} | choices))


#: The choices that the published tables need, one by one, to come out as printed.
AS_PUBLISHED = Conventions()

#: The choices we believe: one yield per die, PUE once, nothing rounded, both machines counted alike.
CORRECTED = Conventions(
    name="corrected",
    die_formula="exact",
    edge_and_scribe=True,
    round_good_dies=False,
    carbon_yield_model="murphy",
    pue_in_system_power=False,
    facility_power_step_mw=0.0,
    construction_basis="it",
    maintenance_basis="nodes",
    licence_counted=False,
    gpu_count="exact",
    hardwired_maintenance="spares-and-rate",
    spares_respun=True,
    spares_embodied=True,
    module_carbon="rebuilt",
    ceil_carbon=False,
)


def named(name: str) -> Conventions:
    """Return the conventions called "as-published" or "corrected"; raises `InputError` for another name."""
    known = {c.name: c for c in (AS_PUBLISHED, CORRECTED)}
    if name not in known:
        raise unknown_name("conventions", name, known)
    return known[name]


def differences(base: Conventions, other: Conventions) -> dict[str, Any]:
    """Return the choices of `other` that are not those of `base`, in the order of the fields."""
    return {
        field.name: getattr(other, field.name)
        for field in dataclasses.fields(base)
        if field.name != "name" and getattr(other, field.name) != getattr(base, field.name)
    }
