"""Master data in several systems: how things are, what the ERP recorded, and what the engine's copy says of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.world.faulty import FACED
from tests.world.stage import DAY, HOUR, MINUTE, Stage, min_max, tiny
from twin.codec import encode_entry
from twin.core.commands import AcknowledgePurchaseOrder, CaptureOrder, DefineReplenishment, PublishMilestone
from twin.core.events import (
    DeliveryDeadLettered,
    GoodsReceived,
    OrderCaptured,
    PurchaseOrderCreated,
    PurchaseOrderRejected,
    ShipmentDelivered,
)
from twin.core.master import Replenishment
from twin.measures import Facts, Measured, compute_facts
from twin.scenario import Scenario
from twin.scenario.merging import merge_plain

LONGER = {"at": "1h", "item": "mug", "lead_time": "5d"}
DOZENS = {"at": "1h", "item": "mug", "pack": 12}
BLOCKED = {"at": "1h", "item": "mug", "status": "blocked"}


def business(*changes: dict[str, Any], sync: dict[str, Any] | None = None, **more: Any) -> Scenario:
    """Mugs from a mill that takes two days, refilled from 190 up to 200, and these changes of their master data."""
    records = {"master_data": {"changes": list(changes), "sync": sync or {}}}
    return tiny(merge_plain(merge_plain(FACED, min_max(190, 200)), {**records, **more}))


def staged(scenario: Scenario, until: int, *orders: tuple[str, int, int]) -> Stage:
    """The business run up to an instant, with orders of (id, at, mugs)."""
    stage = Stage(scenario)
    for order, at, mugs in orders:
        stage.order(order, {"mug": mugs}, at=at)
    stage.run(until)
    return stage


def measured(stage: Stage, until: int) -> dict[str, Measured]:
    """Every measure of the run up to an instant."""
    start = stage.scenario.run.start
    facts = Facts.collect(stage.log.entries, start, start + until, trace=True)
    return compute_facts(facts, stage.truth.rows)


def copy(stage: Stage) -> tuple[int, int, bool]:
    """What the engine believes of the mug: lead time (ms), pack, and whether it is blocked."""
    rule = stage.state.replenishment["main"]["mug"]
    return rule.lead_time_ms, rule.pack, stage.state.items["mug"].blocked


def expected_and_real(stage: Stage) -> list[tuple[int, int]]:
    """Of each purchase order: after which time its goods were expected, and came."""
    came = {event.purchase_order: at for at, event in stage.events(GoodsReceived)}
    return [
        (stage.since_start(event.eta) - at, came[event.purchase_order] - at)
        for at, event in stage.events(PurchaseOrderCreated)
    ]


def test_a_decision_uses_the_old_value_until_the_copy_has_the_new_one_and_the_supplier_goes_by_the_truth() -> None:
    # MD-01
    stage = staged(business(LONGER, sync={"every": "4h"}), 20 * DAY, ("a", 2 * HOUR, 20), ("b", 8 * HOUR, 20))
    (early, late) = expected_and_real(stage)
    assert early[0] == 2 * DAY
    assert late[0] == 5 * DAY
    assert [real // DAY for _, real in (early, late)] == [5, 5]
    (told,) = stage.commands(DefineReplenishment)[1:]
    assert stage.since_start(told.time) == 4 * HOUR


def test_without_times_of_its_own_the_sync_follows_every_change_by_the_latency_of_the_erp() -> None:
    # MD-01
    stage = staged(business(LONGER, DOZENS), 2 * HOUR)
    assert copy(stage) == (5 * DAY, 12, False)
    found = measured(stage, 2 * HOUR)
    assert found["master_data_mismatches"].value == 2
    assert found["master_data_mismatch_age"].value == 1
    assert found["master_data_mismatches/at_end"].value == 0


def test_what_is_wrong_is_counted_by_how_long_it_was_wrong() -> None:
    # MD-01
    stage = staged(business(LONGER, sync={"every": "4h"}), 10 * HOUR)
    found = measured(stage, 10 * HOUR)
    assert found["master_data_mismatches"].value == 1
    assert found["master_data_mismatch_age/max"].value == 3 * HOUR + 1
    mean = found["mean_master_data_mismatches"]
    assert (mean.numerator, mean.denominator) == (3 * HOUR + 1, 10 * HOUR)


def test_what_the_erp_has_not_heard_of_yet_is_no_mismatch_between_systems_but_hits_orders() -> None:
    # MD-01, MD-02
    late = business({**LONGER, "known": "1d"}, stock=[{"warehouse": "main", "item": "mug", "on_hand": 5}])
    stage = staged(late, 20 * HOUR, ("a", 10 * HOUR, 300))
    found = measured(stage, 20 * HOUR)
    assert found["master_data_mismatches"].value == 0
    assert found["orders_hit_by_master_data"].value == 1
    assert found["orders_hit_by_master_data/field=lead_time"].value == 1


@pytest.mark.parametrize(("sends", "pack", "left"), [("changes", 0, 1), ("all", 12, 0)])
def test_a_lost_change_is_put_right_by_a_sync_of_everything_and_by_nothing_else(
    sends: str, pack: int, left: int
) -> None:
    # MD-01
    loss = {"kind": "loss", "interface": "ledger", "endpoint": "replenishment.define", "direction": "reply"}
    lost = business(DOZENS, sync={"every": "4h", "sends": sends}, faults=[{**loss, "for": "5h"}])
    stage = staged(lost, 9 * HOUR)
    assert copy(stage)[1] == pack
    found = measured(stage, 9 * HOUR)
    assert found["master_data_mismatches/at_end"].value == left
    assert found["master_data_mismatch_age/max"].value == (7 * HOUR + 1 if sends == "all" else 8 * HOUR)


@pytest.mark.parametrize("sends", ["changes", "all"])
def test_a_sync_that_overtakes_a_newer_one_changes_nothing_back(sends: str) -> None:
    # MD-01
    slow = {"kind": "latency", "interface": "ledger", "endpoint": "*.define", "direction": "reply", "delay": "10h"}
    changes = ({**DOZENS, "at": "1h"}, {**DOZENS, "at": "5h", "pack": 6}, {**LONGER, "at": "5h"})
    # What is sent at 4 h comes at 14 h, behind all that is sent at 8 h and 12 h.
    late = business(*changes, sync={"every": "4h", "sends": sends}, faults=[{**slow, "from": "3h", "for": "2h"}])
    stage = staged(late, 15 * HOUR)
    outdated = [
        (stage.since_start(entry.now) // HOUR, type(entry.command).__name__)
        for entry in stage.log.entries
        if entry.refusal is not None and entry.refusal.code == "outdated"
    ]
    assert outdated == [(14, "DefineReplenishment")]
    assert copy(stage) == (5 * DAY, 6, False)
    found = measured(stage, 15 * HOUR)
    assert found["master_data_mismatches/at_end"].value == 0


def test_the_records_wait_for_the_end_of_an_outage_as_any_message_of_the_erp_does() -> None:
    # MD-01
    outage = {"kind": "outage", "interface": "ledger", "direction": "reply", "from": "30m", "for": "6h"}
    stage = staged(business(DOZENS, faults=[outage]), 8 * HOUR)
    assert measured(stage, 8 * HOUR)["master_data_mismatch_age/max"].value == 5 * HOUR + 30 * MINUTE + 1


def test_an_order_over_broken_packs_is_refused_and_whole_packs_are_bought_once_the_copy_knows() -> None:
    # MD-02
    changes = business(
        DOZENS,
        sync={"every": "4h"},
        stock=[{"warehouse": "main", "item": "mug", "on_hand": 195}],
    )
    stage = staged(changes, 9 * DAY, ("a", 2 * HOUR, 300), ("b", 2 * DAY, 7))
    first, second = [event.lines[0].quantity for _, event in stage.events(PurchaseOrderCreated)][:2]
    assert first % 12
    assert second % 12 == 0
    (refused,) = stage.events(PurchaseOrderRejected)
    (row,) = stage.rows("master.refused")
    assert (row.subject, row.sku, row.detail) == (refused[1].purchase_order, "mug", "pack")
    assert measured(stage, 9 * DAY)["orders_hit_by_master_data/field=pack"].value == 1
    stage.check_books()


def test_an_item_with_a_pack_is_bought_in_whole_packs_from_the_start() -> None:
    # MD-02
    mugs = [{"id": "mug", "price": "4.50 GBP", "cost": "2.00 GBP", "pack": 24}]
    scenario = tiny(merge_plain(merge_plain(FACED, min_max(190, 200)), {"items": mugs}))
    stage = staged(scenario, 9 * DAY, ("a", HOUR, 30))
    assert [event.lines[0].quantity for _, event in stage.events(PurchaseOrderCreated)] == [48]
    assert not stage.events(PurchaseOrderRejected)


def test_an_item_that_is_not_made_any_more_is_refused_by_its_supplier_and_by_the_engine_once_it_knows() -> None:
    # MD-02
    ended = business(BLOCKED, sync={"every": "4h"}, stock=[{"warehouse": "main", "item": "mug", "on_hand": 195}])
    stage = staged(ended, DAY, ("a", 2 * HOUR, 300), ("b", 5 * HOUR, 1))
    assert [event.order for _, event in stage.events(OrderCaptured)] == ["a"]
    refused = [entry.refusal for entry in stage.log.entries if isinstance(entry.command, CaptureOrder)][1]
    assert refused is not None
    assert refused.code == "blocked_item"
    assert [command.code for command in stage.commands(AcknowledgePurchaseOrder)] == ["rejected"]
    assert measured(stage, DAY)["orders_hit_by_master_data/field=status"].value == 1


@pytest.mark.parametrize(("change", "refused"), [(BLOCKED, "status"), (DOZENS, "pack")])
def test_a_supplier_who_is_asked_in_anothers_stead_goes_by_the_truth_as_well(
    change: dict[str, Any], refused: str
) -> None:
    # MD-01, MD-02
    mill = {"id": "mill", "lead_time": "2d", "latency": "1ms", "acknowledgement": "1h"}
    buying = {**min_max(190, 200)["policies"]["replenishment"][0], "alternates": ["forge"]}
    delivery = {"supplier": {"deadline": "1m", "retries": {"max": 0}, "fallback": {"to": "alternate"}}}
    scenario = business(
        {**change, "known": "5d"},
        suppliers=[mill, {**mill, "id": "forge"}],
        policies={"replenishment": [buying], "delivery": delivery},
        faults=[{"kind": "outage", "interface": "supplier.mill", "calls": "turned_away", "for": "2d"}],
    )
    stage = staged(scenario, 2 * DAY, ("a", 2 * HOUR, 21))
    asked = [event.supplier for _, event in stage.events(PurchaseOrderCreated)][:2]
    assert asked == ["mill", "forge"]
    assert refused in [row.detail for row in stage.rows("master.refused") if row.subject.endswith("/forge")]


def test_a_lead_time_is_that_of_the_supplier_who_usually_makes_it_and_of_nobody_asked_in_its_stead() -> None:
    # MD-01
    mill = {"id": "mill", "lead_time": "2d", "latency": "1ms"}
    buying = {**min_max(190, 200)["policies"]["replenishment"][0], "alternates": ["forge"]}
    policies = {"replenishment": [buying], "delivery": {"supplier": {"fallback": {"to": "alternate"}}}}
    stage = staged(business(LONGER, suppliers=[mill, {**mill, "id": "forge"}], policies=policies), 2 * HOUR)
    changed = {name: stage.world.actors[f"supplier/{name}"].changed for name in ("mill", "forge")}  # type: ignore[attr-defined]
    assert {name: list(skus) for name, skus in changed.items()} == {"mill": ["mug"], "forge": []}


def test_a_pack_is_known_to_all_who_may_be_asked_for_the_item() -> None:
    # MD-02
    mugs = [{"id": "mug", "price": "4.50 GBP", "cost": "2.00 GBP", "pack": 24}]
    mill = {"id": "mill", "lead_time": "2d"}
    buying = {**min_max(190, 200)["policies"]["replenishment"][0], "alternates": ["forge"]}
    policies = {"replenishment": [buying], "delivery": {"supplier": {"fallback": {"to": "alternate"}}}}
    changes = {"items": mugs, "suppliers": [mill, {**mill, "id": "forge"}], "policies": policies}
    stage = Stage(tiny(merge_plain(FACED, changes)))
    packs = [stage.world.actors[f"supplier/{name}"].packs for name in ("mill", "forge")]  # type: ignore[attr-defined]
    assert packs == [{"mug": 24}, {"mug": 24}]


def test_a_supplier_refuses_an_order_below_a_minimum_that_its_buyer_does_not_know_yet() -> None:
    # MD-01, MD-02
    minimum = {"at": "1h", "supplier": "mill", "minimum_order": 500}
    raised = business(minimum, sync={"every": "4h"}, stock=[{"warehouse": "main", "item": "mug", "on_hand": 195}])
    stage = staged(raised, 9 * DAY, ("a", 2 * HOUR, 300), ("b", 2 * DAY, 200))
    bought = [event.lines[0].quantity for _, event in stage.events(PurchaseOrderCreated)]
    assert bought[0] < 500 <= bought[1]
    (row,) = stage.rows("master.refused")
    assert (row.quantity, row.detail) == (bought[0], "minimum_order")
    found = measured(stage, 9 * DAY)
    assert found["orders_hit_by_master_data/field=minimum_order"].value == 1
    assert found["master_data_mismatch_age"].value == 3 * HOUR + 1
    assert len(stage.events(PurchaseOrderRejected)) == 1


def test_a_mistake_in_the_erp_spreads_to_the_copy_and_reality_stays_as_it_is() -> None:
    # MD-02
    mistake = {**DOZENS, "pack": 7, "mistake": True}
    scenario = business(DOZENS, {**mistake, "at": "2h"}, stock=[{"warehouse": "main", "item": "mug", "on_hand": 195}])
    stage = staged(scenario, DAY, ("a", 3 * HOUR, 304))
    assert copy(stage)[1] == 7
    assert [row.detail for row in stage.rows("master.refused")] == ["pack"]
    found = measured(stage, DAY)
    assert found["master_data_mismatches"].value == 2
    assert found["master_data_mismatches/at_end"].value == 0
    assert found["orders_hit_by_master_data/field=pack"].value == 1


def bad(**keys: Any) -> dict[str, Any]:
    return {"kind": "bad_master_data", "interface": "ledger", **keys}


def test_an_item_that_is_blocked_by_mistake_loses_sales_until_a_full_sync() -> None:
    # MD-02
    mistake = business(sync={"every": "4h", "sends": "all"}, faults=[bad(status="blocked", **{"for": "5h"})])
    stage = staged(mistake, DAY, ("a", 2 * HOUR, 1), ("b", 5 * HOUR, 1), ("c", 9 * HOUR, 1))
    assert [event.order for _, event in stage.events(OrderCaptured)] == ["a", "c"]
    found = measured(stage, DAY)
    assert found["orders_hit_by_master_data/field=status"].value == 1
    assert found["master_data_mismatch_age/max"].value == 4 * HOUR


@pytest.mark.parametrize(
    ("fault", "believed"),
    [
        (bad(lead_time="1h"), (HOUR, 12, False)),
        (bad(pack=50), (5 * DAY, 50, False)),
        (bad(defect="missing", field="pack"), (5 * DAY, 0, False)),
        (bad(defect="missing", field="lead_time"), (0, 12, False)),
        (bad(defect="duplicate", field="lead_time"), (2 * DAY, 12, False)),
        (bad(pack=50, record="cup*"), (5 * DAY, 12, False)),
        (bad(pack=50, probability="0%"), (5 * DAY, 12, False)),
        (bad(minimum_order=50), (5 * DAY, 12, False)),
    ],
)
def test_a_record_may_be_wrong_missing_or_double_and_only_the_copy_is(
    fault: dict[str, Any], believed: tuple[int, int, bool]
) -> None:
    # MD-02
    dozens_first = {**DOZENS, "at": "1m"}
    stage = staged(business(dozens_first, LONGER, faults=[fault]), 2 * HOUR)
    assert copy(stage) == believed
    records = stage.world.master_data
    assert records is not None
    rule = records.records["main", "mug"]
    assert isinstance(rule, Replenishment)
    assert (rule.lead_time_ms, rule.pack) == (5 * DAY, 12)
    assert bool(stage.rows("fault.hit")) == (believed != (5 * DAY, 12, False))


def test_a_parcel_with_a_wrong_address_goes_astray_and_is_there_once_it_was_put_right() -> None:
    # MD-02
    fault = {"kind": "bad_address", "interface": "wms", "corrected": "1d"}
    stage = staged(tiny(merge_plain(FACED, {"faults": [fault]})), 5 * DAY, ("a", HOUR, 1))
    told = [(command.milestone, stage.since_start(command.time)) for command in stage.commands(PublishMilestone)]
    assert told[-2:] == [("exception", HOUR + 4 * HOUR + 1), ("delivered", HOUR + DAY + 8 * HOUR + 1)]
    assert len(stage.events(ShipmentDelivered)) == 1
    assert measured(stage, 5 * DAY)["orders_hit_by_master_data/field=address"].value == 1
    stage.check_books()


def test_an_order_without_an_address_is_refused_for_good_and_waits_visibly() -> None:
    # MD-02
    fault = {"kind": "bad_address", "interface": "wms", "defect": "missing", "for": "6h"}
    clerk = {"id": "clerk", "kind": "redrive", "actor": "bea", "at": "8h", "gateway": "warehouse/*"}
    stage = staged(tiny(merge_plain(FACED, {"faults": [fault], "interventions": [clerk]})), 5 * DAY, ("a", HOUR, 1))
    (dead,) = [event for _, event in stage.events(DeliveryDeadLettered)]
    assert (dead.reason, dead.outcome, dead.attempts) == ("refused: 422 address missing", "refused", 1)
    assert len(stage.events(ShipmentDelivered)) == 1
    assert measured(stage, 5 * DAY)["orders_hit_by_master_data/field=address"].value == 1


def test_an_address_is_put_right_by_whoever_sends_the_order_again_but_not_by_a_tool() -> None:
    # MD-02
    fault = {"kind": "bad_address", "interface": "wms", "defect": "missing"}
    storm = {"kind": "redrive_storm", "interface": "wms", "every": "1h", "from": "3h", "for": "3h"}
    clerk = {"id": "clerk", "kind": "redrive", "actor": "bea", "at": "8h", "gateway": "warehouse/*"}
    changes = {"faults": [fault, storm], "interventions": [clerk]}
    stage = staged(tiny(merge_plain(FACED, changes)), 5 * DAY, ("a", HOUR, 1))
    dead = [stage.since_start(at + stage.scenario.run.start) // HOUR for at, _ in stage.events(DeliveryDeadLettered)]
    # The fault lasts to the end of the run.
    assert dead == [1, 3, 4, 5]
    assert [at // HOUR for at, _ in stage.events(ShipmentDelivered)] == [8 + 4]


def test_a_business_whose_records_change_can_be_forked_and_goes_on_alike() -> None:
    # MD-01
    scenario = business(LONGER, DOZENS, sync={"every": "4h", "sends": "all"}, faults=[bad(pack=7, **{"for": "9h"})])
    stage = staged(scenario, 2 * HOUR, ("a", HOUR, 20))
    twin = stage.fork()
    first = stage.log.position
    for one in (stage, twin):
        one.run(3 * DAY)
    assert [encode_entry(entry) for entry in stage.log.entries[first:]] == [
        encode_entry(entry) for entry in twin.log.entries
    ]
    assert copy(twin) == (5 * DAY, 12, False)


def test_bad_records_of_probability_zero_leave_the_log_as_it_is() -> None:
    # MD-02
    sync = {"every": "4h", "sends": "all"}
    plain, spoiled = (
        staged(business(LONGER, sync=sync, faults=faults), DAY, ("a", 2 * HOUR, 20))
        for faults in ([], [bad(pack=50, probability="0%")])
    )
    assert plain.log.digest == spoiled.log.digest


MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"master_data": {}}, "no record ever changes or is wrong"),
    ({"master_data": {"changes": [{"at": "1h", "item": "mug"}]}}, "give one"),
    ({"master_data": {"changes": [{**LONGER, "pack": 2}]}}, "give one"),
    ({"master_data": {"changes": [{**DOZENS, "at": "61d"}]}}, "let it change earlier"),
    ({"master_data": {"changes": [DOZENS], "sync": {"sends": "all"}}}, "give every"),
    ({"master_data": {"changes": [{**DOZENS, "item": "cup"}]}}, "cup"),
    ({"master_data": {"changes": [{"at": "1h", "pack": 2}]}}, "anything else of an item"),
    ({"master_data": {"changes": [{"at": "1h", "item": "mug", "minimum_order": 2}]}}, "minimum_order is of a supplier"),
    ({"master_data": {"changes": [{**DOZENS, "mistake": True, "known": "1h"}]}}, "leave known out"),
    ({"faults": [bad(pack=3)]}, "give the scenario master_data"),
    ({"faults": [bad()]}, "give one of lead_time, pack, status"),
    ({"faults": [bad(defect="missing", pack=3)]}, "give the field that is missing"),
    ({"faults": [{"kind": "bad_address", "interface": "ledger"}]}, "no warehouse ships there"),
    ({"faults": [{"kind": "bad_address", "interface": "wms", "endpoint": "erp.*"}]}, "leave endpoint out"),
    ({"faults": [{"kind": "bad_address", "interface": "wms", "defect": "missing", "corrected": "1d"}]}, "corrected"),
]


@pytest.mark.parametrize(("change", "says"), MISFITS)
def test_what_could_have_no_effect_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        tiny(merge_plain(merge_plain(FACED, min_max(190, 200)), change))


def test_a_change_that_nobody_buys_by_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody buys 'mug'"):
        tiny({"master_data": {"changes": [DOZENS]}})


SLOW = {"interface": "wms", "direction": "reply", "from": "0s"}


@pytest.mark.parametrize(
    ("trouble", "policy"),
    [
        ({"kind": "loss", **SLOW, "for": "61m"}, {"timeout": "5m"}),
        ({"kind": "latency", **SLOW, "delay": "10m", "for": "9h"}, {"timeout": "5m"}),
        ({"kind": "latency", **SLOW, "delay": "10m", "for": "9h"}, {"timeout": "30m", "hedge": {"after": "1m"}}),
    ],
    ids=["a lost refusal", "a late refusal", "a hedge"],
)
def test_no_attempt_that_nobody_looked_at_puts_an_address_right(
    trouble: dict[str, Any], policy: dict[str, Any]
) -> None:
    missing = {"kind": "bad_address", "interface": "wms", "defect": "missing", "from": "0s", "for": "9h"}
    wms = [{"id": "wms", "to": "warehouse/main"}]
    delivery = {"policies": {"delivery": {"warehouse": policy}}}
    stage = Stage(tiny({"interfaces": wms, "faults": [missing, trouble], **delivery}))
    stage.order("o1", at=HOUR)
    stage.run(10 * HOUR)
    assert list(stage.state.dead_letters) == ["o1/main/1"]
    assert not stage.rows("stock.shipped")


def test_an_address_that_was_put_right_stays_so_whoever_sends_the_order_again_then() -> None:
    faults = [
        {"kind": "bad_address", "interface": "wms", "defect": "missing", "for": "9d"},
        {"kind": "error", "class": "permanent", "interface": "wms", "from": "5h", "for": "2h"},
        {"kind": "redrive_storm", "interface": "wms", "every": "1h", "from": "8h30m", "for": "90m"},
    ]
    people = [{"kind": "redrive", "at": "6h"}]
    stage = Stage(
        tiny({"interfaces": [{"id": "wms", "to": "warehouse/main"}], "faults": faults, "interventions": people})
    )
    stage.order("o1", at=HOUR)
    stage.run(2 * DAY)
    assert not stage.state.dead_letters and stage.rows("stock.shipped")


def test_of_two_changes_of_one_instant_the_second_holds_whichever_message_comes_last() -> None:
    slow = {"interface": "ledger", "endpoint": "*.define", "direction": "reply", "from": "0s", "for": "2h"}
    reorder = {"kind": "reorder", **slow, "probability": "50%", "delay": "10m"}
    scenario = business(DOZENS, LONGER, faults=[reorder])
    told = []
    for seed in range(1, 9):
        stage = Stage(scenario, seed)
        stage.run(2 * DAY)
        told.append(
            [entry.refusal is None for entry in stage.log.entries if isinstance(entry.command, DefineReplenishment)]
        )
        assert measured(stage, 2 * DAY)["master_data_mismatches/at_end"].value == 0
    # In some of them the first message came last.
    assert any(False in each for each in told)
