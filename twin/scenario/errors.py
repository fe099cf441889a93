"""What is wrong with a scenario, where, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from msgspec import Struct

__all__ = ["Path", "Problem", "ScenarioError", "choices", "dotted", "join_some", "suggestion"]

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a scenario to one of its values."""

SHOWN_MAX = 20
CHOICES_MAX = 12


class Problem(Struct, frozen=True):
    """One mistake: its file, its 1-based line (0: the file as a whole) and a text that says the remedy.

    `file` is empty for a scenario that was built in Python; the message then begins with the path.
    """

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        if not self.file:
            return self.message
        if not self.line:
            return f"{self.file}: {self.message}"
        return f"{self.file}:{self.line}: {self.message}"


class ScenarioError(ValueError):
    """A scenario cannot be used; `problems` holds everything found, `str()` the first 20, one a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems: list[Problem] = list(problems)

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems[:SHOWN_MAX]]
        more = len(self.problems) - len(lines)
        if more:
            lines.append(f"and {more} more")
        return "\n".join(lines)


def dotted(path: Path) -> str:
    """The path as a reader writes it: `warehouses[0].calendar`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def join_some(names: Sequence[str]) -> str:
    """The names separated by commas, cut after a dozen with the number left out."""
    shown = ", ".join(names[:CHOICES_MAX])
    more = len(names) - CHOICES_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def suggestion(word: str, names: Iterable[str]) -> str:
    """` (did you mean 'dhl'?)` for the name closest to `word`, or nothing.

    A name that begins or continues the word counts as close even where the lengths differ much.
    """
    known = list(names)
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    if not near and len(word) > 1:
        near = [name for name in known if name and (word.startswith(name) or name.startswith(word))][:1]
    return f" (did you mean '{near[0]}'?)" if near else ""


def choices(noun: str, plural: str, word: str, names: Sequence[str]) -> str:
    """`unknown carrier 'dhl-express'; carriers here: dhl, ups (did you mean 'dhl'?)`."""
    if not names:
        return f"unknown {noun} '{word}'; there are no {plural} here"
    return f"unknown {noun} '{word}'; {plural} here: {join_some(names)}{suggestion(word, names)}"
