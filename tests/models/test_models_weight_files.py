"""Headers of weight files give the network as well: GGUF alone, safetensors beside their configuration."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

import models
from hwbase import InputError
from models.readers.tensors import read_gguf, read_safetensors

F32, Q8_0 = 0, 8
HIDDEN, LAYERS, WIDTH, VOCAB = 64, 2, 96, 320


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def entry(key: str, value: int | str) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    return text(key) + struct.pack("<II", 4, value)


def gguf(path: Path, *, biases: tuple[str, ...] = (), architecture: str = "llama") -> Path:
    """Write the header of a small llama: eight-bit matrices, norms in float32."""
    values: dict[str, int | str] = {
        "general.architecture": architecture,
        f"{architecture}.block_count": LAYERS,
        f"{architecture}.embedding_length": HIDDEN,
        f"{architecture}.feed_forward_length": WIDTH,
        f"{architecture}.attention.head_count": 4,
        f"{architecture}.attention.head_count_kv": 2,
    }
    tensors: list[tuple[str, tuple[int, ...], int]] = [
        ("token_embd.weight", (HIDDEN, VOCAB), Q8_0),
        ("output_norm.weight", (HIDDEN,), F32),
    ]
    for layer in range(LAYERS):
        sides = {"q": HIDDEN, "k": HIDDEN // 2, "v": HIDDEN // 2, "output": HIDDEN}
        tensors += [(f"blk.{layer}.attn_{name}.weight", (HIDDEN, side), Q8_0) for name, side in sides.items()]
        tensors += [(f"blk.{layer}.ffn_{name}.weight", (HIDDEN, WIDTH), Q8_0) for name in ("gate", "up", "down")]
        tensors += [(f"blk.{layer}.{name}_norm.weight", (HIDDEN,), F32) for name in ("attn", "ffn")]
        tensors += [(f"blk.{layer}.attn_{name}.bias", (sides[name],), F32) for name in biases]
    body = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    body += b"".join(entry(key, value) for key, value in values.items())
    for name, shape, kind in tensors:
        body += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", side) for side in shape)
        body += struct.pack("<IQ", kind, 0)
    path.write_bytes(body)
    return path


def test_gguf(tmp_path) -> None:
    path = gguf(tmp_path / "net.gguf")
    spec = models.load(path)
    _, tensors = read_gguf(path)
    assert models.parameters(spec).total == sum(tensor.elements for tensor in tensors)
    assert models.weight_bytes(spec).total == pytest.approx(sum(tensor.bits for tensor in tensors) / 8)
    assert (spec.name, spec.tied_embeddings, spec.ffn_weight_bits) == ("net", True, 8.5)


def test_gguf_with_biases(tmp_path) -> None:
    assert models.load(gguf(tmp_path / "a.gguf", biases=("q", "k", "v"))).attention_bias
    # Those of q and v alone are no network that is read.
    with pytest.raises(InputError, match="not read"):
        models.load(gguf(tmp_path / "b.gguf", biases=("q", "v")))


def test_gguf_refused(tmp_path) -> None:
    with pytest.raises(InputError, match=r"general\.architecture"):
        models.load(gguf(tmp_path / "a.gguf", architecture="quen3"))
    whole = gguf(tmp_path / "b.gguf").read_bytes()
    for length in (0, 3, 20, 100, len(whole) - 3):
        (tmp_path / "cut.gguf").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut\.gguf"):
            models.load(tmp_path / "cut.gguf")
    (tmp_path / "cut.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1))
    with pytest.raises(InputError, match="claims"):
        models.load(tmp_path / "cut.gguf")


CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": WIDTH,
    "vocab_size": VOCAB,
    "tie_word_embeddings": True,
}


def test_an_index_beside_its_configuration(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    index = tmp_path / "model.safetensors.index.json"
    stored = int(models.weight_bytes(models.load(tmp_path)).total)
    index.write_text(json.dumps({"metadata": {"total_size": stored}, "weight_map": {}}))
    assert "(+0.00%)" in models.load(index).notes[-1]
    index.write_text(json.dumps({"metadata": {"total_size": 2 * stored}}))
    assert "(-50.00%)" in models.load(index).notes[-1]
    index.write_text(json.dumps({"metadata": {}}))
    with pytest.raises(InputError, match="total_size"):
        models.load(index)


def test_a_file_of_tensors_beside_its_configuration(tmp_path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    stored = models.parameters(models.load(tmp_path)).total
    header = json.dumps(
        {"__metadata__": {"format": "pt"}, "all": {"dtype": "BF16", "shape": [stored], "data_offsets": [0, 2 * stored]}}
    ).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert read_safetensors(path)[0].bits == 16 * stored
    assert "(+0.00%)" in models.load(path).notes[-1]
    path.write_bytes(struct.pack("<Q", 2**40))
    with pytest.raises(InputError, match="claims"):
        models.load(path)
    path.write_bytes(b"abc")
    with pytest.raises(InputError, match="broken"):
        models.load(path)
