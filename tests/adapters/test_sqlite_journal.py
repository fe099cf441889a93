"""The SQLite journal: the contract of every journal, and what one durable file promises beyond it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters import sqlite_journal
from adapters.sqlite_journal import JournalError, SQLiteJournal
from tests.adapters.recorded import chained, record
from tests.contracts.journal_contract import JournalContract, sample_entries
from twin.codec import GENESIS
from twin.ports import Journal, JournalConflict


class TestSQLiteJournal(JournalContract):
    @pytest.fixture(autouse=True)
    def _let_go(self) -> Iterator[None]:
        self.opened: list[SQLiteJournal] = []
        yield
        for journal in self.opened:
            journal.close()

    def make(self, folder: Path) -> Journal:
        journal = SQLiteJournal(folder / "journal.db")
        self.opened.append(journal)
        return journal

    def reopen(self, journal: Journal, folder: Path) -> Journal:
        assert isinstance(journal, SQLiteJournal)
        journal.close()
        return self.make(folder)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def spoil(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(statement)
    connection.close()


def filled(path: Path, count: int = 5) -> None:
    with SQLiteJournal(path) as journal:
        journal.append(sample_entries(count), 0)


@pytest.mark.parametrize("batch", [1, 7])
def test_the_digest_is_the_chain_over_the_entries_whatever_the_batches(path: Path, batch: int) -> None:
    entries = record(10)
    with SQLiteJournal(path) as journal:
        assert journal.digest == GENESIS
        for start in range(0, len(entries), batch):
            journal.append(entries[start : start + batch], start)
        assert journal.digest == chained(entries)
        assert journal.position == len(entries)
        assert list(journal.read(0)) == entries
    with SQLiteJournal(path) as journal:
        assert journal.digest == chained(entries)
        assert journal.digest_at(3) == chained(entries[:3])


def test_reading_sees_what_is_appended_meanwhile_and_crosses_pages(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_journal, "PAGE", 2)
    entries = sample_entries(7)
    with SQLiteJournal(path) as journal:
        journal.append(entries[:4], 0)
        reading = journal.read(0)
        seen = [next(reading)]
        journal.append(entries[4:], 4)
        assert seen + list(reading) == entries


def test_the_mark_never_runs_back(path: Path) -> None:
    with SQLiteJournal(path) as journal:
        journal.append(sample_entries(5), 0)
        journal.mark_submitted(4)
        journal.mark_submitted(2)
        assert journal.submitted() == 4


def test_the_mark_outlives_the_process(path: Path) -> None:
    with SQLiteJournal(path) as journal:
        journal.append(sample_entries(5), 0)
        journal.mark_submitted(4)
    with SQLiteJournal(path) as journal:
        assert journal.submitted() == 4


def test_an_append_flushes_to_the_disk_also_after_a_mark(path: Path) -> None:
    with SQLiteJournal(path) as journal:
        journal.append(sample_entries(1), 0)
        journal.mark_submitted(1)
        connection = journal._connection
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_append_flushes_to_the_disk_also_after_a_mark_that_failed(path: Path) -> None:
    filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    with SQLiteJournal(path, patience_ms=10) as journal:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="locked"):
            journal.mark_submitted(5)
        other.close()
        assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        journal.mark_submitted(5)
        assert journal.submitted() == 5


def test_of_two_writers_the_second_conflicts_and_a_reader_sees_the_first(path: Path) -> None:
    with SQLiteJournal(path) as first, SQLiteJournal(path) as second:
        first.append(sample_entries(2), 0)
        with pytest.raises(JournalConflict, match="entry 2 is the last one, not 0"):
            second.append(sample_entries(1), 0)
        assert list(second.read(0)) == sample_entries(2)
        second.append(sample_entries(1, after=2), 2)
        assert first.position == 3


def test_a_journal_closes_into_one_file_and_closes_twice(path: Path) -> None:
    journal = SQLiteJournal(path)
    journal.append(sample_entries(3), 0)
    journal.close()
    journal.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with pytest.raises(JournalError, match="closed"):
        journal.submitted()


def test_an_empty_file_becomes_a_journal(path: Path) -> None:
    path.touch()
    with SQLiteJournal(path) as journal:
        assert journal.position == 0


def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(path: Path) -> None:
    path.write_text("order,sku\n1,apple\n" * 100, encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"not a database.*name another file"):
        SQLiteJournal(path)
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_refused_and_left_as_it_was(path: Path) -> None:
    spoil(path, "CREATE TABLE customers (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(JournalError, match="of something else"):
        SQLiteJournal(path)
    assert path.read_bytes() == before


def test_a_journal_of_another_format_is_refused_with_both_versions(path: Path) -> None:
    filled(path)
    spoil(path, "PRAGMA user_version = 99")
    with pytest.raises(JournalError, match="format 99, this version reads and writes format 1"):
        SQLiteJournal(path)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"nowhere/journal\.db.*the folder must exist"):
        SQLiteJournal(tmp_path / "nowhere" / "journal.db")


def test_a_locked_journal_says_that_it_has_one_writer(path: Path) -> None:
    filled(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with (
        SQLiteJournal(path, patience_ms=10) as journal,
        pytest.raises(JournalError, match=r"locked.*a journal has one writer"),
    ):
        journal.append(sample_entries(1, after=5), 5)
    other.close()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM entries WHERE position = 3", "entry 3 is damaged: it is missing"),
        ("UPDATE entries SET payload = replace(payload, 'close', 'serve') WHERE position = 3", "entry 3 .* chain"),
        ("UPDATE entries SET digest = zeroblob(16) WHERE position = 3", "entry 3 .* chain"),
        ("DELETE FROM mark", "the outbox mark is missing"),
    ],
)
def test_a_damaged_journal_names_the_entry(path: Path, statement: str, message: str) -> None:
    filled(path)
    spoil(path, statement)
    with pytest.raises(JournalError, match=message), SQLiteJournal(path) as journal:
        list(journal.read(0))
        journal.submitted()


def test_a_truncated_file_is_an_error_that_names_it(path: Path) -> None:
    filled(path, 2_000)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(JournalError, match=r"journal\.db"), SQLiteJournal(path) as journal:
        list(journal.read(0))


def test_reading_after_a_position_that_is_not_there_is_an_error(path: Path) -> None:
    filled(path)
    with SQLiteJournal(path) as journal, pytest.raises(JournalError, match="entry 9 is damaged: it is missing"):
        list(journal.read(9))
