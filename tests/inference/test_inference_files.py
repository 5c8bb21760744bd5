"""Model files and vocabularies: what is read is what was written, and what is broken is told in one sentence."""

import dataclasses
import sys

import numpy as np
import pytest
from inference_cases import (
    CONTROL,
    needs_gguf,
    needs_tokenizers,
    random_weights,
    tiny_config,
    tiny_vocabulary,
    write_gguf,
)

from hwbase import InputError
from models.inference import INSTALL, Tokenizer, Transformer, Weights, find_model, read_model


@pytest.fixture
def file(tmp_path, weights, vocabulary):
    return write_gguf(tmp_path / "tiny.gguf", weights, vocabulary)


@needs_gguf
def test_a_file_comes_back(file, weights, vocabulary):
    found, words = read_model(file)
    assert (words.tokens, words.merges, words.end) == (vocabulary.tokens, vocabulary.merges, vocabulary.end)
    assert found.config.layers == 2 and found.config.tied_head
    for name, tensor in weights.tensors.items():
        np.testing.assert_array_equal(found.tensors[name], tensor)
    np.testing.assert_allclose(
        Transformer(found).forward([3, 4, 5]), Transformer(weights).forward([3, 4, 5]), atol=1e-5
    )


@needs_gguf
def test_an_untied_head_is_read(tmp_path, vocabulary):
    untied = random_weights(tiny_config(tied_head=False))
    found, _ = read_model(write_gguf(tmp_path / "untied.gguf", untied, vocabulary))
    assert not found.config.tied_head
    np.testing.assert_array_equal(found.matrix("output"), untied.tensors["output"])


@needs_gguf
@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.9, 0.9999])
def test_truncated_files(file, share):
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=r"tiny\.gguf"):
        read_model(file)


@needs_gguf
def test_files_that_are_something_else(tmp_path):
    file = tmp_path / "text.gguf"
    file.write_text("not a model" * 100)
    with pytest.raises(InputError, match=r"text\.gguf is not a whole GGUF file"):
        read_model(file)
    with pytest.raises(InputError, match="no such file"):
        read_model(tmp_path / "missing.gguf")
    with pytest.raises(InputError, match="no such file"):
        read_model(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_model("a\0b")


@pytest.mark.slow
@needs_gguf
def test_flipped_bytes_never_escape(file):
    data = bytearray(file.read_bytes())
    random = np.random.default_rng(0)
    for _ in range(60):
        broken = data.copy()
        for place in random.integers(0, 6000, 3):
            broken[place] ^= int(random.integers(1, 256))
        file.write_bytes(broken)
        try:
            read_model(file)
        except InputError as error:
            assert "\n" not in str(error).strip()


@needs_gguf
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general.architecture": "gptx"}, "unknown general.architecture in odd.gguf: 'gptx'; did you mean 'gpt2'"),
        ({"llama.block_count": None}, "llama.block_count is missing"),
        ({"llama.block_count": "two"}, "llama.block_count is of type str, expected int"),
        ({"llama.block_count": 3}, r"tensor 'blk.2.attn_q' is missing: expected shape \(32, 32\)"),
        ({"llama.feed_forward_length": 65}, r"'blk.0.ffn_gate' has shape \(64, 32\): expected \(65, 32\)"),
        ({"llama.attention.head_count_kv": 3}, "kv_heads = 3: expected a divisor"),
        ({"llama.rope.dimension_count": 4}, "rotary positions on a part of the head"),
        ({"llama.vocab_size": 300}, "263 tokens and 263 token types, expected 300 of each"),
        ({"tokenizer.ggml.tokens": ["a", "b"]}, "2 tokens and 263 token types, expected 263"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "tokenizer.ggml.tokens: expected strings"),
        ({"tokenizer.ggml.merges": None}, "tokenizer.ggml.merges is missing"),
        ({"llama.rope.scaling.type": "yarm"}, "unknown llama.rope.scaling.type 'yarm'; did you mean 'yarn'"),
        ({"llama.attention.clamp_kqv": 8.0}, r"'llama.attention.clamp_kqv' = 8.0 is not supported"),
        ({"llama.expert_count": 8}, r"'llama.expert_count' = 8 is not supported"),
        ({"llama.attention.value_length": 4}, r"'llama.attention.value_length' = 4 is not supported"),
        ({"llama.block_count": 1}, r"tensor 'blk.1.\w+.weight' is not supported"),
    ],
)
def test_files_at_odds_with_themselves(tmp_path, weights, vocabulary, changes, message):
    file = write_gguf(tmp_path / "odd.gguf", weights, vocabulary, **changes)
    with pytest.raises(InputError, match=message):
        read_model(file)


@needs_gguf
def test_biases_are_used(tmp_path, vocabulary):
    """Without them the network would answer for another one."""
    biased = random_weights(tiny_config(biases=("attn_q", "attn_k")))
    result, _ = read_model(write_gguf(tmp_path / "biased.gguf", biased, vocabulary))
    assert result.config.biases == ("attn_q", "attn_k")
    logits = Transformer(result).forward([3, 4, 5])
    np.testing.assert_allclose(logits, Transformer(biased).forward([3, 4, 5]), atol=1e-5)
    plain = Weights(tiny_config(), {name: t for name, t in biased.tensors.items() if not name.endswith(".bias")})
    assert np.abs(logits - Transformer(plain).forward([3, 4, 5])).max() > 0.01


@needs_gguf
def test_tensors_of_another_network_are_refused(tmp_path, weights, vocabulary):
    more = {"blk.0.attn_sinks": np.zeros(4, np.float32)}
    odd = dataclasses.replace(weights, tensors=weights.tensors | more)
    with pytest.raises(InputError, match=r"odd.gguf: tensor 'blk.0.attn_sinks.weight' is not supported"):
        read_model(write_gguf(tmp_path / "odd.gguf", odd, vocabulary))
    plain = {"llama.rope.scaling.type": "none", "llama.expert_count": 0}
    assert read_model(write_gguf(tmp_path / "plain.gguf", weights, vocabulary, **plain))


@needs_gguf
@pytest.mark.parametrize("name", ["add_eos_token", "add_space_prefix"])
def test_a_tokenizer_that_adds_something_is_refused(tmp_path, weights, vocabulary, name):
    """Texts are encoded as they are: another beginning would be another answer."""
    key = f"tokenizer.ggml.{name}"
    with pytest.raises(InputError, match=rf"{key} = true is not supported"):
        read_model(write_gguf(tmp_path / "adds.gguf", weights, vocabulary, **{key: True}))
    assert read_model(write_gguf(tmp_path / "plain.gguf", weights, vocabulary, **{key: False}))


@needs_gguf
@needs_tokenizers
def test_a_begin_token_is_added_where_the_file_says_so(tmp_path, weights, vocabulary):
    keys = {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.bos_token_id": 1}
    words = read_model(write_gguf(tmp_path / "begins.gguf", weights, vocabulary, **keys))[1]
    assert Tokenizer(words).start == (1,) and Tokenizer(vocabulary).start == ()


def test_tensors_are_finite(weights):
    broken = dict(weights.tensors)
    broken["output_norm"] = np.full(32, np.nan, np.float32)
    with pytest.raises(InputError, match="'output_norm' holds NaN or infinity"):
        Weights(weights.config, broken)


def test_missing_packages_give_the_install_line(monkeypatch, tmp_path, vocabulary):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(InputError, match="tokenizers") as caught:
        Tokenizer(vocabulary)
    assert INSTALL in str(caught.value) and "pip install 'hwsim[llm]'" in INSTALL
    monkeypatch.setitem(sys.modules, "gguf", None)
    (tmp_path / "some.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match="gguf"):
        read_model(tmp_path / "some.gguf")
    monkeypatch.setattr("models.inference.weights.MODEL_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(InputError, match="the weights of smollm2-135m are not installed") as caught:
        find_model()
    assert INSTALL in str(caught.value)


@needs_tokenizers
def test_text_comes_back(vocabulary):
    tokenizer = Tokenizer(vocabulary)
    for text in ("the thing in the inn", "  \n\ttabs", "Ünïcödé 🎉 漢字", "12 34", "<|im_end|>", "\x00\x04"):
        tokens = tokenizer.encode(text)
        assert tokenizer.decode(tokens) == text
        assert "".join(tokenizer.stream(tokens)) == text
    assert vocabulary.tokens[tokenizer.encode(" the")[0]] == "Ġthe"
    assert tokenizer.encode("") == [] and tokenizer.decode([]) == ""


@needs_tokenizers
def test_characters_stream_when_they_are_whole(vocabulary):
    tokenizer = Tokenizer(vocabulary)
    tokens = tokenizer.encode("a🎉")
    assert list(tokenizer.stream(tokens)) == ["a", "", "", "", "🎉"]
    assert list(tokenizer.stream(tokens[:3])) == ["a", "", "", "�"]
    assert tokenizer.decode(tokens[:3]) == "a�"


@needs_tokenizers
def test_control_tokens_come_from_the_template_only(vocabulary):
    tokenizer = Tokenizer(vocabulary)
    assert tokenizer.encode("<|im_end|>", control=True) == [2]
    tokens = tokenizer.chat("hi<|im_end|>")
    assert [t for t in tokens if t in tokenizer.control] == [1, 2, 1]
    assert tokenizer.decode(tokens) == "user\nhi<|im_end|>\nassistant\n"
    assert tokenizer.decode(tokens, control=True).startswith(CONTROL[1])
    assert tokenizer.end == 2


@needs_tokenizers
@pytest.mark.parametrize("template", ["", "{% for %}", "no place for it", "{{ 1 / 0 }}", "{{ ''.__class__.mro() }}"])
def test_templates_that_cannot_be_used(vocabulary, template):
    tokenizer = Tokenizer(dataclasses.replace(vocabulary, chat_template=template))
    with pytest.raises(InputError, match="chat template"):
        tokenizer.chat("hello")


@needs_tokenizers
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "llama"}, "tokenizer 'llama' with pre-tokenizer 'smollm' is not supported, .* token ids"),
        ({"splitter": "other"}, "pre-tokenizer 'other' is not supported"),
        ({"merges": ("t q",)}, "merge 't q': expected two tokens whose sum is a token"),
        ({"merges": ("the",)}, "merge 'the'"),
        ({"tokens": tuple(f"word{i}" for i in range(263)), "merges": ()}, "lacks 256 of the 256 single bytes"),
        ({"tokens": ("a",) * 263}, "names 262 tokens twice"),
        ({"end": 263}, "end token 263: expected an id from 0 to 262"),
    ],
)
def test_vocabularies_of_another_kind(changes, message):
    with pytest.raises(InputError, match=message):
        Tokenizer(dataclasses.replace(tiny_vocabulary(), **changes))


@needs_tokenizers
def test_text_and_tokens_that_cannot_be_used(vocabulary):
    tokenizer = Tokenizer(vocabulary)
    with pytest.raises(InputError, match="token 263"):
        tokenizer.decode([263])
    with pytest.raises(InputError, match="expected Unicode text"):
        tokenizer.encode("\ud800")
    with pytest.raises(InputError, match="text is of type bytes"):
        tokenizer.encode(b"bytes")
    with pytest.raises(InputError, match="prompt is empty"):
        tokenizer.chat("  \n")
