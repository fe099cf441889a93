"""The real order book through the twin: every line and unit read is accounted for, item by item."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from twin.measures.accounts import account_run, read_book_counts
from twin.run import Run, load

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "scenarios/online_retail.yaml"
BOOK = ROOT.parent / "shared/data/online_retail/orders_2010-03_2010-04.csv.gz"
DAY_MS = 86_400_000

pytestmark = pytest.mark.skipif(not BOOK.exists(), reason="the Online Retail II sample is not beside the project")

RUN = """
import sys
from twin.run import load
print(load("scenarios/online_retail.yaml").run(out=sys.argv[1]).digest)
"""
RESUME = """
import sys
from pathlib import Path
from twin.run import resume
print(resume(Path(sys.argv[1]), Path(sys.argv[2])).digest)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(SCENARIO).run(out=tmp_path_factory.mktemp("book") / "run")


def test_every_line_and_unit_that_was_read_is_accounted_for(run: Run) -> None:  # RC-16
    books, counts = account_run(run.folder), read_book_counts(run.folder)
    assert counts is not None
    assert books.differences == []
    assert (counts.read_lines, counts.read_units) == (75_568, 841_341)
    accepted = [count for count in counts.counts if count.treatment == "accepted"]
    others = [count for count in counts.counts if count.treatment != "accepted"]
    # Read = accepted + everything that another rule took.
    assert sum(count.lines for count in accepted) + sum(count.lines for count in others) == counts.read_lines
    assert sum(count.units for count in accepted) + sum(count.units for count in others) == counts.read_units
    # Accepted = captured (none refused here) = delivered + cancelled + rejected + open at the end.
    assert books.captured.lines == sum(count.lines for count in accepted) == 73_267
    assert books.captured.units == sum(count.units for count in accepted) == 899_026
    assert books.refused.lines == 0
    assert counts.inside == counts.due
    assert (counts.inside.lines, counts.inside.units) == (73_267, 899_026)
    assert (counts.outside.orders, counts.under_way.orders) == (0, 0)
    ended = (books.delivered, books.cancelled, books.rejected, books.open)
    assert sum(tally.lines for tally in ended) == books.captured.lines
    assert sum(tally.units for tally in ended) == books.captured.units
    assert books.delivered.units > 850_000


def test_every_matched_credit_is_issued_cancelled_or_waits(run: Run) -> None:
    books, counts = account_run(run.folder), read_book_counts(run.folder)
    assert counts is not None
    matched, unmatched = counts.credit_units
    assert (matched, unmatched) == (8_112, 2_160)
    assert books.credits_refused == {}
    ended = books.credits_issued.units + books.credits_cancelled_units + books.credits_rejected.units
    assert ended + books.credits_remainder.units + books.credits_waiting_units == matched


def test_stock_is_conserved_for_every_item_at_every_node(run: Run) -> None:
    books = account_run(run.folder)
    moved = sum(units for kind, units in books.stock.items() if kind != "stock.closing")
    assert moved == books.stock["stock.closing"]
    assert books.items > 3_000
    assert books.cells > books.items


def test_three_kinds_of_channels_sell(run: Run) -> None:  # OL-01
    captured = {entry.command.channel for entry in run.entries() if hasattr(entry.command, "channel")}
    assert captured == {"inside_sales", "web", "marketplace"}


@pytest.mark.deep
def test_the_real_book_has_one_digest_however_it_is_run(
    run: Run, tmp_path: Path, fresh_python: Callable[..., str]
) -> None:
    for hash_seed in (0, 12345):
        assert fresh_python(RUN, str(tmp_path / str(hash_seed)), hash_seed=hash_seed).strip() == run.digest
    snapshot = tmp_path / "day-10.snapshot"
    load(SCENARIO).run(out=tmp_path / "first", until_ms=10 * DAY_MS, snapshot=snapshot)
    assert fresh_python(RESUME, str(snapshot), str(tmp_path / "second"), hash_seed=7).strip() == run.digest


@pytest.mark.deep
def test_the_real_book_has_the_same_digest_in_the_production_driver(run: Run, tmp_path: Path) -> None:  # IM-12
    from adapters.refeed import refeed_run

    assert refeed_run(run.entries(), tmp_path / "journal.db").hex() == run.digest
