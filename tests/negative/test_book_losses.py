"""Losses planted between an order book and the books' end, one at a time: the books must tell each of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.world.small_book import small_book
from twin.core import buckets, engine
from twin.core import events as e
from twin.core.entry import Entry
from twin.core.state import State
from twin.log import read_truth
from twin.measures.accounts import account, account_run
from twin.run import Run, load
from twin.world.channel import BookChannel, BookFeed
from twin.world.erp import Erp
from twin.world.warehouse import Warehouse

MINIMAL = Path(__file__).resolve().parents[2] / "scenarios/minimal.yaml"
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_book(tmp_path_factory.mktemp("small_book"), MINIMAL)


@pytest.fixture(scope="module")
def run(scenario: Path) -> Run:
    return load(scenario).run(out=scenario.parent / "run")


def test_without_a_plant_nothing_is_lost(run: Run) -> None:
    assert account_run(run.folder).differences == []


# --- between the book and the engine


def every_second(patch: Patch, kind: type[Any], name: str) -> None:
    """Every second call of a method of a party does nothing."""
    original = getattr(kind, name)
    calls = 0

    def lossy(self: Any, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            original(self, *arguments)

    patch.setattr(kind, name, lossy)


@pytest.mark.parametrize(
    ("kind", "method", "said"),
    [
        (BookChannel, "_capture", "orders: the book has 24 in the time of the run, 12 are accounted for"),
        (BookFeed, "credit", "units of credits: the book has 4 in the time of the run, 2 are accounted for"),
        (Warehouse, "adjust", "units of adjustments: the book has -39 in the time of the run, -26 are accounted for"),
    ],
)
def test_what_is_lost_on_the_way_to_the_engine_is_told(
    scenario: Path, tmp_path: Path, monkeypatch: Patch, kind: type[Any], method: str, said: str
) -> None:
    every_second(monkeypatch, kind, method)
    lossy = load(scenario).run(out=tmp_path / "run")
    assert said in account_run(lossy.folder).differences


@pytest.mark.parametrize("lost", [450, -450])
def test_a_ledger_that_differs_once_all_is_posted_is_told(
    scenario: Path, tmp_path: Path, monkeypatch: Patch, lost: int
) -> None:
    original = Erp.close_books

    def close(erp: Erp) -> None:
        erp.invoiced_minor -= lost
        erp.credited_minor -= lost
        original(erp)

    monkeypatch.setattr(Erp, "close_books", close)
    differences = account_run(load(scenario).run(out=tmp_path / "run").folder).differences
    assert f"the ERP's ledger has {47300 - lost} invoiced, the log 47300 (minor units)" in differences
    assert f"the ERP's ledger has {1600 - lost} credited, the log 1600 (minor units)" in differences


# --- in the log


def without_first(entries: list[Entry], kind: type[Any]) -> list[Entry]:
    """The log with the first event of a type taken out."""
    for index, entry in enumerate(entries):
        for place, event in enumerate(entry.events):
            if isinstance(event, kind):
                events = entry.events[:place] + entry.events[place + 1 :]
                return [*entries[:index], msgspec.structs.replace(entry, events=events), *entries[index + 1 :]]
    raise AssertionError(f"the log has no {kind.__name__}")


@pytest.mark.parametrize(
    "kind",
    [
        e.OrderCaptured,
        e.ReservationDecided,
        e.ReleaseDecided,
        e.GoodsShipped,
        e.InvoiceCreated,
        e.ShipmentDelivered,
        e.CreditIssued,
    ],
)
def test_an_event_that_is_missing_from_the_log_is_told(run: Run, kind: type[Any]) -> None:
    entries = without_first(list(run.entries()), kind)
    assert account(entries, read_truth(run.folder)).differences != []


def test_an_entry_that_is_missing_from_the_log_is_told(run: Run) -> None:
    entries = list(run.entries())
    (said,) = account([*entries[:50], *entries[51:]], read_truth(run.folder)).differences
    assert "entry 52 does not follow" in said


# --- in the engine's buckets


def tamper(kind: type[Any], change: Callable[[list[int]], None]) -> Callable[[State, Any, int], None]:
    """The fold of an event about a shipment, and then a change to the buckets of one of its order's lines."""
    original = engine._FOLDS[kind]

    def fold(state: State, event: Any, now: int) -> None:
        original(state, event, now)
        change(state.orders[event.order].lines[1].buckets)

    return fold


def vanish(held: list[int]) -> None:
    """A delivery vanishes: its units left the truck and came nowhere."""
    held[buckets.DELIVERED] = 0


def swap(held: list[int]) -> None:
    """The sum is kept, and what was delivered is said to be rejected."""
    held[buckets.REJECTED] += held[buckets.DELIVERED]
    held[buckets.DELIVERED] = 0


@pytest.mark.parametrize("change", [vanish, swap])
def test_a_bucket_that_is_tampered_with_is_told(
    run: Run, monkeypatch: Patch, change: Callable[[list[int]], None]
) -> None:
    monkeypatch.setitem(engine._FOLDS, e.ShipmentDelivered, tamper(e.ShipmentDelivered, change))
    differences = account(run.entries(), read_truth(run.folder)).differences
    assert any("units delivered by the events, 0 in the engine" in difference for difference in differences)


def test_units_that_leave_the_buckets_while_they_wait_are_told(run: Run, monkeypatch: Patch) -> None:
    def lose(held: list[int]) -> None:
        held[buckets.BACKORDERED] = 0

    def fold(state: State, event: Any, now: int) -> None:
        original(state, event, now)
        for line in state.orders[event.order].lines.values():
            lose(line.buckets)

    original = engine._FOLDS[e.SourcingDecided]
    monkeypatch.setitem(engine._FOLDS, e.SourcingDecided, fold)
    books = account(run.entries(), read_truth(run.folder))
    # What is open is not what the other sums leave over: it is counted, and it is not there.
    assert books.open.units == 0
    assert "units captured are not delivered + cancelled + rejected + open" in books.differences
