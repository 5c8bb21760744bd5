"""The command line: what it prints, where it writes, and that bad input ends in one sentence and status 2."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODEL = "gpt-oss-120b"


@pytest.fixture
def call(command, tmp_path, monkeypatch):
    """Run the command in an empty folder; returns (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    return command


@pytest.fixture
def ask(call):
    """Run a command that succeeds and return its JSON, read strictly."""

    def run(*arguments):
        status, out, err = call(*arguments)
        assert (status, err) == (0, "")
        return strict(out)

    return run


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


# What it answers


def test_simulate(ask):
    arguments = ("--on", "hnlpu", "--context", "65536", "--reading", "as-published", "--json")
    data = ask("simulate", MODEL, *arguments)
    for name in ("tokens_per_s", "latency_s", "energy_j_per_token", "power_w", "area_mm2"):
        assert math.isfinite(data[name]) and data[name] > 0
    assert data["tokens_per_s"] == pytest.approx(249_960 * 70.8 / 82.9, rel=0.01)
    assert data["bound_by"] == "links" and data["context"] == 65536
    assert data["breakdown"].keys() == {"communication", "projection", "nonlinear", "attention", "stall"}
    assert sum(data["breakdown"].values()) == pytest.approx(1.0)
    assert {"VEX time": False, "KV in HBM": True}.items() <= {c["name"]: c["ok"] for c in data["checks"]}.items()
    assert all(entry["source"] for entry in data["assumptions"].values())


@pytest.mark.parametrize("machine", ["hnlpu", "h100", "wse3"])
def test_simulate_on_every_machine(ask, machine):
    data = ask("simulate", "llama-3-8b", "--on", machine, "--batch", "8", "--context", "4K", "--json")
    assert data["machine"] == machine and data["batch"] == 8 and data["context"] == 4096
    assert data["tokens_per_s"] > 0


@pytest.mark.slow
def test_readings_and_windows_reach_the_simulator(ask):
    base = ("simulate", MODEL, "--context", "64K", "--json")
    pipelined = ask(*base, "--reading", "pipelined")
    off, on = (ask(*base, "--reading", "pipelined", flag) for flag in ("--no-window", "--window"))
    assert on["tokens_per_s"] == pipelined["tokens_per_s"] > off["tokens_per_s"]
    assert ask(*base, "--technology", "n5")["chips"] > ask(*base)["chips"] == 16
    assert ask(*base, "--prompt", "1000")["time_to_first_token_s"] < ask(*base)["time_to_first_token_s"]


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["64e9", "64e9 B/s", "64 GB/s", "512 Gbit/s"])
def test_settings_take_units(ask, setting):
    half, whole = (
        ask("simulate", MODEL, "--json", *more) for more in (("--set", f"link_bandwidth_bytes_per_s={setting}"), ())
    )
    assert half["occupancy_s"]["links"] == pytest.approx(2 * whole["occupancy_s"]["links"], abs=0)
    entry = half["assumptions"]["link_bandwidth_bytes_per_s"]
    assert entry["kind"] == "user" and entry["unit"] == "B/s" and entry["nominal"] == pytest.approx(64e9)


def test_a_book_of_ones_own(ask, tmp_path):
    Path("fast.toml").write_text(
        '[book]\nname = "fast"\nextends = "hnlpu"\n[link_bandwidth_bytes_per_s]\nnominal = 256\nunit = "GB/s"\n'
        'year = 2026\nkind = "user"\nsource = "a wish"\n'
    )
    data = ask("simulate", MODEL, "--book", "fast.toml", "--reading", "as-published", "--json")
    assert data["assumptions"]["link_bandwidth_bytes_per_s"]["source"] == "a wish"
    assert data["occupancy_s"]["links"] == pytest.approx(3.321e-6 / 2, abs=0)


def test_a_model_of_ones_own(ask, tmp_path):
    import models

    zoo = Path(models.__file__).parent / "zoo" / "smollm2-135m.toml"
    Path("mine.toml").write_text(zoo.read_text(encoding="utf-8"), encoding="utf-8")
    ours, theirs = (ask("simulate", name, "--json") for name in ("mine.toml", "smollm2-135m"))
    assert ours["tokens_per_s"] == theirs["tokens_per_s"]


@pytest.mark.slow
@pytest.mark.parametrize("volume", ["1", "50"])
@pytest.mark.parametrize("convention", ["as-published", "corrected"])
def test_cost(ask, volume, convention):
    data = ask("cost", MODEL, "--volume", volume, "--convention", convention, "--json")
    assert (data["volume"], data["convention"]) == (int(volume), convention)
    assert {"low", "high"} <= data["levels"].keys()
    low, high = data["levels"]["low"], data["levels"]["high"]
    assert 0 < low["hardwired"]["total_usd"] < high["hardwired"]["total_usd"] and low["tco_ratio"] > high["tco_ratio"]
    if (convention, volume) == ("as-published", "50"):
        # The headline of the paper.
        assert round(low["tco_ratio"], 1) == 80.4 and round(high["tco_ratio"], 1) == 41.7
    assert data["gpus"] > 0 and data["effects"] and all(entry["source"] for entry in data["assumptions"].values())


@pytest.mark.slow
def test_cost_follows_the_volume(ask):
    one, fifty = (ask("cost", MODEL, "--volume", n, "--json")["levels"]["low"] for n in ("1", "50"))
    assert one["nre_usd"] == fifty["nre_usd"]
    assert fifty["hardwired"]["usd_per_million_tokens"] < one["hardwired"]["usd_per_million_tokens"]


@pytest.mark.slow
def test_what_the_chip_would_be_without_the_papers_density(ask):
    denser, looser = (
        ask("cost", MODEL, "--convention", "corrected", "--technology", name, "--json")
        for name in ("n5-asplos26", "n5-synthesised")
    )
    assert denser["inputs"]["chips"] == 16 < looser["inputs"]["chips"]
    assert denser["levels"]["low"]["tco_ratio"] > looser["levels"]["low"]["tco_ratio"]
    assert looser["assumptions"]["full_adder_transistors"]["kind"] == "measured"
    # The paper's inputs belong to the paper's density: another one is simulated in either convention.
    published = ask("cost", MODEL, "--technology", "n5-synthesised", "--json")
    assert published["inputs"]["chips"] == looser["inputs"]["chips"]


@pytest.mark.slow
def test_models(ask):
    rows = {row["name"]: row for row in ask("models", "--json")["rows"]}
    assert len(rows) >= 9 and rows[MODEL]["total"] == pytest.approx(116.83e9, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("book", ["default", "hnlpu-asplos26", "hnlpu", "n5", "n2", "h100", "wse3", "taalas-hc1"])
def test_assumptions(ask, book):
    rows = ask("assumptions", book, "--json")["rows"]
    assert rows and all(row["source"] and row["unit"] and row["low"] <= row["nominal"] <= row["high"] for row in rows)


@pytest.mark.slow
def test_report_writes_a_page(call, tmp_path):
    status, out, err = call("report", "--out", "page.html")
    assert (status, err) == (0, "") and "wrote page.html" in out
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.lstrip().lower().startswith("<!doctype html>") and "249,960" in page
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    assert "Traceback" not in out and "nan" not in out.split()


@pytest.mark.slow
def test_report_as_json(ask):
    data = ask("report", "smollm2-135m", "--json", "--out", "page.html")
    assert data["scoreboard"] is None and data["headline"] and data["notes"]
    assert Path("page.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", MODEL),
        ("simulate", MODEL, "--on", "h100", "--context", "1"),
        ("reproduce",),
        ("cost", "smollm2-135m", "--convention", "corrected"),
        ("models",),
        ("assumptions", "default"),
        ("--version",),
        ("--help",),
        ("simulate", "--help"),
    ],
    ids=" ".join,
)
def test_text_for_people(call, arguments):
    status, out, err = call(*arguments)
    assert (status, err) == (0, "") and out.strip()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("simulate", MODEL), ("reproduce",), ("cost", MODEL), ("models",), ("assumptions", "default")],
    ids=" ".join,
)
def test_out_writes_what_json_prints(call, tmp_path, arguments):
    _, printed, _ = call(*arguments, "--json")
    status, out, err = call(*arguments, "--out", "answer.json")
    assert (status, out, err) == (0, "", "")
    assert Path("answer.json").read_text(encoding="utf-8") == printed
    assert [path.name for path in tmp_path.iterdir()] == ["answer.json"]


@pytest.mark.slow
def test_out_replaces_an_older_file(call):
    Path("answer.json").write_text("old")
    assert call("models", "--out", "answer.json")[0] == 0
    assert strict(Path("answer.json").read_text(encoding="utf-8"))


# What it refuses

SIMULATE = ("simulate", MODEL)
PLACES = {
    "a missing folder": "no/such/page.html",
    "a folder": "folder.toml",
    "a file's inside": "bare.toml/page.html",
    "a name too long": "x" * 300,
}
COUNTS = ["0", "-5", "nan", "inf", "-inf", "1e30", "abc", "1.5", "", "K", "1e999", "9" * 400]

BAD = {
    "unknown command": (("simulat", MODEL), "simulate"),
    "unknown option": ((*SIMULATE, "--contxt", "5"), "--context"),
    "unknown model": (("simulate", "gpt-oss-120"), "did you mean 'gpt-oss-120b'"),
    "unknown model of cost": (("cost", "lama-3-8b"), "did you mean 'llama-3-8b'"),
    "unknown model of report": (("report", "gpt-os-120b"), "did you mean 'gpt-oss-120b'"),
    "no model": (("simulate",), "Missing argument 'model'"),
    "no book": (("assumptions",), "Missing argument 'book'"),
    "too many arguments": (("models", "extra"), "extra"),
    "unknown machine": ((*SIMULATE, "--on", "h10"), "did you mean 'h100'"),
    "unknown reading": ((*SIMULATE, "--reading", "published"), "did you mean 'as-published'"),
    "unknown convention": (("cost", MODEL, "--convention", "corected"), "did you mean 'corrected'"),
    "unknown convention of report": (("report", "--convention", "as-publishd"), "did you mean 'as-published'"),
    "unknown book": (("assumptions", "hnlpu-asplos"), "did you mean 'hnlpu-asplos26'"),
    "unknown book of cost": (("cost", MODEL, "--book", "defualt"), "did you mean 'default'"),
    "unknown technology": ((*SIMULATE, "--technology", "n4"), "unknown book 'n4'"),
    "unknown paper": (("reproduce", "hnlp"), "did you mean 'hnlpu'"),
    "no equals": ((*SIMULATE, "--set", "clock_hz"), "expected key=value"),
    "no value": ((*SIMULATE, "--set", "clock_hz="), "expected key=value"),
    "no key": ((*SIMULATE, "--set", "=5"), "expected key=value"),
    "unknown key": ((*SIMULATE, "--set", "clock_h=5"), "did you mean 'clock_hz'"),
    "unknown key of cost": (("cost", MODEL, "--set", "wafer.edge=5"), "did you mean 'wafer.edge_mm'"),
    "unknown key of h100": ((*SIMULATE, "--on", "h100", "--set", "memory_byte=5"), "did you mean 'memory_bytes'"),
    "unknown key of reproduce": (("reproduce", "--set", "clock=5"), "clock"),
    "not a number": ((*SIMULATE, "--set", "clock_hz=nan"), "finite"),
    "infinite": ((*SIMULATE, "--set", "clock_hz=inf"), "finite"),
    "words": ((*SIMULATE, "--set", "clock_hz=fast"), "'fast': expected a finite number"),
    "wrong unit": ((*SIMULATE, "--set", "clock_hz=5 kg"), "'kg'"),
    "unknown unit": ((*SIMULATE, "--set", "clock_hz=5 blorps"), "'blorps' is not known"),
    "below the field's range": ((*SIMULATE, "--set", "clock_hz=0"), "clock_hz = 0"),
    "negative": ((*SIMULATE, "--set", "clock_hz=-1"), "clock_hz = -1"),
    "above the field's range": ((*SIMULATE, "--set", "clock_hz=1e30"), "clock_hz = 1e+30"),
    "half a bank": ((*SIMULATE, "--set", "buffer_banks=1.5"), "whole"),
    "twice": ((*SIMULATE, "--set", "clock_hz=1e9", "--set", "clock_hz=2e9"), "given twice"),
    "half a grid": ((*SIMULATE, "--set", "rows=4"), "rows and columns"),
    "a density for no reticle": ((*SIMULATE, "--set", "logic_density_mtr_per_mm2=1e-3"), "chips"),
    "a reticle for no block": ((*SIMULATE, "--set", "reticle_width_mm=1"), "blocks beside the HN array"),
    **{f"context {text[:9]}": ((*SIMULATE, "--context", text), "context") for text in COUNTS},
    **{f"batch {text[:9]}": ((*SIMULATE, "--batch", text), "batch") for text in COUNTS},
    **{f"prompt {text[:9]}": ((*SIMULATE, "--prompt", text), "prompt") for text in COUNTS},
    **{f"h100 batch {text[:9]}": ((*SIMULATE, "--on", "h100", "--batch", text), "batch") for text in COUNTS},
    **{f"volume {text[:9]}": (("cost", MODEL, "--volume", text), "volume") for text in COUNTS},
    **{f"cost context {text[:9]}": (("cost", MODEL, "--context", text), "context") for text in COUNTS},
    **{f"report volume {text[:9]}": (("report", "--volume", text), "volume") for text in COUNTS},
    **{f"report context {text[:9]}": (("report", "--context", text), "context") for text in COUNTS},
    "missing model file": (("simulate", "no.toml"), "no.toml"),
    "missing model folder": (("simulate", "no/such/config.json"), "config.json"),
    "broken model JSON": (("simulate", "broken.json"), "broken.json is not valid JSON"),
    "list as model": (("simulate", "list.json"), "expected a JSON object, found list"),
    "empty object as model": (("simulate", "empty.json"), "empty.json"),
    "broken model TOML": (("simulate", "broken.toml"), "broken.toml is not valid TOML"),
    "folder as model": (("simulate", "folder.toml"), "folder.toml"),
    "broken book": ((*SIMULATE, "--book", "broken.toml"), "broken.toml is not valid TOML"),
    "book without a table": ((*SIMULATE, "--book", "bare.toml"), "[book]"),
    "book with low > nominal": ((*SIMULATE, "--book", "upside.toml"), "expected low <= nominal <= high"),
    "book with a wrong unit": ((*SIMULATE, "--book", "unit.toml"), "'kg'"),
    "book with an unknown name": ((*SIMULATE, "--book", "name.toml"), "did you mean 'clock_hz'"),
    "book with an unknown key": ((*SIMULATE, "--book", "key.toml"), "did you mean 'source'"),
    "book without a source": ((*SIMULATE, "--book", "silent.toml"), "source"),
    "missing book": ((*SIMULATE, "--book", "none.toml"), "none.toml"),
    "missing book of assumptions": (("assumptions", "none.toml"), "none.toml"),
    "binary book": ((*SIMULATE, "--book", "binary.toml"), "not UTF-8"),
    "unknown process of cost": (("cost", MODEL, "--technology", "n5-synthesized"), "n5-synthesised"),
    "unknown process of report": (("report", "--technology", "n4"), "n4"),
    "folder as book": ((*SIMULATE, "--book", "folder.toml"), "folder.toml"),
    "broken book of cost": (("cost", MODEL, "--book", "broken.toml"), "broken.toml is not valid TOML"),
    "broken book of report": (("report", "--book", "broken.toml"), "broken.toml is not valid TOML"),
    "missing book of h100": ((*SIMULATE, "--on", "h100", "--book", "none.toml"), "none.toml"),
    **{
        f"{command} into {where}": ((command, *more, "--out", path), "cannot write")
        for command, *more in (
            SIMULATE,
            ("reproduce",),
            ("cost", MODEL),
            ("models",),
            ("assumptions", "n5"),
            ("report",),
        )
        for where, path in PLACES.items()
    },
}

_ENTRY = (
    '[book]\nname = "mine"\nextends = "hnlpu"\n[{name}]\nnominal = 1e9\nunit = "{unit}"\nyear = 2026\nkind = "user"\n'
)
_FILES = {
    "broken.json": "{",
    "list.json": "[1, 2]",
    "empty.json": "{}",
    "broken.toml": "= [",
    "bare.toml": "",
    "upside.toml": _ENTRY.format(name="clock_hz", unit="Hz") + 'source = "me"\nlow = 2e9\n',
    "unit.toml": _ENTRY.format(name="clock_hz", unit="kg") + 'source = "me"\n',
    "name.toml": _ENTRY.format(name="clock_hertz", unit="Hz") + 'source = "me"\n',
    "key.toml": _ENTRY.format(name="clock_hz", unit="Hz") + 'sorce = "me"\n',
    "silent.toml": _ENTRY.format(name="clock_hz", unit="Hz") + 'source = " "\n',
}


@pytest.mark.slow
@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_one_sentence(call, tmp_path, case):
    arguments, said = BAD[case]
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.toml").mkdir()
    before = sorted(tmp_path.rglob("*"))
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("hwsim: ") and err.endswith("\n") and err.count("\n") == 1, err
    assert said in err and len(err) < 500
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_without_permission(call, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    status, _, err = call("models", "--out", "closed/models.json")
    assert status == 2 and "cannot write" in err and not list(closed.iterdir())


@pytest.mark.slow
def test_a_failed_write_keeps_the_older_file(call, tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    Path("answer.json").write_text("old")
    monkeypatch.setattr(Path, "replace", full)
    status, _, err = call("models", "--out", "answer.json")
    assert status == 2 and "No space left on device" in err
    assert Path("answer.json").read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["answer.json"]


@pytest.mark.slow
def test_a_broken_prediction_ends_with_status_1(call):
    status, out, err = call("reproduce", "--set", "link_bandwidth_bytes_per_s=64e9", "--json")
    assert (status, err) == (1, "")
    data = strict(out)
    assert data["summary"]["ok"] is False and data["summary"]["outside_tolerance"] > 0
    outside = {row["id"] for row in data["rows"] if row["status"] == "OUTSIDE"}
    assert "t2-hnlpu-tokens" in outside
    status, out, _ = call("reproduce", "--set", "link_bandwidth_bytes_per_s=64e9")
    assert status == 1 and "OUTSIDE" in out


# As a process


def process(*arguments, folder, **more):
    environment = {**os.environ, "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-c", "from explorer.commands.app import main; main()", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        **more,
    )


@pytest.mark.slow
def test_processes(tmp_path):
    good = process("simulate", "smollm2-135m", "--json", folder=tmp_path)
    assert (good.returncode, good.stderr) == (0, "") and strict(good.stdout)["model"] == "smollm2-135m"
    bad = process("simulate", "gpt-oss-120", folder=tmp_path)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "hwsim: unknown model 'gpt-oss-120'; did you mean 'gpt-oss-120b'?\n"
    failed = process("reproduce", "--json", "--set", "link_bandwidth_bytes_per_s=64e9", folder=tmp_path)
    assert failed.returncode == 1 and not failed.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_reader_that_leaves_early(tmp_path):
    code = "from explorer.commands.app import main; main()"
    writer = subprocess.Popen(
        [sys.executable, "-c", code, "reproduce", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None and writer.stderr is not None
    writer.stdout.close()
    assert "Traceback" not in writer.stderr.read() and writer.wait(timeout=60) in (0, 1)
    writer.stderr.close()
