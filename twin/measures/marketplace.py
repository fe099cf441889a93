"""What selling by a stock feed costs: units sold that are not there, and units there that are not sold.

Of marketplaces with a stock feed only, in slices by channel; other runs have none of these measures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twin.log import TruthRow
from twin.measures.against_truth import Truth
from twin.measures.facts import Facts
from twin.measures.measured import Answer, answer, measure, ratio

__all__ = [
    "delistings",
    "late_shipment_rate",
    "marketplace_oversell_rate",
    "marketplace_undersell_rate",
    "seller_cancel_rate",
]


def _by_channel(facts: Facts, truth: Truth) -> Iterator[tuple[str, list[TruthRow]]]:
    channels = dict.fromkeys(row.node for row in truth.market)
    for channel in sorted(channels):
        yield channel, [row for row in truth.market if row.node == channel and facts.begin <= row.at <= facts.end]


def _units(rows: list[TruthRow], *types: str) -> int:
    return sum(row.quantity for row in rows if row.type in types)


@measure("T", "ratio", "units sold in the window; those cancelled in it")
def marketplace_oversell_rate(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Units that the seller cancelled after a marketplace had sold them, of all units that it sold."""
    for channel, rows in _by_channel(facts, truth):
        yield ratio(_units(rows, "market.cancelled"), _units(rows, "market.sold"), part=f"channel={channel}")


@measure("T", "ratio", "units that customers wanted in the window")
def marketplace_undersell_rate(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Units not sold for want of a listing though they were there, of all units that a marketplace's customers wanted.

    There: on a shelf, beyond what warehouse instructions not picked yet claim, at the instant of the lost sale. Units
    lost while the marketplace had taken the seller off count, too. Each lost sale is judged on its own: one unit on
    a shelf counts for every customer who went without it.
    """
    for channel, rows in _by_channel(facts, truth):
        wanted = _units(rows, "market.sold", "market.lost")
        yield ratio(_units(rows, "market.undersold"), wanted, part=f"channel={channel}")


@measure("T", "ratio", "orders that a marketplace sold in the window; those cancelled in it")
def seller_cancel_rate(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Orders of a marketplace of which the seller cancelled units, of all that it sold."""
    for channel, rows in _by_channel(facts, truth):
        cancelled = dict.fromkeys(row.subject for row in rows if row.type == "market.cancelled")
        sold = dict.fromkeys(row.subject for row in rows if row.type == "market.sold")
        yield ratio(len(cancelled), len(sold), part=f"channel={channel}")


@measure("T", "ratio", "orders sold in the window and due in it")
def late_shipment_rate(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """Orders that no carrier had scanned in the marketplace's time, of all that it sold; none where it has no limit.

    Orders whose time was not over at the end of the window are left out: nobody can tell yet.
    """
    for channel, rows in _by_channel(facts, truth):
        late = {row.subject: None for row in rows if row.type == "market.late"}
        due = {row.subject: int(row.detail) for row in rows if row.type == "market.sold" and row.detail}
        judged = [order for order, at in due.items() if at < facts.end]
        yield ratio(sum(order in late for order in judged), len(judged), part=f"channel={channel}")


@measure("T", "count", "the window")
def delistings(facts: Facts, truth: Truth) -> Iterable[Answer]:
    """How often a marketplace took the seller off for cancelling too much or shipping too late."""
    for channel, rows in _by_channel(facts, truth):
        yield answer(sum(row.type == "market.delisted" for row in rows), part=f"channel={channel}")
