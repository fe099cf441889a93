"""A memory of the last things only: a run may go on for as long as it likes."""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, TypeVar

__all__ = ["Recent"]

T = TypeVar("T")


class Recent(OrderedDict[str, T]):
    """What is known by a key; of more than `most` the oldest is forgotten."""

    most: ClassVar[int] = 100_000

    def __setitem__(self, key: str, value: T) -> None:
        super().__setitem__(key, value)
        if len(self) > self.most:
            self.popitem(last=False)
