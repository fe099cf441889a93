"""Who was hit while an interface failed: found in the log, and held against what really happened at the interface."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.world.stage import DAY, HOUR, MILL, MINUTE, SECOND, Stage, min_max, tiny
from twin.cli import main
from twin.core.effects import Delivery
from twin.core.events import PurchaseOrderCreated
from twin.measures import Facts, harmed
from twin.observability import BlastRadius, Score, blast_radius, hits_of, score, scored_blast_radius
from twin.run import Twin
from twin.scenario.merging import merge_plain
from twin.world.party import Party

WMS = {"id": "wms", "to": "warehouse/main", "workers": 1, "service": "1s"}
POLICY = {"delivery": {"warehouse": {"timeout": "1h", "deadline": "5h"}}}


def held(**changes: Any) -> Stage:
    """The tiny business whose WMS holds calls from 1:00 to 2:00."""
    outage = {"kind": "outage", "interface": "wms", "from": "1h", "for": "1h"}
    return Stage(tiny({"interfaces": [WMS], "faults": [outage], "policies": POLICY, **changes}))


def hit(stage: Stage, glob: str = "warehouse/*", begin: int = HOUR, end: int = 2 * HOUR) -> BlastRadius:
    start = stage.scenario.run.start
    return blast_radius(stage.log.entries, glob, start + begin, start + end)


def test_what_waited_at_the_interface_is_what_the_log_says_was_hit() -> None:  # OB-02
    stage = held()
    for number in range(100):
        stage.order(f"o{number}", {"mug": 1 + number % 2}, at=number * 2 * MINUTE)
    stage.run(2 * HOUR - 1)
    waited = [call.correlation for _, _, call in stage.world.interfaces["warehouse/main"].queue]
    stage.run(6 * HOUR)
    found = hit(stage)
    assert len(waited) == 30
    assert score(found.orders, waited) == Score(30, 30, 30)
    assert found.orders == {order: 450 * (1 + int(order[1:]) % 2) for order in waited}
    assert found.value("orders") == 30 * 450 * 3 // 2
    # The parcels that came of it, and their invoices, long after the window.
    assert list(found.tasks.values()) == list(found.orders.values())
    assert sorted(found.shipments) == sorted(f"{task}/s" for task in found.tasks)
    assert found.value("documents") == found.value("shipments") == found.value("orders")


def test_another_interface_or_another_hour_hits_nobody() -> None:
    stage = held()
    for number in range(60):
        stage.order(f"o{number}", at=number * 3 * MINUTE)
    stage.run(6 * HOUR)
    assert not hit(stage, "erp").messages
    assert not hit(stage, begin=10 * MINUTE, end=HOUR).messages
    assert not hit(stage, begin=3 * HOUR, end=4 * HOUR).messages


@pytest.mark.parametrize(
    ("policy", "how"),
    [
        ({"timeout": "10m", "retries": {"max": 0}}, "unknown"),
        (
            {"timeout": "10m", "deadline": "5h", "retries": {"max": 9, "backoff": "3h", "cap": "3h", "jitter": "none"}},
            "unknown",
        ),
        ({"timeout": "2h"}, "slow"),
    ],
)
def test_a_message_is_touched_by_what_its_sender_saw(policy: dict[str, Any], how: str) -> None:
    stage = held(policies={"delivery": {"warehouse": policy}})
    stage.order("before", at=HOUR - MINUTE)
    stage.order("during", at=HOUR + MINUTE)
    stage.run(3 * HOUR)
    assert {one.correlation: one.how for one in hit(stage).messages.values()} == {"during": how}


@pytest.mark.parametrize("hours", [0, 6])
def test_without_an_answer_before_the_window_others_tell_what_is_slow(hours: int) -> None:
    # The outage lasts from the beginning on. With nothing answered outside the window, nothing tells what is usual.
    outages = [{"kind": "outage", "interface": "wms", "from": "0s", "for": "1h"}]
    stage = held(faults=outages)
    stage.order("held", at=MINUTE)
    for number in range(5):
        stage.order(f"o{number}", at=HOUR + (number + 1) * MINUTE)
    stage.run(8 * HOUR)
    found = hit(stage, begin=0, end=HOUR + hours * HOUR)
    touched = ["held"] if hours == 0 else ["held", "o0", "o1", "o2", "o3", "o4"]
    assert {one.correlation: one.how for one in found.messages.values()} == dict.fromkeys(touched, "slow")
    assert list(found.shipments) == [f"{order}/main/1/s" for order in touched]
    assert list(found.documents) == [f"INV/{order}/main/1/s" for order in touched]


def test_a_call_that_was_turned_away_failed() -> None:
    stage = held(faults=[{"kind": "outage", "interface": "wms", "from": "1h", "for": "1h", "calls": "turned_away"}])
    stage.order("before", at=HOUR - MINUTE)
    stage.order("during", at=HOUR + MINUTE)
    stage.run(3 * HOUR)
    start = stage.scenario.run.start
    hits = hits_of(stage.truth.rows, start + HOUR, start + 2 * HOUR)
    blast = scored_blast_radius(stage.log.entries, "warehouse/*", start + HOUR, start + 2 * HOUR, hits)
    assert [one.how for one in blast.found.messages.values()] == ["failed"]
    assert blast.found.orders == blast.true.orders == {"during": 450}
    assert blast.found.shipments == blast.true.shipments
    assert blast.score("orders") == Score(1, 1, 1)


def test_what_waits_for_its_retry_while_the_interface_fails_is_touched() -> None:
    # It fails before the window that is asked for, and is sent again after it.
    stage = held(
        policies={
            "delivery": {"warehouse": {"timeout": "5m", "retries": {"backoff": "3h", "cap": "3h", "jitter": "none"}}}
        }
    )
    stage.order("o1", at=HOUR + SECOND)
    stage.run(6 * HOUR)
    assert [one.how for one in hit(stage, begin=HOUR + 30 * MINUTE).messages.values()] == ["waiting"]
    start = stage.scenario.run.start
    window = (start + HOUR + 30 * MINUTE, start + 2 * HOUR)
    blast = scored_blast_radius(stage.log.entries, "warehouse/*", *window, [])
    # It was not there when the interface failed in this window, so no truth can have it.
    assert list(blast.found.orders) == ["o1"]
    assert blast.reached.orders == {}


def test_a_call_that_is_not_answered_by_the_end_of_the_log_is_touched() -> None:
    stage = held()
    stage.order("o1", at=HOUR + SECOND)
    stage.run(HOUR + MINUTE)
    assert [one.how for one in hit(stage).messages.values()] == ["open"]


def test_a_purchase_order_counts_with_its_cost_and_the_orders_that_wait_for_it() -> None:
    portal = {"id": "portal", "to": "supplier/mill", "workers": 1, "service": "1s"}
    outage = {"kind": "outage", "interface": "portal", "from": "1h", "for": "1h", "calls": "turned_away"}
    changes = {**MILL, "interfaces": [portal], "faults": [outage]}
    stage = Stage(tiny(merge_plain(min_max(10, 300), changes)))
    stage.order("big", {"mug": 205}, at=HOUR + MINUTE)
    stage.run(12 * HOUR)
    found = hit(stage, "supplier/*")
    assert len(found.purchase_orders) == 1
    [(_, created)] = stage.events(PurchaseOrderCreated)
    # A mug costs 2.00 GBP.
    goods = sum(line.quantity * 200 for line in created.lines)
    assert goods > 0
    assert found.purchase_orders == {created.purchase_order: created.cost_minor + goods}
    assert found.orders == ({"big": 205 * 450} if created.pegs else {})
    assert created.pegs


def test_scores_are_shares() -> None:
    assert score(["a", "b", "c"], ["b", "c", "d", "e"]).precision == Fraction(2, 3)
    assert score(["a", "b", "c"], ["b", "c", "d", "e"]).recall == Fraction(1, 2)
    assert score([], ["a"]).precision is None
    assert score(["a"], []).recall is None


def test_a_call_that_is_answered_twice_was_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Party.answer_transport

    def answer(party: Party, delivery: Delivery, outcome: str, reason: str = "") -> None:
        original(party, delivery, outcome, reason)
        if delivery.correlation == "twice":
            original(party, delivery, outcome, reason)

    monkeypatch.setattr(Party, "answer_transport", answer)
    stage = Stage(tiny())
    stage.order("once", at=HOUR)
    stage.order("twice", at=HOUR + MINUTE)
    stage.order("again", at=3 * HOUR)
    stage.run(5 * HOUR)
    assert {one.correlation: one.how for one in hit(stage, begin=HOUR + SECOND).messages.values()} == {
        "twice": "repeated"
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_under_chance_the_log_misses_no_order_and_is_seldom_wrong(seed: int) -> None:
    # Calls come by chance and take a time by chance: what is in flight as the outage begins or ends may be served in
    # spite of it, after longer than ever. So recall is whole, and precision nearly.
    wms = {"id": "wms", "to": "warehouse/main", "workers": 2, "service": {"kind": "exponential", "mean": "20s"}}
    changes = {
        "channels": [{"id": "web", "demand": {"kind": "poisson", "rate": "120/h", "regions": {"home": 1}}}],
        "stock": [{"warehouse": "main", "item": "mug", "on_hand": 100_000}],
    }
    stage = Stage(held(interfaces=[wms], **changes).scenario, seed)
    stage.run(2 * HOUR - 1)
    waited = [call.correlation for _, _, call in stage.world.interfaces["warehouse/main"].queue]
    stage.run(5 * HOUR)
    one = score(hit(stage).orders, waited)
    assert one.true > 100
    assert one.recall == 1
    assert one.precision is not None
    assert one.precision >= Fraction(98, 100)


def test_the_command_tells_kinds_values_and_the_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outage = {"kind": "outage", "interface": "wms", "from": "1h", "for": "1h", "calls": "turned_away"}
    demand = {"kind": "poisson", "rate": "30/h", "regions": {"home": 1}}
    changes = {
        "run": {"horizon": "4h"},
        "channels": [{"id": "web", "demand": demand}],
        "interfaces": [WMS],
        "faults": [outage],
        "policies": POLICY,
    }
    Twin(tiny(changes)).run(out=tmp_path / "run")
    window = ["--interface", "warehouse/*", "--from", "1h", "--to", "2025-11-17T02:00Z"]
    assert main(["blast", str(tmp_path / "run"), *window, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["to"] - told["from"] == HOUR
    assert told["orders"]["value_minor"] == sum(told["orders"]["ids"].values()) > 0
    assert len(told["messages"]) == told["score"]["messages"]["true"] > 5
    assert {told["score"][kind]["precision"] for kind in ("messages", "orders", "tasks")} == {"1"}
    assert {told["score"][kind]["recall"] for kind in ("messages", "orders", "tasks")} == {"1"}
    assert main(["blast", str(tmp_path / "run"), *window]) == 0
    assert f"{len(told['messages'])}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("glob", "begin", "end", "message"),
    [
        ("*", "2h", "1h", "ends before it has begun"),
        ("*", "1", "2h", "has no unit"),
        ("*", "2025-11-17T02:00", "3h", "--from"),
        ("wms", "1h", "2h", "no gateway is named so; there are warehouse/main"),
    ],
)
def test_a_wrong_window_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], glob: str, begin: str, end: str, message: str
) -> None:
    demand = {"kind": "poisson", "rate": "30/h", "regions": {"home": 1}}
    Twin(tiny({"run": {"horizon": "1h"}, "channels": [{"id": "web", "demand": demand}]})).run(out=tmp_path / "run")
    assert main(["blast", str(tmp_path / "run"), "--interface", glob, "--from", begin, "--to", end]) == 2
    assert message in capsys.readouterr().err


def test_touched_is_not_harmed() -> None:
    # Parcels leave at 16:00 only: an outage in the morning touches orders and harms none, one until 16:30 harms all.
    sites = [{"id": "main", "pickups": [{"carrier": "van", "at": ["16:00"]}]}]
    for begins, harm in (("8h", 0), ("15h30m", 10)):
        stages = []
        for faults in ([], [{"kind": "outage", "interface": "wms", "from": begins, "for": "1h"}]):
            stage = held(faults=faults, warehouses=sites)
            begin = (8 if harm == 0 else 15) * HOUR + 30 * MINUTE
            for number in range(10):
                stage.order(f"o{number}", at=begin + number * MINUTE)
            stage.run(4 * DAY)
            stages.append(stage)
        base, hurt = (
            Facts.collect(stage.log.entries, stage.scenario.run.start, stage.world.now, trace=True) for stage in stages
        )
        touched = hit(stages[1], begin=begin, end=begin + 30 * MINUTE).orders
        found = harmed(base, hurt)
        assert len(touched) == 10
        assert len(found) == harm
        assert all(order.late_ms == DAY and order.value_minor == 450 for order in found.values())
        assert list(found) == [order for order in touched if order in found]
