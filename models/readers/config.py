"""Typed reading of a configuration's keys, and which of them were read.

A missing, mistyped or absurd value is one clear sentence. A key that nobody reads is either known to change no shape
(`harmless.toml`), or a note, or, where its name says that it may change the network, refused.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hwbase import InputError
from hwbase.parsing import read_toml
from models.spec import LARGEST_COUNT, LARGEST_LAYERS, whole

#: Longest list of keys, and longest value, that a message shows.
_MOST_SHOWN, _LONGEST_SHOWN = 8, 60


@dataclass(frozen=True)
class Config:
    """A parsed JSON object and what to call it in messages. A key whose value is null counts as absent."""

    data: dict[str, Any]
    where: str
    #: Keys that were looked at.
    seen: set[str] = field(default_factory=set, compare=False)

    def get(self, key: str) -> Any:
        """Return the value of `key` as it is, None if absent, and note that it was read."""
        self.seen.add(key)
        return self.data.get(key)

    def has(self, key: str) -> bool:
        """Return whether `key` is there with a value."""
        return self.get(key) is not None

    def is_null(self, key: str) -> bool:
        """Return whether `key` is there but null."""
        return key in self.data and self.data[key] is None

    def first(self, *keys: str) -> str:
        """Return the first of `keys` that has a value, the first of all if none has."""
        return next((key for key in keys if self.has(key)), keys[0])

    def error(self, key: str, value: object, expected: str) -> InputError:
        """Return the error that says what `key` should have been."""
        return InputError(f"{self.where}: {key} = {shown(value)}: expected {expected}")

    def count(self, key: str, default: int | None = None) -> int:
        """Return a whole number >= 1, or `default` if absent; raises `InputError`."""
        return self.whole(key, default, low=1)

    def whole(self, key: str, default: int | None = None, low: int = 0, high: int = LARGEST_COUNT) -> int:
        """Return a whole number in [`low`, `high`], or `default` if absent; raises `InputError`."""
        value = self.get(key)
        if value is None:
            if default is None:
                raise InputError(f"{self.where}: {key} is missing")
            return default
        try:
            return whole(key, value, low=low, high=high)
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None

    def layers(self, key: str = "num_hidden_layers") -> int:
        """Return a number of layers, small enough to be walked one by one; raises `InputError`."""
        return self.whole(key, low=1, high=LARGEST_LAYERS)

    def number(self, key: str, default: float | None = None) -> float:
        """Return a number, or `default` if absent; raises `InputError` for anything else."""
        value = self.get(key)
        if value is None:
            if default is None:
                raise InputError(f"{self.where}: {key} is missing")
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LARGEST_COUNT:
            raise self.error(key, repr(value), "a number")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false, or `default` if absent; raises `InputError` for anything else."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, repr(value), "true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text, or `default` if absent; raises `InputError` for anything else."""
        value = self.get(key)
        if value is None:
            if default is None:
                raise InputError(f"{self.where}: {key} is missing")
            return default
        if not isinstance(value, str):
            raise self.error(key, repr(value), "a text")
        return value

    def items(self, key: str) -> list[Any]:
        """Return a list (empty if absent); raises `InputError` for anything else."""
        value = self.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(key, repr(value), "a list")
        return value

    def whole_items(self, key: str, length: int | None = None, low: int = 0) -> list[int]:
        """Return a list of whole numbers >= `low`, of `length` entries if given; raises `InputError`."""
        items = self.items(key)
        if length is not None and len(items) != length:
            raise self.error(key, f"{len(items)} entries", f"{length}, one a layer")
        try:
            return [whole(key, item, low=low) for item in items]
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None

    def table(self, key: str) -> "Config":
        """Return the object under `key` (empty if absent); raises `InputError` for anything else."""
        value = self.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.error(key, repr(value), "an object")
        return Config(value, f"{self.where}: {key}")

    def with_defaults(self, kind: str) -> "Config":
        """Return a part of a configuration with the sizes that its class takes where the part does not state them.

        Only a part that states its kind is taken to leave the others out on purpose.
        """
        missing = {key: value for key, value in class_defaults().get(kind, {}).items() if self.data.get(key) is None}
        return Config({**self.data, **missing}, self.where, self.seen)

    def unread(self, family: str) -> tuple[str, ...]:
        """Return notes on the keys that were not read; raises `InputError` for one that may change the network."""
        harmless, meaningful, only = key_patterns()
        left = [
            key
            for key, value in self.data.items()
            if key not in self.seen
            and not _is_empty(value)
            and not harmless.fullmatch(key)
            and not any(value == allowed for allowed in only.get(key, ()))
        ]
        for key in left:
            if meaningful(key):
                raise InputError(
                    f"{self.where}: {shown(key)} = {shown(self.data[key])}: not read for {family}, "
                    "and it may change sizes or meaning; expected a configuration without it"
                )
        if not left:
            return ()
        more = f" and {len(left) - _MOST_SHOWN} more" if len(left) > _MOST_SHOWN else ""
        return (f"{self.where}: not read: {', '.join(shown(key) for key in left[:_MOST_SHOWN])}{more}",)


def shown(value: object) -> str:
    """Return a value as a short text for a message."""
    text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


@cache
def class_defaults() -> dict[str, dict[str, Any]]:
    """Return the sizes that classes of the transformers library take by default, by `model_type`."""
    return read_toml(Path(__file__).with_name("defaults.toml"))


@cache
def key_patterns() -> tuple[re.Pattern[str], Callable[[str], bool], dict[str, list[Any]]]:
    """Return what matches a harmless key, whether a key may change a network, and values with which keys do not."""
    book = read_toml(Path(__file__).with_name("harmless.toml"))
    harmless = [re.escape(key) for group in book["keys"].values() for key in group] + book["patterns"]
    word = re.compile(rf"(?:^|_)(?:{'|'.join(book['meaningful'])})(?:_|$)")
    structural = frozenset(book["structural"]["keys"])
    return (
        re.compile("|".join(f"(?:{each})" for each in harmless)),
        lambda key: key in structural or bool(word.search(key)),
        book["only"],
    )


def _is_empty(value: object) -> bool:
    """Return whether a value says as much as the key's absence: null, false, 0, or empty."""
    return value is None or value is False or value in ("", 0) or value in ([], {})
