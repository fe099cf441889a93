"""The luck of a log, place by place: what is given up, waits at a closed door, or began before the log does."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.log_samples import START, Business
from twin.cli import main
from twin.cli.failures import InputError
from twin.cli.profiling import first_day
from twin.core import events as ev
from twin.core.commands import CancelOrder, HoldOrder, ReleaseHold
from twin.event_log import EventLog, SourceFile, arrow_schema
from twin.experiment.reconstruction_statement import Telling
from twin.log import RunLog, manifest_of, write_manifest
from twin.measures.of_event_log import profile_log
from twin.replay.facts import facts_of
from twin.replay.log_facts import facts_of_log, parcels_of, purchases_of
from twin.replay.neutral import event_log_of_run
from twin.replay.residuals_of import between, beyond, residuals_of
from twin.residuals import ONE, Residual
from twin.run import Run, Twin, load
from twin.scenario import Scenario
from twin.streams import Distribution, Exponential, Fixed, Streams, Uniform
from twin.streams.distributions import Empirical
from twin.world.recorded_luck import RecordedLuck

ROOT = Path(__file__).resolve().parents[2]
TRUTH = ROOT / "scenarios" / "replay" / "two_carriers.yaml"
GONE = ROOT / "scenarios" / "drills" / "portal_gone.yaml"
SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
ITEMS = ("anvil", "bench", "clamp", "drill", "easel", "file")
SHORT: dict[str, Any] = {
    "run": {"horizon": "9d", "drain": "0d"},
    "channels": [{"id": "desk", "demand": {"rate": "0.6/h"}}, {"id": "web", "demand": {"rate": "1/h"}}],
    "stock": [
        {"warehouse": site, "item": item, "on_hand": 260} for site in ("east", "west") for item in ("clamp", "drill")
    ],
    "disruptions": None,
    "interventions": None,
}


def log_of(*rows: dict[str, Any], as_of: int) -> EventLog:
    """A log of these events, a case what they name first."""
    cases = [
        row | {"case_id": row.get("order") or row.get("purchase_order"), "row": number}
        for number, row in enumerate(rows, 1)
    ]
    return EventLog(
        title="by hand",
        files=(SourceFile("rows", len(rows), 0),),
        table=pa.Table.from_pylist(cases, schema=arrow_schema()),
        zone="UTC",
        currency="EUR",
        currency_exponent=2,
        as_of_ms=as_of,
        as_of_stated=True,
        whole=False,
        left_out_rows=0,
        remarks=(),
        caveats=(),
        refused={},
    )


def relabelled(log: EventLog, column: str, change: Callable[[dict[str, Any]], Any]) -> EventLog:
    place = log.table.schema.get_field_index(column)
    field = log.table.schema.field(place)
    values = pa.array([change(row) for row in log.table.to_pylist()], field.type)
    return msgspec.structs.replace(log, table=log.table.set_column(place, field, values))


# --- purchase orders that were given up


@pytest.fixture(scope="module")
def turned_away(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load(GONE).run(1, tmp_path_factory.mktemp("gone") / "run")


def given_up(run: Run) -> set[str]:
    return {
        event.purchase_order
        for entry in run.entries()
        for event in entry.events
        if isinstance(event, ev.PurchaseOrderRejected | ev.PurchaseOrderWithdrawn)
    }


def test_a_purchase_order_that_was_given_up_is_not_on_its_way(turned_away: Run) -> None:  # RP-02, RP-05
    log, end = event_log_of_run(turned_away.folder), turned_away.manifest.end_ms
    gone = given_up(turned_away)
    told = [row for row in log.table.to_pylist() if row["activity"] == "cancelled" and row["purchase_order"]]
    assert {row["purchase_order"] for row in told} == gone and len(gone) > 5
    assert all(row["order"] is None and row["supplier"] and row["item"] for row in told)
    kept = {bought.purchase_order for bought in purchases_of(log, end)}
    created = {row["purchase_order"] for row in log.table.to_pylist() if row["activity"] == "purchase_order_created"}
    assert kept == created - gone
    # As it is of the run itself.
    ours, theirs = facts_of(turned_away.folder, 0, end), facts_of_log(log, 0, end, {})
    assert not any(case.censored for case in ours.lead_times + theirs.lead_times)
    assert sorted(case.key for case in theirs.lead_times) == sorted(case.key for case in ours.lead_times)
    rows = [row for row in residuals_of(log, load(GONE).scenario, end).rows if row.kind == "lead_time"]
    assert rows and not {row.subject for row in rows} & gone
    # No luck is far beyond its distribution.
    assert all(row.beyond_ppm < 1_500_000 for row in rows)


def test_it_is_still_on_its_way_before_it_is_given_up(turned_away: Run) -> None:  # RP-02
    log = event_log_of_run(turned_away.folder)
    row = next(row for row in log.table.to_pylist() if row["activity"] == "cancelled" and row["purchase_order"])
    for until, there in ((row["event_ms"], True), (row["event_ms"] + 1, False)):
        assert (row["purchase_order"] in {one.purchase_order for one in purchases_of(log, until)}) == there
    # Where nobody wrote down when, it was given up all the same.
    timeless = relabelled(log, "event_ms", lambda one: None if one["activity"] == "cancelled" else one["event_ms"])
    assert row["purchase_order"] not in {one.purchase_order for one in purchases_of(timeless, row["event_ms"])}


def test_purchases_that_are_given_up_are_no_cancelled_orders(turned_away: Run) -> None:  # OB-06
    """No order is cancelled in this run: its profile counts the purchase orders, and refuses the rate of orders."""
    log = event_log_of_run(turned_away.folder)
    profile = profile_log(log)
    assert profile.coverage.cancelled == profile.coverage.cancelled_purchases == len(given_up(turned_away))
    assert "cancel_rate" in profile.refused
    # They are ended, not open.
    created = sum(one.events for one in profile.coverage.activities if one.name == "purchase_order_created")
    placed = next(one.cases for one in profile.coverage.activities if one.name == "order_placed")
    assert profile.coverage.cases == created + placed
    came = {bought.purchase_order for bought in purchases_of(log, log.as_of_ms) if bought.received_at >= 0}
    cases = {row["case_id"] for row in log.table.to_pylist() if row["activity"] == "delivered"}
    assert profile.coverage.complete == len(came) + len(cases) + len(given_up(turned_away))
    # One order that is cancelled, and the rate is there, of orders alone.
    last = next(row["order"] for row in reversed(log.table.to_pylist()) if row["activity"] == "delivered")
    promise = ("promised", last)
    other = relabelled(
        log, "activity", lambda row: "cancelled" if (row["activity"], row["order"]) == promise else row["activity"]
    )
    rate = profile_log(other).measures["cancel_rate"]
    assert rate.numerator == 1


def test_the_profile_says_how_many_are_purchase_orders(
    turned_away: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # OB-06
    gone = len(given_up(turned_away))
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["profile", str(turned_away.folder)]) == 0
    out = capsys.readouterr().out
    assert f"{gone} cancelled, {gone} of them purchase orders" in " ".join(out.split())
    title = turned_away.manifest.title
    assert max(len(text) for text in out.splitlines() if title not in text) <= 80
    assert main(["profile", str(turned_away.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["coverage"]["cancelled_purchases"] == gone


def test_a_line_of_a_purchase_order_may_be_given_up_alone() -> None:  # RP-02
    rows = [
        {"activity": "purchase_order_created", "event_ms": 1, "purchase_order": "p", "item": item, "quantity": 5}
        for item in ("mug", "pan", "pot")
    ]
    some = {"activity": "cancelled", "event_ms": 5, "purchase_order": "p"}
    came = {"activity": "purchase_order_received", "event_ms": 4, "purchase_order": "p", "item": "mug", "quantity": 5}
    one = log_of(*rows, came, some | {"item": "pan"}, as_of=10)
    assert [(bought.item, bought.received_at) for bought in purchases_of(one, 10)] == [("mug", 4), ("pot", -1)]
    every = log_of(*rows, came, some, as_of=10)
    assert [(bought.item, bought.received_at) for bought in purchases_of(every, 10)] == [("mug", 4)]


# --- what began before the start


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Nine days with two carriers and no strike."""
    return load(TRUTH, SHORT).run(1, tmp_path_factory.mktemp("recorded") / "run")


@pytest.fixture(scope="module")
def log(recorded: Run) -> EventLog:
    return event_log_of_run(recorded.folder)


def test_what_began_before_the_start_has_the_luck_that_it_had(recorded: Run, log: EventLog) -> None:  # RP-05
    """The working time before the start of the replay counts: without it a purchase of Friday came in no time."""
    end, scenario = recorded.manifest.end_ms, load(TRUTH, SHORT).scenario
    later = scenario.with_changes({"run": {"start": "2026-01-12T00:00Z"}})
    assert later.run.start == scenario.run.start + 7 * DAY
    before = [one for one in purchases_of(log, end) if one.created_at < later.run.start]
    picked = [one for one in parcels_of(log, end) if one.released_at < later.run.start - DAY]
    assert len(before) >= 4 and len(picked) > 100
    assert residuals_of(log, later, end) == residuals_of(log, scenario, end)


def test_a_purchase_of_friday_keeps_the_hours_of_friday() -> None:  # RP-05
    """Ordered on Friday at 08:00 UTC, at the shelf on Tuesday: 8 + 10 + 4 h of work, and nothing at the dock."""
    scenario = load(TRUTH, SHORT | {"warehouses": [{"id": "east", "dock_to_stock": "0s"}]}).scenario
    friday = scenario.run.start - 3 * DAY + 8 * HOUR
    bought = {"purchase_order": "p", "supplier": "near", "site": "east", "item": "drill", "quantity": 5}
    log = log_of(
        bought | {"activity": "purchase_order_created", "event_ms": friday},
        bought | {"activity": "purchase_order_received", "event_ms": scenario.run.start + DAY + 10 * HOUR},
        as_of=scenario.run.end,
    )
    (row,) = residuals_of(log, scenario, scenario.run.end).rows
    supplier = next(one for one in scenario.suppliers if one.id == "near")
    drawn = supplier.lead_time.inverse(row.low / ONE) + supplier.latency.expected()
    assert drawn == pytest.approx(22 * HOUR, abs=2)


# --- doors that are closed


def times_of(row: Residual, shape: Distribution) -> tuple[float, float]:
    """The least and the greatest duration (h) that a residual gives."""
    return shape.inverse(row.low / ONE) / HOUR, shape.inverse(row.high / ONE) / HOUR


def a_parcel(*, shipped: int, delivered: int | None, **more: Any) -> tuple[dict[str, Any], ...]:
    known = {"order": "o", "line": "1", "shipment": "n", "site": "east", "region": "plain", "carrier": "swift"} | more
    rows = [known | {"activity": "handed_to_carrier", "event_ms": shipped, "quantity": 1}]
    if delivered is not None:
        rows.append(known | {"activity": "delivered", "event_ms": delivered, "quantity": 1})
    return tuple(rows)


LASTS: dict[str, Any] = {"kind": "uniform", "low": "0h", "high": "100h"}
"""A transit that shows its quantile as a time."""


def spread_out(**carrier: Any) -> Scenario:
    """The business with such transits from east to the plain."""
    lane = {"from": "east", "to": "plain", "carrier": "swift", "transit": LASTS, "promise": "3d"}
    return load(TRUTH, SHORT | {"lanes": [lane], "carriers": [{"id": "swift", **carrier}]}).scenario


# Shipped on Tuesday at noon in Berlin, where the carrier delivers from 8 to 20.
TUESDAY_NOON = 35 * HOUR


@pytest.mark.parametrize(
    ("arrives", "least", "most"),
    [
        # In the hours: that long.
        (5, 5, 5),
        # At the opening on Wednesday: since the closing on Tuesday, 8 hours on.
        (20, 8, 20),
        # Two hours after that closing, as a closure's estimated end makes it: just before it.
        (10, 8, 8),
        # Two hours before the opening: as at the opening.
        (18, 8, 20),
    ],
)
def test_a_delivery_is_placed_by_the_hours_of_the_carrier(arrives: int, least: int, most: int) -> None:  # RP-05
    scenario = spread_out()
    shipped = scenario.run.start + TUESDAY_NOON
    log = log_of(*a_parcel(shipped=shipped, delivered=shipped + arrives * HOUR), as_of=scenario.run.end)
    (row,) = residuals_of(log, scenario, scenario.run.end).rows
    assert times_of(row, scenario.lanes[0].transit) == pytest.approx((least, most), abs=1e-6)
    # Just before a closing is not at it, where it would wait for the opening.
    if arrives == 10:
        assert scenario.lanes[0].transit.inverse(row.high / ONE) < 8 * HOUR - 0.5


def test_a_parcel_that_was_shipped_before_the_first_opening_may_have_been_there_at_once() -> None:  # RP-05
    """On Sunday: nothing that is known of the log lies before, and nobody delivered since."""
    scenario = spread_out()
    sunday, opening = scenario.run.start - 12 * HOUR, scenario.run.start + 7 * HOUR
    log = log_of(*a_parcel(shipped=sunday, delivered=opening), as_of=scenario.run.end)
    (row,) = residuals_of(log, scenario, scenario.run.end).rows
    assert times_of(row, scenario.lanes[0].transit) == pytest.approx((0, 19), abs=1e-6)
    log = log_of(*a_parcel(shipped=sunday, delivered=None), as_of=opening)
    (row,) = residuals_of(log, scenario, opening).rows
    assert times_of(row, scenario.lanes[0].transit) == pytest.approx((0, 100), abs=1e-6)


@pytest.mark.parametrize(("ends", "least"), [(5, 5), (8, 8), (10, 8), (20, 8), (21, 21)])
@pytest.mark.parametrize("counts", ["elapsed", "working_time"])
def test_what_is_under_way_at_night_may_be_there_since_the_closing(ends: int, least: int, counts: str) -> None:
    scenario = spread_out(transit_counts=counts)
    shipped = scenario.run.start + TUESDAY_NOON
    log = log_of(*a_parcel(shipped=shipped, delivered=None), as_of=shipped + ends * HOUR)
    (row,) = residuals_of(log, scenario, log.as_of_ms).rows
    # In working time the night does not count at all.
    wanted = least - 12 if counts == "working_time" and ends > 20 else least
    shape = scenario.lanes[0].transit
    assert (round(shape.inverse(row.low / ONE)), row.high) == (wanted * HOUR, ONE - 1)


@pytest.mark.parametrize("hour", [3, 7, 12, 19])
def test_the_true_luck_of_what_is_under_way_lies_in_its_interval(log: EventLog, hour: int) -> None:  # RP-05
    """Under the scenario that wrote the log, which is cut off by night, at an opening, by day and at a closing."""
    scenario = load(TRUTH, SHORT).scenario
    lanes = {(lane.from_, lane.to, lane.carrier): lane.transit for lane in scenario.lanes}
    until = scenario.run.start + 4 * DAY + hour * HOUR
    rows = {row.key: row for row in residuals_of(log, scenario, until).rows if row.kind == "transit"}
    plain, seen = Streams(1), 0
    for parcel in parcels_of(log, until):
        if parcel.shipped_at < 0 or parcel.delivered_at >= 0:
            continue
        row, shape = rows[parcel.note], lanes[parcel.site, parcel.region, parcel.carrier]
        assert shape.inverse(row.low / ONE) - 1 <= plain.draw(shape, "transit", parcel.note + "/s"), parcel
        assert row.high == ONE - 1
        seen += 1
    assert seen > 25


# --- what has no residual


@pytest.mark.parametrize("name", ["site", "region", "carrier"])
def test_why_a_parcel_has_no_residual_is_told_as_it_is(name: str) -> None:  # RP-04
    """A log that does not say it is not one of another lane."""
    scenario = spread_out()
    shipped = scenario.run.start + TUESDAY_NOON
    log = log_of(*a_parcel(shipped=shipped, delivered=shipped + HOUR, **{name: None}), as_of=scenario.run.end)
    assert residuals_of(log, scenario, scenario.run.end).without == {f"parcels without a {name} in the log": 1}
    log = log_of(*a_parcel(shipped=shipped, delivered=shipped + HOUR, **{name: "moon"}), as_of=scenario.run.end)
    assert residuals_of(log, scenario, scenario.run.end).without == {"parcels on a lane that the scenario has not": 1}


def test_a_purchase_of_unnamed_items_has_no_residual(log: EventLog, recorded: Run) -> None:  # RP-05
    """Luck of a purchase is looked up by its item: without one nothing could ever use it."""
    end, scenario = recorded.manifest.end_ms, load(TRUTH, SHORT).scenario
    bare = relabelled(log, "item", lambda row: None if row["purchase_order"] else row["item"])
    bought = len(purchases_of(bare, end))
    found = residuals_of(bare, scenario, end)
    assert found.without == {"purchases whose item the log does not name": bought} and bought > 3
    assert "lead_time" not in {row.kind for row in found.rows}


# --- quantiles


@pytest.mark.parametrize(("value", "nearer"), [(9, 9), (11, 10), (34, 10), (36, 60), (55, 60), (61, 61)])
def test_in_a_gap_of_a_table_the_nearer_end_is_taken(value: int, nearer: int) -> None:  # RP-05
    table = Empirical(((0, 0), (250_000, 10), (250_000, 60), (1_000_000, 600)))
    low, high, past = between(table, value, value)
    luck = RecordedLuck(7, [Residual("transit", "o/n/1", "o", "n", 0, low, high, past)])
    assert low <= high
    assert luck.draw(table, "transit", "o/n/1/s") == nearer


@example(350, 0, 700)
@given(st.integers(1, 40 * DAY), st.integers(0, 100 * DAY), st.sampled_from([1, 3, 700]))
def test_what_is_open_beyond_all_that_is_known_lasts_longer_yet(end: int, more: int, per: int) -> None:  # RP-05
    """However long and however far beyond: parts per million of 30 days are 2.6 seconds."""
    for shape in (Fixed(end, per), Uniform(0, end)):
        passed = round(shape.inverse((ONE - 1) / ONE)) + more
        low, high, past = beyond(shape, passed)
        luck = RecordedLuck(3, [Residual("transit", "o/n/1", "o", "n", 0, low, high, past)])
        # Half a millisecond and less is drawn as nothing.
        if round(shape.inverse(0.5)):
            drawn = luck.draw(shape, "transit", "o/n/1/s")
            assert passed < drawn <= passed + 2 + shape.inverse(0.999) / 500_000


# --- which parcel it is


def test_a_number_in_a_note_counts_releases_and_not_parcels_of_a_site() -> None:  # RP-05
    """One parcel from west, then two from east, in a log that calls them otherwise."""
    places = (("0815", "west", 1), ("0816", "east", 2), ("0817", "east", 3))
    rows = [Residual("transit", note, "o", site, at, at * ONE // 10, at * ONE // 10) for note, site, at in places]
    luck, shape = RecordedLuck(1, rows), Uniform(0, 1000)
    assert [luck.draw(shape, "transit", f"o/{place}/s") for place in ("west/1", "east/2")] == [100, 200]
    # A business that is copied on its way goes on with the next one, and what was drawn is drawn again.
    for one in (luck, pickle.loads(pickle.dumps(luck))):
        assert [one.draw(shape, "transit", f"o/{place}/s") for place in ("east/3", "east/2", "west/1")] == [
            300,
            200,
            100,
        ]
        assert one.used == {"transit": {"measured": 5}}
        assert one.draw(shape, "transit", "o/east/9/s") == 300
        assert one.used == {"transit": {"measured": 5, "carried over": 1}}


def test_a_parcel_whose_note_is_in_the_log_is_one_of_the_sites() -> None:  # RP-05
    rows = [Residual("transit", "o/east/1", "o", "east", 1, ONE // 10, ONE // 10)]
    luck, shape = RecordedLuck(1, rows), Uniform(0, 1000)
    assert [luck.draw(shape, "transit", f"o/east/{number}/s") for number in (1, 2)] == [100, 100]
    assert luck.used == {"transit": {"measured": 1, "carried over": 1}}


def test_parcels_of_a_business_that_runs_short_keep_their_luck_under_other_names(tmp_path: Path) -> None:  # RP-05
    """Orders go in several rounds, from several sites: each parcel is found again without its note."""
    little = [{"warehouse": site, "item": item, "on_hand": 25} for site in ("east", "west") for item in ITEMS]
    scenario = load(TRUTH, SHORT | {"stock": little}).scenario
    run = Twin(scenario).run(1, tmp_path / "run")
    log, end = event_log_of_run(run.folder), run.manifest.end_ms
    parcels = [one for one in parcels_of(log, end) if one.shipped_at >= 0]
    later = [one for one in parcels if not one.note.endswith("/1")]
    assert len(later) > 10
    own = {row.key: row for row in residuals_of(log, scenario, end).rows if row.kind == "transit"}
    other = relabelled(log, "shipment", lambda row: row["shipment"] and row["shipment"].replace("/", "-"))
    luck, shape = RecordedLuck(1, residuals_of(other, scenario, end).rows), Uniform(0, 10**9)
    exact = RecordedLuck(1, own.values())
    for one in sorted(parcels, key=lambda one: one.shipped_at):
        key = ("transit", f"{one.note}/s")
        assert luck.draw(shape, *key) == exact.draw(shape, *key), one
    assert luck.used["transit"] == {"measured": len(parcels)}


# --- what the statement says of cancellations


@pytest.mark.parametrize("named", [("line",), ("item",), ("line", "item"), ()])
def test_cancelled_orders_are_told_by_their_lines(log: EventLog, named: tuple[str, ...]) -> None:  # RP-04
    """A log may say which line was given up, by its number or its item, or no more than that the order was."""
    placed = [row for row in log.table.to_pylist() if row["activity"] == "order_placed"]
    one, other = next(pair for pair in pairwise(placed) if pair[0]["order"] == pair[1]["order"])
    told = {name: one[name] for name in named}
    row = {"activity": "cancelled", "order": one["order"], "case_id": one["order"], "row": len(placed)} | told
    gone = msgspec.structs.replace(
        log, table=pa.concat_tables([log.table, pa.Table.from_pylist([row], schema=arrow_schema())])
    )
    number = sum(row["order"] == one["order"] for row in placed) if not named else 1
    assert number >= (1 if named else 2) and other["item"] != one["item"]
    said = never(gone)
    assert f"the log cancels {number:,} of its {len(placed):,} order lines" in said
    assert "have been cancelled" not in never(log)


def test_purchases_that_were_given_up_are_no_cancelled_order_lines(turned_away: Run) -> None:  # RP-04
    log = event_log_of_run(turned_away.folder)
    assert "cancelled" in log.table["activity"].to_pylist()
    assert "have been cancelled" not in never(log, GONE)


def never(log: EventLog, file: Path = TRUTH) -> str:
    base = load(file).scenario
    span = (base.run.start, base.run.start + DAY, log.as_of_ms)
    return "\n".join(Telling(log, base, file, span)._never((), (), None, 0))


# --- what is read off a run, and off a log


def test_a_foreign_log_begins_with_the_day_of_its_first_event() -> None:  # RP-02
    rows = [{"activity": "order_placed", "order": "o", "event_ms": at} for at in (None, 3 * DAY + HOUR, 2 * DAY + HOUR)]
    assert first_day(log_of(*rows, as_of=9 * DAY)) == 2 * DAY
    with pytest.raises(InputError, match="by hand: no event of it has a time"):
        first_day(log_of(rows[0], as_of=9 * DAY))


def neutral_log(folder: Path, happens: Callable[[Business], None]) -> EventLog:
    """The neutral log of a business to which this happens."""
    log = RunLog(folder, part_rows=50)
    business = Business(log)
    happens(business)
    facts: dict[str, Any] = {"scenario_digest": "", "seed": 1, "versions": {}, "currency": "EUR"}
    write_manifest(folder, manifest_of(log, title="By hand", start_ms=START, end_ms=business.now + 1, **facts))
    return event_log_of_run(folder)


def test_a_line_is_cancelled_when_nothing_of_it_is_left(tmp_path: Path) -> None:  # RP-02
    """Of 30 bolts 25 are released, and the rest is given up; of 9 that wait all are."""

    def happens(business: Business) -> None:
        business.order("part", ("bolt", 30))
        business.order("whole", ("bolt", 9), ("nut", 1))
        business.do(CancelOrder(*business.head(), "part", "customer"))
        business.do(CancelOrder(*business.head(), "whole", "customer", lines=(1,)))

    log = neutral_log(tmp_path / "run", happens)
    rows = log.table.to_pylist()
    assert [(row["order"], row["line"]) for row in rows if row["activity"] == "cancelled"] == [("whole", "1")]
    given_up = {
        event.order: sum(one.quantity for one in event.units)
        for entry in Run(tmp_path / "run").entries()
        for event in entry.events
        if isinstance(event, ev.OrderCancelled)
    }
    assert given_up == {"part": 5, "whole": 9}


def test_an_order_is_approved_when_its_hold_is_released(tmp_path: Path) -> None:  # RP-02
    def happens(business: Business) -> None:
        for order in ("free", "held"):
            business.order(order, ("bolt", 30), ("nut", 1))
        business.do(HoldOrder(*business.head(), "held", "credit"))
        business.wait(HOUR)
        business.do(ReleaseHold(*business.head(), "held"))

    log = neutral_log(tmp_path / "run", happens)
    approved = [row for row in log.table.to_pylist() if row["activity"] == "order_approved"]
    assert [(row["order"], row["line"], row["event_ms"]) for row in approved] == [
        ("held", line, START + HOUR + 1) for line in ("1", "2")
    ]


def test_a_promise_carries_what_was_seen_at_the_site_that_was_chosen(recorded: Run, log: EventLog) -> None:  # RP-02
    seen: dict[tuple[str, str], tuple[int, list[ev.Considered]]] = {}
    for entry in recorded.entries():
        for event in entry.events:
            for leg in event.legs if isinstance(event, ev.SourcingDecided) else ():
                considered = [one for one in event.considered if one.line == leg.line]
                views = [one.available for one in considered if one.node == leg.node]
                if views:
                    seen.setdefault((event.order, str(leg.line)), (views[0], considered))
    told = {
        (row["order"], row["line"]): (row["stock_view"], row["candidates"])
        for row in reversed(log.table.to_pylist())
        if row["activity"] == "promised"
    }
    assert len(seen) > 100
    for line, (view, considered) in seen.items():
        assert told[line] == (view, ", ".join(one.node for one in considered)), line
    # The other site saw something else, and it is not always the first that is chosen.
    assert any(view != considered[0].available for view, considered in seen.values())
    assert any(view != considered[-1].available for view, considered in seen.values())


@pytest.mark.parametrize(
    ("known", "since"),
    [
        (("order_placed",), 10),
        (("order_placed", "order_approved"), 25),
        (("order_placed", "order_approved", "released"), 40),
    ],
)
def test_handling_begins_with_the_release_else_the_approval_else_the_order(
    known: tuple[str, ...], since: int
) -> None:  # RP-02
    at = {"order_placed": 10, "order_approved": 25, "released": 40}
    rows = [{"activity": name, "event_ms": at[name], "order": "o", "line": "1", "site": "east"} for name in known]
    log = log_of(*rows, *a_parcel(shipped=100, delivered=None, shipment=None), as_of=200)
    (case,) = facts_of_log(log, 0, 200, {}).handling
    assert (case.began_at, case.duration_ms, case.censored) == (since, 100 - since, False)


def test_a_parcel_of_an_order_that_was_given_up_as_a_whole_is_none_that_is_still_picked() -> None:  # RP-02
    released = {"activity": "released", "order": "o", "line": "1", "shipment": "n", "site": "east", "event_ms": 10}
    gone = {"activity": "cancelled", "order": "o", "event_ms": 20}
    for more, there in ({}, 0), ({"line": "2"}, 1), ({"line": "1"}, 0), ({"item": "mug"}, 1), ({"order": "p"}, 1):
        assert len(parcels_of(log_of(released, gone | more, as_of=100), 100)) == there, more
    assert len(parcels_of(log_of(released, gone, as_of=100), 20)) == 1


def test_a_pick_begins_when_the_warehouse_has_the_release() -> None:  # RP-05
    """Released on Tuesday at noon in Berlin, picked three hours later, of which half an hour is the message's."""
    changes = {"warehouses": [{"id": "east", "latency": "30m"}]}
    scenario = load(TRUTH, SHORT | changes).scenario
    site = next(one for one in scenario.warehouses if one.id == "east")
    noon = scenario.run.start + TUESDAY_NOON
    known = {"order": "o", "line": "1", "shipment": "n", "site": "east", "quantity": 1}
    rows = [
        known | {"activity": name, "event_ms": at} for name, at in (("released", noon), ("picked", noon + 3 * HOUR))
    ]
    (row,) = residuals_of(log_of(*rows, as_of=noon + DAY), scenario, noon + DAY).rows
    mean = site.pick_time.order + site.pick_time.line
    assert (row.kind, row.at) == ("pick", noon)
    assert Exponential(mean).inverse(row.low / ONE) == pytest.approx(2.5 * HOUR, abs=1)
