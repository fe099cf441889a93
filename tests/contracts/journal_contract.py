"""What every `ports.Journal` promises. Subclass `JournalContract` with a factory, as `TestRunLog` does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import pytest

from twin.core.commands import Wake
from twin.core.entry import Entry
from twin.core.events import OrderClosed
from twin.core.refusals import Refusal
from twin.ports import Journal, JournalConflict

__all__ = ["JournalContract", "sample_entries"]


def sample_entries(count: int, after: int = 0) -> list[Entry]:
    """Entries of several shapes: with events, refused, empty, with text beyond ASCII."""
    entries = []
    for position in range(after + 1, after + count + 1):
        command = Wake(f"close/{position}")
        if position % 3 == 0:
            entries.append(Entry(position, position * 10, command, refusal=Refusal("not_due", "größer als 0 €")))
        elif position % 3 == 1:
            entries.append(Entry(position, position * 10, command, (OrderClosed(f"order-{position}"),)))
        else:
            entries.append(Entry(position, position * 10, command))
    return entries


class JournalContract(ABC):
    """The abstract suite; `make` gives an empty journal, `reopen` the same store as a new process sees it."""

    durable = True
    """Whether `reopen` finds what was appended."""

    @abstractmethod
    def make(self, folder: Path) -> Journal:
        """An empty journal in an empty folder."""

    @abstractmethod
    def reopen(self, journal: Journal, folder: Path) -> Journal:
        """The journal closed and opened again."""

    @pytest.fixture
    def journal(self, tmp_path: Path) -> Journal:
        return self.make(tmp_path)

    @staticmethod
    def _append(journal: Journal, entries: Sequence[Entry]) -> None:
        for entry in entries:
            journal.append((entry,), entry.position - 1)

    def test_an_empty_journal_holds_nothing_and_has_submitted_nothing(self, journal: Journal) -> None:
        assert list(journal.read(0)) == []
        assert journal.submitted() == 0

    def test_what_was_appended_is_read_in_order_and_unchanged(self, journal: Journal) -> None:
        entries = sample_entries(10)
        self._append(journal, entries)
        assert list(journal.read(0)) == entries

    def test_reading_begins_after_the_position(self, journal: Journal) -> None:
        entries = sample_entries(10)
        self._append(journal, entries)
        assert list(journal.read(7)) == entries[7:]
        assert list(journal.read(10)) == []

    def test_append_returns_the_new_last_position(self, journal: Journal) -> None:
        entries = sample_entries(5)
        assert journal.append(entries[:1], 0) == 1
        assert journal.append(entries[1:], 1) == 5

    def test_a_batch_is_stored_as_one_by_one(self, journal: Journal) -> None:
        entries = sample_entries(6)
        journal.append(entries[:4], 0)
        journal.append(entries[4:], 4)
        assert list(journal.read(0)) == entries

    @pytest.mark.parametrize("expected", [0, 2, 4, 6])
    def test_an_append_at_another_position_conflicts_and_stores_nothing(self, journal: Journal, expected: int) -> None:
        entries = sample_entries(5)
        self._append(journal, entries)
        with pytest.raises(JournalConflict):
            journal.append(sample_entries(1, after=expected), expected)
        assert list(journal.read(0)) == entries

    def test_a_batch_that_does_not_follow_itself_is_stored_not_even_in_part(self, journal: Journal) -> None:
        entries = sample_entries(4)
        with pytest.raises(JournalConflict):
            journal.append((entries[0], entries[1], entries[3]), 0)
        assert list(journal.read(0)) == []
        assert journal.append(entries, 0) == 4

    def test_the_mark_of_what_was_submitted_is_kept(self, journal: Journal) -> None:
        self._append(journal, sample_entries(5))
        journal.mark_submitted(3)
        assert journal.submitted() == 3

    def test_an_append_leaves_the_mark_alone(self, journal: Journal) -> None:
        self._append(journal, sample_entries(3))
        journal.mark_submitted(3)
        self._append(journal, sample_entries(2, after=3))
        assert journal.submitted() == 3

    def test_a_reopened_journal_holds_the_same_and_goes_on(self, journal: Journal, tmp_path: Path) -> None:
        if not self.durable:
            pytest.skip("kept in memory only")
        entries = sample_entries(8)
        self._append(journal, entries[:5])
        again = self.reopen(journal, tmp_path)
        self._append(again, entries[5:])
        assert list(again.read(0)) == entries

    def test_digests_of_equal_entries_are_equal(self, tmp_path: Path) -> None:
        digests = []
        for name, batch in (("one", 1), ("three", 3)):
            folder = tmp_path / name
            folder.mkdir()
            journal = self.make(folder)
            entries = sample_entries(9)
            for start in range(0, 9, batch):
                journal.append(entries[start : start + batch], start)
            digests.append(getattr(journal, "digest", None))
        assert digests[0] == digests[1]
