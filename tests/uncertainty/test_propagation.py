"""Random constants through functions whose answer is known: moments, Sobol indices, probabilities, ends."""

import json
import sys

import numpy as np
import pytest
from SALib.analyze import sobol as salib_analyze
from SALib.sample import sobol as salib_sample
from scipy import stats

from explorer.uncertainty import chance, propagate, sobol_indices
from hwbase import Correlation, InputError, Quantity

A = np.array([3.0, 2.0, 1.0, 0.5])


def ranged(low, nominal, high, unit="1"):
    return Quantity(nominal, unit, "a source", "assumed", 2025, low, high)


def several(*ranges):
    return {f"x{place}": ranged(*range_) for place, range_ in enumerate(ranges)}


def linear(x):
    return {"y": sum(a * x[f"x{place}"] for place, a in enumerate(A))}


def ishigami(x):
    return {"y": np.sin(x["x0"]) + 7 * np.sin(x["x1"]) ** 2 + 0.1 * x["x2"] ** 4 * np.sin(x["x0"])}


ISHIGAMI = several(*[(-np.pi, 0.0, np.pi)] * 3)


def by_name(table):
    return table.set_index("name").sort_index()


# Against what is known exactly


@pytest.mark.slow
def test_a_sum_of_triangles():
    """Mean (a + b + c)/3 and variance (a2 + b2 + c2 - ab - ac - bc)/18 of each; indices are shares of the variance."""
    ranges = [(0.0, 1.0, 2.0), (-1.0, 2.0, 2.0), (5.0, 5.0, 8.0), (0.0, 0.3, 9.0)]
    found = propagate(linear, several(*ranges), samples=4096)
    mean = sum(a * sum(r) / 3 for a, r in zip(A, ranges, strict=True))
    parts = np.array(
        [
            a**2 * (r[0] ** 2 + r[1] ** 2 + r[2] ** 2 - r[0] * r[1] - r[0] * r[2] - r[1] * r[2]) / 18
            for a, r in zip(A, ranges, strict=True)
        ]
    )
    assert found.outputs["y"].mean() == pytest.approx(mean, rel=1e-4)
    assert found.outputs["y"].var() == pytest.approx(parts.sum(), rel=3e-3)
    assert found.nominal["y"] == pytest.approx(sum(a * r[1] for a, r in zip(A, ranges, strict=True)))
    indices = by_name(found.sobol("y"))
    for order in ("first", "total"):
        expected = parts / parts.sum()
        assert indices[order].to_numpy() == pytest.approx(expected, abs=0.02)
        assert ((indices[f"{order}_low"] <= expected) & (expected <= indices[f"{order}_high"])).all()


@pytest.mark.slow
def test_a_product_of_uniforms():
    """V = prod(m2 + v) - prod(m2); first order v_i/m_i2 x prod(m2)/V, total order v_i prod(m2 + v of the others)/V."""
    ranges = np.array([(1.0, 2.0), (1.0, 3.0), (0.5, 4.0)])
    quantities = several(*[(low, low, high) for low, high in ranges])
    found = propagate(lambda x: {"y": x["x0"] * x["x1"] * x["x2"]}, quantities, shape="uniform", samples=8192)
    m2, v = ranges.mean(axis=1) ** 2, (ranges[:, 1] - ranges[:, 0]) ** 2 / 12
    variance = np.prod(m2 + v) - np.prod(m2)
    assert found.outputs["y"].mean() == pytest.approx(np.sqrt(np.prod(m2)), rel=1e-4)
    assert found.outputs["y"].var() == pytest.approx(variance, rel=3e-3)
    indices = by_name(found.sobol("y"))
    assert indices["first"].to_numpy() == pytest.approx(v / m2 * np.prod(m2) / variance, abs=0.01)
    total = [v[i] * np.prod(np.delete(m2 + v, i)) / variance for i in range(3)]
    assert indices["total"].to_numpy() == pytest.approx(total, abs=0.01)


def test_the_logarithm_of_a_product_has_no_interactions():
    quantities = several(*[(1.0, 2.0, 3.0)] * 3)
    found = propagate(lambda x: {"y_ratio": x["x0"] * x["x1"] * x["x2"]}, quantities, samples=4096)
    indices = found.sobol("y_ratio")
    assert found.logs == ("y_ratio",)
    assert indices["first"].to_numpy() == pytest.approx(indices["total"].to_numpy(), abs=0.02)
    assert indices["total"].sum() == pytest.approx(1.0, abs=0.02)
    assert propagate(lambda x: {"y_ratio": x["x0"] - 2.0}, quantities, samples=64).logs == ()  # not positive
    assert propagate(lambda x: {"y": x["x0"]}, quantities, samples=64, log=["y"]).logs == ("y",)


@pytest.mark.slow
def test_ishigami():
    """Known exactly (Ishigami and Homma 1990): a = 7, b = 0.1."""
    found = by_name(propagate(ishigami, ISHIGAMI, shape="uniform", samples=8192).sobol("y"))
    v0, v1, v02 = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8, 0.1**2 * np.pi**8 * 8 / 225
    variance = v0 + v1 + v02
    assert found["first"].to_numpy() == pytest.approx(np.array([v0, v1, 0]) / variance, abs=0.012)
    assert found["total"].to_numpy() == pytest.approx(np.array([v0 + v02, v1, v02]) / variance, abs=0.012)


@pytest.mark.slow
def test_correlated_quantities_are_one_factor():
    """The variance of a sum holds twice the covariance, which for uniforms is 6/pi asin(rho/2)/12."""
    rho, quantities = 0.8, several((0, 0.5, 1), (0, 0.5, 1), (0, 0.5, 1))
    found = propagate(
        lambda x: {"y": x["x0"] + x["x1"] + x["x2"]},
        quantities,
        correlations=[Correlation(("x0", "x1"), rho, "why", "assumed", 2025)],
        shape="uniform",
        samples=8192,
    )
    pair = (2 + 2 * 6 / np.pi * np.arcsin(rho / 2)) / 12
    assert found.outputs["y"].var() == pytest.approx(pair + 1 / 12, rel=5e-3)
    indices = by_name(found.sobol("y"))
    assert list(indices.index) == ["x0 + x1", "x2"]
    assert indices["total"].to_numpy() == pytest.approx(np.array([pair, 1 / 12]) / (pair + 1 / 12), abs=0.01)
    assert list(found.stated_correlations()["rho"]) == [rho]


def test_percentiles_and_probabilities_of_a_normal_sum():
    """Twelve uniforms less six are nearly a standard normal."""
    quantities = several(*[(0, 0.5, 1)] * 12)
    found = propagate(lambda x: {"y": sum(x.values()) - 6.0}, quantities, shape="uniform", samples=16384)
    row = found.percentiles((5, 50, 95)).iloc[0]
    assert [row["p5"], row["p50"], row["p95"]] == pytest.approx(stats.norm.ppf([0.05, 0.5, 0.95]), abs=0.03)
    above = found.probability("y", above=1.0)
    assert above.low <= stats.norm.sf(1.0) + 0.003 and above.high >= stats.norm.sf(1.0) - 0.003
    assert above.low < above.probability < above.high


# Against SALib and SciPy


@pytest.mark.slow
def test_indices_agree_with_salib_within_their_intervals():
    problem = {"num_vars": 3, "names": ["x0", "x1", "x2"], "bounds": [[-np.pi, np.pi]] * 3}
    points = salib_sample.sample(problem, 4096, calc_second_order=False, seed=1)
    outputs = ishigami({f"x{i}": points[:, i] for i in range(3)})["y"]
    theirs = salib_analyze.analyze(problem, outputs, calc_second_order=False, num_resamples=200, seed=1)
    ours = by_name(propagate(ishigami, ISHIGAMI, shape="uniform", samples=4096).sobol("y"))
    for order, key in (("first", "S1"), ("total", "ST")):
        width = (ours[f"{order}_high"] - ours[f"{order}_low"]) / 2
        assert (abs(ours[order] - theirs[key]) <= width + theirs[f"{key}_conf"]).all()
        # Bootstraps of the same estimator are alike.
        assert width.to_numpy() == pytest.approx(theirs[f"{key}_conf"], rel=0.5)


def test_estimates_are_those_of_scipy():
    rng = np.random.default_rng(5)
    f_a, f_b, f_ab = rng.normal(size=256) + 40, rng.normal(size=256) + 40, rng.normal(size=(5, 256)) + 40
    found = by_name(sobol_indices([f"x{i}" for i in range(5)], f_a, f_b, f_ab, resamples=50))
    theirs = stats.sobol_indices(func={"f_A": f_a[None], "f_B": f_b[None], "f_AB": f_ab[:, None, :]}, n=256)
    assert found["first"].to_numpy() == pytest.approx(theirs.first_order, rel=1e-9)
    assert found["total"].to_numpy() == pytest.approx(theirs.total_order, rel=1e-9)


@pytest.mark.slow
def test_bootstrap_intervals_are_as_wide_as_the_scatter():
    """Of independent random samples: about nineteen of twenty intervals hold the exact index."""
    held = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a, b = rng.uniform(size=(2, 2, 512))
        f = [x[0] + 2 * x[1] for x in (a, b, np.stack([b[0], a[1]]), np.stack([a[0], b[1]]))]
        found = by_name(sobol_indices(["x0", "x1"], f[0], f[1], np.stack(f[2:]), seed=seed, resamples=300))
        exact = np.array([0.2, 0.8])
        held += [((found[f"{o}_low"] <= exact) & (exact <= found[f"{o}_high"])).to_numpy() for o in ("first", "total")]
    assert 0.88 <= np.mean(held) <= 0.99


# Ends and draws


def test_ends_of_ranges_are_exact():
    found = propagate(linear, several((0, 1, 2), (1, 1, 5), (2, 3, 3), (0.1, 1, 10)), samples=16)
    table = by_name(found.tornado("y"))
    at = 3 * 1 + 2 * 1 + 1 * 3 + 0.5 * 1
    assert found.nominal["y"] == at
    assert table["low"].to_numpy() == pytest.approx([at - 3, at, at - 1, at - 0.45])
    assert table["high"].to_numpy() == pytest.approx([at + 3, at + 8, at, at + 4.5])
    assert list(found.tornado("y")["name"]) == ["x1", "x0", "x3", "x2"]


def test_a_group_goes_to_its_ends_together():
    pairs = [Correlation(("x0", "x1"), -0.5, "why", "assumed", 2025)]
    found = propagate(linear, several(*[(0, 1, 2)] * 4), correlations=pairs, samples=16)
    row = by_name(found.tornado("y")).loc["x0 + x1"]
    at = found.nominal["y"]
    assert (row["low"], row["high"]) == (pytest.approx(at - 3 + 2), pytest.approx(at + 3 - 2))


def test_names_that_share_draws():
    """Each in its own range, at the same share of it; one factor moves both."""
    quantities = {"a": ranged(0, 1, 2), "b": ranged(10, 20, 30), "c": ranged(0, 1, 2)}
    found = propagate(lambda x: {"y": x["a"], "z": x["b"], "w": x["c"]}, quantities, together={"b": "a"}, samples=64)
    assert [f.name for f in found.factors] == ["a", "c"]
    assert found.inputs["b"].to_numpy() == pytest.approx(10 + 10 * found.inputs["a"].to_numpy())
    assert by_name(found.sobol("z"))["total"]["a"] == pytest.approx(1.0, abs=0.2)
    assert by_name(found.tornado("z")).loc["a", ["low", "high"]].tolist() == [10, 30]


def test_what_has_no_range_is_handed_over_as_a_number():
    seen = []

    def function(x):
        seen.append({name: np.ndim(value) for name, value in x.items()})
        return {"y": x["a"] * x["b"]}

    found = propagate(function, {"a": ranged(1, 2, 3), "b": Quantity(5.0, "1", "s", "assumed", 2025)}, samples=16)
    assert all(dimensions == {"a": 1, "b": 0} for dimensions in seen)
    assert list(found.inputs) == ["a"] and list(found.sources()["name"]) == ["a", "b"]


def test_draws_depend_on_the_seed_alone():
    runs = [propagate(linear, several(*[(0, 1, 2)] * 4), samples=64, seed=seed).to_frame() for seed in (1, 1, 2)]
    assert runs[0].equals(runs[1]) and not runs[0].equals(runs[2])
    assert list(runs[0]) == ["x0", "x1", "x2", "x3", "y"] and len(runs[0]) == 64


def test_chunks_do_not_show(monkeypatch):
    whole = propagate(ishigami, ISHIGAMI, samples=64)
    monkeypatch.setattr(sys.modules["explorer.uncertainty.propagate"], "CHUNK", 100)
    cut = propagate(ishigami, ISHIGAMI, samples=64)
    assert cut.sobol("y").equals(whole.sobol("y")) and cut.to_frame().equals(whole.to_frame())


def test_progress_reaches_one():
    told = []
    propagate(linear, several(*[(0, 1, 2)] * 4), samples=16, progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0


def test_percentiles_settle():
    table = propagate(linear, several(*[(0, 1, 2)] * 4), samples=4096).convergence("y")
    assert list(table["samples"]) == [2**power for power in range(4, 13)]
    error = abs(table["p50"] - table["p50"].iloc[-1]).to_numpy()
    assert error[:3].max() > error[-3:-1].max() and error[-2] < 0.02


# What cannot be


def partly(x):
    """Refuses a whole block that holds a point above 1.9, and fails quietly below 0.1."""
    if np.any(x["x0"] > 1.9):
        raise InputError(f"x0 = {np.max(x['x0']):.2f}: too large")
    return {"y": np.where(x["x0"] < 0.1, np.nan, x["x0"] + x["x1"]), "text": np.full(x["x0"].shape, "said")}


def test_points_that_cannot_be_are_counted_and_left_out():
    found = propagate(partly, several((0, 1, 2), (0, 1, 2)), samples=256, shape="uniform")
    bad = (found.inputs["x0"] > 1.9) | (found.inputs["x0"] < 0.1)
    assert found.infeasible == bad.sum() > 0
    assert found.outputs["y"].isna().equals(bad) and (found.outputs["text"][~bad] == "said").all()
    assert {reason.partition(" =")[0] for reason in found.reasons["reason"]} == {"x0", "y is not finite"}
    assert found.shares("text") == {"said": 1.0}
    assert found.percentiles()["p50"].notna().all() and found.probability("y").draws == 256 - bad.sum()
    indices = found.sobol("y")
    assert np.isfinite(indices.drop(columns="name").to_numpy()).all()
    ends = by_name(found.tornado("y"))
    assert ends.loc["x0", ["low", "high"]].isna().all() and ends.loc["x1"].notna().all()


def test_a_function_may_say_why():
    def function(x):
        why = np.where(x["x0"] > 1.5, "does not fit", None)
        return {"y": x["x0"], "failure": why}

    found = propagate(function, several((0, 1, 2)), samples=64)
    assert list(found.outputs) == ["y"] and list(found.reasons["reason"]) == ["does not fit"]
    assert found.infeasible == (found.inputs["x0"] > 1.5).sum()


def test_an_output_that_does_not_vary_has_no_indices():
    found = propagate(lambda x: {"y": 0.1 + 0.2 + 0 * x["x0"], "z": x["x0"]}, several((0, 1, 2)), samples=64)
    assert found.sobol("y").drop(columns="name").isna().all(axis=None)


def test_an_output_may_be_one_number():
    found = propagate(lambda x: {"y": 3, "z": x["x0"]}, several((0, 1, 2)), samples=16)
    assert (found.outputs["y"] == 3).all()


def test_a_nominal_point_that_cannot_be_is_an_error():
    def function(x):
        raise InputError("no such thing")

    with pytest.raises(InputError, match="the nominal point is infeasible: no such thing"):
        propagate(function, several((0, 1, 2)), samples=16)


def test_outputs_of_another_length_are_a_mistake_of_the_function():
    with pytest.raises(TypeError, match=r"output y has shape \(3,\)"):
        propagate(lambda x: {"y": [1, 2, 3]}, several((0, 1, 2)), samples=16)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"samples": 1000}, "samples = 1000: expected a power of two, such as 512 or 1024"),
        ({"samples": 8}, "samples = 8: expected a whole number >= 16"),
        ({"samples": 2**21}, "samples = 2097152"),
        ({"samples": 64.5}, "samples = 64.5"),
        ({"samples": float("nan")}, "samples = nan"),
        ({"seed": -1}, "seed = -1"),
        ({"shape": "bell"}, "unknown shape"),
        ({"together": {"x0": "x9"}}, "unknown quantity in together: 'x9'"),
        ({"together": {"x0": "x1", "x1": "x2"}}, "x0 shares the draws of x1, which has none of its own"),
    ],
)
def test_bad_options(options, said):
    with pytest.raises(InputError, match=said):
        propagate(linear, several(*[(0, 1, 2)] * 4), **options)


def test_no_ranges():
    with pytest.raises(InputError, match="none of the quantities has a range"):
        propagate(linear, several(*[(1, 1, 1)] * 4))
    with pytest.raises(InputError, match="none of the quantities has a range"):
        propagate(linear, {})


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda r: r.sobol("yy"), "did you mean 'y'"),
        (lambda r: r.tornado("zzz"), "unknown output 'zzz'"),
        (lambda r: r.probability("q"), "unknown output 'q'"),
        (lambda r: r.probability("y", above=np.nan), "above = nan"),
        (lambda r: r.probability("y", confidence=2), "confidence = 2"),
        (lambda r: r.all_above(("y", "q")), "unknown output 'q'"),
        (lambda r: r.sobol("y", confidence=0), "confidence = 0"),
        (lambda r: r.sobol("y", resamples=0), "resamples = 0"),
        (lambda r: r.percentiles((101,)), "percentile = 101"),
        (lambda r: r.shares("y"), "unknown text output 'y'"),
        (lambda r: r.convergence("q"), "unknown output 'q'"),
    ],
)
def test_bad_questions(call, said):
    found = propagate(linear, several(*[(0, 1, 2)] * 4), samples=16)
    with pytest.raises(InputError, match=said):
        call(found)


def test_blocks_that_do_not_fit():
    with pytest.raises(InputError, match=r"expected \(N,\), \(N,\), \(2, N\)"):
        sobol_indices(["a", "b"], np.ones(4), np.ones(4), np.ones((3, 4)))


@pytest.mark.parametrize(("true", "of"), [(0, 50), (50, 50), (25, 50), (1, 1)])
def test_chances_are_wilsons(true, of):
    found = chance("heads", np.arange(of) < true)
    z, p = stats.norm.ppf(0.975), true / of
    middle = (p + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * np.sqrt(p * (1 - p) / of + z**2 / (4 * of**2))
    assert (found.low, found.high) == (pytest.approx(middle - half, abs=1e-9), pytest.approx(middle + half, abs=1e-9))


def test_no_draw_no_chance():
    with pytest.raises(InputError, match="all draws are infeasible"):
        chance("heads", np.array([], dtype=bool))


def test_findings_as_json_and_html():
    found = propagate(partly, {**several((0, 1, 2), (0, 1, 2)), "<b>": ranged(1, 2, 3)}, samples=64)
    told = json.loads(found.to_json())
    assert {"samples", "seed", "infeasible", "infeasible_reasons", "percentiles", "shares", "constants"} <= told.keys()
    assert [row["name"] for row in told["constants"]] == ["x0", "x1", "<b>"]
    assert "<table" in found._repr_html_()
