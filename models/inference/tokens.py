"""Text to tokens and back: byte-level BPE of a GGUF vocabulary, or a tokenizer.json; chats; decoding as tokens arrive.

Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", ACL 2016; bytes as in GPT-2. The package
`tokenizers` applies the merges.
"""

import codecs
import functools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from hwbase import InputError
from hwbase.errors import shown
from models.inference.transformer import check_tokens
from models.inference.weights import Vocabulary, require

_CONTROL = 3
_PIECE_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_PROMPT = "\ue000prompt\ue000"
#: Bytes that a vocabulary may lack: 21 in SmolLM2, most of which no UTF-8 text holds. `encode` drops them.
MOST_MISSING_BYTES = 64
#: Most characters of a chat template that is worth a try.
_LONGEST_TEMPLATE = 100_000


#: Words of Llama 3 and Qwen 2 as their tokenizer.json files define them, with the digits that go together.
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
#: Pre-tokenizers of GGUF files by name, as regular expressions of words; None stands for GPT-2's own.
_SPLITTERS: dict[str, str | None] = {
    "smollm": None,
    "gpt-2": None,
    "llama-bpe": _WORDS.format(digits="{1,3}"),
    "qwen2": _WORDS.format(digits=""),
}


class Tokenizer:
    """Encodes text with a vocabulary; raises `InputError` for one that is broken or of another kind.

    A GGUF file's vocabulary is byte-level BPE ("gpt2") with one of a few pre-tokenizers; a tokenizer.json may be any
    that maps tokens to bytes, GPT-2's way or SentencePiece's. `end` is the id that ends a turn (None when the
    vocabulary has none) and `ends` all of them, `control` the control tokens', `start` what every text begins with.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        if vocabulary.model == "tokenizer.json":
            self._bpe = _from_json(vocabulary)
            self.size = vocabulary.size
            added = self._bpe.get_added_tokens_decoder()
            self.control = frozenset(i for i, token in added.items() if token.special)
            self._texts = [self._bpe.id_to_token(i) or "" for i in range(self.size)]
        else:
            self._bpe = _byte_pair_encoder(vocabulary)
            self.size = len(vocabulary.tokens)
            self.control = frozenset(i for i, kind in enumerate(vocabulary.kinds) if kind == _CONTROL)
            self._texts = list(vocabulary.tokens)
        self._pieces = _is_sentence_piece(vocabulary)
        self.end = self._id("end", vocabulary.end)
        self.begin = self._id("begin", vocabulary.begin)
        self.ends = () if self.end is None else (self.end, *vocabulary.more_ends)
        adds = bool(self._bpe.encode("", add_special_tokens=True).ids) or vocabulary.adds_begin
        self.start = (self.begin,) if adds and self.begin is not None else ()

    def encode(self, text: str, *, control: bool = False) -> list[int]:
        """Return the token ids of `text`; with `control` the names of control tokens in it stand for these tokens.

        A byte that has no token (in SmolLM2 six control characters, and planes 4 and up) is dropped, as it is by the
        model's own tokenizer. Raises `InputError` for text that is not Unicode (lone surrogates).
        """
        if not isinstance(text, str):
            raise InputError(f"text is of type {type(text).__name__}: expected str")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"text holds {text[error.start]!r} at {error.start}: expected Unicode text") from None
        # The flag belongs to the encoder, so it is set anew for each text.
        self._bpe.encode_special_tokens = not control
        return list(self._bpe.encode(text, add_special_tokens=False).ids)

    def chat(self, prompt: str) -> list[int]:
        """Return the token ids of a conversation in which the user says `prompt` and the model is to answer.

        The vocabulary's own chat template is filled in, in Jinja's sandbox; control tokens named in the prompt stay
        plain text. Raises `InputError` for an empty prompt, or a vocabulary with no usable template.
        """
        if not prompt.strip():
            raise InputError("prompt is empty: expected some text")
        ends = {name: "" if i is None else self._texts[i] for name, i in (("bos", self.begin), ("eos", self.end))}
        before, after = _render(self._vocabulary.chat_template, ends["bos"], ends["eos"])
        return self.encode(before, control=True) + self.encode(prompt) + self.encode(after, control=True)

    def decode(self, tokens: Sequence[int] | np.ndarray, *, control: bool = False) -> str:
        """Return the text of token ids; bytes that are not UTF-8 become U+FFFD, control tokens nothing unless asked.

        Raises `InputError` for ids outside the vocabulary.
        """
        if len(tokens) == 0:
            return ""
        ids = check_tokens(tokens, self.size)
        return b"".join(self._bytes(i, control) for i in ids.tolist()).decode("utf-8", errors="replace")

    def stream(self, tokens: Iterable[int]) -> Iterator[str]:
        """Yield the text of each token as it arrives; a character whose bytes span tokens comes with its last one.

        Pieces joined equal `decode` of all tokens. A piece may be empty; a rest that never became a character comes as
        U+FFFD at the end. Raises `InputError` for ids outside the vocabulary.
        """
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        for token in tokens:
            yield decoder.decode(self._bytes(int(check_tokens([token], self.size)[0]), False))
        rest = decoder.decode(b"", final=True)
        if rest:
            yield rest

    def _bytes(self, token: int, control: bool) -> bytes:
        text = self._texts[token]
        if token in self.control:
            return text.encode() if control else b""
        if self._pieces:
            # SentencePiece: a space is U+2581, and a byte that no token has is <0xNN>.
            byte = _PIECE_BYTE.fullmatch(text)
            return bytes([int(byte[1], 16)]) if byte else text.replace("\u2581", " ").encode()
        table = _byte_of_character()
        return bytes(table[c] for c in text) if all(c in table for c in text) else text.encode()

    def _id(self, name: str, value: int | None) -> int | None:
        if value is not None and not 0 <= value < self.size:
            raise InputError(f"{name} token {value}: expected an id from 0 to {self.size - 1}")
        return value


@functools.cache
def _byte_of_character() -> dict[str, int]:
    """Return GPT-2's alphabet: printable Latin-1 characters stand for themselves, U+0100 and up for the other bytes."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def parse_ids(text: str) -> list[int]:
    """Return the token ids that a text lists, with spaces or commas between them; raises `InputError`."""
    words = text.replace(",", " ").split()
    wrong = next((word for word in words if not (word.isascii() and word.isdigit() and len(word) < 10)), None)
    if wrong is not None or not words:
        raise InputError(f"token ids: {shown(wrong or '')}: expected whole numbers with spaces or commas between them")
    return [int(word) for word in words]


def _from_json(vocabulary: Vocabulary) -> Any:
    if not vocabulary.text:
        raise InputError("the folder has no tokenizer.json: expected one, or token ids in place of text (--ids)")
    tokenizers = require("tokenizers")
    try:
        encoder = tokenizers.Tokenizer.from_str(vocabulary.text)
    except Exception as error:  # the package has errors of its own
        raise InputError(f"tokenizer.json cannot be used: {error}") from None
    encoder.no_truncation()
    encoder.no_padding()
    if encoder.get_vocab_size() > vocabulary.size:
        raise InputError(
            f"tokenizer.json has {encoder.get_vocab_size()} tokens: expected at most {vocabulary.size}, the network's"
        )
    added = encoder.encode("", add_special_tokens=True).ids
    if added not in ([], [vocabulary.begin]):
        raise InputError(f"tokenizer.json adds tokens {added} to a text: expected none, or the begin token")
    return encoder


def _is_sentence_piece(vocabulary: Vocabulary) -> bool:
    """Whether tokens are pieces of text with U+2581 for spaces; raises `InputError` for a kind that is not known."""
    if vocabulary.model != "tokenizer.json":
        return False
    decoder = (json.loads(vocabulary.text).get("decoder") or {}).get
    kinds = [str(decoder("type"))] + [str(each.get("type")) for each in decoder("decoders") or ()]
    if "ByteLevel" in kinds:
        return False
    if "Metaspace" in kinds or {"Replace", "ByteFallback"} & set(kinds):
        return True
    raise InputError(f"tokenizer.json has the decoder {kinds[0]!r}: expected ByteLevel, or SentencePiece's")


def _byte_pair_encoder(vocabulary: Vocabulary) -> Any:
    if vocabulary.model != "gpt2" or vocabulary.splitter not in _SPLITTERS:
        raise InputError(
            f"tokenizer {vocabulary.model!r} with pre-tokenizer {vocabulary.splitter!r} is not supported, "
            f"expected 'gpt2' with one of {', '.join(map(repr, _SPLITTERS))}, or token ids in place of text (--ids)"
        )
    tokenizers = require("tokenizers")
    ids = {token: i for i, token in enumerate(vocabulary.tokens)}
    if len(ids) != len(vocabulary.tokens):
        raise InputError(f"the vocabulary names {len(vocabulary.tokens) - len(ids)} tokens twice")
    missing = sum(character not in ids for character in _byte_of_character())
    if missing > MOST_MISSING_BYTES:
        raise InputError(f"the vocabulary lacks {missing} of the 256 single bytes: expected a byte-level one")
    merges = [tuple(merge.split(" ")) for merge in vocabulary.merges]
    wrong = next((m for m in merges if len(m) != 2 or not {*m, "".join(m)} <= ids.keys()), None)
    if wrong is not None:
        raise InputError(f"merge {' '.join(wrong)!r}: expected two tokens whose sum is a token")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=ids, merges=merges))
    words = _SPLITTERS[vocabulary.splitter]
    parts = [tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words is None)]
    if vocabulary.splitter == "smollm":
        parts.insert(0, tokenizers.pre_tokenizers.Digits(individual_digits=True))
    elif words is not None:
        parts.insert(0, tokenizers.pre_tokenizers.Split(tokenizers.Regex(words), "isolated"))
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(parts)
    names = [t for t, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True) if kind == _CONTROL]
    bpe.add_special_tokens(names)
    return bpe


def _render(template: str, begin: str, end: str) -> tuple[str, str]:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if not template or len(template) > _LONGEST_TEMPLATE:
        raise InputError("the vocabulary has no chat template: expected one, or a prompt without a conversation")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": "user", "content": _PROMPT}]
    try:
        text = environment.from_string(template).render(
            messages=messages, add_generation_prompt=True, bos_token=begin, eos_token=end
        )
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the vocabulary's chat template cannot be used: {error}") from None
    parts = text.split(_PROMPT)
    if len(parts) != 2:
        raise InputError("the vocabulary's chat template does not show the prompt once")
    return parts[0], parts[1]
