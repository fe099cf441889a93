"""The log of a run: parts, digests, resuming, damage, and SQL over it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.log_samples import START, Business, busy_week
from twin.codec import GENESIS, encode_entry, link
from twin.core.commands import CancelOrder, subject
from twin.core.entry import Entry
from twin.log import (
    CostRates,
    Manifest,
    MemoryLog,
    MemoryTruth,
    RunError,
    RunLog,
    TruthLog,
    connect,
    explain,
    explain_entries,
    manifest_of,
    read_entries,
    read_manifest,
    read_rows,
    read_truth,
    verify_run,
    write_manifest,
)


@pytest.fixture(scope="module")
def week() -> Business:
    return busy_week()


@pytest.fixture(scope="module")
def entries(week: Business) -> list[Entry]:
    assert isinstance(week.log, MemoryLog)
    return week.log.entries


def stored(run: Path, entries: list[Entry], part_rows: int = 65536) -> RunLog:
    log = RunLog(run, part_rows=part_rows)
    for entry in entries:
        log.append((entry,), log.position)
    return log


def finished(run: Path, entries: list[Entry], part_rows: int = 16) -> Manifest:
    log = stored(run, entries, part_rows)
    truth = TruthLog(run, part_rows=part_rows)
    for number in range(40):
        truth.record(START + number, "stock.shipped", f"S{number}", "north", "bolt", -number, "größer")
    manifest = manifest_of(
        log,
        truth,
        title="A week",
        scenario_digest="ab",
        seed=7,
        versions={"twin": "0"},
        start_ms=START,
        end_ms=entries[-1].now + 1,
        rates=CostRates(holding=(1, 3)),
    )
    write_manifest(run, manifest)
    return manifest


def close(business: Business) -> None:
    assert isinstance(business.log, RunLog)
    business.log.close()


@pytest.mark.parametrize("part_rows", [1, 7, 16, 65536])
def test_the_digest_is_the_chain_over_the_entries_whatever_the_part_size(
    tmp_path: Path, entries: list[Entry], part_rows: int
) -> None:
    chain = GENESIS
    for entry in entries:
        chain = link(chain, encode_entry(entry))
    log = stored(tmp_path, entries, part_rows)
    log.close()
    assert log.digest == chain
    assert log.position == len(entries)
    assert sum(part.info.rows for part in log.parts) == len(entries)
    assert all(part.info.rows <= part_rows for part in log.parts)


def test_the_memory_log_and_the_run_log_have_the_same_digest(tmp_path: Path, week: Business) -> None:
    again = busy_week(RunLog(tmp_path, part_rows=5))
    assert again.log.digest == week.log.digest


@pytest.mark.parametrize("part_rows", [1, 10, 65536])
def test_entries_are_read_back_as_they_were_written(tmp_path: Path, entries: list[Entry], part_rows: int) -> None:
    stored(tmp_path, entries, part_rows).close()
    assert list(read_entries(tmp_path)) == entries
    assert list(read_entries(tmp_path, after=20)) == entries[20:]


def test_a_row_says_what_its_entry_is_about(tmp_path: Path, entries: list[Entry]) -> None:
    stored(tmp_path, entries).close()
    rows = list(read_rows(tmp_path))
    assert [row.position for row in rows] == list(range(1, len(entries) + 1))
    for row, entry in zip(rows, entries, strict=True):
        assert row.at == entry.now
        assert row.subject == subject(entry.command)
        assert row.payload.encode() == encode_entry(entry)
    about = {(row.type, row.correlation) for row in rows}
    assert ("order.capture", "o1") in about
    assert ("erp.confirm_invoice", "o1") in about
    # A timer is about what its events are about, else about what it sends.
    assert ("wake", f"PO/north/bolt/{START + 6 * 3_600_000 + 1}") in about
    assert ("wake", "o5") in about
    assert ("items.define", "") in about


@pytest.mark.parametrize("at", [1, 16, 17, 40])
def test_a_log_resumed_from_a_snapshot_equals_the_uninterrupted_one(
    tmp_path: Path, entries: list[Entry], at: int
) -> None:
    whole = stored(tmp_path / "whole", entries, 16)
    first = stored(tmp_path / "resumed", entries[:at], 16)
    first.close_part()
    second = RunLog(tmp_path / "resumed", part_rows=16, position=first.position, digest=first.digest)
    for entry in entries[at:]:
        second.append((entry,), second.position)
    second.close()
    assert (second.position, second.digest) == (whole.position, whole.digest)
    assert list(read_entries(tmp_path / "resumed")) == entries


def test_a_fork_in_a_folder_of_its_own_holds_only_its_own_entries(tmp_path: Path, entries: list[Entry]) -> None:
    parent = MemoryLog()
    parent.append(entries[:20], 0)
    fork = RunLog(tmp_path, position=20, digest=parent.digest)
    fork.append(entries[20:], 20)
    assert list(fork.read(20)) == entries[20:]
    with pytest.raises(LookupError, match="after position 20"):
        next(fork.read(3))
    parent.append(entries[20:], 20)
    assert fork.digest == parent.digest
    manifest = manifest_of(
        fork,
        title="fork",
        scenario_digest="",
        seed=1,
        versions={},
        start_ms=0,
        end_ms=1,
        parent=link(b"", b"").hex(),
        position=20,
    )
    assert manifest.entries == len(entries) - 20


def test_a_folder_that_holds_another_run_is_refused(tmp_path: Path, entries: list[Entry]) -> None:
    stored(tmp_path, entries[:10]).close()
    with pytest.raises(RunError, match=r"holds entries up to 10 .* Choose an empty folder"):
        RunLog(tmp_path)
    truth = TruthLog(tmp_path)
    truth.record(1, "a", "b")
    truth.close()
    with pytest.raises(RunError, match="holds 1 rows of truth already"):
        TruthLog(tmp_path)


def test_no_unfinished_part_is_left_or_read(tmp_path: Path, entries: list[Entry]) -> None:
    stored(tmp_path, entries, 16).close()
    (tmp_path / "entries" / ".part-00099.parquet.unfinished").write_bytes(b"PAR1")
    assert list(read_entries(tmp_path)) == entries
    del entries
    names = sorted(path.name for path in (tmp_path / "entries").glob("part-*"))
    assert names[0] == "part-00000.parquet"


# OB-01
def test_the_payload_is_text_and_positions_are_integers(tmp_path: Path, entries: list[Entry]) -> None:
    log = stored(tmp_path, entries)
    log.close()
    schema = pq.read_schema(log.parts[0].path)
    assert {name: str(schema.field(name).type) for name in schema.names} == {
        "position": "int64",
        "at": "int64",
        "type": "string",
        "subject": "string",
        "correlation": "string",
        "payload": "string",
    }


def test_truth_has_its_own_chain_whatever_the_part_size(tmp_path: Path) -> None:
    memory = MemoryTruth()
    for part_rows in (1, 3, 100):
        log = TruthLog(tmp_path / str(part_rows), part_rows=part_rows)
        for target in (log, memory) if part_rows == 1 else (log,):
            for number in range(10):
                target.record(number, "stock.received", f"R{number}", "north", "nut", number * 2, "x")
        log.close()
        assert log.digest == memory.digest
        assert list(read_truth(tmp_path / str(part_rows))) == memory.rows


def test_the_truth_digest_depends_on_every_field_and_on_where_one_ends() -> None:
    rows = [
        (1, "t", "s", "n", "k", 1, "d"),
        (2, "t", "s", "n", "k", 1, "d"),
        (1, "u", "s", "n", "k", 1, "d"),
        (1, "t", "u", "n", "k", 1, "d"),
        (1, "t", "s", "u", "k", 1, "d"),
        (1, "t", "s", "n", "u", 1, "d"),
        (1, "t", "s", "n", "k", 2, "d"),
        (1, "t", "s", "n", "k", 1, "e"),
        (1, "t", "sn", "", "k", 1, "d"),
    ]
    digests = []
    for row in rows:
        truth = MemoryTruth()
        truth.record(*row)
        digests.append(truth.digest)
    assert len(dict.fromkeys(digests)) == len(rows)


def test_a_manifest_is_read_back_as_written_and_the_run_verifies(tmp_path: Path, entries: list[Entry]) -> None:
    manifest = finished(tmp_path, entries)
    assert read_manifest(tmp_path) == manifest
    assert verify_run(tmp_path) == manifest
    assert manifest.entries == len(entries)
    assert manifest.truth_rows == 40
    assert manifest.rates.holding == (1, 3)
    assert '"digest": "' + manifest.digest in (tmp_path / "manifest.json").read_text()


def test_an_absent_folder_is_named(tmp_path: Path) -> None:
    for read in (read_manifest, verify_run, lambda run: next(read_entries(run))):
        with pytest.raises(RunError, match=r"nowhere: no such run folder"):
            read(tmp_path / "nowhere")


def test_a_folder_that_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is no run folder"):
        read_manifest(tmp_path)


def test_a_cut_off_run_says_what_is_left_and_can_still_be_read(tmp_path: Path, entries: list[Entry]) -> None:
    stored(tmp_path, entries, 25)
    with pytest.raises(RunError, match=r"is cut off: it has 2 finished parts with 50 entries and no manifest\.json"):
        read_manifest(tmp_path)
    assert list(read_entries(tmp_path)) == entries[:50]


def test_a_truncated_part_is_named(tmp_path: Path, entries: list[Entry]) -> None:
    finished(tmp_path, entries)
    part = tmp_path / "entries" / "part-00001.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    for read in (read_manifest, verify_run, lambda run: list(read_entries(run)), connect):
        with pytest.raises(RunError, match=r"entries/part-00001\.parquet is truncated or damaged.*run it again"):
            read(tmp_path)


def test_a_bit_flipped_anywhere_is_either_noticed_or_changes_nothing_that_is_read(
    tmp_path: Path, entries: list[Entry]
) -> None:
    finished(tmp_path, entries)
    rows = list(read_rows(tmp_path))
    part = tmp_path / "entries" / "part-00002.parquet"
    whole = part.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 97):
        data = bytearray(whole)
        data[place] ^= 0x10
        part.write_bytes(bytes(data))
        try:
            verify_run(tmp_path)
        except RunError as error:
            assert "entries/part-00002.parquet" in str(error)
            noticed += 1
        else:
            # Statistics and the name of the writing library are not content.
            assert list(read_rows(tmp_path)) == rows
    assert noticed > len(whole) // 97 // 2


def test_a_missing_part_is_named_whether_first_middle_or_last(tmp_path: Path, entries: list[Entry]) -> None:
    manifest = finished(tmp_path, entries)
    names = [part.name for part in manifest.parts if part.name.startswith("entries")]
    assert len(names) > 2
    for name in (names[0], names[1], names[-1]):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        with pytest.raises(RunError, match=rf"{name} is missing"):
            read_manifest(tmp_path)
        (tmp_path / name).write_bytes(kept)
    read_manifest(tmp_path)


def test_a_changed_entry_is_found_in_its_part(tmp_path: Path, entries: list[Entry]) -> None:
    finished(tmp_path, entries)
    path = tmp_path / "entries" / "part-00001.parquet"
    table = pq.read_table(path)
    index = table.schema.get_field_index("payload")
    payload = table.column("payload").to_pylist()
    payload[3] = payload[3].replace('"position":', '"position": ')
    changed = table.set_column(index, "payload", [payload]).replace_schema_metadata(table.schema.metadata)
    pq.write_table(changed, path)
    read_manifest(tmp_path)
    with pytest.raises(RunError, match=r"entries/part-00001\.parquet was changed after it was written"):
        verify_run(tmp_path)


def test_a_column_that_contradicts_its_payload_is_found(tmp_path: Path, entries: list[Entry]) -> None:
    finished(tmp_path, entries)
    path = tmp_path / "entries" / "part-00000.parquet"
    table = pq.read_table(path)
    index = table.schema.get_field_index("correlation")
    told = ["somebody else" for _ in range(table.num_rows)]
    pq.write_table(table.set_column(index, "correlation", [told]), path)
    with pytest.raises(RunError, match=r"entries/part-00000\.parquet: row 1 does not fit its payload"):
        verify_run(tmp_path)


def test_a_manifest_that_is_not_whole_is_refused(tmp_path: Path, entries: list[Entry]) -> None:
    finished(tmp_path, entries)
    path = tmp_path / "manifest.json"
    whole = path.read_text()
    path.write_text(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"manifest\.json cannot be read"):
        read_manifest(tmp_path)
    path.write_text(whole.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(RunError, match="has schema 2; this version reads 1"):
        read_manifest(tmp_path)
    path.write_text(whole.replace('"complete": true', '"complete": false'))
    with pytest.raises(RunError, match="not complete"):
        read_manifest(tmp_path)


# OB-06
def test_the_log_can_be_queried_in_sql(tmp_path: Path, entries: list[Entry]) -> None:
    finished(tmp_path, entries)
    connection = connect(tmp_path)
    events = [(entry.position, n, event) for entry in entries for n, event in enumerate(entry.events)]
    assert connection.sql("select count(*) from events").fetchall() == [(len(events),)]
    rows = connection.sql('select "position", ordinal, type from events order by all').fetchall()
    assert rows == sorted((position, n, type(event).__struct_config__.tag) for position, n, event in events)
    assert connection.sql(
        """select "order", sum((payload ->> 'amount_minor')::bigint) from events
           where type = 'invoice.created' group by 1 order by 1"""
    ).fetchall() == [("o1", 3500), ("o2", 9000), ("o3", 7500), ("o5", 500), ("o6", 1000)]
    assert connection.sql("select count(*) from commands where refusal is null").fetchall() == [(len(entries),)]
    sent = sum(len(entry.deliveries) for entry in entries)
    assert connection.sql("select count(*), max(attempt) from deliveries").fetchall() == [(sent, 3)]
    assert connection.sql("select count(*), sum(quantity) from truth").fetchall() == [(40, -sum(range(40)))]
    assert connection.sql(
        """select e."order" from events e join deliveries d on e.payload ->> 'delivery' = d.key
           where e.type = 'delivery.dead_lettered' limit 1"""
    ).fetchall()


def test_a_run_without_truth_has_an_empty_view_of_it(tmp_path: Path, entries: list[Entry]) -> None:
    stored(tmp_path, entries).close()
    assert connect(tmp_path).sql("select * from truth").fetchall() == []


def test_a_refused_command_shows_its_code_in_sql(tmp_path: Path) -> None:
    business = Business(RunLog(tmp_path))
    entry = business.driver.handle(CancelOrder(*business.head(), "nobody", "customer"), business.now)
    assert entry.refusal is not None
    close(business)
    refused = connect(tmp_path).sql("select subject, refusal from commands where refusal is not null").fetchall()
    assert refused == [("nobody", "unknown_order")]


def test_one_orders_story_is_told_from_the_log(tmp_path: Path, entries: list[Entry]) -> None:
    stored(tmp_path, entries, 10).close()
    story = explain(tmp_path, "o3")
    assert story == explain_entries(entries, "o3")
    whats = [row.what for row in story]
    for what in (
        "order.captured",
        "sourcing.decided",
        "reservation.decided",
        "promise.decided",
        "release.decided",
        "delivery.sent",
        "shipment.shipped",
        "invoice.created",
        "invoice.posted",
        "purchase_order.created",
        "purchase_order.received",
        "shipment.delivered",
        "order.closed",
    ):
        assert what in whats, what
    legs = [row.detail for row in story if row.what == "sourcing.decided"]
    assert legs == [
        "line 1: 3 by stock at south, decided by only_candidate; available to it: north 0, south 3",
        "line 1: 7 by backorder at north, decided by short:nearest, before south; available to it: north 0, south 3",
        "line 2: 5 by stock at north, decided by only_candidate",
    ]
    assert [row.at for row in story] == sorted(row.at for row in story)


def test_a_story_tells_of_retries_and_dead_letters(entries: list[Entry]) -> None:
    story = explain_entries(entries, "o5")
    whats = [row.what for row in story]
    for what in ("delivery.failed", "delivery.retried", "delivery.dead_lettered", "delivery.redriven"):
        assert whats.count(what) == 1, what
    sent = [row.detail for row in story if row.what == "delivery.sent" and "o5/north/1" in row.detail]
    assert [detail.partition("attempt ")[2][0] for detail in sent if "warehouse.release" in detail] == ["1", "2", "3"]


def test_a_story_tells_of_refusals() -> None:
    business = Business()
    business.order("o1", ("bolt", 1))
    business.driver.handle(CancelOrder(*business.head(), "o1", "customer"), business.now)
    assert isinstance(business.log, MemoryLog)
    last = explain_entries(business.log.entries, "o1")[-1]
    assert last.what == "refused"
    assert "order.cancel" in last.detail
    assert "too_late" in last.detail


def test_an_orders_story_holds_nothing_of_an_order_whose_id_it_contains(tmp_path: Path) -> None:
    business = Business(RunLog(tmp_path))
    business.order("o1", ("bolt", 1))
    business.order("o11", ("bolt", 1))
    business.ship()
    close(business)
    assert all("o11" not in row.detail for row in explain(tmp_path, "o1"))
    assert explain(tmp_path, "o11")


def test_an_unknown_order_has_no_story(tmp_path: Path, entries: list[Entry]) -> None:
    stored(tmp_path, entries).close()
    with pytest.raises(RunError, match="no order 'o99'"):
        explain(tmp_path, "o99")


def test_the_log_in_memory_loads_neither_pyarrow_nor_duckdb() -> None:
    script = (
        "import sys; from twin.log import MemoryLog; MemoryLog(); import twin;"
        "print([name for name in ('pyarrow', 'duckdb') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
