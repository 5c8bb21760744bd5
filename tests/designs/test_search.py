"""A search finds what an exhaustive loop over `hwsim.simulate` finds, and says what binds."""

from itertools import product

import numpy as np
import pytest
from design_cases import SMALL, STEPS, searched

import explorer
import hwsim
from hwbase import InputError
from hwsim.design import CHOICES

MODEL = "gpt-oss-120b"


def simulated(row, **given):
    """The machine of a row of the front, simulated alone."""
    names = [name for name in row.index if name in hwsim.HardwiredDesign.__dataclass_fields__]
    set = {name: row[name] if name in CHOICES else int(row[name]) for name in names}
    return hwsim.simulate(MODEL, set=set, reading="pipelined", **given)


def test_the_default_search_is_within_all_limits_and_beats_the_papers_machine():
    result = searched()
    own = result.own.iloc[0]
    assert own["tokens_per_s"] == pytest.approx(309_502, abs=1)
    assert (own["rows"], own["columns"], own["pipeline_stages"]) == (4, 4, 1)
    assert result.best["tokens_per_s"] > 2.4 * own["tokens_per_s"]
    assert result.best["latency_alone_s"] < own["latency_alone_s"]
    for _, row in result.front.iterrows():
        assert row["area_mm2"] <= 13_300 and row["die_area_mm2"] <= 858
        assert row["hbm_stacks"] <= row["hbm_sites"] and row["power_density_w_per_mm2"] <= 0.86


def test_every_row_is_what_a_simulation_says():
    for _, row in searched().front.iterrows():
        run, alone = simulated(row), simulated(row, batch=1)
        assert run.tokens_per_s == row["tokens_per_s"] and run.area_mm2 == row["area_mm2"]
        assert run.power_w == row["power_w"] and run.bound_by == row["bound_by"] and run.feasible
        assert alone.latency_s == row["latency_alone_s"]


@pytest.mark.slow
def test_no_design_of_the_space_was_missed():
    steps = {**STEPS, "pipeline_stages": [2, 3, 6], "norms": ["sharded"], "stage_topology": ["full", "ring"]}
    result = explorer.design(MODEL, objectives=["tokens_per_s"], vary=steps, confirm=0)
    best = 0.0
    for values in product(*steps.values()):
        set = dict(zip(steps, values, strict=True))
        set["vex_lanes"] = set["vex_macs"] // 8
        run = hwsim.simulate(MODEL, set=set, reading="pipelined")
        if run.feasible and run.area_mm2 <= 13_300:
            best = max(best, float(run.tokens_per_s))
    assert result.best["tokens_per_s"] == best
    assert len(result.front) == 1


def test_a_front_has_no_design_twice_and_none_that_another_beats():
    front = searched().front
    costs = np.column_stack([-front["tokens_per_s"], front["latency_alone_s"]])
    assert len(np.unique(costs, axis=0)) == len(front)
    for cost in costs:
        assert not np.any(np.all(costs <= cost, axis=1) & np.any(costs < cost, axis=1))
    assert front["tokens_per_s"].is_monotonic_decreasing


def test_only_the_part_that_binds_gains_by_growing():
    for _, row in searched().front.iterrows():
        gains = {part: row[f"tenth_more_gain.{part}"] for part in ("vex", "links", "buffer", "hbm")}
        assert all(gain >= -1e-12 for gain in gains.values())
        if row["bound_by"] in ("links", "vex"):
            assert max(gains, key=gains.get) == row["bound_by"]
        assert all(row[f"tenth_more_mm2.{part}"] > 0 for part in gains)
        blocks = [row[name] for name in row.index if name.startswith("block_mm2.")]
        assert sum(blocks) == pytest.approx(row["die_area_mm2"])
        assert max(row[name] for name in row.index if name.startswith("busy_share.")) <= 1.0


@pytest.mark.slow
def test_less_silicon_never_gives_more():
    less = explorer.design(MODEL, objectives=["tokens_per_s"], constraints=["area_mm2 <= 12500"], vary=STEPS, confirm=0)
    more = explorer.design(MODEL, objectives=["tokens_per_s"], constraints=["area_mm2 <= 13300"], vary=STEPS, confirm=0)
    assert less.best["tokens_per_s"] <= more.best["tokens_per_s"]
    assert less.best["area_mm2"] <= 12_500


@pytest.mark.slow
def test_an_objective_may_be_a_price_and_a_constraint_too():
    result = explorer.design(
        MODEL,
        objectives=["usd_per_million_tokens"],
        constraints=["area_mm2 <= 13300", "carbon_t <= 5000"],
        vary=STEPS,
        confirm=0,
    )
    best = result.best
    assert best["carbon_t"] <= 5000
    assert best["usd_per_million_tokens"] <= searched().front["usd_per_million_tokens"].min()
    names = [name for name in best.index if name in hwsim.HardwiredDesign.__dataclass_fields__]
    set = {name: best[name] for name in names}
    priced = explorer.evaluate(MODEL, set, die_formula="exact").iloc[0]
    assert priced["usd_per_million_tokens"] == best["usd_per_million_tokens"]


@pytest.mark.slow
def test_what_is_set_does_not_vary_and_what_is_asked_for_does():
    result = explorer.design(
        MODEL, vary={**STEPS, "link_element_bytes": None}, set={"hbm_stacks": 8, "rows": 1}, confirm=0
    )
    assert set(result.front["hbm_stacks"]) == {8.0} and "rows" in result.varied
    assert set(result.front["link_element_bytes"]) <= {1.0, 2.0, 4.0}
    assert result.best["tokens_per_s"] >= searched().best["tokens_per_s"]


@pytest.mark.slow
def test_sizes_divide_unless_fractions_are_allowed():
    whole = explorer.design(MODEL, vary={**STEPS, "columns": [3, 4]}, confirm=0)
    assert set(whole.front["columns"]) == {4.0}
    with pytest.raises(InputError, match="no mapping"):
        explorer.design(MODEL, vary={**STEPS, "columns": [3]})
    assert set(explorer.design(MODEL, vary={**STEPS, "columns": [3]}, uneven=True, confirm=0).front["columns"]) == {3.0}


@pytest.mark.slow
def test_requests_with_prompts_count_output_tokens():
    requests = explorer.design(MODEL, vary=STEPS, prompt_tokens=1024, output_tokens=1024, confirm=0).best
    priced = explorer.evaluate(
        MODEL,
        {n: requests[n] for n in requests.index if n in hwsim.HardwiredDesign.__dataclass_fields__},
        prompt_tokens=1024,
        output_tokens=1024,
    ).iloc[0]
    assert priced["tokens_per_s"] == requests["tokens_per_s"]
    assert requests["tokens_per_s"] < searched().best["tokens_per_s"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"objectives": ["token_per_s"]}, "did you mean 'tokens_per_s'"),
        ({"objectives": {"tokens_per_s": "most"}}, "unknown direction of tokens_per_s"),
        ({"objectives": []}, "expected at least one column"),
        ({"constraints": ["area <= 13300"]}, "unknown column in constraint"),
        ({"constraints": ["area_mm2 <= 20 s"]}, "area_mm2"),
        ({"vary": {"vex_mac": [1]}}, "did you mean 'vex_macs'"),
        ({"vary": {"vex_macs": [0]}}, "vex_macs"),
        ({"vary": {"collective": ["rings"]}}, "did you mean 'ring'"),
        ({"vary": {"clock_hz": None}}, "expected values"),
        ({"vary": {"pipeline_stages": [37]}}, "at most the 36 layers"),
        ({"cooling": "ice"}, "cooling"),
        ({"set": {"n5.wafer_price": 1}}, "did you mean"),
        pytest.param(
            {"constraints": ["area_mm2 <= 5000"], "vary": STEPS},
            r"meets 'area_mm2 <= 5000'.*the nearest has",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"constraints": ["tokens_per_s >= 9e9"], "vary": STEPS},
            r"meets 'tokens_per_s >= 9e9'.*the nearest has",
            marks=pytest.mark.slow,
        ),
        ({"vary": {"rows": [1], "columns": [8], "pipeline_stages": [1]}}, "die_area_mm2 <= reticle_mm2"),
        pytest.param(
            {"constraints": ["tokens_per_s >= 2e6", "area_mm2 <= 12500"], "vary": STEPS},
            r"'tokens_per_s >= 2e6' rules out the \d+ of .* that meet all else; the nearest has",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_bad_input_is_one_sentence_that_names_it(given, message):
    with pytest.raises(InputError, match=message) as error:
        explorer.design(MODEL, **given)
    assert "\n" not in str(error.value)


def test_plotly_takes_every_figure():
    figures = [figure for section in searched().document().sections for figure in section.figures]
    assert {figure.id for figure in figures} >= {"busy", "machine", "chip"}
    for figure in figures:
        assert figure.draw().figure().data or figure.draw().attributes["shapes"]
        assert '"type"' in figure.draw().to_json()


@pytest.mark.slow
def test_the_best_machine_is_confirmed_by_events():
    # Few sequences fill a machine of few layers a stage: a small model keeps this short.
    result = explorer.design("smollm2-135m", vary=SMALL, constraints=["chips <= 3"], context=256)
    (each,) = result.confirmed
    assert each.place == 0 and each.tokens_per_s == result.best["tokens_per_s"]
    assert abs(each.difference) < 0.02 and abs(each.difference_alone) < 0.02
    # Where memory holds fewer sequences than there are slots, as many as it holds.
    (longer,) = explorer.design("smollm2-135m", vary=SMALL, constraints=["chips <= 3"], context=65536).confirmed
    assert longer.sequences < each.sequences and abs(longer.difference) < 0.02
    section = result.document().section("events")
    assert "differ from the closed form by" in section.parts[0]
    assert not explorer.design("smollm2-135m", vary=SMALL, constraints=["chips <= 3"], confirm=0).confirmed


def test_limits_of_the_package_are_constants_too():
    cooled = explorer.design(MODEL, vary=STEPS, set={"cooling.air_w_per_mm2": 0.35}, confirm=0)
    assert (cooled.front["power_density_w_per_mm2"] <= 0.35).all()
    assert cooled.best["tokens_per_s"] < searched().best["tokens_per_s"]
    liquid = explorer.design(MODEL, vary=STEPS, cooling="liquid", confirm=0)
    assert (liquid.front["cooled_w_per_mm2"] == 1.5).all()


@pytest.mark.slow
def test_without_a_limit_of_silicon_chips_are_limited():
    result = explorer.design(
        MODEL, objectives=["area_mm2"], constraints=["tokens_per_s >= 2000000"], vary=STEPS, confirm=0
    )
    assert result.constraints["chips that are tried"].startswith("chips <= ")
    assert result.best["tokens_per_s"] >= 2_000_000 and result.best["area_mm2"] < 13_300
