"""The effect of broken wires on a real language model, and the yield that a hardwired chip then needs.

The HNLPU paper (ASPLOS '26, doi 10.1145/3779212.3790169) argues that yield hardly matters to cost, down to 1 %. Two
figures decide it: the cost of a chip at a yield of 1 %, and the share of chips with defects that still work.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

import hwsim
import models
from costmodel import yields
from explorer.inference.text import real_text
from explorer.pricing.economics import PAPER_MODEL, cost
from explorer.progress import Report
from explorer.wiring.survey import mxfp4_codes, weights_from_codes
from hwbase import InputError, Record
from hwbase.check import integer
from hwsim import wiring
from hwsim.mapping import matrices as mapped_matrices
from models import inference

#: Tolerated growth of perplexity: one hundredth.
ALLOWED_RATIO = 1.01
SEEDS = (0, 1)
#: Tokens of text that a fault study scores.
DEFAULT_TOKENS = 1024
#: The yield at which the HNLPU paper still finds the cost acceptable.
PAPER_YIELD = 0.01
#: Numbers of systems that are priced: the paper's two cases.
VOLUMES = (1, 50)
#: Number of matrices whose heaviest wire is broken on purpose.
_CRITICAL = 3


@dataclass(frozen=True, eq=False)
class FaultStudy(Record):
    """Perplexity under faults, and the tolerable defects of a chip.

    `curve`: `hwsim.wiring.measure_over_faults`; `critical`: `critical_faults`; `tolerance`: `tolerable_defects` at the
    rates where perplexity has grown by `allowed_ratio`; `costs`: `cost_over_yield`. `text` names the text.
    """

    text: str
    tokens: int
    window: int
    seeds: tuple[int, ...]
    allowed_ratio: float
    curve: pd.DataFrame
    critical: pd.DataFrame
    tolerance: pd.DataFrame
    costs: pd.DataFrame


def scored_text(vocabulary: inference.Vocabulary, tokens: int = DEFAULT_TOKENS) -> tuple[str, list[int]]:
    """Return (source, ids of `tokens` + 1 tokens) of `explorer.inference.perplexity.real_text`.

    The first token is not scored. Raises `InputError` unless `tokens` is positive and within the text.
    """
    length = integer("tokens", tokens, high=1e9) + 1
    source, content = real_text()
    ids = inference.Tokenizer(vocabulary).encode(content)
    if len(ids) < length:
        raise InputError(f"tokens = {length - 1:,}: expected at most {len(ids) - 1:,}, the text has no more")
    return source, ids[:length]


def fault_study(
    weights: inference.Weights,
    text: tuple[str, Sequence[int]],
    technology: hwsim.Technology,
    *,
    window: int = inference.DEFAULT_WINDOW,
    rates: Sequence[float] = wiring.FAULT_RATES,
    seeds: Sequence[int] = SEEDS,
    report: Report | None = None,
) -> FaultStudy:
    """Return the fault study of a network on a `text`: (source, token ids), as from `scored_text`.

    One measurement takes about five seconds for SmolLM2-135M and 1,024 tokens; there are 4 kinds x rates x seeds, and
    about ten more. `report` receives the progress. The chip is HNLPU's for gpt-oss-120b, to which the rates of this
    model are applied. Raises `InputError` for tokens that the network cannot read, or rates outside [0, 1].
    """
    source, ids = text
    reading = min(window, weights.config.context)

    def progress(name: str) -> Callable[[int, int], None] | None:
        return None if report is None else lambda done, total: report(name, done, total)

    options: dict[str, Any] = {"rates": rates, "seeds": seeds, "progress": progress("perplexity under faults")}
    curve = perplexity_over_faults(weights, ids, reading, **options)
    critical = critical_faults(weights, ids, reading, progress=progress("heaviest wires"))
    rate = wiring.tolerable_rates(curve, ALLOWED_RATIO)
    tolerance = tolerable_defects(rate, models.load(PAPER_MODEL), hwsim.load_design(), technology)
    costs = cost_over_yield(float(tolerance["d0_at_1_percent"].iloc[0]))
    frames = {"curve": curve, "critical": critical, "tolerance": tolerance, "costs": costs}
    return FaultStudy(source, len(ids) - 1, reading, tuple(seeds), ALLOWED_RATIO, **frames)


def perplexity_over_faults(
    weights: inference.Weights,
    tokens: Sequence[int] | np.ndarray,
    window: int = inference.DEFAULT_WINDOW,
    **options: Any,
) -> pd.DataFrame:
    """Return `hwsim.wiring.measure_over_faults` of a network's perplexity on a text of token ids (tokens,).

    All matrices, head included, are MXFP4 codes on faulty neurons; activations are float32; embedding and norms are
    intact. `options` (kinds, rates, seeds, progress) are passed on. Raises `InputError` for tokens that the network
    cannot read.
    """
    coded = {name: mxfp4_codes(matrix) for name, matrix in weights.matrices().items()}

    def measure(codes: Mapping[str, np.ndarray]) -> float:
        matrices = {name: weights_from_codes(codes_of, coded[name][1]) for name, codes_of in codes.items()}
        return _perplexity(weights, matrices, tokens, window)

    return wiring.measure_over_faults(measure, {name: codes for name, (codes, _) in coded.items()}, **options)


def critical_faults(
    weights: inference.Weights,
    tokens: Sequence[int] | np.ndarray,
    window: int = inference.DEFAULT_WINDOW,
    most: int = _CRITICAL,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Return the effect of single faults in critical places: a row per fault, three for each of `most` matrices.

    A wire's load is |weight| x the largest |activation| on this text, over the median of its matrix. In the matrices
    with the heaviest wires (head left out), that wire, its input net and its neuron are broken, one at a time. Columns:
    kind, matrix, input, output (-1: all), load, value (perplexity), ratio (to the value without faults).
    """
    matrices = {name: weights_from_codes(*mxfp4_codes(matrix)) for name, matrix in weights.matrices().items()}
    plain = inference.FloatLinear(matrices)
    largest: dict[str, np.ndarray] = {}

    def watched(name: str, x: np.ndarray, position: int) -> np.ndarray:
        most = np.abs(x).max(axis=0)
        largest[name] = np.maximum(largest.get(name, most), most)
        return plain(name, x, position)

    perfect = inference.perplexity(inference.Transformer(weights, watched), tokens, window=window).value
    heaviest = []
    for name, matrix in matrices.items():
        if name != inference.HEAD:
            loads = np.abs(matrix) * largest[name]
            output, input_ = divmod(int(loads.argmax()), loads.shape[1])
            median = float(np.median(loads))
            heaviest.append((float(loads.max()) / median if median > 0.0 else 0.0, name, output, input_))
    heaviest.sort(reverse=True)
    rows = []
    for load, name, output, input_ in heaviest[:most]:
        broken: dict[str, Any] = {
            "wire": (output, input_),
            "input": (slice(None), input_),
            "neuron": (output, slice(None)),
        }
        for kind, place in broken.items():
            matrix = matrices[name].copy()
            matrix[place] = 0.0
            value = _perplexity(weights, matrices | {name: matrix}, tokens, window)
            where = {"input": -1 if kind == "neuron" else input_, "output": -1 if kind == "input" else output}
            rows.append({"kind": kind, "matrix": name, **where, "load": load, "value": value, "ratio": value / perfect})
            if progress is not None:
                progress(len(rows), len(broken) * min(most, len(heaviest)))
    return pd.DataFrame(rows)


def tolerable_defects(
    rates: Mapping[str, float],
    model: Any,
    design: hwsim.HardwiredDesign,
    technology: hwsim.Technology,
    d0_per_cm2: float = 0.11,
) -> pd.DataFrame:
    """Return the tolerable defects of a chip: a row per kind of fault, assuming that every defect is of this kind.

    Columns: kind, tolerable_rate, units_per_chip (wires, input nets, regions or neurons), tolerable_faults (per chip),
    d0_tolerable_per_cm2 (the density at which the HN array has that many defects), expected_faults (at `d0_per_cm2`),
    yield_all (every block without defects), yield_rest (no defects outside the HN array), d0_at_1_percent (where
    yield_all is 1 %), rest_at_1_percent (yield_rest there) and faults_at_1_percent (expected in the HN array there).
    Yields by Murphy's formula, as in the paper.
    """
    chip = hwsim.build_chip(model, design, technology)
    area, array = float(chip.area_mm2), float(chip.block("HN array").area_mm2)
    rest = area - array
    worst = brentq(lambda d0: float(yields.murphy(area, d0)) - PAPER_YIELD, 1e-6, 1e3)
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
                "faults_at_1_percent": array / 100.0 * worst,
            }
        )
    return pd.DataFrame(rows)


def cost_over_yield(d0_at_1_percent: float, volumes: Sequence[int] = VOLUMES) -> pd.DataFrame:
    """Return the cost of HNLPU for gpt-oss-120b at its usual defect density and at one with 1 % good chips.

    Corrected conventions, nominal prices. Columns: volume, d0_per_cm2, die_yield, system_usd (recurring, one system),
    tco_usd, growth (of the TCO against the usual density), tco_ratio (of matching GPUs to it).
    """
    rows = []
    for volume in volumes:
        usual = None
        for constants in ({}, {"n5.d0_per_cm2": d0_at_1_percent}):
            result = cost(PAPER_MODEL, volume=volume, convention="corrected", set=constants).comparison.nominal
            tco = float(result.hardwired.total_usd)
            usual = tco if usual is None else usual
            rows.append(
                {
                    "volume": volume,
                    "d0_per_cm2": constants.get(
                        "n5.d0_per_cm2", float(result.bill.assumptions["n5.d0_per_cm2"].nominal)
                    ),
                    "die_yield": float(result.bill.die_yield),
                    "system_usd": float(result.bill.system_usd),
                    "tco_usd": tco,
                    "growth": tco / usual - 1.0,
                    "tco_ratio": float(result.tco_ratio),
                }
            )
    return pd.DataFrame(rows)


def _perplexity(
    weights: inference.Weights, matrices: Mapping[str, np.ndarray], tokens: Sequence[int] | np.ndarray, window: int
) -> float:
    machine = inference.Transformer(weights, inference.FloatLinear(matrices))
    return inference.perplexity(machine, tokens, window=window).value
