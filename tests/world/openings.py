"""Tables of what was under way for the tiny business, and a run's own state as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.world.stage import MONDAY, TINY, Stage
from twin.core.events import GoodsShipped
from twin.opening import Finding, OpeningReport
from twin.scenario import Scenario
from twin.scenario.merging import merge_plain
from twin.scenario.units import format_instant
from twin.world.opening_tables import write_tables

__all__ = ["DESK", "NOW", "finding", "opened", "tabled", "tables"]

NOW = "2025-11-17T00:00Z"
"""When tiny businesses begin."""

HEADERS = {
    "stock": "warehouse,item,status,quantity,reserved,as_of",
    "orders": "order,line,channel,region,criticality,captured_at,requested_at,promised_at,item,ordered,open,shipped,"
    "price,as_of",
    "purchase_orders": "purchase_order,supplier,warehouse,item,due,created_at,eta,as_of",
    "shipments": "shipment,order,line,quantity,warehouse,carrier,shipped_at,eta,as_of",
}
DESK: dict[str, Any] = {
    "suppliers": [{"id": "mill", "lead_time": "4d", "latency": "1ms"}],
    "items": [{"id": "mug", "price": "4.50 GBP", "cost": "2.00 GBP", "supplier": "mill"}],
}
"""The mill makes mugs in four days; nobody buys them of it in the run."""


def tables(folder: Path, **rows: Sequence[str]) -> Path:
    """Write tables; a stock of 200 mugs unless told otherwise."""
    folder.mkdir(exist_ok=True)
    for name, lines in {"stock": [f"main,mug,free,200,,{NOW}"], **rows}.items():
        (folder / f"{name}.csv").write_text("\n".join([HEADERS[name], *lines, ""]), encoding="utf-8")
    return folder


def opened(folder: Path, changes: Mapping[str, Any] | None = None) -> Scenario:
    """The tiny business that starts from the tables in `folder`."""
    opening = {"stock": None, "opening": {"source": "csv", "path": str(folder)}}
    plain = merge_plain(merge_plain(TINY, DESK), opening)
    return Scenario.model_validate(merge_plain(plain, changes or {}))


def finding(report: OpeningReport | None, kind: str, table: str = "") -> Finding:
    """The one finding of a kind, of a table where there are several."""
    assert report is not None
    (found,) = [one for one in report.findings if one.kind == kind and table in ("", one.table)]
    return found


def tabled(stage: Stage, folder: Path) -> tuple[Path, str]:
    """What the engine of a stage believes now as tables, and the instant."""
    left_at = {event.shipment: MONDAY + at for at, event in stage.events(GoodsShipped)}
    write_tables(stage.state, folder, stage.world.now, left_at)
    return folder, format_instant(stage.world.now)
