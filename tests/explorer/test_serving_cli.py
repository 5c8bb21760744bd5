"""`hwsim simulate --events`: files and bad input; as a process: interrupts, equal bytes."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

TRACE = "arrival_s,prompt_tokens,output_tokens\n0,100,20\n0.5,2000,50\n0.5,30,1\n1.5,800,200\n"
H100 = ("--on", "h100", "--gpus", "2")


@pytest.fixture
def run(command):
    """Simulate with arguments; returns what a process would: status, standard output, standard error."""

    def simulate(*arguments):
        arguments = ["simulate", "gpt-oss-120b", *arguments]
        return subprocess.CompletedProcess(arguments, *command(*arguments))

    return simulate


def run_process(*arguments, **env):
    start = [sys.executable, "-c", "from explorer.commands.app import main; main()", "simulate", "gpt-oss-120b"]
    return subprocess.run([*start, *arguments], capture_output=True, text=True, env=os.environ | env, timeout=120)


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return path


@pytest.mark.slow
def test_a_trace_becomes_a_folder(run, trace, tmp_path):
    out = tmp_path / "served"
    done = run("--events", "service", *H100, "--traffic", str(trace), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "time to first token" in done.stdout
    assert {path.name for path in out.iterdir()} >= {"result.json", "requests.csv", "timeline.csv", "page.html"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["served", "trace.csv"], "nothing else is left"
    result = json.loads((out / "result.json").read_text())
    assert result["states"]["finished"] == result["requests"] == 4
    assert result["assumptions"]["layer_latency_s"]["source"]
    requests = pd.read_csv(out / "requests.csv")
    assert requests.generated_tokens.tolist() == [20, 50, 1, 200]
    assert requests.arrival_s.tolist() == [0.0, 0.5, 0.5, 1.5]
    assert pd.read_csv(out / "timeline.csv").time_s.is_monotonic_increasing
    page = (out / "page.html").read_text()
    assert "What users felt" in page and 'http-equiv="Content-Security-Policy"' in page


@pytest.mark.slow
def test_equal_seeds_give_equal_bytes_whatever_the_hash_seed(tmp_path):
    options = ("--events", "service", *H100, "--rate", "20", "--requests", "200", "--burstiness", "3")
    for name, hash_seed, seed in (("a", "1", "7"), ("b", "2", "7"), ("c", "1", "8")):
        done = run_process(*options, "--seed", seed, "--out", str(tmp_path / name), PYTHONHASHSEED=hash_seed)
        assert done.returncode == 0, done.stderr
    for name in ("result.json", "requests.csv", "timeline.csv"):
        first, again, other = ((tmp_path / run_name / name).read_bytes() for run_name in "abc")
        assert first == again
        assert first != other


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grain", "requests", "extra"),
    [("service", "300", ("--machines", "2")), ("detailed", "20", ("--fault", "link,at_s=0.001,chip=0,peer=1"))],
)
def test_the_hardwired_machine_in_both_grains(run, tmp_path, grain, requests, extra):
    out = tmp_path / "served"
    sizes = ("--prompt-tokens", "20", "--output-tokens", "6", "--requests", requests)
    done = run("--events", grain, "--rate", "2000", *sizes, *extra, "--out", str(out))
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "result.json").read_text())
    assert result["grain"] == grain and result["states"]["finished"] == int(requests)
    assert (out / "trace.json").exists() == (grain == "detailed")
    if grain == "detailed":
        trace = json.loads((out / "trace.json").read_text())
        spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
        assert {event["pid"] for event in spans} == set(range(16))
        assert min(event["dur"] for event in spans) > 0.0
        page = (out / "page.html").read_text()
        assert "Inside the machine" in page and "Busy share of each chip" in page


def test_users_and_scaled_files(run, trace):
    closed = run("--events", "service", *H100, "--users", "4", "--requests", "12", "--output-tokens", "8", "--json")
    assert json.loads(closed.stdout)["states"]["finished"] == 12
    dense = run("--events", "service", *H100, "--traffic", str(trace), "--time-scale", "0.1", "--limit", "3", "--json")
    assert json.loads(dense.stdout)["requests"] == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "header"),
        ("arrival_s,prompt_tokens\n0,1\n", "no column output_tokens"),
        ("arrival_s,prompt_tokens,output_tokens\n", "no requests"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5,5\n1,-3,5\n", "line 3"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5,5\n1,5,0\n", "line 3"),
        ("arrival_s,prompt_tokens,output_tokens\n5,5,5\n1,5,5\n", "line 3"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5,5\n1,1000000,5\n", "line 3"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5,nan\n", "line 2"),
        ("arrival_s,prompt_tokens,output_tokens\ninf,5,5\n", "line 2"),
        ("arrival_s,prompt_tokens,output_tokens\n0,5.5,5\n", "line 2"),
    ],
)
def test_bad_traffic_files_name_their_line(run, tmp_path, text, said):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    done = run("--events", "service", *H100, "--traffic", str(path), "--out", str(tmp_path / "out"))
    assert done.returncode == 2
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "5"), "--events"),
        (("--events", "servise", "--rate", "5"), "service"),
        (("--events", "service", *H100), "--traffic, --rate, --users"),
        (("--events", "service", *H100, "--rate", "5", "--users", "3"), "expected one of"),
        (("--events", "service", *H100, "--rate", "0"), "rate_per_s"),
        (("--events", "service", *H100, "--rate", "nan"), "rate_per_s"),
        (("--events", "service", *H100, "--rate", "1", "--requests", "0"), "requests"),
        (("--events", "service", *H100, "--rate", "1", "--time-scale", "2"), "--time-scale"),
        (("--events", "service", *H100, "--rate", "1", "--prompt-tokens", "1000000"), "--max-context"),
        (("--events", "service", *H100, "--rate", "1", "--policy", "fifo"), "first-come"),
        (("--events", "service", *H100, "--rate", "1", "--machines", "2", "--router", "random"), "least-loaded"),
        (("--events", "service", *H100, "--rate", "1", "--machines", "0"), "machines"),
        (("--events", "service", "--on", "wse3", "--rate", "1"), "wse3"),
        (("--events", "detailed", *H100, "--rate", "1"), "service grain only"),
        (("--events", "service", "--rate", "1", "--fault", "lnk,at_s=1,chip=0"), "link"),
        (("--events", "service", "--rate", "1", "--fault", "chip,at_s=1"), "chip is missing"),
        (("--events", "service", "--rate", "1", "--fault", "chip,at_s=x,chip=0"), "at_s"),
        (("--events", "service", "--rate", "1", "--fault", "chip,at_s=1,chip=99"), "99"),
        (("--events", "service", "--rate", "1", "--fault", "chip,at=1,chip=9"), "at_s"),
        (("--events", "service", *H100, "--rate", "1", "--fault", "chip,at_s=1,chip=0"), "--fault has no effect here"),
        (("--events", "service", "--rate", "1", "--record-at", "1"), "--record-at"),
        (("--events", "service", *H100, "--traffic", "absent.csv"), "absent.csv"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(run, arguments, said, tmp_path):
    done = run(*arguments, "--out", str(tmp_path / "out"))
    assert done.returncode == 2, done.stdout
    assert said in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_only_folders_of_our_own_are_replaced(run, trace, tmp_path):
    options = ("--events", "service", *H100, "--traffic", str(trace))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    done = run(*options, "--out", str(mine))
    assert done.returncode == 2 and "thesis.txt" in done.stderr
    assert (mine / "thesis.txt").read_text() == "years of work"
    again = tmp_path / "served"
    assert run(*options, "--out", str(again)).returncode == 0
    (again / "requests.csv").write_text("old")
    assert run(*options, "--out", str(again)).returncode == 0
    assert (again / "requests.csv").read_text() != "old"
    for wrong in (trace, tmp_path / "absent" / "out"):
        assert run(*options, "--out", str(wrong)).returncode == 2
    assert trace.read_text() == TRACE


#: The command, interrupting itself once so many requests have ended.
INTERRUPTED = """
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job may have it ignored
import hwsim
from explorer.commands import app as cli

serve = hwsim.serve

def interrupted(*given, progress, **options):
    def report(done, total, now_s):
        progress(done, total, now_s)
        if done > 300:
            os.kill(os.getpid(), signal.SIGINT)
    return serve(*given, progress=report, **options)

hwsim.serve = interrupted
cli.main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("machine", [H100, ("--on", "hnlpu")])
def test_an_interrupt_writes_what_there_is(tmp_path, machine):
    out = tmp_path / "served"
    options = ("--events", "service", *machine, "--rate", "20", "--requests", "5000", "--out", str(out))
    arguments = [sys.executable, "-c", INTERRUPTED, "simulate", "gpt-oss-120b", *options]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr and "interrupted" in done.stdout.lower()
    result = json.loads((out / "result.json").read_text())
    assert result["interrupted"] is True
    assert 300 < result["states"]["finished"] < 5000
    assert result["states"]["finished"] + result["states"]["unfinished"] == 5000
    assert "Interrupted" in (out / "page.html").read_text()
