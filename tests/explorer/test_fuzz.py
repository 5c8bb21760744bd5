"""Hostile command lines: 1,000 seeded ones end with a known status, and a refusal is one short line."""

import random

import pytest

CASES = 1000
SEED = 15
LONGEST = 1200

#: Words in place of numbers, names and paths.
HOSTILE = (
    *("", " ", "0", "-1", "-0", "nan", "inf", "-inf", "1e30", "1e-30", "1e999", "9" * 400, "0x10", "1_000", "1,000"),
    *("64K", "64KiB", "1.5", "½", "٣", "true", "None", "null", "[]", "{}", "a=b", "=", "--", "-", "--set", "*", "?"),
    *("a" * 5000, "\x00", "\n", "\t", "\x1b[31m", "\udcff", "é" * 300, "[bold]", "[/]", "%s", "{0}", "$(id)", "`id`"),
    *("../../etc/passwd", "/dev/null", "/", ".", "..", "~", "no/such/file.toml", "folder.toml", "deep.json"),
    *("binary.toml", "loop.toml", "empty.toml", "broken.json", "gpt-oss-120b", "GPT-OSS-120B", "hnlpu", "H100", "n5"),
)
#: What follows --set.
SETTINGS = (
    *("clock_hz=1e9", "clock_hz=", "=1", "clock_hz=1 9**9**9**9", "clock_hz=1 kg", "clock_hz=(((", "clock_hz=1 GHz"),
    *("clock_hz=nan", "clock_h=1", "rows=4", "wafer.edge_mm=-1", "wafer.edge_mm=3 mm", "a" * 3000, "x=" + "y" * 3000),
)
COUNT, NAME, FILE = ("--context", "--batch", "--volume", "--prompt"), ("--on", "--reading", "--weights"), ("--book",)
#: Commands that answer soon, and the options that each takes.
QUICK = {
    ("simulate", "gpt-oss-120b"): ("--context", "--batch", "--prompt", *NAME, *FILE, "--technology", "--set"),
    ("simulate",): (*NAME, "--set", "--book"),
    ("simulate", "llama-3-8b", "--on", "h100"): ("--context", "--batch", "--gpus", "--weights", "--set"),
    ("assumptions",): ("--json", "--bok"),
    ("models",): ("--json", "--out", "--on"),
    ("study", "show"): ("--out", "--json"),
    ("study", "why"): ("--out",),
    ("allocate",): ("--budget", "--unit", "--group", "--allow", "--ties", "--front", "--solver"),
    ("fabrics", "smollm2-135m"): ("--technology", "--weights", "--fabrics", "--set", "--book"),
    ("compare-tools",): ("--area", "--node", "--grid", "--set", "--book"),
    ("scan", "--documents", "1e9"): ("--bits", "--planes", "--on", "--memory", "--qps", "--batch", "--set", "--region"),
    (): ("--version", "--help", "--json"),
    ("study",): (),
    ("retrieve", "query"): ("--index", "--k", "--text"),
}
#: Commands that would take long: each gets an option that no command has.
LONG = (
    "report",
    "respins",
    "reproduce",
    "cost",
    "uncertainty",
    "break-even",
    "hardwire",
    "quality",
    "infer",
    "sensitivity",
)


def command_lines(seed, count):
    draw = random.Random(seed)
    for _ in range(count):
        if draw.random() < 0.15:
            yield [draw.choice(LONG), draw.choice(HOSTILE), "--no-such-option", draw.choice(HOSTILE)]
            continue
        base = draw.choice(list(QUICK))
        line = list(base)
        for _ in range(draw.choice((0, 1, 1, 2, 3))):
            options = QUICK[base]
            if options and draw.random() < 0.8:
                option = draw.choice(options)
                line += [option, draw.choice(SETTINGS if option == "--set" else HOSTILE)]
            else:
                line.insert(draw.randint(0, len(line)), draw.choice(HOSTILE))
        yield line


@pytest.mark.slow
def test_hostile_command_lines(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.toml").write_text("")
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    wrong = []
    for line in command_lines(SEED, CASES):
        status, out, err = command(*line)
        refused = status == 2
        one_line = err.startswith("hwsim: ") and err.count("\n") == 1 and err.endswith("\n") and len(err) <= LONGEST
        if status not in (0, 1, 2) or (refused and (out or not one_line)) or "Traceback" in err:
            wrong.append((line, status, out[:200], err[:300]))
    assert not wrong, f"{len(wrong)} of {CASES}: {wrong[:5]}"
