"""The registry of machines: one book each, found by name or path, run by the simulator of its kind."""

import re
from pathlib import Path

import pytest

import hwsim
from hwsim.events.traffic import poisson
from hwsim.machine_books import KINDS, machine_book, machine_costs, machine_names

MODEL = "gpt-oss-120b"
REPOSITORY = Path(hwsim.__file__).parents[1]


@pytest.fixture
def mine(tmp_path):
    """A user's machine: an H100 with twice the memory bandwidth, and nothing else said."""
    path = tmp_path / "mine.toml"
    path.write_text(
        '[book]\nextends = "h100"\n[memory_bandwidth_bytes_per_s]\nnominal = 6.7e12\nunit = "B/s"\nyear = 2026\n'
        'kind = "user"\nsource = "a plan"\n',
        encoding="utf-8",
    )
    return path


def test_every_machine_says_what_it_is():
    frame = hwsim.machines()
    assert frame.name.tolist() == machine_names() and set(frame.kind) == set(KINDS)
    assert frame.label.is_unique and all(frame.label) and all(frame.title)
    served = {
        "b200",
        "b300",
        "gb200",
        "gb300",
        "h100",
        "h200",
        "hnlpu",
        "l40s",
        "mi300x",
        "mi355x",
        "rtx4090",
        "rtx5090",
    }
    served |= {"sn40l", "tpu-v6e", "tpu-v7"}
    assert set(frame.query("serve").name) == served
    assert set(frame.query("simulate").name) == served | {"groq-lpu", "npu", "wse3"}
    for book in map(machine_book, frame.query("simulate").name):
        assert re.fullmatch("#[0-9A-F]{6}", book.header.color) and book.header.marker and book.header.dash


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("h10", "unknown machine 'h10'; did you mean 'h100'?"),
        ("H20", "did you mean 'h200'"),
        ("n5", "machine 'n5' is of kind 'technology': expected one of kind 'hardwired'"),
        (None, "unknown machine 'None'"),
        ("", "unknown machine ''"),
        ("none.toml", "book file 'none.toml' does not exist"),
    ],
)
def test_what_is_no_machine(given, said):
    with pytest.raises(hwsim.InputError, match=re.escape(said)):
        machine_book(given)


def test_names_ignore_case():
    assert hwsim.simulate(MODEL, "H100") == hwsim.simulate(MODEL, "h100")
    assert machine_book("WSE3").name == "wse3"


def test_machines_that_a_question_is_not_for():
    with pytest.raises(hwsim.InputError, match=r"the book of rtx4080 lacks .*memory_bytes"):
        hwsim.simulate(MODEL, "rtx4080")
    with pytest.raises(hwsim.InputError, match="machine 'epyc-9755' is of kind 'cpu'"):
        hwsim.simulate(MODEL, "epyc-9755")
    with pytest.raises(hwsim.InputError, match="machine 'wse3' is of kind 'wafer'"):
        hwsim.serve(MODEL, poisson(1, 1), "wse3")
    with pytest.raises(hwsim.InputError, match="machine 'h100' is of kind 'gpu': expected one of kind 'hardwired'"):
        hwsim.design_book("h100")
    with pytest.raises(hwsim.InputError, match="'h100' is of kind 'gpu': expected a technology"):
        hwsim.simulate(MODEL, technology="h100")


def test_one_file_is_a_machine(mine):
    base, ours = hwsim.simulate(MODEL, "h100"), hwsim.simulate(MODEL, mine)
    assert (ours.machine, ours.kind, ours.label) == ("mine", "gpu", "mine")
    # One sequence reads weights and cache: with twice the bandwidth in half the time, beside latencies that stay.
    saved = (base.latency_s - ours.latency_s) / base.latency_s
    assert saved == pytest.approx((base.breakdown["projection"] + base.breakdown["attention"]) / 2)
    served = hwsim.serve(MODEL, poisson(5, 20), str(mine), gpus=2)
    assert (served.machine, served.kind, served.label) == ("mine", "gpu", "mine")
    assert hwsim.simulate(MODEL, "h100", book=mine) == ours


def test_what_was_measured_on_one_machine_is_of_no_other(mine):
    h100 = machine_book("h100")
    rates = {"measured_tokens_per_s", "measured_batched_tokens_per_s"}
    papers = {name for name in h100 if name.startswith("costs.hnlpu-asplos26.")}
    for other in (machine_book("h200"), machine_book(mine)):
        assert set(h100) - set(other) == rates | papers and len(papers) == 5


def test_what_a_machine_costs_stands_in_its_book(mine):
    sets = machine_costs("h100")
    assert set(sets) == {"default", "hnlpu-asplos26"} and sets["default"]["node_price_usd"].nominal == 317_000
    assert (sets["default"]["hbm_gb"].nominal, sets["default"]["die_area_mm2"].nominal) == (80, 814)
    assert machine_costs(mine)["default"]["node_price_usd"] == sets["default"]["node_price_usd"]
    assert machine_costs("h200")["default"]["hbm_gb"].nominal == pytest.approx(141)
    assert machine_costs("wse3") == {}
    # Prices are no constants of a simulation.
    with pytest.raises(hwsim.InputError, match="unknown"):
        hwsim.simulate(MODEL, "h100", set={"costs.default.node_price_usd": 1})


@pytest.mark.parametrize("name", machine_names(("gpu",)))
def test_a_gpu_of_ours_states_its_own_price(name):
    priced = {other: machine_costs(other).get("default", {}).get("node_price_usd") for other in machine_names(("gpu",))}
    if (own := priced.pop(name)) is not None:
        assert own not in priced.values(), "a price that is inherited is another machine's"


def test_h200_as_its_data_sheet_has_it():
    h200 = machine_book("h200")
    assert h200.value("memory_bytes", "GB") == pytest.approx(141)
    assert h200.value("memory_bandwidth_bytes_per_s", "TB/s") == pytest.approx(4.8)
    assert h200.value("peak_ops_per_s", "1/s") == 989.4e12
    stated = {name for name in h200.without("costs") if h200[name] != machine_book("h100").get(name)}
    assert {h200[name].kind for name in stated} == {"vendor", "measured"}
    # Memory and bandwidth differ, so it holds more and is faster where memory binds.
    fast, slow = (hwsim.simulate(MODEL, name) for name in ("h200", "h100"))
    assert fast.chips == 1 and slow.chips == 1
    assert 1.05 < fast.tokens_per_s / slow.tokens_per_s < 4.8 / 3.35
