"""Styles of interfaces: api, event, batch file, EDI and manual; what differs is what stands before, and who answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from tests.world.faulty import FACED, fault, faulty, hits, story
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage, tiny
from twin.codec import encode_entry
from twin.core.commands import AcknowledgeDelivery, ConfirmShipment, CountStock
from twin.core.events import (
    DeliveryDeadLettered,
    DeliveryFailed,
    DeliverySucceeded,
    GoodsShipped,
    InvoiceCreated,
    InvoicePosted,
    StockCounted,
)
from twin.scenario import Scenario, ScenarioError, load
from twin.scenario.faults import Fault

PATIENT = {"delivery": {"default": {**FACED["policies"]["delivery"]["default"], "timeout": "3h", "deadline": "2d"}}}


def wms(*faults: dict[str, Any], **spec: Any) -> Scenario:
    """The business whose WMS has an interface like this, and whose sender waits three hours."""
    calendars = [{"id": "office", "days": ["mon", "tue", "wed", "thu", "fri"], "hours": ["08:00-16:00"]}]
    return faulty(*faults, interfaces=[{"id": "wms", **spec}], policies=PATIENT, calendars=calendars)


def shipped(stage: Stage) -> list[tuple[str, int]]:
    """Order and instant of every parcel, from the start."""
    return [(row.subject.split("/")[0], stage.since_start(row.at)) for row in stage.rows("stock.shipped")]


def answered(stage: Stage) -> list[int]:
    """When answers of the WMS reached the engine."""
    return [
        stage.since_start(entry.now)
        for entry in stage.log.entries
        if isinstance(entry.command, AcknowledgeDelivery) and entry.command.source == "warehouse/main"
    ]


# --- sync and async


@pytest.mark.parametrize(("style", "answer"), [("api", 11 * SECOND + 2), ("event", SECOND + 2)])
def test_a_synchronous_call_is_answered_when_done_and_an_event_when_taken(style: str, answer: int) -> None:  # IM-05
    stage = Stage(wms(style=style, workers=1, service="10s"))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert answered(stage) == [answer]
    assert shipped(stage) == [("o1", 11 * SECOND + 1)]
    stage.check_books()


def test_what_goes_wrong_after_an_event_was_taken_nobody_tells_its_sender() -> None:  # IM-05
    spec = fault("error", interface="wms", lasts="20s")
    sync, event = [Stage(wms(spec, style=style, workers=1, service="10s")) for style in ("api", "event")]
    for stage in (sync, event):
        stage.order("o1", at=SECOND)
        stage.run(DAY)
    assert len(sync.events(DeliveryFailed)) == len(sync.events(GoodsShipped)) == 1
    assert not event.events(DeliveryFailed)
    assert not event.events(GoodsShipped)
    assert [row.subject for row in event.rows("fault.hit")] == ["o1/main/1"]
    assert [(row.subject, row.detail) for row in event.rows("call.given_up")] == [("o1/main/1", "not done")]
    assert not sync.rows("call.given_up")


@pytest.mark.parametrize(
    ("at", "dedupe", "repeated", "doubled"),
    [("before_commit", "off", 0, 0), ("after_commit", "30d", 1, 0), ("after_commit", "off", 0, 1)],
)
def test_an_event_whose_consumer_died_is_delivered_again(at: str, dedupe: str, repeated: int, doubled: int) -> None:
    spec = fault("consumer_crash", interface="wms", lasts="20s", at=at)
    stage = Stage(wms(spec, style="event", redelivery={"after": "30s"}, dedupe=dedupe))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert len(shipped(stage)) == 1 + doubled
    assert shipped(stage)[-1][1] == (31 * SECOND + 1 if not repeated else SECOND + 1)
    assert (len(stage.rows("delivery.repeated")), len(stage.rows("delivery.doubled"))) == (repeated, doubled)
    # Taken in once, answered once.
    assert answered(stage) == [SECOND + 2]


def test_a_broker_gives_an_event_up_that_fails_each_time() -> None:  # RC-03
    spec = fault("poison", interface="wms", probability="10%")
    stage = story(wms(spec, style="event", redelivery={"after": "30s", "times": 3}))
    stage.run(DAY)
    poisoned = sorted({key for key, _, _ in hits(stage)})
    assert 1 <= len(poisoned) <= 10
    assert len(hits(stage)) == 4 * len(poisoned)
    assert sorted(row.subject for row in stage.rows("call.given_up")) == poisoned
    assert len(shipped(stage)) == 40 - len(poisoned)
    assert not stage.world.interfaces["warehouse/main"].again


def test_each_delivery_of_an_event_has_its_own_luck() -> None:
    spec = fault("error", interface="wms", probability="50%")
    stage = story(wms(spec, style="event", redelivery={"after": "30s", "times": 20}))
    stage.run(DAY)
    tried = [len([1 for key, _, _ in hits(stage) if key == f"o{number}/main/1"]) for number in range(40)]
    assert {0, 1, 2} <= set(tried)
    assert len(shipped(stage)) == 40
    stage.check_books()


@pytest.mark.parametrize("style", ["api", "event"])
def test_a_ledger_may_be_fed_by_events(style: str) -> None:  # IM-05
    interfaces = [{"id": "ledger", "style": style}]
    stage = Stage(faulty(interfaces=interfaces, erp={"latency": "1ms", "posting": "45s"}, policies=PATIENT))
    stage.order("o1", {"mug": 3}, at=SECOND)
    stage.run(DAY)
    posted = [at for at, _ in stage.events(InvoicePosted)]
    delivered = [at for at, _ in stage.events(InvoiceCreated)]
    assert posted[0] - delivered[0] == (45 * SECOND if style == "api" else 0) + 2
    assert stage.world.erp.invoiced_minor == 3 * 450
    stage.check_books()


# --- files


def test_a_file_takes_what_came_before_its_cut_off() -> None:  # IM-07
    stage = Stage(wms(style="batch", batch={"every": "15m", "cut_off": "5m"}))
    # A call takes a millisecond; at the very instant of a cut-off it is too late.
    ats = [MINUTE, 10 * MINUTE - 2, 10 * MINUTE - 1, 25 * MINUTE - 2]
    for number, at in enumerate(ats):
        stage.order(f"o{number}", at=at)
    stage.run(HOUR)
    assert shipped(stage) == [(f"o{n}", at) for n, at in enumerate([900_000, 900_000, 1_800_000, 1_800_000])]
    stage.check_books()


def test_a_file_that_is_full_leaves_the_rest_to_the_next() -> None:  # IM-07
    stage = Stage(wms(style="batch", batch={"every": "15m", "size": 2}))
    for number in range(5):
        stage.order(f"o{number}", at=SECOND + number)
    stage.order("late", at=16 * MINUTE)
    stage.run(HOUR)
    due = {"o0": 15, "o1": 15, "o2": 30, "o3": 30, "o4": 45, "late": 45}
    assert shipped(stage) == [(name, MINUTE * at) for name, at in due.items()]


def test_a_late_file_is_late_as_a_whole() -> None:  # IM-07
    spec = fault("late_file", interface="wms", begins="10m", lasts="10m", delay="20m")
    stage = Stage(wms(spec, style="batch", batch={"every": "15m"}))
    stage.order("o0", at=SECOND)
    stage.order("o1", at=2 * SECOND)
    stage.order("o2", at=16 * MINUTE)
    stage.run(HOUR)
    # The second file overtakes the first.
    assert shipped(stage) == [("o2", 30 * MINUTE), ("o0", 35 * MINUTE), ("o1", 35 * MINUTE)]
    assert [key for key, _, _ in hits(stage)] == ["o0/main/1", "o1/main/1"]


def test_what_is_missing_from_a_file_is_sent_again_when_nobody_answers() -> None:  # IM-07
    spec = fault("partial_file", interface="wms", lasts="20m", probability="40%")
    stage = Stage(wms(spec, style="batch", batch={"every": "15m"}))
    for number in range(20):
        stage.order(f"o{number}", at=SECOND + number)
    stage.run(16 * MINUTE)
    missing = {key.split("/")[0] for key, _, _ in hits(stage)}
    assert 3 < len(missing) < 14
    assert {name for name, _ in shipped(stage)} == {f"o{number}" for number in range(20)} - missing
    stage.run(DAY)
    assert len(stage.events(DeliveryFailed)) == len(missing)
    assert len(shipped(stage)) == 20
    stage.check_books()


@pytest.mark.parametrize(("dedupe", "doubled"), [("30d", 0), ("off", 3)])
def test_a_file_that_comes_twice_is_done_once_where_the_partner_remembers(dedupe: str, doubled: int) -> None:  # IM-07
    spec = fault("doubled_file", interface="wms", lasts="20m", after="1m")
    stage = Stage(wms(spec, style="batch", batch={"every": "15m"}, dedupe=dedupe))
    for number in range(3):
        stage.order(f"o{number}", at=SECOND + number)
    stage.run(HOUR)
    assert len(shipped(stage)) == 3 + doubled
    assert len(stage.rows("delivery.doubled")) == doubled
    assert len(stage.rows("delivery.repeated")) == 3 - doubled


@pytest.mark.parametrize(
    "spec",
    [
        fault("late_file", delay="1m", probability="0%"),
        fault("late_file", delay="1m", begins="10m", lasts="0s"),
        fault("late_file", delay="0s"),
        fault("partial_file", probability="0%"),
        fault("partial_file", begins="10m", lasts="0s"),
        fault("doubled_file", probability="0%"),
        fault("doubled_file", begins="10m", lasts="0s"),
        fault("doubled_file", markov={"up": "10m", "down": "0s"}),
    ],
    ids=lambda spec: " ".join(str(value) for value in spec.values()),
)
def test_a_fault_of_files_of_size_zero_leaves_the_entries_byte_identical(spec: dict[str, Any]) -> None:
    plain, faulted = [story(wms(*specs, style="batch", batch={"every": "15m"})) for specs in ((), (spec,))]
    for stage in (plain, faulted):
        stage.run(DAY)
    bytes_of = [[encode_entry(entry) for entry in stage.log.entries] for stage in (plain, faulted)]
    assert bytes_of[0] == bytes_of[1]


def test_what_a_partner_sends_may_go_in_files_too() -> None:  # IM-07
    stage = Stage(wms(style="batch", batch={"every": "15m", "carries": "both"}))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert shipped(stage) == [("o1", 15 * MINUTE)]
    # Both files are due at once: what was just done is too late for the one that goes back.
    assert [at for at, _ in stage.events(GoodsShipped)] == [30 * MINUTE + 1]
    reports = Stage(wms(style="batch", batch={"every": "15m", "cut_off": "1m", "carries": "reports"}))
    for number, minute in enumerate((1, 13, 14)):
        reports.order(f"o{number}", at=minute * MINUTE)
    reports.run(HOUR)
    assert [at // MINUTE for _, at in shipped(reports)] == [1, 13, 14]
    assert [at for at, _ in reports.events(GoodsShipped)] == [m * MINUTE + 1 for m in (15, 15, 30)]
    reports.check_books()


@pytest.mark.parametrize("kind", ["late_file", "partial_file", "doubled_file"])
def test_files_of_a_partner_fail_as_files_of_calls_do(kind: str) -> None:  # IM-07
    more = {"late_file": {"delay": "20m"}, "partial_file": {"probability": "100%", "endpoint": "warehouse.confirm_*"}}
    spec = fault(kind, interface="wms", file="reports", lasts="20m", **more.get(kind, {}))
    stage = Stage(wms(spec, style="batch", batch={"every": "15m", "carries": "reports"}))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    told = [at for at, _ in stage.events(GoodsShipped)]
    assert told == {"late_file": [35 * MINUTE + 1], "partial_file": [], "doubled_file": [15 * MINUTE + 1]}[kind]
    sent = len([entry for entry in stage.log.entries if isinstance(entry.command, ConfirmShipment)])
    assert sent == {"late_file": 1, "partial_file": 0, "doubled_file": 2}[kind]
    assert ("o1/main/1", 0, f"{kind}:wms {kind}") in hits(stage)


def test_a_file_under_way_forks() -> None:
    spec = fault("late_file", interface="wms", delay="20m", probability="50%")
    stage = story(wms(spec, style="batch", batch={"every": "15m"}))
    stage.run(31 * MINUTE)
    fork = stage.fork()
    stage.run(DAY)
    fork.run(DAY)
    assert (fork.log.digest, fork.truth.digest) == (stage.log.digest, stage.truth.digest)


# --- EDI


def test_an_edi_call_is_translated_and_acknowledged_by_a_997() -> None:  # IM-06
    stage = Stage(wms(style="edi", edi={"translation": "30s", "acknowledgement": "5m"}))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert shipped(stage) == [("o1", 31 * SECOND + 1)]
    # The partner's own answer goes no further: the 997 is all that there is.
    assert answered(stage) == [331 * SECOND + 2]
    # What the partner has to say is translated as well.
    assert [at for at, _ in stage.events(GoodsShipped)] == [61 * SECOND + 2]
    assert len([1 for _, event in stage.events(DeliverySucceeded) if event.delivery == "o1/main/1"]) == 1
    stage.check_books()


def test_an_edi_call_of_another_version_is_rejected_by_a_999() -> None:  # IM-09
    spec = fault("schema_drift", interface="wms")
    stage = Stage(wms(spec, style="edi", edi={"translation": "30s", "acknowledgement": "5m"}))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert answered(stage) == [331 * SECOND + 2]
    assert [event.reason for _, event in stage.events(DeliveryDeadLettered)] == ["refused: 999 AK5 R: malformed"]
    assert not shipped(stage)


# --- people


def test_people_work_in_their_hours() -> None:  # IM-06
    stage = Stage(wms(style="manual", calendar="office", workers=1, service="1h"))
    for number in range(10):
        stage.order(f"o{number}", at=SECOND + number)
    stage.run(3 * DAY)
    at = [9 + number for number in range(8)] + [24 + 9, 24 + 10]
    assert shipped(stage) == [(f"o{number}", hour * HOUR) for number, hour in enumerate(at)]
    stage.check_books()


def test_what_people_began_in_the_evening_they_finish_in_the_morning() -> None:
    stage = Stage(wms(style="manual", calendar="office", workers=2, service="3h"))
    stage.order("o1", at=15 * HOUR)
    stage.run(3 * DAY)
    assert shipped(stage) == [("o1", DAY + 10 * HOUR + 1)]


# --- cut-offs and counts


def test_a_fault_may_begin_before_every_truck() -> None:
    trucks = [{"id": "main", "pickups": [{"carrier": "van", "at": ["12:00", "12:10", "18:00"]}]}]
    spec = fault("auth", id="rush", interface="wms", when={"at_cut_off": "30m"}, lasts="1h")
    stage = Stage(faulty(spec, warehouses=trucks))
    stage.run(DAY)
    began, ended = [
        [stage.since_start(row.at) // MINUTE for row in stage.rows(f"fault.{what}")] for what in ("began", "ended")
    ]
    assert began == [11 * 60 + 30, 17 * 60 + 30]
    assert ended == [12 * 60 + 40, 18 * 60 + 30]


@pytest.mark.parametrize(("stamped", "corrected"), [("anew", True), ("as_taken", False)])
def test_an_old_count_is_known_by_its_place_among_the_movements_unless_it_lies(stamped: str, corrected: bool) -> None:
    spec = fault("stale_snapshot", interface="wms", begins="14h", stamped=stamped)
    stage = Stage(faulty(spec))
    for number in range(10):
        stage.order(f"o{number}", at=HOUR * (1 + 2 * number))
    stage.run(2 * DAY)
    counts = stage.commands(CountStock)
    assert len({count.lines for count in counts}) == 1
    assert len(counts) == 3
    found = [line for _, event in stage.events(StockCounted) for line in event.lines if line[2]]
    assert bool(found) == corrected
    assert bool(stage.account().differences) == corrected


# --- the register


def test_an_interface_says_who_answers_for_it_and_what_was_promised() -> None:  # IM-11
    spec = {
        "owner": "warehouse systems",
        "criticality": "A",
        "slo": {"latency": "2s", "share": "99%"},
        "version": "2.1",
        "contract": "https://example.org/wms/2.1",
    }
    scenario = wms(**spec)
    again = Scenario.model_validate(scenario.plain())
    assert again.interfaces == scenario.interfaces
    entry = again.interfaces[0]
    assert entry.slo is not None
    assert (entry.owner, entry.criticality, entry.slo.latency, entry.slo.share) == (
        "warehouse systems", "A", 2 * SECOND, 990_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"style": "batch"}, "style batch needs batch"),
        ({"batch": {"every": "1h"}}, "style api has no use for batch"),
        ({"style": "batch", "batch": {"every": "0s"}}, "0s is no time at all"),
        ({"style": "edi"}, "style edi needs edi"),
        ({"style": "event", "queue": {"expired": "dropped"}}, "style event answers a call before it waits"),
        ({"token": {"lifetime": "0s", "renewal": "1s"}}, "0s is no time at all"),
        ({"redelivery": {}}, "style api has no use for redelivery"),
        ({"style": "manual", "workers": 1}, "style manual needs calendar"),
        ({"style": "manual", "calendar": "office"}, "style manual needs workers"),
        ({"style": "manual", "calendar": "offce", "workers": 1}, "unknown calendar 'offce'"),
    ],
)
def test_a_style_wants_what_belongs_to_it(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        wms(**spec)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (fault("auth", when={"at_cut_off": "1h"}, lasts="1h"), "more than 1000000 files in the run"),
        (fault("late_file", delay="1h", endpoint="warehouse.*"), "a file is late or doubled as a whole"),
    ],
)
def test_a_fault_of_files_has_its_bounds(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        wms(spec, style="batch", batch={"every": "5s"})


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (fault("late_file", interface="wms", delay="1h"), "no interface there sends calls in files"),
        (fault("stale_snapshot", interface="ledger"), "no warehouse there counts its stock"),
        (fault("auth", when={"at_cut_off": "1h"}, lasts="1h"), "nothing there has a cut-off"),
        (fault("auth", when={}, lasts="1h"), "when needs one of backlog_above and at_cut_off"),
    ],
)
def test_a_fault_wants_something_that_it_can_be_about(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        faulty(spec)
    assert said in str(error.value)


def test_the_page_about_interfaces_shows_a_scenario_and_tells_of_every_kind(root: Path, tmp_path: Path) -> None:
    text = (root / "docs" / "interfaces.md").read_text(encoding="utf-8")
    sites = {"warehouses": [{"id": "main"}, {"id": "north"}], "suppliers": [{"id": "mill", "lead_time": "2d"}]}
    (tmp_path / "base.yaml").write_text(tiny(sites).to_yaml(), encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "example.yaml").write_text(f"extends: base.yaml\n{example}", encoding="utf-8")
    assert [fault.kind for fault in load(tmp_path / "example.yaml").faults] == ["outage", "reply_lost", "latency"]
    told = [line.split("`")[1] for line in text.split("## Faults")[1].splitlines() if line.startswith("| `")]
    kinds = [kind for model in get_args(get_args(Fault)[0]) for kind in get_args(model.model_fields["kind"].annotation)]
    assert sorted(told[: len(kinds)]) == sorted(kinds)
