"""Surveys of the wiring of a real model: what its neurons ask of regions, slices and tracks, as data frames.

A survey takes weights as an iterable of (name, float array (outputs, inputs)), so that any model will do. Weights are
quantised to MXFP4, as the HNLPU paper's model is (ASPLOS '26, doi 10.1145/3779212.3790169). A model with narrower
neurons than the chip's lends its weights to stand-ins: neurons of other lengths, cut from its own laid end to end.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import hwsim
from hwbase import InputError
from hwbase.check import integer
from hwsim import wiring
from hwsim.kernels.planes import HALVES
from hwsim.kernels.quantised import quantise

Weights = Iterable[tuple[str, np.ndarray]]
#: Called with (what is measured, done so far, to do).
Report = Callable[[str, int, int], None]

#: Inputs of gpt-oss-120b's neurons (its hidden size, model card), which the HNLPU paper hardwires.
STAND_IN_INPUTS = 2880
#: Stand-ins of each matrix whose codes a survey keeps, so that their wires can be routed.
_SAMPLED = 1
#: Ports of a slice that tables compare; 0 stands for regions that are fixed.
SLICE_PORTS = (0, 4, 8, 16)
#: Inputs of the clusters that a neuron is split into, for shorter wires; whole blocks of 32.
CLUSTERS = (2880, 1440, 960, 576, 480, 320, 256, 224, 192, 160, 128, 96, 64)


@dataclass(frozen=True, eq=False)
class Survey:
    """What wiring needs to know of each matrix, by name, in blocks of 32 inputs; a last, shorter block counts as one.

    `blocks` uint8 (14, blocks, outputs): inputs per region. `exponents` int16 (blocks, outputs): log2 of scales, a
    block of zeros taking its neuron's least. `inputs`: of each neuron. `sample` uint8 (inputs, neurons): the codes of
    a few stand-ins of `stand_in_inputs` inputs from every matrix.
    """

    blocks: dict[str, np.ndarray]
    exponents: dict[str, np.ndarray]
    inputs: dict[str, int]
    sample: np.ndarray
    stand_in_inputs: int

    @property
    def sizes(self) -> list[int]:
        """Inputs of the neurons there are, ascending."""
        return sorted(set(self.inputs.values()))

    @property
    def weights(self) -> int:
        """Weights in all matrices."""
        return sum(self.inputs[name] * blocks.shape[2] for name, blocks in self.blocks.items())

    def of_size(self, inputs: int) -> np.ndarray:
        """Return the counts (14, outputs) of all neurons with `inputs` inputs; raises `InputError` if there are none.

        Neurons of all matrices lie side by side.
        """
        found = [self.histogram(name) for name, n in self.inputs.items() if n == inputs]
        if not found:
            raise InputError(f"no neurons of {inputs} inputs: expected one of {self.sizes}")
        return np.concatenate(found, axis=1)

    def histogram(self, name: str) -> np.ndarray:
        """Return the counts (14, outputs) of one matrix."""
        return self.blocks[name].sum(axis=1, dtype=np.int32)

    def stand_ins(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (counts (14, blocks, neurons), exponents (blocks, neurons)) of all stand-ins.

        Raises `InputError` where no matrix holds enough weights in whole blocks.
        """
        length = self.stand_in_inputs // wiring.BLOCK
        names = [name for name, n in self.inputs.items() if n % wiring.BLOCK == 0]
        counts = [wiring.join_neurons(self.blocks[name], length) for name in names]
        exponents = [wiring.join_neurons(self.exponents[name], length) for name in names]
        if not any(found.shape[-1] for found in counts):
            raise InputError(
                f"no matrix makes a neuron of {self.stand_in_inputs:,} inputs: expected at least as many weights in one"
            )
        return np.concatenate(counts, axis=2), np.concatenate(exponents, axis=1)

    def alike(self) -> np.ndarray:
        """Return the counts (14, neurons) of stand-ins made of one real neuron over and over.

        In these nothing averages out: the other end of what a model with wider neurons may be like.
        """
        parts = [self.of_size(n) * (self.stand_in_inputs / n) for n in self.sizes]
        return np.rint(np.concatenate(parts, axis=1)).astype(np.int64)


def mxfp4_codes(weights: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return weights (outputs, inputs) as MXFP4: codes uint8 (inputs, outputs) and log2 of scales (blocks, outputs).

    Blocks of 32 lie along the inputs. Raises `InputError` for weights that are not finite.
    """
    quantised = quantise(np.asarray(weights), "mxfp4", axis=1)
    exponents = np.log2(quantised.scales).astype(np.int64)
    return np.ascontiguousarray(quantised.codes.T), np.ascontiguousarray(exponents.T)


def weights_from_codes(codes: Any, exponents: Any) -> np.ndarray:
    """Return the weights, float32 (outputs, inputs), that MXFP4 codes and scale exponents as `mxfp4_codes`'s mean."""
    halves = (HALVES.astype(np.float32) / np.float32(2.0)).take(codes)
    scales = np.exp2(exponents).astype(np.float32)
    return np.ascontiguousarray((halves * np.repeat(scales, wiring.BLOCK, axis=0)[: len(halves)]).T)


def survey(weights: Weights, stand_in_inputs: int = STAND_IN_INPUTS) -> Survey:
    """Return the region histograms and scales of every matrix, block by block, and the codes of a few stand-ins.

    Raises `InputError` if there are no weights, or for a length that is not whole blocks of 32.
    """
    length = integer("stand_in_inputs", stand_in_inputs)
    if length % wiring.BLOCK:
        raise InputError(f"stand_in_inputs = {length}: expected a multiple of {wiring.BLOCK}")
    blocks, exponents, inputs, sample = {}, {}, {}, []
    for name, matrix in weights:
        codes, scales = mxfp4_codes(matrix)
        blocks[name] = wiring.cluster_histogram(codes, wiring.BLOCK).astype(np.uint8)
        weightless = blocks[name].sum(axis=0) == 0
        least = np.where(weightless, np.iinfo(np.int16).max, scales).min(axis=0)
        exponents[name] = np.where(weightless, np.where(weightless.all(axis=0), 0, least), scales).astype(np.int16)
        inputs[name] = codes.shape[0]
        if codes.shape[0] % wiring.BLOCK == 0:
            sample.append(_spread(wiring.join_neurons(codes, length), _SAMPLED))
    if not blocks:
        raise InputError("no weights: expected at least one matrix")
    codes = np.concatenate(sample, axis=1) if sample else np.zeros((length, 0), np.uint8)
    return Survey(blocks, exponents, inputs, codes, length)


def histogram_frame(found: Survey) -> pd.DataFrame:
    """Return a row per matrix: matrix, inputs, outputs, zero_share, the mean share of each region by its weight,
    widest_dispersion (of the region whose counts vary most, over chance), and octaves_median and octaves_max."""
    rows = []
    for name, n in found.inputs.items():
        counts = found.histogram(name)
        shares, octaves = wiring.region_shares(counts, n), wiring.scale_octaves(found.exponents[name])
        row: dict[str, Any] = {"matrix": name, "inputs": n, "outputs": counts.shape[1]}
        row["zero_share"] = 1.0 - shares.sum()
        row |= {wiring.region_name(r): shares[r] for r in range(wiring.REGIONS)}
        row["widest_dispersion"] = wiring.overdispersion(counts, n).max()
        row["octaves_median"] = float(np.median(octaves))
        row["octaves_max"] = int(octaves.max())
        rows.append(row)
    return pd.DataFrame(rows)


def neuron_sets(found: Survey) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield (what the neurons are, inputs of each, counts (14, neurons)): real ones by size, then both stand-ins."""
    for n in found.sizes:
        yield "real", n, found.of_size(n)
    yield "joined", found.stand_in_inputs, found.stand_ins()[0].sum(axis=1, dtype=np.int32)
    yield "alike", found.stand_in_inputs, found.alike()


def slack_frame(
    found: Survey, technology: hwsim.Technology, slice_ports: Sequence[int] = SLICE_PORTS, **options: Any
) -> pd.DataFrame:
    """Return `hwsim.wiring.slack_table` for every one of `neuron_sets`, one below the other; `options` go to it.

    The first column, neurons, is "real", "joined" (stand-ins of neighbours) or "alike" (one neuron repeated).
    """
    tables = []
    for kind, n, counts in neuron_sets(found):
        fmt = wiring.measured_format(wiring.region_shares(counts, n))
        table = wiring.slack_table(counts, n, fmt, technology, slice_ports=slice_ports, **options)
        table.insert(0, "neurons", kind)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def scales_frame(found: Survey, technology: hwsim.Technology, slice_ports: int = 8) -> pd.DataFrame:
    """Return a row per set of neurons: the regions that block scales ask for, if each scaled value has its own.

    Columns: neurons, inputs, octaves_median, octaves_max (what the scales of a neuron span), regions (14 + 4 an octave,
    the same for all), slack (all neurons fit in slices of `slice_ports`), slack_unscaled (with 14 regions),
    transistors_per_weight and transistors_unscaled (at those slacks, by `hwsim.metal_embedding`).
    """
    joined, joined_exponents = found.stand_ins()
    sets = [("real", n, *_side_by_side(found, n)) for n in found.sizes]
    rows = []
    for kind, n, counts, exponents in [*sets, ("joined", found.stand_in_inputs, joined, joined_exponents)]:
        octaves = wiring.scale_octaves(exponents)
        most = int(octaves.max())
        scaled, bare = wiring.scaled_counts(counts, exponents, most), counts.sum(axis=1, dtype=np.int32)
        shares = wiring.region_shares(scaled, n)
        formats = wiring.scaled_format(shares, most), wiring.measured_format(wiring.region_shares(bare, n))
        slacks = [wiring.slack_needed(given, n, slice_ports=slice_ports).slack for given in (scaled, bare)]
        transistors = [
            float(hwsim.metal_embedding(n, wiring.OUTPUTS, fmt, technology, slack=slack).transistors_per_weight)
            for fmt, slack in zip(formats, slacks, strict=True)
        ]
        rows.append(
            {
                "neurons": kind,
                "inputs": n,
                "octaves_median": float(np.median(octaves)),
                "octaves_max": most,
                "regions": len(scaled),
                "slack": slacks[0],
                "slack_unscaled": slacks[1],
                "transistors_per_weight": transistors[0],
                "transistors_unscaled": transistors[1],
            }
        )
    return pd.DataFrame(rows)


def _side_by_side(found: Survey, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    names = [name for name, n in found.inputs.items() if n == inputs]
    counts = np.concatenate([found.blocks[name] for name in names], axis=2)
    return counts, np.concatenate([found.exponents[name] for name in names], axis=1)


def _spread(codes: np.ndarray, most: int) -> np.ndarray:
    """At most so many columns, evenly spread."""
    chosen = min(most, codes.shape[1])
    return codes[:, ((np.arange(chosen) + 0.5) * codes.shape[1] / max(chosen, 1)).astype(int)]
