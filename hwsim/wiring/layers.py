"""Metal layers that carry weights, as a design variable: slack, area and masks of a number of layers and a pitch.

Wires of a tile scale with its side, so the length per weight is k sqrt(a) for an area of `a` per weight, with a
constant k that was measured on plans of real weights for each size of cluster. With L layers of tracks a pitch p apart,
half in each direction, the used share of the tracks is

    u = k p / (L sqrt(a))

Where u would exceed the share that can be routed, cells are spread: a grows by (u / most)^2. Smaller clusters have
shorter wires and more spare ports; the cluster with the least area is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hwbase import Book, InputError, Record, load_book
from hwbase.check import count, positive, real
from hwsim.circuits import metal_embedding
from hwsim.technology import BOOKS, Technology
from hwsim.weights import weight_format
from hwsim.wiring.slack import OUTPUTS

_CLUSTER = "cluster_"


@dataclass(frozen=True)
class MaskCount(Record):
    """Masks that a new model changes in every chip."""

    euv: int
    duv: int

    def units(self, euv_weight: float) -> float:
        """Return their price in DUV masks, where an EUV mask costs `euv_weight` of them."""
        return self.euv * euv_weight + self.duv


@dataclass(frozen=True)
class EmbeddingLayers(Record):
    """The design of least area for a number of layers: its clusters, their spare ports, and how far cells are spread.

    `slack` is the share of spare ports, `spread` the area over that of cells at the density of the technology.
    """

    layers: int
    pitch_nm: float
    cluster_inputs: int
    slack: float
    spread: float
    area_um2_per_weight: float
    utilisation: float
    masks: MaskCount


def layer_masks(layers: int, pitch_nm: float, book: Book | None = None) -> MaskCount:
    """Return the masks of `layers` metal layers and of the vias below each, by the pitch of their tracks.

    Immersion prints a pitch in one exposure, a smaller one in two with a mask each, and EUV in one again. Raises
    `InputError` for a pitch that none of them prints.
    """
    limits = book or load_book("wiring", BOOKS)
    number, pitch = int(count("layers", layers)), real("pitch_nm", pitch_nm, above=0.0, high=1e4)
    if pitch >= limits.value("lithography.immersion_pitch_nm", "nm"):
        return MaskCount(0, 2 * number)
    if pitch >= limits.value("lithography.double_immersion_pitch_nm", "nm"):
        return MaskCount(0, 4 * number)
    if pitch >= limits.value("lithography.euv_pitch_nm", "nm"):
        return MaskCount(2 * number, 0)
    raise InputError(f"pitch_nm = {pitch:g}: expected at least {limits.value('lithography.euv_pitch_nm', 'nm'):g}")


def embedding_layers(
    layers: int,
    technology: Technology,
    *,
    pitch_nm: float | None = None,
    most_utilisation: float = 0.7,
    inputs: int = 2880,
    book: Book | None = None,
) -> EmbeddingLayers:
    """Return the Metal-Embedding design of least area whose wires fit `layers` layers.

    Parameters
    ----------
    layers : int
        Metal layers that carry weights, half of them in each direction.
    technology : Technology
    pitch_nm : float, optional
        Pitch of their tracks; the technology's `routing_pitch_nm` unless given.
    most_utilisation : float, default 0.7
        Share of the tracks that can be routed.
    inputs : int, default 2880
        Inputs of a neuron.
    book : Book, optional
        Wire constants and slack of clusters, and limits of lithography; the package's "wiring" unless given.

    Returns
    -------
    EmbeddingLayers

    Raises
    ------
    InputError
        For numbers out of range, or a pitch that no lithography prints.

    Examples
    --------
    >>> from hwsim.technology import load_technology
    >>> design = embedding_layers(4, load_technology("n5-asplos26"))
    >>> design.cluster_inputs, round(design.slack, 2), design.masks.duv
    (160, 0.66, 8)
    """
    constants = book or load_book("wiring", BOOKS)
    number = int(count("layers", layers, high=1000))
    pitch = float(technology.routing_pitch_nm) if pitch_nm is None else real("pitch_nm", pitch_nm, above=0.0, high=1e4)
    most = real("most_utilisation", most_utilisation, above=0.0, high=1.0)
    masks = layer_masks(number, pitch, constants)
    weights = weight_format("fp4", technology)
    designs = []
    for cluster in clusters(constants):
        slack = float(constants.value(f"{_CLUSTER}{cluster}.slack", "1"))
        circuit = metal_embedding(inputs, OUTPUTS, weights, technology, slack=slack)
        area = float(circuit.area_mm2 / circuit.weights) * 1e6
        wires = float(constants.value(f"{_CLUSTER}{cluster}.wire_constant", "1"))
        used = wires * pitch * 1e-3 / (number * np.sqrt(area))
        spread = max(used / most, 1.0) ** 2
        designs.append(
            EmbeddingLayers(
                number, pitch, cluster, slack, float(spread), area * spread, float(used / np.sqrt(spread)), masks
            )
        )
    return min(designs, key=lambda design: (design.area_um2_per_weight, -design.cluster_inputs))


def clusters(book: Book) -> list[int]:
    """Return the sizes of clusters, in inputs, whose wires the book has, ascending."""
    names: Iterable[str] = {key.partition(".")[0] for key in book if key.startswith(_CLUSTER)}
    return sorted(int(name.removeprefix(_CLUSTER)) for name in names)


def nominal_area(technology: Technology, slack: float, inputs: int = 2880) -> float:
    """Return the area of a weight at the technology's density, in um2, whether or not its wires fit."""
    circuit = metal_embedding(
        inputs, OUTPUTS, weight_format("fp4", technology), technology, slack=positive("slack", slack)
    )
    return float(circuit.area_mm2 / circuit.weights) * 1e6
