"""Rules that name modules: literal paths, wildcards, regular expressions and classes, as checkpoints write them."""

import fnmatch
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hwbase import InputError
from models.readers.config import shown

#: What may stand before "layers" in a name.
_BEFORE = re.compile(r"^(?:(?:model|language_model|backbone|transformer|decoder|thinker)\.)+")
_PREFIXES = ("", "model.", "model.language_model.", "language_model.model.", "backbone.", "model.decoder.")
_CLASS = re.compile(r"^[A-Z]\w*$")
_WILD = re.compile(r"[*?\[]")
_ONE_EXPERT = re.compile(r"experts?\\?\.(?:\(\?:)?\(?(\d+)")
#: Names of what is no matrix of the layers: rules about it change nothing that is counted by rule.
_ELSEWHERE = re.compile(
    r"mtp|nextn|eagle|draft|medusa|visual|vision|image|audio|mm_projector|multi_modal|multimodal|patch_merge|embed|wte"
    r"|norm|lm_head|^head|\.head|output_layer|conv1d|conv_1d|rotary|correction_bias|eh_proj|shared_head|hnorm|enorm|ln_"
    r"|\.sinks|dt_bias|A_log|score|classifier|connector|projector|router|gate$|pooler|encoder|hyper|\bhc_"
)
_ONE_LAYER = re.compile(r"^layers\.(\d+)\.")
_LAYER = re.compile(r"layers\.(\d+)(?:\D|$)")


@dataclass(frozen=True)
class Rules:
    """A list of rules; with `regular` all are regular expressions, which match from the start of a name."""

    texts: tuple[str, ...]
    where: str
    regular: bool = False
    used: set[str] = field(default_factory=set, compare=False)

    @cached_property
    def _parts(self) -> "_Parts":
        literal: dict[str, str] = {}
        wild: dict[int | None, list[tuple[re.Pattern[str], str]]] = {}
        regular, every = [], False
        for text in self.texts:
            if text.startswith("re:") or self.regular:
                regular.append((self._compiled(text.removeprefix("re:"), text), text))
            elif _CLASS.match(text) and text.endswith("Linear"):
                every = True
                self.used.add(text)
            elif _WILD.search(text):
                pattern = text if text.startswith("*") else _BEFORE.sub("", text)
                # What is about a module is about all modules in it.
                either = f"{fnmatch.translate(pattern)}|{fnmatch.translate(pattern + '.*')}"
                layer = _ONE_LAYER.match(pattern)
                entry = (self._compiled(either, text), text)
                wild.setdefault(int(layer.group(1)) if layer else None, []).append(entry)
            else:
                literal[_BEFORE.sub("", text).removesuffix(".weight")] = text
        paths = [text.split(".") for text in literal]
        return _Parts(literal, {path[0] for path in paths}, {path[-1] for path in paths}, wild, regular, every)

    def _compiled(self, pattern: str, text: str) -> re.Pattern[str]:
        try:
            return re.compile(pattern)
        except re.error as error:
            raise InputError(f"{self.where}: {shown(text)} is no regular expression: {error}") from None

    @cached_property
    def named_experts(self) -> dict[int | None, set[int]]:
        """Experts that rules name, by the layer that the rule names (None: it names none)."""
        named: dict[int | None, set[int]] = {}
        for text in self.texts:
            expert = _ONE_EXPERT.search(text)
            if expert:
                layer = _LAYER.search(text)
                named.setdefault(int(layer.group(1)) if layer else None, set()).add(int(expert.group(1)))
        return named

    @cached_property
    def words(self) -> frozenset[str] | None:
        """All parts of the rules' paths; None where wildcards and expressions may match other words."""
        if self._parts.wild or self._parts.regular:
            return None
        return frozenset(part for text in self._parts.literal for part in text.split("."))

    def match(self, names: Sequence[str], *, by_class: bool = True) -> bool:
        """Return whether some rule is about a module with one of `names` (without what stands before "layers")."""
        parts = self._parts
        if not names:
            return parts.every and by_class
        hits = [parts.literal[path] for name in names for path in parts.stretches(name)]
        layer = _ONE_LAYER.match(names[0])
        wild = parts.wild.get(None, [])
        if layer:
            wild = [*wild, *parts.wild.get(int(layer.group(1)), [])]
        hits += [text for pattern, text in wild if any(pattern.match(name) for name in names)]
        if parts.regular:
            whole = [prefix + name for name in names for prefix in _PREFIXES]
            hits += [text for pattern, text in parts.regular if any(map(pattern.match, whole))]
        self.used.update(hits)
        return bool(hits) or (parts.every and by_class)

    def check_used(self, layers: int) -> None:
        """Raise `InputError` for a rule that is about no module that we know."""
        for text in self.texts:
            beyond = _LAYER.search(text)
            if text in self.used or _ELSEWHERE.search(text) or (beyond and int(beyond.group(1)) >= layers):
                continue
            raise InputError(f"{self.where}: {shown(text)} names no matrix of this network")


@dataclass(frozen=True)
class _Parts:
    """Rules by kind: literal paths with the words they begin and end with, patterns, and "all linear layers"."""

    literal: dict[str, str]
    first: set[str]
    last: set[str]
    #: By the layer that a pattern names (None: any).
    wild: dict[int | None, list[tuple[re.Pattern[str], str]]]
    regular: list[tuple[re.Pattern[str], str]]
    every: bool

    def stretches(self, name: str) -> Iterator[str]:
        """Yield the literal paths that are stretches of modules of `name`, as "b.c" is of "a.b.c.d"."""
        if not self.literal:
            return
        words = name.split(".")
        for i, start in enumerate(words):
            if start in self.first:
                for j in range(i, len(words)):
                    if words[j] in self.last and (path := ".".join(words[i : j + 1])) in self.literal:
                        yield path
