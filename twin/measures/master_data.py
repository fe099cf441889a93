"""Master data in several systems: where the engine's copy is not what the ERP has, or not how things are.

A value is a field of one record: of an item (status), of how it is bought for a node (lead time, pack), or of a
supplier (minimum order). Of runs whose scenario has master data only, but for addresses; other runs have none of these
measures.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from twin.measures.against_truth import Truth
from twin.measures.facts import Facts
from twin.measures.measured import Answer, answer, measure, ratio

__all__ = [
    "master_data_mismatch_age",
    "master_data_mismatches",
    "mean_master_data_mismatches",
    "orders_hit_by_master_data",
]

FIELDS: Final = ("lead_time", "pack", "status", "minimum_order", "address")

Key = tuple[str, str, str]
Spans = dict[Key, list[tuple[int, int]]]
"""Of each value (field, node, item), when it was off: begin and end in ms, an open one up to the end of the run."""


def _spans(facts: Facts, truth: Truth, other: str) -> Spans:
    """When the engine's copy was not what the `other` rows of the truth say (`master.recorded`, `master.changed`)."""
    moves: dict[Key, list[tuple[int, int, int]]] = {}
    for row in truth.master:
        if row.type == "master.opening":
            moves[row.subject, row.node, row.sku] = [(row.at, 0, row.quantity), (row.at, 1, row.quantity)]
        elif row.type == other:
            moves[row.subject, row.node, row.sku].append((row.at, 1, row.quantity))
    for at, field, node, sku, value in facts.recorded:
        if (field, node, sku) in moves:
            moves[field, node, sku].append((at, 0, value))
    return {key: spans for key, of in moves.items() if (spans := list(_off(sorted(of), facts.end)))}


def _off(moves: list[tuple[int, int, int]], end: int) -> Iterator[tuple[int, int]]:
    sides = [moves[0][2], moves[1][2]]
    since = -1
    for index, (at, side, value) in enumerate(moves):
        sides[side] = value
        if index + 1 < len(moves) and moves[index + 1][0] == at:
            continue  # what changes at one instant takes effect together
        if sides[0] == sides[1]:
            if since >= 0:
                yield since, at
            since = -1
        elif since < 0:
            since = at
    if since >= 0:
        yield since, end


def _within(facts: Facts, spans: Spans) -> list[tuple[int, int]]:
    cut = [(max(begin, facts.begin), end) for of in spans.values() for begin, end in of]
    return [(begin, end) for begin, end in cut if begin < end]


@measure("T", "count", "values of the engine's copy that were not the ERP's, in the window")
def master_data_mismatches(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Times at which a value of the engine's copy was not the ERP's for a while; and how many are not at the end."""
    if not _kept(truth):
        return
    spans = _spans(facts, truth, "master.recorded")
    within = _within(facts, spans)
    yield answer(len(within))
    yield answer(sum(end == facts.end for _, end in within), part="at_end")


@measure("T", "values", "values of the engine's copy, over the window")
def mean_master_data_mismatches(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Number of values of the engine's copy that were not the ERP's, as its mean over time."""
    if _kept(truth):
        within = _within(facts, _spans(facts, truth, "master.recorded"))
        yield ratio(sum(end - begin for begin, end in within), facts.window_ms)


@measure("T", "ms", "values of the engine's copy that were not the ERP's, in the window")
def master_data_mismatch_age(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Mean and longest time for which a value of the engine's copy was not the ERP's, up to the end of the run."""
    if _kept(truth):
        ages = [end - begin for begin, end in _within(facts, _spans(facts, truth, "master.recorded"))]
        yield ratio(sum(ages), len(ages))
        yield answer(max(ages, default=None), part="max")


@measure("T", "count", "decisions in the window")
def orders_hit_by_master_data(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Orders that met a value of master data which was not so in reality, in all and by its field.

    `lead_time` and `pack`: they were to wait for supply, or were bought for, while it was wrong; `minimum_order`: they
    were bought for then. `pack`, `minimum_order` and `status`: what was bought for them was refused, over broken packs,
    too few units, or an item that is not made any more. `status`, too: they were refused over an item that is sold in
    reality. `address`: their parcel went astray, or nobody could ship it.
    """
    if not truth.master:
        return
    hit: dict[str, dict[str, None]] = {name: {} for name in FIELDS}
    spans = _spans(facts, truth, "master.changed")
    for at, node, sku, order in facts.waited:
        for field in ("lead_time", "pack"):
            if at >= facts.begin and _was_off(spans, (field, node, sku), at):
                hit[field][order] = None
    for bought in facts.bought.values():
        keys = [(field, bought.node, sku) for field in ("lead_time", "pack") for sku in bought.skus]
        for key in [*keys, ("minimum_order", bought.supplier, "")]:
            if bought.at >= facts.begin and _was_off(spans, key, bought.at):
                hit[key[0]].update(dict.fromkeys(bought.orders))
    for at, order, skus in facts.blocked:
        if at >= facts.begin and any(_was_off(spans, ("status", "", sku), at) for sku in skus):
            hit["status"][order] = None
    for row in truth.master:
        if row.type == "master.misaddressed" and row.at >= facts.begin:
            hit["address"][row.subject] = None
        elif row.type == "master.refused" and row.at >= facts.begin and row.subject in facts.bought:
            hit[row.detail].update(dict.fromkeys(facts.bought[row.subject].orders))
    yield answer(len({order: None for orders in hit.values() for order in orders}))
    for field, found in hit.items():
        yield answer(len(found), part=f"field={field}")


def _kept(truth: Truth) -> bool:
    return any(row.type == "master.opening" for row in truth.master)


def _was_off(spans: Spans, key: Key, at: int) -> bool:
    of = spans.get(key)
    if of is None:
        return False
    index = bisect_right(of, at, key=lambda span: span[0]) - 1
    return index >= 0 and at <= of[index][1]
