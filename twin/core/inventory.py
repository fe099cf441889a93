"""Stock as it is told to the engine: the opening balance, corrections and counts; and the business's definitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twin.core import sourcing
from twin.core.commands import (
    AdjustStock,
    CountStock,
    DefineItems,
    DefineNetwork,
    DefinePolicies,
    DefineReplenishment,
    LoadStock,
)
from twin.core.draft import Draft
from twin.core.events import (
    ItemsDefined,
    NetworkDefined,
    PoliciesDefined,
    ReplenishmentDefined,
    StockAdjusted,
    StockCounted,
    StockLoaded,
)
from twin.core.master import CRITICALITIES, Channel, DeliveryPolicy, Item, Policies, Replenishment, Supplier
from twin.core.refusals import Refusal
from twin.core.state import Cell, State

__all__ = [
    "adjust_stock",
    "count_stock",
    "define_items",
    "define_network",
    "define_policies",
    "define_replenishment",
    "load_stock",
]

JITTERS = ("none", "equal", "full", "decorrelated")


def define_network(state: State, command: DefineNetwork, now: int, draft: Draft) -> Refusal | None:
    """Add warehouses, suppliers, lanes and channels, or replace them."""
    for name in [warehouse.id for warehouse in command.warehouses] + [supplier.id for supplier in command.suppliers]:
        if "/" in name or not name:
            return Refusal("id", f"'{name}': an id is not empty and has no '/'")
    for channel in command.channels:
        if channel.criticality not in CRITICALITIES:
            known = ", ".join(CRITICALITIES)
            return Refusal("criticality", f"channel '{channel.id}': '{channel.criticality}'; classes here: {known}")
        refusal = _feed(channel)
        if refusal is not None:
            return refusal
    if state.currency not in ("", command.currency):
        return Refusal("currency", f"the business keeps its books in {state.currency}, not {command.currency}")
    nodes = {**state.warehouses, **{warehouse.id: warehouse for warehouse in command.warehouses}}
    for lane in command.lanes:
        if lane.node not in nodes:
            return Refusal("unknown_node", f"a lane to '{lane.region}' starts at '{lane.node}', which is no warehouse")
    suppliers = _current(command.suppliers, [state.suppliers.get(each.id) for each in command.suppliers])
    others = command.warehouses or command.lanes or command.channels or command.carriers
    if command.suppliers and not suppliers and not others:
        return _outdated("supplier", command.suppliers[0].id)
    draft.events.append(
        NetworkDefined(
            command.currency,
            command.warehouses,
            suppliers,
            command.lanes,
            command.channels,
            command.carriers,
        )
    )
    return None


def _feed(channel: Channel) -> Refusal | None:
    if channel.feed_ms < 0 or channel.feed_buffer < 0:
        return Refusal("feed", f"channel '{channel.id}': a period or a buffer of its feed below zero")
    if channel.feed_ms and channel.style != "marketplace":
        return Refusal("feed", f"channel '{channel.id}' is {channel.style}; a stock feed goes to a marketplace")
    if not channel.feed_ms and (channel.feed_buffer or channel.feed_closed or channel.feed_offset_ms):
        return Refusal("feed", f"channel '{channel.id}' has no period of its feed, so nothing else of it either")
    return None


def define_items(state: State, command: DefineItems, now: int, draft: Draft) -> Refusal | None:
    """Add items to the catalog, or replace them."""
    for item in command.items:
        if "/" in item.sku or not item.sku:
            return Refusal("sku", f"'{item.sku}': an item's id is not empty and has no '/'")
    items = _current(command.items, [state.items.get(item.sku) for item in command.items])
    if command.items and not items:
        return _outdated("item", command.items[0].sku)
    draft.events.append(ItemsDefined(items))
    return None


R = TypeVar("R", Item, Supplier, Replenishment)


def _current(told: Sequence[R], known: Sequence[R | None]) -> tuple[R, ...]:
    """The records but for those that are older than the ones known already."""
    return tuple(
        [
            record
            for record, before in zip(told, known, strict=True)
            if before is None or not 0 < record.recorded_at < before.recorded_at
        ]
    )


def _outdated(kind: str, name: str) -> Refusal:
    return Refusal("outdated", f"{kind} '{name}' and all others here are known from a newer record")


def define_policies(state: State, command: DefinePolicies, now: int, draft: Draft) -> Refusal | None:
    """Change the business's rules."""
    for name in command.policies.sourcing:
        if name not in sourcing.RULES:
            return Refusal("unknown_rule", f"'{name}'; sourcing rules here: {', '.join(sourcing.RULES)}")
    ranking = command.policies.ranking
    if len(dict.fromkeys(ranking)) != len(ranking):
        return Refusal("ranking", "a warehouse stands twice in the ranking")
    if command.policies.decider_otherwise not in ("rules", "reject", "hold"):
        return Refusal("decider", f"'{command.policies.decider_otherwise}'; otherwise is rules, reject or hold")
    if command.policies.releaser_otherwise not in ("release", "hold"):
        return Refusal("releaser", f"'{command.policies.releaser_otherwise}'; otherwise is release or hold")
    if command.policies.decider and command.policies.decider_attempts < 1:
        return Refusal("decider", "an outside service is asked at least once")
    refusal = _holder(state, command.policies)
    if refusal is not None:
        return refusal
    if command.policies.retention_ms < 1:
        return Refusal("retention", "keys of messages are kept for at least 1 ms")
    if command.policies.batch < 1:
        return Refusal("batch", "a batch takes at least 1 a step")
    if command.policies.close_batch < 1:
        return Refusal("batch", "at least 1 order is closed a step")
    if command.policies.rejection_wait_ms < 1:
        return Refusal("rejection_wait", "a refused purchase waits for at least 1 ms: it would be asked without end")
    if command.policies.promise_extra_ms < 0:
        return Refusal("promise", "a promise earlier than the calendars allow")
    for policy in command.policies.delivery:
        if policy.budget_ppm < 0 or (policy.budget_ppm and policy.budget_reserve < 1):
            return Refusal("retry_budget", f"'{policy.gateway}': a share below zero, or a reserve below 1 retry")
        refused = _attempts(policy) or _send_queue(command.policies, policy)
        if refused:
            return Refusal("send_queue", f"'{policy.gateway}': {refused}")
    names = [pool.name for pool in command.policies.pools]
    if len(dict.fromkeys(names)) != len(names):
        return Refusal("send_queue", "a pool is defined twice")
    for pool in command.policies.pools:
        if pool.size < 1:
            return Refusal("send_queue", f"the pool '{pool.name}' has no sender")
    draft.events.append(PoliciesDefined(command.policies))
    return None


def _holder(state: State, policies: Policies) -> Refusal | None:
    if policies.holder not in ("", "erp", "inventory"):
        return Refusal(
            "holder", f"'{policies.holder}'; who holds the inventory is erp or inventory, or empty: the engine"
        )
    if min(policies.holder_pause_ms, policies.reconcile_ms) < 0 or (policies.holder and not policies.holder_pause_ms):
        return Refusal(
            "holder", "a pause or a cadence below zero, or no pause: who does not answer is asked without end"
        )
    if policies.reconcile_ms and not policies.holder:
        return Refusal("holder", "the engine holds the inventory itself: there is nothing to reconcile")
    if policies.holder != state.policies.holder and state.orders:
        return Refusal("holder", "who holds the inventory does not change while orders are open")
    policy = {each.gateway: each for each in policies.delivery}.get(policies.holder)
    if policy is not None and not policy.acknowledge:
        return Refusal("holder", f"'{policy.gateway}': a reservation is an answer, which has to be waited for")
    return None


def _attempts(policy: DeliveryPolicy) -> str:
    """What makes no sense in attempts and their repetition; empty where all is well."""
    if min(policy.timeout_ms, policy.deadline_ms) < 1:
        return "an attempt takes 1 ms at least, and so do all of them"
    if min(policy.retries, policy.backoff_ms, policy.cap_ms, policy.hedge_ms, policy.dead_ms, policy.chase_ms) < 0:
        return "a number or a time below zero"
    if policy.chases < 1 or policy.hedges < 1:
        return "at least 1 question, and 1 hedge"
    if policy.jitter not in JITTERS:
        return f"jitter '{policy.jitter}'; it is {', '.join(JITTERS)}"
    if policy.hedge_ms and (policy.queues or policy.hedge_ms >= policy.timeout_ms):
        return "a hedge is sent before the timeout, past no send queue"
    if not policy.acknowledge and (policy.hedge_ms or policy.fallback):
        return "nobody waits for an answer, so nothing is hedged and nothing falls back"
    return ""


def _send_queue(policies: Policies, policy: DeliveryPolicy) -> str:
    """What makes no sense in a send queue; empty where all is well."""
    if policy.queues and not policy.acknowledge:
        return "a send queue counts what is under way, and nothing tells when an unacknowledged delivery is done"
    if min(policy.bulkhead, policy.interval_us, policy.drain_us, policy.bound) < 0 or policy.burst < 1:
        return "a limit below zero, or a burst below 1"
    if policy.pool and policy.pool not in [pool.name for pool in policies.pools]:
        return f"no pool '{policy.pool}' is defined"
    if policy.drain_us and policy.breaker is None:
        return "a drain limit holds after a breaker opened, and there is none"
    rules = policy.breaker
    if rules is None:
        return ""
    if min(rules.window, rules.minimum, rules.trials, rules.open_ms) < 1:
        return "a breaker looks at 1 attempt at least, stays open for 1 ms and takes 1 trial"
    if rules.failures_ppm < 1 or (rules.slow_ms and rules.slow_ppm < 1) or rules.slow_ms < 0:
        return "a breaker opens at a share above 0 of attempts that fail or are slow"
    if not rules.window_ms and rules.minimum > rules.window:
        return f"a breaker that looks at {rules.window} attempts never sees {rules.minimum}"
    return ""


def define_replenishment(state: State, command: DefineReplenishment, now: int, draft: Draft) -> Refusal | None:
    """Set how items are bought for warehouses."""
    for rule in command.rules:
        place = f"{rule.sku} at {rule.node}"
        if rule.node not in state.warehouses:
            return Refusal("unknown_node", f"{place}: no such warehouse")
        if rule.sku not in state.items:
            return Refusal("unknown_item", f"{place}: no such item")
        for supplier in (rule.supplier, *[name for name, _ in rule.alternates]):
            if supplier not in state.suppliers:
                return Refusal("unknown_supplier", f"{place}: no supplier '{supplier}'")
        if rule.kind not in ("min_max", "reorder_point", "base_stock", "to_order", "drop_ship"):
            return Refusal("kind", f"{place}: '{rule.kind}'")
        if (rule.kind == "drop_ship") != state.warehouses[rule.node].drop_ship:
            return Refusal(
                "kind", f"{place}: '{rule.kind}' and its place do not fit: a supplier's dock drop-ships only"
            )
        names = [rule.supplier, *[supplier for supplier, _ in rule.alternates]]
        if len(dict.fromkeys(names)) != len(names):
            return Refusal("alternates", f"{place}: a supplier is asked once, here are {', '.join(names)}")
        if rule.alternates and rule.kind == "drop_ship":
            return Refusal("alternates", f"{place}: a drop-ship item has one supplier, who ships it")
        if min(rule.review_ms, rule.lead_time_ms, *[lead_time for _, lead_time in rule.alternates]) < 0:
            return Refusal("time", f"{place}: a period or a lead time below zero")
        if rule.pack < 0:
            return Refusal("pack", f"{place}: a pack of {rule.pack} units")
        if rule.kind == "min_max" and rule.maximum <= rule.minimum:
            return Refusal("maximum", f"{place}: S = {rule.maximum} must be above s = {rule.minimum}")
        if rule.kind == "reorder_point" and rule.quantity < 1:
            return Refusal("quantity", f"{place}: Q = {rule.quantity} must be at least 1")
    known = [state.replenishment.get(rule.node, {}).get(rule.sku) for rule in command.rules]
    rules = _current(command.rules, known)
    if command.rules and not rules:
        return _outdated("rule for", f"{command.rules[0].sku} at {command.rules[0].node}")
    draft.events.append(ReplenishmentDefined(rules))
    return None


def load_stock(state: State, command: LoadStock, now: int, draft: Draft) -> Refusal | None:
    """Book a warehouse's opening stock."""
    if command.node not in state.warehouses:
        return Refusal("unknown_node", f"'{command.node}' is no warehouse")
    if state.warehouses[command.node].drop_ship:
        return Refusal("drop_ship", f"'{command.node}' is a supplier's dock, and nothing is stocked there")
    for line in (*command.lines, *command.quarantined):
        if line.sku not in state.items:
            return Refusal("unknown_item", f"'{line.sku}' is not in the catalog")
        if line.quantity < 0:
            return Refusal("quantity", f"'{line.sku}': opening stock of {line.quantity} units")
    draft.events.append(StockLoaded(command.node, command.lines, command.quarantined))
    return None


def adjust_stock(state: State, command: AdjustStock, now: int, draft: Draft) -> Refusal | None:
    """Correct the belief about an item's stock by a signed quantity.

    Where the inventory is held outside, what is gone is taken to be what was known to be kept for others, first.
    """
    cell = _cell(state, command.node, command.sku)
    if cell is None and (command.node not in state.warehouses or command.sku not in state.items):
        return Refusal("unknown_stock", f"no item '{command.sku}' at '{command.node}'")
    if state.warehouses[command.node].drop_ship:
        return Refusal("drop_ship", f"'{command.node}' is a supplier's dock, and nothing is stocked there")
    counted = state.warehouses[command.node].counted and cell is not None and 0 < command.sequence <= cell.counted_at
    # What a count included changes nothing any more.
    known = 0 if counted or cell is None else _known_before(cell, command.quantity)
    draft.events.append(
        StockAdjusted(command.node, command.sku, command.quantity, command.reason, command.sequence, known)
    )
    return None


def count_stock(state: State, command: CountStock, now: int, draft: Draft) -> Refusal | None:
    """Take a count: movements that the engine knows and that came after the count are applied on top of it.

    A naive overwrite would count goods in flight twice or not at all.
    """
    if command.node in state.warehouses and not state.warehouses[command.node].counted:
        # Its movements are not kept: the count would overwrite what is on its way.
        return Refusal("not_counted", f"'{command.node}' is not set up to be counted")
    lines = []
    elsewhere = []
    if len(dict.fromkeys([line.sku for line in command.lines])) != len(command.lines):
        return Refusal("line_repeated", "a count names each item once")
    for line in command.lines:
        cell = _cell(state, command.node, line.sku)
        if line.quantity < 0:
            return Refusal("quantity", f"'{line.sku}': a count of {line.quantity} units")
        if cell is None:
            return Refusal("unknown_stock", f"no item '{line.sku}' at '{command.node}'")
        if command.sequence < cell.counted_at:
            return Refusal("stale_count", f"counted at movement {command.sequence}, known since {cell.counted_at}")
        later = sum(delta for sequence, delta in cell.movements if sequence > command.sequence)
        correction = line.quantity - (cell.on_hand - later)
        lines.append((line.sku, line.quantity, correction))
        known = _known_before(cell, correction)
        if known:
            elsewhere.append((line.sku, known))
    draft.events.append(StockCounted(command.node, command.sequence, tuple(lines), tuple(elsewhere)))
    return None


def _known_before(cell: Cell, correction: int) -> int:
    """Units that are gone and that whoever holds the inventory had told of: they are not free already."""
    return min(cell.elsewhere, max(0, -correction))


def _cell(state: State, node: str, sku: str) -> Cell | None:
    return state.stock.get(node, {}).get(sku)
