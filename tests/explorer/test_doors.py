"""The same options mean the same at every door: where --out writes, what --set takes, what JSON is called."""

import json

import pytest

import explorer
import hwsim
from explorer.commands import output
from explorer.commands.parser import command_line
from hwbase import InputError

#: Commands whose result is one document, with the arguments that they need.
TO_A_FILE = {
    "report": ("smollm2-135m",),
    "simulate": ("smollm2-135m",),
    "cost": ("smollm2-135m",),
    "scan": (),
    "uncertainty": (),
    "break-even": (),
    "compare-tools": (),
    "reproduce": ("bebr",),
    "assumptions": ("default",),
    "machines": (),
    "fabrics": ("smollm2-135m",),
    "adapt": ("smollm2-135m",),
    "respins": ("smollm2-135m",),
    "models": (),
    "allocate": ("layers.csv", "--budget", "4"),
    "infer": ("--prompt", "a"),
    "quality": (),
    "sensitivity": ("terrain",),
    "limits": (),
    "wiring": ("tiny",),
    "layers": (),
    "audit neuron": (),
    "audit timing": (),
    "audit layout": (),
    "audit activity": (),
    "study list": (),
    "study show": ("folder",),
    "study why": ("folder", "1"),
    "retrieve query": ("--index", "folder", "--text", "q"),
    "retrieve eval": ("--corpus", "c", "--queries", "q", "--qrels", "r"),
    "retrieve study": (),
    "retrieve limit": (),
}
TO_A_FOLDER = {"study run", "retrieve build", "quantise"}
TO_A_BOOK = {"design"}
TO_EITHER = {"compare-serving", "fronts", "hardwire", "simulate"}


def _commands(group, path=""):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command.load()


COMMANDS = dict(_commands(command_line()))


def test_every_command_that_writes_is_of_one_kind():
    writing = {name for name, command in COMMANDS.items() if any(p.name == "out" for p in command.params)}
    assert writing == TO_A_FILE.keys() | TO_A_FOLDER | TO_A_BOOK | TO_EITHER
    for name in writing:
        told = next(p.help for p in COMMANDS[name].params if p.name == "out")
        if name in TO_EITHER:
            assert told == output.RUN, name
        elif name in TO_A_FOLDER:
            assert told.startswith("A folder, "), name
        elif name in TO_A_BOOK:
            assert told.startswith("A machine's book (.toml)"), name
        else:
            assert told.startswith(output.FILE.split(" or ")[0]), name


@pytest.mark.parametrize("name", TO_A_FILE)
def test_one_document_goes_to_a_file_that_says_what_it_is(name, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for out in ("result", "result.txt"):
        status, printed, errors = command(*name.split(), *TO_A_FILE[name], "--out", out)
        assert status == 2 and printed == "" and "name that ends in .html, .htm, .md" in errors, errors
        assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_json_option_names_a_schema(command):
    for arguments, name in (
        (("simulate", "smollm2-135m"), "simulate"),
        (("simulate", "smollm2-135m", "--on", "hnlpu,h200"), "simulate-machines"),
        (("cost", "smollm2-135m"), "cost"),
        (("cost", "smollm2-135m", "--on", "hnlpu,h100,h200"), "cost-rows"),
        (("machines",), "machines"),
        (("fabrics", "smollm2-135m"), "fabrics"),
        (("respins", "smollm2-135m"), "respins"),
        (("adapt", "smollm2-135m"), "adapt"),
        (("models", "smollm2-135m"), "model"),
        (("assumptions", "n5"), "assumptions"),
        (("scan", "--on", "cpu,gpu"), "scan"),
    ):
        status, printed, _ = command(*arguments, "--json")
        data = json.loads(printed)
        assert status == 0 and data["schema"] == f"hwsim/{name}/1", arguments
        if name in ("machines", "fabrics", "respins", "assumptions", "cost-rows", "simulate-machines"):
            assert isinstance(data["rows"], list) and len(data["rows"]) > 1


def test_older_names_of_set_are_refused_with_what_to_use():
    served = hwsim.serve("smollm2-135m", hwsim.closed_loop(2, 4, prompt=8, output=8), "h100")
    for call in (
        lambda: explorer.cost("smollm2-135m", machine_set={"clock_hz": 1e9}),
        lambda: explorer.serving_cost(served, machine_set={"clock_hz": 1e9}),
        lambda: explorer.evaluate("smollm2-135m", varied={"clock_hz": [1e9]}),
    ):
        with pytest.raises(InputError, match="no longer taken: expected set"):
            call()


@pytest.mark.slow
def test_set_reaches_every_book_at_every_door(command):
    constants = {"link_bandwidth_bytes_per_s": "256 GB/s", "full_adder_transistors": 30, "use.respins": 2}
    asked = [f"--set={name}={value}" for name, value in constants.items()]
    printed = command("cost", "smollm2-135m", "--convention", "corrected", "--volume", "50", *asked, "--json")[1]
    said = json.loads(printed)["levels"]["nominal"]["tco_ratio"]
    known = explorer.cost("smollm2-135m", convention="corrected", volume=50, set=constants)
    assert said == float(known.comparison.nominal.tco_ratio)
    frame = explorer.evaluate("smollm2-135m", constants, beside="gpu", die_formula="exact")
    assert frame["tco_ratio"].iloc[0] == pytest.approx(said, rel=1e-9)


@pytest.mark.parametrize(
    "arguments",
    [
        ("cost", "smollm2-135m"),
        ("report", "smollm2-135m"),
        ("scan",),
        ("uncertainty", "--samples", "16"),
        ("retrieve", "study"),
    ],
)
def test_a_mistyped_constant_is_refused_with_the_nearest(arguments, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, errors = command(*arguments, "--set", "use.respin=2")
    assert status == 2 and "did you mean 'use.respins'" in errors, errors


@pytest.mark.slow
def test_weights_and_reading_of_a_report_are_those_of_its_costs():
    asked = {"convention": ("corrected", "as-published"), "weights": "int4", "reading": "as-published"}
    answer = explorer.answer("smollm2-135m", **asked)
    known = explorer.cost("smollm2-135m", volume=50, convention="corrected", weights="int4", reading="as-published")
    assert answer.cost.comparison == known.comparison
    assert answer.cost.comparison != explorer.answer("smollm2-135m", **asked | {"reading": None}).cost.comparison


@pytest.mark.slow
def test_a_report_says_what_events_would_add(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, short, _ = command("report", "--out", "r.md")
    assert "Lines that take event simulations are left out: --events" in short
    with_events = explorer.answer(events=True)
    assert {row.group for row in with_events.scoreboard.rows} - {"Events"} == {
        row.group for row in explorer.answer().scoreboard.rows
    }
    assert any("request by request" in note.title for note in with_events.notes)


@pytest.mark.slow
def test_uncertainty_takes_machines_as_a_report_does(command):
    status, printed, _ = command("uncertainty", "--samples", "16", "--on", "H200,hnlpu", "--json")
    assert status == 0 and '"beside": "H200"' in printed
    status, _, errors = command("uncertainty", "--on", "hnlpu,h100,h200")
    assert status == 2 and "one that is bought beside it" in errors
