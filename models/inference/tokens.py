"""Text to tokens and back: the byte-level BPE of a GGUF vocabulary, chat prompts, and decoding while tokens arrive.

Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", ACL 2016; bytes as in GPT-2. The merges
are applied by the package `tokenizers`.
"""

import codecs
import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from hwbase import InputError
from models.inference.transformer import check_tokens
from models.inference.weights import Vocabulary, require

_CONTROL = 3
_PROMPT = "\ue000prompt\ue000"
#: Bytes that a vocabulary may lack: 21 in SmolLM2, most of which no UTF-8 text holds. `encode` drops them.
MOST_MISSING_BYTES = 64
#: Most characters of a chat template that is worth a try.
_LONGEST_TEMPLATE = 100_000


class Tokenizer:
    """Encodes text with a vocabulary; raises `InputError` for one that is broken or of another kind.

    Supported: byte-level BPE ("gpt2") with the pre-tokenizer of SmolLM, which takes digits one by one and then splits
    as GPT-2 does. `end` is the id that ends a turn (None when the vocabulary has none), `control` the control tokens'.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        if (vocabulary.model, vocabulary.splitter) != ("gpt2", "smollm"):
            raise InputError(
                f"tokenizer {vocabulary.model!r} with pre-tokenizer {vocabulary.splitter!r} is not supported, "
                "expected 'gpt2' with 'smollm'"
            )
        self._vocabulary = vocabulary
        self._bpe = _byte_pair_encoder(vocabulary)
        self.size = len(vocabulary.tokens)
        self.end = self._id("end", vocabulary.end)
        self.begin = self._id("begin", vocabulary.begin)
        self.control = frozenset(i for i, kind in enumerate(vocabulary.kinds) if kind == _CONTROL)

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
        before, after = _render(self._vocabulary.chat_template)
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
        text = self._vocabulary.tokens[token]
        if token in self.control:
            return text.encode() if control else b""
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


def _byte_pair_encoder(vocabulary: Vocabulary) -> Any:
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
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    names = [t for t, kind in zip(vocabulary.tokens, vocabulary.kinds, strict=True) if kind == _CONTROL]
    bpe.add_special_tokens(names)
    return bpe


def _render(template: str) -> tuple[str, str]:
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    if not template or len(template) > _LONGEST_TEMPLATE:
        raise InputError("the vocabulary has no chat template: expected one, or a prompt without a conversation")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    messages = [{"role": "user", "content": _PROMPT}]
    try:
        text = environment.from_string(template).render(messages=messages, add_generation_prompt=True)
    except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise InputError(f"the vocabulary's chat template cannot be used: {error}") from None
    parts = text.split(_PROMPT)
    if len(parts) != 2:
        raise InputError("the vocabulary's chat template does not show the prompt once")
    return parts[0], parts[1]
