"""A small book, written here, through a whole run: what came in, what became of it, and when the run stops early."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.world.small_book import small_book
from tests.world.stage import DAY, HOUR, Stage, tiny
from twin.cli import main
from twin.core.commands import IssueCredit
from twin.measures.accounts import Came, Tally, account_run, read_book_counts
from twin.measures.book_counts import BookPart
from twin.report import write_report
from twin.run import Run, load, resume
from twin.world.business import Business

MINIMAL = Path(__file__).resolve().parents[2] / "scenarios/minimal.yaml"


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_book(tmp_path_factory.mktemp("small_book"), MINIMAL)


@pytest.fixture(scope="module")
def run(scenario: Path) -> Run:
    return load(scenario).run(out=scenario.parent / "run")


def test_every_line_of_the_book_is_in_one_place(run: Run) -> None:  # RC-16
    books, counts = account_run(run.folder), read_book_counts(run.folder)
    assert counts is not None
    assert books.differences == []
    assert counts.read_lines == 63
    assert counts.inside == counts.due == BookPart(24, 48, 110, 4, 4, 3, -39)
    assert counts.outside == BookPart(3, 3, 6)
    assert counts.under_way == BookPart()
    assert books.came == {"shop": Came(16, 32, 72), "web": Came(8, 16, 38)}
    # Twenty bowls were there for two channels: one rejects what is short, the other lets it wait.
    assert (books.delivered, books.rejected, books.open) == (Tally(37, 94), Tally(7, 10), Tally(4, 6))
    assert (books.credits_issued, books.credits_refused_units) == (Tally(3, 3), 1)
    assert books.ledger_minor == books.invoiced_minor > 0
    assert books.ledger_credited_minor == books.credited_minor > 0


@pytest.mark.parametrize("stop", [49 * HOUR, 58 * HOUR, 58 * HOUR + 100, 58 * HOUR + 200, 58 * HOUR + 201, 6 * DAY])
def test_a_run_that_stops_early_owes_what_was_due_by_then(scenario: Path, tmp_path: Path, stop: int) -> None:
    run = load(scenario).run(out=tmp_path / "early", until_ms=stop)
    books, counts = account_run(run.folder), read_book_counts(run.folder)
    assert counts is not None
    assert books.differences == []
    assert counts.due.orders == sum(came.orders for came in books.came.values()) + counts.under_way.orders
    # An order is stamped at 58 hours, and takes 200 ms to the engine.
    assert counts.under_way.orders == (stop in (58 * HOUR + 100, 58 * HOUR + 200))


def test_a_run_that_goes_on_from_a_snapshot_owes_the_whole_book(run: Run, scenario: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "day-2.snapshot"
    load(scenario).run(out=tmp_path / "first", until_ms=58 * HOUR + 100, snapshot=snapshot)
    again = resume(snapshot, tmp_path / "second")
    assert again.digest == run.digest
    assert read_book_counts(again.folder) == read_book_counts(run.folder)
    assert account_run(again.folder) == account_run(run.folder)


def test_what_lies_outside_the_run_has_a_row_of_its_own(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # a narrow terminal breaks rows
    assert main(["books", str(run.folder)]) == 0
    rows = [" ".join(row.split()) for row in capsys.readouterr().out.splitlines()]
    assert "outside the time of the run 3 3 6 0 0" in rows
    assert "due in the run 24 48 110 4 3" in rows
    assert "− outside the time of the run" in write_report(run.folder).read_text(encoding="utf-8")


# --- credits that are not issued, or not in full


def credit(order: str, units: int, stage: Stage) -> IssueCredit:
    return IssueCredit("c1", "book", stage.world.now, "c1", order, 1, units)


def test_a_rejected_credit_does_not_wait() -> None:
    stage = Stage(tiny())
    stage.send(credit("nobody", 2, stage), at=HOUR)
    stage.run(DAY)
    books = stage.account()
    assert books.differences == []
    assert books.credits_rejected == Tally(1, 2)
    assert (books.credits_waiting, books.credits_waiting_units) == (0, 0)


def test_a_credit_that_gets_less_than_was_asked_leaves_a_remainder() -> None:
    def steal(world: Business) -> None:
        world.warehouses["main"].shelf["mug"] = 3

    stock = [{"warehouse": "main", "item": "mug", "on_hand": 5}]
    web = {"id": "web", "on_shortage": "reject"}
    main_ = {"id": "main", "pickers": 1, "pick_time": {"order": "10m"}}
    stage = Stage(tiny({"stock": stock, "channels": [web], "warehouses": [main_]}), prepare=steal)
    stage.order("o1", {"mug": 5}, at=HOUR)
    stage.send(credit("o1", 5, stage), at=HOUR + 60_000)
    stage.run(4 * DAY)
    books = stage.account()
    assert (books.delivered.units, books.rejected.units) == (3, 2)
    assert (books.credits_issued, books.credits_remainder) == (Tally(1, 3), Tally(1, 2))
    assert books.credits_waiting_units == 0
