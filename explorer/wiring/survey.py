"""Surveys of the wiring of a real model as data frames: its neurons' regions, slices and tracks.

A survey takes weights as an iterable of (name, float array (outputs, inputs)), so any model will do. Weights are
quantised to MXFP4, as in the HNLPU paper (ASPLOS '26, doi 10.1145/3779212.3790169). Where a model has narrower neurons
than the chip, stand-ins of the chip's length are cut from its neurons laid end to end.
"""

from collections.abc import Iterable, Iterator, Sequence
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

#: Inputs of gpt-oss-120b's neurons (its hidden size, model card), which the HNLPU paper hardwires.
STAND_IN_INPUTS = 2880
#: Stand-ins of each matrix whose codes a survey keeps for routing.
_SAMPLED = 1
#: Ports of a slice that tables compare; 0 means fixed regions.
SLICE_PORTS = (0, 4, 8, 16)
#: Inputs of the clusters that a neuron is split into for shorter wires; whole blocks of 32.
CLUSTERS = (2880, 1440, 960, 576, 480, 320, 256, 224, 192, 160, 128, 96, 64)


@dataclass(frozen=True, eq=False)
class Survey:
    """The wiring data of each matrix, by name, in blocks of 32 inputs; a last, shorter block counts as one.

    `blocks` uint8 (14, blocks, outputs): inputs per region. `exponents` int16 (blocks, outputs): log2 of scales; a
    block of zeros has its neuron's smallest. `inputs`: of each neuron. `sample` uint8 (inputs, neurons): the codes of a
    few stand-ins of `stand_in_inputs` inputs from every matrix.
    """

    blocks: dict[str, np.ndarray]
    exponents: dict[str, np.ndarray]
    inputs: dict[str, int]
    sample: np.ndarray
    stand_in_inputs: int

    @property
    def sizes(self) -> list[int]:
        """Sizes of the neurons in inputs, ascending."""
        return sorted(set(self.inputs.values()))

    @property
    def weights(self) -> int:
        """Weights in all matrices."""
        return sum(self.inputs[name] * blocks.shape[2] for name, blocks in self.blocks.items())

    def of_size(self, inputs: int) -> np.ndarray:
        """Return the counts (14, outputs) of all neurons with `inputs` inputs, side by side.

        Raises `InputError` if there are none.
        """
        histograms = [self.histogram(name) for name, n in self.inputs.items() if n == inputs]
        if not histograms:
            raise InputError(f"no neurons of {inputs} inputs: expected one of {self.sizes}")
        return np.concatenate(histograms, axis=1)

    def histogram(self, name: str) -> np.ndarray:
        """Return the counts (14, outputs) of one matrix."""
        return self.blocks[name].sum(axis=1, dtype=np.int32)

    def stand_ins(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (counts (14, blocks, neurons), exponents (blocks, neurons)) of all stand-ins.

        Raises `InputError` where no matrix has enough weights in whole blocks.
        """
        length = self.stand_in_inputs // wiring.BLOCK
        names = [name for name, n in self.inputs.items() if n % wiring.BLOCK == 0]
        counts = [wiring.join_neurons(self.blocks[name], length) for name in names]
        exponents = [wiring.join_neurons(self.exponents[name], length) for name in names]
        if not any(count.shape[-1] for count in counts):
            raise InputError(
                f"no matrix has the weights of a neuron of {self.stand_in_inputs:,} inputs: expected at least as many "
                "in one"
            )
        return np.concatenate(counts, axis=2), np.concatenate(exponents, axis=1)

    def alike(self) -> np.ndarray:
        """Return the counts (14, neurons) of stand-ins that repeat one real neuron.

        Nothing averages out in them: they are the other extreme of a model with wider neurons.
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
    """Return the weights, float32 (outputs, inputs), of MXFP4 codes and scale exponents from `mxfp4_codes`."""
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


def histogram_frame(measured: Survey) -> pd.DataFrame:
    """Return a row per matrix.

    Columns: matrix, inputs, outputs, zero_share, the mean share of each region by its weight, widest_dispersion (of the
    region whose counts vary most, against chance), octaves_median and octaves_max.
    """
    rows = []
    for name, n in measured.inputs.items():
        counts = measured.histogram(name)
        shares, octaves = wiring.region_shares(counts, n), wiring.scale_octaves(measured.exponents[name])
        row: dict[str, Any] = {"matrix": name, "inputs": n, "outputs": counts.shape[1]}
        row["zero_share"] = 1.0 - shares.sum()
        row |= {wiring.region_name(r): shares[r] for r in range(wiring.REGIONS)}
        row["widest_dispersion"] = wiring.overdispersion(counts, n).max()
        row["octaves_median"] = float(np.median(octaves))
        row["octaves_max"] = int(octaves.max())
        rows.append(row)
    return pd.DataFrame(rows)


def neuron_sets(measured: Survey) -> Iterator[tuple[str, int, np.ndarray]]:
    """Yield (kind, inputs, counts (14, neurons)): real neurons by size, then both kinds of stand-ins."""
    for n in measured.sizes:
        yield "real", n, measured.of_size(n)
    yield "joined", measured.stand_in_inputs, measured.stand_ins()[0].sum(axis=1, dtype=np.int32)
    yield "alike", measured.stand_in_inputs, measured.alike()


def slack_frame(
    measured: Survey, technology: hwsim.Technology, slice_ports: Sequence[int] = SLICE_PORTS, **options: Any
) -> pd.DataFrame:
    """Return `hwsim.wiring.slack_table` of each of `neuron_sets`, concatenated; `options` are passed on.

    The first column, neurons, is "real", "joined" (stand-ins of neighbours) or "alike" (one neuron repeated).
    """
    tables = []
    for kind, n, counts in neuron_sets(measured):
        fmt = wiring.measured_format(wiring.region_shares(counts, n))
        table = wiring.slack_table(counts, n, fmt, technology, slice_ports=slice_ports, **options)
        table.insert(0, "neurons", kind)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def scales_frame(measured: Survey, technology: hwsim.Technology, slice_ports: int = 8) -> pd.DataFrame:
    """Return a row per set of neurons: the regions for block scales if each scaled value has its own region.

    Columns: neurons, inputs, octaves_median, octaves_max (span of the scales of a neuron), regions (14 + 4 an octave,
    the same for all), slack (all neurons fit in slices of `slice_ports`), slack_unscaled (with 14 regions),
    transistors_per_weight and transistors_unscaled (at those slacks, by `hwsim.metal_embedding`).
    """
    joined, joined_exponents = measured.stand_ins()
    sets = [("real", n, *_side_by_side(measured, n)) for n in measured.sizes]
    rows = []
    for kind, n, counts, exponents in [*sets, ("joined", measured.stand_in_inputs, joined, joined_exponents)]:
        octaves = wiring.scale_octaves(exponents)
        most = int(octaves.max())
        scaled, bare = wiring.scaled_counts(counts, exponents, most), counts.sum(axis=1, dtype=np.int32)
        shares = wiring.region_shares(scaled, n)
        formats = wiring.scaled_format(shares, most), wiring.measured_format(wiring.region_shares(bare, n))
        slacks = [wiring.slack_needed(histogram, n, slice_ports=slice_ports).slack for histogram in (scaled, bare)]
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


def _side_by_side(measured: Survey, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    names = [name for name, n in measured.inputs.items() if n == inputs]
    counts = np.concatenate([measured.blocks[name] for name in names], axis=2)
    return counts, np.concatenate([measured.exponents[name] for name in names], axis=1)


def _spread(codes: np.ndarray, most: int) -> np.ndarray:
    """Return at most `most` columns, evenly spaced."""
    chosen = min(most, codes.shape[1])
    return codes[:, ((np.arange(chosen) + 0.5) * codes.shape[1] / max(chosen, 1)).astype(int)]
