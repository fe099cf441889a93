"""A business whose parameters are known, and what of them a calibration should find."""

from __future__ import annotations

from math import exp, log
from typing import Any

from twin.scenario import Scenario
from twin.streams.distributions import Distribution, Empirical, Exponential, LogNormal

DAY = 86_400_000

ITEMS = [f"i{number:02d}" for number in range(1, 21)]
"""The first is wanted most; odd ones come from acme, even ones from slow."""

KNOWN: dict[str, Any] = {
    "schema": 1,
    "title": "Known truth",
    "run": {"start": "2025-03-03T00:00Z", "horizon": "60d", "seed": 1},
    "currency": "EUR",
    "regions": ["near", "far"],
    "warehouses": [{"id": "main", "pick_time": {"order": "45m", "kind": "exponential"}}],
    "suppliers": [
        {"id": "acme", "lead_time": {"kind": "lognormal", "median": "2d", "sigma": "0.4"}},
        {"id": "slow", "lead_time": {"kind": "lognormal", "median": "12d", "sigma": "0.5"}},
    ],
    "carriers": [{"id": "van"}, {"id": "post"}],
    "lanes": [
        {
            "from": "main",
            "to": "near",
            "carrier": "van",
            "transit": {"kind": "lognormal", "median": "20h", "sigma": "0.5"},
        },
        {
            "from": "main",
            "to": "far",
            "carrier": "post",
            "transit": {"kind": "lognormal", "median": "3d", "sigma": "0.35"},
        },
    ],
    "channels": [
        {
            "id": "web",
            "style": "ecommerce",
            "requested": "5d",
            "latency": {"kind": "uniform", "low": "100ms", "high": "900ms"},
            "demand": {
                "kind": "generated",
                "orders": "280/week",
                "profile": {
                    **{
                        day: [0] * 8 + [2, 4, 4, 3, 2, 2, 3, 4, 4, 3, 2, 2] + [1] * 4
                        for day in ("mon", "tue", "wed", "thu", "fri")
                    },
                    "sat": [0] * 10 + [1] * 14,
                },
                "lines_per_order": [["0%", 1], ["60%", 1], ["60%", 2], ["90%", 3], ["100%", 5]],
                "quantity_per_line": [["0%", 1], ["70%", 1], ["70%", 2], ["100%", 4]],
                "item_skew": {"items": 20, "exponent": "1", "shift": 2},
                "regions": {"near": 2, "far": 1},
            },
        }
    ],
    "items": [
        {"id": sku, "price": "9.00 EUR", "cost": "4.00 EUR", "supplier": "slow" if number % 2 else "acme"}
        for number, sku in enumerate(ITEMS)
    ],
    "stock": [{"warehouse": "main", "item": sku, "on_hand": 900} for sku in ITEMS],
    "policies": {"replenishment": [{"kind": "reorder_point", "warehouse": "main", "item": "*", "r": 900, "Q": 15}]},
}


def scenario(changes: dict[str, Any] | None = None) -> Scenario:
    """The business, changed by the rules of `extends`."""
    made = Scenario.model_validate(KNOWN)
    return made if changes is None else made.with_changes(changes)


def blind_base() -> Scenario:
    """The business as somebody would write it down who does not know how long anything takes, or how much is sold."""
    plain = scenario().plain()
    plain["warehouses"][0]["pick_time"] = {"order": "10m"}
    for supplier in plain["suppliers"]:
        supplier["lead_time"] = "7d"
    for lane in plain["lanes"]:
        lane |= {"transit": "1d", "promise": "2d"}
    demand = plain["channels"][0]["demand"]
    demand |= {"orders": "100/week", "lines_per_order": [["0%", 1], ["100%", 1]], "item_skew": {"exponent": 0}}
    demand |= {"quantity_per_line": [["0%", 1], ["100%", 1]], "regions": {"near": 1, "far": 1}}
    del demand["profile"]
    return Scenario.model_validate(plain)


def truths() -> dict[str, float]:
    """What is known, by the name of its parameter: durations in ms."""
    made = scenario()
    pick = Exponential(made.warehouses[0].pick_time.order)
    found: dict[str, float] = {}
    for name, distribution in (
        ("warehouses main pick_time", pick),
        *((f"suppliers {one.id} lead_time", one.lead_time) for one in made.suppliers),
        *((f"lanes main-{one.to} {one.carrier} transit", one.transit) for one in made.lanes),
    ):
        found |= {f"{name}, median": distribution.inverse(0.5), f"{name}, mean": _mean(distribution)}
    demand = made.channels[0].demand
    assert demand.kind == "generated"
    assert isinstance(demand.lines_per_order, Empirical) and isinstance(demand.quantity_per_line, Empirical)
    return found | {
        "channels web orders a week": 280.0,
        "channels web lines an order, mean": demand.lines_per_order.expected(),
        "channels web units a line, mean": demand.quantity_per_line.expected(),
        "channels web item_skew exponent": 1.0,
    }


def _mean(distribution: Distribution) -> float:
    if isinstance(distribution, LogNormal):
        return distribution.median * exp((distribution.sigma_milli / 1000) ** 2 / 2)
    assert isinstance(distribution, Exponential)
    return distribution.inverse(0.5) / log(2)
