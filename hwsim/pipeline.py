"""Pipeline stages: consecutive layers on groups of chips, how evenly they divide, and the vectors that cross over.

Every stage is a grid of chips of its own. The first stages have one layer more where the layers do not divide. Windowed
layers stand between the others as evenly as their number allows, so stages with as many layers may still differ in the
positions that they attend to. The pattern is that of pipeline parallelism: Huang et al., "GPipe", NeurIPS 2019,
arXiv 1811.06965.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hwbase import InputError, Record, unknown_name
from hwbase.check import Number
from models import LLMSpec

#: Every chip has a link to its like in every other stage, or in the stages before and behind, first and last joined.
TOPOLOGIES = ("full", "ring")
#: Numbers of stages that are kept in memory.
_MOST_STAGES = 1024


@dataclass(frozen=True)
class Handover(Record):
    """The load of hidden vectors that cross from stage to stage, in elements.

    `elements` over the busiest link and `mean` over all stage links of a chip, for one token; `steps` dependent
    messages and the elements of their `path`; `links` of a chip to other stages.
    """

    elements: Number
    mean: Number
    steps: Number
    path: Number
    links: Number


def fullest_layers(layers: int, stages: Number) -> Number:
    """Return the layers of the stage with most of them.

    >>> fullest_layers(36, 16)
    3
    """
    most = np.ceil(np.divide(layers, stages))
    return most if np.ndim(most) else int(most)


def stage_layers(model: LLMSpec, stages: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (layers, windowed layers among them) of each stage, int arrays of shape (stages,).

    Raises `InputError` for more stages than layers.
    """
    check_stages(model, stages)
    return _divided(model.layers, model.windowed_layers, int(stages))


def imbalance(model: LLMSpec, stages: Number, context: Number, windows: bool) -> Number:
    """Return the positions that the fullest stage attends to, over the mean of all stages.

    Parameters
    ----------
    model : LLMSpec
    stages : int or array
        Pipeline stages.
    context : int or array
        Positions that a token attends to.
    windows : bool
        Whether windowed layers attend to their window alone.

    Returns
    -------
    float or array
        At least 1; 1 for one stage. Broadcasts over stages and context.

    Raises
    ------
    InputError
        For more stages than layers.
    """
    if not np.ndim(stages):
        return _imbalance(model, int(stages), context, windows)
    each, contexts = np.broadcast_arrays(stages, context)
    ratios = np.ones(each.shape)
    for value in np.unique(each):
        here = each == value
        ratios[here] = _imbalance(model, int(value), contexts[here], windows)
    return ratios


def handover(stages: Number, elements: Number, topology: str) -> Handover:
    """Return the load of `stages` pipeline stages on the links between them.

    Each stage sends a vector to the next one, and the last sends it to all others, which share the unembedding.

    Parameters
    ----------
    stages : int or array
        Pipeline stages.
    elements : float or array
        Elements of the vector that one chip sends.
    topology : str
        One of `TOPOLOGIES`.

    Returns
    -------
    Handover
        Nothing for one stage.

    Raises
    ------
    InputError
        For an unknown topology.
    """
    if topology not in TOPOLOGIES:
        raise unknown_name("stage_topology", topology, TOPOLOGIES)
    others = np.subtract(stages, 1.0)
    sent = np.where(others > 0, elements, 0.0)
    if topology == "full":
        # In all 2 x (stages - 1) vectors over stages x (stages - 1) links; no link carries two of a token.
        return Handover(sent, 2.0 * sent / stages, others + np.minimum(others, 1.0), (others + 1.0) * sent, others)
    # The last vector travels both ways around, half of the stages each.
    hops = np.ceil(others / 2.0)
    links = np.minimum(others, 2.0)
    busiest = np.where(np.greater(stages, 3), 2.0, 1.0) * sent
    mean = 2.0 * others * sent / np.maximum(links * stages, 1.0)
    return Handover(busiest, mean, others + hops, (others + hops) * sent, links)


def stage_rounds(stages: int, topology: str) -> list[list[tuple[int, int]]]:
    """Return the messages of one token between stages, as (source, target), round after round.

    First one round for each stage that hands over to the next, then those in which the last stage sends to all others.

    >>> stage_rounds(3, "ring")
    [[(0, 1)], [(1, 2)], [(2, 0), (2, 1)]]
    """
    last = stages - 1
    rounds = [[(stage, stage + 1)] for stage in range(last)]
    if topology == "full":
        return rounds + [[(last, stage) for stage in range(last)]] * (last > 0)
    for step in range((last + 1) // 2):
        ahead, back = (last + step) % stages, last - step
        hops = [(ahead, (ahead + 1) % stages), (back, back - 1)]
        # An odd number of stages to reach ends with one hop.
        rounds.append(hops[: min(last - 2 * step, 2)])
    return rounds


def check_stages(model: LLMSpec, stages: int) -> None:
    """Check that every pipeline stage has a layer. Raises `InputError`."""
    if stages > model.layers:
        raise InputError(f"pipeline_stages = {stages:g}: expected at most the {model.layers} layers of {model.name}")


@lru_cache(maxsize=_MOST_STAGES)
def _different_stages(layers: int, windowed: int, stages: int) -> tuple[tuple[int, int], ...]:
    """Return (layers, windowed layers among them) of the stages that differ, which are few; a sweep asks again."""
    each = _divided(layers, windowed, stages)
    return tuple({(int(n), int(w)) for n, w in zip(*each, strict=True)})


def _divided(layers: int, windowed: int, stages: int) -> tuple[np.ndarray, np.ndarray]:
    place = np.arange(stages + 1)
    start = place * (layers // stages) + np.minimum(place, layers % stages)
    return np.diff(start), np.diff(start * windowed // layers)


def _imbalance(model: LLMSpec, stages: int, context: Number, windows: bool) -> Number:
    if stages == 1:
        return 1.0
    check_stages(model, stages)
    kinds = _different_stages(model.layers, model.windowed_layers, stages)
    kept = np.minimum(context, model.sliding_window) if windows and model.windowed_layers else context
    loads = [(n - w) * np.asarray(context, dtype=float) + w * kept for n, w in kinds]
    total = model.full_layers * np.asarray(context, dtype=float) + model.windowed_layers * kept
    return (np.max(loads, axis=0) * stages / total)[()]
