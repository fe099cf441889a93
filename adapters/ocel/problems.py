"""What is wrong with a file: counted, and the first ones told."""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["SHOWN", "OcelError", "Problems"]

SHOWN: Final = 5


class OcelError(ValueError):
    """A file that cannot be used; the text names each place, what is wrong there and what would be right."""


class Problems:
    """Problems of one file in the order in which they were met: all are counted, the first five are kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._first: list[str] = []
        self.count = 0

    def add(self, place: str, problem: str, remedy: str) -> None:
        """One more problem, at `place` in the file."""
        self.count += 1
        if len(self._first) < SHOWN:
            self._first.append(f"{self._path}: {place}: {problem}; {remedy}")

    def check(self) -> None:
        """Raise `OcelError` where there is a problem."""
        if not self.count:
            return
        lines = list(self._first)
        if self.count > 1:
            shown = "" if self.count == len(lines) else f", the first {len(lines)} are shown"
            lines.append(f"{self._path}: {self.count:,} problems{shown}; nothing was imported")
        raise OcelError("\n".join(lines))
