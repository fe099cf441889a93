"""The tables of an opening held against a scenario: what of them can be taken over, and what is wrong with the rest.

Nothing is repaired. What does not fit is a finding with its rows; what cannot be taken over is left out and counted.
"""

from __future__ import annotations

from twin.core.commands import LoadedParcel, LoadOrder, LoadPurchaseOrder, OrderLine, StockLine
from twin.core.master import CRITICALITIES
from twin.opening import KEPT, LEFT_OUT, PARTLY, OpeningTables, OpenLine, OpenOrder, OpenParcel, OpenPurchase, StockRow
from twin.scenario import Scenario
from twin.scenario.units import format_instant
from twin.world.assortment import Catalog
from twin.world.opening_ledger import Ledger, note_instants

__all__ = ["Checked"]


class Checked:
    """What of an opening can be taken over, and in `ledger` what is to be said about the rest.

    `free` stock and that which is `quarantined` are by warehouse and item. `orders` and `purchases` are commands with
    the records that they were made of, orders in the order in which they would be served.
    """

    def __init__(self, scenario: Scenario, catalog: Catalog, tables: OpeningTables) -> None:
        self.ledger = Ledger(
            {
                "warehouse": dict.fromkeys([one.id for one in scenario.warehouses]),
                "item": dict.fromkeys([item.sku for item in catalog.items]),
                "supplier": dict.fromkeys([one.id for one in scenario.suppliers]),
                "channel": dict.fromkeys([one.id for one in scenario.channels]),
                "region": dict.fromkeys(scenario.regions),
                "carrier": dict.fromkeys([one.id for one in scenario.carriers]),
            }
        )
        self._scenario = scenario
        self._tables = tables
        self._start = scenario.run.start
        self._costs = {item.sku: item.cost_minor for item in catalog.items}
        self._drop_shipped = {item.id: None for item in scenario.items if item.drop_ship is not None}
        self._enter()
        self.free: dict[str, dict[str, int]] = {one.id: {} for one in scenario.warehouses}
        self.quarantined: dict[str, dict[str, int]] = {one.id: {} for one in scenario.warehouses}
        self._stock()
        parcels = self._parcels()
        self.orders: list[tuple[LoadOrder, OpenOrder, list[OpenParcel]]] = self._order_commands(parcels)
        self.purchases: list[tuple[LoadPurchaseOrder, list[OpenPurchase]]] = self._purchase_commands()
        note_instants(self.ledger, tables, self._start)

    # --- what was read

    def _enter(self) -> None:
        """Every row with its units and value, before anything is judged."""
        tables, rows = self._tables, self.ledger.rows
        prices: dict[tuple[str, int], int] = {}
        for stock in tables.stock:
            rows["stock"][stock.row] = (stock.quantity, stock.quantity * self._cost(stock.item))
        for order in tables.orders:
            for line in order.lines:
                rows["orders"][line.row] = (line.open, line.open * line.price_minor)
                prices.setdefault((order.order, line.line), line.price_minor)
        for bought in tables.purchases:
            rows["purchase_orders"][bought.row] = (bought.due, bought.due * self._cost(bought.item))
        for parcel in tables.parcels:
            price = prices.get((parcel.order, parcel.line), 0)
            rows["shipments"][parcel.row] = (parcel.quantity, parcel.quantity * price)

    def _cost(self, item: str) -> int:
        return self._costs.get(item, 0)

    # --- stock

    def _stock(self) -> None:
        seen: dict[tuple[str, str, str], int] = {}
        for row in self._tables.stock:
            if self._stock_refused(row, seen):
                continue
            seen[row.warehouse, row.item, row.status] = row.row
            place = f"{row.item} at {row.warehouse}"
            if row.reserved is not None and not 0 <= row.reserved <= row.quantity:
                text = "more units reserved than there are, or fewer than none; the engine reserves anew"
                self.ledger.say(
                    "stock",
                    "reserved_more_than_on_hand",
                    KEPT,
                    text,
                    row.row,
                    f"{place}: {row.reserved} of {row.quantity}",
                )
            (self.free if row.status == "free" else self.quarantined)[row.warehouse][row.item] = row.quantity

    def _stock_refused(self, row: StockRow, seen: dict[tuple[str, str, str], int]) -> bool:
        place = f"{row.item} at {row.warehouse}"
        if self.ledger.unknown("stock", row.row, warehouse=row.warehouse, item=row.item):
            return True
        if row.status not in ("free", "quarantined"):
            text = "statuses that are neither free nor quarantined"
            self.ledger.say("stock", "unknown_status", LEFT_OUT, text, row.row, f"{place}: '{row.status}'")
            return True
        if row.quantity < 0:
            text = "fewer than no units in stock"
            self.ledger.say("stock", "negative_quantity", LEFT_OUT, text, row.row, f"{place}: {row.quantity}")
            return True
        first = seen.get((row.warehouse, row.item, row.status))
        if first is not None:
            text = "stock of one item, place and status given again; the first row holds"
            self.ledger.say("stock", "duplicate", LEFT_OUT, text, row.row, f"{place}, as in row {first}")
            return True
        return False

    # --- parcels

    def _parcels(self) -> dict[str, list[OpenParcel]]:
        """Parcels by order, those that could be on their way."""
        orders = {order.order: {line.line: None for line in order.lines} for order in self._tables.orders}
        kept: dict[str, list[OpenParcel]] = {}
        seen: dict[tuple[str, str, int], int] = {}
        heads: dict[str, tuple[str, str, str, int, int]] = {}
        for parcel in self._tables.parcels:
            row, what = parcel.row, f"{parcel.shipment} of order {parcel.order} line {parcel.line}"
            head = (parcel.order, parcel.warehouse, parcel.carrier, parcel.shipped_at, parcel.eta)
            if parcel.line not in orders.get(parcel.order, {}):
                text = "parcels of order lines that are not in the table of orders"
                self.ledger.say("shipments", "unknown_order", LEFT_OUT, text, row, what)
            elif self.ledger.unknown("shipments", row, warehouse=parcel.warehouse, carrier=parcel.carrier):
                continue
            elif parcel.quantity <= 0:
                text = "no units in a parcel, or fewer"
                self.ledger.say("shipments", "no_quantity", LEFT_OUT, text, row, f"{what}: {parcel.quantity}")
            elif parcel.shipped_at > self._start:
                text = "parcels that left after the run begins"
                self.ledger.say(
                    "shipments", "after_start", LEFT_OUT, text, row, f"{what}: {format_instant(parcel.shipped_at)}"
                )
            elif (parcel.shipment, parcel.order, parcel.line) in seen:
                text = "a line in one parcel given again; the first row holds"
                self.ledger.say("shipments", "duplicate", LEFT_OUT, text, row, what)
            elif heads.setdefault(parcel.shipment, head) != head:
                text = "rows of one parcel that say different things; the first row holds"
                self.ledger.say("shipments", "contradictory", LEFT_OUT, text, row, what)
            else:
                seen[parcel.shipment, parcel.order, parcel.line] = row
                kept.setdefault(parcel.order, []).append(parcel)
                if 0 < parcel.eta <= self._start:
                    text = "parcels that should be there already; when they will be is drawn"
                    self.ledger.say(
                        "shipments", "overdue", KEPT, text, row, f"{what}: due {format_instant(parcel.eta)}"
                    )
        return kept

    # --- orders

    def _order_commands(
        self, parcels: dict[str, list[OpenParcel]]
    ) -> list[tuple[LoadOrder, OpenOrder, list[OpenParcel]]]:
        """The orders to load, in the order in which they would be served: by class, then by age."""
        found = []
        for order in self._tables.orders:
            made = None if self._order_refused(order) else self._order(order, parcels.get(order.order, []))
            if made is None:
                # What belongs to an order that is not there is not there either.
                for parcel in parcels.get(order.order, []):
                    if parcel.row not in self.ledger.dropped["shipments"]:
                        text = "parcels of orders that are left out"
                        self.ledger.say(
                            "shipments", "order_left_out", LEFT_OUT, text, parcel.row, f"order {order.order}"
                        )
            else:
                found.append(made)
        classes = {one.id: one.criticality for one in self._scenario.channels}

        def rank(one: tuple[LoadOrder, OpenOrder, list[OpenParcel]]) -> tuple[int, int, str]:
            command = one[0]
            letter = command.criticality or classes[command.channel]
            return CRITICALITIES.index(letter), command.captured_at, command.order

        return sorted(found, key=rank)

    def _order_refused(self, order: OpenOrder) -> bool:
        """Whether nothing of an order can be taken over, which is said once for each of its rows."""
        kind, text, what = "", "", f"order {order.order}"
        if order.unlike:
            kind, text = "contradictory", "orders whose rows say different things"
            what += f": {', '.join(order.unlike)}"
        elif order.channel not in self.ledger.names["channel"]:
            kind, text, what = "unknown_channel", "channels that the scenario does not have", f"'{order.channel}'"
        elif order.region not in self.ledger.names["region"]:
            kind, text, what = "unknown_region", "regions that the scenario does not have", f"'{order.region}'"
        elif order.criticality and order.criticality not in CRITICALITIES:
            kind, text = "unknown_criticality", f"classes other than {', '.join(CRITICALITIES)}"
            what += f": '{order.criticality}'"
        elif order.captured_at > self._start:
            kind, text = "after_start", "orders captured after the run begins"
            what += f": {format_instant(order.captured_at)}"
        elif order.releases < 0:
            kind, text = "no_quantity", "orders released fewer times than never"
            what += f": {order.releases}"
        for line in order.lines if kind else ():
            self.ledger.say("orders", kind, LEFT_OUT, text, line.row, what)
        return bool(kind)

    def _order(
        self, order: OpenOrder, parcels: list[OpenParcel]
    ) -> tuple[LoadOrder, OpenOrder, list[OpenParcel]] | None:
        lines: list[OrderLine] = []
        kept: list[OpenParcel] = []
        seen: dict[int, int] = {}
        for line in order.lines:
            mine = [parcel for parcel in parcels if parcel.line == line.line and not self._nowhere(order, parcel)]
            under_way = sum([parcel.quantity for parcel in mine])
            if self._line_refused(order, line, under_way, seen):
                continue
            seen[line.line] = line.row
            if line.shipped is not None and under_way > line.shipped:
                text = "more units in parcels than were shipped"
                what = f"order {order.order} line {line.line}: {under_way} in parcels, {line.shipped} shipped"
                self.ledger.say("orders", "more_in_parcels_than_shipped", KEPT, text, line.row, what)
            if line.open and line.item in self._drop_shipped:
                text = "items that a supplier sends to customers: it is asked for them anew"
                self.ledger.say(
                    "orders", "drop_ship_asked_anew", KEPT, text, line.row, f"order {order.order}: {line.item}"
                )
            for parcel in mine:
                if parcel.shipped_at < order.captured_at:
                    text = "parcels that left before their order was captured"
                    what = f"{parcel.shipment}: {format_instant(parcel.shipped_at)}"
                    self.ledger.say("shipments", "shipped_before_capture", KEPT, text, parcel.row, what)
            lines.append(OrderLine(line.line, line.item, line.open + under_way, line.price_minor))
            kept += mine
        for parcel in parcels:
            if parcel not in kept and parcel.row not in self.ledger.dropped["shipments"]:
                text = "parcels of order lines that are left out"
                what = f"order {order.order} line {parcel.line}"
                self.ledger.say("shipments", "order_left_out", LEFT_OUT, text, parcel.row, what)
        if not lines:
            return None
        promised_at = order.promised_at
        first = order.lines[0].row
        if 0 < promised_at < order.captured_at:
            text = "promised for an instant before the order was captured; nobody knows what was told"
            self.ledger.say(
                "orders",
                "promise_before_capture",
                PARTLY,
                text,
                first,
                f"order {order.order}: {format_instant(promised_at)}",
            )
            promised_at = 0
        if order.captured_at > order.as_of:
            text = "captured after the instant for which the table was true"
            told = f"captured {format_instant(order.captured_at)}, as of {format_instant(order.as_of)}"
            self.ledger.say("orders", "captured_after_as_of", KEPT, text, first, f"order {order.order}: {told}")
        loaded: dict[str, LoadedParcel] = {}
        for parcel in kept:
            before = loaded.get(parcel.shipment)
            parts = () if before is None else before.lines
            loaded[parcel.shipment] = LoadedParcel(
                parcel.shipment,
                parcel.warehouse,
                parcel.carrier,
                parcel.shipped_at,
                (*parts, (parcel.line, parcel.quantity)),
            )
        command = LoadOrder(
            f"opening/order/{order.order}",
            "opening",
            self._start,
            order.order,
            order.channel,
            order.customer,
            order.region,
            order.captured_at,
            order.requested_at,
            tuple(lines),
            tuple([(line.line, promised_at) for line in lines]) if promised_at else (),
            order.criticality,
            tuple(loaded.values()),
            order.releases,
        )
        return command, order, kept

    def _nowhere(self, order: OpenOrder, parcel: OpenParcel) -> bool:
        """Whether a parcel is on a way that no lane of its carrier is, which is said."""
        ways = [(lane.from_, lane.to) for lane in self._scenario.lanes if lane.carrier == parcel.carrier]
        way = (parcel.warehouse, order.region)
        if way in ways or parcel.row in self.ledger.dropped["shipments"]:
            return parcel.row in self.ledger.dropped["shipments"]
        what = f"{parcel.shipment}: {parcel.carrier} from {way[0]} to {way[1]}"
        self.ledger.say("shipments", "unknown_lane", LEFT_OUT, "parcels on ways that are no lane", parcel.row, what)
        return True

    def _line_refused(self, order: OpenOrder, line: OpenLine, under_way: int, seen: dict[int, int]) -> bool:
        what = f"order {order.order} line {line.line}"
        if self.ledger.unknown("orders", line.row, item=line.item):
            return True
        kind = text = ""
        gone = under_way if line.shipped is None else line.shipped
        if line.line in seen:
            kind, text = "duplicate", "a line of one order given again; the first row holds"
            what += f", as in row {seen[line.line]}"
        elif line.ordered <= 0 or line.open < 0 or gone < 0:
            kind, text = "no_quantity", "no units ordered, or fewer than none open or shipped"
            what += f": {line.open} open of {line.ordered}"
        elif max(gone, under_way) + line.open > line.ordered:
            kind, text = "shipped_more_than_ordered", "more units shipped and open than were ordered"
            what += f": {line.ordered} ordered, {max(gone, under_way)} shipped, {line.open} open"
        elif line.price_minor < 0:
            kind, text = "negative_price", "prices below zero"
        elif not line.open and not under_way:
            kind, text = "nothing_open", "order lines of which nothing is open and nothing is on its way"
        if kind:
            self.ledger.say("orders", kind, LEFT_OUT, text, line.row, what)
        return bool(kind)

    # --- purchase orders

    def _purchase_commands(self) -> list[tuple[LoadPurchaseOrder, list[OpenPurchase]]]:
        orders: dict[str, list[OpenPurchase]] = {}
        for row in self._tables.purchases:
            orders.setdefault(row.purchase_order, []).append(row)
        found = []
        for key, rows in orders.items():
            kept = self._purchase_rows(key, rows)
            if not kept:
                continue
            dates = [row.eta for row in kept]
            eta = max(dates) if all(dates) else 0
            for row in kept:
                if row.eta != eta:
                    text = "lines with another date than the whole purchase order: its latest, none where one has none"
                    what = f"{key}: {row.item}: {format_instant(row.eta) if row.eta else 'no date'}"
                    self.ledger.say("purchase_orders", "eta_of_a_line", KEPT, text, row.row, what)
            command = LoadPurchaseOrder(
                f"opening/purchase_order/{key}",
                "opening",
                self._start,
                key,
                kept[0].supplier,
                kept[0].warehouse,
                kept[0].created_at,
                tuple([StockLine(row.item, row.due) for row in kept]),
                eta,
            )
            found.append((command, kept))
        return found

    def _purchase_rows(self, key: str, rows: list[OpenPurchase]) -> list[OpenPurchase]:
        heads = dict.fromkeys([(row.supplier, row.warehouse, row.created_at) for row in rows])
        kept: dict[str, OpenPurchase] = {}
        for row in rows:
            what, table = f"{key}: {row.item}", "purchase_orders"
            if len(heads) > 1:
                text = "purchase orders whose rows say different things"
                self.ledger.say(table, "contradictory", LEFT_OUT, text, row.row, key)
            elif self.ledger.unknown(table, row.row, supplier=row.supplier, warehouse=row.warehouse, item=row.item):
                continue
            elif row.due <= 0:
                self.ledger.say(table, "no_quantity", LEFT_OUT, "nothing due, or less", row.row, f"{what}: {row.due}")
            elif row.item in kept:
                text = "an item of one purchase order given again; the first row holds"
                self.ledger.say(table, "duplicate", LEFT_OUT, text, row.row, f"{what}, as in row {kept[row.item].row}")
            elif row.created_at > self._start:
                text = "purchase orders made after the run begins"
                self.ledger.say(
                    table, "after_start", LEFT_OUT, text, row.row, f"{what}: {format_instant(row.created_at)}"
                )
            elif 0 < row.eta < row.created_at:
                text = "purchase orders expected before they were made"
                self.ledger.say(
                    table, "eta_before_created", LEFT_OUT, text, row.row, f"{what}: {format_instant(row.eta)}"
                )
            else:
                kept[row.item] = row
                if 0 < row.eta <= self._start:
                    text = "purchase orders that should be there already; when they will be is drawn"
                    self.ledger.say(table, "overdue", KEPT, text, row.row, f"{what}: due {format_instant(row.eta)}")
        return list(kept.values())
