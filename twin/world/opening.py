"""What was under way at the start of a run: read, held against the business, taken over, and accounted for.

For every table, rows, units and value read are those taken over and those left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

from twin.core.commands import LoadOrder, LoadStock, StockLine
from twin.core.entry import Entry
from twin.opening import KEPT, LEFT_OUT, OpeningError, OpeningReport, OpeningSource, OpeningTables, OpenParcel
from twin.scenario import Scenario, calendar_named, compile_calendar
from twin.scenario.demand import OpeningFiles
from twin.scenario.units import CURRENCY_EXPONENTS, format_instant
from twin.world.assortment import Catalog
from twin.world.business import Business
from twin.world.channel import Channel
from twin.world.opening_checks import Checked
from twin.world.supplier import Supplier

if TYPE_CHECKING:
    from twin.driver import Driver

__all__ = ["Opening", "read_opening"]

BATCH: Final = 1000
"""Items of one warehouse that one command loads."""


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
    """An opening held against a scenario, to be taken over.

    `opening` is the free stock and `quarantined` that which is not for sale, both by warehouse and item.
    """

    def __init__(self, scenario: Scenario, catalog: Catalog, tables: OpeningTables) -> None:
        self.scenario = scenario
        self.tables = tables
        self._start = scenario.run.start
        checked = Checked(scenario, catalog, tables)
        self._ledger = checked.ledger
        self.opening = checked.free
        self.quarantined = checked.quarantined
        self._orders = checked.orders
        self._purchases = checked.purchases

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
                    what = f"{bought.purchase_order}: {row.item}, since {format_instant(row.created_at)}"
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
                what = f"{loaded.shipment}, since {format_instant(loaded.shipped_at)}"
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
