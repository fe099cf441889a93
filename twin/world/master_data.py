"""The master data of items: how things are, what the ERP's records say, and how the engine's copy follows them.

What changes really is true at once, the ERP records it when it hears of it, and the engine is told by messages of the
ERP, which pass its interface like any other: they wait for a file, are late, are lost, or are mapped wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from twin.core.commands import DefineItems, DefineReplenishment
from twin.core.master import Item, Replenishment
from twin.streams import Distribution
from twin.world.faults import BadRecord
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business
    from twin.world.supplier import Supplier

__all__ = ["FIELDS", "Change", "MasterData", "Sync", "corrupted"]

BATCH: Final = 1000
"""Records in one message."""

FIELDS: Final = {"lead_time": "lead_time_ms", "pack": "pack", "status": "blocked"}
"""What may change, and the field of the record that holds it."""


class Sync(Struct, frozen=True):
    """The ERP sends its records every `every_ms` (0: as they change), the first time `offset_ms` after the start:
    `all` of them, or what has changed since."""

    every_ms: int = 0
    offset_ms: int = 0
    all: bool = False


class Change(Struct, frozen=True):
    """At `at_ms` a field of items becomes `values` by (node, sku); no node stands for the item itself.

    The ERP hears of it `known_ms` later. `lead_time` is what a lead time is drawn from, from then on.
    """

    number: int
    field: str
    at_ms: int
    known_ms: int
    values: tuple[tuple[str, str, int], ...]
    lead_time: Distribution | None = None


def corrupted(
    command: DefineItems | DefineReplenishment,
    defect: BadRecord,
    earlier: Mapping[tuple[str, str], Item | Replenishment],
) -> dict[str, object]:
    """What a defect changes in a message of records; nothing where all of them are right all the same."""
    field = FIELDS[defect.field]
    if isinstance(command, DefineItems) != (field == "blocked"):
        return {}
    name, records = ("items", command.items) if isinstance(command, DefineItems) else ("rules", command.rules)
    made: list[Item | Replenishment] = []
    behind: list[Item | Replenishment] = []
    for record in records:
        before = earlier.get((getattr(record, "node", ""), record.sku))
        if not fnmatchcase(record.sku, defect.item):
            made.append(record)
        elif defect.stale:
            made.append(record)
            if before is not None and getattr(before, field) != getattr(record, field):
                behind.append(before)
        else:
            wrong = bool(defect.value) if field == "blocked" else defect.value
            made.append(structs.replace(record, **{field: wrong}))
    changed = tuple(made + behind)
    return {} if changed == tuple(records) else {name: changed}


class MasterData(Actor):
    """The records of the ERP, and the clock on which things change."""

    world: Business

    def __init__(
        self, sync: Sync, changes: tuple[Change, ...], items: Iterable[Item], rules: Iterable[Replenishment]
    ) -> None:
        super().__init__("master_data")
        self.sync = sync
        self.changes = changes
        self.items = {item.sku: item for item in items}
        self.rules = {(rule.node, rule.sku): rule for rule in rules}
        # Records as they were before they changed last, and those changed since they were sent.
        self.earlier: dict[tuple[str, str], Item | Replenishment] = {}
        self.unsent: dict[tuple[str, str], None] = {}

    def start(self) -> None:
        """Write down what is recorded at first, and set the changes and the sync on the clock."""
        world, sync = self.world, self.sync
        for rule in self.rules.values():
            self._note("master.opening", "lead_time", rule.node, rule.sku, rule.lead_time_ms)
            self._note("master.opening", "pack", rule.node, rule.sku, rule.pack)
        for item in self.items.values():
            self._note("master.opening", "status", "", item.sku, int(item.blocked))
        for change in self.changes:
            world.post(self.change, change, change.at_ms - world.now, Phase.FAULT)
        if sync.every_ms:
            world.post(self.send, None, sync.offset_ms or sync.every_ms, Phase.FEED)

    def receive(self, message: None) -> None:
        """Nothing is asked of the records by message."""
        raise TypeError(f"{self.id} was sent a message, and takes none")

    def _note(self, type: str, field: str, node: str, sku: str, value: int) -> None:
        self.world.truth.record(self.world.now, type, field, node, sku, value)

    def change(self, change: Change) -> None:
        """Things are otherwise from now on; the ERP hears of it at once, or later."""
        for node, sku, value in change.values:
            self._note("master.changed", change.field, node, sku, value)
            for supplier in self._suppliers(node, sku):
                if change.lead_time is not None:
                    supplier.changed[sku] = change.lead_time
                elif change.field == "pack":
                    supplier.packs[sku] = value
                elif value:
                    supplier.discontinued[sku] = None
                else:
                    supplier.discontinued.pop(sku, None)
        if change.known_ms:
            self.world.post(self.record, change, change.known_ms, Phase.FAULT)
        else:
            self.record(change)

    def _suppliers(self, node: str, sku: str) -> list[Supplier]:
        """Who makes the item, for this node or for any."""
        makers = {rule.supplier: None for rule in self.rules.values() if rule.sku == sku and node in ("", rule.node)}
        return [self.world.actors[f"supplier/{maker}"] for maker in makers]  # type: ignore[misc]

    def record(self, change: Change) -> None:
        """The ERP's records follow, and the engine is told unless the sync has its times."""
        for node, sku, value in change.values:
            self._note("master.recorded", change.field, node, sku, value)
            key = (node, sku)
            if node:
                rule = self.earlier[key] = self.rules[key]
                self.rules[key] = structs.replace(rule, **{FIELDS[change.field]: value})
            else:
                item = self.earlier[key] = self.items[sku]
                self.items[sku] = structs.replace(item, blocked=bool(value))
            self.unsent[key] = None
        if not self.sync.every_ms:
            self._tell(list(self.unsent), f"{self.world.now}/{change.number}")

    def send(self, message: None) -> None:
        """It is time to tell the engine."""
        everything = [("", sku) for sku in self.items] + list(self.rules)
        self._tell(everything if self.sync.all else list(self.unsent), str(self.world.now))
        self.world.post(self.send, None, self.sync.every_ms, Phase.FEED)

    def _tell(self, keys: list[tuple[str, str]], name: str) -> None:
        world = self.world
        erp, now = world.erp, world.now
        items = [self.items[sku] for node, sku in keys if not node]
        rules = [self.rules[key] for key in keys if key[0]]
        for number in range(0, len(items), BATCH):
            part = tuple(items[number : number + BATCH])
            erp.tell(DefineItems(f"master/items/{name}/{number // BATCH}", erp.id, now, part), Phase.FEED)
        for number in range(0, len(rules), BATCH):
            some = tuple(rules[number : number + BATCH])
            erp.tell(DefineReplenishment(f"master/buying/{name}/{number // BATCH}", erp.id, now, some), Phase.FEED)
        self.unsent = {}
