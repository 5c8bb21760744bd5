"""`hwsim wiring`: what it prints and writes for a small model, and that bad input ends in one sentence and status 2."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inference_cases import needs_gguf, needs_tokenizers, random_weights, tiny_config, tiny_vocabulary, write_gguf

from explorer.documents import html
from explorer.wiring.document import wiring_document
from explorer.wiring.study import wiring_study
from hwsim import InputError
from models.inference import INSTALL

SECTIONS = ["findings", "tile", "slack", "routing", "weights", "scales", "methods", "reproduce"]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    pytest.importorskip("gguf", reason=INSTALL)
    return write_gguf(tmp_path_factory.mktemp("model") / "tiny.gguf", random_weights(tiny_config()), tiny_vocabulary())


@pytest.fixture(scope="module")
def study(file):
    return wiring_study("<b>tiny</b>", weights_file=file, command="hwsim wiring <i>")


@pytest.fixture
def call(command, tmp_path, monkeypatch):
    """Run the command in an empty folder; returns (exit status, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: command("wiring", *map(str, arguments))


@pytest.mark.slow
def test_a_study_counts_its_model(study):
    config = tiny_config()
    assert study.matrices == len(config.linear_shapes())
    assert study.weights == sum(rows * columns for rows, columns in config.linear_shapes().values())
    # Of the matrices only the head, 263 x 32, makes neurons of 2,880 inputs: two of them.
    assert study.stand_ins == 2 and study.ports["neurons"].sum() == 2
    assert [slack.slice_ports for slack in study.measured] == [4, 8, 16]
    nominal = study.nominal
    assert nominal.low <= nominal.nominal <= nominal.high and nominal.utilisation <= 0.7
    data = json.loads(study.to_json())
    assert data["faults"] is None and len(data["histograms"]) == study.matrices
    assert [example["inputs"] for example in data["examples"]] == [2880, nominal.cluster_inputs]
    said = " ".join(study.findings)
    for share in (nominal.nominal, nominal.low, nominal.high):
        assert f"{100 * share:.1f}\u00a0%" in said


@pytest.mark.slow
def test_the_page_holds_its_figures_and_asks_for_nothing(study):
    page = html.render(wiring_document(study))
    assert re.findall(r'<section id="([^"]+)"', page) == SECTIONS
    plots = re.findall(r'<div class="plot" id="plot-([^"]+)"', page)
    assert plots == ["tile-0", "tile-1", "ports", "slack", "tracks", "regions"]
    for plot in plots:
        figure = re.search(rf'<script type="application/json" id="plot-{plot}-data">(.*?)</script>', page, re.S)
        assert json.loads(figure[1])["data"]
    assert "&lt;b&gt;tiny" in page and "<b>tiny" not in page and "wiring <i>" not in page
    before = page[: page.index("<script>")]
    assert not re.search(r"https?:|\bsrc=|<link|<iframe", before)
    ids = re.findall(r'\bid="([^"]+)"', before)
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_on_the_terminal_and_as_a_page(call, file, tmp_path):
    status, out, err = call("tiny", "--weights-file", file, "--out", "page.html")
    assert (status, err) == (0, "")
    assert out == "wrote page.html\n"
    assert "Slack for neurons of 2,880 inputs" in call("tiny", "--weights-file", file)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.slow
def test_as_json_and_in_files(call, file, tmp_path):
    status, out, err = call("tiny", "--weights-file", file, "--technology", "n5", "--json")
    assert (status, err) == (0, "") and json.loads(out)["technology"] == "n5"
    assert call("tiny", "--weights-file", file, "--out", "w.json")[:2] == (0, "")
    assert json.loads(Path("w.json").read_text())["model"] == "tiny"
    assert call("tiny", "--weights-file", file, "--out", "w.csv")[0] == 0
    assert Path("w.csv").read_text().startswith("neurons,inputs,slice_ports")


@pytest.mark.slow
@needs_tokenizers
def test_faults_of_a_small_model(call, file):
    status, out, err = call(
        "tiny", "--weights-file", file, "--faults", "--tokens", "24", "--seeds", "1", "--json", "--out", "page.html"
    )
    assert (status, err) == (0, "")
    faults = json.loads(out)["faults"]
    assert faults["tokens"] == 24 and faults["window"] <= 96 and len(faults["curve"]) == 4 * 7
    assert len(faults["critical"]) == 9 and [row["volume"] for row in faults["costs"]] == [1, 1, 50, 50]
    page = Path("page.html").read_text(encoding="utf-8")
    assert (
        'id="plot-defects"' in page
        and "Defects of a chip at which perplexity grows" in page
        and '<section id="faults"' in page
    )


@needs_gguf
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("smollm2-136m",), "smollm2-135m"),
        (("gpt-oss-120b",), "smollm2-135m"),
        (("tiny", "--weights-file", "absent.gguf"), "no such file"),
        (("tiny", "--weights-file", "broken.gguf"), "not a whole GGUF"),
        (("tiny", "--weights-file", "{file}", "--technology", "n5-asplos"), "n5-asplos26"),
        (("tiny", "--weights-file", "{file}", "--out", "nowhere/page.html"), "cannot write"),
        (("tiny", "--weights-file", "{file}", "--out", "."), "cannot write"),
        (("tiny", "--weights-file", "{file}", "--out", "w.txt"), "expected a name that ends in"),
        (("tiny", "--weights-file", "{file}", "--faults", "--tokens", "0"), "tokens"),
        (("tiny", "--weights-file", "{file}", "--faults", "--tokens", "1e9"), "at most"),
        (("tiny", "--weights-file", "{file}", "--faults", "--tokens", "many"), "tokens"),
        (("tiny", "--weights-file", "{file}", "--faults", "--seeds", "-1"), "draws"),
        (("tiny", "--weights-file", "{file}", "--faults", "--seeds", "nan"), "seeds"),
    ],
)
def test_bad_input_is_one_sentence(call, file, tmp_path, arguments, said):
    Path("broken.gguf").write_bytes(file.read_bytes()[:1000])
    status, out, err = call(*(argument.format(file=file) for argument in arguments))
    assert (status, out) == (2, "") and said in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["broken.gguf"]


def test_missing_packages_say_what_to_install(call, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    status, out, err = call()
    assert (status, out) == (2, "") and INSTALL in err


@pytest.mark.slow
@needs_gguf
def test_as_a_process(file, tmp_path):
    run = "import sys; from explorer.commands.app import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", run, "wiring", "tiny", "--weights-file", str(file), "--out", "missing/p.html"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    assert done.stderr.startswith("hwsim: cannot write") and done.stderr.count("\n") == 1


def test_what_a_study_cannot_be_of():
    with pytest.raises(InputError, match="model with weights"):
        wiring_study("")
