"""The space of a search: every mapping onto up to so many chips, and the steps of what a chip is made of."""

import dataclasses
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from hwbase import InputError, Record, unknown_name
from hwbase.check import number
from hwbase.columns import column
from hwbase.numbers import counted, listed
from hwsim.chip import MOST_CHIPS
from hwsim.design import CHOICES, HardwiredDesign
from hwsim.topology import MESH, PAIRS, SWITCH, TORUS, most_chips
from models import LLMSpec

#: The constants that lay a model over chips.
MAPPING = ("rows", "columns", "pipeline_stages")
#: Fields that are names, not choices or constants.
_NAMES = ("name", "weight_format")
_RING_DIFFERS = 3
#: Most chips of a row or column that a topology joins pairwise all the same.
_PAIRED = {TORUS: 3, MESH: 2}


@dataclass(frozen=True)
class Space(Record):
    """The designs of a search: each of `mappings`, with each of `parts`, with each of `choices`.

    `mappings` has arrays (M,) by name, `parts` arrays (K,), `choices` the names that each choice may take;
    `unswitched` are the classes of links that no switch joins.
    """

    mappings: dict[str, np.ndarray]
    parts: dict[str, np.ndarray]
    choices: dict[str, tuple[str, ...]]
    unswitched: tuple[str, ...] = ()

    @property
    def sizes(self) -> tuple[int, int]:
        """Mappings, and sets of parts."""
        return len(self.mappings["rows"]), len(next(iter(self.parts.values()))) if self.parts else 1

    def with_mappings(self, kept: np.ndarray) -> "Space":
        """Return the space of the mappings at `kept`, a mask or indices."""
        return dataclasses.replace(self, mappings={name: values[kept] for name, values in self.mappings.items()})

    def variants(self) -> Iterator[tuple[dict[str, str], "Space"]]:
        """Yield (choices, space of the mappings for which they differ from others)."""
        for names in product(*self.choices.values()):
            chosen = dict(zip(self.choices, names, strict=True))
            kept = self.differ(chosen)
            if kept.any():
                yield chosen, self.with_mappings(kept)

    def differ(self, chosen: Mapping[str, str]) -> np.ndarray:
        """Return the mappings that can have the choices, and for which they differ from others, as a mask (M,)."""
        rows, columns, stages = (self.mappings[name] for name in MAPPING)
        kept = np.ones(self.sizes[0], dtype=bool)
        if chosen["stage_topology"] == "ring" and len(self.choices["stage_topology"]) > 1:
            # A ring of three stages has the links that all pairs have.
            kept &= stages > _RING_DIFFERS
        grid = chosen["grid_topology"]
        longest = np.maximum(rows, columns)
        kept &= longest <= most_chips(grid)
        if grid == SWITCH and chosen["link_class"] in self.unswitched:
            kept[:] = False
        if grid in _PAIRED and PAIRS in self.choices["grid_topology"]:
            kept &= longest > _PAIRED[grid]
        if (
            len(self.choices["stage_link_class"]) > 1
            and chosen["stage_link_class"] != self.choices["stage_link_class"][0]
        ):
            # One stage has no links to others.
            kept &= stages > 1
        return kept


@cache
def declared() -> dict[str, dict[str, Any]]:
    """Return the content of `space.toml`."""
    return tomllib.loads(Path(__file__).with_name("space.toml").read_text(encoding="utf-8"))


def read_steps(design: HardwiredDesign, vary: Mapping[str, Any], fixed: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Return the values of each constant or choice that is varied.

    Parameters
    ----------
    design : HardwiredDesign
        The machine of the book, whose values the declared steps multiply.
    vary : mapping of str to list
        Values that replace declared steps or add a constant; None takes those declared on request.
    fixed : sequence of str
        Names that the user has set, which do not vary unless they are in `vary`.

    Returns
    -------
    dict of str to list

    Raises
    ------
    InputError
        For a name that a design does not have, and a value that it cannot take.
    """
    space = declared()
    steps: dict[str, list[Any]] = {}
    for name, factors in space["factors"].items():
        steps[name] = [max(round(factor * getattr(design, name)), 1) for factor in factors]
    steps |= space["values"] | space["choices"]
    steps = {name: values for name, values in steps.items() if name not in fixed}
    known = [each.name for each in dataclasses.fields(design) if each.name not in _NAMES]
    known = [name for name in known if not name.startswith("published_")]
    for name, values in vary.items():
        if name not in known:
            raise unknown_name("vary", name, known)
        if values is None:
            if name not in space["on_request"]:
                raise InputError(f"vary {name}: expected values, such as {name}={column(name).example}")
            values = space["on_request"][name]
        steps[name] = _read(name, values)
    return steps


def mappings_up_to(model: LLMSpec, chips: int, steps: Mapping[str, Sequence[Any]], uneven: bool) -> dict[str, Any]:
    """Return every way to lay `model` over at most `chips` chips, as arrays by the names of `MAPPING`.

    Parameters
    ----------
    model : LLMSpec
    chips : int
        Most chips.
    steps : mapping of str to list
        Values of rows, columns and stages that are wanted; any where a name is absent.
    uneven : bool
        Whether heads and experts may be divided into fractions, as the closed form then counts them.

    Returns
    -------
    dict of str to numpy.ndarray
        In order of chips.

    Raises
    ------
    InputError
        For more stages than layers, and where there is no mapping.
    """
    if chips > MOST_CHIPS:
        raise InputError(f"chips = {chips:,}: expected at most {MOST_CHIPS:,}")
    ranges = [_range(name, steps, high) for name, high in zip(MAPPING, (chips, chips, model.layers), strict=True)]
    for stages in steps.get("pipeline_stages", ()):
        if stages > model.layers:
            raise InputError(
                f"pipeline_stages = {stages:g}: expected at most the {model.layers} layers of {model.name}"
            )
    heads = model.kv_heads or model.query_heads
    shared = model.experts or model.intermediate_size
    grids = [
        (rows, columns, stages)
        for rows in ranges[0]
        for columns in ranges[1]
        if rows * columns <= chips and (uneven or (heads % columns == 0 and shared % (rows * columns) == 0))
        for stages in ranges[2]
        if rows * columns * stages <= chips
    ]
    if not grids:
        sides = ", ".join(f"{name} {listed(list(map(str, steps[name])))}" for name in MAPPING if name in steps)
        divided = "" if uneven else " that divide heads and experts evenly, or --uneven"
        raise InputError(
            f"no mapping of {model.name} onto at most {counted(chips, 'chip')}{f' with {sides}' if sides else ''}: "
            f"expected rows and columns{divided}"
        )
    grids.sort(key=lambda each: (each[0] * each[1] * each[2], each))
    arrays = np.array(grids, dtype=float).reshape(-1, len(MAPPING)).T
    return dict(zip(MAPPING, arrays, strict=True))


def parts_of(design: HardwiredDesign, steps: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
    """Return every combination of the steps of a chip's parts, as arrays by name."""
    names = [name for name in steps if name not in MAPPING and name not in CHOICES]
    grids = np.meshgrid(*(np.array(steps[name], dtype=float) for name in names), indexing="ij")
    parts = {name: grid.ravel() for name, grid in zip(names, grids, strict=True)}
    for name, of in declared()["in_proportion"].items():
        if of in parts and name not in parts:
            ratio = parts[of] / getattr(design, of)
            parts[name] = np.maximum(np.round(ratio * getattr(design, name)), 1.0)
    return parts


def choices_of(design: HardwiredDesign, steps: Mapping[str, Sequence[Any]]) -> dict[str, tuple[str, ...]]:
    """Return the names that each choice may take; that of the machine's book where it does not vary."""
    return {name: tuple(steps.get(name, [getattr(design, name)])) for name in CHOICES}


def _range(name: str, steps: Mapping[str, Sequence[Any]], high: int) -> list[int]:
    return sorted({int(value) for value in steps[name]}) if name in steps else list(range(1, high + 1))


def _read(name: str, values: Any) -> list[Any]:
    """Return the values of a name, each once. Raises `InputError`."""
    listed = [values] if isinstance(values, (str, int, float)) or np.ndim(values) == 0 else list(values)
    if not listed:
        raise InputError(f"vary {name}: expected at least one value")
    if name in CHOICES:
        for value in listed:
            if value not in CHOICES[name]:
                raise unknown_name(f"vary {name}:", value, CHOICES[name])
        return list(dict.fromkeys(listed))
    field = HardwiredDesign.__dataclass_fields__[name]
    read = [number(name, column(name).read(value), **field.metadata["limits"]) for value in listed]
    return list(dict.fromkeys(read))
