"""Typed reading of a configuration's keys: a missing, mistyped or absurd value is one clear sentence."""

from dataclasses import dataclass
from typing import Any

from hwbase import InputError
from models.spec import LARGEST_COUNT, LARGEST_LAYERS, whole


@dataclass(frozen=True)
class Config:
    """A parsed JSON object and what to call it in messages. A key whose value is null counts as absent."""

    data: dict[str, Any]
    where: str

    def has(self, key: str) -> bool:
        """Return whether `key` is there with a value."""
        return self.data.get(key) is not None

    def is_null(self, key: str) -> bool:
        """Return whether `key` is there but null."""
        return key in self.data and self.data[key] is None

    def error(self, key: str, value: object, expected: str) -> InputError:
        """Return the error that says what `key` should have been."""
        return InputError(f"{self.where}: {key} = {value}: expected {expected}")

    def count(self, key: str, default: int | None = None) -> int:
        """Return a whole number >= 1, or `default` if absent; raises `InputError`."""
        return self.whole(key, default, low=1)

    @property
    def layers(self) -> int:
        """The number of layers, small enough to be walked one by one; raises `InputError`."""
        return self.whole("num_hidden_layers", low=1, high=LARGEST_LAYERS)

    def whole(self, key: str, default: int | None = None, low: int = 0, high: int = LARGEST_COUNT) -> int:
        """Return a whole number in [`low`, `high`], or `default` if absent; raises `InputError`."""
        if not self.has(key):
            if default is None:
                raise InputError(f"{self.where}: {key} is missing")
            return default
        try:
            return whole(key, self.data[key], low=low, high=high)
        except InputError as error:
            raise InputError(f"{self.where}: {error}") from None

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false, or `default` if absent; raises `InputError` for anything else."""
        value = self.data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(key, repr(value), "true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text, or `default` if absent; raises `InputError` for anything else."""
        value = self.data.get(key)
        if value is None:
            if default is None:
                raise InputError(f"{self.where}: {key} is missing")
            return default
        if not isinstance(value, str):
            raise self.error(key, repr(value), "a text")
        return value

    def items(self, key: str) -> list[Any]:
        """Return a list (empty if absent); raises `InputError` for anything else."""
        value = self.data.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(key, repr(value), "a list")
        return value

    def table(self, key: str) -> "Config":
        """Return the object under `key` (empty if absent); raises `InputError` for anything else."""
        value = self.data.get(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.error(key, repr(value), "an object")
        return Config(value, f"{self.where}: {key}")
