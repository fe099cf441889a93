"""What a variant's rules change in a business under way: what differs from the base, and nothing else.

Since the base began, its people may have changed the rules, and its ERP the records. A variant that says the same as
the base leaves those as they are now.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct, structs

from twin.core.commands import DefineItems, DefineNetwork, DefinePolicies, DefineReplenishment, External
from twin.core.state import State

__all__ = ["only_what_differs"]

Key = tuple[str, ...]

_RECORDS: Final[dict[type, dict[str, tuple[Callable[[Any], Key], Callable[[State, Any], Any]]]]] = {
    DefineItems: {"items": (lambda item: (item.sku,), lambda state, item: state.items.get(item.sku))},
    DefineReplenishment: {
        "rules": (
            lambda rule: (rule.node, rule.sku),
            lambda state, rule: state.replenishment.get(rule.node, {}).get(rule.sku),
        )
    },
    DefineNetwork: {
        "warehouses": (lambda each: (each.id,), lambda state, each: state.warehouses.get(each.id)),
        "suppliers": (lambda each: (each.id,), lambda state, each: state.suppliers.get(each.id)),
        "lanes": (
            lambda lane: (lane.node, lane.region),
            lambda state, lane: state.lanes.get(lane.region, {}).get(lane.node),
        ),
        "channels": (lambda each: (each.id,), lambda state, each: state.channels.get(each.id)),
        "carriers": (lambda each: (each.id,), lambda state, each: state.carriers.get(each.id)),
    },
}
"""The records of a command: what tells one from another, and where the engine has it."""


def only_what_differs(state: State, old: External | None, new: External) -> External | None:
    """The variant's command, laid over what is so now where the base said `old`; None where nothing is left of it."""
    if old is None:
        return new
    if isinstance(new, DefinePolicies) and isinstance(old, DefinePolicies):
        return structs.replace(new, policies=_over(state.policies, old.policies, new.policies))
    kept: dict[str, tuple[Any, ...]] = {}
    for field, (key, now) in _RECORDS.get(type(new), {}).items():
        before = {key(record): record for record in getattr(old, field)}
        kept[field] = tuple(
            _over(now(state, record), before.get(key(record)), record)
            for record in getattr(new, field)
            if before.get(key(record)) != record
        )
    if kept and not any(kept.values()):
        return None
    return structs.replace(new, **kept)


def _over(now: Any, old: Any, new: Any) -> Any:
    """What is so now, with what differs between two records laid over it."""
    if now is None or old is None:
        return new
    fields: tuple[str, ...] = new.__struct_fields__ if isinstance(new, Struct) else ()
    differ = [name for name in fields if getattr(old, name) != getattr(new, name)]
    return structs.replace(now, **{name: getattr(new, name) for name in differ})
