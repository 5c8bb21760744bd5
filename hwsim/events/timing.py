"""The time of one token on a hardwired machine, stage by stage: the rates of the closed form along its path.

A layer is a list of stages. Each is a visit of the links (one round of a collective), of the vector units (VEX) or of
the memories, followed by passes of the HN arrays that nothing else can delay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from hwbase import InputError, Record
from hwsim.arrays import array_format, interval_cycles, pass_cycles
from hwsim.design import HardwiredDesign
from hwsim.events.links import Fabric, LinkClasses, Pair, Round
from hwsim.mapping import (
    Collective,
    attention_macs_per_position,
    collectives,
    gating_elements,
    matrices,
    norm_elements,
)
from hwsim.occupancy import stage_handover, step_elements
from hwsim.pipeline import fullest_layers, stage_layers, stage_rounds
from hwsim.technology import Technology
from models import LLMSpec, kv_elements_per_token_per_layer

#: Kinds of stages: arrays only, a round of messages, the round that moves keys and values to their place, vector work
#: of fixed length, and attention.
START, LINKS, STORE, VEX, ATTENTION = range(5)
#: A stage for the engine: kind, seconds or (link class, seconds) pairs, extra latency, passes behind, label.
Step = tuple[int, Any, float, tuple[int, ...], str]


@dataclass(frozen=True)
class Pass(Record):
    """One pass of a layer's arrays: `latency_s` from the first bit in to the last bit out; `names` of its matrices."""

    latency_s: float
    names: str


@dataclass(frozen=True)
class Stage(Record):
    """One stop on a token's path through a layer, and the `passes` (places in `Timing.passes`) behind it."""

    kind: int
    what: str
    seconds: float = 0.0
    part: Round | None = None
    passes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Timing(Record):
    """The rates of a machine with one model, all numbers; `rows` and `columns` are of the grid of one pipeline stage.

    `windowed` marks layers that keep only a window; the others keep all positions. `attention_s`, `buffer_s` and
    `hbm_s` are those of one chip for one cached position of one layer; `nonlinear_s` is per layer, with a share of
    `gating_share` for gating; each of the three visits of the VEX takes `startup_s` more. `stage_of` is the pipeline
    stage of each layer, `stage_links` the number of links between stages, `handover_s` the time of a hidden vector on
    one, `stage_latency_s` its latency, and `stage_rounds` which of those links a token takes (see
    `hwsim.pipeline.stage_rounds`).
    """

    layers: int
    rows: int
    columns: int
    slots: int
    pass_interval_s: float
    passes: tuple[Pass, ...]
    last_pass: Pass
    link_latency_s: float
    element_s: float
    algorithm: str
    topology: str
    step_elements: float
    nonlinear_s: float
    gating_share: float
    attention_s: float
    buffer_s: float
    hbm_s: float
    kv_layer_bytes: float
    window: int
    windowed: tuple[bool, ...]
    windowed_layers: int
    full_layers: int
    exchanges: tuple[Collective, ...]
    stages: int
    stage_of: tuple[int, ...]
    stage_rounds: tuple[tuple[tuple[int, int], ...], ...]
    stage_links: int
    handover_s: float
    stage_latency_s: float
    startup_s: float
    service: str

    @property
    def ranked(self) -> bool:
        """Whether links and vector units choose among the tokens that wait, instead of serving them as they come."""
        return self.service != "first-come"

    @property
    def fullest_layers(self) -> int:
        """Layers of the pipeline stage with most of them."""
        return fullest_layers(self.layers, self.stages)

    @property
    def visits_s(self) -> float:
        """Seconds of the VEX for one layer, without attention to positions."""
        return self.nonlinear_s + 3.0 * self.startup_s

    @cached_property
    def _fullest_stages(self) -> tuple[tuple[bool, ...], ...]:
        """Which layers are windowed, of each stage that may attend to the most positions; equal stages once."""
        stages: dict[int, list[bool]] = {}
        for stage, windowed in zip(self.stage_of, self.windowed, strict=True):
            stages.setdefault(stage, []).append(windowed)
        different = {tuple(layers) for layers in stages.values()}
        # Without a window all layers are alike, and the longest stage attends to the most.
        longest = max(map(len, different))
        return tuple(sorted(each for each in different if self.window or len(each) == longest))

    def fullest_attended(self, context: float) -> float:
        """Return the cached positions that a token attends to, if every stage had as many as the fullest one."""
        if self.stages == 1:
            return self.attended(context)
        recent = min(context, self.window) if self.window else context
        most = 0.0
        for layers in self._fullest_stages:
            load = 0.0
            for windowed in layers:
                load += recent if windowed else context
            if load > most:
                most = load
        return self.stages * most

    def attended(self, context: float) -> float:
        """Return the cached positions that a token with `context` attends to, all layers together."""
        return self.full_layers * context + self.windowed_layers * min(context, self.window)

    def dealt(self, first: int, last: int) -> list[tuple[float, float]]:
        """Return (VEX, buffer) seconds of each row for the positions from `first` to `last`, distributed in turn."""
        rows = self.rows
        counts = [(last - row) // rows - (first - 1 - row) // rows for row in range(rows)]
        return [(count * self.attention_s, count * self.buffer_s) for count in counts]

    def fabric(self, failed: Sequence[Pair] = ()) -> Fabric:
        """Return the links of the machine, without those between the pairs of chips in `failed`."""
        return Fabric(
            self.rows,
            self.columns,
            self.algorithm,
            self.element_s,
            failed,
            topology=self.topology,
            step_elements=self.step_elements,
        )


def build_timing(
    model: LLMSpec, design: HardwiredDesign, technology: Technology, sliding_window: bool | None = None
) -> Timing:
    """Return the rates of `model` on `design`; with `sliding_window` False every layer attends to all positions.

    Raises `InputError` for designs whose fields are arrays: events need one machine.
    """
    for name, value in {**vars(design), **vars(technology)}.items():
        if np.ndim(value):
            raise InputError(f"{name} is an array: expected one number, events simulate one machine at a time")
    windows = sliding_window is not False and bool(model.windowed_layers)
    chain, last = _passes(model, design, technology)
    norms = float(norm_elements(model, design.stage_chips, design.norms))
    elements = norms + float(gating_elements(model, design.stage_chips, design.expert_skew))
    kv_bytes = float(kv_elements_per_token_per_layer(model) * design.kv_element_bytes)
    layers, windowed = model.layers, model.windowed_layers if windows else 0
    columns = int(design.columns)
    attention_s = attention_macs_per_position(model) / columns * (1.0 / (design.vex_macs * design.clock_hz))
    exponentials = model.query_heads * design.vex_operations_per_exponential / columns
    stages = int(design.pipeline_stages)
    each, _ = stage_layers(model, stages)
    rounds = stage_rounds(stages, design.stage_topology)
    between = stage_handover(model, design)
    return Timing(
        layers=layers,
        rows=int(design.rows),
        columns=columns,
        slots=int(design.stages_per_layer) * layers,
        pass_interval_s=interval_cycles(design) / design.clock_hz,
        passes=chain,
        last_pass=last,
        link_latency_s=float(design.hop_s),
        element_s=design.link_element_bytes / design.grid_bandwidth_bytes_per_s,
        algorithm=design.collective,
        topology=design.grid_topology,
        step_elements=float(step_elements(design)),
        nonlinear_s=float(np.ceil(elements / design.vex_lanes)) / design.clock_hz,
        gating_share=1.0 - norms / elements,
        attention_s=attention_s + float(exponentials) / design.vex_lanes / design.clock_hz,
        buffer_s=kv_bytes / columns / design.buffer_bandwidth_bytes_per_s,
        hbm_s=kv_bytes / columns / max(float(design.hbm_bandwidth_bytes_per_s), 1.0),
        kv_layer_bytes=kv_bytes,
        window=int(model.sliding_window) if windows else 0,
        # Spread evenly: every second layer if half of them are windowed.
        windowed=tuple((layer + 1) * windowed // layers > layer * windowed // layers for layer in range(layers)),
        windowed_layers=windowed,
        full_layers=layers - windowed,
        exchanges=tuple(collectives(model, int(design.rows), columns, norms=design.norms)),
        stages=stages,
        stage_of=tuple(np.repeat(np.arange(stages), each).tolist()),
        stage_rounds=tuple(tuple(part) for part in rounds),
        stage_links=stages * int(between.links),
        handover_s=float(between.path)
        / max(len(rounds), 1)
        * (design.link_element_bytes / design.stage_bandwidth_bytes_per_s),
        stage_latency_s=float(design.stage_link.latency_s),
        startup_s=float(design.vex_startup_cycles) / design.clock_hz,
        service=design.service,
    )


def layer_stages(timing: Timing, fabric: Fabric, root: int) -> list[Stage]:
    """Return the stages of a layer for a token whose keys and values go to row `root` of the grid.

    The order is that of the closed form: attention, its softmax statistics, gating between the two projections of the
    feed-forward. Raises `Unreachable` where failures isolate chips.
    """
    names = [exchange.name for exchange in timing.exchanges]
    first = 1 if names[0] == "own hidden vector" else 0
    attend, output, end = names.index("softmax statistics"), names.index("output projection"), len(names) - 2
    # Passes in their order: before attention (one, or two where latents are expanded), output, a router, up, down.
    before = 2 if "latents" in names else 1
    # Where norms are sharded, the shares of the hidden vector are gathered before they are projected.
    stages = [Stage(START, "layer"), *_rounds(timing, fabric, root, 0, first)]
    stages[-1] = replace(stages[-1], passes=(0,))
    moved = _rounds(timing, fabric, root, first, attend)
    stages += moved
    stages[-1] = replace(stages[-1], passes=stages[-1].passes + tuple(range(1, before)))
    if moved:
        stages[-1] = replace(stages[-1], kind=STORE)
    stages.append(Stage(ATTENTION, "attention"))
    stages += _rounds(timing, fabric, root, attend, output)
    stages[-1] = replace(stages[-1], passes=(before,))
    # Sharded norms come before the shares are gathered, replicated ones after.
    normed = output + 1 if first else end
    stages += _rounds(timing, fabric, root, output, normed)
    norms_s = timing.nonlinear_s * (1.0 - timing.gating_share)
    last = len(timing.passes) - 1
    stages.append(Stage(VEX, "norms and residuals", norms_s + timing.startup_s))
    stages += _rounds(timing, fabric, root, normed, end)
    stages[-1] = replace(stages[-1], passes=tuple(range(before + 1, last)))
    stages.append(Stage(VEX, "gating", timing.nonlinear_s - norms_s + timing.startup_s, passes=(last,)))
    return stages + _rounds(timing, fabric, root, end, len(names))


def compile_stages(timing: Timing, fabric: Fabric, classes: LinkClasses) -> tuple[list[list[Stage]], list[list[Step]]]:
    """Return (stages, steps) of a layer by row of the token's keys and values.

    Link classes are split again and keep the history of `classes`.
    """
    stages = [layer_stages(timing, fabric, root) for root in range(timing.rows)]
    classes.refine(fabric, [[stage.part for stage in row if stage.part] for row in stages])
    return stages, [[_step(stage, timing, classes) for stage in row] for row in stages]


def round_means(stages: list[Stage], fabric: Fabric) -> tuple[float, float, int]:
    """Return (seconds of a column link, of a row link, messages) of one layer, means over the links of an axis."""
    seconds, messages = {"column": 0.0, "row": 0.0}, 0
    for stage in stages:
        for link, busy in (stage.part or {}).items():
            alike = len(fabric.members(link))
            seconds[link[0]] += alike * busy
            messages += alike
    column, row = (seconds[axis] / max(fabric.count(axis), 1) for axis in ("column", "row"))
    return column, row, messages


def _step(stage: Stage, timing: Timing, classes: LinkClasses) -> Step:
    if stage.part:
        return stage.kind, classes.work(stage.part), timing.link_latency_s, stage.passes, stage.what
    return stage.kind, () if stage.kind == START else stage.seconds, 0.0, stage.passes, stage.what


def _passes(model: LLMSpec, design: HardwiredDesign, technology: Technology) -> tuple[tuple[Pass, ...], Pass]:
    """Return the passes of a layer, and that of the unembedding; passes of one depth run in parallel."""
    fmt = array_format(design, technology)
    slowest: dict[int, Pass] = {}
    for matrix in matrices(model, design.rows, design.columns, design.pipeline_stages):
        cycles = pass_cycles(matrix, design, technology, fmt)
        one = Pass(float(cycles) / design.clock_hz, matrix.name)
        beside = slowest.get(matrix.depth, Pass(0.0, ""))
        names = f"{beside.names}, {one.names}" if beside.names else one.names
        slowest[matrix.depth] = Pass(max(one.latency_s, beside.latency_s), names)
    *chain, last = (slowest[depth] for depth in sorted(slowest))
    return tuple(chain), last


def _rounds(timing: Timing, fabric: Fabric, root: int, start: int, stop: int) -> list[Stage]:
    return [
        Stage(LINKS, exchange.name, part=part)
        for exchange in timing.exchanges[start:stop]
        for part in fabric.rounds(exchange, root)
    ]
