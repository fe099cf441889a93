"""Random commands in random order: the books hold after every step, and in the end nothing is stuck unseen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from tests.properties.auditor import audit
from tests.properties.harness import fold
from tests.unit.core.given import CHANNELS, DAY, HOUR, MINUTE, Business, delivery_policies
from twin.codec import decode_state, encode_state
from twin.core import commands as c
from twin.core.effects import (
    AskOrderFacts,
    AskStatus,
    CancelPurchaseOrder,
    CancelRelease,
    CreatePurchaseOrder,
    PostCredit,
    PostInvoice,
    ReleaseToWarehouse,
)
from twin.core.master import BreakerPolicy, Departures, Pool, Replenishment

NODES = ("east", "north", "south")
SKUS = ("a", "b", "c", "d")
SOLD = (*SKUS, "e")
"""The last is sent by the supplier itself, where there is a dock; elsewhere nobody knows it."""
KINDS = ("min_max", "reorder_point", "base_stock", "to_order")

BREAKER = BreakerPolicy(window=4, minimum=3, open_ms=HOUR, trials=2)
QUEUES: tuple[dict[str, Any], ...] = (
    {},
    {"bulkhead": 1, "in_order": True},
    {"pool": "senders", "bulkhead": 2, "bound": 4},
    {"breaker": BREAKER, "interval_us": 60_000_000, "burst": 2},
    {"fallback": True, "chase_ms": HOUR, "chases": 1},
    {"hedge_ms": 20_000, "dead_ms": 6 * HOUR, "fallback": True},
    {"budget_ppm": 100_000, "budget_reserve": 1, "breaker": replace(BREAKER, trials=1), "drain_us": 1_000_000},
    {"hedge_ms": 20_000, "budget_ppm": 100_000, "budget_reserve": 2, "chase_ms": HOUR},
    {"dead_ms": HOUR, "in_order": True, "breaker": BREAKER},
    {"fallback": True, "compensate": False, "bulkhead": 2, "in_order": True},
    {"breaker": replace(BREAKER, holds=True), "drain_us": 90_000_000, "pool": "senders", "in_order": True},
)
"""Send queues with all their limits, alone and together."""
CANCELS = CancelRelease | CancelPurchaseOrder

index = st.integers(0, 63)
small = st.integers(1, 6)
lines = st.lists(st.tuples(st.sampled_from(SOLD), small), min_size=1, max_size=6)
times = st.sampled_from([0, 1, MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY])


def replenishment(node: str, sku: str, kind: str, level: int, review_ms: int) -> Replenishment:
    others = (("forge", DAY),)
    return Replenishment(node, sku, "mill", kind, level, level + 8, 5, review_ms, 7 * MINUTE, 2 * DAY, others)


class EngineMachine(RuleBasedStateMachine):
    """Everything that the outside may say, sensible or not, against one checked engine."""

    def __init__(self) -> None:
        super().__init__()
        self.names = 0
        self.sequence = dict.fromkeys(NODES, 0)
        self.told: list[Any] = []
        self.shipments: list[str] = []
        self.policies: dict[str, Any] = {}
        self.hurried = False

    @initialize(
        units=st.lists(st.integers(0, 9), min_size=12, max_size=12),
        rules=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(-3, 4), st.sampled_from([0, DAY])), max_size=12),
        acknowledge=st.booleans(),
        waves=st.booleans(),
        known_waves=st.booleans(),
        counted=st.booleans(),
        expiry=st.sampled_from([0, 6 * HOUR]),
        split=st.booleans(),
        batch=st.sampled_from([1, 2, 50]),
        short_calendar=st.booleans(),
        queue=st.sampled_from(QUEUES),
        dock=st.booleans(),
    )
    def open_business(
        self,
        units: list[int],
        rules: list[tuple[str, int, int]],
        acknowledge: bool,
        waves: bool,
        known_waves: bool,
        counted: bool,
        expiry: int,
        split: bool,
        batch: int,
        short_calendar: bool,
        queue: dict[str, Any],
        dock: bool,
    ) -> None:
        cells = [(node, sku) for node in NODES for sku in SKUS]
        stock: dict[str, dict[str, int]] = {}
        for (node, sku), quantity in zip(cells, units, strict=True):
            stock.setdefault(node, {})[sku] = quantity
        self.policies = {
            "delivery": delivery_policies(
                acknowledge=acknowledge, jitter="full", retries=2, **(queue if acknowledge else {})
            ),
            "pools": (Pool("senders", 3),),
            "waves": waves,
            "reservation_expiry_ms": expiry,
            "split_lines": split,
            "batch": batch,
            "retention_ms": 2 * DAY,
        }
        instants = tuple(day * DAY + 10 * HOUR for day in range(10)) if known_waves else ()
        leaves = {"north": (Departures("van", (5 * DAY,), (6 * DAY,)),)} if short_calendar else None
        self.business = Business(
            stock,
            [replenishment(node, sku, *chosen) for (node, sku), chosen in zip(cells, rules, strict=False)],
            counted=counted,
            wave_times=dict.fromkeys(NODES, instants),
            departures=leaves,
            dock=dock,
            **self.policies,
        )

    def tell(self, command: Any) -> None:
        self.told.append(command)
        if self.hurried:
            # Several messages of one instant, before the follow-ups of any.
            self.business.driver.wake_before(self.business.at)
            self.business.at = self.business.driver.handle(command, self.business.at).now
        else:
            self.business.tell(command)

    @rule(hurried=st.booleans())
    def hurry(self, hurried: bool) -> None:
        self.hurried = hurried
        self.business.wait(0)

    def known(self, keys: Any, at: int) -> str:
        """One of the keys, or a key that does not exist."""
        names = [*keys, "nothing"]
        return names[at % len(names)]

    def an_order(self, at: int) -> str:
        return self.known(self.business.state.orders, at)

    def next_sequence(self, node: str, late: bool = False) -> int:
        self.sequence[node] = self.sequence.get(node, 0) + 1
        return max(1, self.sequence[node] - (3 if late else 0))

    @rule(wanted=lines, channel=st.sampled_from(CHANNELS), far=st.booleans(), hold=st.booleans())
    def capture(self, wanted: list[tuple[str, int]], channel: Any, far: bool, hold: bool) -> None:
        self.names += 1
        region = "far" if far and self.names % 3 == 0 else "near"
        name = f"o{self.names}"
        self.tell(self.business.capture(wanted, name, channel.id, region, hold=hold and self.names % 2 == 0))

    @rule(ms=times)
    def let_time_pass(self, ms: int) -> None:
        self.business.wait(ms)

    @rule()
    def jump_to_midnight(self) -> None:
        """The next message is handled at midnight itself, before the timers of that instant."""
        self.business.at += DAY - self.business.at % DAY

    @rule(at=index, stage=st.sampled_from(["picked", "packed", "picked", "shipped"]))
    def pick(self, at: int, stage: str) -> None:
        self.tell(self.business.pick(stage, self.known(self.business.state.fulfillment_orders, at)))

    @rule(at=index, missing=st.integers(0, 4), sequenced=st.booleans())
    def ship(self, at: int, missing: int, sequenced: bool) -> None:
        """Whole where nothing is missing; else the last lines are short by some units."""
        key = self.known(self.business.state.fulfillment_orders, at)
        whole = list(self.business.ship(key).lines)
        left = missing if at % 2 else 0
        shipped: list[tuple[int, int]] = []
        for line, units in reversed(whole):
            short = min(left, units)
            left -= short
            if units > short:
                shipped.append((line, units - short))
        if at % 13 == 12 and whole:
            shipped.append(whole[0])
        name = f"s{len(self.shipments)}"
        self.shipments.append(name)
        command = self.business.ship(key, shipped, name)
        sequence = self.next_sequence(command.node) if sequenced else 0
        self.tell(replace(command, sequence=sequence))

    @rule(
        at=index,
        milestone=st.sampled_from(["picked_up", "in_transit", "delayed", "delivered", "delivered", "exception", "?"]),
    )
    def milestone(self, at: int, milestone: str) -> None:
        self.tell(self.business.milestone(milestone, self.known(self.shipments, at)))

    @rule(at=index)
    def hold(self, at: int) -> None:
        self.tell(self.business.hold(self.an_order(at)))

    @rule(at=index)
    def release_hold(self, at: int) -> None:
        held = [order.id for order in self.business.state.orders.values() if order.held]
        self.tell(self.business.release_hold(self.known(held, at)))

    @rule(at=index, some=st.lists(st.integers(1, 4), max_size=3))
    def cancel(self, at: int, some: list[int]) -> None:
        self.tell(self.business.cancel(*some, order=self.an_order(at)))

    @rule(at=index, line=st.integers(1, 3), units=small, again=st.booleans())
    def credit(self, at: int, line: int, units: int, again: bool) -> None:
        if not again or not self.names:
            self.names += 1
        orders = [*self.business.state.orders, "o1", "o2"]
        order = orders[at % len(orders)]
        self.tell(self.business.credit(units, order, line, f"{order}/c{self.names}"))

    @rule(at=index, billed=st.integers(0, 6))
    def facts(self, at: int, billed: int) -> None:
        asked = self.business.asked(AskOrderFacts)
        if asked:
            question = asked[at % len(asked)]
            facts = c.OrderFacts(billed, 0, 500)
            self.tell(self.business.credit(question.quantity, question.order, question.line, question.credit, facts))

    @rule(at=index, part=st.integers(1, 9), twice=st.booleans(), late=st.booleans())
    def receive(self, at: int, part: int, twice: bool, late: bool) -> None:
        key = self.known(self.business.state.purchase_orders, at)
        command = self.business.receive(purchase_order=key)
        received = tuple(c.StockLine(line.sku, min(line.quantity, part)) for line in command.lines)
        if twice and at % 5 == 0:
            received += received
        sequence = self.next_sequence(command.node, late)
        self.tell(replace(command, lines=received, sequence=sequence))

    @rule(at=index, code=st.sampled_from(["accepted", "rejected", "?"]), days=st.integers(0, 4))
    def answer(self, at: int, code: str, days: int) -> None:
        key = self.known(self.business.state.purchase_orders, at)
        self.tell(self.business.answer(code, key, self.business.at + days * DAY))

    @rule(node=st.sampled_from(NODES), sku=st.sampled_from(SKUS), units=st.integers(-4, 6), late=st.booleans())
    def adjust(self, node: str, sku: str, units: int, late: bool) -> None:
        self.tell(self.business.adjust(units, node, sku, self.next_sequence(node, late)))

    @rule(node=st.sampled_from(NODES), sku=st.sampled_from(SKUS), units=st.integers(0, 9), back=st.integers(0, 3))
    def count(self, node: str, sku: str, units: int, back: int) -> None:
        self.tell(self.business.count((sku, units), sequence=max(0, self.sequence[node] - back), node=node))

    @rule(at=index, outcome=st.sampled_from(["succeeded", "failed", "refused", "?"]))
    def acknowledge(self, at: int, outcome: str) -> None:
        state = self.business.state
        self.tell(self.business.acknowledge(self.known([*state.deliveries, *state.dead_letters], at), outcome))

    @rule(at=index)
    def post(self, at: int) -> None:
        state = self.business.state
        key = self.known([*state.deliveries, *state.dead_letters], at)
        order = self.business.asked_order(key)
        self.tell(self.business.confirm(key, order))

    @rule(
        at=index,
        kind=st.sampled_from(["warehouse", "supplier"]),
        status=st.sampled_from(["working", "done", "unknown"]),
    )
    def report_status(self, at: int, kind: str, status: str) -> None:
        state = self.business.state
        subject = self.known([*state.purchase_orders, *state.fulfillment_orders, *state.shipments], at)
        self.tell(c.ReportStatus(self.business.name(), kind, self.business.at, subject, kind, "o1", status))

    @rule(at=index, outcome=st.sampled_from(["cancelled", "too_late"]))
    def confirm_cancellation(self, at: int, outcome: str) -> None:
        business = self.business
        key = self.known(business.state.fulfillment_orders, at)
        known = business.state.fulfillment_orders.get(key)
        order, node = (known.order, known.node) if known else ("o1", "north")
        asked = business.state.deliveries.get(f"{key}/cancel") or business.state.dead_letters.get(f"{key}/cancel")
        if asked is not None or at % 7 == 0:
            self.tell(c.ConfirmCancellation(business.name(), "wms", business.at, key, order, node, outcome))

    @rule(at=index, outcome=st.sampled_from(["cancelled", "too_late"]))
    def confirm_purchase_cancellation(self, at: int, outcome: str) -> None:
        business = self.business
        key = self.known(business.state.purchase_orders, at)
        asked = business.state.deliveries.get(f"{key}/cancel") or business.state.dead_letters.get(f"{key}/cancel")
        if asked is not None or at % 7 == 0:
            self.tell(c.ConfirmPurchaseCancellation(business.name(), "mill", business.at, key, outcome))

    @rule(at=index, units=st.sampled_from([0, 0, 0, 1]))
    def drop_ship(self, at: int, units: int) -> None:
        docked = [key for key, order in self.business.state.purchase_orders.items() if order.node == "mill"]
        self.tell(self.business.drop_ship(self.known(docked, at), units))

    @rule(at=index)
    def redrive(self, at: int) -> None:
        self.tell(self.business.redrive(self.known(self.business.state.dead_letters, at)))

    @rule(at=index)
    def repeat(self, at: int) -> None:
        """A duplicate changes nothing while it is remembered, and is refused as too old afterwards."""
        if self.told:
            command = self.told[-1 - at % len(self.told)]
            accepted = any(
                entry.command == command and entry.refusal is None for entry in self.business.journal.read(0)
            )
            entry = self.business.driver.handle(command, self.business.at)
            self.business.at = max(self.business.at, entry.now)
            if accepted:
                assert entry.refusal is not None
                assert entry.refusal.code in ("duplicate", "expired")
            self.business.wait(0)

    @rule(
        waves=st.booleans(),
        split=st.booleans(),
        expiry=st.sampled_from([0, HOUR]),
        acknowledge=st.booleans(),
        queue=st.sampled_from(QUEUES),
    )
    def change_policies(self, waves: bool, split: bool, expiry: int, acknowledge: bool, queue: dict[str, Any]) -> None:
        self.policies |= {
            "waves": waves,
            "split_lines": split,
            "reservation_expiry_ms": expiry,
            "delivery": delivery_policies(
                acknowledge=acknowledge, jitter="full", retries=2, **(queue if acknowledge else {})
            ),
            "pools": (Pool("senders", 3),),
        }
        self.business.set_policies(**self.policies)

    @rule(
        node=st.sampled_from(NODES),
        sku=st.sampled_from(SKUS),
        kind=st.sampled_from(KINDS),
        level=st.integers(-3, 4),
        review_ms=st.sampled_from([0, 0, DAY]),
    )
    def change_replenishment(self, node: str, sku: str, kind: str, level: int, review_ms: int) -> None:
        rules = (replenishment(node, sku, kind, level, review_ms),)
        self.tell(c.DefineReplenishment(self.business.name(), "test", self.business.at, rules))

    @invariant()
    def orders_are_where_they_should_be(self) -> None:
        """Every step is checked as it happens (see the harness); here only that a timer is never in the past."""
        due = self.business.driver.engine.next_due() if hasattr(self, "business") else None
        assert due is None or self.hurried or due[0] > self.business.driver.engine.state.now

    def teardown(self) -> None:
        if not hasattr(self, "business"):
            return
        drain(self.business, self.policies)
        settled(self.business)
        journal = self.business.journal
        state = self.business.state
        assert encode_state(fold(journal).state) == encode_state(state)
        assert encode_state(decode_state(encode_state(state))) == encode_state(state)
        assert audit(journal.read(0), state) == []


def drain(business: Business, policies: dict[str, Any]) -> None:
    """Heal the world: answer what is asked, receive what is bought, deliver what left, let every timer run.

    The rules stay as they are, so that a queue or a breaker that is stuck shows; only waves end, since none may come.
    """
    # The clock may have jumped: what was due meanwhile happens before anybody answers.
    business.wait(0)
    if policies["waves"]:
        business.set_policies(**{**policies, "waves": False})
    for _ in range(60):
        state = business.state
        for order in [order.id for order in state.orders.values() if order.held]:
            business.accept(business.release_hold(order))
        for key, dead in list(state.dead_letters.items()):
            late = dead.stage == "expired"
            business.accept(replace(business.acknowledge(key), attempt=1) if late else business.redrive(key))
        for key in list(state.deliveries):
            if key not in state.deliveries:
                # Time goes on a little with each answer: a deadline may have passed. It is redriven in the next round.
                continue
            effect = state.deliveries[key].delivery.effect
            if isinstance(effect, PostInvoice | PostCredit):
                business.accept(business.confirm(key, effect.order))
            elif isinstance(effect, AskOrderFacts):
                facts = c.OrderFacts(effect.quantity, 0, 500)
                business.accept(business.credit(effect.quantity, effect.order, effect.line, effect.credit, facts))
            else:
                assert isinstance(effect, ReleaseToWarehouse | CreatePurchaseOrder | AskStatus | CANCELS)
                business.accept(business.acknowledge(key))
        for key, bought in list(state.purchase_orders.items()):
            dropped = bought.node == "mill"
            business.accept(business.drop_ship(key) if dropped else business.receive(purchase_order=key))
        for key in list(state.fulfillment_orders):
            business.accept(business.ship(key))
        for key in list(state.shipments):
            business.accept(business.milestone("delivered", key))
        business.wait(12 * HOUR)
        if not (state.orders or state.deliveries or state.dead_letters or state.purchase_orders):
            return


def settled(business: Business) -> None:
    """Every order is done, or waits where somebody sees it; nothing is left that will never come to an end."""
    state = business.state
    assert not state.fulfillment_orders and not state.shipments
    assert not state.deliveries and not state.dead_letters
    for order in state.orders.values():
        waiting = [
            (node, sku)
            for node, cells in state.stock.items()
            for sku, cell in cells.items()
            if any(entry.order == order.id for entry in cell.waiting)
        ]
        assert waiting, f"{order.id} waits for nothing: {order}"
    for key in state.timers.due:
        kind, _, node = key.partition("/")
        # A wave stays for orders that wait for the rest of their lines.
        assert kind in ("review", "close", "feed") or (kind == "wave" and state.waves[node].orders), (
            f"{key} is left over"
        )
    for cells in state.stock.values():
        for cell in cells.values():
            assert cell.hard == cell.staged == 0


def test_random_commands_keep_every_promise() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        EngineMachine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.deep
def test_many_more_random_commands_keep_every_promise() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        EngineMachine,
        settings=settings(
            max_examples=1_000,
            stateful_step_count=80,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
