"""Sliders over a machine: each move redraws it, what does not fit is said, and the machine becomes a book."""

import builtins
import tomllib
from typing import Any

import pytest

import explorer
import hwsim
from explorer.documents.sliders import INSTALL
from hwbase import InputError
from hwsim.design import CHOICES

MODEL = "gpt-oss-120b"


@pytest.fixture(scope="module")
def sliders():
    pytest.importorskip("ipywidgets")
    pytest.importorskip("anywidget")
    return explorer.explore(MODEL)


@pytest.fixture
def shown(sliders):
    """The sliders where they start."""
    for name, value in sliders.start.items():
        sliders.controls[name].value = value
    return sliders


def move(shown: Any, **values: Any) -> None:
    for name, value in values.items():
        shown.controls[name].value = value


def title(shown: Any) -> str:
    return shown.machine.layout.title.text.replace("\N{NO-BREAK SPACE}", " ")


def bars(shown: Any) -> list[float]:
    return list(shown.busy.data[0].x)


def test_sliders_start_at_the_machine_of_the_book(shown):
    run = hwsim.simulate(MODEL, reading="pipelined")
    assert shown.design["tokens_per_s"] == run.tokens_per_s and shown.design["area_mm2"] == run.area_mm2
    assert title(shown) == "1 stage of 4 × 4 chips" and not shown.note.value
    assert {*CHOICES, "rows", "columns", "pipeline_stages", "vex_macs", "buffer_banks", "hbm_stacks"} <= {
        *shown.controls
    }


def test_figures_begin_with_what_they_show(sliders):
    # A page that opens them loses what is sent to them before.
    for widget in (sliders.machine, sliders.chip, sliders.busy):
        assert widget.get_state()["_widget_layout"]["title"]["text"]
    assert sliders.chip.get_state()["_widget_data"] and sliders.busy.get_state()["_widget_data"]


def test_a_move_redraws_all_figures(shown):
    before, text = bars(shown), shown.table.value
    move(shown, pipeline_stages=4, rows=1, hbm_stacks=4, norms="sharded")
    assert title(shown) == "4 stages of 1 × 4 chips"
    stages = [each for each in shown.machine.layout.shapes if each.type == "rect"]
    chips = [each for each in shown.machine.layout.shapes if each.type == "path"]
    assert len(stages) == 4 and len(chips) == 1 and chips[0].path.count("M") == 16
    assert bars(shown) != before and shown.table.value != text
    assert sum(shown.chip.data[0]["values"]) == pytest.approx(shown.design["die_area_mm2"])
    assert len(shown.machine.layout.annotations) == 4
    move(shown, pipeline_stages=1)
    assert [each.text for each in shown.machine.layout.annotations] == ["stage 1"]


def test_figures_are_those_of_the_other_doors(shown):
    move(shown, pipeline_stages=4, rows=1, hbm_stacks=4, context=8192, volume=100)
    values = {"pipeline_stages": 4, "rows": 1, "columns": 4, "hbm_stacks": 4}
    frame = explorer.evaluate(MODEL, set=values, context=8192, volume=100, die_formula="exact").iloc[0]
    for name in ("tokens_per_s", "tco_usd", "usd_per_million_tokens", "carbon_t"):
        assert shown.design[name] == pytest.approx(frame[name], rel=1e-12)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"rows": 1, "columns": 2}, "die area"),
        ({"pipeline_stages": 9, "hbm_stacks": 8}, "sites for HBM"),
        ({"hbm_stacks": 0}, "KV in HBM"),
        ({"rows": 3}, "counted in fractions"),
    ],
)
def test_what_does_not_fit_is_a_sentence(shown, values, sentence):
    move(shown, **values)
    assert sentence in shown.note.value and "\n" not in shown.note.value
    # Figures follow all the same.
    assert title(shown).startswith(f"{shown.controls['pipeline_stages'].value} stage")


def test_a_machine_that_does_not_fit_is_no_book(shown, tmp_path):
    move(shown, rows=1, columns=2)
    with pytest.raises(InputError, match="does not fit: die area"):
        shown.save(tmp_path / "best.toml")
    assert not list(tmp_path.iterdir())


def test_more_stages_than_layers_is_a_sentence_and_the_rest_stays():
    pytest.importorskip("anywidget")
    shown = explorer.explore(MODEL, vary={"pipeline_stages": [1, 2, 99]})
    move(shown, pipeline_stages=2)
    before = bars(shown)
    move(shown, pipeline_stages=99)
    assert "at most the 36 layers of gpt-oss-120b" in shown.note.value and bars(shown) == before
    with pytest.raises(InputError, match="36 layers"):
        shown.result()
    move(shown, pipeline_stages=2)
    assert "layers" not in shown.note.value and shown.result().best["pipeline_stages"] == 2


def test_a_machine_becomes_a_book(shown, tmp_path):
    move(shown, pipeline_stages=4, rows=1, hbm_stacks=4, norms="sharded", link_bandwidth_bytes_per_s=256e9)
    path = shown.save(tmp_path / "best.toml")
    run = hwsim.simulate(MODEL, path)
    assert run.tokens_per_s == shown.design["tokens_per_s"] and run.area_mm2 == shown.design["area_mm2"]
    assert explorer.evaluate(MODEL, on=path, die_formula="exact")["tco_usd"].iloc[0] == shown.design["tco_usd"]
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    assert content["book"]["extends"] == "hnlpu" and content["link_bandwidth_bytes_per_s"]["nominal"] == 256e9
    assert shown.result().document().title == f"A machine for {MODEL}"


def test_the_button_saves_or_says_why_not(shown, tmp_path):
    name, button = shown.box.children[0].children[-3].children
    name.value = str(tmp_path / "mine.toml")
    button.click()
    assert "wrote" in shown.note.value and (tmp_path / "mine.toml").exists()
    name.value = "mine.json"
    button.click()
    assert "ends in .toml" in shown.note.value


@pytest.mark.slow
def test_sliders_for_other_machines_and_constants(tmp_path):
    pytest.importorskip("anywidget")
    shown = explorer.explore(
        "llama-3-8b", vary={"kv_element_bytes": [1, 2], "clock_hz": [1e9, 2e9]}, set={"vex_macs": 20000}, context="4K"
    )
    assert shown.controls["vex_macs"].value == 20000 and shown.controls["context"].value == 4096
    before = shown.design["latency_alone_s"]
    move(shown, clock_hz=2e9)
    assert shown.design["latency_alone_s"] < before
    path = shown.save(tmp_path / "fast.toml")
    again = explorer.explore("llama-3-8b", on=path, context=4096)
    assert again.design["tokens_per_s"] == shown.design["tokens_per_s"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"model": "gpt-oss-12b"}, "gpt-oss-12b"),
        ({"context": 0}, "context = 0"),
        ({"volume": 1.5}, "volume = 1.5"),
        ({"vary": {"vex_mac": [1]}}, "did you mean 'vex_macs'"),
        ({"set": {"clock": 1}}, "clock"),
        ({"cooling": "oil"}, "cooling"),
        ({"volum": 3}, "did you mean 'volume'"),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        explorer.explore(**arguments)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "anywidget":
            raise ImportError(name, name=name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError) as refused:
        explorer.explore(MODEL)
    assert "anywidget" in str(refused.value) and INSTALL in str(refused.value)
