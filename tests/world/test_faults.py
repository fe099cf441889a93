"""What every fault does to messages, by the log and by the truth."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from tests.world.faulty import DELAYED, FACED, KINDS, fault, faulty, hits, story
from tests.world.stage import DAY, HOUR, MINUTE, SECOND, Stage, min_max, tiny
from tests.world.test_marketplace import market
from twin.codec import encode_entry
from twin.core.commands import (
    AcknowledgeDelivery,
    AcknowledgePurchaseOrder,
    ConfirmCancellation,
    ConfirmInvoice,
    ConfirmPick,
    ConfirmShipment,
)
from twin.core.effects import CancelRelease, Delivery
from twin.core.events import (
    DeliveryDeadLettered,
    DeliveryFailed,
    DeliveryRetried,
    DeliverySucceeded,
    GoodsShipped,
    PurchaseOrderCreated,
    PurchaseOrderRejected,
    ShipmentDelivered,
)
from twin.core.invariants import violations
from twin.scenario import ScenarioError
from twin.scenario.merging import merge_plain

BUYS = min_max(180, 240)


def buying(*faults: dict[str, Any], **changes: Any) -> Any:
    """The business that refills its shelf."""
    return faulty(*faults, **merge_plain(merge_plain({"policies": FACED["policies"]}, BUYS), changes))


def entries(stage: Stage, until: int = 4 * DAY) -> list[bytes]:
    stage.run(until)
    return [encode_entry(entry) for entry in stage.log.entries]


def one(*faults: dict[str, Any], **changes: Any) -> Stage:
    """One order at the first second, under these faults, and an hour."""
    stage = Stage(faulty(*faults, **changes))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    return stage


PICKED_SLOWLY = [{"id": "main", "pick_time": {"order": "50s"}, "pickers": 5}]
"""A parcel leaves only after the first retry, so that its ship notice does not tell what the lost answer would have."""


def reasons(stage: Stage, outcome: str) -> list[str]:
    return [command.reason for command in stage.commands(AcknowledgeDelivery) if command.outcome == outcome]


# --- faults of size zero


@pytest.fixture(scope="module")
def untouched() -> list[bytes]:
    return entries(story(buying(interfaces=[])))


def test_an_interface_at_which_nothing_goes_wrong_changes_nothing(untouched: list[bytes]) -> None:
    assert len(untouched) > 250
    assert entries(story(buying())) == untouched


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_big_enough_changes_something(kind: str, untouched: list[bytes]) -> None:
    stage = story(buying(fault(kind)))
    assert entries(stage) != untouched
    assert hits(stage)
    assert violations(stage.state) == []


@pytest.mark.parametrize(
    "spec",
    [
        *[fault(kind, probability="0%") for kind in KINDS],
        *[fault(kind, begins="10m", lasts="0s") for kind in KINDS],
        *[fault(kind, **{DELAYED[kind]: "0s"}) for kind in DELAYED],
        *[fault(kind, markov={"up": "10m", "down": "0s"}) for kind in KINDS],
        *[fault(kind, direction="reply", probability="0%") for kind in ("latency", "reorder", "loss", "duplicate")],
        *[fault(kind, direction="reply", delay="0s") for kind in ("latency", "reorder")],
        fault("outage", direction="reply", begins="10m", lasts="0s"),
        fault("schema_drift", interface="supplier.mill", misread_by="0s"),
        fault("outage", begins="10m", lasts="0s", calls="turned_away"),
        fault("consumer_crash", probability="0%", at="after_commit", forgets=True),
        fault("rate_limit", rate="1000/s", burst=1000),
    ],
    ids=lambda spec: " ".join(str(value) for value in spec.values()),
)
def test_a_fault_of_size_zero_leaves_the_entries_byte_identical(spec: dict[str, Any], untouched: list[bytes]) -> None:
    stage = story(buying(spec))
    assert entries(stage) == untouched
    assert not hits(stage)


# --- calls


def test_a_lost_call_is_not_done_and_tried_again() -> None:  # RC-01
    stage = one(fault("loss", interface="wms", lasts="2s"))
    assert hits(stage) == [("o1/main/1", 1, "loss:wms loss")]
    assert [event.attempt for _, event in stage.events(DeliveryRetried)] == [2]
    assert len(stage.events(GoodsShipped)) == 1
    assert not stage.rows("delivery.repeated")
    stage.check_books()


def test_a_late_call_is_late_by_what_was_drawn() -> None:
    punctual, late = one(), one(fault("latency", interface="wms", delay="7s"))
    shipped = [stage.events(GoodsShipped)[0][0] for stage in (punctual, late)]
    assert shipped[1] - shipped[0] == 7 * SECOND


def test_a_call_that_comes_twice_is_done_once() -> None:  # RC-06
    stage = one(fault("duplicate", interface="wms", after="3s"))
    assert len(stage.rows("delivery.repeated")) == 1
    assert len(stage.rows("stock.shipped")) == 1
    stage.check_books()


def test_some_calls_are_overtaken() -> None:  # RC-08
    stage = story(faulty(fault("reorder", interface="wms", probability="30%", delay="3m")))
    stage.run(DAY)
    held = {key for key, _, _ in hits(stage)}
    assert 5 < len(held) < 20
    came = [row.subject.removesuffix("/s") for row in stage.rows("stock.shipped")]
    sent = [delivery.key for _, delivery in stage.deliveries() if delivery.gateway == "warehouse/main"]
    assert sorted(came) == sorted(set(sent))
    assert came != [key for key in sent if key in came]
    assert [key for key in came if key not in held] == [key for key in dict.fromkeys(sent) if key not in held]
    stage.check_books()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (fault("error", interface="wms"), "503 service unavailable"),
        (fault("auth", interface="wms"), "401 unauthorized"),  # GV-02
        (fault("outage", interface="wms", lasts="1d", calls="turned_away"), "unavailable"),
    ],
)
def test_a_retryable_answer_is_tried_again_and_then_given_up(spec: dict[str, Any], reason: str) -> None:  # RC-01
    stage = one(spec)
    assert reasons(stage, "failed") == [reason] * 6
    assert [event.reason for _, event in stage.events(DeliveryDeadLettered)] == [f"retries used up: {reason}"]
    assert [attempt for _, attempt, _ in hits(stage)] == [1, 2, 3, 4, 5, 6]
    assert not stage.rows("stock.shipped")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (fault("error", interface="wms", **{"class": "permanent"}), "422 unprocessable"),
        (fault("schema_drift", interface="wms"), "400 malformed"),  # GV-01, IM-09
    ],
)
def test_a_permanent_answer_is_not_tried_again(spec: dict[str, Any], reason: str) -> None:  # IM-09
    stage = one(spec)
    assert [event.reason for _, event in stage.events(DeliveryDeadLettered)] == [f"refused: {reason}"]
    assert not stage.events(DeliveryFailed)
    assert not stage.rows("stock.shipped")


def test_an_error_nobody_tells_of_times_out_with_nothing_done() -> None:
    stage = one(fault("error", interface="wms", lasts="2s", **{"class": "unknown"}))
    assert [event.reason for _, event in stage.events(DeliveryFailed)] == ["no answer in time"]
    assert not stage.rows("delivery.repeated")
    assert len(stage.rows("stock.shipped")) == 1


def test_a_poison_message_fails_at_every_attempt_and_others_at_none() -> None:  # RC-03
    stage = story(faulty(fault("poison", interface="wms", probability="10%")))
    stage.run(DAY)
    attempts: dict[str, list[int]] = {}
    for key, attempt, _ in hits(stage):
        attempts.setdefault(key, []).append(attempt)
    assert 1 <= len(attempts) <= 10
    assert all(tried == [1, 2, 3, 4, 5, 6] for tried in attempts.values())
    assert {event.delivery for _, event in stage.events(DeliveryDeadLettered)} == set(attempts)
    assert len(stage.rows("stock.shipped")) == 40 - len(attempts)


def test_beyond_the_rate_calls_are_told_when_to_come_back() -> None:  # RC-09
    stage = Stage(faulty(fault("rate_limit", interface="wms", rate="1/10s", burst=2)))
    for number in range(4):
        stage.order(f"o{number}", at=SECOND + number)
    stage.run(4 * SECOND)
    told = [(a.delivery, a.retry_after_ms) for a in stage.commands(AcknowledgeDelivery) if a.outcome == "failed"]
    # Two at once; then the next whole call is there ten seconds after the first was taken.
    assert told == [("o2/main/1", 9_998), ("o3/main/1", 9_997)]
    assert reasons(stage, "failed") == ["429 too many requests"] * 2
    assert [key for key, _, _ in hits(stage)] == ["o2/main/1", "o3/main/1"]
    stage.run(HOUR)
    assert len(stage.rows("stock.shipped")) == 4


def test_workers_that_hang_keep_their_calls_until_the_end_of_the_fault() -> None:
    interfaces = [{"id": "wms", "to": "warehouse/main", "workers": 1, "service": "1s"}]
    stage = Stage(faulty(fault("freeze", interface="wms", begins="1s", lasts="50s"), interfaces=interfaces))
    stage.order("o1", at=100)
    stage.order("o2", at=200)
    stage.run(40 * SECOND)
    # Both have timed out; one worker hangs at the first.
    assert len(stage.events(DeliveryFailed)) == 2
    assert stage.world.interfaces["warehouse/main"].busy == 1
    assert not stage.rows("stock.shipped")
    stage.run(HOUR)
    shipped = [stage.since_start(row.at) for row in stage.rows("stock.shipped")]
    assert shipped[:1] == [51 * SECOND]
    assert len(shipped) == 2
    assert stage.world.interfaces["warehouse/main"].busy == 0
    stage.check_books()


@pytest.mark.parametrize(("at", "acts"), [("before_commit", 0), ("after_commit", 1)])
def test_a_consumer_dies_before_or_after_it_has_done_what_was_asked(at: str, acts: int) -> None:  # RC-06
    stage = Stage(faulty(fault("consumer_crash", interface="wms", lasts="2s", at=at), warehouses=PICKED_SLOWLY))
    stage.order("o1", at=SECOND)
    stage.run(20 * SECOND)
    assert not stage.commands(AcknowledgeDelivery)
    stage.run(60 * SECOND)
    assert len(stage.rows("stock.shipped")) == acts
    stage.run(HOUR)
    assert [event.attempt for _, event in stage.events(DeliveryRetried)] == [2]
    assert len(stage.rows("stock.shipped")) == 1
    assert len(stage.rows("delivery.repeated")) == acts
    stage.check_books()


def test_of_a_call_over_which_the_consumer_dies_every_answer_is_lost_and_the_next_attempt_gets_them_all() -> None:
    # RC-06
    side = {
        "warehouses": [*FACED["warehouses"], {"id": "side"}],
        "lanes": [{"from": "side", "to": "home", "carrier": "van", "transit": "9h"}],
        "policies": {"delivery": {"warehouse": {"fallback": {"to": "elsewhere"}}}},
    }
    stage = Stage(faulty(fault("consumer_crash", interface="wms", lasts="2h", at="after_commit"), **side))
    stage.run(MINUTE)
    calls = stage.world.interfaces["warehouse/main"]

    def answers(attempt: int) -> list[str]:
        before = stage.log.position
        cancel = CancelRelease("f1", "o1", "main")
        calls.receive(Delivery("c1", "warehouse/main", cancel, "o1", attempt=attempt))
        stage.run(stage.since_start(stage.world.now) + HOUR)
        new = [entry.command for entry in stage.log.entries[before:]]
        return [type(command).__name__ for command in new if getattr(command, "source", "") == "warehouse/main"]

    assert answers(1) == []
    stage.run(2 * HOUR + MINUTE)
    assert answers(2) == ["AcknowledgeDelivery", "ConfirmCancellation"]
    assert [row.subject for row in stage.rows("delivery.repeated")] == ["c1"]


@pytest.mark.parametrize("begun", [False, True])
def test_a_cancellation_that_comes_twice_gets_one_answer_twice(begun: bool) -> None:  # RC-06
    stage = Stage(faulty(warehouses=[{"id": "main", "pick_time": {"order": "50s"}, "pickers": 1}]))
    site = stage.warehouse()
    site.link = structs.replace(site.link, cancellable=True)
    for number in range(2):
        stage.order(f"o{number}", at=SECOND)
    stage.run(10 * SECOND)
    cancel = CancelRelease(f"o{0 if begun else 1}/main/1", f"o{0 if begun else 1}", "main")
    for attempt in (1, 2):
        site.receive(Delivery("c", "warehouse/main", cancel, cancel.order, attempt=attempt))
    stage.run(HOUR)
    outcomes = [command.outcome for command in stage.commands(ConfirmCancellation)]
    assert outcomes == ["too_late" if begun else "cancelled"] * 2
    assert len(stage.rows("stock.shipped")) == (2 if begun else 1)


# --- what a counterpart remembers


def test_a_counterpart_that_forgets_does_it_again_and_the_truth_tells() -> None:  # RC-06
    crash = fault("consumer_crash", interface="wms", lasts="2s", at="after_commit", forgets=True)
    stage = one(crash, warehouses=PICKED_SLOWLY)
    assert [(row.subject, row.quantity) for row in stage.rows("delivery.doubled")] == [("o1/main/1", 2)]
    assert [row.quantity for row in stage.rows("stock.shipped")] == [-1, -1]
    assert stage.physical() == 198
    assert any("twice" in difference for difference in stage.account().differences)


@pytest.mark.parametrize(("dedupe", "doubled"), [("30d", 0), ("10m", 0), ("20s", 1), ("off", 1)])
def test_a_memory_shorter_than_the_retry_doubles_a_purchase(dedupe: str, doubled: int) -> None:  # RC-06
    interfaces = [{"id": "supplier.mill", "to": "supplier/mill", "dedupe": dedupe}]
    stage = Stage(buying(fault("reply_lost", interface="supplier.mill", lasts="2s"), interfaces=interfaces))
    stage.order("o1", {"mug": 30}, at=SECOND)
    stage.run(5 * DAY)
    bought = sum(line.quantity for _, event in stage.events(PurchaseOrderCreated) for line in event.lines)
    assert bought == 70
    assert len(stage.rows("delivery.doubled")) == doubled
    assert sum(row.quantity for row in stage.rows("stock.received")) == bought * (1 + doubled)
    assert bool(stage.account().differences) == bool(doubled)


def test_an_invoice_posted_twice_stands_twice_in_the_ledger() -> None:  # RC-06
    interfaces = [{"id": "ledger", "to": "erp", "dedupe": "off"}]
    stage = Stage(faulty(fault("reply_lost", interface="ledger", lasts="2s"), interfaces=interfaces))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert stage.world.erp.invoiced_minor == 2 * 450
    assert [row.node for row in stage.rows("delivery.doubled")] == ["erp"]
    assert any("invoiced" in difference or "ledger" in difference for difference in stage.account().differences)


# --- replies


def test_what_is_done_with_its_answer_lost_is_done_once() -> None:  # RC-06
    stage = one(fault("reply_lost", interface="wms", lasts="2s"), warehouses=PICKED_SLOWLY)
    assert len(stage.rows("delivery.repeated")) == 1
    assert len(stage.rows("stock.shipped")) == 1
    assert len(stage.events(DeliverySucceeded)) >= 1
    # The partner's own messages came through.
    assert len(stage.commands(ConfirmShipment)) == len(stage.commands(ConfirmPick)) == 1
    stage.check_books()


def test_a_ship_notice_tells_what_a_lost_answer_would_have() -> None:  # RC-06
    stage = one(fault("reply_lost", interface="wms", lasts="2s"))
    assert not stage.events(DeliveryRetried)
    assert len(stage.rows("stock.shipped")) == 1
    assert not stage.state.deliveries
    stage.check_books()


def test_an_answer_after_the_timeout_finds_a_retry_under_way() -> None:  # RC-08
    stage = one(fault("reply_late", interface="wms", lasts="2s", delay="32s"))
    answers = [(command.attempt, command.outcome) for command in stage.commands(AcknowledgeDelivery)]
    assert ("o1/main/1", 1, "reply_late:wms reply_late") in hits(stage)
    assert (1, "succeeded") in answers
    assert len(stage.rows("stock.shipped")) == 1
    stage.check_books()


def test_a_reply_that_comes_twice_is_taken_once() -> None:  # RC-06
    stage = one(fault("duplicate", interface="wms", direction="reply", endpoint="warehouse.confirm_*", after="1s"))
    assert len(stage.commands(ConfirmShipment)) == 2
    assert len(stage.events(GoodsShipped)) == 1
    assert not [row for row in hits(stage) if row[1]], "answers to calls are no warehouse messages"
    stage.check_books()


def test_a_lost_855_is_nothing_but_a_date_that_nobody_knows() -> None:
    stage = Stage(buying(fault("loss", interface="supplier.*", direction="reply", endpoint="supplier.acknowledge")))
    stage.order("o1", {"mug": 30}, at=SECOND)
    stage.run(5 * DAY)
    purchase = stage.events(PurchaseOrderCreated)[0][1].purchase_order
    assert hits(stage) == [(purchase, 0, "loss:supplier.* loss")]
    assert not stage.commands(AcknowledgePurchaseOrder)
    stage.check_books()


def test_a_lost_shipment_message_leaves_an_order_open_and_no_unit_unaccounted() -> None:  # RC-16
    stage = one(fault("loss", interface="wms", direction="reply", endpoint="warehouse.confirm_shipment"))
    assert len(stage.rows("stock.shipped")) == 1
    assert not stage.commands(ConfirmShipment)
    truth = stage.physical() - sum(row.quantity for row in stage.rows("stock.shipped"))
    assert truth == 200
    assert violations(stage.state) == []
    assert "o1" in stage.state.orders


@pytest.mark.parametrize(
    ("spec", "off"),
    [
        (fault("wrong_answer", shift="6h"), -6 * HOUR),
        (fault("wrong_answer", shift="6h", says="late"), 6 * HOUR),
        (fault("schema_drift", interface="supplier.mill", misread_by="1d"), DAY),
        (fault("clock_skew", interface="supplier.mill", offset="1h"), HOUR),
        (fault("clock_skew", interface="supplier.mill", offset="1h", clock="behind"), -HOUR),
    ],
)
def test_a_date_is_wrong_and_the_goods_come_when_they_come(spec: dict[str, Any], off: int) -> None:  # IM-09
    right, wrong = Stage(buying()), Stage(buying(spec))
    for stage in (right, wrong):
        stage.order("o1", {"mug": 30}, at=SECOND)
        stage.run(5 * DAY)
    etas = [stage.commands(AcknowledgePurchaseOrder)[0].eta for stage in (right, wrong)]
    assert etas[1] - etas[0] == off
    came = [[row.at for row in stage.rows("stock.received")] for stage in (right, wrong)]
    assert came[0] == came[1]
    assert [detail for key, attempt, detail in hits(wrong) if not attempt and key.startswith("PO/")]
    wrong.check_books()


def test_goods_come_whose_order_was_said_not_to_be_taken() -> None:
    spec = fault("wrong_answer", says="rejected", shift=None)
    stage = Stage(buying(spec))
    stage.order("o1", {"mug": 30}, at=SECOND)
    stage.run(5 * DAY)
    rejected = stage.events(PurchaseOrderRejected)
    assert rejected
    assert sum(row.quantity for row in stage.rows("stock.received")) >= 70
    # The engine knows of no such purchase any more; the next count finds the goods.
    refused = [entry.refusal.code for entry in stage.log.entries if entry.refusal is not None]
    assert "unknown_purchase_order" in refused
    assert stage.cell().on_hand == stage.physical()
    stage.check_books()


def test_a_clock_that_is_off_stamps_every_message() -> None:
    stage = one(fault("clock_skew", interface="wms", offset="1h"))
    shipped = stage.commands(ConfirmShipment)[0]
    assert shipped.time - stage.rows("stock.shipped")[0].at == HOUR
    assert len(stage.events(GoodsShipped)) == 1


def test_a_lost_confirmation_of_the_erp_is_asked_for_again() -> None:
    stage = one(fault("reply_lost", interface="ledger", lasts="2s"))
    assert len(stage.commands(ConfirmInvoice)) == 1
    assert stage.world.erp.invoices == 1
    stage.check_books()


def test_replies_wait_until_their_way_is_open_again() -> None:
    stage = Stage(faulty(fault("outage", interface="wms", direction="reply", begins="0s", lasts="10m")))
    stage.order("o1", at=SECOND)
    stage.run(HOUR)
    assert [stage.since_start(row.at) for row in stage.rows("stock.shipped")] == [SECOND + 1]
    # The call is repeated meanwhile, and the first answer settles it.
    assert [at for at, _ in stage.events(GoodsShipped)] == [10 * MINUTE + 1]
    assert len(stage.rows("delivery.repeated")) == len(stage.events(DeliveryRetried)) > 2
    assert not stage.world.interfaces["warehouse/main"].kept
    stage.check_books()


def test_a_lost_milestone_leaves_the_order_on_its_way() -> None:  # RC-16
    carriers = [{"id": "van.status", "to": "carrier/van"}]
    spec = fault("loss", interface="van.*", direction="reply", endpoint="carrier.milestone")
    stage = one(spec, interfaces=carriers)
    stage.run(DAY)
    assert len(stage.rows("shipment.delivered")) == 1
    assert not stage.events(ShipmentDelivered)
    assert hits(stage)[0] == ("o1/main/1/s", 0, "loss:van.* loss")
    assert "o1" in stage.state.orders
    assert violations(stage.state) == []


# --- where


def test_an_endpoint_is_down_and_the_others_at_the_interface_go_on() -> None:
    spec = fault("outage", interface="*", endpoint="erp.*", begins="0s", lasts="10m")
    stage = one(spec)
    assert len(stage.rows("stock.shipped")) == 1
    ledger = stage.rows("fault.hit")
    assert {row.node for row in ledger} == {"interface/ledger"}
    confirmed = [entry.now for entry in stage.log.entries if isinstance(entry.command, ConfirmInvoice)]
    assert [stage.since_start(at) for at in confirmed[:1]] == [10 * MINUTE + 1]
    stage.check_books()


def test_a_pattern_names_interfaces() -> None:
    stage = Stage(buying(fault("duplicate", interface="supplier.*")))
    stage.order("o1", {"mug": 30}, at=SECOND)
    stage.run(5 * DAY)
    assert {row.node for row in stage.rows("fault.hit")} == {"interface/supplier.mill"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"faults": [fault("loss", interface="suplier.*")]},
         "unknown interface 'suplier.*'; interfaces here: wms, supplier.mill, ledger"),
        ({"faults": [fault("loss", endpoint="supplier.order")]},
         "faults[0].endpoint: unknown endpoint 'supplier.order'; endpoints here: "),
        ({"faults": [fault("loss", interface="wms", endpoint="erp.*")]},
         "faults[0].endpoint: unknown endpoint 'erp.*'; endpoints here: warehouse.release"),
        ({"faults": [fault("loss", interface="wms", endpoint="warehouse.confirm_pick")]},
         "unknown endpoint 'warehouse.confirm_pick'; endpoints here: warehouse.release"),
        ({"faults": [fault("loss", interface="ledger", direction="reply", endpoint="stock.*")]},
         "unknown endpoint 'stock.*'; endpoints here: erp.invoice"),
        ({"faults": [fault("loss", probability="101%")]}, "a probability is 100% at most"),
        ({"faults": [{"kind": "outage", "interface": "*"}]}, "this outage would never end; give for, or markov"),
        ({"faults": [fault("loss", when={"backlog_above": 3})]}, "needs its length; give for"),
        ({"faults": [fault("loss", when={"backlog_above": 3}, lasts="1h", markov={"up": "1h", "down": "1h"})]},
         "when and markov both say when the fault begins; give one"),
        ({"faults": [fault("wrong_answer", interface="wms")]}, "no supplier there acknowledges"),
        ({"faults": [fault("reply_lost")], "policies": {"delivery": {"default": {"acknowledge": False}}}},
         "no answer is waited for; set acknowledge: true in policies.delivery.warehouse and supplier and erp"),
        ({"faults": [fault("error")], "policies": {"delivery": {"erp": {"acknowledge": False}}}},
         "interface 'ledger' may turn calls away, and nobody would know"),
        ({"interfaces": [{"id": "wms", "rate_limit": {"rate": "1/s"}}],
          "policies": {"delivery": {"warehouse": {"acknowledge": False}}}}, "interface 'wms' may turn calls away"),
        ({"faults": [fault("wrong_answer", says="rejected")]}, "give it for early and late, and only there"),
        ({"faults": [fault("outage", direction="reply", calls="turned_away")]}, "replies are not turned away"),
        ({"interfaces": [{"id": "van", "to": "carrier/van", "workers": 2, "service": "1s"}]},
         "since no calls go to carriers unless they are supervised; give policies.delivery.carrier.supervise, or leave "
         "workers, service out"),
        ({"interfaces": [{"id": "van", "to": "carrier/van"}], "faults": [fault("auth", interface="van")]},
         "no calls go to carriers unless they are supervised, they only report"),
        ({"interfaces": [{"id": "van", "to": "carrier/van"}],
          "faults": [fault("loss", interface="van", direction="reply", endpoint="delivery.acknowledge")]},
         "unknown endpoint 'delivery.acknowledge'; endpoints here: carrier.milestone"),
        ({"faults": [fault("rate_limit", rate="0/s")]}, "a rate of 0 lets nothing through"),
        ({"faults": [fault("loss", markov={"up": "0s", "down": "1h"})]}, "up is less than a second on average"),
        ({"faults": [fault("loss", id="a"), fault("loss", id="a")]}, "duplicate id 'a' in faults"),
        ({"faults": [fault("consumer_crash", forgets=True)],
          "interfaces": [{"id": name, "dedupe": "off"} for name in ("wms", "supplier.mill", "ledger")]},
         "there is no memory to forget"),
        ({"interfaces": [{"id": "wms", "dedupe": "never"}]}, "'never' is no duration; write 250ms"),
    ],
)  # fmt: skip
def test_a_mistake_about_faults_gets_a_clear_error(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        faulty().with_changes(changes)
    assert said in str(error.value)


VAN: dict[str, Any] = {
    "interfaces": [{"id": "van", "to": "carrier/van", "workers": 1, "service": "1s"}],
    "policies": {"delivery": {"carrier": {"supervise": {"after": "1h"}}}},
}
"""A carrier that is asked where a parcel is that it says nothing of."""


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "loss"},
        {"kind": "error", "endpoint": "partner.ask_status"},
        {"kind": "reply_lost", "endpoint": "partner.*"},
        {"kind": "loss", "direction": "reply", "endpoint": "delivery.acknowledge"},
        {"kind": "loss", "direction": "reply", "endpoint": "partner.report_status"},
    ],
)
def test_what_a_supervised_carrier_is_asked_and_answers_may_be_hit(spec: dict[str, Any]) -> None:
    # IM-02
    silent = {"kind": "loss", "interface": "van", "direction": "reply", "endpoint": "carrier.milestone", "for": "2d"}
    asked = {**spec, "id": "asked", "interface": "van", "for": "2d"}
    stage = Stage(tiny({**VAN, "faults": [silent, asked]}))
    stage.order("o")
    stage.run(2 * DAY)
    assert [key for key, _, detail in hits(stage) if detail.startswith("asked ") and "/status/" in key]


def test_the_answer_of_a_marketplace_may_be_lost() -> None:
    # IM-02
    lost = {"kind": "loss", "interface": "listing", "direction": "reply", "endpoint": "delivery.acknowledge"}
    face = [{"id": "listing", "to": "marketplace/market"}]
    stage = Stage(market(interfaces=face, faults=[{**lost, "for": "1h"}]))
    stage.run(2 * HOUR)
    assert hits(stage)


def test_a_call_that_waits_for_the_end_of_one_fault_is_hit_by_it_once_whatever_else_ends_meanwhile() -> None:
    outage = {"kind": "outage", "interface": "wms", "calls": "held"}
    partial = {"id": "a", **outage, "endpoint": "warehouse.release", "from": "1h", "for": "9h"}
    whole = [{"id": "b", **outage, "from": "3h", "for": "1h"}, {"id": "c", **outage, "from": "5h", "for": "1h"}]
    wms = [{"id": "wms", "to": "warehouse/main"}]
    patient = {"delivery": {"warehouse": {"timeout": "1d"}}}
    stage = Stage(tiny({"interfaces": wms, "policies": patient, "faults": [partial, *whole]}))
    stage.order("o1", at=2 * HOUR)
    stage.run(2 * DAY)
    assert [row.detail for row in stage.rows("fault.hit") if row.detail == "a outage"] == ["a outage"]


def test_a_copy_of_an_attempt_that_a_crash_left_unanswered_is_answered_once_the_faults_are_over() -> None:
    faults = [
        {"kind": "consumer_crash", "interface": "wms", "at": "after_commit", "from": "0s", "for": "1h1m"},
        {"kind": "duplicate", "interface": "wms", "direction": "call", "after": "10m", "from": "0s", "for": "1h1m"},
    ]
    patient = {"delivery": {"warehouse": {"timeout": "1d"}}}
    stage = Stage(tiny({"interfaces": [{"id": "wms", "to": "warehouse/main"}], "policies": patient, "faults": faults}))
    stage.order("o1", at=HOUR)
    stage.run(3 * HOUR)
    answers = [told for told in stage.commands(AcknowledgeDelivery) if told.delivery.startswith("o1/main")]
    assert len(answers) == 1
