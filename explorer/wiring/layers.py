"""How many metal layers should carry the weights: slack and area against masks, priced by volume and re-spins.

Fewer layers need smaller clusters with more spare ports, and so more silicon and chips; more layers need more masks for
every chip of every model. The rest of the mask set keeps its price.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

import hwsim
import models
from explorer.documents.document import Document, Documented
from explorer.pricing.economics import PAPER_MODEL, cost
from explorer.pricing.prices import node_of
from explorer.progress import Report
from explorer.wiring.routing import PAPER_UTILISATION
from hwbase import Book, InputError, Record, load_book
from hwbase.check import count, integer
from hwbase.numbers import counted, percent
from hwsim import wiring
from hwsim.technology import BOOKS, DEFAULT_TECHNOLOGY

LAYERS = (2, 4, 6, 8, 10, 12, 16, 20)
VOLUMES = (1, 50, 1000)


@dataclass(frozen=True)
class LayerDesign(Record):
    """One number of layers at one volume.

    `respin_masks` are those of one chip, `respin_masks_usd` of all its chips; `once_usd` is the TCO of all systems with
    one model for life, `yearly_usd` with the re-spins of the cost book.
    """

    layers: int
    pitch_nm: float
    cluster_inputs: int
    slack: float
    spread: float
    area_um2_per_weight: float
    utilisation: float
    respin_masks: int
    chips: int
    die_mm2: float
    respin_masks_usd: float
    volume: int
    once_usd: float
    yearly_usd: float
    once_usd_per_million_tokens: float
    yearly_usd_per_million_tokens: float


@dataclass(frozen=True)
class LayerStudy(Documented):
    """Designs by layers and volume; `book_utilisation` is that of the machine book's slack on its own layers."""

    model: str
    technology: str
    rows: tuple[LayerDesign, ...]
    book_slack: float
    book_utilisation: float
    most_utilisation: float
    findings: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each number of layers and volume."""
        return pd.DataFrame([row.to_dict() for row in self.rows])

    def best(self, volume: int, yearly: bool) -> LayerDesign:
        """Return the design with the least TCO at a volume, with yearly re-spins or none."""
        rows = [row for row in self.rows if row.volume == volume]
        return min(rows, key=lambda row: row.yearly_usd if yearly else row.once_usd)

    def document(self, command: str = "") -> Document:
        """Return the study as a document."""
        from explorer.wiring.layers_document import layers_document

        return layers_document(self, command)


def study_layers(
    model: str | models.LLMSpec = PAPER_MODEL,
    *,
    layers: Sequence[int] = LAYERS,
    pitch_nm: float | None = None,
    volumes: Sequence[int] = VOLUMES,
    most_utilisation: float = PAPER_UTILISATION,
    technology: str | Path | Book = DEFAULT_TECHNOLOGY,
    set: Mapping[str, Any] | None = None,
    report: Report | None = None,
) -> LayerStudy:
    """Return the silicon, masks and dollars of a hardwired machine by the metal layers that carry its weights.

    Parameters
    ----------
    model : str or LLMSpec
        A model that Metal-Embedding holds.
    layers : sequence of int
        Numbers of layers to try.
    pitch_nm : float, optional
        Pitch of their tracks; the technology's `routing_pitch_nm` unless given.
    volumes : sequence of int
        Systems built.
    most_utilisation : float, default 0.7
        Share of the tracks that can be routed.
    technology : str, Path or Book
    set : mapping, optional
        Further constants of the cost book, the machine or the technology to override.
    report : callable, optional
        Receives the progress.

    Returns
    -------
    LayerStudy

    Raises
    ------
    InputError
        For numbers out of range, a pitch that no lithography prints, or a constant that the layers set.
    """
    numbers = [int(count("layers", n, high=100)) for n in layers]
    sizes = [integer("volume", n, high=1e6) for n in volumes]
    if not numbers or not sizes:
        raise InputError("layers, volumes: expected at least one of each")
    process_book = hwsim.technology_book(technology)
    given = dict(set or {})
    own = [name for name in ("popcnt_slack", "logic_density_mtr_per_mm2", _OWN_MASKS) if name in given]
    if own:
        raise InputError(f"set = {own[0]!r}: the number of layers sets it")
    process = hwsim.load_technology(reader=process_book.reader())
    answer = cost(model, convention="corrected", technology=process_book, set=given)
    node, prices = node_of(process_book, answer.book), answer.book
    rows: list[LayerDesign] = []
    for place, number in enumerate(numbers):
        design = wiring.embedding_layers(number, process, pitch_nm=pitch_nm, most_utilisation=most_utilisation)
        constants = given | _overrides(design, process, prices, node)
        for volume in sizes:
            if report is not None:
                report(f"{number} layers", place * len(sizes) + sizes.index(volume), len(numbers) * len(sizes))
            rows.append(_row(design, model, volume, constants, process_book))
    machine = hwsim.machine_book(hwsim.DEFAULT_MACHINE)
    slack = float(machine.value("popcnt_slack", "1"))
    study = LayerStudy(
        models.spec_of(model).name, process.name, tuple(rows), slack, _whole(process), most_utilisation, ()
    )
    return replace(study, findings=tuple(_findings(study)))


_OWN_MASKS = "masks.per_chip_duv_masks"


def _overrides(design: wiring.EmbeddingLayers, process: hwsim.Technology, prices: Book, node: str) -> dict[str, float]:
    """Return the constants of a machine with so many layers; masks that do not carry weights keep their price."""
    weight = float(prices.value("masks.euv_weight", "1"))
    euv, duv = (float(prices.value(f"{node}.{kind}_masks", "mask")) for kind in ("euv", "duv"))
    carried = float(prices.value(_OWN_MASKS, "mask"))
    own = design.masks.units(weight)
    before = weight * euv + duv
    return {
        "popcnt_slack": design.slack,
        "logic_density_mtr_per_mm2": float(process.logic_density_mtr_per_mm2) / design.spread,
        _OWN_MASKS: own,
        f"{node}.duv_masks": duv - carried + own,
        f"{node}.mask_set_usd": float(prices.value(f"{node}.mask_set_usd", "USD")) * (before - carried + own) / before,
    }


def _row(
    design: wiring.EmbeddingLayers,
    model: str | models.LLMSpec,
    volume: int,
    constants: Mapping[str, Any],
    technology: Book,
) -> LayerDesign:
    answer = cost(model, convention="corrected", volume=volume, technology=technology, set=constants)
    fleet, bill = answer.pair.hardwired, answer.pair.bill
    return LayerDesign(
        layers=design.layers,
        pitch_nm=design.pitch_nm,
        cluster_inputs=design.cluster_inputs,
        slack=design.slack,
        spread=design.spread,
        area_um2_per_weight=design.area_um2_per_weight,
        utilisation=design.utilisation,
        respin_masks=design.masks.euv + design.masks.duv,
        chips=int(answer.inputs["chips"]),
        die_mm2=float(answer.inputs["die_area_mm2"]),
        respin_masks_usd=float(bill.own_masks_usd * bill.chips),
        volume=volume,
        once_usd=float(fleet.static_usd),
        yearly_usd=float(fleet.total_usd),
        once_usd_per_million_tokens=float(fleet.static_usd_per_million_tokens),
        yearly_usd_per_million_tokens=float(fleet.usd_per_million_tokens),
    )


def _whole(process: hwsim.Technology) -> float:
    """Return the used share of the technology's own layers where regions lie anywhere in a neuron, not spread."""
    constants = load_book("wiring", BOOKS)
    widest = max(wiring.clusters(constants))
    area = wiring.nominal_area(process, float(constants.value(f"cluster_{widest}.slack", "1")))
    wires = float(constants.value(f"cluster_{widest}.wire_constant", "1"))
    return float(wires * process.routing_pitch_nm * 1e-3 / (process.routing_layers * area**0.5))


def _findings(study: LayerStudy) -> list[str]:
    lines = []
    for volume in dict.fromkeys(row.volume for row in study.rows):
        once, yearly = study.best(volume, False), study.best(volume, True)
        cheapest = [
            f"{counted(row.layers, 'layer')} {when} ({usd / 1e6:,.1f} M USD, {row.chips} chips)"
            for row, usd, when in (
                (once, once.once_usd, "with one model for life"),
                (yearly, yearly.yearly_usd, "with yearly re-spins"),
            )
        ]
        lines.append(f"The least TCO of {counted(volume, 'system')} is that of {' and of '.join(cheapest)}.")
    used, most = (percent(share, 0) for share in (study.book_utilisation, study.most_utilisation))
    lines.append(
        f"The machine book's {percent(study.book_slack)} of slack would take {used} of the tracks of the "
        f"technology's own layers, of which {most} can be routed: designs here have "
        "more slack, more layers or spread cells."
    )
    return lines
