"""What was under way at the start of a run: read, held against the business, taken over, and accounted for.

Nothing is repaired. What does not fit is a finding with its rows, and what cannot be taken over is left out and
counted: for every table, rows, units and value read are those taken over and those left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from twin.core.commands import LoadedParcel, LoadOrder, LoadPurchaseOrder, LoadStock, OrderLine, StockLine
from twin.core.entry import Entry
from twin.core.master import CRITICALITIES
from twin.opening import (
    KEPT,
    LEFT_OUT,
    PARTLY,
    OpeningError,
    OpeningReport,
    OpeningSource,
    OpeningTables,
    OpenLine,
    OpenOrder,
    OpenParcel,
    OpenPurchase,
    StockRow,
)
from twin.scenario import Scenario, calendar_named, compile_calendar
from twin.scenario.demand import OpeningFiles
from twin.scenario.units import CURRENCY_EXPONENTS, format_duration, format_instant
from twin.world.assortment import Catalog
from twin.world.business import Business
from twin.world.channel import Channel
from twin.world.opening_ledger import Ledger, spans_of
from twin.world.supplier import Supplier

if TYPE_CHECKING:
    from twin.driver import Driver

__all__ = ["Opening", "read_opening"]

APART_MS: Final = 3_600_000
"""Tables whose instants lie further apart were not true at once."""

FIRST: Final = 5
BATCH: Final = 1000


def read_opening(spec: OpeningFiles, currency: str) -> OpeningTables:
    """The tables that a scenario names, read by the adapter of their source. Raises `OpeningError`."""
    found = {point.name: point for point in entry_points(group="ordertwin.openings")}
    if spec.source not in found:
        known = ", ".join(sorted(found)) or "none"
        raise OpeningError(
            str(spec.folder), f"no adapter reads the source '{spec.source}'", f"installed sources: {known}"
        )
    read: OpeningSource = found[spec.source].load()
    return read(spec.folder, spec.timezone, spec.columns, CURRENCY_EXPONENTS[currency])


class Opening:
    """An opening held against a scenario: what of it can be taken over, and what is to be said about the rest.

    `opening` is the free stock and `quarantined` that which is not for sale, both by warehouse and item.
    """

    def __init__(self, scenario: Scenario, catalog: Catalog, tables: OpeningTables) -> None:
        self.scenario = scenario
        self.tables = tables
        self._start = scenario.run.start
        self._items = {item.sku: item for item in catalog.items}
        names = {
            "warehouse": dict.fromkeys([one.id for one in scenario.warehouses]),
            "item": dict.fromkeys(self._items),
            "supplier": dict.fromkeys([one.id for one in scenario.suppliers]),
            "channel": dict.fromkeys([one.id for one in scenario.channels]),
            "region": dict.fromkeys(scenario.regions),
            "carrier": dict.fromkeys([one.id for one in scenario.carriers]),
        }
        self._ledger = Ledger(names)
        self._drop_shipped = {item.id: None for item in scenario.items if item.drop_ship is not None}
        self._enter()
        self.opening: dict[str, dict[str, int]] = {one.id: {} for one in scenario.warehouses}
        self.quarantined: dict[str, dict[str, int]] = {one.id: {} for one in scenario.warehouses}
        self._stock()
        parcels = self._parcels()
        self._orders: list[tuple[LoadOrder, OpenOrder, list[OpenParcel]]] = self._order_commands(parcels)
        self._purchases: list[tuple[LoadPurchaseOrder, list[OpenPurchase]]] = self._purchase_commands()
        self._instants()

    # --- what was read

    def _enter(self) -> None:
        """Every row with its units and value, before anything is judged."""
        tables, rows = self.tables, self._ledger.rows
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
        known = self._items.get(item)
        return 0 if known is None else known.cost_minor

    # --- stock

    def _stock(self) -> None:
        seen: dict[tuple[str, str, str], int] = {}
        for row in self.tables.stock:
            if self._stock_refused(row, seen):
                continue
            seen[row.warehouse, row.item, row.status] = row.row
            place = f"{row.item} at {row.warehouse}"
            if row.reserved is not None and not 0 <= row.reserved <= row.quantity:
                text = "more units reserved than there are, or fewer than none; the engine reserves anew"
                self._ledger.say(
                    "stock",
                    "reserved_more_than_on_hand",
                    KEPT,
                    text,
                    row.row,
                    f"{place}: {row.reserved} of {row.quantity}",
                )
            (self.opening if row.status == "free" else self.quarantined)[row.warehouse][row.item] = row.quantity

    def _stock_refused(self, row: StockRow, seen: dict[tuple[str, str, str], int]) -> bool:
        place = f"{row.item} at {row.warehouse}"
        if self._ledger.unknown("stock", row.row, warehouse=row.warehouse, item=row.item):
            return True
        if row.status not in ("free", "quarantined"):
            text = "statuses that are neither free nor quarantined"
            self._ledger.say("stock", "unknown_status", LEFT_OUT, text, row.row, f"{place}: '{row.status}'")
            return True
        if row.quantity < 0:
            text = "fewer than no units in stock"
            self._ledger.say("stock", "negative_quantity", LEFT_OUT, text, row.row, f"{place}: {row.quantity}")
            return True
        first = seen.get((row.warehouse, row.item, row.status))
        if first is not None:
            text = "stock of one item, place and status given again; the first row holds"
            self._ledger.say("stock", "duplicate", LEFT_OUT, text, row.row, f"{place}, as in row {first}")
            return True
        return False

    # --- parcels

    def _parcels(self) -> dict[str, list[OpenParcel]]:
        """Parcels by order, those that could be on their way."""
        orders = {order.order: {line.line: None for line in order.lines} for order in self.tables.orders}
        kept: dict[str, list[OpenParcel]] = {}
        seen: dict[tuple[str, str, int], int] = {}
        heads: dict[str, tuple[str, str, str, int, int]] = {}
        for parcel in self.tables.parcels:
            row, what = parcel.row, f"{parcel.shipment} of order {parcel.order} line {parcel.line}"
            head = (parcel.order, parcel.warehouse, parcel.carrier, parcel.shipped_at, parcel.eta)
            if parcel.line not in orders.get(parcel.order, {}):
                text = "parcels of order lines that are not in the table of orders"
                self._ledger.say("shipments", "unknown_order", LEFT_OUT, text, row, what)
            elif self._ledger.unknown("shipments", row, warehouse=parcel.warehouse, carrier=parcel.carrier):
                continue
            elif parcel.quantity <= 0:
                text = "no units in a parcel, or fewer"
                self._ledger.say("shipments", "no_quantity", LEFT_OUT, text, row, f"{what}: {parcel.quantity}")
            elif parcel.shipped_at > self._start:
                text = "parcels that left after the run begins"
                self._ledger.say("shipments", "after_start", LEFT_OUT, text, row, f"{what}: {_at(parcel.shipped_at)}")
            elif (parcel.shipment, parcel.order, parcel.line) in seen:
                text = "a line in one parcel given again; the first row holds"
                self._ledger.say("shipments", "duplicate", LEFT_OUT, text, row, what)
            elif heads.setdefault(parcel.shipment, head) != head:
                text = "rows of one parcel that say different things; the first row holds"
                self._ledger.say("shipments", "contradictory", LEFT_OUT, text, row, what)
            else:
                seen[parcel.shipment, parcel.order, parcel.line] = row
                kept.setdefault(parcel.order, []).append(parcel)
                if 0 < parcel.eta <= self._start:
                    text = "parcels that should be there already; when they will be is drawn"
                    self._ledger.say("shipments", "overdue", KEPT, text, row, f"{what}: due {_at(parcel.eta)}")
        return kept

    # --- orders

    def _order_commands(
        self, parcels: dict[str, list[OpenParcel]]
    ) -> list[tuple[LoadOrder, OpenOrder, list[OpenParcel]]]:
        """The orders to load, in the order in which they would be served: by class, then by age."""
        found = []
        for order in self.tables.orders:
            made = None if self._order_refused(order) else self._order(order, parcels.get(order.order, []))
            if made is None:
                # What belongs to an order that is not there is not there either.
                for parcel in parcels.get(order.order, []):
                    if parcel.row not in self._ledger.dropped["shipments"]:
                        text = "parcels of orders that are left out"
                        self._ledger.say(
                            "shipments", "order_left_out", LEFT_OUT, text, parcel.row, f"order {order.order}"
                        )
            else:
                found.append(made)
        classes = {one.id: one.criticality for one in self.scenario.channels}

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
        elif order.channel not in self._ledger.names["channel"]:
            kind, text, what = "unknown_channel", "channels that the scenario does not have", f"'{order.channel}'"
        elif order.region not in self._ledger.names["region"]:
            kind, text, what = "unknown_region", "regions that the scenario does not have", f"'{order.region}'"
        elif order.criticality and order.criticality not in CRITICALITIES:
            kind, text = "unknown_criticality", f"classes other than {', '.join(CRITICALITIES)}"
            what += f": '{order.criticality}'"
        elif order.captured_at > self._start:
            kind, text = "after_start", "orders captured after the run begins"
            what += f": {_at(order.captured_at)}"
        elif order.releases < 0:
            kind, text = "no_quantity", "orders released fewer times than never"
            what += f": {order.releases}"
        for line in order.lines if kind else ():
            self._ledger.say("orders", kind, LEFT_OUT, text, line.row, what)
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
                self._ledger.say("orders", "more_in_parcels_than_shipped", KEPT, text, line.row, what)
            if line.open and line.item in self._drop_shipped:
                text = "items that a supplier sends to customers: it is asked for them anew"
                self._ledger.say(
                    "orders", "drop_ship_asked_anew", KEPT, text, line.row, f"order {order.order}: {line.item}"
                )
            lines.append(OrderLine(line.line, line.item, line.open + under_way, line.price_minor))
            kept += mine
        for parcel in parcels:
            if parcel not in kept and parcel.row not in self._ledger.dropped["shipments"]:
                text = "parcels of order lines that are left out"
                what = f"order {order.order} line {parcel.line}"
                self._ledger.say("shipments", "order_left_out", LEFT_OUT, text, parcel.row, what)
        if not lines:
            return None
        promised_at = order.promised_at
        first = order.lines[0].row
        if 0 < promised_at < order.captured_at:
            text = "promised for an instant before the order was captured; nobody knows what was told"
            self._ledger.say(
                "orders", "promise_before_capture", PARTLY, text, first, f"order {order.order}: {_at(promised_at)}"
            )
            promised_at = 0
        if order.captured_at > order.as_of:
            text = "captured after the instant for which the table was true"
            what = f"order {order.order}: captured {_at(order.captured_at)}, as of {_at(order.as_of)}"
            self._ledger.say("orders", "captured_after_as_of", KEPT, text, first, what)
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
        ways = [(lane.from_, lane.to) for lane in self.scenario.lanes if lane.carrier == parcel.carrier]
        way = (parcel.warehouse, order.region)
        if way in ways or parcel.row in self._ledger.dropped["shipments"]:
            return parcel.row in self._ledger.dropped["shipments"]
        what = f"{parcel.shipment}: {parcel.carrier} from {way[0]} to {way[1]}"
        self._ledger.say("shipments", "unknown_lane", LEFT_OUT, "parcels on ways that are no lane", parcel.row, what)
        return True

    def _line_refused(self, order: OpenOrder, line: OpenLine, under_way: int, seen: dict[int, int]) -> bool:
        what = f"order {order.order} line {line.line}"
        if self._ledger.unknown("orders", line.row, item=line.item):
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
            self._ledger.say("orders", kind, LEFT_OUT, text, line.row, what)
        return bool(kind)

    # --- purchase orders

    def _purchase_commands(self) -> list[tuple[LoadPurchaseOrder, list[OpenPurchase]]]:
        orders: dict[str, list[OpenPurchase]] = {}
        for row in self.tables.purchases:
            orders.setdefault(row.purchase_order, []).append(row)
        found = []
        for key, rows in orders.items():
            kept = self._purchase_rows(key, rows)
            if not kept:
                continue
            dates = [row.eta for row in kept]
            eta = max(dates) if all(dates) else 0
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
                self._ledger.say(table, "contradictory", LEFT_OUT, text, row.row, key)
            elif self._ledger.unknown(table, row.row, supplier=row.supplier, warehouse=row.warehouse, item=row.item):
                continue
            elif row.due <= 0:
                self._ledger.say(table, "no_quantity", LEFT_OUT, "nothing due, or less", row.row, f"{what}: {row.due}")
            elif row.item in kept:
                text = "an item of one purchase order given again; the first row holds"
                self._ledger.say(table, "duplicate", LEFT_OUT, text, row.row, f"{what}, as in row {kept[row.item].row}")
            elif row.created_at > self._start:
                text = "purchase orders made after the run begins"
                self._ledger.say(table, "after_start", LEFT_OUT, text, row.row, f"{what}: {_at(row.created_at)}")
            elif 0 < row.eta < row.created_at:
                text = "purchase orders expected before they were made"
                self._ledger.say(table, "eta_before_created", LEFT_OUT, text, row.row, f"{what}: {_at(row.eta)}")
            else:
                kept[row.item] = row
                if 0 < row.eta <= self._start:
                    text = "purchase orders that should be there already; when they will be is drawn"
                    self._ledger.say(table, "overdue", KEPT, text, row.row, f"{what}: due {_at(row.eta)}")
        return list(kept.values())

    # --- when it was true

    def _instants(self) -> None:
        spans = spans_of(self.tables)
        if not spans:
            return
        first, last = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
        shown = [
            f"{name}: {_at(low)}" + (f" to {_at(high)}" if low != high else "") for name, (low, high) in spans.items()
        ]
        if last - first > APART_MS:
            self._ledger.note(
                "as_of_apart", f"tables that were true up to {format_duration(last - first)} apart", shown
            )
        off = max(abs(self._start - first), abs(self._start - last))
        if off > APART_MS:
            text = f"tables that were true up to {format_duration(off)} from the start of the run, {_at(self._start)}"
            self._ledger.note("as_of_not_start", text, shown)

    # --- taking over

    def stock_commands(self) -> list[LoadStock]:
        """The stock as commands, a bounded number of items in one."""
        commands = []
        for node in self.opening:
            free, apart = self.opening[node], self.quarantined[node]
            skus = list({**free, **apart})
            for number, first in enumerate(range(0, len(skus), BATCH)):
                part = skus[first : first + BATCH]
                commands.append(
                    LoadStock(
                        f"opening/stock/{node}/{number}",
                        "opening",
                        self._start,
                        node,
                        tuple([StockLine(sku, free.get(sku, 0)) for sku in part]),
                        tuple([StockLine(sku, apart[sku]) for sku in part if apart.get(sku)]),
                    )
                )
        return commands

    def number_on(self, channels: Iterable[Channel]) -> None:
        """Have channels name their orders past those of the tables: orders of a run that this one goes on from."""
        named = {channel.config.name: channel for channel in channels}
        for order in self.tables.orders:
            name, _, number = order.order.rpartition("-")
            if name in named and number.isdecimal() and len(number) < 10:
                named[name].orders = max(named[name].orders, int(number))

    def take_over(self, driver: Driver, world: Business) -> OpeningReport:
        """Load what is under way into the engine and into the hands of those who hold it, and say what came of it.

        Purchase orders come first, so that no order buys what is on its way already. What the engine refuses is a
        finding and is left out.
        """
        for bought, rows in self._purchases:
            if self._refused(driver.handle(bought, world.now), "purchase_orders", [row.row for row in rows]):
                continue
            party = world.actors[f"supplier/{bought.supplier}"]
            if not isinstance(party, Supplier):
                raise TypeError(f"{party.id} is no supplier")
            elapsed = self._worked(bought.supplier, bought.created_at)
            late = party.expect(
                bought.purchase_order, bought.node, tuple([(row.item, row.due, row.eta, elapsed) for row in rows])
            )
            for row in rows:
                if row.item in late:
                    text = "open for longer than any lead time that the supplier has; theirs is drawn anew from now"
                    what = f"{bought.purchase_order}: {row.item}, since {_at(row.created_at)}"
                    self._ledger.say("purchase_orders", "older_than_lead_time", KEPT, text, row.row, what)
        for command, order, parcels in self._orders:
            rows_ = [line.row for line in order.lines if line.row not in self._ledger.dropped["orders"]]
            if self._refused(driver.handle(command, world.now), "orders", rows_):
                for parcel in parcels:
                    text = "parcels of orders that are left out"
                    self._ledger.say("shipments", "order_left_out", LEFT_OUT, text, parcel.row, f"order {order.order}")
                continue
            self._send_parcels(world, command, parcels)
        return self._ledger.report(self.tables, self.scenario.currency, self._start)

    def _send_parcels(self, world: Business, command: LoadOrder, parcels: list[OpenParcel]) -> None:
        classes = {one.id: one.criticality for one in self.scenario.channels}
        for loaded in command.parcels:
            party = world.carriers[loaded.carrier]
            row = next(parcel for parcel in parcels if parcel.shipment == loaded.shipment)
            letter = command.criticality or classes[command.channel]
            if not party.expect(loaded, command.order, command.region, letter, row.eta):
                text = "on their way for longer than any transit of their lane; theirs is drawn anew from now"
                what = f"{loaded.shipment}, since {_at(loaded.shipped_at)}"
                self._ledger.say("shipments", "older_than_transit", KEPT, text, row.row, what)

    def _refused(self, entry: Entry, table: str, rows: list[int]) -> bool:
        refusal = entry.refusal
        if refusal is None:
            return False
        for row in rows:
            self._ledger.say(table, f"refused_{refusal.code}", LEFT_OUT, "refused by the engine", row, refusal.text)
        return True

    def _worked(self, supplier: str, since: int) -> int:
        """Working time of a supplier from an instant to the start of the run, in ms."""
        spec = next(one for one in self.scenario.suppliers if one.id == supplier)
        calendar = calendar_named(self.scenario.calendars, spec.calendar)
        if calendar.always or since >= self._start:
            return self._start - since
        bounds = compile_calendar(calendar, since, self._start).bounds
        pairs = zip(bounds[::2], bounds[1::2], strict=True)
        return sum([max(0, min(end, self._start) - max(begin, since)) for begin, end in pairs])


def _at(instant: int) -> str:
    return format_instant(instant)
