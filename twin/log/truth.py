"""The truth of a run, apart from its log: what physically happened. Measures read it, policies never do."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from twin.codec import GENESIS, link
from twin.log.errors import RunError
from twin.log.parts import TRUTH, Part, find_parts, write_part

__all__ = ["MemoryTruth", "TruthLog", "TruthRow", "link_row"]


class TruthRow(NamedTuple):
    """One physical fact at `at` (ms). For stock, `quantity` is the signed movement of `sku` at `node`."""

    position: int
    at: int
    type: str
    subject: str
    node: str
    sku: str
    quantity: int
    detail: str


def link_row(
    previous: bytes, at: int, type_: str, subject: str, node: str, sku: str, quantity: int, detail: str
) -> bytes:
    """The digest chain of the truth, over a row's fields but its position."""
    return link(previous, f"{at}\x1f{type_}\x1f{subject}\x1f{node}\x1f{sku}\x1f{quantity}\x1f{detail}".encode())


class MemoryTruth:
    """The truth in memory, for tests and forks: `rows`, and `position` and `digest` of the last one."""

    def __init__(self, position: int = 0, digest: bytes = GENESIS) -> None:
        self.position = position
        self.digest = digest
        self.rows: list[TruthRow] = []

    def record(
        self, at: int, type: str, subject: str, node: str = "", sku: str = "", quantity: int = 0, detail: str = ""
    ) -> None:
        """Note what happened at `at` (ms)."""
        self.digest = link_row(self.digest, at, type, subject, node, sku, quantity, detail)
        self.position += 1
        self.rows.append(TruthRow(self.position, at, type, subject, node, sku, quantity, detail))


class TruthLog:
    """Streams the truth into `folder/truth/part-NNNNN.parquet`, one column a field of `TruthRow`.

    It has its own digest chain. `position` and `digest` are those of the last row; give a snapshot's to go on from it.
    Raises `RunError` where the folder holds another run's truth.
    """

    def __init__(self, folder: Path, part_rows: int = 65536, position: int = 0, digest: bytes = GENESIS) -> None:
        self.folder = folder / TRUTH
        self.part_rows = part_rows
        self.position = position
        self.digest = digest
        self._parts = find_parts(self.folder)
        if self._parts:
            before = self._parts[-1]
            if before.last != position or before.digest != digest:
                raise RunError(
                    f"{folder} holds {before.last} rows of truth already; this run goes on after {position}. "
                    "Choose an empty folder"
                )
        self._clear()

    def record(
        self, at: int, type: str, subject: str, node: str = "", sku: str = "", quantity: int = 0, detail: str = ""
    ) -> None:
        """Note what happened at `at` (ms)."""
        self.digest = link_row(self.digest, at, type, subject, node, sku, quantity, detail)
        self.position += 1
        self._at.append(at)
        self._type.append(type)
        self._subject.append(subject)
        self._node.append(node)
        self._sku.append(sku)
        self._quantity.append(quantity)
        self._detail.append(detail)
        if len(self._at) >= self.part_rows:
            self.close_part()

    @property
    def parts(self) -> list[Part]:
        """The finished parts so far."""
        return list(self._parts)

    def close_part(self) -> None:
        """Write what is buffered as a part; nothing where nothing is buffered."""
        rows = len(self._at)
        if not rows:
            return
        first = self.position - rows + 1
        self._parts.append(
            write_part(
                self.folder,
                self._parts[-1].number + 1 if self._parts else 0,
                (
                    ("position", range(first, self.position + 1)),
                    ("at", self._at),
                    ("type", self._type),
                    ("subject", self._subject),
                    ("node", self._node),
                    ("sku", self._sku),
                    ("quantity", self._quantity),
                    ("detail", self._detail),
                ),
                first=first,
                last=self.position,
                digest=self.digest,
            )
        )
        self._clear()

    def close(self) -> None:
        """Write the last part."""
        self.close_part()

    def _clear(self) -> None:
        self._at: list[int] = []
        self._type: list[str] = []
        self._subject: list[str] = []
        self._node: list[str] = []
        self._sku: list[str] = []
        self._quantity: list[int] = []
        self._detail: list[str] = []
