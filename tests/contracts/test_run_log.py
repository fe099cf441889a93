"""The journals of twin.log keep the journal's contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.journal_contract import JournalContract
from twin.log import MemoryLog, RunLog
from twin.ports import Journal


class TestMemoryLog(JournalContract):
    durable = False

    def make(self, folder: Path) -> Journal:
        return MemoryLog()

    def reopen(self, journal: Journal, folder: Path) -> Journal:
        return journal


class TestRunLog(JournalContract):
    part_rows = 65536

    def make(self, folder: Path) -> Journal:
        return RunLog(folder, part_rows=self.part_rows)

    def reopen(self, journal: Journal, folder: Path) -> Journal:
        assert isinstance(journal, RunLog)
        journal.close()
        return RunLog(folder, part_rows=self.part_rows, position=journal.position, digest=journal.digest)


class TestRunLogOfSmallParts(TestRunLog):
    part_rows = 2


@pytest.mark.parametrize("contract", [TestMemoryLog, TestRunLog, TestRunLogOfSmallParts])
def test_the_suite_is_collected_for_each_journal(contract: type[JournalContract]) -> None:
    assert not getattr(contract, "__abstractmethods__", None)
