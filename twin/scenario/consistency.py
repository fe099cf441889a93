"""What must fit together across a scenario: ids that are defined once, and parts that need each other."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, cast

from twin.scenario.base import Known
from twin.scenario.delivery import GatewayKind
from twin.scenario.demand import BookDemand, GeneratedDemand, PoissonDemand
from twin.scenario.errors import Path, choices
from twin.scenario.expect import MeasureBound, Reference
from twin.scenario.fault_checks import interface_misfits
from twin.scenario.inventory import inventory_misfits
from twin.scenario.trouble_checks import idle_hands, partners_of, undisturbed
from twin.scenario.units import CURRENCY_EXPONENTS, format_duration

if TYPE_CHECKING:
    from twin.scenario.model import Scenario

__all__ = ["duplicates", "known_ids", "misfits"]

_LISTS = {
    "calendar": "calendars",
    "warehouse": "warehouses",
    "supplier": "suppliers",
    "carrier": "carriers",
    "channel": "channels",
    "service": "services",
    "interface": "interfaces",
    "disruption": "disruptions",
    "intervention": "interventions",
    "fault": "faults",
    "item": "items",
}


def known_ids(plain: Any) -> Known:
    """The ids defined in a scenario not validated yet.

    A list that is malformed is told as such, so nothing is held against it here: one mistake, one message.
    """
    top = plain if isinstance(plain, dict) else {}
    ids = {noun: tuple(_ids(top, plural)) for noun, plural in _LISTS.items() if _is_list(top, plural)}
    if "calendar" in ids:
        ids["calendar"] = tuple(dict.fromkeys((*ids["calendar"], "always")))
    kinds = ("warehouse", "supplier", "carrier")
    if all(noun in ids for noun in kinds):
        partners = (f"{noun}/{name}" for noun in kinds for name in ids[noun])
        fed = (f"marketplace/{name}" for name in _fed(top))
        asked = (f"decision/{name}" for name in ids.get("service", ()))
        held = ("inventory",) if _serves(top) else ()
        ids["partner"] = (*partners, "erp", *fed, *asked, *held)
    ids["dock"] = tuple(
        source["id"]
        for source in _list(top, "suppliers")
        if isinstance(source, dict) and source.get("drop_ship") is not None and isinstance(source.get("id"), str)
    )
    if _list(top, "regions"):
        ids["region"] = tuple(name for name in _list(top, "regions") if isinstance(name, str))
    if not _items_listed(top):
        ids.pop("item", None)
    currency = top.get("currency")
    known = isinstance(currency, str) and currency in CURRENCY_EXPONENTS
    return Known(ids=ids, currency=str(currency) if known else "")


def _fed(top: dict[str, Any]) -> list[str]:
    """Channels that are told the stock by a feed: only they get messages."""
    channels = [channel for channel in _list(top, "channels") if isinstance(channel, dict) and channel.get("feed")]
    return [channel["id"] for channel in channels if isinstance(channel.get("id"), str)]


def _serves(top: dict[str, Any]) -> bool:
    """Whether a service of its own holds the inventory."""
    inventory = top.get("inventory")
    return isinstance(inventory, dict) and inventory.get("held_by") == "service"


def _is_list(top: dict[str, Any], key: str) -> bool:
    return isinstance(top.get(key, []), list)


def _items_listed(top: dict[str, Any]) -> bool:
    """Whether the list of items is all there is; rules and books bring items that only a run knows."""
    return "assortment" not in top and "order_book" not in top


def _list(top: dict[str, Any], key: str) -> list[Any]:
    value = top.get(key)
    return value if isinstance(value, list) else []


def _ids(top: dict[str, Any], key: str) -> list[str]:
    found = [item.get("id") for item in _list(top, key) if isinstance(item, dict)]
    return [name for name in found if isinstance(name, str)]


# What may stand once only: the list, the keys that tell its entries apart, and what to do about a second.
_ONCE: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    *(((plural,), ("id",)) for plural in _LISTS.values()),
    (("interfaces",), ("to",)),
    (("lanes",), ("from", "to", "carrier")),
    (("stock",), ("warehouse", "item")),
    (("policies", "replenishment"), ("warehouse", "item")),
    (("monitor", "alerts"), ("id",)),
)


def duplicates(plain: Any) -> list[tuple[Path, str]]:
    """Entries that stand twice, by their path."""
    top = plain if isinstance(plain, dict) else {}
    problems: list[tuple[Path, str]] = []
    for where, keys in _ONCE:
        inner: Any = top
        for part in where[:-1]:
            inner = inner.get(part) if isinstance(inner, dict) else None
        entries = _list(inner, where[-1]) if isinstance(inner, dict) else []
        told = [tuple(entry.get(key) for key in keys) if isinstance(entry, dict) else None for entry in entries]
        problems += _twice(where, keys, told)
    regions = [(name,) if isinstance(name, str) else None for name in _list(top, "regions")]
    return problems + _twice(("regions",), (), regions)


def _twice(where: tuple[str, ...], keys: tuple[str, ...], told: list[Any]) -> list[tuple[Path, str]]:
    problems: list[tuple[Path, str]] = []
    first: dict[Any, int] = {("always",): -1} if where == ("calendars",) else {}
    for index, names in enumerate(told):
        if names is None or not all(isinstance(name, str) for name in names):
            continue
        if names not in first:
            first[names] = index
            continue
        path: Path = (*where, index, keys[0]) if keys else (*where, index)
        if first[names] < 0:
            problems.append((path, f"the calendar '{names[0]}' is predefined; take another id"))
        elif keys and keys != ("id",):
            what = ", ".join(f"{key} {name}" for key, name in zip(keys, names, strict=True))
            problems.append((path, f"{where[-1]} has a second entry for {what}; keep one"))
        else:
            problems.append((path, f"duplicate id '{names[0]}' in {where[-1]}; ids must differ"))
    return problems


def misfits(scenario: Scenario) -> list[tuple[Path, str]]:
    """Parts of a valid scenario that need something which is not there, by their path."""
    problems: list[tuple[Path, str]] = []
    listed = bool(scenario.items)
    derived = scenario.assortment is not None
    nothing_to_sell = not listed and not derived and scenario.order_book is None
    for index, channel in enumerate(scenario.channels):
        path: Path = ("channels", index, "demand")
        demand = channel.demand
        if isinstance(demand, BookDemand) and scenario.order_book is None:
            problems.append((path, "demand is to come from the order book; give the scenario an order_book"))
        elif isinstance(demand, GeneratedDemand | PoissonDemand) and nothing_to_sell:
            problems.append((path, "demand needs something to sell; list items or give an assortment"))
    if derived and scenario.assortment is not None:
        most = len(scenario.warehouses)
        for letter, number in scenario.assortment.placement.items():
            if number > most:
                text = f"{letter}: {number} warehouses are asked for; the scenario has {most}"
                problems.append((("assortment", "placement", letter), text))
        generated = any(isinstance(channel.demand, GeneratedDemand) for channel in scenario.channels)
        if scenario.order_book is None and not listed and generated:
            if scenario.assortment.count is None:
                problems.append((("assortment",), "generated demand needs the number of items; give count"))
            if scenario.assortment.price is None:
                problems.append((("assortment",), "price: there is no order book to take prices from; give quantiles"))
    fallback = scenario.policies.delivery.of("warehouse").fallback
    if fallback is not None and len(scenario.warehouses) < 2:
        text = "fallback: there is one warehouse, and nowhere else to go; leave fallback out"
        problems.append((("policies", "delivery", "warehouse"), text))
    if scenario.opening is not None and scenario.stock:
        text = "opening: its tables say what is in stock; leave `stock` out (`stock: null` where it is from `extends`)"
        problems.append((("opening",), text))
    problems += _other_suppliers(scenario) + _unbought(scenario)
    problems += _drop_shipped(scenario) + undisturbed(scenario) + idle_hands(scenario) + _same_names(scenario)
    idle = [(("policies", "delivery", key), text) for key, text in scenario.policies.delivery.without_effect()]
    problems += [(path, f"{path[-1]}: {text}") for path, text in idle]
    problems += _unasked(scenario) + inventory_misfits(scenario) + _resting(scenario)
    return problems + interface_misfits(scenario) + _unseen(scenario) + _unmeasured(scenario)


def _resting(scenario: Scenario) -> list[tuple[Path, str]]:
    """Lanes and openings that would have to know how much of a transit is working time."""
    working = {carrier.id for carrier in scenario.carriers if carrier.transit_counts == "working_time"}
    problems: list[tuple[Path, str]] = [
        (
            ("lanes", index),
            f"promise: the transit of '{lane.carrier}' is working time, and customers are told all of it; give promise",
        )
        for index, lane in enumerate(scenario.lanes)
        if lane.carrier in working and lane.promise is None
    ]
    if scenario.opening is not None:
        problems += [
            (
                ("carriers", index, "transit_counts"),
                "transit_counts: an opening's parcels have been on their way for some time, not for working time; "
                "leave one of them out",
            )
            for index, carrier in enumerate(scenario.carriers)
            if carrier.id in working
        ]
    return problems


def _other_suppliers(scenario: Scenario) -> list[tuple[Path, str]]:
    """Suppliers to fall back on that nobody would ask, or that there are none of."""
    problems: list[tuple[Path, str]] = []
    falls_back = scenario.policies.delivery.of("supplier").fallback is not None
    rules = scenario.policies.replenishment
    for index, rule in enumerate(rules):
        path: Path = ("policies", "replenishment", index, "alternates")
        if rule.alternates and not falls_back:
            text = "alternates: nobody asks them; give policies.delivery.supplier.fallback: {to: alternate}"
            problems.append((path, text))
        names = (rule.supplier, *rule.alternates)
        for name in dict.fromkeys(rule.alternates):
            if names.count(name) > 1:
                problems.append((path, f"alternates: '{name}' is asked twice; name each supplier once"))
    if falls_back and not any(rule.alternates for rule in rules):
        text = "fallback: no replenishment rule has alternates, so nobody else is asked; give some, or leave it out"
        problems.append((("policies", "delivery", "supplier"), text))
    return problems


def _same_names(scenario: Scenario) -> list[tuple[Path, str]]:
    """Disruptions that are called as a fault is: both are told of by their ids alone."""
    faults = {fault.id: None for fault in scenario.faults if fault.id is not None}
    return [
        (("disruptions", index, "id"), f"a fault has the id '{one.id}' too; give one of them another")
        for index, one in enumerate(scenario.disruptions)
        if one.id in faults
    ]


def _unbought(scenario: Scenario) -> list[tuple[Path, str]]:
    """Packs and changes of master data that could have no effect."""
    rules = {rule.item for rule in scenario.policies.replenishment}
    bought = {item.id: item.id in rules or ("*" in rules and item.drop_ship is None) for item in scenario.items}
    problems: list[tuple[Path, str]] = []
    for index, item in enumerate(scenario.items):
        if item.pack is not None and not bought[item.id]:
            text = f"pack: nobody buys '{item.id}' for a warehouse; give it a replenishment rule, or leave pack out"
            problems.append((("items", index, "pack"), text))
    spec = scenario.master_data
    if spec is None:
        return problems
    path: Path = ("master_data",)
    bad = any(fault.kind == "bad_master_data" for fault in scenario.faults)
    if not spec.changes and not bad:
        text = "no record ever changes or is wrong; give changes, or a fault of kind bad_master_data"
        problems.append((path, text))
    lasts = scenario.run.end - scenario.run.start
    for index, one in enumerate(spec.changes):
        if one.at >= lasts:
            text = f"at: it changes at {format_duration(one.at)}, and the run is over at {format_duration(lasts)}"
            problems.append(((*path, "changes", index, "at"), f"{text}; let it change earlier"))
        of_rules = one.lead_time is not None or one.pack is not None
        if of_rules and not bought.get(one.item or "", bool(rules) or scenario.assortment is not None):
            text = f"item: nobody buys '{one.item}' for a warehouse; give it a replenishment rule"
            problems.append(((*path, "changes", index, "item"), text))
    return problems


def _drop_shipped(scenario: Scenario) -> list[tuple[Path, str]]:
    """Items whose supplier ships to nobody, and docks that are called like a warehouse or reach no customer."""
    problems: list[tuple[Path, str]] = []
    docks = [source.id for source in scenario.suppliers if source.drop_ship is not None]
    for index, item in enumerate(scenario.items):
        if item.drop_ship is not None and item.drop_ship not in docks:
            text = f"drop_ship: supplier '{item.drop_ship}' ships to no customer; give it drop_ship"
            problems.append((("items", index, "drop_ship"), text))
    for index, source in enumerate(scenario.suppliers):
        if source.drop_ship is None:
            continue
        if any(warehouse.id == source.id for warehouse in scenario.warehouses):
            text = f"drop_ship: a warehouse is called '{source.id}' too; lanes could not tell them apart"
            problems.append((("suppliers", index, "drop_ship"), text))
        if not any(lane.from_ == source.id for lane in scenario.lanes):
            text = f"drop_ship: no lane leads from '{source.id}' to a customer; give one"
            problems.append((("suppliers", index, "drop_ship"), text))
        if not any(item.drop_ship == source.id for item in scenario.items):
            text = f"drop_ship: no item is drop-shipped by '{source.id}'; give one, or leave drop_ship out"
            problems.append((("suppliers", index, "drop_ship"), text))
    return problems


def _unasked(scenario: Scenario) -> list[tuple[Path, str]]:
    """Services that nobody asks, and settings for questions that are never put."""
    text = "give policies.sourcing, promise or release its outside, or leave it out"
    problems: list[tuple[Path, str]] = [
        (("services", index, "id"), f"id: nobody asks '{one.id}'; {text}")
        for index, one in enumerate(scenario.services)
        if not scenario.decisions_of(one.id)
    ]
    if scenario.services and not scenario.policies.delivery.of("decision").acknowledge:
        text = "acknowledge: a decision is an answer, which has to be waited for; set acknowledge: true"
        problems.append((("policies", "delivery", "decision"), text))
    return problems


def _unseen(scenario: Scenario) -> list[tuple[Path, str]]:
    """What of the monitor has no effect: blind times after the end, and alerts where nobody waits for an answer."""
    monitor = scenario.monitor
    if monitor is None:
        return []
    lasts = scenario.run.end - scenario.run.start
    problems: list[tuple[Path, str]] = [
        (("monitor", "blind", index), "it begins after the run has ended; it would have no effect")
        for index, blind in enumerate(monitor.blind)
        if blind.from_ >= lasts
    ]
    partners = partners_of(scenario)
    delivery = scenario.policies.delivery
    for index, alert in enumerate(monitor.alerts):
        path: Path = ("monitor", "alerts", index)
        kinds = {partner.partition("/")[0]: None for partner in partners if fnmatchcase(partner, alert.gateway)}
        called = [kind for kind in kinds if delivery.calls(cast(GatewayKind, kind))]
        if not called:
            text = "no calls go to carriers unless they are supervised, so nothing is ever open or fails there; "
            problems.append((path, f"{text}give policies.delivery.carrier.supervise"))
        elif not any(delivery.of(cast(GatewayKind, kind)).acknowledge for kind in called):
            text = (
                f"nobody waits for an answer of {', '.join(called)}, so nothing is ever open or fails there; "
                f"set policies.delivery.{called[0]}.acknowledge: true"
            )
            problems.append((path, text))
    return problems


def _unmeasured(scenario: Scenario) -> list[tuple[Path, str]]:
    """Expectations of a measure that one run does not have."""
    asked = [(index, one) for index, one in enumerate(scenario.expect) if isinstance(one, MeasureBound | Reference)]
    if not asked:
        return []
    # Measures come with the log and Parquet, which most scenarios need not load.
    from twin.measures import MEASURES, of_one_run

    single = of_one_run()
    problems: list[tuple[Path, str]] = []
    for index, one in asked:
        name = one.name.partition("/")[0]
        if name not in single:
            pair = f"'{name}' compares two runs; expect a measure of one, which docs/measures.md lists"
            text = pair if name in MEASURES else choices("measure", "measures", name, single)
            problems.append((("expect", index, "name"), text))
    return problems
