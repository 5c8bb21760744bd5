"""The language of the families' table: where a family's configuration keeps what every reader asks for.

A family is a dictionary from our names to constants, keys of the configuration, or functions of the values read so
far. `USUAL` has what most families do; a family names only what sets it apart.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.readers.config import Config

#: Stands for "there is no default: the key must be there".
REQUIRED = object()


@dataclass(frozen=True)
class Key:
    """The first of `names` that has a value. The default's type says what is expected: a flag, a count, a text."""

    names: tuple[str, ...]
    default: Any = REQUIRED


def key(*names: str, default: Any = REQUIRED) -> Key:
    """Return the entry that reads the first of `names`; without a default one of them must be there."""
    return Key(names, default)


class Values:
    """What a family's table says of one configuration, read when it is asked for, once."""

    def __init__(self, config: Config, table: Mapping[str, Any]) -> None:
        self.config, self._table = config, table
        self._read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._read:
            self._read[name] = self._resolved(self._table[name])
        return self._read[name]

    def function(self, name: str) -> Callable[["Values"], Any]:
        """Return an entry that is a function, without calling it."""
        entry: Callable[[Values], Any] = self._table[name]
        return entry

    def _resolved(self, entry: Any) -> Any:
        if not isinstance(entry, Key):
            return entry(self) if callable(entry) else entry
        name, default = self.config.first(*entry.names), entry.default
        if default is REQUIRED:
            return self.config.count(name)
        if isinstance(default, bool):
            return self.config.flag(name, default)
        if isinstance(default, str):
            return self.config.text(name, default)
        if isinstance(default, float):
            return self.config.number(name, default)
        if default is None:
            return self.config.count(name) if self.config.has(name) else None
        return self.config.whole(name, default)


def kv_heads_or_all(values: Values) -> int:
    """Return the heads of keys and values; null or absent means one per query head."""
    return values.config.count("num_key_value_heads", values["heads"])


def kv_heads_stated(values: Values) -> int:
    """Return the heads of keys and values; null means one per query head, absent is an error."""
    default = values["heads"] if values.config.is_null("num_key_value_heads") else None
    return values.config.count("num_key_value_heads", default)


def head_dim(values: Values) -> int:
    """Return the width of a head: `head_dim`, or the hidden size's share."""
    config = values.config
    if config.has("head_dim"):
        return config.count("head_dim")
    hidden, heads = values["hidden"], values["heads"]
    if hidden % heads:
        raise config.error("num_attention_heads", heads, f"a divisor of hidden_size = {hidden}, or a head_dim")
    return int(hidden // heads)
