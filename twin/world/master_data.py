"""Master data of items and suppliers: how things are, what the ERP's records say, and how the engine's copy follows.

What changes really is true at once, the ERP records it when it hears of it, and the engine is told by messages of the
ERP, which pass its interface like any other: they wait for a file, are late, are lost, or are mapped wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct, structs

from twin.core.commands import DefineItems, DefineNetwork, DefineReplenishment
from twin.core.master import Item, Replenishment, Supplier
from twin.streams import Distribution
from twin.world.faults import BadRecord
from twin.world.kernel import Actor, Phase

if TYPE_CHECKING:
    from twin.world.business import Business
    from twin.world.supplier import Supplier as Maker

__all__ = ["Change", "Key", "MasterData", "Record", "Sync", "corrupted"]

Record = Item | Replenishment | Supplier
Key = tuple[str, str]
"""Of a record: (node, item) for how it is bought there, no node for the item itself, (supplier, no item) for that."""

T = TypeVar("T")

BATCH: Final = 1000
"""Records in one message."""

FIELDS: Final[dict[str, tuple[type, str]]] = {
    "lead_time": (Replenishment, "lead_time_ms"),
    "pack": (Replenishment, "pack"),
    "status": (Item, "blocked"),
    "minimum_order": (Supplier, "minimum_order"),
}
"""What may change: in records of which type, and in which field of them."""


class Sync(Struct, frozen=True):
    """The ERP sends its records every `every_ms` (0: as they change), the first time `offset_ms` after the start:
    `all` of them, or what has changed since."""

    every_ms: int = 0
    offset_ms: int = 0
    all: bool = False


class Change(Struct, frozen=True):
    """At `at_ms` a field of records becomes `values` by key, and the ERP hears of it `known_ms` later.

    `lead_time` is what a lead time is drawn from, from then on. A `mistake` is in the ERP's records only.
    """

    number: int
    field: str
    at_ms: int
    known_ms: int
    values: tuple[tuple[Key, int], ...]
    lead_time: Distribution | None = None
    mistake: bool = False


def key_of(record: Record) -> Key:
    """The key of a record."""
    if isinstance(record, Supplier):
        return record.id, ""
    return ("" if isinstance(record, Item) else record.node), record.sku


def corrupted(
    command: DefineItems | DefineReplenishment | DefineNetwork, defect: BadRecord, earlier: Mapping[Key, Record]
) -> dict[str, object]:
    """What a defect changes in a message of records; nothing where all of them are right all the same."""
    kind, field = FIELDS[defect.field]
    name, records = _content(command)
    made: list[Record] = []
    behind: list[Record] = []
    for record in records:
        made.append(record)
        key = key_of(record)
        if not isinstance(record, kind) or not fnmatchcase(key[1] or key[0], defect.record):
            continue
        if defect.stale:
            before = earlier.get(key)
            if before is not None and getattr(before, field) != getattr(record, field):
                # It stands there a second time, and nothing tells which of the two is good.
                behind.append(structs.replace(before, recorded_at=record.recorded_at))
        else:
            made[-1] = structs.replace(record, **{field: bool(defect.value) if field == "blocked" else defect.value})
    changed = (*made, *behind)
    return {} if changed == tuple(records) else {name: changed}


def _content(command: DefineItems | DefineReplenishment | DefineNetwork) -> tuple[str, Sequence[Record]]:
    if isinstance(command, DefineItems):
        return "items", command.items
    if isinstance(command, DefineReplenishment):
        return "rules", command.rules
    return "suppliers", command.suppliers


def _parts(records: list[T]) -> Iterator[tuple[int, tuple[T, ...]]]:
    for number, first in enumerate(range(0, len(records), BATCH)):
        yield number, tuple(records[first : first + BATCH])


class MasterData(Actor):
    """The records of the ERP, and the clock on which things change."""

    world: Business

    def __init__(self, sync: Sync, changes: tuple[Change, ...], records: Iterable[Record], currency: str) -> None:
        super().__init__("master_data")
        self.sync = sync
        self.changes = changes
        self.records = {key_of(record): record for record in records}
        self.currency = currency
        # Records as they were before they changed last, and those changed since they were sent.
        self.earlier: dict[Key, Record] = {}
        self.unsent: dict[Key, None] = {}
        # Who makes an item, by the node it is bought for: its supplier, then those that are asked in its stead.
        self.makers: dict[str, dict[str, tuple[str, ...]]] = {}
        for record in self.records.values():
            if isinstance(record, Replenishment):
                others = [supplier for supplier, _ in record.alternates]
                self.makers.setdefault(record.sku, {})[record.node] = (record.supplier, *others)

    def start(self) -> None:
        """Write down what is recorded at first, and set the changes and the sync on the clock."""
        world, sync = self.world, self.sync
        self.records = {key: structs.replace(each, recorded_at=world.now) for key, each in self.records.items()}
        for field, (kind, name) in FIELDS.items():
            for key, record in self.records.items():
                if isinstance(record, kind):
                    self._note("master.opening", field, key, int(getattr(record, name)))
        for change in self.changes:
            world.post(self.change, change, change.at_ms - world.now, Phase.FAULT)
        if sync.every_ms:
            world.post(self.send, None, sync.offset_ms or sync.every_ms, Phase.FEED)

    def receive(self, message: None) -> None:
        """Nothing is asked of the records by message."""
        raise TypeError(f"{self.id} was sent a message, and takes none")

    def _note(self, type: str, field: str, key: Key, value: int) -> None:
        self.world.truth.record(self.world.now, type, field, key[0], key[1], value)

    def change(self, change: Change) -> None:
        """Things are otherwise from now on; the ERP hears of it at once, or later."""
        if not change.mistake:
            for key, value in change.values:
                self._note("master.changed", change.field, key, value)
                for maker in self._makers(change.field, key):
                    maker.go_by(change.field, key[1], value, change.lead_time)
        if change.known_ms:
            self.world.post(self.record, change, change.known_ms, Phase.FAULT)
        else:
            self.record(change)

    def _makers(self, field: str, key: Key) -> Iterator[Maker]:
        """The suppliers whom a record is about; a lead time is that of the item's own one."""
        node, sku = key
        if not sku:
            names: tuple[str, ...] = (node,)
        else:
            by_node = self.makers.get(sku, {})
            names = by_node[node] if node else tuple(name for makers in by_node.values() for name in makers)
        for id in dict.fromkeys(names[:1] if field == "lead_time" else names):
            yield self.world.actors[f"supplier/{id}"]  # type: ignore[misc]

    def record(self, change: Change) -> None:
        """The ERP's records follow, and the engine is told unless the sync has its times."""
        kind, field = FIELDS[change.field]
        for key, value in change.values:
            self._note("master.recorded", change.field, key, value)
            before = self.earlier[key] = self.records[key]
            # Of two changes of one instant the second is the newer one.
            at = max(self.world.now, before.recorded_at + 1)
            new = {field: bool(value) if kind is Item else value, "recorded_at": at}
            self.records[key] = structs.replace(before, **new)
            self.unsent[key] = None
        if not self.sync.every_ms:
            self._tell(list(self.unsent), f"{self.world.now}/{change.number}")

    def send(self, message: None) -> None:
        """It is time to tell the engine."""
        self._tell(list(self.records if self.sync.all else self.unsent), str(self.world.now))
        self.world.post(self.send, None, self.sync.every_ms, Phase.FEED)

    def _tell(self, keys: list[Key], name: str) -> None:
        erp, now = self.world.erp, self.world.now
        records = [self.records[key] for key in keys]
        for number, suppliers in _parts([each for each in records if isinstance(each, Supplier)]):
            id = f"master/suppliers/{name}/{number}"
            erp.tell(DefineNetwork(id, erp.id, now, self.currency, suppliers=suppliers), Phase.FEED)
        for number, items in _parts([each for each in records if isinstance(each, Item)]):
            erp.tell(DefineItems(f"master/items/{name}/{number}", erp.id, now, items), Phase.FEED)
        for number, rules in _parts([each for each in records if isinstance(each, Replenishment)]):
            erp.tell(DefineReplenishment(f"master/buying/{name}/{number}", erp.id, now, rules), Phase.FEED)
        self.unsent = {}
