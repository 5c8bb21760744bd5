"""One price chain: whoever asks what a machine costs and emits at a node gets the same answer."""

import pytest

import costmodel
import hwsim
from explorer.pricing.economics import cost
from explorer.pricing.evaluate import evaluate
from explorer.pricing.prices import cost_book, device, node_of
from explorer.report.scopes import carbon_scopes
from explorer.serving.cost import serving_cost
from hwbase import InputError
from hwsim.events.traffic import closed_loop
from hwsim.technology import BOOKS

MODEL = "gpt-oss-120b"
SYSTEMS = 50


@pytest.fixture(scope="module")
def served():
    """A hardwired machine at 7 nm with work to do."""
    return hwsim.serve(MODEL, closed_loop(16, 64, prompt=64, output=64), technology="n7")


def technology_file(folder, name, header):
    """A user's technology: what n5 is, under another name."""
    path = folder / f"{name}.toml"
    path.write_text(f"[book]\n{header}\n", encoding="utf-8")
    return str(path)


def test_carbon_by_scope_is_split_at_the_node_of_the_technology():
    answer = cost(MODEL, volume=SYSTEMS, convention="corrected", technology="n7")
    rows = carbon_scopes(answer).to_frame().query("fleet == 'hardwired' and category == 'dies'")
    dies = dict(zip(rows["level"], rows["t"], strict=True))
    assert dies["nominal"] == pytest.approx(233.7, abs=0.05)  # 284.8 if split as at n5
    for level, pair in answer.comparison.levels():
        module = pair.hardwired_module
        assert dies[level] / float(pair.hardwired_carbon.embodied_t) == pytest.approx(module.die_kg / module.total_kg)


@pytest.mark.slow
def test_what_was_served_is_priced_at_the_node_of_the_technology(served):
    for built in (1, SYSTEMS):
        fleet = cost(MODEL, volume=built, convention="corrected", technology="n7").comparison.nominal.hardwired
        share = serving_cost(served, technology="n7", built=built)
        assert built * share.capex_usd == pytest.approx(float(fleet.capex_usd))
    one = serving_cost(served, technology="n7")
    assert one.capex_usd / 1e6 == pytest.approx(164.80, abs=0.005)  # 188.95 if priced at n5


@pytest.mark.slow
@pytest.mark.parametrize("technology", ["n5-asplos26", "n7", "n3"])
@pytest.mark.parametrize("convention", ["corrected", "as-published"])
def test_sweeps_and_single_answers_are_one_chain(technology, convention):
    formula = costmodel.conventions.named(convention).die_formula
    how = {"technology": technology, "convention": convention, "context": 4096, "volume": 7}
    row = evaluate(MODEL, {}, **how, reading="pipelined", die_formula=formula, beside="gpu").iloc[0]
    pair = cost(MODEL, **how, reading="pipelined").comparison.nominal
    assert row["tco_usd"] == pytest.approx(float(pair.hardwired.total_usd), rel=1e-9)
    assert row["carbon_t"] == pytest.approx(float(pair.hardwired_carbon.total_t), rel=1e-9)
    assert row["tco_ratio"] == pytest.approx(float(pair.tco_ratio), rel=1e-9)


def test_the_node_is_the_technologys_own_word(tmp_path):
    costs = cost_book("default")
    assert node_of(hwsim.technology_book("n5-synthesised"), costs) == "n5"
    inherited = technology_file(tmp_path, "another", 'extends = "n7"')
    assert node_of(hwsim.technology_book(inherited), costs) == "n7"
    assert cost(MODEL, technology=inherited).node == "n7"


@pytest.mark.parametrize("name", ["n5custom", "mine"])
def test_no_node_is_taken_for_one_that_is_not_known(tmp_path, name):
    """A name that begins with n5 was silently priced at n5."""
    unknown = technology_file(tmp_path, name, 'extends = "n5"\nnode = "n4"')
    with pytest.raises(InputError, match=f"unknown node of technology '{name}': 'n4'; did you mean"):
        cost(MODEL, technology=unknown)


def test_a_technology_without_a_node_is_not_priced(tmp_path):
    path = tmp_path / "n5x.toml"
    path.write_text((BOOKS / "n5.toml").read_text(encoding="utf-8").replace('node = "n5"\n', ""), encoding="utf-8")
    assert hwsim.simulate(MODEL, technology=str(path)).chips > 0
    with pytest.raises(InputError, match="names no node: expected node = one of n16, n2, n3, n5, n7"):
        cost(MODEL, technology=str(path))


def test_another_gpu_beside():
    answer = cost(MODEL, volume=SYSTEMS, convention="corrected", beside="H200")
    rate = answer.assumptions["h200.tokens_per_s"]
    assert rate.kind == "derived" and rate.source.startswith("predicted for gpt-oss-120b")
    assert any("predicted" in note for note in answer.notes)
    pair = answer.comparison.nominal
    matching = SYSTEMS * answer.inputs["tokens_per_s"] / rate.nominal
    assert float(answer.comparison.gpus) == pytest.approx(matching, rel=1e-3)
    assert pair.gpu.hardware_usd == pytest.approx(float(answer.comparison.gpus) / 8 * 333_000)
    # A rate of one's own takes the place of the prediction.
    given = cost(MODEL, volume=SYSTEMS, beside="h200", set={"h200.tokens_per_s": 2000})
    assert given.comparison.gpus == SYSTEMS * 2e6 / 2000 and not any("predicted" in note for note in given.notes[1:])


def test_a_gpu_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        '[book]\nextends = "h100"\n[costs.default]\nnode_price_usd = { nominal = 100000, unit = "USD", year = 2026, '
        'kind = "user", source = "an offer" }\n',
        encoding="utf-8",
    )
    answer = cost(MODEL, beside=path, set={"mine.tokens_per_s": 1080})
    hundred = cost(MODEL, convention="as-published")
    assert answer.device == "mine" and answer.comparison.gpus == hundred.comparison.gpus
    assert answer.comparison.low.gpu.hardware_usd == pytest.approx(2000 / 8 * 100_000)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"beside": "wse3"}, r"the book of wse3 has no prices \(Cerebras .*\): expected a table \[costs.default\]"),
        ({"beside": "h20"}, "did you mean 'h200'"),
        ({"on": "h100"}, "machine 'h100' is of kind 'gpu': expected one of kind 'hardwired'"),
        ({"set": {"h200.power_w": 1}}, "did you mean 'h100.power_w'"),
        ({"weights": "fp3"}, "fp3"),
        ({"reading": "pipeline"}, "did you mean 'pipelined'"),
    ],
)
def test_bad_input(options, said):
    with pytest.raises(InputError, match=said):
        cost(MODEL, **options)


@pytest.mark.slow
def test_formats_and_readings_reach_the_price():
    plain, wide = (cost("llama-3-8b", convention="corrected", weights=weights) for weights in ("fp4", "int8"))
    assert wide.inputs["chips"] > plain.inputs["chips"]
    slow, fast = (cost("llama-3-8b", reading=reading) for reading in hwsim.READINGS)
    assert slow.inputs["tokens_per_s"] != fast.inputs["tokens_per_s"]


def test_a_device_is_what_its_book_says():
    assert device("h100") == costmodel.Device("h100", "n5") and device("h200") == costmodel.Device("h200", "n5")


@pytest.mark.slow
def test_conventions_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[conventions]\nextends = "corrected"\n[choices]\npue_in_system_power = true\n', encoding="utf-8")
    ours, mine = (cost(MODEL, convention=each) for each in ("corrected", path))
    assert mine.convention == mine.conventions.name == "mine" and mine.inputs == ours.inputs
    assert mine.comparison.nominal.hardwired.it_power_mw > ours.comparison.nominal.hardwired.it_power_mw
    rows = {row.level for row in carbon_scopes(mine).rows}
    assert rows == {"low", "nominal", "high"}
    frame = evaluate(MODEL, {"clock_hz": [0.9e9, 1e9]}, convention=path, volume=1, die_formula="exact")
    assert frame["tco_usd"][1] == pytest.approx(float(mine.comparison.nominal.hardwired.total_usd))


@pytest.mark.slow
def test_a_loaded_cost_book_has_the_constants_of_machines():
    rate = {"b200.tokens_per_s": 2000.0}
    mine = evaluate("gpt-oss-120b", rate, volume=50, beside="gpu", book=costmodel.load_book())
    assert mine.equals(evaluate("gpt-oss-120b", rate, volume=50, beside="gpu", book="default"))
