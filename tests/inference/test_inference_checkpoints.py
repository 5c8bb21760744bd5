"""Checkpoints of each family: logits against the plain reference, from safetensors and GGUF; what is wrong is named."""

import dataclasses
import json

import ml_dtypes
import numpy as np
import pytest
from checkpoint_cases import CASES, LLAMA, reference, tensors_of, write_checkpoint
from inference_cases import needs_gguf, needs_safetensors, needs_tokenizers, tiny_vocabulary, write_gguf

from hwbase import InputError
from models.inference import HEAD, Tokenizer, Transformer, Vocabulary, Weights, perplexity, read_model, token_losses
from models.inference.rope import yarn_divisors
from models.quantise import compensate, weight_format
from models.quantise.compensate import prepared
from models.quantise.rotation import rotated

pytestmark = needs_safetensors
TOKENS = np.random.default_rng(3).integers(0, 67, 33)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_logits_equal_the_reference(tmp_path, name, dtype):
    case, tensors = CASES[name], tensors_of(CASES[name])
    tensors = {key: value.astype(dtype).astype(np.float32) for key, value in tensors.items()}
    model = Transformer(read_model(write_checkpoint(tmp_path / "own", case, tensors, dtype))[0])
    expected = reference(case, tensors, TOKENS)
    np.testing.assert_allclose(model.forward(TOKENS), expected, atol=3e-4)
    cache = model.cache()
    steps = [model.forward(TOKENS[:20], cache), *(model.forward([token], cache) for token in TOKENS[20:])]
    np.testing.assert_allclose(np.concatenate(steps), expected, atol=3e-4)


def _half_apart(rows: np.ndarray, width: int) -> np.ndarray:
    return rows.reshape(-1, width // 2, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


#: Keys of a GGUF file beside those of every network, by architecture.
GGUF = {
    "qwen2": {},
    "qwen3": {"llama.attention.key_length": 8, "llama.attention.value_length": 8},
    "gemma": {"llama.attention.key_length": 8},
    "gemma2": {
        "llama.attention.key_length": 8,
        "llama.attention.sliding_window": 5,
        "llama.attn_logit_softcapping": 50.0,
        "llama.final_logit_softcapping": 30.0,
        "llama.attention.scale": 12.0**-0.5,
    },
    "gemma3": {
        "llama.attention.key_length": 8,
        "llama.attention.sliding_window": 5,
        "llama.attention.scale": 12.0**-0.5,
        "llama.rope.scaling.type": "linear",
        "llama.rope.scaling.factor": 8.0,
        "llama.rope.freq_base": 1e6,
    },
    "gpt2": {
        "llama.attention.layer_norm_epsilon": 1e-5,
        "llama.attention.layer_norm_rms_epsilon": None,
        "llama.rope.freq_base": None,
    },
}


@needs_gguf
@pytest.mark.parametrize("name", GGUF)
def test_gguf_files_of_each_family(tmp_path, name):
    """Rotary pairs half a head apart, as converters leave them in all families but Llama."""
    case, tensors = CASES[name], tensors_of(CASES[name])
    weights, _ = read_model(write_checkpoint(tmp_path / "own", case, tensors))
    stored = dict(weights.tensors)
    for key, rows in weights.tensors.items():
        if key.removesuffix(".bias").endswith(("attn_q", "attn_k", "attn_q_norm", "attn_k_norm")) and name != "gpt2":
            stored[key] = _half_apart(rows, weights.config.head_dim)
    if name == "gpt2":
        for i in range(weights.config.layers):
            for end in ("", ".bias"):
                parts = [stored.pop(f"blk.{i}.attn_{part}{end}") for part in "qkv"]
                stored[f"blk.{i}.attn_qkv{end}"] = np.concatenate(parts)
    like = dataclasses.replace(
        tiny_vocabulary(), tokens=tiny_vocabulary().tokens[:67], kinds=(1,) * 67, merges=("t h",)
    )
    file = write_gguf(tmp_path / "own.gguf", _Unchecked(weights.config, stored), like, name, **GGUF[name])
    result, _ = read_model(file)
    np.testing.assert_allclose(Transformer(result).forward(TOKENS), reference(case, tensors, TOKENS), atol=3e-4)


@dataclasses.dataclass
class _Unchecked:
    """Weights under names that a file may have."""

    config: object
    tensors: dict


@needs_gguf
def test_gguf_divisors_of_llama3(tmp_path):
    """Converters store Llama 3's scaled positions as a tensor of divisors."""
    case, tensors = CASES["llama llama3"], tensors_of(CASES["llama llama3"])
    weights, _ = read_model(write_checkpoint(tmp_path / "own", case, tensors))
    divisors = {"rope_freqs": np.float32(weights.config.rope_divisors)}
    like = dataclasses.replace(
        tiny_vocabulary(), tokens=tiny_vocabulary().tokens[:67], kinds=(1,) * 67, merges=("t h",)
    )
    file = write_gguf(tmp_path / "own.gguf", _Unchecked(weights.config, weights.tensors | divisors), like)
    logits = Transformer(read_model(file)[0]).forward(TOKENS)
    np.testing.assert_allclose(logits, reference(case, tensors, TOKENS), atol=3e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "lama"}, "own: unknown model_type 'lama'; did you mean 'llama'"),
        ({"model_type": None}, "config.json: model_type is missing"),
        ({"hidden_size": None}, "config.json: hidden_size is missing"),
        ({"hidden_act": "relu"}, "unknown hidden_act 'relu'"),
        ({"rope_scaling": {"type": "longrope", "factor": 2.0}}, "unknown rope_type 'longrope'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "beta_fast": 3}}, "'beta_fast' is not used"),
        ({"rope_scaling": {"type": "llama3", "factor": 2.0}}, "low_freq_factor is missing"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor = 0.5: expected 1"),
        ({"num_local_experts": 8}, "'num_local_experts' = 8 is not supported"),
        ({"quantization_config": {"quant_method": "gptq"}}, "'quantization_config' = "),
        ({"num_hidden_layers": 5}, "tensor 'layers.4.input_layernorm.weight' is missing|'layers.4.*' is missing"),
        ({"num_hidden_layers": 3}, "tensor 'model.layers.3.* is not supported"),
        ({"attention_bias": True}, "tensor 'layers.0.self_attn.q_proj.bias' is missing"),
        ({"tie_word_embeddings": True}, "'lm_head.weight' differs from the embedding"),
        ({"vocab_size": 10**8}, r"has shape \(67, 24\): expected"),
        ({"layer_types": ["full_attention"]}, "layer_types = 1 entries: expected 4"),
    ],
)
def test_configurations_that_do_not_fit(tmp_path, changes, message):
    folder = write_checkpoint(tmp_path / "own", LLAMA, tensors_of(LLAMA))
    (folder / "config.json").write_text(json.dumps(LLAMA | changes))
    with pytest.raises(InputError, match=message):
        read_model(folder)


def test_files_that_do_not_fit(tmp_path):
    tensors = tensors_of(LLAMA)
    folder = write_checkpoint(tmp_path / "own", LLAMA, tensors | {"model.extra.weight": np.ones(3, np.float32)})
    with pytest.raises(InputError, match=r"own: tensor 'model\.extra\.weight' is not supported"):
        read_model(folder)
    # What follows from the sizes may be there, and a copy of a tied head too.
    tied = LLAMA | {"tie_word_embeddings": True}
    same = {"lm_head.weight": tensors["model.embed_tokens.weight"]}
    same |= {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(3, np.float32)}
    assert read_model(write_checkpoint(tmp_path / "tied", tied, tensors | same))
    write_checkpoint(folder, LLAMA, tensors | {"model.norm.weight": np.ones(24, np.int8)}, np.int8)
    with pytest.raises(InputError, match="is of type int8: expected float16, bfloat16 or float32"):
        read_model(folder)
    write_checkpoint(folder, LLAMA, tensors | {"model.norm.weight": np.full(24, np.nan, np.float32)})
    with pytest.raises(InputError, match="'output_norm' holds NaN or infinity"):
        read_model(folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.safetensors is not a whole safetensors file"):
        read_model(folder)
    file.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is missing"):
        read_model(folder)


def _tokenizer_json(vocabulary: Vocabulary) -> str:
    import tokenizers

    model = tokenizers.models.BPE(vocab={t: i for i, t in enumerate(vocabulary.tokens)}, merges=[("t", "h")])
    made = tokenizers.Tokenizer(model)
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens(["<|im_start|>"])
    made.post_processor = tokenizers.processors.TemplateProcessing("<|im_start|> $A", None, [("<|im_start|>", 1)])
    return made.to_str()


@needs_tokenizers
def test_the_tokenizer_of_a_folder(tmp_path):
    words = tiny_vocabulary()
    words = dataclasses.replace(words, tokens=(*words.tokens, "th"))
    case = LLAMA | {"vocab_size": 300, "bos_token_id": 1, "eos_token_id": [2, 0]}
    folder = write_checkpoint(tmp_path / "own", case, tensors_of(case))
    with pytest.raises(InputError, match=r"no tokenizer\.json: expected one, or token ids"):
        Tokenizer(read_model(folder)[1])
    (folder / "tokenizer.json").write_text(_tokenizer_json(words))
    (folder / "chat_template.jinja").write_text("{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}")
    tokenizer = Tokenizer(read_model(folder)[1])
    tokens = tokenizer.encode("the thé 🎉")
    assert tokenizer.decode(tokens) == "".join(tokenizer.stream(tokens)) == "the thé 🎉"
    assert (tokenizer.start, tokenizer.ends) == ((1,), (2, 0))
    assert tokenizer.chat("the")[0] == 1
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be used"):
        Tokenizer(read_model(folder)[1])


@needs_tokenizers
def test_a_tokenizer_of_sentence_pieces(tmp_path):
    """Spaces are U+2581, and a byte without a token is <0xNN>; a character may span tokens."""
    import tokenizers

    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    words = ["<unk>", "<s>", "</s>", *bytes_, "\u2581", "t", "h", "e", "th", "the", "\u2581the"]
    merges = [("t", "h"), ("th", "e"), ("\u2581", "the")]
    model = tokenizers.models.BPE(
        vocab={t: i for i, t in enumerate(words)}, merges=merges, unk_token="<unk>", byte_fallback=True
    )
    made = tokenizers.Tokenizer(model)
    made.normalizer = tokenizers.normalizers.Replace(" ", "\u2581")
    parts = [tokenizers.decoders.Replace("\u2581", " "), tokenizers.decoders.ByteFallback(), tokenizers.decoders.Fuse()]
    made.decoder = tokenizers.decoders.Sequence(parts)
    made.add_special_tokens(["<s>", "</s>"])
    vocabulary = Vocabulary(model="tokenizer.json", text=made.to_str(), begin=1, end=2, size=len(words))
    tokenizer = Tokenizer(vocabulary)
    tokens = tokenizer.encode("the the\u00e9")
    assert tokens[:2] == [words.index("the"), words.index("\u2581the")]
    assert tokenizer.decode([1, *tokens, 2]) == "the the\u00e9"
    assert list(tokenizer.stream(tokens)) == ["the", " the", "", "\u00e9"]
    made.decoder = tokenizers.decoders.WordPiece()
    with pytest.raises(InputError, match="has the decoder 'WordPiece': expected ByteLevel, or SentencePiece's"):
        Tokenizer(dataclasses.replace(vocabulary, text=made.to_str()))


@needs_tokenizers
@pytest.mark.parametrize(
    ("splitter", "digits"),
    [("smollm", ["1", "2", "3"]), ("gpt-2", ["123"]), ("llama-bpe", ["123"]), ("qwen2", list("123"))],
)
def test_words_of_pre_tokenizers(splitter, digits):
    """Digits go together where a merge would join them, or not, as the pre-tokenizer has it."""
    words = tiny_vocabulary()
    more = ("12", "123")
    words = dataclasses.replace(
        words,
        tokens=(*words.tokens, *more),
        kinds=(*words.kinds, 1, 1),
        merges=(*words.merges, "1 2", "12 3"),
        splitter=splitter,
    )
    tokenizer = Tokenizer(words)
    assert [words.tokens[i] for i in tokenizer.encode("123")] == digits
    text = "the thing's \r\n  in 12345 caf\u00e9s!?"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_perplexity_with_a_begin_token(tmp_path):
    weights, _ = read_model(write_checkpoint(tmp_path / "own", LLAMA, tensors_of(LLAMA)))
    model = Transformer(weights)
    logits = model.forward([1, *TOKENS[:-1]])[1:].astype(float)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(32), TOKENS[1:]]
    np.testing.assert_allclose(token_losses(model, TOKENS, window=40, begin=1), losses, atol=1e-4)
    assert perplexity(model, TOKENS, window=40).tokens == 32


@pytest.mark.parametrize("changed", [{"theta": 1.0}, {"original": 0.0}, {"fast": 0.0}])
def test_yarn_without_wavelengths_is_refused(changed):
    with pytest.raises(InputError, match="expected a theta above 1"):
        yarn_divisors(16, **{"theta": 1e4, "factor": 4.0, "original": 2048.0} | changed)


@pytest.mark.parametrize("name", ["qwen2", "llama biases", "qwen3"])
def test_rotation_leaves_logits(tmp_path, name):
    case, tensors = CASES[name], tensors_of(CASES[name])
    weights, _ = read_model(write_checkpoint(tmp_path / "own", case, tensors))
    turned = Transformer(rotated(weights, 1)).forward(TOKENS)
    np.testing.assert_allclose(turned, Transformer(weights).forward(TOKENS), atol=5e-4)


@pytest.mark.parametrize(("name", "method"), [("gpt2", "gptq"), ("gpt2", "awq"), ("gemma2", "gptq"), ("qwen2", "awq")])
def test_families_are_compensated(tmp_path, name, method):
    """In eight bits the network stays what it was, whatever is folded into its matrices."""
    case, tensors = CASES[name], tensors_of(CASES[name])
    weights, _ = read_model(write_checkpoint(tmp_path / "own", case, tensors))
    ready = prepared(weights, method, 0)
    windows = np.random.default_rng(0).integers(0, 67, (8, 32))
    own = dict(ready.tensors)
    for _, stage in compensate(ready, windows, weight_format("int8"), method):
        own |= stage.gains | {key: solution.values for key, solution in stage.solutions.items()}
    rounded = Transformer(_Own(ready.config, own)).forward(TOKENS)
    exact = Transformer(weights).forward(TOKENS)
    assert np.sqrt(np.mean((rounded - exact) ** 2)) < 0.05 * exact.std()
    if name in ("gpt2", "gemma2"):
        with pytest.raises(InputError, match="rotation needs norms"):
            prepared(weights, "rotation+gptq", 0)


class _Own(Weights):
    def matrix(self, name: str) -> np.ndarray:
        return self.tensors[HEAD if name == HEAD else name]
