"""The state of a business as tables that another run can start from."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from twin.core import buckets
from twin.core.state import State
from twin.scenario.units import CURRENCY_EXPONENTS, format_instant

__all__ = ["write_tables"]


def write_tables(state: State, folder: Path, at: int, left_at: Mapping[str, int]) -> None:
    """Write stock.csv, orders.csv, purchase_orders.csv and shipments.csv: what the engine believes `at` (ms).

    `left_at` is when parcels on their way left (ms), which the state does not keep.

    All stock in a building that is not quarantined is free in them: who starts from them sources the open units anew.
    An order that has nothing left to deliver is in no table, and of which bucket the open units are neither.
    """
    folder.mkdir(parents=True, exist_ok=True)
    as_of = format_instant(at)
    _write(folder, "stock", ("warehouse", "item", "status", "quantity", "reserved", "as_of"), _stock(state, as_of))
    head = ("order", "line", "channel", "customer", "region", "criticality", "captured_at", "requested_at")
    rest = ("promised_at", "item", "ordered", "open", "shipped", "price", "releases", "as_of")
    _write(folder, "orders", (*head, *rest), _orders(state, as_of))
    bought = ("purchase_order", "supplier", "warehouse", "item", "due", "created_at", "eta", "as_of")
    _write(folder, "purchase_orders", bought, _purchases(state, as_of))
    parcel = ("shipment", "order", "line", "quantity", "warehouse", "carrier", "shipped_at", "eta", "as_of")
    _write(folder, "shipments", parcel, _shipments(state, as_of, left_at))


def _write(folder: Path, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _stock(state: State, as_of: str) -> Iterable[Sequence[object]]:
    for node, cells in state.stock.items():
        if state.warehouses[node].drop_ship:
            continue
        for sku, cell in cells.items():
            reserved = cell.soft + cell.hard + cell.staged
            yield node, sku, "free", cell.on_hand - cell.quarantined, reserved, as_of
            if cell.quarantined:
                yield node, sku, "quarantined", cell.quarantined, "", as_of


def _orders(state: State, as_of: str) -> Iterable[Sequence[object]]:
    exponent = CURRENCY_EXPONENTS[state.currency]
    for order in state.orders.values():
        for number, line in order.lines.items():
            units = line.buckets
            if not any(units[: buckets.DELIVERED]):
                continue
            yield (
                *(order.id, number, order.channel, order.customer, order.region, order.criticality),
                *(format_instant(order.captured_at), format_instant(order.requested_at)),
                format_instant(order.promised_at) if order.promised_at else "",
                *(
                    line.sku,
                    line.ordered,
                    sum(units[: buckets.SHIPPED]),
                    sum(units[buckets.SHIPPED : buckets.REJECTED]),
                ),
                *(_decimal(line.price_minor, exponent), order.releases, as_of),
            )


def _decimal(minor: int, exponent: int) -> str:
    whole, rest = divmod(minor, 10**exponent)
    return f"{whole}.{rest:0{exponent}}" if exponent else str(whole)


def _purchases(state: State, as_of: str) -> Iterable[Sequence[object]]:
    for key, order in state.purchase_orders.items():
        if state.warehouses[order.node].drop_ship:
            continue
        eta = format_instant(order.eta) if order.stage != "created" else ""
        for sku, units in order.due.items():
            if units:
                yield key, order.supplier, order.node, sku, units, format_instant(order.created_at), eta, as_of


def _shipments(state: State, as_of: str, left_at: Mapping[str, int]) -> Iterable[Sequence[object]]:
    for key, shipment in state.shipments.items():
        left = format_instant(left_at[key])
        for number, units in shipment.lines:
            yield key, shipment.order, number, units, shipment.node, shipment.carrier, left, "", as_of
