"""A design space in one call: equal to one point after the other, and strict about what it is given."""

import dataclasses
import itertools

import numpy as np
import pytest

import costmodel
import hwsim
import models
from explorer import evaluate as call
from explorer.pricing.evaluate import evaluate
from explorer.pricing.prices import cost_book
from hwbase import InputError
from hwsim.simulation import hardwired

MODEL = "gpt-oss-120b"
BOOKS = {"corrected": "default", "as-published": "hnlpu-asplos26"}
COLUMNS = [
    "tokens_per_s",
    "latency_s",
    "energy_j_per_token",
    "bound_by",
    "chips",
    "die_area_mm2",
    "power_w",
    "masks_usd",
    "nre_usd",
    "tco_usd",
    "usd_per_million_tokens",
    "scope2_t",
    "scope3_t",
    "carbon_t",
    "kg_per_million_tokens",
]


def by_hand(spec, settings, cost_settings, *, context, volume, reading, convention):
    """One point, from the packages below: simulate, bill, fleet, carbon."""
    run = hwsim.simulate(spec, set=settings, context=context, reading=reading)
    design = hardwired(spec, set=settings)[0]
    conventions = costmodel.conventions.named(convention).switched(die_formula="de-vries")
    book = cost_book(BOOKS[convention]).override(cost_settings)
    chips, die = run.chips, run.area_mm2 / run.chips
    machine = {"chips": chips, "die_area_mm2": die, "hbm_gb_per_chip": design.hbm_bytes / 1e9}
    bill = costmodel.hardwired_bill(book, **machine, node="n5", conventions=conventions)
    chip_w = run.power_w / chips / design.power_overhead
    plug = costmodel.system_it_power_w(book, chips=chips, chip_power_w=chip_w, conventions=conventions)
    fleet = {"volume": volume, "system_power_w": plug, "tokens_per_s": run.tokens_per_s}
    tco = costmodel.tco(book, bill=bill, **fleet, conventions=conventions)
    carbon = costmodel.built_fleet(
        book,
        costmodel.System(**machine, chip_power_w=chip_w, node="n5"),
        volume=volume,
        tokens_per_s=run.tokens_per_s,
        card=costmodel.Device("h100", "n5"),
        conventions=conventions,
    ).carbon
    return {
        "tokens_per_s": run.tokens_per_s,
        "latency_s": run.latency_s,
        "energy_j_per_token": run.energy_j_per_token,
        "bound_by": run.bound_by,
        "chips": chips,
        "die_area_mm2": die,
        "power_w": run.power_w,
        "masks_usd": bill.masks_usd,
        "nre_usd": bill.nre_usd,
        "tco_usd": tco.total_usd,
        "usd_per_million_tokens": tco.usd_per_million_tokens,
        "scope2_t": carbon.scope2_t,
        "scope3_t": carbon.scope3_t,
        "carbon_t": carbon.total_t,
        "kg_per_million_tokens": carbon.total_t * 1e3 / carbon.million_tokens,
    }


@pytest.mark.slow
@pytest.mark.parametrize("convention", list(BOOKS))
@pytest.mark.parametrize("reading", hwsim.READINGS)
@pytest.mark.parametrize("name", [MODEL, "llama-3-8b", "deepseek-v3"])
def test_equals_one_point_after_the_other(name, reading, convention):
    random = np.random.default_rng(7)
    n = 6
    machine = {
        "link_bandwidth_bytes_per_s": random.uniform(3e10, 1e12, n),
        "logic_density_mtr_per_mm2": random.uniform(150, 400, n),
        "hbm_stacks": random.integers(1, 9, n),
        "buffer_banks": random.integers(1, 40_000, n),
        "clock_hz": random.uniform(5e8, 1.5e9, n),
    }
    costs = {"n5.d0_per_cm2": random.uniform(0.05, 0.3, n)}
    contexts, volumes = random.integers(1, 200_000, n), random.integers(1, 500, n)
    common = {"reading": reading, "convention": convention}
    frame = evaluate(name, {**machine, **costs}, context=contexts, volume=volumes, **common)
    assert len(frame) == n and list(frame.columns[-len(COLUMNS) :]) == COLUMNS
    assert set(frame.columns[: -len(COLUMNS)]) == {*machine, *costs, "context", "volume"}
    spec = models.load(name)
    for i in range(n):
        one = by_hand(
            spec,
            {key: values[i].item() for key, values in machine.items()},
            {key: values[i].item() for key, values in costs.items()},
            context=int(contexts[i]),
            volume=int(volumes[i]),
            **common,
        )
        for column in COLUMNS:
            found, expected = frame[column][i], one[column]
            assert found == (expected if column == "bound_by" else pytest.approx(expected, rel=1e-9, abs=0)), column


@pytest.mark.slow
@pytest.mark.parametrize("convention", list(BOOKS))
def test_the_gpus_beside_are_those_of_the_comparison(convention):
    """At each point's own prices: the same as `costmodel.compare` with a book that holds them."""
    random = np.random.default_rng(8)
    n, other = 5, costmodel.conventions.named(convention).beside
    machine = {"link_bandwidth_bytes_per_s": random.uniform(3e10, 1e12, n)}
    costs = {
        "electricity.usd_per_kwh": random.uniform(0.05, 0.2, n),
        f"{other}.tokens_per_s": random.uniform(500, 2000, n),
        f"{other}.node_price_usd": random.uniform(2e5, 4e5, n),
        "grid.us_g_per_kwh": random.uniform(20, 600, n),
    }
    volumes = random.integers(1, 500, n)
    frame = evaluate(MODEL, {**machine, **costs}, volume=volumes, convention=convention, beside="gpu")
    plain = evaluate(MODEL, {**machine, **costs}, volume=volumes, convention=convention)
    assert frame[plain.columns].equals(plain)
    conventions = costmodel.conventions.named(convention).switched(die_formula="de-vries")
    for i in range(n):
        link = {key: values[i].item() for key, values in machine.items()}
        run = hwsim.simulate(MODEL, set=link, reading="pipelined")
        design = hardwired(models.load(MODEL), set=link)[0]
        book = cost_book(BOOKS[convention], [other], models.load(MODEL)).override(
            {key: values[i].item() for key, values in costs.items()}
        )
        expected = costmodel.compare(
            book,
            costmodel.System(
                chips=run.chips,
                die_area_mm2=run.area_mm2 / run.chips,
                hbm_gb_per_chip=design.hbm_bytes / 1e9,
                chip_power_w=run.power_w / run.chips / design.power_overhead,
                node="n5",
            ),
            costmodel.Device(other, "n5"),
            volume=int(volumes[i]),
            tokens_per_s=run.tokens_per_s,
            conventions=conventions,
        )
        pair = expected.nominal
        figures = {
            "gpus": expected.gpus,
            "gpu_tco_usd": pair.gpu.total_usd,
            "gpu_usd_per_million_tokens": pair.gpu.usd_per_million_tokens,
            "gpu_carbon_t": pair.gpu_carbon.total_t,
            "gpu_tokens_per_s": book.value(f"{other}.tokens_per_s", "token/s"),
            "tco_ratio": pair.tco_ratio,
            "carbon_ratio": pair.carbon_ratio,
        }
        assert {*frame.columns} - {*plain.columns} == {*figures}
        for name, value in figures.items():
            assert frame[name][i] == pytest.approx(value, rel=1e-9), name


def test_one_point():
    frame = evaluate(MODEL, {})
    assert len(frame) == 1 and list(frame.columns) == COLUMNS and frame["chips"][0] == 16
    assert call is evaluate


def test_single_numbers_and_texts_stand_for_all_points():
    words = evaluate(MODEL, {"link_bandwidth_bytes_per_s": "64 GB/s", "clock_hz": np.array([1e9, 1.2e9])})
    numbers = evaluate(MODEL, {"link_bandwidth_bytes_per_s": 64e9, "clock_hz": [1e9, 1.2e9]})
    assert len(words) == 2 and list(words.columns) == ["clock_hz", *COLUMNS]
    assert words.equals(numbers)


def test_a_spec_is_as_good_as_its_name():
    spec = models.load("smollm2-135m")
    assert evaluate(spec, {}).equals(evaluate("smollm2-135m", {}))


def test_grids_may_be_given():
    frame = evaluate(MODEL, {"rows": np.array([4, 4, 8]), "columns": np.array([4, 8, 8])})
    assert list(frame["chips"]) == [16, 32, 64] and frame["die_area_mm2"].is_monotonic_decreasing


def test_the_grid_follows_the_density():
    density = np.array([40.0, 138.0, 384.0, 800.0])
    frame = evaluate(MODEL, {"logic_density_mtr_per_mm2": density})
    assert frame["chips"].is_monotonic_decreasing and frame["chips"][2] == 16
    assert (frame["die_area_mm2"] <= 858).all()


def test_published_convention_gives_the_published_scale():
    point = evaluate(MODEL, {}, reading="as-published", convention="as-published").iloc[0]
    assert point["tokens_per_s"] == pytest.approx(249_960, rel=0.01)
    assert point["die_area_mm2"] == pytest.approx(827.08, rel=0.01) and point["power_w"] == pytest.approx(
        6900, rel=0.01
    )


def test_die_formulas_agree_within_percents():
    exact, quick = (evaluate(MODEL, {}, die_formula=formula).iloc[0] for formula in ("exact", "de-vries"))
    assert exact["tco_usd"] != quick["tco_usd"] and exact["tco_usd"] == pytest.approx(quick["tco_usd"], rel=0.05)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.slow
def test_blocks_and_threads_do_not_show(workers, monkeypatch):
    import sys

    monkeypatch.setattr(sys.modules["explorer.pricing.evaluate"], "BLOCK", 7)
    varied = {"clock_hz": np.linspace(5e8, 1.5e9, 20), "hbm_stacks": 8}
    frame = evaluate(MODEL, varied, workers=workers)
    monkeypatch.undo()
    assert len(frame) == 20 and frame.equals(evaluate(MODEL, varied))


def test_inputs_are_left_alone():
    clock = np.array([1e9, 2e9])
    varied = {"clock_hz": clock}
    evaluate(MODEL, varied)
    assert list(varied) == ["clock_hz"] and list(clock) == [1e9, 2e9]


@pytest.mark.slow
def test_a_hundred_thousand_points():
    side = 317
    grid = np.array(list(itertools.product(np.geomspace(1e10, 1e13, side), np.linspace(60, 400, side))))[:100_000]
    frame = evaluate(MODEL, {"link_bandwidth_bytes_per_s": grid[:, 0], "logic_density_mtr_per_mm2": grid[:, 1]})
    assert len(frame) == 100_000 and frame.notna().all().all()
    numbers = frame.drop(columns="bound_by").to_numpy(dtype=float)
    assert np.isfinite(numbers).all() and (numbers > 0).all()
    assert set(frame["bound_by"]) <= {"links", "hn", "vex", "buffer", "hbm", "latency"}


@pytest.mark.parametrize(
    ("varied", "said"),
    [
        ({"clock_hz": [1e9, 2e9], "hbm_stacks": [1, 2, 3]}, "differ in length"),
        ({"clock_hz": np.ones((2, 2)) * 1e9}, "2 dimensions"),
        ({"clock_hz": []}, "points = 0"),
        ({"clock_hz": [1e9, np.nan]}, "clock_hz = nan"),
        ({"clock_hz": [1e9, np.inf]}, "clock_hz = inf"),
        ({"clock_hz": [1e9, -1]}, "clock_hz"),
        ({"clock_hz": [1e9, 0]}, "clock_hz = 0"),
        ({"hbm_stacks": [1, 2.5]}, "hbm_stacks = 2.5"),
        ({"clock_hz": ["a", "b"]}, "clock_hz"),
        ({"clock_hz": None}, "clock_hz"),
        ({"clock_hz": True}, "clock_hz"),
        ({"clock_hz": "1 kg"}, "'kg'"),
        ({"clock_hert": [1e9]}, "did you mean 'clock_hz'"),
        ({"n5.d0_per_cm3": 0.1}, "unknown constant 'n5.d0_per_cm3'"),
        ({"fp4_sigma": [2.0, 3.0]}, "fp4_sigma varies"),
        ({"n5.d0_per_cm2": [0.1, np.nan]}, "n5.d0_per_cm2 = nan"),
        ({"rows": [4, 4]}, "rows and columns"),
        ({"logic_density_mtr_per_mm2": [100, 1e-3]}, "chips"),
    ],
)
def test_bad_designs(varied, said):
    with pytest.raises(InputError, match=said):
        evaluate(MODEL, varied)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"context": [1, 2, 3]}, "differ in length"),
        ({"context": 0}, "context = 0"),
        ({"context": [2048, np.nan]}, "context = nan"),
        ({"context": [[1, 2]]}, "2 dimensions"),
        ({"context": "many"}, "context"),
        ({"volume": 0}, "volume"),
        ({"volume": [1, -1]}, "volume"),
        ({"volume": np.nan}, "volume"),
        ({"reading": "piplined"}, "did you mean 'pipelined'"),
        ({"convention": "corrrected"}, "did you mean 'corrected'"),
        ({"die_formula": "exakt"}, "did you mean 'exact'"),
        ({"book": "defalt"}, "did you mean 'default'"),
        ({"beside": "gpus"}, "did you mean 'gpu'"),
        ({"workers": 0}, "workers"),
        ({"workers": np.nan}, "workers"),
    ],
)
def test_bad_options(options, said):
    with pytest.raises(InputError, match=said):
        evaluate(MODEL, {"clock_hz": [1e9, 2e9]}, **options)


def test_unknown_model():
    with pytest.raises(InputError, match="did you mean 'gpt-oss-120b'"):
        evaluate("gpt-oss-120", {})


FIELDS = [
    field.name
    for record in (hwsim.HardwiredDesign, hwsim.Technology)
    for field in dataclasses.fields(record)
    if "unit" in field.metadata and field.name != "fp4_sigma"  # which shapes the circuit
]


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
def test_every_constant_of_the_machine_can_be_varied(field):
    """A pair of points, one of them nominal, is the same as the two alone."""
    books = {**hwsim.design_book(), **hwsim.technology_book()}
    nominal = float(books[field].nominal)
    other = nominal + 1.0 if books[field].unit in ("chip", "lane") or nominal.is_integer() else nominal * 1.02
    varied = {field: np.array([nominal, other])}
    if field in ("rows", "columns"):
        varied |= {"columns" if field == "rows" else "rows": 4}
    pair = evaluate(MODEL, varied)
    for i in range(2):
        alone = evaluate(MODEL, {key: np.broadcast_to(value, 2)[i].item() for key, value in varied.items()})
        for column in COLUMNS:
            a, b = pair[column][i], alone[column][0]
            assert a == (b if column == "bound_by" else pytest.approx(b, rel=1e-9, abs=0)), column


def test_without_strictness_what_cannot_be_built_says_why():
    """It keeps its size, so that one sees what did not fit, and has no figures."""
    rows = np.array([4, 1, 4])
    frame = evaluate(MODEL, {"rows": rows, "columns": rows}, strict=False)
    assert list(frame.columns) == ["rows", "columns", *COLUMNS, "failure"]
    assert frame["failure"].tolist()[::2] == [None, None]
    assert frame["failure"][1].startswith("the die exceeds the reticle's 858 mm2")
    kept = ["rows", "columns", "chips", "die_area_mm2", "bound_by"]
    assert frame.loc[1, kept].notna().all() and frame["die_area_mm2"][1] > 858
    assert frame.loc[1].drop([*kept, "failure"]).isna().all()
    strict = evaluate(MODEL, {"rows": [4, 4], "columns": [4, 4]})
    assert frame.drop(columns="failure").iloc[[0, 2]].reset_index(drop=True).equals(strict)


def test_strictness_stops_at_the_first_that_cannot_be_built():
    with pytest.raises(InputError, match=f"{MODEL}: the die exceeds the reticle's 858 mm2"):
        evaluate(MODEL, {"rows": [4, 1], "columns": [4, 1]})
    with pytest.raises(InputError, match=r"no grid of .* chips or fewer fits"):
        evaluate(MODEL, {"logic_density_mtr_per_mm2": [138, 1.0]})


def test_names_and_values_that_no_point_can_have_are_refused_all_the_same():
    for varied in ({"clock_hert": [1e9]}, {"clock_hz": [1e9, np.nan]}, {"hbm_stacks": [1, 2.5]}):
        with pytest.raises(InputError):
            evaluate(MODEL, varied, strict=False)
