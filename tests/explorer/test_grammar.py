"""One grammar: options that mean the same are spelt the same in every command."""

import json
import shlex

import pytest

from explorer.commands.applies import RULES
from explorer.commands.output import made_by
from explorer.commands.parser import command_line

#: Commands that read no constants, or whose argument is the book itself.
NO_CONSTANTS = {
    *("models", "machines", "study list", "study show", "study why", "allocate", "quality", "sensitivity", "fronts"),
    *(
        "audit layout",
        "quantise",
        "retrieve build",
        "retrieve query",
        "retrieve eval",
        "retrieve study",
        "retrieve limit",
    ),
}


def commands(group=None, path=""):
    """Return every command by what is typed."""
    found = {}
    for name, command in (group or command_line()).commands.items():
        typed = f"{path} {name}".strip()
        found |= commands(command, typed) if hasattr(command, "commands") else {typed: command.load()}
    return found


COMMANDS = commands()


def options(command):
    return {option: parameter for parameter in command.params for option in parameter.opts}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_the_shared_options(name):
    given = options(COMMANDS[name])
    assert "--json" in given
    if name not in NO_CONSTANTS:
        assert "--set" in given
    if name not in NO_CONSTANTS | {"assumptions"}:
        assert "--book" in given


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_is_whole(name):
    """A sentence for each option, none with brackets, which some terminals take for styles."""
    command = COMMANDS[name]
    assert command.help and command.help.strip()[-1] in ".)"
    for option, parameter in options(command).items():
        assert option == "--help" or parameter.help or not option.startswith("-"), option
        assert "[" not in (parameter.help or "")


def test_the_table_of_restrictions_names_commands_and_their_options():
    for name, rules in RULES.items():
        known = {parameter.name for parameter in COMMANDS[name].params}
        assert {parameter for rule in rules for parameter in rule.parameters} <= known


@pytest.mark.parametrize(
    ("line", "option"),
    [
        ("simulate llama-3-8b --on h100 --weights int4", "--weights"),
        ("simulate llama-3-8b --gpus 4", "--gpus"),
        ("simulate llama-3-8b --on h100 --reading pipelined", "--reading"),
        ("simulate llama-3-8b --on h100 --technology n5", "--technology"),
        ("simulate llama-3-8b --on h100 --window", "--window"),
        ("simulate llama-3-8b --on h100 --no-window", "--no-window"),
        ("simulate llama-3-8b --machines 4", "--machines"),
        ("simulate llama-3-8b --max-context 100", "--max-context"),
        ("simulate llama-3-8b --policy fcfs", "--policy"),
        ("simulate llama-3-8b --seed 3", "--seed"),
        ("simulate llama-3-8b --time-scale 0", "--time-scale"),
        ("simulate llama-3-8b --events service --context 4K", "--context"),
        ("scan --skew 1", "--skew"),
        ("scan --on cpu --unit xor", "--unit"),
        ("fronts sdxl-turbo --out f --jobs 2", "--jobs"),
        ("cost --context 4K --prompt-tokens 100 --output-tokens 10", "--context"),
        ("uncertainty --context 4K --prompt-tokens 100 --output-tokens 10", "--context"),
        ("compare-serving --interactivity 10:20 --context 4K --prompt-tokens 9 --output-tokens 9", "--context"),
        ("allocate l.csv --constraint bits<=9 --two-sided 0.5", "--two-sided"),
        ("allocate l.csv --constraint bits<=9 --unit MB", "--unit"),
        ("retrieve build --corpus c --out i --embeddings d.npy --cache k", "--cache"),
        ("retrieve build --corpus c --out i --codec int8 --train-queries q --train-qrels r", "--train-queries"),
        ("retrieve eval --corpus c --queries q --qrels r --codec sign --train-queries q --train-qrels r", "--train"),
        ("retrieve query --index i --embeddings q.npy --cache k", "--cache"),
        ("retrieve study --from t.csv --queries 9", "--queries"),
    ],
)
def test_an_option_without_effect_is_refused(command, line, option):
    status, out, err = command(*line.split())
    assert (status, out) == (2, "")
    assert option in err and "applies" in err and err.count("\n") == 1


def test_help_says_where_an_option_applies():
    assert "Only on GPUs and wafers." in options(COMMANDS["simulate"])["--gpus"].help


@pytest.mark.slow
def test_settings_reach_every_book(command):
    plain, wires, wafers = (
        json.loads(command("cost", "--convention", "corrected", "--json", *more)[1])["levels"]["nominal"]["tco_ratio"]
        for more in ((), ("--set", "link_bandwidth_bytes_per_s=64e9"), ("--set", "wafer.edge_mm=10"))
    )
    assert wires < plain and wafers != plain


@pytest.mark.parametrize("name", ["cost", "report", "uncertainty"])
@pytest.mark.parametrize(("typed", "meant"), [("clock_h", "clock_hz"), ("wafer.edge", "wafer.edge_mm")])
def test_a_mistyped_constant_gets_the_nearest_of_all_books(command, tmp_path, monkeypatch, name, typed, meant):
    monkeypatch.chdir(tmp_path)
    status, out, err = command(name, "--set", f"{typed}=3")
    assert (status, out) == (2, "") and f"did you mean {meant!r}" in err


@pytest.mark.slow
def test_names_ignore_case(command):
    upper = command("simulate", "LLAMA-3-8B", "--on", "H100", "--json")
    assert upper[0] == 0 and upper == command("simulate", "llama-3-8b", "--on", "h100", "--json")


def test_the_command_of_a_page_can_be_pasted(monkeypatch):
    typed = ["hwsim", "report", "--set", "link_bandwidth_bytes_per_s=256 GB/s", "--out", "x;rm -rf ~.html"]
    monkeypatch.setattr("sys.argv", typed)
    assert shlex.split(made_by()) == typed


@pytest.mark.parametrize(
    ("line", "constant"),
    [
        ("cost --convention as-published --set service.time_per_token_s=0.1", "service.time_per_token_s"),
        ("cost --convention corrected --set reference.tokens_per_s=1e6", "reference.tokens_per_s"),
        ("cost --set n7.wafer_price_usd=9000", "n7.wafer_price_usd"),
        ("compare-serving --interactivity 10:20 --set h100.tokens_per_s=1", "h100.tokens_per_s"),
        ("compare-serving --interactivity 10:20 --set service.time_per_token_s=0.1", "service.time_per_token_s"),
    ],
)
@pytest.mark.slow
def test_a_constant_that_nobody_reads_is_refused(command, line, constant):
    status, out, err = command(*line.split())
    assert (status, out) == (2, "") and err.startswith(f"hwsim: {constant}") and err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("option", ["--gpu-set measured_tokens_per_s=5", "--set n3.wafer_price_usd=3e4"])
def test_a_comparison_under_traffic_refuses_constants_that_nobody_reads(command, tmp_path, option):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,prompt_tokens,output_tokens\n0,100,20\n")
    line = f"compare-serving --on hnlpu,h100 --gpus 2 --traffic {path} {option}"
    status, out, err = command(*line.split())
    assert (status, out) == (2, "") and "has no effect here" in err


@pytest.mark.slow
def test_a_constant_that_one_of_several_conventions_reads_is_taken(command):
    line = "cost --convention as-published,corrected --set service.time_per_token_s=0.1 --json"
    assert command(*line.split())[0] == 0
