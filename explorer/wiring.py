"""Studies of the wiring of a real model: histograms, slack, tracks, and how many defects a chip of it bears.

A study takes weights as an iterable of (name, float array (outputs, inputs)), so that any model will do, and returns
data frames. Weights are quantised to MXFP4, as the HNLPU paper's model is (ASPLOS '26, doi 10.1145/3779212.3790169).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

import hwsim
from costmodel import yields
from hwbase import InputError
from hwsim import wiring
from hwsim.kernels.planes import HALVES
from hwsim.kernels.quantised import quantise
from hwsim.mapping import matrices as mapped_matrices
from models import inference

Weights = Iterable[tuple[str, np.ndarray]]


@dataclass
class Survey:
    """What wiring needs to know of each matrix: region counts int32 (14, outputs), also by cluster, and scales.

    `clusters[size][name]` is (14, clusters, outputs); `octaves[name]` (outputs,) is what the block scales of a neuron
    span.
    """

    histograms: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: dict[str, int] = field(default_factory=dict)
    octaves: dict[str, np.ndarray] = field(default_factory=dict)
    clusters: dict[int, dict[str, np.ndarray]] = field(default_factory=dict)

    def of_size(self, inputs: int, cluster: int | None = None) -> np.ndarray:
        """Return the counts of all neurons with `inputs` inputs side by side; raises `InputError` if there are none."""
        source = self.histograms if cluster is None else self.clusters.get(cluster, {})
        found = [source[name] for name, n in self.inputs.items() if n == inputs and name in source]
        if not found:
            raise InputError(f"no neurons of {inputs} inputs with cluster {cluster}: expected one of {self.sizes}")
        return np.concatenate(found, axis=-1)

    @property
    def sizes(self) -> list[int]:
        """Inputs of the neurons there are, ascending."""
        return sorted(set(self.inputs.values()))


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


def perplexity_over_faults(
    weights: inference.Weights,
    tokens: Sequence[int] | np.ndarray,
    window: int = inference.DEFAULT_WINDOW,
    **options: Any,
) -> pd.DataFrame:
    """Return `hwsim.wiring.measure_over_faults` of a network's perplexity on a text of token ids (tokens,).

    All matrices, head included, are MXFP4 codes on faulty neurons; activations are float32, embedding and norms intact.
    `options` (kinds, rates, seeds) go to it. Raises `InputError` for tokens that the network cannot read.
    """
    coded = {name: mxfp4_codes(weights.matrix(name)) for name in weights.config.linear_shapes()}

    def measure(codes: Mapping[str, np.ndarray]) -> float:
        matrices = {name: weights_from_codes(given, coded[name][1]) for name, given in codes.items()}
        machine = inference.Transformer(weights, inference.FloatLinear(matrices))
        return inference.perplexity(machine, tokens, window=window).value

    return wiring.measure_over_faults(measure, {name: codes for name, (codes, _) in coded.items()}, **options)


def survey(weights: Weights, clusters: Sequence[int] = ()) -> Survey:
    """Return the region histograms of every matrix, whole and in `clusters` of so many inputs."""
    result = Survey(clusters={size: {} for size in clusters})
    for name, matrix in weights:
        codes, exponents = mxfp4_codes(matrix)
        result.histograms[name] = wiring.region_histogram(codes)
        result.inputs[name] = codes.shape[0]
        result.octaves[name] = wiring.scale_octaves(exponents)
        for size in clusters:
            result.clusters[size][name] = wiring.cluster_histogram(codes, size)
    if not result.histograms:
        raise InputError("no weights: expected at least one matrix")
    return result


def histogram_frame(found: Survey) -> pd.DataFrame:
    """Return a row per matrix: matrix, inputs, outputs, zero_share, the mean share of each region by its weight,
    widest_dispersion (of the region whose counts vary most, over chance), and octaves_median and octaves_max."""
    rows = []
    for name, counts in found.histograms.items():
        shares = wiring.region_shares(counts, found.inputs[name])
        row: dict[str, Any] = {"matrix": name, "inputs": found.inputs[name], "outputs": counts.shape[1]}
        row["zero_share"] = 1.0 - shares.sum()
        row |= {wiring.region_name(r): shares[r] for r in range(wiring.REGIONS)}
        row["widest_dispersion"] = wiring.overdispersion(counts, found.inputs[name]).max()
        row["octaves_median"] = float(np.median(found.octaves[name]))
        row["octaves_max"] = int(found.octaves[name].max())
        rows.append(row)
    return pd.DataFrame(rows)


def slack_frame(
    found: Survey, technology: hwsim.Technology, slice_ports: Sequence[int] = (0, 4, 8, 16), **options: Any
) -> pd.DataFrame:
    """Return `hwsim.wiring.slack_table` for every size of neuron, one below the other; `options` go to it."""
    tables = []
    for n in found.sizes:
        counts = found.of_size(n)
        fmt = wiring.measured_format(wiring.region_shares(counts, n))
        tables.append(wiring.slack_table(counts, n, fmt, technology, slice_ports=slice_ports, **options))
    return pd.concat(tables, ignore_index=True)


def routing_frame(
    codes: Any,
    technology: hwsim.Technology,
    designs: Sequence[tuple[int, int]] = ((0, 0), (0, 8), (96, 0), (96, 8)),
    fit_share: float = 1.0,
    area_um2_per_weight: float | None = None,
) -> pd.DataFrame:
    """Return a row per design: what its wires take of the tracks of M8 to M11 on actual plans of `codes`.

    A design is (cluster, slice_ports), 0 for a whole neuron and for fixed regions; its silicon is the least in which
    `fit_share` of the clusters fit, and those neurons alone are routed. The area of a weight is that of
    `hwsim.metal_embedding` at this slack, unless given. Columns: inputs (of a cluster), slice_ports, slack,
    area_um2_per_weight, tile_width_um, tile_height_um, wire_um_per_weight, branch_um_per_weight, count_um_per_weight,
    steiner_um_per_weight and steiner_utilisation (`hwsim.routing_demand` at the same area), wires_per_mm2_per_layer,
    utilisation (1: every track full), average_wire_ff (pin to port, wire alone).
    """
    whole = np.asarray(codes)
    rows = []
    for cluster, slice_ports in designs:
        size = cluster or whole.shape[0]
        parts = wiring.split_clusters(whole, size)
        counts = wiring.region_histogram(parts)
        need = wiring.slack_needed(counts, size, fit_share, slice_ports=slice_ports)
        fmt = wiring.measured_format(wiring.region_shares(counts, size))
        cost = hwsim.metal_embedding(whole.shape[0], 1024, fmt, technology, slack=max(need.slack, 0.0))
        area = float(cost.area_mm2 / cost.weights * 1e6) if area_um2_per_weight is None else area_um2_per_weight
        plan = wiring.embed(parts[:, need.silicon.fits(counts)], need.silicon)
        tile = wiring.balanced_tile(plan, size * area)
        routed = wiring.tile_routing(plan, tile, technology)
        steiner = hwsim.routing_demand(size, area, technology)
        rows.append(
            {
                "inputs": size,
                "slice_ports": slice_ports,
                "slack": need.slack,
                "area_um2_per_weight": area,
                "tile_width_um": tile.width_um,
                "tile_height_um": tile.height_um,
                "wire_um_per_weight": routed.wire_um_per_weight,
                "branch_um_per_weight": routed.branch_um_per_weight,
                "count_um_per_weight": routed.count_um_per_weight,
                "steiner_um_per_weight": float(steiner.wire_um_per_weight),
                "steiner_utilisation": float(steiner.utilisation),
                "wires_per_mm2_per_layer": routed.wires_per_mm2_per_layer,
                "utilisation": routed.utilisation,
                "average_wire_ff": float(routed.pin_to_port_um * technology.wire_capacitance_f_per_um * 1e15),
            }
        )
    return pd.DataFrame(rows)


def tolerable_defects(
    rates: Mapping[str, float],
    model: Any,
    design: hwsim.HardwiredDesign,
    technology: hwsim.Technology,
    d0_per_cm2: float = 0.11,
) -> pd.DataFrame:
    """Return what tolerated faults mean for a chip: a row per kind, every defect in the HN array being of this kind.

    Columns: kind, tolerable_rate, units_per_chip (wires, input nets, regions or neurons), tolerable_faults (per chip),
    d0_tolerable_per_cm2 (at which the HN array has so many defects), expected_faults (at `d0_per_cm2`), yield_all
    (every block must be perfect), yield_rest (the HN array may have defects, the rest may not), d0_at_1_percent (where
    yield_all is 1 %) and rest_at_1_percent (yield_rest there). Yields by Murphy, as the paper's.
    """
    chip = hwsim.build_chip(model, design, technology)
    area, array = float(chip.area_mm2), float(chip.block("HN array").area_mm2)
    rest = area - array
    worst = brentq(lambda d0: float(yields.murphy(area, d0)) - 0.01, 1e-6, 1e3)
    units = dict.fromkeys(wiring.FAULT_KINDS, 0.0)
    for matrix in mapped_matrices(model, design.rows, design.columns):
        each = float(matrix.copies * matrix.layers)
        units["wire"] += each * float(matrix.inputs * matrix.outputs)
        units["input"] += each * float(matrix.inputs)
        units["neuron"] += each * float(matrix.outputs)
    units["region_zero"] = units["neuron"] * wiring.REGIONS
    rows = []
    for kind, rate in rates.items():
        faults = rate * units[kind]
        rows.append(
            {
                "kind": kind,
                "tolerable_rate": rate,
                "units_per_chip": units[kind],
                "tolerable_faults": faults,
                "d0_tolerable_per_cm2": faults / (array / 100.0),
                "expected_faults": array / 100.0 * d0_per_cm2,
                "yield_all": float(yields.murphy(area, d0_per_cm2)),
                "yield_rest": float(yields.murphy(rest, d0_per_cm2)),
                "d0_at_1_percent": worst,
                "rest_at_1_percent": float(yields.murphy(rest, worst)),
            }
        )
    return pd.DataFrame(rows)
