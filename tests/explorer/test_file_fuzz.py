"""Flipped bits in every kind of file that is read: what we wrote is noticed, and nothing ends in a traceback."""

import json
import random
import shutil
import struct
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import explorer
import models
from costmodel.conventions import named
from explorer.allocation.table import read_layers
from explorer.commands.study import open_result
from explorer.precision.runs import Store
from explorer.retrieval import embedding
from explorer.retrieval.collection import Texts, read_collection, read_texts
from explorer.retrieval.index import Index
from explorer.retrieval.inputs import read_embeddings, read_table
from explorer.retrieval.storage import load_index, save_index
from explorer.serving.gpu_points import as_points, read_points
from explorer.study import Study, load_study
from hwbase import InputError, load_book
from hwsim.events.traffic import read_trace
from hwsim.machine_books import machine_book
from models.binarize import fit_codec, unit
from models.readers.tensors import read_gguf, read_safetensors

ROOT = Path(__file__).parents[2]
SEED = 15
VECTORS = unit(np.random.default_rng(0).standard_normal((20, 16)).astype(np.float32))
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True, "desc_act": False},
}
TEXTS = '{"id": "a", "text": "one"}\n{"id": "b", "title": "t", "text": "two", "tags": ["x"]}\n'
LAYERS = "layer,group,bits,size,loss\na,g,4,1024,1.5\na,g,8,1024,0.5\nb,h,4,512,2.5\nb,h,8,512,1.0\n"
TRACE = "arrival_s,prompt_tokens,output_tokens\n0.0,512,64\n1.5,100,8\n2.25,7,1\n"
POINTS = "model,machine,format,tp,prompt_tokens,output_tokens,users,tpot_ms\nllama-3-8b,h100,fp8,1,9,9,4,6.5\n"
VLLM = {"model_id": "m", "completed": 4, "total_input_tokens": 80, "total_output_tokens": 80, "mean_ttft_ms": 9.5}
RESULTS = (
    "collection,family,codec,bits,bytes,asymmetric,rescore,recall@10,recall@10_low,recall@10_high\n"
    "c,sign,sign,64,8,False,0,0.5,0.25,0.75\n"
)
STUDY = '[study]\npoints = 8\n[parameters]\ncontext = ["2K", "64K"]\n[objectives]\ntokens_per_s = "max"\n'


def text(content):
    return lambda path: path.write_text(content if isinstance(content, str) else json.dumps(content))


def shipped(name):
    return lambda path: shutil.copy(ROOT / name, path)


def safetensors(path):
    header = json.dumps({"a": {"dtype": "BF16", "shape": [4, 8], "data_offsets": [0, 64]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(64))


def gguf(path):
    def name(value):
        return struct.pack("<Q", len(value)) + value

    keys = {"block_count": 1, "embedding_length": 32, "feed_forward_length": 64, "attention.head_count": 2}
    body = b"GGUF" + struct.pack("<IQQ", 3, 1, len(keys) + 1)
    body += name(b"general.architecture") + struct.pack("<I", 8) + name(b"llama")
    for key, value in keys.items():
        body += name(f"llama.{key}".encode()) + struct.pack("<II", 4, value)
    path.write_bytes(body + name(b"token_embd.weight") + struct.pack("<IQQIQ", 2, 32, 320, 0, 0))


#: Files of others: the ending of their name, what writes them, and what reads them.
FOREIGN = {
    "book": (".toml", shipped("costmodel/books/default.toml"), lambda path: load_book(str(path), path.parent)),
    "machine": (".toml", shipped("hwsim/books/h100.toml"), machine_book),
    "convention": (".toml", shipped("costmodel/books/conventions/corrected.toml"), named),
    "study": (".toml", text(STUDY), load_study),
    "configuration": (".json", text(CONFIG), models.load),
    "weights": (".safetensors", safetensors, read_safetensors),
    "GGUF": (".gguf", gguf, read_gguf),
    "embeddings": (".npy", lambda path: np.save(path, VECTORS), lambda path: read_embeddings(str(path), 20, "texts")),
    "texts": (".jsonl", text(TEXTS), lambda path: read_texts(path, "documents", tagged=True)),
    "judgements": (".tsv", text("a\tb\t1\n"), lambda path: read_collection(_texts("b"), _texts("a"), path)),
    "trace": (".csv", text(TRACE), read_trace),
    "layers": (".csv", text(LAYERS), lambda path: explorer.allocate(read_layers(path), 6.0)),
    "points": (".csv", text(POINTS), lambda path: as_points(read_points(path))),
    "vllm": (".json", text(VLLM), lambda path: as_points(read_points(path))),
    "results": (".csv", text(RESULTS), lambda path: read_table(str(path))),
}


def _texts(name):
    return Texts((name,), (name,))


def flips(data, seed, count):
    """Yield `data` with one to three bits flipped, now and then cut."""
    draw = random.Random(seed)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 1, 1, 3))):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        yield bytes(changed[: draw.randrange(len(changed))] if draw.random() < 0.1 else changed)


counts = pytest.mark.parametrize("count", [15, pytest.param(250, marks=pytest.mark.slow)])


@counts
@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.slow
def test_a_file_of_others_is_read_or_refused_in_a_sentence(name, count, tmp_path):
    ending, write, read = FOREIGN[name]
    path = tmp_path / f"file{ending}"
    write(path)
    data = path.read_bytes()
    if name == "weights":
        (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    read(path)
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for changed in flips(data, SEED, count):
            path.write_bytes(changed)
            try:
                read(path)
            except InputError as error:
                refused += 1
                assert len(str(error)) <= 1200 and "\n" not in str(error)
    assert refused


class Encoder:
    """In place of a model: a vector for each text, from its length."""

    fingerprint, dims = "lengths", 16

    def embed(self, texts, report=None):
        return VECTORS[[len(each) for each in texts]]


def make_index(folder):
    codec, fine = fit_codec("sign", VECTORS), fit_codec("int8", VECTORS)
    save_index(Index().add(tuple("abcdefghijklmnopqrst"), VECTORS, codec, rescore=fine), folder)


def read_index(folder):
    found = load_index(folder).search(VECTORS[:5], 3, rescore=5)
    return found.ids, found.scores.tolist()


def make_study(folder):
    Study({"context": [1024, 2048], "volume": (1, 50)}, points=16, objectives=["tokens_per_s"]).run(folder, workers=1)


def read_study(folder):
    result = open_result(folder)
    return result.frame.to_dict("list"), result.study.to_dict()


def embed(folder):
    return embedding.embed(["", "a", "bb"], encoder=Encoder(), cache=folder).tolist()


def make_losses(folder):
    folder.mkdir()
    store = Store(folder, "network")
    for number in range(4):
        store.add(f"key {number}", {"kl": number / 8, "mse": [0.25, 1e-9]})


def read_losses(folder):
    store = Store(folder, "network")
    return {key: store.get(key) for key in (f"key {number}" for number in range(4)) if store.get(key)}


#: Folders that we write: what writes them, what reads them, and whether a part may be missing in what is read.
OURS = {
    "index": (make_index, read_index, False),
    "study": (make_study, read_study, False),
    "embeddings": (embed, embed, False),
    "losses": (make_losses, read_losses, True),
}


@counts
@pytest.mark.parametrize("name", OURS)
@pytest.mark.slow
def test_no_changed_byte_of_ours_changes_an_answer(name, count, tmp_path):
    make, read, in_part = OURS[name]
    if name == "study":
        pytest.importorskip("pyarrow")
    make(tmp_path / "whole")
    expected = read(tmp_path / "whole")
    files = sorted(path.name for path in (tmp_path / "whole").iterdir() if path.name != "_lock")
    for number, file in enumerate(files):
        data = (tmp_path / "whole" / file).read_bytes()
        for changed in flips(data, SEED + number, -(-count // len(files))):
            folder = shutil.copytree(tmp_path / "whole", tmp_path / "changed")
            (folder / file).write_bytes(changed)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    answer = read(folder)
            except InputError as error:
                assert len(str(error)) <= 1200 and "\n" not in str(error)
            else:
                assert answer == expected or (in_part and answer.items() <= expected.items()), file
            shutil.rmtree(folder)


DEEP = "[" * 100_000


@pytest.mark.parametrize("name", ["study", "configuration", "texts", "vllm", "layers", "trace", "points", "convention"])
@pytest.mark.parametrize(
    "content",
    [b"", b"\0", DEEP.encode(), b'{"a": ' * 50_000, b"\xff\xfe", b'{"id": 1, "id": 2}', b"a" * 10**6, b"=\n" * 1000],
    ids=["empty", "null", "deep list", "deep object", "UTF-16", "twice", "one word", "signs"],
)
def test_hostile_texts(name, content, tmp_path):
    ending, _, read = FOREIGN[name]
    path = tmp_path / f"file{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read(path)
    assert len(str(caught.value)) <= 1200


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000, 20), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 60 + ", 20), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 20), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0, " + "9" * 30 + "), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2, 2), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (",
        "{'descr': '<f4' 'fortran_order' ]",
        "(" * 5000,
        "lambda: 1",
    ],
    ids=["a terabyte", "overflow", "negative", "nothing of much", "objects", "token", "syntax", "deep", "code"],
)
def test_headers_that_lie(header, tmp_path):
    path = tmp_path / "a.npy"
    body = header.encode() + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body + bytes(64))
    with pytest.raises(InputError, match=r"a.npy' is not a whole .npy file of numbers"):
        read_embeddings(str(path), 2, "texts")


def test_an_index_names_no_file_outside_its_folder(tmp_path):
    from hwbase.checksums import with_sum

    make_index(tmp_path / "index")
    manifest = tmp_path / "index" / "manifest.json"
    for name in ("../outside.npy", "/dev/zero", "sub/0.npy"):
        body = json.loads(manifest.read_text())
        body["files"][name] = next(iter(body["files"].values()))
        changed = shutil.copytree(tmp_path / "index", tmp_path / "changed")
        (changed / "manifest.json").write_text(json.dumps(with_sum(body)))
        with pytest.raises(InputError, match="expected the arrays of this folder only"):
            load_index(changed)
        shutil.rmtree(changed)


def test_an_index_follows_no_link(tmp_path):
    make_index(tmp_path / "index")
    array = next((tmp_path / "index").glob("*.npy"))
    shutil.move(array, tmp_path / "outside.npy")
    array.symlink_to(tmp_path / "outside.npy")
    with pytest.raises(InputError, match="is a link"):
        load_index(tmp_path / "index")
    manifest, precious = tmp_path / "index" / "manifest.json", tmp_path / "precious.txt"
    precious.write_text("mine")
    manifest.unlink()
    manifest.symlink_to(precious)
    with pytest.raises(InputError):
        make_index(tmp_path / "index")
    assert precious.read_text() == "mine"


def test_traces_come_from_files(tmp_path):
    for path in ("http://127.0.0.1:9/a.csv", "s3://bucket/a.csv", "file:///etc/passwd"):
        with pytest.raises(InputError, match="does not exist"):
            read_trace(path)
    packed = tmp_path / "a.csv.gz"
    pd.DataFrame({"arrival_s": [0.0], "prompt_tokens": [1], "output_tokens": [1]}).to_csv(packed, index=False)
    with pytest.raises(InputError, match="not UTF-8"):
        read_trace(packed)
