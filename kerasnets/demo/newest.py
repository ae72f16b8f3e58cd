"""What was made of files, kept for the newest version of each alone."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Newest(Generic[Key, Value]):
    """Values by key; a value of another version takes the place of the earlier one."""

    def __init__(self) -> None:
        self.values: dict[Key, tuple[int, Value]] = {}

    def get(self, key: Key, version: int, make: Callable[[], Value]) -> Value:
        """Return the value of `key` in this version, made by `make()` if it is not here."""
        if key not in self.values or self.values[key][0] != version:
            self.values.pop(key, None)  # before the next one takes its memory
            self.values[key] = version, make()
        return self.values[key][1]
