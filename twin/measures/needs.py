"""What each measure of kind L needs of a foreign log, so that one which cannot be had is refused by name.

A need is an activity, a column of the neutral log, or one of `UNSEEN`: what no such log holds, since it is written
by the engine alone. A measure stands in one of two places: here with a need that is unseen, or among the measures
of a log, with needs that a log can meet.
"""

from __future__ import annotations

from typing import Final

from twin.measures.coverage import Coverage

__all__ = ["DELIVERED_UNITS", "NEEDS", "UNSEEN", "missing"]

DELIVERED_UNITS: Final = "delivered units"
"""The quantity of each delivery, or the statement that a delivery is of the whole line."""

UNSEEN: Final[dict[str, str]] = {
    "actors and causes": "who or what gave each command",
    "alerts": "what a monitor raised",
    "backorders": "units that waited for supply, over time",
    "billed units": "units and amounts of each invoice and credit",
    "commands by people": "which work was done by hand",
    "cost rates": "what holding, ordering, freight, penalties and hands cost",
    "effects": "what the business asked of outside parties",
    "first sourcing": "what was served from stock at the first try",
    "messages": "messages at interfaces, their answers and attempts",
    "milestones": "what the carrier reported on the way",
    "pegs": "which purchase serves which order",
    "refusals": "orders and commands that were refused",
    "reservations": "which units were reserved",
    "shipped units": "units of each shipment, with their prices",
    "sourcing decisions": "what was decided, among which candidates, and why",
    "stage tables": "the stages of this engine",
    "stock levels": "units on hand by item and site, over time",
    "stock view ages": "how old the stock was that was decided on",
}
"""What no foreign log holds, and what it is."""

_ORDER: Final = ("order_placed",)
_SOURCED: Final = ("first sourcing",)
_COST: Final = ("cost rates",)
_MESSAGES: Final = ("messages",)
_STOCK: Final = ("stock levels",)
_WAITING: Final = ("backorders",)
_BILLED: Final = ("billed units",)

NEEDS: Final[dict[str, tuple[str, ...]]] = {
    # what a log can meet
    "orders_captured": _ORDER,
    "lines_captured": ("order_placed", "line"),
    "units_captured": ("order_placed", "quantity"),
    "orders_withdrawn": ("requested_ms", "cancelled"),
    "open_orders": _ORDER,
    "order_cycle_time": ("order_placed", "delivered"),
    "order_to_ship": ("order_placed", "handed_to_carrier"),
    "otif_to_request": ("requested_ms", "delivered", DELIVERED_UNITS),
    "otif_to_promise": ("promised_ms", "delivered", DELIVERED_UNITS),
    "delivery_performance_to_commit": ("promised_ms", "delivered"),
    "delivered_in_full": ("requested_ms", "delivered", DELIVERED_UNITS),
    "promise_lead_time": ("order_placed", "promised_ms"),
    "promise_accuracy": ("promised_ms", "delivered"),
    "promise_volatility": ("promised", "promised_ms"),
    "promise_drift": ("promised", "promised_ms"),
    "purchase_orders": ("purchase_order_created",),
    "supplier_response_time": ("purchase_order_created", "purchase_order_acknowledged"),
    "ship_to_invoice_lag": ("handed_to_carrier", "invoiced"),
    # what only this engine writes
    "alerts": ("alerts",),
    "audit_gaps": ("actors and causes",),
    "backorder_age": _WAITING,
    "backorder_unit_days": _WAITING,
    "backordered_units": _WAITING,
    "billed_value": _BILLED,
    "bullwhip_ratio": _COST,
    "commands_refused": ("refusals",),
    "correlation_completeness": _MESSAGES,
    "cost_of_goods": _COST,
    "credited_value": _BILLED,
    "cycle_service_level": _STOCK,
    "dead_letters": _MESSAGES,
    "dead_letters_oldest_age": _MESSAGES,
    "dead_letters_value": _MESSAGES,
    "double_billed_value": _BILLED,
    "duplicate_effect_count": ("effects",),
    "event_completeness": ("reservations",),
    "fallbacks": ("sourcing decisions",),
    "feed_staleness": ("stock_view", "stock view ages"),
    "freight": _COST,
    "goodput": _MESSAGES,
    "holding": _COST,
    "holding_and_penalty_cost_per_period": _COST,
    "illegal_transition_count": ("stage tables",),
    "incompatible_messages": _MESSAGES,
    "integration_failure_rate": _MESSAGES,
    "intervention_cost": ("commands by people",),
    "interventions": ("commands by people",),
    "invoices_before_ship": _BILLED,
    "late_penalty": ("requested_ms", "cost rates"),
    "leapfrogs": _MESSAGES,
    "line_fill_rate": _SOURCED,
    "lost_effect_count": ("effects",),
    "manual_touches_per_order": ("commands by people",),
    "margin": _COST,
    "mean_available": _STOCK,
    "mean_backordered": _WAITING,
    "mean_on_hand": _STOCK,
    "message_criticality_coverage": _MESSAGES,
    "milestone_completeness": ("milestones",),
    "milestone_lag": ("milestones",),
    "order_fallout": ("commands by people",),
    "order_fill_rate": _SOURCED,
    "ordering": _COST,
    "orders_refused": ("refusals",),
    "orphan_reservations": ("reservations",),
    "orphan_unit_days": ("reservations",),
    "path_mix": ("sourcing decisions",),
    "penalty": _COST,
    "policy_breaches": ("sourcing decisions",),
    "ready_rate": _STOCK,
    "reporting_consistency": _BILLED,
    "reservation_calls": ("reservations",),
    "reservation_expired_units": ("reservations",),
    "reservation_wait": ("reservations",),
    "retry_amplification": _MESSAGES,
    "revenue": _BILLED,
    "shipped_value": ("shipped units",),
    "sourcing_decisions": ("candidates", "sourcing decisions"),
    "stale_overwrites": _MESSAGES,
    "status_requests": _MESSAGES,
    "support_cost": ("commands by people",),
    "time_shortage_to_purchase_order": _WAITING,
    "total_cost_per_period": _COST,
    "touchless_rate": ("commands by people",),
    "trace_completeness": _MESSAGES,
    "unbilled_shipped_value": _BILLED,
    "unfilled_share": _SOURCED,
    "unit_fill_rate": _SOURCED,
    "unpegged_purchase_orders": ("pegs",),
    "unposted_value": _BILLED,
    "written_off": _STOCK,
    # of foreign logs alone
    "cancel_rate": ("order_placed", "cancelled"),
    "delivered_in_full_to_promise": ("promised_ms", "delivered", DELIVERED_UNITS),
    "record_lag": ("delivered", "record_ms"),
    "supplier_lead_time": ("supplier",),
    "transit_time": ("handed_to_carrier", "delivered"),
}


def missing(name: str, coverage: Coverage, *, whole: bool) -> tuple[str, ...]:
    """What this log lacks for a measure, in the order of its needs; empty where it has all."""
    return tuple(need for need in NEEDS[name] if not _met(need, coverage, whole))


def _met(need: str, coverage: Coverage, whole: bool) -> bool:
    if need in UNSEEN:
        return False
    if need == DELIVERED_UNITS:
        return whole or any(one.name == "delivered" and one.counted for one in coverage.activities)
    if need == "cancelled":
        # That it was given up is enough; a status seldom says when. Of purchase orders it says nothing of orders.
        return coverage.cancelled > coverage.cancelled_purchases
    if need == "record_ms":
        return any(one.recorded for one in coverage.activities)
    return coverage.has(need)
