"""The stage tables of every aggregate: `TRANSITIONS[(stage, event)] -> stage`. Diagrams are generated from them.

A pair that is missing is a refusal in `decide` and a corrupt log in `apply`.
"""

from __future__ import annotations

from typing import Final

from twin.core.refusals import CorruptLog

__all__ = [
    "AGGREGATES",
    "BREAKER",
    "DELIVERY",
    "FULFILLMENT_ORDER",
    "PURCHASE_ORDER",
    "SHIPMENT",
    "advance",
    "diagram",
]

Table = dict[tuple[str, str], str]

FULFILLMENT_ORDER: Final[Table] = {
    ("released", "picked"): "picked",
    ("released", "packed"): "packed",
    ("picked", "packed"): "packed",
    ("released", "shipped"): "shipped",
    ("picked", "shipped"): "shipped",
    ("packed", "shipped"): "shipped",
    ("released", "withdrawn"): "withdrawn",
    ("released", "shorted"): "shorted",
    ("picked", "shorted"): "shorted",
    ("packed", "shorted"): "shorted",
}

PURCHASE_ORDER: Final[Table] = {
    ("created", "acknowledged"): "acknowledged",
    ("acknowledged", "acknowledged"): "acknowledged",
    ("partly_received", "acknowledged"): "partly_received",
    ("created", "partly_received"): "partly_received",
    ("acknowledged", "partly_received"): "partly_received",
    ("partly_received", "partly_received"): "partly_received",
    ("created", "received"): "received",
    ("acknowledged", "received"): "received",
    ("partly_received", "received"): "received",
    ("created", "rejected"): "rejected",
    ("created", "withdrawn"): "withdrawn",
    ("acknowledged", "withdrawn"): "withdrawn",
    ("acknowledged", "rejected"): "rejected",
}

SHIPMENT: Final[Table] = {
    ("shipped", "picked_up"): "in_transit",
    ("shipped", "in_transit"): "in_transit",
    ("shipped", "delayed"): "delayed",
    ("shipped", "out_for_delivery"): "out_for_delivery",
    ("shipped", "delivered"): "delivered",
    ("shipped", "exception"): "exception",
    ("in_transit", "in_transit"): "in_transit",
    ("in_transit", "delayed"): "delayed",
    ("in_transit", "out_for_delivery"): "out_for_delivery",
    ("in_transit", "delivered"): "delivered",
    ("in_transit", "exception"): "exception",
    ("delayed", "in_transit"): "in_transit",
    ("delayed", "delayed"): "delayed",
    ("delayed", "out_for_delivery"): "out_for_delivery",
    ("delayed", "delivered"): "delivered",
    ("delayed", "exception"): "exception",
    ("out_for_delivery", "delayed"): "delayed",
    ("out_for_delivery", "delivered"): "delivered",
    ("out_for_delivery", "exception"): "exception",
    ("exception", "in_transit"): "in_transit",
    ("exception", "out_for_delivery"): "out_for_delivery",
    ("exception", "delivered"): "delivered",
}

BREAKER: Final[Table] = {
    ("closed", "opened"): "open",
    ("open", "half_opened"): "half_open",
    ("half_open", "opened"): "open",
    ("half_open", "closed"): "closed",
}

DELIVERY: Final[Table] = {
    ("in_flight", "queued"): "queued",
    ("queued", "dispatched"): "in_flight",
    ("queued", "succeeded"): "succeeded",
    ("queued", "failed"): "waiting",
    ("queued", "dead_lettered"): "dead",
    ("in_flight", "succeeded"): "succeeded",
    ("waiting", "succeeded"): "succeeded",
    ("dead", "succeeded"): "succeeded",
    ("in_flight", "failed"): "waiting",
    ("waiting", "retried"): "in_flight",
    ("in_flight", "dead_lettered"): "dead",
    ("waiting", "dead_lettered"): "dead",
    ("dead", "redriven"): "in_flight",
    ("in_flight", "hedged"): "in_flight",
    ("dead", "expired"): "expired",
    ("queued", "lapsed"): "lapsed",
    ("in_flight", "lapsed"): "lapsed",
    ("waiting", "lapsed"): "lapsed",
    ("expired", "succeeded"): "succeeded",
    ("expired", "redriven"): "in_flight",
    ("queued", "withdrawn"): "withdrawn",
    ("in_flight", "withdrawn"): "withdrawn",
    ("waiting", "withdrawn"): "withdrawn",
    ("dead", "withdrawn"): "withdrawn",
    ("expired", "withdrawn"): "withdrawn",
}

AGGREGATES: Final[dict[str, tuple[str, Table]]] = {
    "fulfillment order": ("released", FULFILLMENT_ORDER),
    "purchase order": ("created", PURCHASE_ORDER),
    "shipment": ("shipped", SHIPMENT),
    "delivery": ("in_flight", DELIVERY),
    "breaker": ("closed", BREAKER),
}
"""Every aggregate with its first stage and its table."""


def advance(table: Table, stage: str, event: str, subject: str) -> str:
    """The stage after `event`. Raises `CorruptLog` where the table has no such transition."""
    after = table.get((stage, event))
    if after is None:
        raise CorruptLog(f"{subject}: no transition from stage '{stage}' by '{event}'")
    return after


def diagram(name: str) -> str:
    """A Mermaid state diagram of one aggregate's table, for the docs."""
    first, table = AGGREGATES[name]
    rows = ["stateDiagram-v2", f"    [*] --> {first}"]
    rows += [f"    {stage} --> {after}: {event}" for (stage, event), after in table.items()]
    sources = [stage for stage, _ in table]
    for after in dict.fromkeys(table.values()):
        if after not in sources:
            rows.append(f"    {after} --> [*]")
    return "\n".join(rows)
