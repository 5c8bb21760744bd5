"""Books of users: what is said where one stands in place of the book of a convention."""

import json

import pytest

import explorer
from explorer.pricing.prices import replaced_book
from explorer.serving.interactivity import interactivity
from hwbase import InputError

BOOK = """
[book]
extends = "{base}"
[electricity]
usd_per_kwh = {{ nominal = 0.2, unit = "USD/kWh", year = 2026, kind = "vendor", source = "our bill" }}
"""
SAID = "in place of hnlpu-asplos26"


@pytest.fixture
def book(tmp_path):
    def of(base):
        path = tmp_path / f"ours-{base}.toml"
        path.write_text(BOOK.format(base=base), encoding="utf-8")
        return str(path)

    return of


PRICES = """
[book]
extends = "default"
[h100]
node_price_usd = { nominal = 250000, unit = "USD", year = 2026, kind = "vendor", source = "our offer" }
[b200]
node_price_usd = { nominal = 450000, unit = "USD", year = 2026, kind = "vendor", source = "our offer" }
"""


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.toml"
    path.write_text(PRICES, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("on", ["hnlpu,h100,b200", "hnlpu,h100", "hnlpu,b200,mi300x"])
def test_a_book_may_state_prices_of_several_machines(command, prices, on):
    answers = json.loads(command("cost", "--on", on, "--book", prices, "--json")[1])
    answers = answers.get("rows", [answers])
    assert [each["device"] for each in answers] == on.split(",")[1:]


def test_only_the_bought_machines_of_a_book_are_read(prices):
    answer = explorer.cost(convention="corrected", beside="h100", book=prices)
    assert answer.assumptions["h100.node_price_usd"].nominal == 250000
    assert "b200.node_price_usd" not in answer.book


def test_every_reader_of_a_cost_book_takes_prices_of_machines(command, prices, tmp_path):
    status, _, message = command("report", "--book", prices, "--out", str(tmp_path / "r.json"))
    assert status == 0, message


def test_a_constant_of_one_machine_of_several_may_be_set(command):
    on = ("cost", "--on", "hnlpu,h100,b200", "--convention", "corrected")
    assert command(*on, "--set", "b200.node_price_usd=400000")[0] == 0
    status, _, message = command(*on, "--set", "b200.node_price_us=400000")
    assert status == 2 and "did you mean 'b200.node_price_usd'" in message


def test_a_book_that_replaces_the_conventions_is_named_beside_it(book, command):
    mine, papers = book("default"), book("hnlpu-asplos26")
    assert any(SAID in note for note in explorer.cost(convention="as-published", book=mine).notes)
    assert any(SAID in note for note in explorer.limits(on="hnlpu", convention="as-published", book=mine).notes)
    assert any(SAID in n for n in interactivity(speeds=[50], convention="as-published", book=mine).notes)
    for convention, own in (("as-published", papers), ("corrected", mine), ("corrected", None)):
        assert not any("in place of" in note for note in explorer.cost(convention=convention, book=own).notes)
    assert SAID in command("cost", "--book", mine)[1]


def test_a_book_of_other_figures_is_named_in_an_uncertainty_analysis(book, command):
    few = ("--samples", "16", "--only", "n5.mask_set_usd", "--book", book("hnlpu-asplos26"))
    assert "in place of default" in command("uncertainty", *few)[1]


def test_conventions_of_a_user_keep_their_book(book, tmp_path):
    (tmp_path / "ours.toml").write_text(f'[conventions]\nextends = "corrected"\nbook = "{book("default")}"\n')
    import costmodel

    ours = costmodel.conventions.named(tmp_path / "ours.toml")
    assert replaced_book(ours, None) == replaced_book(ours, book("default")) == ()
    assert "in place of ours-default" in replaced_book(ours, "default")[0]


def test_every_effect_of_a_convention_has_a_name(command):
    effects = json.loads(command("cost", "--json")[1])["effects"]
    assert all(row["reading"] and row["choice"] for row in effects)


def test_a_file_that_was_written_is_said_once(command, tmp_path):
    status, shown, _ = command("report", "--out", str(tmp_path / "page.md"))
    assert status == 0 and "In a file (--out)" not in shown and "page.md, which has more:" in shown


@pytest.mark.parametrize("option", [["context", "--context", "4K"], ["volume", "--volume", "7"]])
def test_an_axis_and_its_own_option_are_refused_together(command, option):
    status, _, message = command("break-even", "--axis", *option)
    assert status == 2 and f"--{option[0]} has no effect here: it applies with other axes" in message


@pytest.mark.parametrize(
    ("axes", "choices", "name"),
    [
        (["context"], {"context": 4096}, "context"),
        (["lifetime"], {"set": {"use.lifetime_hours": 8760.0}}, "use.lifetime_hours"),
        (["volume"], {"set": {"n7.wafer_price_usd": 1.0}}, "n7.wafer_price_usd"),
    ],
)
def test_a_break_even_refuses_what_it_does_not_read(axes, choices, name):
    with pytest.raises(InputError, match=f"^{name} has no effect here"):
        explorer.uncertainty.break_even(axes=axes, points=2, samples=16, **choices)


def test_an_analysis_refuses_a_constant_that_neither_machine_reads():
    unread = {"n7.wafer_price_usd": 10000.0}
    with pytest.raises(InputError, match=r"^n7.wafer_price_usd has no effect here"):
        explorer.uncertainty.analyse(samples=16, set=unread)
    explorer.uncertainty.analyse(samples=16, only=["use.*"], set=unread, versus={"technology": "n7"})


@pytest.mark.parametrize("more", [(), ("llama-3-8b",), ("--standard", "ghg")])
def test_a_report_refuses_a_constant_that_nothing_reads(command, tmp_path, more):
    out = tmp_path / "page.md"
    status, shown, message = command(
        "report", "gpt-oss-120b", *more, "--set", "n7.wafer_price_usd=1", "--out", str(out)
    )
    assert (status, shown) == (2, "") and "n7.wafer_price_usd has no effect here" in message and not out.exists()


def test_speeds_of_gpus_follow_what_is_set():
    from explorer.report.answer import answer

    usual, fast = (answer(set=s).gpu_rates["h100"] for s in ({}, {"service.gpu_speed_factor": 1.0}))
    assert (usual != fast).all()


def test_a_simulation_refuses_a_constant_that_it_does_not_read(command):
    status, _, message = command("simulate", "llama-3-8b", "--on", "h100", "--set", "measured_tokens_per_s=1")
    assert status == 2 and "measured_tokens_per_s has no effect here" in message
    assert command("simulate", "llama-3-8b", "--on", "h100", "--set", "time_per_output_token_factor=1")[0] == 0


def test_gpus_that_share_a_model_are_a_choice_of_the_closed_form_too(command):
    both = json.loads(command("simulate", "llama-3-8b", "--on", "hnlpu,h100,wse3", "--gpus", "4", "--json")[1])["rows"]
    assert [row["chips"] for row in both][1:] == [4, 4]
    alone = json.loads(command("simulate", "llama-3-8b", "--on", "h100", "--gpus", "4", "--json")[1])
    assert alone["tokens_per_s"] == both[1]["tokens_per_s"]
    assert "gpus = 0" in command("simulate", "llama-3-8b", "--on", "h100", "--gpus", "0")[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "gpu"', "of kind 'gpu' and extends default, of kind 'costs'"),
        ('model = "llama-3-8b"', "model has no effect in a book of kind 'costs'"),
        ('color = "#ff0000"', "color has no effect in a book of kind 'costs'"),
        ('[grid]\nindia = {{ nominal = 3, unit = "gCO2e/kWh", {source} }}', "did you mean 'grid.india_g_per_kwh'"),
        ('[grid]\nmars_g_per_kwh = {{ nominal = 3, unit = "USD", {source} }}', "has unit 'USD': expected 'gCO2e/kWh'"),
    ],
)
def test_a_book_states_nothing_that_nobody_reads(tmp_path, text, words):
    path = tmp_path / "odd.toml"
    stated = text.format(source='year = 2026, kind = "vendor", source = "us"')
    path.write_text(f'[book]\nextends = "default"\n{stated}\n', encoding="utf-8")
    with pytest.raises(InputError) as error:
        explorer.cost(convention="corrected", book=str(path))
    assert words in str(error.value)


@pytest.mark.parametrize("name", ["network.chips_per_node", "h100.gpus_per_node"])
def test_what_others_are_divided_by_is_not_zero(name):
    with pytest.raises(InputError, match=r"_per_node = 0: expected"):
        explorer.cost(set={name: 0})


@pytest.mark.parametrize("chosen", ["collective=ring", "service=first-come"])
def test_a_choice_of_a_machine_is_no_constant_that_nobody_reads(command, chosen):
    assert command("simulate", "gpt-oss-120b", "--set", chosen, "--json")[0] == 0
    assert command("limits", "--on", "hnlpu", "--latency", "2 ms", "--json")[0] == 0


@pytest.mark.parametrize("on", [True, 1j, float("nan"), object()])
def test_machines_that_are_no_list_are_refused(on):
    with pytest.raises(InputError, match=r"on = .*expected a machine, or a list"):
        explorer.limits(on=on)
