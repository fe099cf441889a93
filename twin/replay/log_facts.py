"""The facts of a neutral log, as `twin.replay.facts` has them of a run: another system's export feeds the same
estimators.

A foreign log has no calls and no decisions, so `calls`, `attempts` and `lags` stay empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from twin.event_log import EventLog, line_of
from twin.replay.facts import Arrival, Duration, Facts
from twin.replay.given_up import GivenUp, given_up_rows
from twin.replay.log_time import only_dates

__all__ = ["Purchase", "Transit", "facts_of_log", "parcels_of", "purchases_of"]

_COLUMNS: Final = (
    "activity",
    "event_ms",
    "order",
    "line",
    "purchase_order",
    "shipment",
    "item",
    "quantity",
    "channel",
    "region",
    "site",
    "origin",
    "supplier",
    "carrier",
)


class Transit(NamedTuple):
    """A parcel: its delivery note, or the order and site where the log has none. Instants are ms, -1 where unknown.

    `lines` and `units` are what it holds, as far as the log says; `orders` are all that it holds goods of, `order`
    first.
    """

    note: str
    order: str
    site: str
    carrier: str
    region: str
    channel: str
    released_at: int
    picked_at: int
    shipped_at: int
    delivered_at: int
    lines: int
    units: int
    orders: tuple[str, ...] = ()


class Purchase(NamedTuple):
    """A line of a purchase order: what was received last, at -1 where not all of it is."""

    purchase_order: str
    supplier: str
    site: str
    item: str
    created_at: int
    received_at: int


def facts_of_log(log: EventLog, since: int, until: int, classes: Mapping[str, str]) -> Facts:
    """The facts of a neutral log in [`since`, `until`) ms; `classes` is the criticality of each channel.

    Nothing at or after `until` is looked at. Handling begins with the release, or, in a log without releases, when the
    order was approved, else placed. The site is `site`, else `origin`, else the supplier.
    """
    facts = Facts(since, until)
    for at, channel, region, lines in _orders(log, until):
        if at >= since:
            facts.arrivals.append(Arrival(at, channel, region, lines))
    facts.arrivals.sort(key=lambda one: one.at)
    delivered: list[int] = []
    for one in parcels_of(log, until):
        key = f"{one.site}/{classes.get(one.channel, '')}"
        for cases, ended in ((facts.picking, one.picked_at), (facts.handling, one.shipped_at)):
            if one.released_at >= since:
                # What has shipped was picked, although a log may not say when.
                if ended < 0 and one.shipped_at >= 0:
                    continue
                lasted = (ended if ended >= 0 else until) - one.released_at
                cases.append(Duration(key, one.released_at, max(0, lasted), ended < 0, one.lines, one.units))
        delivered.append(one.delivered_at)
        if one.shipped_at >= since and one.carrier and one.region:
            ended = one.delivered_at
            lasted = (ended if ended >= 0 else until) - one.shipped_at
            place = f"{one.site}/{one.carrier}/{one.region}"
            facts.transit.append(Duration(place, one.shipped_at, max(0, lasted), ended < 0))
    facts.deliveries_are_dates = only_dates([at for at in delivered if at >= 0], log.zone)
    for bought in purchases_of(log, until):
        if bought.created_at >= since:
            ended = bought.received_at
            lasted = (ended if ended >= 0 else until) - bought.created_at
            facts.lead_times.append(
                Duration(f"{bought.supplier}/{bought.item}", bought.created_at, max(0, lasted), ended < 0)
            )
    return facts


def parcels_of(log: EventLog, until: int) -> list[Transit]:
    """Every parcel that was released or shipped before `until` (ms), by when; later events are not looked at."""
    placed: dict[str, int] = {}
    found: dict[str, dict[str, Any]] = {}
    expected: dict[str, set[tuple[str, str]]] = {}
    gone = GivenUp(given_up_rows(log, until))
    for row in _rows(log, until):
        activity, order, at = row["activity"], row["order"] or "", row["event_ms"]
        if activity in ("order_placed", "order_approved"):
            placed[order] = max(at, placed.get(order, at)) if activity == "order_approved" else placed.get(order, at)
        site = row["site"] or row["origin"] or row["supplier"] or ""
        line = (order, line_of(row))
        if activity == "order_placed" and not gone.holds(row):
            expected.setdefault(f"{order}/{site}", set()).add(line)
        moment = _MOMENTS.get(activity)
        if moment is None or not order:
            continue
        note = row["shipment"] or f"{order}/{site}"
        parcel = found.setdefault(note, {"order": order, "site": site, "lines": {}, "orders": {}, "gone": {}, "at": {}})
        parcel["orders"][order] = None
        parcel["named"] = bool(row["shipment"])
        times = parcel["at"].setdefault(moment, {})
        # A moment of a parcel with a name is told of it as a whole, and the first time holds.
        times[line] = times.get(line, at) if parcel["named"] or moment == "released_at" else at
        for name in ("carrier", "region", "channel"):
            parcel[name] = parcel.get(name) or row[name] or ""
        parcel["lines"][line] = row["quantity"] or parcel["lines"].get(line, 0)
        parcel["gone"][line] = gone.holds(row)
    parcels = []
    for note, one in found.items():
        released, picked, shipped, delivered = _moments(one, expected.get(note, set()))
        # What was given up before it shipped is not still being picked.
        if shipped < 0 and all(one["gone"].values()):
            continue
        head = (note, one["order"], one["site"], one["carrier"], one["region"], one["channel"])
        began = released if released >= 0 else placed.get(one["order"], -1)
        size = (len(one["lines"]), sum(one["lines"].values()), tuple(one["orders"]))
        parcels.append(Transit(*head, began, picked, shipped, delivered, *size))
    return sorted(parcels, key=lambda one: (max(one.released_at, one.shipped_at), one.note))


def _moments(parcel: Mapping[str, Any], expected: set[tuple[str, str]]) -> list[int]:
    """When it was released, picked, shipped and delivered, -1 for what has not happened.

    What goes from one site is one parcel where the log names none: it has left when all of it has that is not given up,
    `expected` lines of the order among it.
    """
    rest = {line for line, gone in parcel["gone"].items() if not gone} | expected or parcel["gone"].keys()
    found = []
    for moment in _MOMENTS.values():
        times = parcel["at"].get(moment, {})
        if parcel["named"] or moment == "released_at":
            found.append(min(times.values(), default=-1))
        else:
            found.append(max(times[line] for line in rest) if rest <= times.keys() else -1)
    return found


def purchases_of(log: EventLog, until: int) -> list[Purchase]:
    """Every line of a purchase order that was created before `until` (ms), by when.

    One that was given up before all of it came is not still on its way, and is left out.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    gone = {(row["purchase_order"], row["item"]) for row in given_up_rows(log, until)}
    for row in _rows(log, until):
        key = (row["purchase_order"] or "", row["item"] or "")
        if row["activity"] == "purchase_order_created" and key[0]:
            found.setdefault(
                key,
                {
                    "supplier": row["supplier"] or "",
                    "site": row["site"] or "",
                    "at": row["event_ms"],
                    "due": row["quantity"] or 0,
                    "received": -1,
                },
            )
        elif row["activity"] == "purchase_order_received" and key in found:
            bought = found[key]
            bought["due"] -= row["quantity"] or bought["due"]
            if bought["due"] <= 0 and bought["received"] < 0:
                bought["received"] = row["event_ms"]
    rows = [
        Purchase(order, one["supplier"], one["site"], item, one["at"], one["received"])
        for (order, item), one in found.items()
        if one["received"] >= 0 or not {(order, item or None), (order, None)} & gone
    ]
    return sorted(rows, key=lambda one: (one.created_at, one.purchase_order, one.item))


_MOMENTS: Final = {
    "released": "released_at",
    "picked": "picked_at",
    "handed_to_carrier": "shipped_at",
    "delivered": "delivered_at",
}


def _orders(log: EventLog, until: int) -> Iterator[tuple[int, str, str, tuple[tuple[str, int], ...]]]:
    found: dict[str, tuple[int, str, str, list[tuple[str, int]]]] = {}
    for row in _rows(log, until):
        if row["activity"] == "order_placed" and row["order"]:
            head: tuple[int, str, str, list[tuple[str, int]]] = (
                row["event_ms"],
                row["channel"] or "",
                row["region"] or "",
                [],
            )
            lines = found.setdefault(row["order"], head)[3]
            if row["item"] and row["quantity"]:
                lines.append((row["item"], row["quantity"]))
    for at, channel, region, lines in found.values():
        yield at, channel, region, tuple(lines)


def _rows(log: EventLog, until: int) -> list[dict[str, Any]]:
    """Events whose time is known and before `until`, in the order of time, then of the log."""
    import pyarrow.compute as pc

    table = log.table.select([*_COLUMNS, "row"])
    table = table.filter(pc.less(table["event_ms"], until))
    order = pc.sort_indices(table, [("event_ms", "ascending"), ("row", "ascending")])
    rows: list[dict[str, Any]] = table.take(order).to_pylist()
    return rows
