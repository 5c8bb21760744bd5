"""`hwsim sensitivity` and `hwsim fronts` as a user calls them: on a small model file, resumed, and with bad input."""

import json
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
from inference_cases import needs_gguf, needs_tokenizers, random_weights, tiny_config, tiny_vocabulary, write_gguf

from explorer.allocation.allocate import allocate
from explorer.precision import study

pytestmark = [needs_gguf, needs_tokenizers]
SENSITIVITY = ("sensitivity", "smollm2-135m", "--weights-file", "tiny.gguf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("precision")
    begin = {"tokenizer.ggml.bos_token_id": 1}
    write_gguf(made / "tiny.gguf", random_weights(tiny_config(context=256)), tiny_vocabulary(), **begin)
    (made / "half.gguf").write_bytes((made / "tiny.gguf").read_bytes()[:5000])
    (made / "full").mkdir()
    (made / "full" / "mine.txt").write_text("keep me")
    return made


@pytest.fixture
def call(command, folder, monkeypatch):
    """Run the command in the folder; returns (exit status, standard output, standard error)."""
    monkeypatch.chdir(folder)
    return command


@pytest.mark.slow
def test_the_table_is_what_allocation_reads(call, folder):
    status, out, err = call(*SENSITIVITY, "--bits", "2,4,8", "--cache", "cache", "--out", "table.csv")
    assert (status, out, err.strip()) == (0, "", "")
    table = pd.read_csv(folder / "table.csv")
    assert len(table) == 15 * 3 and table["group"].nunique() == 2
    found = allocate(folder / "table.csv", 4.0)
    assert found.status == "optimal" and found.mean_bits <= 4.0 and len(found.bits) == 15
    status, out, _ = call(*SENSITIVITY, "--bits", "4,8", "--cache", "cache", "--json")
    assert status == 0 and json.loads(out)["measured"] == 0
    status, out, _ = call(*SENSITIVITY, "--bits", "4", "--cache", "cache")
    assert status == 0 and "tiny: what rounding one layer costs" in out and "The 15 that cost most" in out


@pytest.mark.slow
def test_options_reach_the_measurement(call):
    def losses(*options):
        status, out, err = call(*SENSITIVITY, "--bits", "4", "--cache", "cache", "--json", *options)
        assert (status, err.strip()) == (0, "")
        return pd.DataFrame(json.loads(out)["table"])

    plain = losses()
    variants = [
        ("--per", "tensor"),
        ("--per", "group", "--block", "16"),
        ("--ranges", "mse"),
        ("--asymmetric",),
        ("--what", "activations"),
        ("--metrics", "noise"),
    ]
    assert len({losses(*options)["loss"].sum() for options in variants} | {plain["loss"].sum()}) == len(variants) + 1
    both = losses("--what", "both", "--bits", "4,8")
    assert len(both) == 15 * 4 and {"act_bits", "act_size"} <= set(both)
    fused = losses("--fused")
    assert (fused["loss"] == plain["loss"]).all() and fused["tie"].nunique() == 5
    mine = losses("--group", "a=*attn_q,*attn_k", "--group", "b=*", "--metrics", "a=noise,b=recall")
    assert dict(zip(mine["group"], mine["metric"], strict=True)) == {"a": "noise", "b": "recall"}


@pytest.mark.slow
def test_fronts_are_written_as_a_folder(call, folder, monkeypatch):
    # One budget and one machine are enough to see the folder.
    few = tuple(replace(part, budgets=part.budgets[-1:]) for part in study.PARTS["smollm2-135m"])
    monkeypatch.setitem(study.PARTS, "smollm2-135m", few)
    monkeypatch.setitem(study.JOINT_PARTS, "smollm2-135m", study.JOINT_PARTS["smollm2-135m"][1:])
    options = ("fronts", "smollm2-135m", "--weights-file", "tiny.gguf", "--cache", "cache", "--held-out", "2")
    options += ("--out", "fronts")
    status, out, err = call(*options)
    assert (status, err.strip()) == (0, "") and "wrote" in out
    names = {path.name for path in (folder / "fronts").iterdir()}
    assert {"page.html", "fronts.csv", "summary.json", "sensitivity-1.csv", "choices-3.csv", "joint-1.csv"} <= names
    first = (folder / "fronts" / "fronts.csv").read_bytes()
    status, out, _ = call(*options, "--json")
    assert status == 0 and json.loads(out)["network"] == "tiny"
    assert (folder / "fronts" / "fronts.csv").read_bytes() == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sensitivity", "smollm"), "did you mean 'smollm2-135m'"),
        ((*SENSITIVITY, "--bits", "0"), "bits = 0"),
        ((*SENSITIVITY, "--bits", "1,4"), "bits = 1"),
        ((*SENSITIVITY, "--bits", "33"), "bits = 33"),
        ((*SENSITIVITY, "--bits", "4,"), "bits = ''"),
        ((*SENSITIVITY, "--bits", "nan"), "bits = 'nan'"),
        ((*SENSITIVITY, "--what", "weihgts"), "did you mean 'weights'"),
        ((*SENSITIVITY, "--metrics", "kll"), "did you mean 'kl'"),
        ((*SENSITIVITY, "--metrics", "attention="), "GROUP=LOSS"),
        ((*SENSITIVITY, "--metrics", "attn=kl"), "did you mean 'attention'"),
        ((*SENSITIVITY, "--group", "a"), "NAME=PATTERN"),
        ((*SENSITIVITY, "--group", "a=blk.9.*"), "group 'a'"),
        ((*SENSITIVITY, "--per", "chanel"), "did you mean 'channel'"),
        ((*SENSITIVITY, "--per", "group"), "block"),
        ((*SENSITIVITY, "--ranges", "max"), "range method"),
        ((*SENSITIVITY, "--jobs", "0"), "jobs = 0"),
        ((*SENSITIVITY, "--cache", "tiny.gguf"), "cache = 'tiny.gguf'"),
        ((*SENSITIVITY, "--out", "nowhere/x.csv"), "expected a folder that exists"),
        (("sensitivity", "smollm2-135m", "--weights-file", "half.gguf"), "half.gguf"),
        (("sensitivity", "smollm2-135m", "--weights-file", "none.gguf"), "no such file"),
        (("sensitivity", "terrain", "--weights-file", "tiny.gguf"), "tiny.gguf"),
        (("fronts", "smollm2-135m"), "--out"),
        (("fronts", "smollm2-135m", "--held-out", "0", "--weights-file", "tiny.gguf", "--out", "x"), "windows = 0"),
        (("fronts", "smollm2-135m", "--out", "full"), "mine.txt"),
        (("fronts", "smollm2-135m", "--out", "tiny.gguf"), "is a file"),
    ],
)
def test_bad_input_ends_in_one_sentence(call, folder, arguments, said):
    before = sorted(path.name for path in folder.iterdir() if path.name != "cache")
    status, out, err = call(*arguments)
    assert status == 2 and out == ""
    assert said in err and err.strip().count("\n") == 0 and "Traceback" not in err
    assert sorted(path.name for path in folder.iterdir() if path.name != "cache") == before
    assert (folder / "full" / "mine.txt").read_text() == "keep me"


@pytest.mark.slow
def test_a_process_ends_with_status_2():
    ended = subprocess.run(
        [sys.executable, "-c", "from explorer.commands.app import main; main()", "sensitivity", "teraain"],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2 and "did you mean 'terrain'" in ended.stderr and not ended.stdout
