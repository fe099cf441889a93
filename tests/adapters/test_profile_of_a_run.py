"""What a profile says of a run of our own, held against the run's measures under every name that both have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from msgspec.structs import replace

from adapters.event_log import load
from tests.world.deciders import between_two
from tests.world.stage import DAY, HOUR, MINUTE, Stage
from twin.core.commands import CancelOrder
from twin.core.events import (
    GoodsShipped,
    InvoiceCreated,
    OrderCancelled,
    OrderCaptured,
    PurchaseOrderRejected,
    ReleaseDecided,
    SourcingDecided,
)
from twin.event_log import EventLog
from twin.log.cloud_events import write_cloud_events
from twin.log.ocel import write_ocel
from twin.measures import Facts, compute, compute_facts
from twin.measures.measured import Measured
from twin.measures.of_event_log import LOG_MEASURES, LogProfile, profile_log
from twin.replay.neutral import event_log_of_entries
from twin.run import load as load_twin

WEB: dict[str, Any] = {
    "id": "web",
    "requested": "2d",
    "demand": {
        "kind": "poisson",
        "rate": "10/h",
        "lines": {"kind": "uniform", "low": 1, "high": 2},
        "quantity": {"kind": "uniform", "low": 1, "high": 9},
        "regions": {"home": 1},
    },
}
SHOP = WEB | {"id": "shop", "style": "ecommerce", "on_shortage": "reject", "demand": WEB["demand"] | {"rate": "5/h"}}
MILL = {"kind": "min_max", "warehouse": "main", "item": "mug", "supplier": "mill", "s": 60, "S": 150}


def busy() -> Stage:
    """Two channels, two warehouses that run short, one supplier that refuses for a day, and messages that take time."""
    scenario = between_two().with_changes(
        {
            "channels": [WEB, SHOP],
            "items": [
                {"id": "mug", "price": "4.50 GBP", "cost": "2.00 GBP"},
                {"id": "jug", "price": "9 GBP", "cost": "5 GBP"},
            ],
            "warehouses": [{"id": "main", "latency": "40s"}, {"id": "far", "latency": "2m"}],
            "carriers": [{"id": "van", "latency": "7m"}],
            "stock": [
                {"warehouse": "main", "item": "jug", "on_hand": 900},
                {"warehouse": "main", "item": "mug", "on_hand": 40},
                {"warehouse": "far", "item": "mug", "on_hand": 100},
            ],
            "suppliers": [{"id": "mill", "acknowledgement": "4h"}],
            "interfaces": [{"id": "mill", "to": "supplier/mill"}],
            "faults": [{"kind": "wrong_answer", "says": "rejected", "interface": "mill", "from": "20h", "for": "1d"}],
        }
    )
    stage = Stage(scenario)
    start = scenario.run.start
    # Of some orders the customer takes back what is not yet released, well before it is due.
    for number in range(1, 400, 3):
        at = HOUR * number // 10
        stage.send(CancelOrder(f"c{number}", "web", start + at, f"web-{number}", "customer"), at)
    # Of one order a part has left when the rest is taken back.
    stage.order("R1", {"mug": 200, "jug": 3})
    stage.send(CancelOrder("r1", "web", start + HOUR, "R1", "customer"), HOUR)
    stage.run(4 * DAY)
    return stage


def both(stage: Stage, log: EventLog | None = None) -> tuple[dict[str, Measured], LogProfile]:
    """The run's measures, and the profile of its log."""
    start, now = stage.scenario.run.start, stage.world.now
    own = compute_facts(Facts.collect(iter(stage.log.entries), start, now, 0, None))
    return own, profile_log(log or event_log_of_entries(stage.log.entries, start, now))


def shared(own: dict[str, Measured], profile: LogProfile) -> list[str]:
    """Every name that both have; those of slices by class, which no log has, aside."""
    names = [name for name in own if name.partition("/")[0] in profile.measures and "/class=" not in name]
    assert names and not [name for name in profile.measures if name in own and name not in names]
    return names


def apart(own: dict[str, Measured], profile: LogProfile) -> dict[str, tuple[Any, Any]]:
    """What differs: value, numerator or denominator."""
    parts = ("value", "numerator", "denominator")
    return {
        name: (own[name], profile.measures.get(name))
        for name in shared(own, profile)
        if [getattr(own[name], part) for part in parts]
        != [getattr(profile.measures.get(name), part, None) for part in parts]
    }


def by_record(log: EventLog) -> EventLog:
    """The log as if everything but deliveries had happened when it was written down."""
    at = log.table.schema.get_field_index("event_ms")
    known = pc.if_else(pc.equal(log.table["activity"], "delivered"), log.table["event_ms"], log.table["record_ms"])
    return replace(log, table=log.table.set_column(at, "event_ms", known))


@pytest.fixture(scope="module")
def stage() -> Stage:
    """The run, made once."""
    return busy()


def test_the_run_has_all_that_may_set_a_profile_apart(stage: Stage) -> None:
    """A comparison of runs in which nothing goes wrong would say nothing."""
    cancelled = stage.events(OrderCancelled)
    assert len(cancelled) > 10 and {event.by for _, event in cancelled} == {"customer"}
    log = event_log_of_entries(stage.log.entries, stage.scenario.run.start, stage.world.now)
    assert {"cancelled", "rejected", "reduced"} <= {*log.table["activity"].to_pylist()}
    assert any(leg.route == "reject" for _, event in stage.events(SourcingDecided) for leg in event.legs)
    assert len(stage.events(PurchaseOrderRejected)) > 1
    releases = [event.order for _, event in stage.events(ReleaseDecided)]
    assert len(releases) > len({*releases}) + 10
    assert len(stage.events(InvoiceCreated)) == len(stage.events(GoodsShipped)) > 100


def test_every_shared_measure_is_the_runs_own_where_times_are_those_of_the_record(stage: Stage) -> None:
    """OB-06: KPI(log) = KPI(internal), of all names that both have, to the millisecond."""
    log = event_log_of_entries(stage.log.entries, stage.scenario.run.start, stage.world.now)
    own, profile = both(stage, by_record(log))
    assert {name.partition("/")[0] for name in shared(own, profile)} == {name for name in LOG_MEASURES if name in own}
    assert apart(own, profile) == {}
    assert (own["open_orders"].value or 0) > 0


def test_by_event_times_only_durations_differ_and_by_the_time_of_the_messages(stage: Stage) -> None:
    """OB-06: docs/event_log.md says which, and why."""
    own, profile = both(stage)
    page = (Path(__file__).resolve().parents[2] / "docs/event_log.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith("Five durations"))
    found = apart(own, profile)
    assert {name.partition("/")[0] for name in found} == {name for name in LOG_MEASURES if f"`{name}`" in row}
    # The longest way of a message is the carrier's; answers of suppliers wait for nobody.
    assert {name for name, (ours, theirs) in found.items() if abs(ours.value - theirs.value) > 7 * MINUTE} == set()


def test_a_profile_says_how_many_orders_the_run_counts_otherwise() -> None:
    """OB-06: what a log of orders cannot tell is told in its caveats, with its number."""
    stage = busy()
    start, now = stage.scenario.run.start, stage.world.now
    quiet = event_log_of_entries(stage.log.entries, start, now)
    assert not [one for one in quiet.caveats if "counts otherwise" in one]
    stage.order("K1", {"mug": 900}, at=now - start)
    stage.order("K2", {"no such item": 1}, at=now - start)
    stage.run(now - start + HOUR)
    stage.send(CancelOrder("k1", "desk", stage.world.now, "K1", "company"), stage.world.now - start)
    stage.run(now - start + 2 * HOUR)
    warm = start + DAY
    early = sum(
        1 for entry in stage.log.entries for one in entry.events if isinstance(one, OrderCaptured) and entry.now < warm
    )
    told = event_log_of_entries(stage.log.entries, warm, stage.world.now).caveats[-1]
    assert told.startswith(f"Orders that `twin measures` counts otherwise: {early} of the warm-up or taken over")
    assert "; 1 refused and never accepted" in told
    assert "; 1 with units that the company cancelled" in told


@pytest.mark.parametrize("form", ["ocel", "cloud_events"])
def test_what_was_exported_of_a_run_says_nothing_else_under_the_same_name(form: str, tmp_path: Path) -> None:
    """RP-02: what it cannot say, since no parcel has units there, is refused by name and not computed."""
    root = Path(__file__).resolve().parents[2]
    changes = {
        "run": {"horizon": "4d"},
        "stock": [{"warehouse": "main", "item": "mug", "on_hand": 40}],
        "suppliers": [{"id": "mill", "lead_time": "5d"}],
        "policies": {"replenishment": [MILL]},
    }
    run = load_twin(root / "scenarios/minimal.yaml", changes).run(1, out=tmp_path / "run").folder
    path = tmp_path / "log"
    write, mapping = {"ocel": (write_ocel, "ordertwin"), "cloud_events": (write_cloud_events, "ordertwin_events")}[form]
    write(run, path)
    own, profile = compute(run), profile_log(load([path], Path(mapping)))
    assert (own["open_orders"].value or 0) > 10
    lacking = {"open_orders", "order_cycle_time", "promise_accuracy", "delivery_performance_to_commit"}
    assert {name for name in lacking if "delivered units" in profile.refused[name].missing} == lacking
    assert "handed-over units" in profile.refused["order_to_ship"].missing
    assert (profile.coverage.complete, profile.coverage.open) == (None, None)
    found = apart(own, profile)
    assert {name for name in found if own[name].unit != "ms"} == set()
    assert {name for name, (ours, theirs) in found.items() if abs(ours.value - theirs.value) > 1_000} == set()
