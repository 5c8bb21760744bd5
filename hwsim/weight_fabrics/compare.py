"""The fabrics side by side for one model: area against cycles per token against masks per re-spin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import models
from hwbase import Book, InputError, Quantity, Record, load_book, unknown_name
from hwbase.arguments import checked
from hwbase.books import refuse_unread
from hwbase.check import Number
from hwsim.mapping import Matrix, matrices
from hwsim.technology import BOOKS, DEFAULT_TECHNOLOGY, Technology, load_technology
from hwsim.weight_fabrics.fabric import UM2_PER_MM2, FabricCost, Setting
from hwsim.weight_fabrics.kinds import FABRICS, fabric_format, matrix_cost
from models import LLMSpec

if TYPE_CHECKING:
    import pandas as pd

#: The book with the constants of the fabrics.
BOOK = "weight-fabrics"
_KIND = "fabrics"


@dataclass(frozen=True)
class ModelInFabric(Record):
    """A model's matrices in one fabric; the embedding table, attention and links are not among them.

    Areas and energies are means over the weights and over the multiply-accumulates of a token. Numbers may be arrays.
    """

    fabric: str
    technology: str
    weight_format: str
    weight_count: Number
    area_um2_per_weight: Number
    memory_um2_per_weight: Number
    transistors_per_weight: Number
    area_mm2: Number
    cycles_per_token: Number
    """The longest time for which any matrix is busy: the time between tokens of a full pipeline."""
    tokens_per_s: Number
    """Of a full pipeline, every matrix busy with another token."""
    tokens_per_s_per_user: Number
    """One sequence alone: the matrices of a layer one after the other."""
    energy_j_per_mac: Number
    projection_j_per_token: Number
    """Switching of the matrices for one token."""
    leakage_w: Number
    respin_masks: Number
    full_set: bool
    """Whether a new model changes every mask."""
    refill_s: Number

    def power_w(self, tokens_per_s: Number) -> Number:
        """Return the power of the matrices at a rate: switching and leakage, in W."""
        return self.projection_j_per_token * tokens_per_s + self.leakage_w


@dataclass(frozen=True)
class FabricComparison(Record):
    """One model in several fabrics, technologies and formats; `assumptions` are the constants that were read."""

    model: str
    rows: tuple[ModelInFabric, ...]
    assumptions: dict[str, Quantity]

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a fabric, technology and format; several rows where numbers are arrays."""
        import pandas as pd

        return pd.concat([row.to_frame() for row in self.rows], ignore_index=True)


def fabric_book(book: str | Path | Book = BOOK) -> Book:
    """Return the book of fabrics by name or path; raises `InputError` for a book of another kind."""
    loaded = book if isinstance(book, Book) else load_book(book, BOOKS)
    if loaded.kind != _KIND:
        raise InputError(f"{loaded.name!r} is of kind {loaded.kind!r}: expected fabrics, such as {BOOK}")
    return loaded


@checked
def compare(
    model: str | LLMSpec = "gpt-oss-120b",
    technologies: str | Technology | Sequence[str | Technology] = DEFAULT_TECHNOLOGY,
    formats: str | Sequence[str] = "fp4",
    *,
    fabrics: Sequence[str] | None = None,
    activation_bits: Number = 8,
    clock_hz: Number | None = None,
    slack: Number = 0.0,
    book: str | Path | Book = BOOK,
    set: Mapping[str, Any] | None = None,
) -> FabricComparison:
    """Return what every matrix of a model costs in each fabric.

    Parameters
    ----------
    model : str or LLMSpec
        A model by name, or its spec.
    technologies : str, Technology or sequence of them
        Technology books by name, or records whose numbers may be arrays.
    formats : str or sequence of str
        Weight formats: those of `hwsim.weight_format`, and "ternary".
    fabrics : sequence of str, optional
        Some of `FABRICS`; all unless given.
    activation_bits : int or array
        Bits of an activation.
    clock_hz : float or array, optional
        Clock of the multipliers, Hz; the book's unless given.
    slack : float or array
        Spare share of the ports of Metal-Embedding.
    book : str, Path or Book
        Constants of the fabrics.
    set : mapping of str to number, array or str
        Constants of that book to override, such as {"mask_rom.bits_per_cell": 1}.

    Returns
    -------
    FabricComparison

    Raises
    ------
    InputError
        For unknown names, numbers out of range, and constants that the chosen fabrics do not read.

    Examples
    --------
    >>> frame = compare("llama-3-8b", "n7", fabrics=("metal_embedding", "mask_rom")).to_frame()
    >>> frame[["fabric", "respin_masks"]].values.tolist()
    [['metal_embedding', 10.0], ['mask_rom', 2.0]]
    """
    spec = models.spec_of(model)
    read = fabric_book(book).override(set or {}).reader()
    chosen = tuple(FABRICS) if fabrics is None else tuple(fabrics)
    for fabric in chosen:
        if fabric not in FABRICS:
            raise unknown_name("fabric", fabric, FABRICS)
    need_some(technologies=technologies, formats=formats, fabrics=chosen)
    processes = [technologies] if isinstance(technologies, (str, Technology)) else technologies
    names = [formats] if isinstance(formats, str) else formats
    placed = matrices(spec, 1, 1)
    rows = []
    for each in processes:
        technology = load_technology(each) if isinstance(each, str) else each
        for name in names:
            setting = Setting(
                weights=fabric_format(name, technology),
                technology=technology,
                read=read,
                activation_bits=activation_bits,
                clock_hz=read("clock_hz", "Hz") if clock_hz is None else clock_hz,
                slack=slack,
                model_weights=sum(matrix.weights for matrix in placed),
            )
            rows += [_in_fabric(fabric, placed, setting) for fabric in chosen]
    refuse_unread(set or {}, read.used)
    return FabricComparison(spec.name, tuple(rows), read.used)


def need_some(**names: Any) -> None:
    """Raise `InputError` for an empty sequence among the arguments."""
    for name, value in names.items():
        if not isinstance(value, (str, Technology)) and not len(value):
            raise InputError(f"{name} is empty: expected at least one")


def _in_fabric(fabric: str, placed: list[Matrix], setting: Setting) -> ModelInFabric:
    """Return the sums over all matrices of a model."""
    technology, clock = setting.technology, setting.clock_hz
    costs = [matrix_cost(fabric, matrix.inputs, matrix.outputs, setting) for matrix in placed]
    weights = sum(matrix.weights for matrix in placed)
    macs = sum(matrix.weights * matrix.active for matrix in placed)

    def mean(name: str) -> Number:
        return sum(getattr(c, name) * m.weights for c, m in zip(costs, placed, strict=True)) / weights

    energy = sum(c.energy_j_per_mac * m.weights * m.active for c, m in zip(costs, placed, strict=True))
    busiest = reduce(np.maximum, [cost.cycles_per_token for cost in costs])
    area_mm2 = mean("area_um2_per_weight") * weights / UM2_PER_MM2
    return ModelInFabric(
        fabric=fabric,
        technology=technology.name,
        weight_format=setting.weights.name,
        weight_count=weights,
        area_um2_per_weight=mean("area_um2_per_weight"),
        memory_um2_per_weight=mean("memory_um2_per_weight"),
        transistors_per_weight=mean("transistors_per_weight"),
        area_mm2=area_mm2,
        cycles_per_token=busiest,
        tokens_per_s=clock / (busiest * (macs / weights if costs[0].pooled else 1.0)),
        tokens_per_s_per_user=clock / _path_cycles(placed, costs),
        energy_j_per_mac=energy / macs,
        projection_j_per_token=energy,
        leakage_w=area_mm2 * technology.leakage_w_per_mm2,
        respin_masks=costs[0].respin_masks,
        full_set=costs[0].full_set,
        refill_s=costs[0].refill_s,
    )


def _path_cycles(placed: list[Matrix], costs: list[FabricCost]) -> Number:
    """Return the cycles of one token through all layers; matrices of one depth work at once."""
    weights = sum(matrix.weights for matrix in placed)
    steps: dict[int, tuple[Number, Number]] = {}
    busy: Number = 0.0
    for matrix, cost in zip(placed, costs, strict=True):
        if cost.pooled:
            busy = busy + cost.cycles_per_token * matrix.weights * matrix.active / weights
            cycles = cost.latency_cycles
        else:
            cycles = cost.cycles_per_token + cost.latency_cycles
        slowest = steps.get(matrix.depth, (0.0, 0))
        steps[matrix.depth] = (np.maximum(slowest[0], cycles), np.maximum(slowest[1], matrix.layers))
    return busy + sum(cycles * layers for cycles, layers in steps.values())
