"""The spread of a model's outputs over random constants: percentiles, tornado, Sobol indices, probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from explorer.documents.document import Document, Documented
from explorer.uncertainty.distributions import Distribution, Factor
from explorer.uncertainty.indices import sobol_indices
from hwbase import Correlation, Evidence, InputError, Quantity, Record, quantities_frame, unknown_name
from hwbase.arguments import checked
from hwbase.check import number, real

PERCENTILES = (5.0, 50.0, 95.0)


@dataclass(frozen=True)
class Probability(Record):
    """The share of draws in which a condition holds, with an interval of the given `confidence`."""

    what: str
    probability: float
    low: float
    high: float
    draws: int
    confidence: float = 0.95


@dataclass(frozen=True)
class Uncertainty(Documented):
    """Draws of the constants with their outputs.

    `inputs` and `outputs` have a row for each draw (NaN where a draw is infeasible); `reasons` has why points were left
    out; `ends` has the outputs at the nominal point and with one factor at an end of its range; `rows` has the terms of
    Sobol indices for each numeric output; `logs` are outputs whose indices are those of their logarithm.
    """

    factors: tuple[Factor, ...]
    distributions: dict[str, Distribution]
    quantities: dict[str, Quantity] = field(repr=False)
    correlations: tuple[Correlation, ...] = field(repr=False)
    samples: int = 0
    seed: int = 0
    inputs: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    outputs: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    reasons: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    ends: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    logs: tuple[str, ...] = ()
    rows: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    subject: Mapping[str, Any] = field(default_factory=dict)
    """The subject of the analysis, in words; empty for a plain function."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """The evidence of the outputs at the nominal point; empty for a plain function."""

    @property
    def names(self) -> list[str]:
        """Names of the numeric outputs."""
        return list(self.rows)

    @property
    def infeasible(self) -> int:
        """Number of infeasible draws."""
        return int(self.reasons["samples"].sum()) if len(self.reasons) else 0

    @property
    def nominal(self) -> dict[str, float]:
        """Outputs at the nominal point."""
        return {name: float(self.ends[name].iloc[0]) for name in self.names}

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each draw: the constants, then the outputs."""
        return pd.concat([self.inputs, self.outputs], axis=1)

    def percentiles(self, levels: tuple[float, ...] = PERCENTILES) -> pd.DataFrame:
        """Return a row for each output: output, nominal, mean, then p5, p50, p95 (or `levels`) over the draws."""
        shares = [real("percentile", level, low=0.0, high=100.0) for level in levels]
        rows = []
        for name in self.names:
            values = self._values(name)
            result = np.percentile(values, shares) if values.size else np.full(len(shares), np.nan)
            ranks = {f"p{share:g}": value for share, value in zip(shares, result.tolist(), strict=True)}
            mean = float(values.mean()) if values.size else np.nan
            rows.append({"output": name, "nominal": self.nominal[name], "mean": mean} | ranks)
        return pd.DataFrame(rows)

    def shares(self, output: str) -> dict[str, float]:
        """Return the share of each text of an output (such as the binding resource), largest first."""
        if output not in self.outputs or output in self.rows:
            raise unknown_name("text output", output, [str(name) for name in self.outputs if name not in self.rows])
        texts = self.outputs[output][self.outputs[output] != ""]
        return {str(text): float(share) for text, share in texts.value_counts(normalize=True).items()}

    def tornado(self, output: str) -> pd.DataFrame:
        """Return a row for each factor: name, low, high (the output at the factor's ends, all else nominal), swing.

        Correlated quantities go to their ends together, each in the direction of its correlation. Widest first.
        """
        self._known(output)
        turned = self.ends.iloc[1:].pivot(index="factor", columns="end", values=output)
        turned = turned.reindex([factor.name for factor in self.factors])[["low", "high"]]
        frame = turned.rename_axis("name", axis=0).rename_axis(None, axis=1).reset_index()
        frame["swing"] = (frame["high"] - frame["low"]).abs()
        return frame.sort_values("swing", ascending=False, kind="stable", ignore_index=True)

    def sobol(self, output: str, *, confidence: float = 0.95, resamples: int = 1000) -> pd.DataFrame:
        """Return first and total order indices of every factor with intervals (see `indices.sobol_indices`).

        They are those of the logarithm of an output in `logs`.
        """
        self._known(output)
        values = np.log(self.rows[output]) if output in self.logs else self.rows[output]
        return sobol_indices(
            [factor.name for factor in self.factors],
            values[0],
            values[1],
            values[2:],
            confidence=confidence,
            resamples=resamples,
            seed=self.seed,
        )

    def probability(self, output: str, above: float = 1.0, *, confidence: float = 0.95) -> Probability:
        """Return the share of draws in which `output` is larger than `above`.

        The interval is Wilson's, as if draws were independent; those of a Sobol sequence scatter less.
        Raises `InputError` for an output that does not exist, or if all draws are infeasible.
        """
        self._known(output)
        number("above", above, high=None)
        return chance(f"{output} > {above:g}", self._values(output) > above, confidence)

    def all_above(self, outputs: tuple[str, ...], above: float = 1.0, *, confidence: float = 0.95) -> Probability:
        """Return the share of draws in which all `outputs` are larger than `above` at once."""
        for output in outputs:
            self._known(output)
        frame = self.outputs[list(outputs)].dropna()
        return chance(f"{' and '.join(outputs)} > {above:g}", (frame > above).all(axis=1).to_numpy(), confidence)

    def convergence(self, output: str) -> pd.DataFrame:
        """Return percentiles of `output` over the first 16, 32, ... draws (a balanced sequence each)."""
        self._known(output)
        sizes = [2**power for power in range(4, self.samples.bit_length())]
        values = [self.outputs[output].iloc[:size].dropna() for size in sizes]
        ranks = [np.percentile(v, PERCENTILES) if len(v) else np.full(len(PERCENTILES), np.nan) for v in values]
        names = [f"p{share:g}" for share in PERCENTILES]
        return pd.DataFrame(ranks, columns=names).assign(samples=sizes)[["samples", *names]]

    def ranges(self) -> pd.DataFrame:
        """Return a row for each varied quantity: factor, low, nominal, high, shape, log, whole, and its source."""
        factor_of = {name: factor.name for factor in self.factors for name in factor.members}
        rows = []
        for name, spread in self.distributions.items():
            quantity = self.quantities[name]
            about = {"unit": quantity.unit, "kind": quantity.kind, "year": quantity.year, "source": quantity.source}
            rows.append({"name": name, "factor": factor_of.get(name, "")} | spread.to_dict() | about)
        return pd.DataFrame(rows)

    def sources(self) -> pd.DataFrame:
        """Return one row for each quantity, with its source."""
        return quantities_frame(self.quantities)

    def stated_correlations(self) -> pd.DataFrame:
        """Return the correlations among the varied quantities: between, rho, kind, source."""
        used = [c for c in self.correlations if all(name in self.distributions for name in c.between)]
        columns = ["between", "rho", "kind", "year", "source"]
        return pd.DataFrame([[" + ".join(c.between), c.rho, c.kind, c.year, c.source] for c in used], columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the findings without the draws, which are in `to_frame`."""
        texts = [str(name) for name in self.outputs if name not in self.rows]
        return {
            **self.subject,
            "samples": self.samples,
            "seed": self.seed,
            "infeasible": self.infeasible,
            "infeasible_reasons": self.reasons.to_dict(orient="records"),
            "percentiles": self.percentiles().to_dict(orient="records"),
            "shares": {name: self.shares(name) for name in texts},
            "evidence": dict(self.evidence),
            "constants": self.ranges().to_dict(orient="records"),
            "correlations": self.stated_correlations().to_dict(orient="records"),
        }

    def document(self, command: str = "") -> Document:
        """Return the result as a document."""
        from explorer.uncertainty.document import uncertainty_document

        return uncertainty_document(self, command)

    def _known(self, output: str) -> None:
        if output not in self.rows:
            raise unknown_name("output", output, self.rows)

    def _values(self, output: str) -> np.ndarray:
        values = self.outputs[output].to_numpy(dtype=float)
        return values[np.isfinite(values)]


@checked
def chance(what: str, holds: np.ndarray, confidence: float = 0.95) -> Probability:
    """Return the share of true values with Wilson's interval (J. Am. Stat. Assoc. 22, 1927). Raises `InputError`."""
    number("confidence", confidence, above=0.0, high=1.0)
    if holds.size == 0:
        raise InputError(f"{what}: all draws are infeasible: expected at least one feasible draw")
    test = stats.binomtest(int(holds.sum()), holds.size)
    interval = test.proportion_ci(confidence_level=confidence, method="wilson")
    return Probability(
        what, float(test.statistic), float(interval.low), float(interval.high), int(holds.size), confidence
    )
